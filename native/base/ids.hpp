// Names of things that live on one I/O thread, safe to hold anywhere: a slot says where, a
// generation says which one, so that a name that outlives its object is found to be stale.
// Thread: any (values).
#pragma once

#include <cstdint>

namespace stmqtt {

/// Index of an I/O thread, 0 to kMaxIoThreads - 1.
using ThreadIndex = std::uint8_t;
inline constexpr unsigned kMaxIoThreads = 64;

/// Names a session on its home thread. A default-constructed one names nothing.
struct SessionRef {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  ///< 0 = names nothing
  ThreadIndex thread = 0;

  [[nodiscard]] constexpr bool valid() const noexcept { return generation != 0; }
  friend constexpr bool operator==(const SessionRef&, const SessionRef&) noexcept = default;
};

}  // namespace stmqtt
