// wire/reason_code.hpp against MQTT 5.0, table 2-6, written down a second time by packet.
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "runner.hpp"
#include "wire/reason_code.hpp"

namespace {

using namespace stmqtt::wire;
using Codes = std::set<unsigned>;

Codes allowed(PacketType type, Direction direction) {
  Codes found;
  for (unsigned code = 0; code < 256; ++code) {
    if (reason_allowed(static_cast<ReasonCode>(code), type, direction)) found.insert(code);
  }
  return found;
}

STMQTT_TEST("wire reason codes: each packet has those of its section") {
  const auto client = Direction::from_client;
  const auto server = Direction::from_server;
  CHECK_EQ(allowed(PacketType::connack, server),
           (Codes{0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
                  0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}));
  const Codes publish{0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99};
  CHECK_EQ(allowed(PacketType::puback, client), publish);
  CHECK_EQ(allowed(PacketType::pubrec, server), publish);
  CHECK_EQ(allowed(PacketType::pubrel, client), (Codes{0x00, 0x92}));
  CHECK_EQ(allowed(PacketType::pubcomp, client), (Codes{0x00, 0x92}));
  CHECK_EQ(allowed(PacketType::suback, server),
           (Codes{0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}));
  CHECK_EQ(allowed(PacketType::unsuback, server), (Codes{0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}));
  CHECK_EQ(allowed(PacketType::disconnect, client),
           (Codes{0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}));
  CHECK_EQ(allowed(PacketType::disconnect, server),
           (Codes{0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
                  0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1,
                  0xA2}));
  CHECK_EQ(allowed(PacketType::auth, client), (Codes{0x18, 0x19}));
  CHECK_EQ(allowed(PacketType::auth, server), (Codes{0x00, 0x18}));
  for (const PacketType none : {PacketType::connect, PacketType::publish, PacketType::subscribe,
                                PacketType::unsubscribe, PacketType::pingreq, PacketType::pingresp}) {
    CHECK_EQ(allowed(none, client), Codes{});
  }
}

STMQTT_TEST("wire reason codes: names and texts are there, and apart") {
  std::set<std::string> names, texts;
  std::size_t known = 0;
  for (unsigned code = 0; code < 256; ++code) {
    const auto reason = static_cast<ReasonCode>(code);
    if (std::strcmp(reason_name(reason), "unknown") == 0) continue;
    ++known;
    names.insert(reason_name(reason));
    texts.insert(reason_text(reason));
    CHECK(std::strlen(reason_text(reason)) > 2);
    CHECK_EQ(is_error(reason), code >= 0x80);
  }
  CHECK_EQ(known, 43);
  CHECK_EQ(names.size(), known);
  CHECK_EQ(texts.size(), known);
  CHECK_EQ(std::string(reason_name(ReasonCode::session_taken_over)), "session_taken_over");
  CHECK_EQ(std::string(packet_name(PacketType::pubrel)), "PUBREL");
  CHECK_EQ(std::string(packet_name(packet_type(0x00))), "reserved");
}

STMQTT_TEST("wire reason codes: [MQTT-3.2.2-5 of 3.1.1] every refusal has a 3.x return code") {
  CHECK_EQ(connack_v3(ReasonCode::success), 0);
  for (unsigned code = 0x80; code < 256; ++code) {
    const auto reason = static_cast<ReasonCode>(code);
    CHECK_GE(connack_v3(reason), 1);
    CHECK_LE(connack_v3(reason), 5);
  }
  for (std::uint8_t code = 0; code <= 5; ++code) CHECK_EQ(connack_v3(reason_from_connack_v3(code)), code);
  CHECK(reason_from_connack_v3(6) == ReasonCode::unspecified_error);
}

}  // namespace
