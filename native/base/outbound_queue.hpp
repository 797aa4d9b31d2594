// Bytes that wait for a peer: a chain of pool blocks that packets are encoded into, and of payloads
// that are shared by reference. 24 bytes and no memory when empty; the chain gives each block back
// as soon as it is sent. Thread: its owner's; may be moved to another thread whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/bytes.hpp"
#include "base/message.hpp"

namespace stmqtt {

/// One stretch of memory to send; laid out as struct iovec.
struct Slice {
  const std::uint8_t* data;
  std::size_t bytes;
};

class OutboundQueue {
 public:
  /// Most that one reserve() may ask for.
  static constexpr std::size_t kMaxReserveBytes = 65536;

  OutboundQueue() noexcept = default;
  OutboundQueue(OutboundQueue&& other) noexcept { swap(other); }
  OutboundQueue& operator=(OutboundQueue&& other) noexcept {
    if (this != &other) {
      clear();
      swap(other);
    }
    return *this;
  }
  OutboundQueue(const OutboundQueue&) = delete;
  OutboundQueue& operator=(const OutboundQueue&) = delete;
  ~OutboundQueue() { clear(); }

  void swap(OutboundQueue& other) noexcept {
    std::swap(head_, other.head_);
    std::swap(tail_, other.tail_);
    std::swap(bytes_, other.bytes_);
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }

  /// At least `n` contiguous writable bytes, 1 <= n <= kMaxReserveBytes, valid until the next call.
  [[nodiscard]] std::uint8_t* reserve(std::size_t n) noexcept {
    if (tail_ == nullptr || tail_->room < n) [[unlikely]] add_block(n);
    return tail_->end();
  }
  /// The first `n` of the bytes last reserved are now to be sent.
  void commit(std::size_t n) noexcept {
    tail_->bytes += static_cast<std::uint32_t>(n);
    tail_->room -= static_cast<std::uint32_t>(n);
    bytes_ += n;
  }
  /// Copies; may split over blocks.
  void append(Bytes bytes) noexcept;
  /// Sends `view`, which must lie in the message, without copying it. Worth it for large ones only:
  /// it costs a count, a node and a slice.
  void append_shared(MessageRef message, Bytes view) noexcept;
  /// Takes over everything in `other`, behind what is here.
  void append_queue(OutboundQueue&& other) noexcept;
  /// Takes over the blocks at the front of `other` until they hold `n` bytes or all is taken; nothing
  /// is copied, so it may be more. n > 0.
  void append_front(OutboundQueue& other, std::size_t n) noexcept;
  /// How many bytes append_front(*this, n) takes.
  [[nodiscard]] std::size_t front_bytes(std::size_t n) const noexcept;

  /// Fills `out` with the stretches at the front; returns how many.
  [[nodiscard]] std::size_t gather(Slice* out, std::size_t max) const noexcept;
  /// visit(const Slice&) for all that waits.
  template <class F>
  void for_each_slice(F&& visit) const {
    for (const Node* node = head_; node != nullptr; node = node->next) {
      if (node->bytes > 0) visit(Slice{node->data, node->bytes});
    }
  }
  /// The first `n` bytes, n <= bytes(), are sent.
  void consume(std::size_t n) noexcept;
  void clear() noexcept;

 private:
  struct Node {
    Node* next;
    std::uint8_t* data;     // first byte to send; never written through where `shared` is set
    std::uint32_t bytes;    // to send, from `data`
    std::uint32_t room;     // writable behind them; 0 where `shared` is set
    Message* shared;        // a count is held; null = the bytes lie behind this node

    [[nodiscard]] std::uint8_t* end() noexcept { return data + bytes; }
  };

  void add_block(std::size_t n) noexcept;
  void link(Node* node) noexcept;
  static void free_node(Node* node) noexcept;

  Node* head_ = nullptr;
  Node* tail_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace stmqtt
