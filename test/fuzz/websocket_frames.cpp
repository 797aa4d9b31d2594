// Fuzz target: a stream of WebSocket frames, taken whole and cut into pieces of any size, gives the
// same bytes, the same pings and the same end, and never writes more than it read. The first byte of
// the input chooses the sizes of the pieces.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "stream/websocket_frames.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::stream;
using Event = FrameDecoder::Event;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Seen {
  std::string payload;
  std::vector<std::string> pings;
  Event end = Event::none;
  unsigned status = 0;
  std::string fault;
  bool operator==(const Seen&) const = default;
};

/// One piece, decoded in a buffer of exactly its size. False: the stream is over.
bool take(FrameDecoder& decoder, Bytes piece, Seen& seen) {
  std::vector<std::uint8_t> buffer(piece.begin(), piece.end());
  std::size_t done = 0;
  std::size_t written = 0;
  while (done < buffer.size()) {
    // Behind what was written, as a reader that collects payload does.
    const auto result =
        decoder.decode(buffer.data() + done, buffer.size() - done, buffer.data() + written);
    require(result.produced <= result.consumed && result.consumed <= buffer.size() - done);
    require(result.event != Event::none || done + result.consumed == buffer.size());
    done += result.consumed;
    written += result.produced;
    switch (result.event) {
      case Event::none:
        break;
      case Event::ping:
        require(decoder.control().size() <= kMaxControlBytes);
        seen.pings.emplace_back(as_text(decoder.control()));
        break;
      case Event::close:
      case Event::failed: {
        seen.end = result.event;
        seen.status = decoder.close_status();
        seen.fault = decoder.fault();
        seen.payload.append(buffer.begin(), buffer.begin() + static_cast<long>(written));
        std::uint8_t frame[kMaxCloseFrameBytes];
        require(write_close_frame(decoder.close_status(), frame) <= sizeof frame);
        return false;
      }
    }
  }
  seen.payload.append(buffer.begin(), buffer.begin() + static_cast<long>(written));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  std::uint64_t pieces = data[0] + std::uint64_t{1};
  const Bytes all{data + 1, size - 1};

  Seen whole;
  FrameDecoder at_once;
  static_cast<void>(take(at_once, all, whole));

  Seen cut;
  FrameDecoder in_pieces;
  for (std::size_t at = 0; at < all.size();) {
    pieces = pieces * 6364136223846793005u + 1442695040888963407u;
    const std::size_t left = all.size() - at;
    const std::size_t piece = 1 + (pieces >> 33) % (left < 40 ? left : 40);
    if (!take(in_pieces, all.subspan(at, piece), cut)) break;
    at += piece;
  }
  require(whole == cut);
  return 0;
}
