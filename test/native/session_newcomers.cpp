// Connections before CONNACK: how long their CONNECT may take, and how much of it is kept.
#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;

STMQTT_TEST("newcomers: what a CONNECT waits for us is not its time, up to as much again") {
  Bed bed;
  const std::uint64_t time_ms = bed.limits.connect_timeout_ms;
  Conn& waits = bed.net().open(0, bed.limits);
  Conn& told = bed.net().open(0, bed.limits);
  Conn& always = bed.net().open(0, bed.limits);
  waits.waiting_ms = time_ms / 2;
  always.waiting_ms = 10 * time_ms;
  bed.net().shard(0).on_waited(*told.client, time_ms / 2);
  bed.net().advance(time_ms);
  bed.settle();
  CHECK(!waits.closed);
  CHECK(!told.closed);
  waits.waiting_ms = 0;
  always.to_broker = "\x10";  // and a byte now and then
  bed.net().advance(time_ms / 2);
  bed.settle();
  CHECK(waits.closed);
  CHECK(told.closed);
  CHECK(!always.closed);
  bed.net().advance(time_ms / 2);
  bed.settle();
  CHECK(always.closed);
  CHECK_EQ(bed.net().shard(0).client_count(), 0);
}

STMQTT_TEST("newcomers: nor is what an AUTH waits for us, from when it is asked for") {
  Bed bed;
  constexpr std::uint32_t kTimeMs = 1000;
  bed.net().shard(0).set_verdicts(Verdicts::none, Verdicts::wanted, kTimeMs);
  constexpr std::string_view kConnect("\x10\x12\0\x04MQTT\x05\x02\0\0\x04\x15\0\x01X\0\x01", 19);
  constexpr std::string_view kAuth("\xf0\x06\x18\x04\x15\0\x01X", 8);
  contract::Verdict more{};
  more.reason_code = static_cast<std::uint8_t>(wire::ReasonCode::continue_authentication);
  std::vector<Conn*> conns;
  for (const char* name : {"s", "w", "a", "t"}) {
    conns.push_back(&bed.net().open(0, bed.limits));
    conns.back()->to_broker = std::string(kConnect) + name;
  }
  bed.settle();
  bed.net().advance(kTimeMs / 2);  // the verdict's own time
  for (Conn* conn : conns) bed.net().verdict(*conn, more);
  bed.settle();
  for (Conn* conn : conns) CHECK(conn->to_client.starts_with("\xf0"));
  Conn& silent = *conns[0];
  Conn& waits = *conns[1];
  Conn& always = *conns[2];
  Conn& answers = *conns[3];
  waits.waiting_ms = kTimeMs / 2;
  always.waiting_ms = 10 * kTimeMs;
  bed.net().shard(0).on_waited(*answers.client, kTimeMs / 2);
  always.to_broker = kAuth.substr(0, 3);  // a part of it is no AUTH
  bed.net().advance(kTimeMs + 8);
  bed.settle();
  CHECK(silent.closed);
  CHECK(!waits.closed);
  CHECK(!answers.closed);
  answers.to_broker = kAuth;
  bed.settle();
  bed.net().verdict(answers, more);
  waits.waiting_ms = 0;
  bed.net().advance(kTimeMs / 2 + 8);
  bed.settle();
  CHECK(waits.closed);
  CHECK(!always.closed);
  CHECK(!answers.closed);
  bed.net().advance(kTimeMs / 2 + 8);
  bed.settle();
  CHECK(always.closed);
  CHECK(answers.closed);
  CHECK_EQ(bed.net().shard(0).client_count(), 0);
}

STMQTT_TEST("newcomers: before CONNACK nobody has large packets kept, whatever max_packet_size says") {
  Bed bed;
  bed.limits.max_packet_size = 200'000'000;
  Conn& large = bed.net().open(0, bed.limits);
  Conn& fair = bed.net().open(0, bed.limits);
  large.to_broker = "\x10\xfd\xff\x1f";  // 524,285 and the head: a byte more than 512 KiB
  fair.to_broker = "\x10\xfc\xff\x1f";
  bed.settle();
  CHECK(large.closed);
  CHECK(!fair.closed);
  CHECK_EQ(bed.net().shard(0).client_count(), 1);
}

}  // namespace
