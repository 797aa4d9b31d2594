// How long wire/ takes for one packet: scan, decode and encode of PUBLISH and acknowledgements, in
// nanoseconds, the best of several rounds. One core, no sockets. Built and run by run.mjs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/scan.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;

constexpr std::size_t kPackets = 256;  // as many as fit into one read, and into the cache
constexpr int kRounds = 15;
constexpr int kRepeats = 400;

/// Keeps the compiler from leaving the work out.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

/// Best time of one call of `work`, which handles kPackets, per packet.
template <typename Work>
double best_ns(Work work) {
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRepeats; ++i) work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / (double{kRepeats} * kPackets));
  }
  return best;
}

PublishOut message(Version version, std::uint8_t qos, const std::string& topic,
                   const std::string& payload, Bytes properties) {
  PublishOut out;
  out.version = version;
  out.qos = qos;
  out.packet_id = qos == 0 ? 0 : 7;
  out.topic = as_bytes(topic);
  out.payload = as_bytes(payload);
  out.forward_properties = properties;
  return out;
}

void measure(const char* name, const PublishOut& out) {
  std::vector<std::uint8_t> stream(size_publish(out) * kPackets);
  const double encode = best_ns([&] {
    std::uint8_t* at = stream.data();
    for (std::size_t i = 0; i < kPackets; ++i) at = encode_publish(out, at);
    keep(*at);
  });
  const double decode = best_ns([&] {
    Bytes rest = stream;
    PublishView view;
    while (!rest.empty()) {
      const Scan found = scan(rest, out.version);
      const ReasonCode code =
          decode_publish(found.first_byte, rest.subspan(found.header_bytes, found.remaining_length),
                         out.version, Direction::from_client, view);
      if (code != ReasonCode::success) std::printf("%s: refused: %s\n", name, view.fault);
      keep(view);
      rest = rest.subspan(found.total);
    }
  });
  std::printf("%-44s scan+decode %6.1f ns   encode %6.1f ns\n", name, decode, encode);
}

void measure_acks() {
  std::vector<std::uint8_t> stream(4 * kPackets);
  const double encode = best_ns([&] {
    std::uint8_t* at = stream.data();
    for (std::size_t i = 0; i < kPackets; ++i) {
      at = encode_ack(PacketType::puback, Version::v5, static_cast<std::uint16_t>(i + 1),
                      ReasonCode::success, at);
    }
    keep(*at);
  });
  const double decode = best_ns([&] {
    Bytes rest = stream;
    AckView view;
    while (!rest.empty()) {
      const Scan found = scan(rest, Version::v5);
      const ReasonCode code = decode_ack(found.first_byte, rest.subspan(2, 2), Version::v5, view);
      if (code != ReasonCode::success) std::printf("PUBACK refused\n");
      keep(view);
      rest = rest.subspan(found.total);
    }
  });
  std::printf("%-44s scan+decode %6.1f ns   encode %6.1f ns\n", "PUBACK", decode, encode);
}

}  // namespace

int main() {
  const std::string topic = "plant/7/line/3/temperature";
  const std::string utf8 = "werk/7/stra\xC3\x9F" "e/3/temperatur";
  const std::string small(64, 'p');
  const std::string large(1024, 'p');
  const Bytes user = as_bytes(std::string_view("\x01\x01\x26\0\4unit\0\7celsius", 18));
  measure("PUBLISH 3.1.1 QoS 0, 64 B", message(Version::v311, 0, topic, small, {}));
  measure("PUBLISH 3.1.1 QoS 1, 64 B", message(Version::v311, 1, topic, small, {}));
  measure("PUBLISH 3.1.1 QoS 0, 1 KiB", message(Version::v311, 0, topic, large, {}));
  measure("PUBLISH 3.1.1 QoS 0, 64 B, topic not ASCII", message(Version::v311, 0, utf8, small, {}));
  measure("PUBLISH 5.0 QoS 0, 64 B", message(Version::v5, 0, topic, small, {}));
  measure("PUBLISH 5.0 QoS 1, 64 B, two properties", message(Version::v5, 1, topic, small, user));
  PublishOut full = message(Version::v5, 1, topic, small, user);
  full.has_message_expiry = true;
  full.message_expiry_s = 60;
  full.topic_alias = 3;
  measure("PUBLISH 5.0 QoS 1, 64 B, four properties", full);
  measure_acks();
}
