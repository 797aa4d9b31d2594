#include "session/publication.hpp"

#include "wire/encode_publish.hpp"

namespace stmqtt {

Publication::Publication(Message& message, FormScratch& scratch) noexcept
    : parts_(message.parts()), scratch_(scratch), message_(&message) {}

PublishForm* Publication::stripped_forms() noexcept {
  if (!strips_) {
    strips_ = true;
    for (PublishForm& form : scratch_.stripped) form = PublishForm{};
  }
  return scratch_.stripped;
}

void Publication::offer_frame(wire::Version version, Bytes frame, std::uint16_t skip) noexcept {
  if (payload_is_shared()) return;
  PublishForm& form = forms(skip)[form_index(version, 0, false)];
  form.data = frame.data();
  form.bytes = form.packet_bytes = static_cast<std::uint32_t>(frame.size());
}

void Publication::encode_form(unsigned index, wire::Version version, std::uint8_t qos, bool retain,
                              std::uint16_t skip, std::uint64_t now_ms) noexcept {
  wire::PublishOut out;
  out.version = version;
  out.topic = parts_.topic.subspan(skip);
  out.qos = qos;
  out.retain = retain;
  out.packet_id = qos == 0 ? 0 : 1;  // patched in each copy
  if (version == wire::Version::v5) {
    out.forward_properties = parts_.properties;
    out.has_message_expiry =
        remaining_expiry(parts_.expires_at_ms, now_ms, out.message_expiry_s);
  }
  out.payload = parts_.payload;
  const wire::PublishSizes sizes = wire::measure_publish(out);
  PublishForm& form = forms(skip)[index];
  // total is 0 where the packet would be larger than MQTT can say; no client's maximum allows it.
  form.packet_bytes = sizes.total == 0 ? 0xFFFFFFFF : static_cast<std::uint32_t>(sizes.total);
  form.bytes = static_cast<std::uint32_t>(payload_is_shared() ? sizes.head : sizes.total);
  PoolVector<std::uint8_t>& buffer = scratch_.buffers[skip == 0 ? index : FormScratch::kForms + index];
  buffer.resize(form.bytes == 0 ? 1 : form.bytes);
  form.data = buffer.data();
  if (sizes.total == 0) return;
  form.packet_id_at = static_cast<std::uint32_t>(wire::packet_id_offset(out, sizes));
  if (payload_is_shared()) {
    wire::encode_publish_head(out, sizes, buffer.data());
  } else {
    wire::encode_publish(out, sizes, buffer.data());
  }
}

bool remaining_expiry(std::uint64_t expires_at_ms, std::uint64_t now_ms,
                      std::uint32_t& seconds) noexcept {
  if (expires_at_ms == 0) return false;
  // Rounded up: a second that has begun is not over.
  seconds = expires_at_ms <= now_ms
                ? 0
                : static_cast<std::uint32_t>((expires_at_ms - now_ms + 999) / 1000);
  return true;
}

}  // namespace stmqtt
