// Readiness of descriptors, by the platform's means. A backend is one file with one class Poller
// (and its PollEvent) of this interface, all of it on the thread that owns the poller unless said:
//
//   SystemError open();  void close();
//   bool add(int fd, PollTag tag, Interest interest);     false: errno says why
//   void modify(int fd, PollTag tag, Interest interest);
//   void remove(int fd);
//   std::size_t wait(int timeout_ms);                     -1 = forever, 0 = do not sleep
//   PollEvent event(std::size_t index) const;             valid until the next wait()
//   kEventsPerWait                                        as many as a wait() tells at most
//   void wake();                                          from any thread: ends a wait()
//   PollEvent: tag(), readable(), writable(), hung_up(), peer_closed()
//
// Interest::none still reports a hang-up (both directions closed, or an error). peer_closed() beside
// readable() says that no more is sent than there is; a backend that cannot tell says false.
// Linux: epoll. Another backend (uv for macOS and Windows) is put beside it and chosen here.
// Thread: see above.
#pragma once

#include <cstdint>

namespace stmqtt {

enum class Interest : std::uint8_t { none = 0, read = 1, write = 2, read_write = 3 };

/// What an event is about: a pointer, or the poller's own wake-up.
struct PollTag {
  enum class Kind : std::uintptr_t { connection = 0, listener = 1, wake = 2 };

  std::uintptr_t bits = 0;

  static PollTag of(Kind kind, void* object) noexcept {
    return {reinterpret_cast<std::uintptr_t>(object) | static_cast<std::uintptr_t>(kind)};
  }
  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(bits & 3); }
  [[nodiscard]] void* object() const noexcept {
    return reinterpret_cast<void*>(bits & ~std::uintptr_t{3});
  }
};

}  // namespace stmqtt

#if defined(__linux__)
#include "io/poller_epoll.hpp"
#else
#error "no poller for this platform yet: put one beside io/poller_epoll.hpp"
#endif
