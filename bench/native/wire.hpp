// What the load generator needs of MQTT 3.1, 3.1.1 and 5.0: encoders that append to a buffer, a scan of
// the fixed header, and views into a PUBLISH. Written apart from native/wire on purpose: a benchmark
// that shared the broker's codec would share its mistakes and never see them.
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace stmqtt::bench {

using Bytes = std::vector<std::uint8_t>;

enum PacketType : std::uint8_t {
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kPubrec = 5,
  kPubrel = 6,
  kPubcomp = 7,
  kSubscribe = 8,
  kSuback = 9,
  kUnsubscribe = 10,
  kUnsuback = 11,
  kDisconnect = 14,
};

// Protocol levels as they stand in CONNECT.
enum class Version : std::uint8_t { v31 = 3, v311 = 4, v5 = 5 };

inline void put_u16(Bytes& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

inline void put_string(Bytes& out, std::string_view text) {
  put_u16(out, static_cast<std::uint32_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
}

inline void put_varint(Bytes& out, std::uint32_t value) {
  do {
    std::uint8_t byte = value & 0x7F;
    value >>= 7;
    if (value != 0) byte |= 0x80;
    out.push_back(byte);
  } while (value != 0);
}

inline std::uint16_t get_u16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

// Puts the fixed header and `body` behind what `out` already holds.
inline void put_packet(Bytes& out, std::uint8_t first_byte, const Bytes& body) {
  out.push_back(first_byte);
  put_varint(out, static_cast<std::uint32_t>(body.size()));
  out.insert(out.end(), body.begin(), body.end());
}

// session_expiry_s: 0 asks for a clean session; otherwise the session outlives the connection.
struct Credentials {
  std::string username;  // empty = none, and no password
  std::string password;
};

inline void put_connect(Bytes& out, Version version, std::string_view client_id,
                        std::uint32_t session_expiry_s, const Credentials& credentials) {
  Bytes body;
  put_string(body, version == Version::v31 ? "MQIsdp" : "MQTT");
  body.push_back(static_cast<std::uint8_t>(version));
  const std::uint8_t identified = credentials.username.empty() ? 0x00 : 0xC0;
  body.push_back((session_expiry_s == 0 ? 0x02 : 0x00) | identified);
  put_u16(body, 0);  // Keep Alive off: a saturated generator must not be cut off for being late
  if (version == Version::v5) {
    if (session_expiry_s == 0) {
      body.push_back(3);
    } else {
      body.push_back(8);
      body.push_back(0x11);  // Session Expiry Interval
      put_u16(body, session_expiry_s >> 16);
      put_u16(body, session_expiry_s & 0xFFFF);
    }
    body.push_back(0x21);  // Receive Maximum: acknowledgements are sent once per read
    put_u16(body, 65535);
  }
  put_string(body, client_id);
  if (identified != 0) {
    put_string(body, credentials.username);
    put_string(body, credentials.password);
  }
  put_packet(out, kConnect << 4, body);
}

inline void put_subscribe(Bytes& out, Version version, std::uint16_t packet_id,
                          const std::string* filters, std::size_t count, std::uint8_t qos) {
  Bytes body;
  put_u16(body, packet_id);
  if (version == Version::v5) body.push_back(0);
  for (std::size_t i = 0; i < count; ++i) {
    put_string(body, filters[i]);
    body.push_back(qos);
  }
  put_packet(out, kSubscribe << 4 | 2, body);
}

inline void put_unsubscribe(Bytes& out, Version version, std::uint16_t packet_id,
                            const std::string* filters, std::size_t count) {
  Bytes body;
  put_u16(body, packet_id);
  if (version == Version::v5) body.push_back(0);
  for (std::size_t i = 0; i < count; ++i) put_string(body, filters[i]);
  put_packet(out, kUnsubscribe << 4 | 2, body);
}

inline void put_disconnect(Bytes& out) {
  out.push_back(kDisconnect << 4);
  out.push_back(0);
}

// A PUBLISH with zeros where Packet Identifier and payload go, and where to write them.
struct PublishTemplate {
  Bytes frame;
  std::uint32_t packet_id_at = 0;  // 0 with QoS 0
  std::uint32_t payload_at = 0;
};

inline PublishTemplate publish_template(Version version, std::string_view topic, std::uint8_t qos,
                                        std::uint32_t payload_bytes, std::uint8_t retain) {
  Bytes head;
  put_string(head, topic);
  const std::size_t id_in_head = head.size();
  if (qos > 0) put_u16(head, 0);
  if (version == Version::v5) head.push_back(0);
  PublishTemplate result;
  result.frame.push_back(static_cast<std::uint8_t>(kPublish << 4 | qos << 1 | retain));
  put_varint(result.frame, static_cast<std::uint32_t>(head.size()) + payload_bytes);
  const std::size_t fixed = result.frame.size();
  result.frame.insert(result.frame.end(), head.begin(), head.end());
  if (qos > 0) result.packet_id_at = static_cast<std::uint32_t>(fixed + id_in_head);
  result.payload_at = static_cast<std::uint32_t>(result.frame.size());
  result.frame.resize(result.frame.size() + payload_bytes, 0x2E);
  return result;
}

// One packet inside a read buffer; borrowed, valid until the handler returns.
struct Frame {
  const std::uint8_t* body = nullptr;
  std::uint32_t body_bytes = 0;
  std::uint32_t total_bytes = 0;
  std::uint8_t first_byte = 0;
  [[nodiscard]] std::uint8_t type() const { return first_byte >> 4; }
};

enum class Scan { whole, partial, malformed };

[[nodiscard]] inline Scan scan_frame(const std::uint8_t* at, std::size_t bytes, Frame& frame) {
  if (bytes < 2) return Scan::partial;
  std::uint32_t length = at[1] & 0x7F;
  std::uint32_t header = 2;
  for (std::uint32_t shift = 7; at[header - 1] & 0x80; shift += 7, ++header) {
    if (shift > 21) return Scan::malformed;
    if (bytes <= header) return Scan::partial;
    length |= static_cast<std::uint32_t>(at[header] & 0x7F) << shift;
  }
  if (bytes - header < length) return Scan::partial;
  frame = {at + header, length, header + length, at[0]};
  return Scan::whole;
}

struct Published {
  const std::uint8_t* payload = nullptr;
  std::uint32_t payload_bytes = 0;
  std::uint16_t packet_id = 0;
  std::uint8_t qos = 0;
};

[[nodiscard]] inline bool read_publish(const Frame& frame, Version version, Published& out) {
  if (frame.body_bytes < 2) return false;
  std::uint32_t at = 2u + get_u16(frame.body);
  out.qos = frame.first_byte >> 1 & 3;
  if (out.qos > 0) {
    if (at + 2 > frame.body_bytes) return false;
    out.packet_id = get_u16(frame.body + at);
    at += 2;
  }
  if (version == Version::v5) {
    std::uint32_t properties = 0;
    std::uint32_t shift = 0;
    std::uint8_t byte = 0;
    do {
      if (at >= frame.body_bytes || shift > 21) return false;
      byte = frame.body[at++];
      properties |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
      shift += 7;
    } while (byte & 0x80);
    at += properties;
  }
  if (at > frame.body_bytes) return false;
  out.payload = frame.body + at;
  out.payload_bytes = frame.body_bytes - at;
  return true;
}

// CONNACK's Receive Maximum (65535 where absent); 0 if the connection was refused or the packet is bad.
[[nodiscard]] inline std::uint16_t connack_window(const Frame& frame, Version version) {
  if (frame.body_bytes < 2 || frame.body[1] != 0) return 0;
  std::uint16_t window = 65535;
  if (version != Version::v5 || frame.body_bytes < 3) return window;
  const std::uint8_t* at = frame.body + 2;
  const std::uint8_t* end = frame.body + frame.body_bytes;
  while ((*at++ & 0x80) != 0) {
  }
  while (at < end) {
    switch (*at) {
      case 0x21: window = get_u16(at + 1); at += 3; break;
      case 0x11: case 0x27: at += 5; break;
      case 0x13: case 0x22: at += 3; break;
      case 0x24: case 0x25: case 0x28: case 0x29: case 0x2A: at += 2; break;
      case 0x26: at += 3 + get_u16(at + 1); at += 2 + get_u16(at); break;
      default: at += 3 + get_u16(at + 1); break;  // the rest are strings
    }
  }
  return window;
}

}  // namespace stmqtt::bench
