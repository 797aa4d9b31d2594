// stream/websocket_frames.hpp: what frames carry, however they are cut, and what ends them.
#include <string>
#include <vector>

#include "runner.hpp"
#include "stream/websocket_frames.hpp"
#include "stream_frames.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::stream;
using namespace stmqtt::test;
using Event = FrameDecoder::Event;

struct Seen {
  std::string payload;
  std::vector<std::string> pings;
  Event end = Event::none;
  unsigned status = 0;
  std::string fault;
  bool operator==(const Seen&) const = default;
};

/// Pieces of at most `piece` bytes, each decoded in place in a buffer of its own.
Seen feed(const std::string& stream, std::size_t piece) {
  FrameDecoder decoder;
  Seen seen;
  for (std::size_t at = 0; at < stream.size() && seen.end == Event::none; at += piece) {
    std::string buffer = stream.substr(at, piece);
    auto* bytes = reinterpret_cast<std::uint8_t*>(buffer.data());
    std::size_t done = 0;
    while (done < buffer.size() && seen.end == Event::none) {
      const auto result = decoder.decode(bytes + done, buffer.size() - done, bytes);
      CHECK(result.produced <= result.consumed);
      CHECK(result.consumed > 0);
      seen.payload.append(buffer, 0, result.produced);
      done += result.consumed;
      if (result.event == Event::ping) {
        seen.pings.emplace_back(as_text(decoder.control()));
      } else if (result.event != Event::none) {
        seen.end = result.event;
        seen.status = decoder.close_status();
        seen.fault = decoder.fault();
      }
      CHECK(result.event != Event::none || done == buffer.size());
    }
  }
  return seen;
}

/// The same in all cuts.
Seen decode(const std::string& stream) {
  const Seen whole = feed(stream, stream.size());
  for (std::size_t piece = 1; piece <= std::min<std::size_t>(stream.size(), 23); ++piece) {
    const Context context("piece", piece);
    CHECK(feed(stream, piece) == whole);
  }
  return whole;
}

void check_fails(const std::string& stream, unsigned status, std::string_view fault) {
  const Context context("fault", fault);
  const Seen seen = decode(stream);
  CHECK(seen.end == Event::failed);
  CHECK_EQ(seen.status, status);
  CHECK_EQ(seen.fault, fault);
}

STMQTT_TEST("stream frames: the example of RFC 6455, 5.7, as a binary frame") {
  CHECK_EQ(client_frame(kBinaryFrame, "Hello"),
           std::string("\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"));
  CHECK_EQ(decode(client_frame(kBinaryFrame, "Hello")).payload, "Hello");
}

STMQTT_TEST("stream frames: payloads of every length class come out whole and without seams") {
  std::string stream;
  std::string all;
  std::uint32_t mask = 1;
  for (const std::size_t bytes : {0U, 1U, 2U, 3U, 4U, 7U, 8U, 31U, 32U, 33U, 125U, 126U, 127U, 300U,
                                  65535U, 65536U, 70001U}) {
    std::string payload(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) payload[i] = static_cast<char>(i * 31 + bytes);
    stream += client_frame(kBinaryFrame, payload, mask *= 2654435761U);
    all += payload;
  }
  for (const std::size_t piece : {stream.size(), std::size_t{1}, std::size_t{13}, std::size_t{4096}}) {
    CHECK(feed(stream, piece).payload == all);
  }
}

STMQTT_TEST("stream frames: unmask at every phase and length, in place and downwards") {
  std::uint8_t source[80];
  for (std::size_t i = 0; i < sizeof source; ++i) source[i] = static_cast<std::uint8_t>(i * 7);
  const std::uint8_t key[4] = {0x11, 0x22, 0x44, 0x88};
  std::uint32_t mask;
  std::memcpy(&mask, key, 4);
  for (unsigned phase = 0; phase < 4; ++phase) {
    for (std::size_t bytes = 0; bytes <= 64; ++bytes) {
      for (std::size_t down = 0; down <= 15; ++down) {
        std::uint8_t buffer[80];
        std::memcpy(buffer, source, sizeof buffer);
        unmask(buffer + 15 - down, buffer + 15, bytes, mask, phase);
        for (std::size_t i = 0; i < bytes; ++i) {
          CHECK_EQ(buffer[15 - down + i], source[15 + i] ^ key[(phase + i) % 4]);
        }
      }
    }
  }
}

STMQTT_TEST("stream frames: fragments make one message, with control frames between them") {
  const Seen seen = decode(client_frame(0x02, "ab") + client_frame(kPingFrame, "one") +
                           client_frame(0x00, "") + client_frame(kPongFrame, "unasked") +
                           client_frame(0x00, "cd") + client_frame(kPingFrame, "") +
                           client_frame(0x80, "e") + client_frame(kBinaryFrame, "f") +
                           client_frame(kPingFrame, std::string(125, 'p')));
  CHECK_EQ(seen.payload, "abcdef");
  CHECK_EQ(seen.pings, (std::vector<std::string>{"one", "", std::string(125, 'p')}));
  CHECK(seen.end == Event::none);
}

