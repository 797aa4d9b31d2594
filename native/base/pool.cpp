// See pool.hpp. Blocks come from malloc one by one, so that any of them may be given back to it at
// any time. Under AddressSanitizer every block goes to malloc and free at once, so that a use after
// the free is seen.
// Thread: any.
#include "base/pool.hpp"

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/fatal.hpp"
#include "base/thread_local.hpp"

namespace stmqtt {
namespace {

constexpr std::size_t kSmallStep = 16;
constexpr std::size_t kSmallMax = 256;
constexpr unsigned kSmallClasses = kSmallMax / kSmallStep;
constexpr unsigned kClasses = 32;

constexpr unsigned class_of(std::size_t bytes) noexcept {
  if (bytes <= kSmallMax) {
    return bytes == 0 ? 0 : static_cast<unsigned>((bytes - 1) / kSmallStep);
  }
  // 257..512 has bit width 9: its lower half ends at 384.
  const auto width = static_cast<unsigned>(std::bit_width(bytes - 1));
  const std::size_t middle = std::size_t{3} << (width - 2);
  return kSmallClasses + (width - 9) * 2 + (bytes > middle ? 1 : 0);
}

constexpr std::size_t class_bytes(unsigned index) noexcept {
  if (index < kSmallClasses) return (index + 1) * kSmallStep;
  const unsigned width = 9 + (index - kSmallClasses) / 2;
  return (index & 1) != 0 ? std::size_t{1} << width : std::size_t{3} << (width - 2);
}

static_assert(class_of(1) == 0 && class_of(16) == 0 && class_of(17) == 1 && class_of(256) == 15);
static_assert(class_of(257) == 16 && class_of(384) == 16 && class_of(385) == 17);
static_assert(class_of(kPoolMaxBytes) == kClasses - 1 && class_bytes(kClasses - 1) == kPoolMaxBytes);
static_assert(class_bytes(16) == 384 && class_bytes(17) == 512 && class_bytes(18) == 768);

#if !defined(STMQTT_POOL_PASS_THROUGH)
#if defined(__SANITIZE_ADDRESS__)
#define STMQTT_POOL_PASS_THROUGH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STMQTT_POOL_PASS_THROUGH 1
#endif
#endif
#endif

void* checked_malloc(std::size_t bytes) noexcept {
  void* block = std::malloc(bytes == 0 ? 1 : bytes);
  if (block == nullptr) fatal("out of memory");
  return block;
}

#if !defined(STMQTT_POOL_PASS_THROUGH)

struct FreeBlock {
  FreeBlock* next;
};

/// What other threads freed of this owner's blocks: pushed by anybody, taken whole by the owner.
struct ReturnedBlock {
  ReturnedBlock* next;
  std::uint32_t class_index;
};
static_assert(sizeof(ReturnedBlock) <= kSmallStep);

struct alignas(64) ReturnStack {
  std::atomic<ReturnedBlock*> head{nullptr};
  std::atomic<std::uint32_t> bytes{0};
  std::atomic<bool> owned{false};
};

constexpr unsigned kOwners = 64;
constinit ReturnStack return_stacks[kOwners];

struct ThreadPool {
  FreeBlock* free[kClasses] = {};
  std::uint32_t kept_in_class[kClasses] = {};  // bytes
  std::size_t kept = 0;                        // bytes in all classes
  PoolOwner owner = kNoPoolOwner;

  /// False: the bounds are reached.
  [[nodiscard]] bool keep(void* block, unsigned index) noexcept {
    const std::size_t block_bytes = class_bytes(index);
    if (kept_in_class[index] + block_bytes > kPoolClassKeepBytes ||
        kept + block_bytes > kPoolThreadKeepBytes) [[unlikely]] {
      return false;
    }
    auto* freed = static_cast<FreeBlock*>(block);
    freed->next = free[index];
    free[index] = freed;
    kept_in_class[index] += static_cast<std::uint32_t>(block_bytes);
    kept += block_bytes;
    return true;
  }

  void claim_owner() noexcept {
    for (unsigned at = 0; at < kOwners; at++) {
      if (!return_stacks[at].owned.exchange(true, std::memory_order_acq_rel)) {
        owner = static_cast<PoolOwner>(at);
        return;
      }
    }
  }

  /// Takes what was returned; false if that was nothing.
  [[nodiscard]] bool collect() noexcept {
    if (owner == kNoPoolOwner) return false;
    ReturnStack& stack = return_stacks[owner];
    if (stack.head.load(std::memory_order_relaxed) == nullptr) return false;
    stack.bytes.store(0, std::memory_order_relaxed);
    ReturnedBlock* block = stack.head.exchange(nullptr, std::memory_order_acquire);
    while (block != nullptr) {
      ReturnedBlock* const next = block->next;
      if (!keep(block, block->class_index)) std::free(block);
      block = next;
    }
    return true;
  }

