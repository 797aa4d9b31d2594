// Memory for what comes and goes with traffic: free lists per thread and size class in front of
// malloc. Classes: steps of 16 bytes to 256, then powers of two with a middle step to 64 KiB;
// larger blocks go straight to malloc. What a thread keeps is bounded by class and in all.
// A block may be freed by another thread than the one that allocated it: it then serves there. Where
// blocks go one way only, pool_return() sends them back to the thread that allocates them.
// Thread: any; each works on lists of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace stmqtt {

/// Largest block that free lists keep.
inline constexpr std::size_t kPoolMaxBytes = 65536;
/// Bounds of what one thread keeps for reuse: in one size class, and in all classes together.
inline constexpr std::size_t kPoolClassKeepBytes = std::size_t{2} << 20;
inline constexpr std::size_t kPoolThreadKeepBytes = std::size_t{8} << 20;

/// At least `bytes` bytes, aligned as malloc aligns. Never null: aborts with a message.
[[nodiscard]] void* pool_allocate(std::size_t bytes) noexcept;
/// `bytes` must be what the block was allocated with (or anything of the same class). A null
/// `block` is allowed.
void pool_free(void* block, std::size_t bytes) noexcept;
/// Names the calling thread for pool_return(); kNoPoolOwner = there are too many threads.
using PoolOwner = std::uint8_t;
inline constexpr PoolOwner kNoPoolOwner = 0xFF;
[[nodiscard]] PoolOwner pool_owner() noexcept;
/// Frees a block for the use of `owner`, which finds it when it has no other of its size. For what
/// is made on one thread and ends on another: malloc would be called for each, under its lock, on
/// both sides. Bounded like the owner's own lists; an owner that has ended is nobody.
void pool_return(void* block, std::size_t bytes, PoolOwner owner) noexcept;
/// A block of `new_bytes` whose first `used_bytes` are those of `block`, which is gone afterwards.
[[nodiscard]] void* pool_reallocate(void* block, std::size_t old_bytes, std::size_t new_bytes,
                                    std::size_t used_bytes) noexcept;
/// What pool_allocate(bytes) really hands out; beyond kPoolMaxBytes `bytes` itself.
[[nodiscard]] std::size_t pool_round_up(std::size_t bytes) noexcept;

/// Bytes that this thread keeps for reuse.
[[nodiscard]] std::size_t pool_kept_bytes() noexcept;
/// Gives back everything that this thread keeps; a thread's exit does so by itself.
void pool_trim() noexcept;

template <class T, class... Args>
[[nodiscard]] T* pool_new(Args&&... args) noexcept {
  static_assert(alignof(T) <= alignof(std::max_align_t));
  return ::new (pool_allocate(sizeof(T))) T(std::forward<Args>(args)...);
}
template <class T>
void pool_delete(T* object) noexcept {
  if (object == nullptr) return;
  object->~T();
  pool_free(object, sizeof(T));
}

}  // namespace stmqtt
