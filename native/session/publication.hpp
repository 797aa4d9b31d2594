// A message while it fans out on one thread: its parts as views, the counted block once somebody
// needs it to live on, and each outward form encoded once and then only copied (DESIGN: encode
// once). Thread: the I/O thread that fans it out; lives on the stack.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/message.hpp"
#include "base/vec.hpp"
#include "wire/types.hpp"

namespace stmqtt {

/// Payloads from here on are referenced by outbound queues instead of copied into them.
inline constexpr std::uint32_t kSharedPayloadBytes = 16 * 1024;

/// Bytes of one outward form: a whole PUBLISH, or its head where the payload is referenced.
struct PublishForm {
  const std::uint8_t* data = nullptr;  ///< null = not encoded yet
  std::uint32_t bytes = 0;             ///< of data
  std::uint32_t packet_bytes = 0;      ///< of the whole Control Packet
  std::uint32_t packet_id_at = 0;      ///< offset of the Packet Identifier; QoS 1 and 2 only
};

/// Memory for the forms of the message in hand, reused from message to message.
/// Thread: one per I/O thread.
class FormScratch {
 public:
  static constexpr unsigned kForms = 12;  ///< QoS 0 to 2 x v3 or v5 x RETAIN 0 or 1
  PoolVector<std::uint8_t> buffers[2 * kForms];
  /// Forms without their tenant's prefix, of the publication that asked for one last. All who want
  /// them are of one tenant: nobody else may get the message without its prefix.
  PublishForm stripped[kForms];
  PoolVector<std::uint8_t> topic;  ///< as one receiver sees it
  PoolVector<std::uint8_t> told;   ///< properties for one receiver
};

class Publication {
 public:
  /// From a packet in a read buffer: nothing is copied until block() is called.
  Publication(const MessageParts& parts, FormScratch& scratch) noexcept
      : parts_(parts), scratch_(scratch) {}
  /// From a counted message, which must outlive this.
  Publication(Message& message, FormScratch& scratch) noexcept;
  ~Publication() {
    if (owned_ != nullptr) owned_->release();
  }
  Publication(const Publication&) = delete;
  Publication& operator=(const Publication&) = delete;

  [[nodiscard]] const MessageParts& parts() const noexcept { return parts_; }
  [[nodiscard]] std::uint64_t retain_sequence() const noexcept {
    return message_ == nullptr ? 0 : message_->retain_sequence();
  }
  [[nodiscard]] std::uint32_t logical_bytes() const noexcept {
    return static_cast<std::uint32_t>(parts_.topic.size() + parts_.properties.size() +
                                      parts_.payload.size());
  }
  [[nodiscard]] bool payload_is_shared() const noexcept {
    return parts_.payload.size() >= kSharedPayloadBytes;
  }

  /// The counted block; made on first use. Borrowed; take a count to keep it.
  [[nodiscard]] Message& block() noexcept {
    if (message_ == nullptr) message_ = owned_ = Message::make(parts_);
    return *message_;
  }

  /// Its deliveries say nothing about how fast this broker is.
  void leave_unmeasured() noexcept { parts_.published = 0; }

  /// At most one receiver here will want it: encoding straight into its outbound queue saves the
  /// copy that a form costs.
  void expect_one_receiver() noexcept { one_receiver_ = true; }
  /// Whether to encode this form for its receiver alone instead of keeping it for others.
  [[nodiscard]] bool encode_in_place(wire::Version version, std::uint8_t qos, bool retain,
                                     std::uint16_t skip) noexcept {
    return one_receiver_ && forms(skip)[form_index(version, qos, retain)].data == nullptr;
  }

  /// Offers the frame it came in as its QoS 0, RETAIN 0 form without the first `skip` bytes of its
  /// topic: valid where a receiver of that version would get the very same bytes.
  void offer_frame(wire::Version version, Bytes frame, std::uint16_t skip) noexcept;

  /// The outward form without Topic Alias, Subscription Identifiers and the first `skip` bytes of
  /// the topic; encoded on first use.
  [[nodiscard]] const PublishForm& form(wire::Version version, std::uint8_t qos, bool retain,
                                        std::uint16_t skip, std::uint64_t now_ms) noexcept {
    const unsigned index = form_index(version, qos, retain);
    if (forms(skip)[index].data == nullptr) encode_form(index, version, qos, retain, skip, now_ms);
    return forms(skip)[index];
  }

 private:
  [[nodiscard]] static unsigned form_index(wire::Version version, std::uint8_t qos,
                                           bool retain) noexcept {
    return qos * 4U + (version == wire::Version::v5 ? 2U : 0U) + (retain ? 1U : 0U);
  }
  [[nodiscard]] PublishForm* forms(std::uint16_t skip) noexcept {
    return skip == 0 ? forms_ : stripped_forms();
  }
  [[nodiscard]] PublishForm* stripped_forms() noexcept;
  void encode_form(unsigned index, wire::Version version, std::uint8_t qos, bool retain,
                   std::uint16_t skip, std::uint64_t now_ms) noexcept;

  MessageParts parts_;
  FormScratch& scratch_;
  Message* message_ = nullptr;  ///< borrowed, or owned_
  Message* owned_ = nullptr;
  bool one_receiver_ = false;
  bool strips_ = false;         ///< scratch_.stripped is of this publication
  PublishForm forms_[FormScratch::kForms];
};

/// Seconds left for a v5 receiver, at least 0 [MQTT-3.3.2-6]; false = it never expires.
[[nodiscard]] bool remaining_expiry(std::uint64_t expires_at_ms, std::uint64_t now_ms,
                                    std::uint32_t& seconds) noexcept;

}  // namespace stmqtt
