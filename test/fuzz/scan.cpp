// Fuzz target: a stream of bytes, taken whole and cut into pieces of any size, gives the same
// frames. The first byte of the input chooses the version, the second the sizes of the pieces.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "wire/scan.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;

struct Frame {
  std::uint8_t first_byte;
  std::uint32_t header_bytes;
  std::uint32_t remaining_length;
  bool overlong;
  bool operator==(const Frame&) const = default;
};

struct Stream {
  std::vector<Frame> frames;
  bool malformed = false;
  std::size_t consumed = 0;
  bool operator==(const Stream&) const = default;
};

void require(bool holds) {
  if (!holds) std::abort();
}

/// Takes what frames `there` holds from `stream.consumed` on.
void take(Bytes there, Version version, Stream& stream) {
  while (!stream.malformed) {
    const Bytes rest = there.subspan(stream.consumed);
    const Scan found = scan(rest, version);
    if (found.status == Scan::Status::malformed) {
      stream.malformed = true;
    } else if (found.status == Scan::Status::incomplete) {
      require(found.total == 0 || found.total > rest.size());
      return;
    } else {
      require(found.total == found.header_bytes + found.remaining_length);
      require(found.total <= rest.size() && found.header_bytes >= 2 && found.header_bytes <= 5);
      require(!(found.overlong && version == Version::v5));
      stream.frames.push_back(
          {found.first_byte, found.header_bytes, found.remaining_length, found.overlong});
      stream.consumed += found.total;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Version version = (data[0] & 1) != 0 ? Version::v5 : Version::v311;
  std::uint64_t pieces = data[1] + std::uint64_t{1};
  const Bytes all{data + 2, size - 2};

  Stream whole;
  take(all, version, whole);

  Stream cut;
  for (std::size_t there = 0; there < all.size();) {
    pieces = pieces * 6364136223846793005u + 1442695040888963407u;
    const std::size_t left = all.size() - there;
    const std::size_t piece = 1 + (pieces >> 33) % (left < 16 ? left : 16);
    there += piece;
    // A copy that ends where the piece does, so that a sanitizer sees a byte read too early.
    const std::vector<std::uint8_t> copy(all.begin(), all.begin() + static_cast<long>(there));
    take(copy, version, cut);
  }
  require(whole == cut);
  return 0;
}
