// The raw packets of test/vectors/, which the TypeScript tests read too: each must be accepted or
// refused as they say; every accepted one must survive encode and decode unchanged; and neither a
// cut nor a changed byte of any of them may make decode read beyond its end (run with a sanitizer).
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "runner.hpp"
#include "wire_any.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;
using wire_test::decode_packet;
using wire_test::Outcome;
using wire_test::Packet;

struct Vector {
  Version version;
  Direction direction;
  bool valid;
  unsigned reason;
  Packet packet;
  std::string name;
};

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    const std::size_t bar = line.find('|', at);
    parts.push_back(line.substr(at, bar - at));
    at = bar + 1;
  }
  parts.push_back(line.substr(at));
  return parts;
}

Packet from_hex(const std::string& hex) {
  Packet bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

/// Beside this file, or below the folder the tests are run in: builds differ in what they name.
std::ifstream open_vectors() {
  const std::string here = __FILE__;
  const std::size_t slash = here.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : here.substr(0, slash);
  for (const std::string& path :
       {folder + "/../vectors/vectors.txt", std::string("test/vectors/vectors.txt"),
        std::string("../test/vectors/vectors.txt"), std::string("../../test/vectors/vectors.txt")}) {
    std::ifstream file(path);
    if (file) return file;
  }
  return {};
}

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = [] {
    std::vector<Vector> read;
    std::ifstream file = open_vectors();
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line[0] == '#') continue;
      const auto parts = split(line);
      const Version version = parts[0] == "5.0"     ? Version::v5
                              : parts[0] == "3.1.1" ? Version::v311
                                                    : Version::v31;
      read.push_back({version, parts[1] == "c2s" ? Direction::from_client : Direction::from_server,
                      parts[3] == "1", static_cast<unsigned>(std::stoul(parts[4], nullptr, 16)),
                      from_hex(parts[5]), parts[6]});
    }
    return read;
  }();
  return all;
}

/// A copy that ends where its memory does.
Outcome decode_exact(Bytes packet, const Vector& vector) {
  const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[packet.size()]);
  store_bytes(copy.get(), packet);
  return decode_packet({copy.get(), packet.size()}, vector.version, vector.direction);
}

STMQTT_TEST("wire vectors: are there") { CHECK_GT(vectors().size(), 1000); }

STMQTT_TEST("wire vectors: each is accepted or refused with its code") {
  for (const Vector& vector : vectors()) {
    const test::Context context("vector", vector.name);
    const Outcome outcome = decode_exact(vector.packet, vector);
    CHECK_EQ(outcome.code == ReasonCode::success, vector.valid);
    if (vector.valid || outcome.code == ReasonCode::success) continue;
    CHECK(outcome.fault != nullptr || packet_type(vector.packet[0]) == PacketType::pingreq ||
          packet_type(vector.packet[0]) == PacketType::pingresp);
    if (vector.version == Version::v5) {
      CHECK_EQ(static_cast<unsigned>(outcome.code), vector.reason);
    } else if (vector.reason == 1) {  // CONNACK code 1; else the connection is closed
      CHECK_EQ(connack_v3(outcome.code), 1);
    }
  }
}

STMQTT_TEST("wire vectors: what is accepted is the same after encode and decode") {
  for (const Vector& vector : vectors()) {
    if (!vector.valid) continue;
    const test::Context context("vector", vector.name);
    const Outcome first = decode_exact(vector.packet, vector);
    REQUIRE(!first.encoded.empty());
    const Outcome second = decode_exact(first.encoded, vector);
    CHECK_EQ(static_cast<unsigned>(second.code), 0);
    CHECK_EQ(first.text, second.text);
    CHECK_EQ(first.encoded, second.encoded);
    CHECK_LE(first.encoded.size(), vector.packet.size());
  }
}

STMQTT_TEST("wire vectors: every cut of the body is decoded without reading beyond it") {
  for (const Vector& vector : vectors()) {
    const Scan found = scan(vector.packet);
    if (found.status != Scan::Status::frame) continue;
    const test::Context context("vector", vector.name);
    const Bytes body = Bytes(vector.packet).subspan(found.header_bytes);
    const Outcome whole = decode_exact(vector.packet, vector);
    for (std::size_t size = 0; size < body.size(); ++size) {
      const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[size]);
      store_bytes(copy.get(), body.first(size));
      const Outcome cut = wire_test::decode_any(found.first_byte, {copy.get(), size},
                                                vector.version, vector.direction);
      // No byte of a packet in its shortest form is idle: without its end it says something else.
      if (cut.code == ReasonCode::success && whole.encoded == vector.packet) {
        CHECK_NE(cut.text, whole.text);
      }
    }
  }
}

STMQTT_TEST("wire vectors: a changed byte is decoded without reading beyond the packet") {
  for (const Vector& vector : vectors()) {
    for (std::size_t at = 0; at < vector.packet.size(); ++at) {
      for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
        Packet changed = vector.packet;
        changed[at] = static_cast<std::uint8_t>(changed[at] ^ flip);
        const Outcome outcome = decode_exact(changed, vector);
        if (outcome.code != ReasonCode::success) continue;
        const Outcome again = decode_exact(outcome.encoded, vector);
        CHECK_EQ(outcome.text, again.text);
      }
    }
  }
}

}  // namespace
