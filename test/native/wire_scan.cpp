// wire/scan.hpp and wire/varint.hpp: frames found in a stream, however it is cut.
#include <vector>

#include "runner.hpp"
#include "wire/scan.hpp"
#include "wire/varint.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;
using Packet = std::vector<std::uint8_t>;
using enum Scan::Status;

const std::uint32_t kEdges[] = {0,         1,         127,         128,        16'383,     16'384,
                                2'097'151, 2'097'152, 268'435'454, 268'435'455};

STMQTT_TEST("wire varint: the edges of 1.5.5 and their sizes") {
  const std::uint32_t sizes[] = {1, 1, 1, 2, 2, 3, 3, 4, 4, 4};
  for (std::size_t i = 0; i < std::size(kEdges); ++i) {
    std::uint8_t bytes[4] = {};
    const std::uint8_t* const end = store_varint(bytes, kEdges[i]);
    CHECK_EQ(end - bytes, sizes[i]);
    CHECK_EQ(size_varint(kEdges[i]), sizes[i]);
    const Varint read = load_varint(bytes, end);
    CHECK_EQ(read.value, kEdges[i]);
    CHECK_EQ(read.bytes, sizes[i]);
    CHECK_EQ(load_varint(bytes, end - 1).bytes, 0);  // cut off
  }
}

STMQTT_TEST("wire varint: [MQTT-1.5.5-1] longer forms and five bytes are refused") {
  for (const Packet& bad : std::vector<Packet>{{0x80, 0x00},
                                               {0xFF, 0x00},
                                               {0x80, 0x80, 0x00},
                                               {0x80, 0x80, 0x80, 0x00},
                                               {0x80, 0x80, 0x80, 0x80},
                                               {0xFF, 0xFF, 0xFF, 0xFF, 0x7F}}) {
    CHECK_EQ(load_varint(bad.data(), bad.data() + bad.size()).bytes, 0);
  }
}

STMQTT_TEST("wire scan: every length, with every number of bytes of its header there") {
  for (const std::uint32_t length : kEdges) {
    std::uint8_t header[5] = {0x32};
    const auto size = static_cast<std::size_t>(store_varint(header + 1, length) - header);
    for (std::size_t there = 0; there < size; ++there) {
      const Scan found = scan(Bytes{header, there});
      CHECK(found.status == incomplete);
      CHECK_EQ(found.total, 0);
      CHECK_EQ(found.first_byte, there == 0 ? 0 : 0x32);
    }
    const Scan found = scan(Bytes{header, size});
    CHECK(found.status == (length == 0 ? frame : incomplete));
    CHECK_EQ(found.header_bytes, size);
    CHECK_EQ(found.remaining_length, length);
    CHECK_EQ(found.total, size + length);  // known before the body is, to refuse early
    CHECK(!found.overlong);
  }
}

STMQTT_TEST("wire scan: a frame ends where it says, whatever follows") {
  const Packet two = {0x30, 0x02, 'a', 'b', 0xC0, 0x00};
  const Scan first = scan(two);
  CHECK(first.status == frame);
  CHECK_EQ(first.total, 4);
  const Scan second = scan(Bytes(two).subspan(first.total));
  CHECK(second.status == frame);
  CHECK_EQ(second.first_byte, 0xC0);
  CHECK_EQ(second.total, 2);
  CHECK(scan(Bytes(two).first(3)).status == incomplete);
}

STMQTT_TEST("wire scan: four continued bytes are malformed, and at once") {
  const Packet bad = {0x30, 0x80, 0x80, 0x80, 0x80};
  CHECK(scan(Bytes(bad).first(4)).status == incomplete);
  CHECK(scan(bad).status == malformed);
  const Packet worst = {0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F};
  CHECK(scan(worst).status == malformed);
}

STMQTT_TEST("wire scan: a padded Remaining Length is refused in 5.0 and taken in 3.x") {
  for (const Packet& padded : std::vector<Packet>{
           {0xC0, 0x80, 0x00}, {0xC0, 0x80, 0x80, 0x00}, {0xC0, 0x80, 0x80, 0x80, 0x00}}) {
    CHECK(scan(padded, Version::v5).status == malformed);  // [MQTT-1.5.5-1]
    CHECK(scan(padded, Version::v31).status == frame);
    const Scan found = scan(padded, Version::v311);
    CHECK(found.status == frame);
    CHECK(found.overlong);
    CHECK_EQ(found.total, padded.size());
    CHECK_EQ(found.remaining_length, 0);
  }
  const Packet padded_body = {0x30, 0x83, 0x00, 'a', 'b', 'c'};
  const Scan found = scan(padded_body, Version::v311);
  CHECK_EQ(found.header_bytes, 3);
  CHECK_EQ(found.remaining_length, 3);
  CHECK(found.status == frame);
}

}  // namespace
