// Fuzz target: any bytes as Control Packets of any version and side. A frame cut out of a stream and
// the same frame alone must give the same result; what is accepted must be the same after encode
// and decode, and encode must settle at once. Bits of the first byte of the input: 0 and 1 version,
// 2 side, 3 one packet given as first byte and body instead of a stream with lengths.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../native/wire_any.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;
using wire_test::Outcome;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(std::uint8_t first, Bytes body, Version version, Direction direction) {
  const Outcome inside = wire_test::decode_any(first, body, version, direction);
  const std::vector<std::uint8_t> copy(body.begin(), body.end());  // ends where its memory does
  const Outcome alone = wire_test::decode_any(first, copy, version, direction);
  require(inside.code == alone.code && inside.text == alone.text);
  require(inside.encoded == alone.encoded);
  if (inside.code != ReasonCode::success) {
    require(is_error(inside.code));
    require(reason_allowed(inside.code, PacketType::disconnect) ||
            reason_allowed(inside.code, PacketType::connack));
    return;
  }
  if (packet_type(first) == PacketType::connect) {
    require(inside.text.starts_with("version="));
    version = inside.text[8] == '5'   ? Version::v5
              : inside.text[8] == '4' ? Version::v311
                                      : Version::v31;
  }
  require(!inside.encoded.empty());
  const Outcome again = wire_test::decode_packet(inside.encoded, version, direction);
  require(again.code == ReasonCode::success);
  require(again.text == inside.text);
  require(again.encoded == inside.encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static constexpr Version kVersions[] = {Version::v5, Version::v311, Version::v31, Version::v5};
  const Version version = kVersions[data[0] & 3];
  const Direction direction = (data[0] & 4) != 0 ? Direction::from_server : Direction::from_client;
  Bytes rest{data + 1, size - 1};
  if ((data[0] & 8) != 0) {
    check(rest[0], rest.subspan(1), version, direction);
    return 0;
  }
  while (!rest.empty()) {
    const Scan found = scan(rest, version);
    if (found.status != Scan::Status::frame) break;
    check(found.first_byte, rest.subspan(found.header_bytes, found.remaining_length), version,
          direction);
    rest = rest.subspan(found.total);
  }
  return 0;
}
