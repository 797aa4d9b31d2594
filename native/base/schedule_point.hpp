// Marks where the steps of other threads may fall between two steps of this one: in front of each
// lock that threads share. The model tests run another logical thread's turn there; nobody else
// sets the hook. Free next to the lock that follows.
// Thread: any; the hook is set while there is only one thread.
#pragma once

namespace stmqtt {

inline void (*schedule_hook)() noexcept = nullptr;

inline void schedule_point() noexcept {
  if (schedule_hook != nullptr) [[unlikely]] schedule_hook();
}

}  // namespace stmqtt
