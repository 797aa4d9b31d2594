// See outbound_queue.hpp. Thread: its owner's.
#include "base/outbound_queue.hpp"

#include <algorithm>
#include <cstring>

#include "base/pool.hpp"

namespace stmqtt {
namespace {

// Block sizes, node included. A queue starts small, because most peers get one small packet a turn,
// and grows fast, because each block is a slice of the send.
constexpr std::size_t kFirstBlock = 512;
constexpr std::size_t kLastBlock = 65536;
// Behind a shared payload usually comes the short head of the next one.
constexpr std::size_t kBlockBehindShared = 128;

}  // namespace

void OutboundQueue::link(Node* node) noexcept {
  if (tail_ == nullptr) {
    head_ = node;
  } else {
    tail_->next = node;
  }
  tail_ = node;
}

void OutboundQueue::free_node(Node* node) noexcept {
  if (node->shared != nullptr) {
    node->shared->release();
    pool_free(node, sizeof(Node));
    return;
  }
  const auto* start = reinterpret_cast<const std::uint8_t*>(node);
  pool_free(node, static_cast<std::size_t>(node->end() + node->room - start));
}

void OutboundQueue::add_block(std::size_t n) noexcept {
  std::size_t block = kFirstBlock;
  if (tail_ != nullptr) {
    const auto* start = reinterpret_cast<const std::uint8_t*>(tail_);
    block = tail_->shared != nullptr
                ? kBlockBehindShared
                : static_cast<std::size_t>(tail_->end() + tail_->room - start) * 4;
  }
  while (block < n + sizeof(Node) && block < kLastBlock) block *= 4;
  block = std::max(std::min(block, kLastBlock), n + sizeof(Node));
  auto* node = static_cast<Node*>(pool_allocate(block));
  node->next = nullptr;
  node->data = reinterpret_cast<std::uint8_t*>(node + 1);
  node->bytes = 0;
  node->room = static_cast<std::uint32_t>(block - sizeof(Node));
  node->shared = nullptr;
  link(node);
}

void OutboundQueue::append(Bytes bytes) noexcept {
  while (!bytes.empty()) {
    if (tail_ == nullptr || tail_->room == 0) {
      add_block(std::min(bytes.size(), kLastBlock - sizeof(Node)));
    }
    const std::size_t n = std::min<std::size_t>(bytes.size(), tail_->room);
    std::memcpy(tail_->end(), bytes.data(), n);
    commit(n);
    bytes = bytes.subspan(n);
  }
}

void OutboundQueue::append_shared(MessageRef message, Bytes view) noexcept {
  if (view.empty()) return;
  auto* node = static_cast<Node*>(pool_allocate(sizeof(Node)));
  node->next = nullptr;
  node->data = const_cast<std::uint8_t*>(view.data());
  node->bytes = static_cast<std::uint32_t>(view.size());
  node->room = 0;
  node->shared = message.detach();
  link(node);
  bytes_ += view.size();
}

void OutboundQueue::append_queue(OutboundQueue&& other) noexcept {
  if (other.head_ == nullptr) return;
  if (head_ == nullptr) {
    swap(other);
    return;
  }
  tail_->next = other.head_;
  tail_ = other.tail_;
  bytes_ += other.bytes_;
  other.head_ = nullptr;
  other.tail_ = nullptr;
  other.bytes_ = 0;
}

std::size_t OutboundQueue::front_bytes(std::size_t n) const noexcept {
  std::size_t bytes = 0;
  for (const Node* node = head_; node != nullptr && bytes < n; node = node->next) {
    bytes += node->bytes;
  }
  return bytes;
}

void OutboundQueue::append_front(OutboundQueue& other, std::size_t n) noexcept {
  if (n >= other.bytes_) return append_queue(std::move(other));
  Node* const first = other.head_;
  Node* last = first;
  std::size_t bytes = first->bytes;
  while (bytes < n) {
    last = last->next;
    bytes += last->bytes;
  }
  other.head_ = last->next;
  other.bytes_ -= bytes;
  if (other.head_ == nullptr) other.tail_ = nullptr;
  last->next = nullptr;
  if (tail_ == nullptr) {
    head_ = first;
  } else {
    tail_->next = first;
  }
  tail_ = last;
  bytes_ += bytes;
}

std::size_t OutboundQueue::gather(Slice* out, std::size_t max) const noexcept {
  std::size_t count = 0;
  for (const Node* node = head_; node != nullptr && count < max; node = node->next) {
    if (node->bytes == 0) continue;  // reserved, never committed
    out[count++] = {node->data, node->bytes};
  }
  return count;
}

void OutboundQueue::consume(std::size_t n) noexcept {
  bytes_ -= n;
  if (bytes_ == 0) {
    clear();
    return;
  }
  while (n >= head_->bytes) {
    Node* node = head_;
    n -= node->bytes;
    head_ = node->next;  // not the last: bytes are left behind it
    free_node(node);
  }
  head_->data += n;
  head_->bytes -= static_cast<std::uint32_t>(n);
}

void OutboundQueue::clear() noexcept {
  Node* node = head_;
  head_ = nullptr;
  tail_ = nullptr;
  bytes_ = 0;
  while (node != nullptr) {
    Node* next = node->next;
    free_node(node);
    node = next;
  }
}

}  // namespace stmqtt
