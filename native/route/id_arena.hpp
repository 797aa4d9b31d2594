// Objects with 32-bit ids instead of pointers: half the size to refer to, at fixed addresses, in
// chunks that go back to the system when their last object is freed. Id 0 is nobody.
// A freed object keeps its first 4 bytes for the free list; T is trivial and is zeroed on allocate.
// Thread: guarded by its owner's lock; get() may run on many threads while nobody writes.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

#include "base/fatal.hpp"

namespace stmqtt {

template <class T, std::uint32_t kChunkBits = 12>
class IdArena {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  static_assert(sizeof(T) >= sizeof(std::uint32_t));

 public:
  static constexpr std::uint32_t kChunkSize = 1u << kChunkBits;

  IdArena() noexcept = default;
  ~IdArena() {
    for (Chunk& chunk : chunks_) std::free(chunk.items);
  }
  IdArena(const IdArena&) = delete;
  IdArena& operator=(const IdArena&) = delete;

  [[nodiscard]] T& operator[](std::uint32_t id) noexcept {
    return chunks_[id >> kChunkBits].items[id & (kChunkSize - 1)];
  }
  [[nodiscard]] const T& operator[](std::uint32_t id) const noexcept {
    return chunks_[id >> kChunkBits].items[id & (kChunkSize - 1)];
  }
  /// The id was allocated at some time and its memory is there; it may have been freed since.
  [[nodiscard]] bool readable(std::uint32_t id) const noexcept {
    const std::uint32_t index = id >> kChunkBits;
    return id != 0 && index < chunks_.size() && chunks_[index].items != nullptr &&
           (id & (kChunkSize - 1)) < chunks_[index].fresh;
  }

  [[nodiscard]] std::uint32_t allocate() noexcept {
    if (available_ == kNone) open_chunk();
    const std::uint32_t index = available_;
    Chunk& chunk = chunks_[index];
    std::uint32_t offset = chunk.free_head;
    if (offset != kNone) {
      std::memcpy(&chunk.free_head, &chunk.items[offset], sizeof chunk.free_head);
    } else {
      offset = chunk.fresh++;
    }
    ++chunk.live;
    ++size_;
    if (chunk.live == room_of(index)) unlink(index);
    std::memset(static_cast<void*>(&chunk.items[offset]), 0, sizeof(T));
    return index << kChunkBits | offset;
  }

  void free(std::uint32_t id) noexcept {
    const std::uint32_t index = id >> kChunkBits;
    const std::uint32_t offset = id & (kChunkSize - 1);
    Chunk& chunk = chunks_[index];
    std::memset(static_cast<void*>(&chunk.items[offset]), 0, sizeof(T));
    std::memcpy(static_cast<void*>(&chunk.items[offset]), &chunk.free_head,
                sizeof chunk.free_head);
    chunk.free_head = offset;
    if (chunk.live == room_of(index)) link(index);
    --chunk.live;
    --size_;
    // The last open chunk stays, so that one object coming and going does not map and unmap.
    if (chunk.live == 0 && !(available_ == index && chunk.next == kNone)) close_chunk(index);
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  /// One more than the greatest id that readable() may be true for.
  [[nodiscard]] std::uint32_t end_id() const noexcept {
    return static_cast<std::uint32_t>(chunks_.size()) << kChunkBits;
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return open_chunks_ * (kChunkSize * sizeof(T)) + chunks_.capacity() * sizeof(Chunk);
  }

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  struct Chunk {
    T* items = nullptr;  ///< null = closed
    std::uint32_t live = 0;
    std::uint32_t fresh = 0;         ///< offsets below were handed out before
    std::uint32_t free_head = kNone;
    std::uint32_t next = kNone;      ///< in the list of chunks with room, or of closed ones
    std::uint32_t previous = kNone;  ///< in the list of chunks with room
  };

  /// Offset 0 of chunk 0 is id 0, which is nobody's.
  [[nodiscard]] static std::uint32_t room_of(std::uint32_t index) noexcept {
    return index == 0 ? kChunkSize - 1 : kChunkSize;
  }

  void open_chunk() noexcept {
    std::uint32_t index = closed_;
    if (index != kNone) {
      closed_ = chunks_[index].next;
    } else {
      index = static_cast<std::uint32_t>(chunks_.size());
      if (index >= 1u << (32 - kChunkBits)) fatal("IdArena: more than 2^32 objects");
      chunks_.emplace_back();
    }
    Chunk& chunk = chunks_[index];
    chunk = Chunk{};
    chunk.items = static_cast<T*>(std::malloc(kChunkSize * sizeof(T)));
    if (chunk.items == nullptr) fatal("out of memory");
    chunk.fresh = index == 0 ? 1 : 0;
    ++open_chunks_;
    link(index);
  }
  void close_chunk(std::uint32_t index) noexcept {
    unlink(index);
    std::free(chunks_[index].items);
    chunks_[index] = Chunk{};
    chunks_[index].next = closed_;
    closed_ = index;
    --open_chunks_;
  }
  void link(std::uint32_t index) noexcept {
    chunks_[index].next = available_;
    chunks_[index].previous = kNone;
    if (available_ != kNone) chunks_[available_].previous = index;
    available_ = index;
  }
  void unlink(std::uint32_t index) noexcept {
    const Chunk& chunk = chunks_[index];
    if (chunk.previous != kNone) {
      chunks_[chunk.previous].next = chunk.next;
    } else {
      available_ = chunk.next;
    }
    if (chunk.next != kNone) chunks_[chunk.next].previous = chunk.previous;
  }

  std::vector<Chunk> chunks_;
  std::uint32_t available_ = kNone;  ///< chunks with room
  std::uint32_t closed_ = kNone;     ///< chunks without memory, to be reused first
  std::uint32_t size_ = 0;
  std::size_t open_chunks_ = 0;
};

}  // namespace stmqtt
