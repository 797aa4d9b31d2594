// Fuzz target: any bytes from a peer into a real Shard: what version it is, whether CONNECT stands,
// and every packet behind it. Fed whole and fed in pieces, the peer must be answered the very same
// bytes, the connection must end for the same cause, and the same sessions must be left. First byte
// of the input: which versions and capabilities the listener has; second: seeds the splits.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/outlet.hpp"
#include "session/shard.hpp"
#include "store/store.hpp"

namespace {

using namespace stmqtt;

void require(bool holds) {
  if (!holds) std::abort();
}

class Surroundings final : public Host {
 public:
  void post(ThreadIndex, CrossItem&&) noexcept override { std::abort(); }  // there is one thread
  [[nodiscard]] bool crossing() const noexcept override { return false; }
  void mark_crossing() noexcept override {}
  [[nodiscard]] bool passed_mark() const noexcept override { return true; }
  [[nodiscard]] bool congested() const noexcept override { return false; }
  bool event(contract::EventKind, contract::RecordHeader&, std::size_t,
             std::initializer_list<Bytes>) noexcept override {
    return true;
  }
  void answer(std::uint64_t, wire::ReasonCode) noexcept override {}
  void written(contract::Written&) noexcept override {}
  void move_client(Client&, ThreadIndex) noexcept override { std::abort(); }
  void close_client(Client&, CloseMode, contract::CloseCause why) noexcept override { cause = why; }
  void pause(Client&, PauseCause) noexcept override {}
  void resume(Client&, PauseCause) noexcept override {}
  [[nodiscard]] Bytes address(const Client&, char*) const noexcept override { return {}; }
  [[nodiscard]] std::uint64_t random() noexcept override { return 4; }
  void make_uuid(char out[36]) noexcept override { std::memset(out, 'u', 36); }

  contract::CloseCause cause = contract::CloseCause::none;
};

struct Outcome {
  std::vector<std::uint8_t> answer;
  contract::CloseCause cause;
  std::size_t consumed = 0;
  std::uint32_t sessions = 0;
  std::uint64_t retained = 0;
};

Limits limits_of(std::uint8_t bits) {
  Limits limits;
  limits.max_packet_size = 4096;
  limits.receive_maximum = 3;
  limits.max_inflight = 2;
  limits.max_queued_messages = 4;
  limits.max_subscriptions = 8;
  limits.max_topic_levels = 8;
  if ((bits & 7) != 0) limits.protocol_levels = bits & 7;
  limits.retain_available = (bits & 8) == 0;
  limits.wildcard_subscriptions = (bits & 16) == 0;
  limits.shared_subscriptions = (bits & 32) == 0;
  limits.max_qos = (bits & 64) != 0 ? 1 : 2;
  return limits;
}

/// Feeds the bytes in pieces of at most `piece()` more, as a connection does: what was not consumed
/// comes again, with more behind it.
template <class Piece>
Outcome run(Bytes bytes, std::uint8_t bits, Piece&& piece) {
  const std::unique_ptr<Store> store = make_memory_store();
  Gate& gate = store->open_gate(0, {});
  BrokerTables tables{TrieOptions{}};
  Surroundings host;
  contract::Counters counters;
  FlushList flush(1 << 20, 1 << 18);
  Outlet outlet(flush, Outlet::Kind::socket);
  const Limits limits = limits_of(bits);
  Outcome outcome;
  {
    Shard shard(tables, gate, host, counters, ShardOptions{}, 1000);
    Client& client = shard.open(outlet, &outlet, limits, 1, ClientKind::socket);
    const ClientRef ref = client.ref;
    std::size_t have = 0;
    while (shard.find_client(ref) != nullptr && have < bytes.size()) {
      const std::size_t room = bytes.size() - have;
      const std::size_t more = piece();
      have += more < room ? more : room;
      // A copy that ends where its memory does, so that reading on is seen.
      const std::vector<std::uint8_t> copy(
          bytes.begin() + static_cast<std::ptrdiff_t>(outcome.consumed),
          bytes.begin() + static_cast<std::ptrdiff_t>(have));
      const Received received = shard.on_bytes(client, copy);
      require(received.consumed <= copy.size());
      outcome.consumed += received.consumed;
    }
    shard.end_turn();
    outcome.cause = host.cause;
    outcome.sessions = shard.session_count();
    outcome.retained = tables.retained.count();
    while (!outlet.queue.empty()) {
      Slice slice;
      require(outlet.queue.gather(&slice, 1) == 1);
      outcome.answer.insert(outcome.answer.end(), slice.data, slice.data + slice.bytes);
      outlet.queue.consume(slice.bytes);
    }
    if (Client* left = shard.find_client(ref)) {
      shard.on_end(*left, contract::CloseCause::peer_closed);
    }
    shard.end_turn();
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes bytes{data + 2, size - 2};
  const Outcome whole = run(bytes, data[0], [] { return SIZE_MAX; });
  std::uint32_t seed = data[1] + 1U;
  const Outcome pieces = run(bytes, data[0], [&seed] {
    seed = seed * 1664525U + 1013904223U;
    return std::size_t{1} + (seed >> 24) % 23;
  });
  require(whole.answer == pieces.answer);
  require(whole.cause == pieces.cause);
  require(whole.sessions == pieces.sessions);
  require(whole.retained == pieces.retained);
  if (whole.cause == contract::CloseCause::none) require(whole.consumed == pieces.consumed);
  return 0;
}
