// native/io: what JavaScript says of a handshake that it does, in records on a socket pair.
#include <string>

#include "io/outside_tls.hpp"
#include "io_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;
using State = ChannelOutput::State;

std::string record(OutsideRecord kind, unsigned number, const std::string& body = {},
                   std::size_t claimed = SIZE_MAX) {
  const std::size_t bytes = claimed == SIZE_MAX ? body.size() : claimed;
  std::string head{static_cast<char>(kind), static_cast<char>(number), 0, 0};
  for (int shift = 0; shift < 32; shift += 8) head += static_cast<char>(bytes >> shift & 0xff);
  return head + body;
}

struct Stack {
  Stack() { REQUIRE((channel = SecureChannel::find(make_outside_channel())) != nullptr); }
  ~Stack() { channel->destroy(); }
  /// What comes out above; `state` as after the last bytes.
  std::string give(std::string bytes) {
    std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
    const ChannelOutput output = channel->receive({copy, copy.data(), peer, counters});
    state = output.state;
    return {output.bytes.begin(), output.bytes.end()};
  }
  SecureChannel* channel = nullptr;
  PeerAddress peer;
  contract::Counters counters;
  State state = State::more;
};

STMQTT_TEST("io outside: records cut at every byte, then bytes as they are") {
  const std::string der = pattern(700);
  const std::string text =
      record(OutsideRecord::begun, 0) + record(OutsideRecord::open, 1, der) + "MQTT";
  for (std::size_t cut = 1; cut < text.size(); cut++) {
    const Context context("cut", cut);
    Stack stack;
    const std::string first = stack.give(text.substr(0, cut));
    const std::string all = first + stack.give(text.substr(cut));
    REQUIRE(stack.state == State::more);
    REQUIRE(all == "MQTT");
    REQUIRE(stack.channel->is_open() && stack.channel->was_open() && stack.channel->resumed());
    const Bytes got = stack.channel->certificate();
    REQUIRE(std::string(got.begin(), got.end()) == der);
    stack.channel->drop_certificate();
    REQUIRE(stack.channel->certificate().size() == der.size());
    REQUIRE(stack.channel->take_done());
    REQUIRE(!stack.channel->take_done());
  }
}

STMQTT_TEST("io outside: nothing passes before the handshake is done") {
  Stack stack;
  CHECK(stack.channel->failure().find("began no") != std::string_view::npos);
  CHECK(stack.give(record(OutsideRecord::begun, 0)).empty());
  CHECK(!stack.channel->is_open());
  CHECK(stack.channel->failure().find("did not end") != std::string_view::npos);
  CHECK(stack.channel->cause() == TlsFailureCause::unfinished);
  CHECK(stack.channel->certificate().empty());
}

STMQTT_TEST("io outside: a failure has its cause and its text") {
  Stack stack;
  CHECK(stack.give(record(OutsideRecord::failed, 3, "no certificate")).empty());
  CHECK(stack.state == State::failed);
  CHECK(stack.channel->cause() == TlsFailureCause::certificate);
  CHECK(stack.channel->failure() == "no certificate");
  CHECK(!stack.channel->was_open());
}

STMQTT_TEST("io outside: what is unknown or too long fails, a cause out of range is the last") {
  Stack unknown;
  CHECK(unknown.give(record(static_cast<OutsideRecord>(9), 0) + "x").empty());
  CHECK(unknown.state == State::failed);
  Stack large;
  CHECK(large.give(record(OutsideRecord::open, 0, "", 65537)).empty());
  CHECK(large.state == State::failed);
  Stack odd;
  static_cast<void>(odd.give(record(OutsideRecord::failed, 200, "x")));
  CHECK(odd.channel->cause() == TlsFailureCause::protocol);
}

}  // namespace