STMQTT_TEST("stream frames: the peer's Close, and nothing behind it") {
  const std::string before = client_frame(kBinaryFrame, "last");
  for (const auto& [payload, status] : std::vector<std::pair<std::string, unsigned>>{
           {"", 1005},
           {std::string("\x03\xE8", 2), 1000},
           {std::string("\x03\xE9going", 7), 1001},
           {std::string("\x0F\xA0", 2), 4000},
           {std::string("\x03\xE8", 2) + "\xE2\x82\xAC", 1000}}) {
    const Seen seen = decode(before + client_frame(kCloseFrame, payload) +
                             client_frame(kBinaryFrame, "never"));
    CHECK(seen.end == Event::close);
    CHECK_EQ(seen.status, status);
    CHECK_EQ(seen.payload, "last");
  }
}

STMQTT_TEST("stream frames: what RFC 6455 forbids ends the connection with its status") {
  check_fails(client_frame(kBinaryFrame, "x", 0, Masking::plain), 1002, "a frame that is not masked");
  for (const unsigned bit : {0x40U, 0x20U, 0x10U}) {
    check_fails(client_frame(kBinaryFrame | bit, "x"), 1002,
                "a reserved bit is set, and no extension was agreed on");
  }
  for (const unsigned opcode : {3U, 7U, 11U, 15U}) {
    check_fails(client_frame(kFinal | opcode, "x"), 1002, "an unknown opcode");
  }
  check_fails(client_frame(0x09, "x"), 1002, "a fragmented control frame");
  check_fails(client_frame(kPingFrame, std::string(126, 'x')), 1002, "a control frame above 125 bytes");
  check_fails(client_frame(0x80, "x"), 1002, "a continuation of nothing");
  check_fails(client_frame(kBinaryFrame, "") + client_frame(0x00, "x"), 1002,
              "a continuation of nothing");
  check_fails(client_frame(0x02, "x") + client_frame(kBinaryFrame, "y"), 1002,
              "a new message within a fragmented one");
  check_fails(std::string("\x82\xFE\x00\x7D", 4), 1002, "a length that is not in its shortest form");
  check_fails(std::string("\x82\xFF\0\0\0\0\0\0\xFF\xFF", 10), 1002,
              "a length that is not in its shortest form");
  check_fails(std::string("\x82\xFF\x80\0\0\0\0\1\0\0", 10), 1002, "a length above 2^63");
  check_fails(client_frame(kCloseFrame, "x"), 1002, "a Close of one byte");
  for (const unsigned status : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 2999U, 5000U}) {
    const char code[2] = {static_cast<char>(status >> 8), static_cast<char>(status)};
    check_fails(client_frame(kCloseFrame, {code, 2}), 1002, "a Close with a status that may not be sent");
  }
  check_fails(client_frame(kCloseFrame, std::string("\x03\xE8\xC0\x80", 4)), 1007,
              "a Close whose reason is not UTF-8");
}

STMQTT_TEST("stream frames: [MQTT-6.0.0-1] a text frame ends the connection, fragmented or not") {
  for (const unsigned first : {0x81U, 0x01U}) {
    const Seen seen = decode(client_frame(kBinaryFrame, "good") + client_frame(first, "text"));
    CHECK(seen.end == Event::failed);
    CHECK_EQ(seen.status, 1003);
    CHECK_EQ(seen.payload, "good");
  }
}

STMQTT_TEST("stream frames: the largest frame is that of the largest Control Packet") {
  check_fails(std::string("\x82\xFF\0\0\0\0\x10\0\0\5", 10), 1009,
              "a frame larger than the largest Control Packet");
  CHECK(decode(std::string("\x82\xFF\0\0\0\0\x10\0\0\4", 10)).end == Event::none);
}

STMQTT_TEST("stream frames: heads to clients are the shortest, and unmasked") {
  const auto head = [](std::uint64_t bytes) {
    std::uint8_t out[kMaxFrameHeadBytes];
    return std::string(as_text({out, write_frame_head(Opcode::binary, bytes, out)}));
  };
  CHECK_EQ(head(0), std::string("\x82\0", 2));
  CHECK_EQ(head(125), std::string("\x82\x7D", 2));
  CHECK_EQ(head(126), std::string("\x82\x7E\0\x7E", 4));
  CHECK_EQ(head(65535), std::string("\x82\x7E\xFF\xFF", 4));
  CHECK_EQ(head(65536), std::string("\x82\x7F\0\0\0\0\0\1\0\0", 10));
  CHECK_EQ(head(std::uint64_t{1} << 32), std::string("\x82\x7F\0\0\0\1\0\0\0\0", 10));
  std::uint8_t close[kMaxCloseFrameBytes];
  CHECK_EQ(as_text({close, write_close_frame(1002, close)}), std::string("\x88\x02\x03\xEA"));
  CHECK_EQ(as_text({close, write_close_frame(1005, close)}), std::string("\x88\0", 2));
}

STMQTT_TEST("stream frames: a decoder is small") { CHECK(sizeof(FrameDecoder) <= 64); }

}  // namespace
