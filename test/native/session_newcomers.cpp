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
