// Limits::fair_packets_per_turn: a client's burst does not keep others waiting.
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;

ConnectText client(const std::string& id) {
  ConnectText text;
  text.client_id = id;
  return text;
}

/// What a subscriber gets when two clients have sent a burst each before the broker reads.
std::string order_of_two_bursts(std::uint32_t fair_packets_per_turn) {
  Bed bed;
  bed.limits.fair_packets_per_turn = fair_packets_per_turn;
  Peer& subscriber = bed.ready(client("subscriber"));
  subscriber.subscribe("t");
  Peer& first = bed.ready(client("first"));
  Peer& second = bed.ready(client("second"));
  bed.settle();
  static_cast<void>(subscriber.take());
  for (const char* payload : {"a1", "a2", "a3", "a4", "a5"}) first.publish("t", payload);
  for (const char* payload : {"b1", "b2", "b3"}) second.publish("t", payload);
  bed.settle();
  return subscriber.payloads();
}

STMQTT_TEST("fairness: without a bound a read is handled whole") {
  CHECK_EQ(order_of_two_bursts(0), "a1 a2 a3 a4 a5 b1 b2 b3");
}

STMQTT_TEST("fairness: with one, clients take turns, and nothing is lost or out of order") {
  CHECK_EQ(order_of_two_bursts(1), "a1 b1 a2 b2 a3 b3 a4 a5");
  CHECK_EQ(order_of_two_bursts(2), "a1 a2 b1 b2 a3 a4 b3 a5");
  CHECK_EQ(order_of_two_bursts(8), "a1 a2 a3 a4 a5 b1 b2 b3");
}

STMQTT_TEST("fairness: a burst that ends with a part of a packet waits for the rest of it") {
  Bed bed;
  bed.limits.fair_packets_per_turn = 2;
  Peer& subscriber = bed.ready(client("subscriber"));
  subscriber.subscribe("t");
  Peer& publisher = bed.ready(client("publisher"));
  bed.settle();
  static_cast<void>(subscriber.take());
  publisher.publish("t", "1").publish("t", "2");
  const std::string third = publish_packet({Version::v5, "t", "3", 0, false, false, 0, 0, 0, ""});
  publisher.say(third.substr(0, 3));
  bed.settle();
  CHECK_EQ(subscriber.payloads(), "1 2");
  publisher.say(third.substr(3));
  bed.settle();
  CHECK_EQ(subscriber.payloads(), "3");
}

}  // namespace