  void give_back_all() noexcept {
    static_cast<void>(collect());
    for (unsigned index = 0; index < kClasses; index++) {
      while (free[index] != nullptr) {
        FreeBlock* block = free[index];
        free[index] = block->next;
        std::free(block);
      }
      kept_in_class[index] = 0;
    }
    kept = 0;
  }
};

// Null before the thread's first free, and again once its destructors ran: what is freed after that
// goes straight to free().
STMQTT_THREAD_LOCAL ThreadPool* current_pool = nullptr;
STMQTT_THREAD_LOCAL char pool_is_gone = 0;

// Only a pointer: thread-local memory is scarce (see thread_local.hpp).
struct PoolGuard {
  ThreadPool* pool;
  PoolGuard() noexcept : pool(::new (checked_malloc(sizeof(ThreadPool))) ThreadPool) {
    pool->claim_owner();
    current_pool = pool;
  }
  ~PoolGuard() {
    current_pool = nullptr;
    pool_is_gone = 1;
    pool->give_back_all();
    // What is returned from here on waits for the next owner, within the bound.
    if (pool->owner != kNoPoolOwner) {
      return_stacks[pool->owner].owned.store(false, std::memory_order_release);
    }
    std::free(pool);
  }
};

// Apart from the hot path: a thread_local with a destructor costs a guard at every access.
[[gnu::noinline]] ThreadPool* make_pool() noexcept {
  if (pool_is_gone != 0) return nullptr;
  thread_local PoolGuard guard;
  return guard.pool;
}

#endif

}  // namespace

std::size_t pool_round_up(std::size_t bytes) noexcept {
  return bytes > kPoolMaxBytes ? bytes : class_bytes(class_of(bytes));
}

#if defined(STMQTT_POOL_PASS_THROUGH)

void* pool_allocate(std::size_t bytes) noexcept { return checked_malloc(bytes); }
void pool_free(void* block, std::size_t) noexcept { std::free(block); }
std::size_t pool_kept_bytes() noexcept { return 0; }
void pool_trim() noexcept {}
PoolOwner pool_owner() noexcept { return kNoPoolOwner; }
void pool_return(void* block, std::size_t, PoolOwner) noexcept { std::free(block); }

#else

void* pool_allocate(std::size_t bytes) noexcept {
  if (bytes > kPoolMaxBytes) [[unlikely]] return checked_malloc(bytes);
  const unsigned index = class_of(bytes);
  const std::size_t block_bytes = class_bytes(index);
  if (ThreadPool* pool = current_pool; pool != nullptr) [[likely]] {
    if (FreeBlock* block = pool->free[index]; block != nullptr) [[likely]] {
      pool->free[index] = block->next;
      pool->kept_in_class[index] -= static_cast<std::uint32_t>(block_bytes);
      pool->kept -= block_bytes;
      return block;
    }
    if (pool->collect() && pool->free[index] != nullptr) return pool_allocate(bytes);
  }
  return checked_malloc(block_bytes);
}

PoolOwner pool_owner() noexcept {
  ThreadPool* pool = current_pool;
  if (pool == nullptr) [[unlikely]] pool = make_pool();
  return pool == nullptr ? kNoPoolOwner : pool->owner;
}

void pool_return(void* block, std::size_t bytes, PoolOwner owner) noexcept {
  if (owner == kNoPoolOwner || bytes > kPoolMaxBytes ||
      (current_pool != nullptr && current_pool->owner == owner)) {
    return pool_free(block, bytes);
  }
  ReturnStack& stack = return_stacks[owner];
  const unsigned index = class_of(bytes);
  const auto block_bytes = static_cast<std::uint32_t>(class_bytes(index));
  if (!stack.owned.load(std::memory_order_relaxed) ||
      stack.bytes.load(std::memory_order_relaxed) + block_bytes > kPoolClassKeepBytes) {
    return pool_free(block, bytes);
  }
  stack.bytes.fetch_add(block_bytes, std::memory_order_relaxed);
  auto* returned = static_cast<ReturnedBlock*>(block);
  returned->class_index = index;
  ReturnedBlock* head = stack.head.load(std::memory_order_relaxed);
  do {
    returned->next = head;
  } while (!stack.head.compare_exchange_weak(head, returned, std::memory_order_release,
                                             std::memory_order_relaxed));
}

void pool_free(void* block, std::size_t bytes) noexcept {
  if (block == nullptr) return;
  if (bytes > kPoolMaxBytes) [[unlikely]] {
    std::free(block);
    return;
  }
  const unsigned index = class_of(bytes);
  ThreadPool* pool = current_pool;
  if (pool == nullptr) [[unlikely]] pool = make_pool();
  if (pool == nullptr || !pool->keep(block, index)) [[unlikely]] std::free(block);
}

std::size_t pool_kept_bytes() noexcept { return current_pool == nullptr ? 0 : current_pool->kept; }

void pool_trim() noexcept {
  if (current_pool != nullptr) current_pool->give_back_all();
}

#endif

void* pool_reallocate(void* block, std::size_t old_bytes, std::size_t new_bytes,
                      std::size_t used_bytes) noexcept {
  if (block == nullptr) return pool_allocate(new_bytes);
  if (old_bytes > kPoolMaxBytes && new_bytes > kPoolMaxBytes) {
    // Both are plain malloc blocks: realloc moves large ones by their page tables.
    void* moved = std::realloc(block, new_bytes);
    if (moved == nullptr) fatal("out of memory");
    return moved;
  }
  if (pool_round_up(old_bytes) == pool_round_up(new_bytes)) {
#if !defined(STMQTT_POOL_PASS_THROUGH)
    return block;
#endif
  }
  void* fresh = pool_allocate(new_bytes);
  if (used_bytes > 0) std::memcpy(fresh, block, used_bytes);
  pool_free(block, old_bytes);
  return fresh;
}

}  // namespace stmqtt
