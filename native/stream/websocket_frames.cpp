// See websocket_frames.hpp. Sections are those of RFC 6455. Thread: its connection's.
#include "stream/websocket_frames.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/pool.hpp"
#include "wire/utf8.hpp"

namespace stmqtt::stream {
namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kMasked = 0x80;

bool is_control(std::uint8_t opcode) noexcept { return (opcode & 8) != 0; }

/// 7.4.1 and the registry of 11.7: codes that may stand in a Close frame.
bool may_be_sent(unsigned status) noexcept {
  return (status >= 1000 && status <= 1003) || (status >= 1007 && status <= 1014) ||
         (status >= 3000 && status <= 4999);
}

}  // namespace

struct FrameDecoder::Control {
  std::uint8_t bytes = 0;
  std::uint8_t payload[kMaxControlBytes] = {};
};

std::size_t write_frame_head(Opcode opcode, std::uint64_t payload_bytes,
                             std::uint8_t* out) noexcept {
  out[0] = static_cast<std::uint8_t>(kFin | static_cast<unsigned>(opcode));
  if (payload_bytes < 126) {
    out[1] = static_cast<std::uint8_t>(payload_bytes);
    return 2;
  }
  if (payload_bytes <= 0xFFFF) {
    out[1] = 126;
    store_u16(out + 2, static_cast<std::uint16_t>(payload_bytes));
    return 4;
  }
  out[1] = 127;
  store_u32(out + 2, static_cast<std::uint32_t>(payload_bytes >> 32));
  store_u32(out + 6, static_cast<std::uint32_t>(payload_bytes));
  return 10;
}

std::size_t write_close_frame(std::uint16_t status,
                              std::uint8_t (&out)[kMaxCloseFrameBytes]) noexcept {
  if (status == static_cast<std::uint16_t>(CloseStatus::none_received)) {
    return write_frame_head(Opcode::close, 0, out);
  }
  const std::size_t head = write_frame_head(Opcode::close, 2, out);
  store_u16(out + head, status);
  return head + 2;
}

void unmask(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes, std::uint32_t mask,
            unsigned phase) noexcept {
  if (phase != 0) {
    mask = std::endian::native == std::endian::little
               ? std::rotr(mask, static_cast<int>(phase * 8))
               : std::rotl(mask, static_cast<int>(phase * 8));
  }
  const std::uint64_t wide = std::uint64_t{mask} << 32 | mask;
  // Each step reads all that it takes before it writes, so `to` may lie just before `from`.
  while (bytes >= 32) {
    std::uint64_t words[4];
    std::memcpy(words, from, 32);
    for (std::uint64_t& word : words) word ^= wide;
    std::memcpy(to, words, 32);
    from += 32;
    to += 32;
    bytes -= 32;
  }
  while (bytes >= 8) {
    std::uint64_t word;
    std::memcpy(&word, from, 8);
    word ^= wide;
    std::memcpy(to, &word, 8);
    from += 8;
    to += 8;
    bytes -= 8;
  }
  std::uint8_t rest[4];
  std::memcpy(rest, &mask, 4);
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<std::uint8_t>(from[i] ^ rest[i & 3]);
}

FrameDecoder::Event FrameDecoder::fail(CloseStatus status, const char* fault) noexcept {
  close_status_ = static_cast<std::uint16_t>(status);
  fault_ = fault;
  ended_ = true;
  return Event::failed;
}

void FrameDecoder::drop_control() noexcept {
  pool_delete(control_);
  control_ = nullptr;
}

Bytes FrameDecoder::control() const noexcept {
  if (control_ == nullptr) return {};
  return {control_->payload, control_->bytes};
}

/// 5.2. Each byte is judged when it is there.
const char* FrameDecoder::check_head(std::size_t there) noexcept {
  if (there >= 1) {
    const std::uint8_t opcode = head_[0] & 0x0F;
    const bool fin = (head_[0] & kFin) != 0;
    close_status_ = static_cast<std::uint16_t>(CloseStatus::protocol_error);
    if ((head_[0] & kReserved) != 0) return "a reserved bit is set, and no extension was agreed on";
    if (is_control(opcode)) {
      if (opcode > static_cast<unsigned>(Opcode::pong)) return "an unknown opcode";
      if (!fin) return "a fragmented control frame";  // 5.5
    } else if (opcode > static_cast<unsigned>(Opcode::binary)) {
      return "an unknown opcode";
    } else if (opcode == 0 && !in_message_) {
      return "a continuation of nothing";  // 5.4
    } else if (opcode != 0 && in_message_) {
      return "a new message within a fragmented one";  // 5.4
    } else if (opcode == static_cast<unsigned>(Opcode::text)) {
      // "If any other type of data frame is received the recipient MUST close the Network
      // Connection" [MQTT-6.0.0-1].
      close_status_ = static_cast<std::uint16_t>(CloseStatus::unsupported_data);
      return "a text frame: MQTT goes in binary frames";
    }
  }
  if (there >= 2) {
    const unsigned length = head_[1] & 0x7FU;
    if ((head_[1] & kMasked) == 0) return "a frame that is not masked";  // 5.1
    if (is_control(head_[0]) && length > kMaxControlBytes) return "a control frame above 125 bytes";
    if (length == 126 && there >= 4 && load_u16(head_ + 2) < 126) {
      return "a length that is not in its shortest form";
    }
    if (length == 127 && there >= 10) {
      const std::uint64_t value =
          std::uint64_t{load_u32(head_ + 2)} << 32 | load_u32(head_ + 6);
      if (value <= 0xFFFF) return "a length that is not in its shortest form";
      if (value >> 63 != 0) return "a length above 2^63";
      if (value > kMaxFrameBytes) {
        close_status_ = static_cast<std::uint16_t>(CloseStatus::too_big);
        return "a frame larger than the largest Control Packet";
      }
    }
  }
  close_status_ = 0;
  return nullptr;
}

