// An Application Message that outlives the read it came with: one counted, immutable block of
// memory (head, Topic Name, properties, payload) shared by every queue, window, thread and the
// retained index. Thread: any; only the count changes after make().
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace stmqtt {

/// What a message is made of; all views are borrowed and copied by Message::make().
struct MessageParts {
  Bytes topic;       ///< internal form, validated, 1 to 65535 bytes
  Bytes properties;  ///< encoded MQTT 5.0 properties that a server forwards unaltered
                     ///< (3.3.2.3: Payload Format Indicator, Content Type, Response Topic,
                     ///< Correlation Data, User Properties in order), without their length
  Bytes payload;
  Bytes origin;      ///< who published, as session/publisher.hpp writes it; empty = is not told
  std::uint64_t expires_at_ms = 0;  ///< on the monotonic clock; 0 = never
  SessionRef publisher;
  std::uint32_t published = 0;  ///< when, for the latency of its deliveries; 0 = not measured
  std::uint8_t qos = 0;
  bool retain = false;  ///< the RETAIN flag it was published with
};

class Message {
 public:
  /// Copies the parts into one block with a count of one. Never null (allocation failure aborts).
  [[nodiscard]] static Message* make(const MessageParts& parts) noexcept;

  void acquire() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void acquire(std::uint32_t count) noexcept {
    refs_.fetch_add(count, std::memory_order_relaxed);
  }
  void release() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

  [[nodiscard]] Bytes topic() const noexcept { return {data(), topic_bytes_}; }
  [[nodiscard]] Bytes properties() const noexcept {
    return {data() + topic_bytes_, properties_bytes_};
  }
  [[nodiscard]] Bytes payload() const noexcept {
    return {data() + topic_bytes_ + properties_bytes_, payload_bytes_};
  }
  /// Who published it; empty = is not told.
  [[nodiscard]] Bytes origin() const noexcept {
    if (!has_origin_) return {};
    const std::uint8_t* at = data() + logical_bytes();
    return {at + 2, load_u16(at)};
  }
  /// Bytes that this message counts for in limits: topic, properties and payload.
  [[nodiscard]] std::uint32_t logical_bytes() const noexcept {
    return topic_bytes_ + properties_bytes_ + payload_bytes_;
  }
  [[nodiscard]] std::uint64_t expires_at_ms() const noexcept { return expires_at_ms_; }
  [[nodiscard]] const SessionRef& publisher() const noexcept { return publisher_; }
  [[nodiscard]] std::uint8_t qos() const noexcept { return qos_; }
  [[nodiscard]] bool retain() const noexcept { return retain_; }
  [[nodiscard]] std::uint32_t published() const noexcept { return published_; }

  /// What it was made of; the views are borrowed and valid as long as this message.
  [[nodiscard]] MessageParts parts() const noexcept {
    MessageParts parts;
    parts.topic = topic();
    parts.properties = properties();
    parts.payload = payload();
    parts.origin = origin();
    parts.expires_at_ms = expires_at_ms_;
    parts.publisher = publisher_;
    parts.published = published_;
    parts.qos = qos_;
    parts.retain = retain_;
    return parts;
  }

  /// Position in the order of retained publishes; 0 = was not retained. Set once by the retained
  /// index, under its lock, before the message is shared with anybody.
  [[nodiscard]] std::uint64_t retain_sequence() const noexcept { return retain_sequence_; }
  void set_retain_sequence(std::uint64_t sequence) noexcept { retain_sequence_ = sequence; }

  /// Physical bytes of all living messages that this thread made minus those it destroyed; the sum
  /// over all threads is what messages take. Thread: any, reads its own.
  [[nodiscard]] static std::int64_t thread_bytes() noexcept;

  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

 private:
  Message() noexcept = default;
  ~Message() = default;
  void destroy() noexcept;
  [[nodiscard]] const std::uint8_t* data() const noexcept {
    return reinterpret_cast<const std::uint8_t*>(this + 1);
  }

  std::uint64_t expires_at_ms_ = 0;
  std::uint64_t retain_sequence_ = 0;
  std::atomic<std::uint32_t> refs_{1};
  std::uint32_t payload_bytes_ = 0;
  std::uint32_t properties_bytes_ = 0;
  SessionRef publisher_;
  std::uint16_t topic_bytes_ = 0;
  std::uint8_t qos_ : 2 = 0;
  bool retain_ : 1 = false;
  bool has_origin_ : 1 = false;  ///< its length and bytes stand behind the payload
  std::uint8_t pool_owner_ = 0;  ///< where its memory goes back to
  std::uint32_t published_ = 0;
};
static_assert(sizeof(Message) == 48);

/// Owns one count of a Message, or none.
class MessageRef {
 public:
  MessageRef() noexcept = default;
  /// Takes over a count that the caller already has.
  [[nodiscard]] static MessageRef adopt(Message* message) noexcept {
    MessageRef ref;
    ref.message_ = message;
    return ref;
  }
  /// Takes a count of its own.
  [[nodiscard]] static MessageRef share(Message* message) noexcept {
    if (message != nullptr) message->acquire();
    return adopt(message);
  }
  MessageRef(const MessageRef& other) noexcept : message_(other.message_) {
    if (message_ != nullptr) message_->acquire();
  }
  MessageRef(MessageRef&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
  MessageRef& operator=(MessageRef other) noexcept {
    std::swap(message_, other.message_);
    return *this;
  }
  ~MessageRef() {
    if (message_ != nullptr) message_->release();
  }

  [[nodiscard]] Message* get() const noexcept { return message_; }
  [[nodiscard]] Message* operator->() const noexcept { return message_; }
  [[nodiscard]] Message& operator*() const noexcept { return *message_; }
  [[nodiscard]] explicit operator bool() const noexcept { return message_ != nullptr; }
  /// Gives the count away: the caller must release() it.
  [[nodiscard]] Message* detach() noexcept { return std::exchange(message_, nullptr); }

 private:
  Message* message_ = nullptr;
};

}  // namespace stmqtt