std::size_t FrameDecoder::head_bytes_wanted() const noexcept {
  if (head_bytes_ < 2) return 2;
  const unsigned length = head_[1] & 0x7FU;
  return length == 126 ? 8 : length == 127 ? 14 : 6;
}

void FrameDecoder::begin_payload() noexcept {
  const unsigned length = head_[1] & 0x7FU;
  left_ = length == 126   ? load_u16(head_ + 2)
          : length == 127 ? std::uint64_t{load_u32(head_ + 2)} << 32 | load_u32(head_ + 6)
                          : length;
  std::memcpy(&mask_, head_ + head_bytes_ - 4, 4);
  phase_ = 0;
  opcode_ = static_cast<Opcode>(head_[0] & 0x0F);
  if (is_control(head_[0])) {
    control_ = pool_new<Control>();
  } else {
    in_message_ = (head_[0] & kFin) == 0;
  }
  head_bytes_ = 0;
  in_payload_ = true;
}

/// A control frame is whole.
FrameDecoder::Event FrameDecoder::end_control() noexcept {
  if (opcode_ == Opcode::ping) return Event::ping;
  if (opcode_ == Opcode::pong) {  // 5.5.3: may come unasked
    drop_control();
    return Event::none;
  }
  const Bytes payload = control();
  if (payload.size() == 1) return fail(CloseStatus::protocol_error, "a Close of one byte");
  close_status_ = static_cast<std::uint16_t>(CloseStatus::none_received);
  if (!payload.empty()) {
    close_status_ = load_u16(payload.data());
    if (!may_be_sent(close_status_)) {
      return fail(CloseStatus::protocol_error, "a Close with a status that may not be sent");
    }
    if (!wire::valid_utf8(payload.subspan(2))) {  // 5.5.1
      return fail(CloseStatus::invalid_payload, "a Close whose reason is not UTF-8");
    }
  }
  ended_ = true;
  return Event::close;
}

FrameDecoder::Decoded FrameDecoder::decode(const std::uint8_t* in, std::size_t bytes,
                                           std::uint8_t* out) noexcept {
  Decoded result;
  if (!in_payload_) drop_control();  // of a ping that was looked at
  if (ended_) {
    result.consumed = bytes;
    return result;
  }
  // Where frames begin and end means nothing to MQTT [MQTT-6.0.0-2].
  while (result.consumed < bytes) {
    if (!in_payload_) {
      const std::size_t there =
          std::min(head_bytes_wanted() - head_bytes_, bytes - result.consumed);
      std::memcpy(head_ + head_bytes_, in + result.consumed, there);
      head_bytes_ = static_cast<std::uint8_t>(head_bytes_ + there);
      result.consumed += there;
      if (const char* fault = check_head(head_bytes_)) {
        result.event = fail(static_cast<CloseStatus>(close_status_), fault);
        return result;
      }
      if (head_bytes_ < head_bytes_wanted()) continue;
      begin_payload();
    }
    const auto there = static_cast<std::size_t>(
        std::min<std::uint64_t>(left_, bytes - result.consumed));
    const std::uint8_t* from = in + result.consumed;
    if (control_ != nullptr) {
      unmask(control_->payload + control_->bytes, from, there, mask_, phase_);
      control_->bytes = static_cast<std::uint8_t>(control_->bytes + there);
    } else {
      unmask(out + result.produced, from, there, mask_, phase_);
      result.produced += there;
    }
    result.consumed += there;
    left_ -= there;
    phase_ = static_cast<std::uint8_t>((phase_ + there) & 3);
    if (left_ > 0) break;
    in_payload_ = false;
    if (control_ != nullptr) {
      result.event = end_control();
      if (result.event != Event::none) return result;
    }
  }
  return result;
}

}  // namespace stmqtt::stream
