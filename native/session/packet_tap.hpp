// Shows packets to those who asked: as trace events, and as log records of level trace. Stands
// beside the path, not in it: without a trace nothing of this runs.
// Thread: the shard's.
#pragma once

#include <cstdint>
#include <vector>

#include "base/outbound_queue.hpp"
#include "session/client.hpp"
#include "session/host.hpp"
#include "session/log_rules.hpp"
#include "session/trace.hpp"

namespace stmqtt {

class PacketTap {
 public:
  explicit PacketTap(Host& host) noexcept : host_(host) {}

  void add(TraceRef trace);
  void remove(std::uint32_t id) noexcept;
  /// Ends those whose time is over.
  void expire(std::uint64_t now_ms) noexcept;
  /// When expire() should be called; 0 = not at all.
  [[nodiscard]] std::uint64_t next_end_ms() const noexcept;
  /// Null: no log records. Borrowed.
  void set_log(const LogRules* rules) noexcept { rules_ = rules; }
  [[nodiscard]] bool active() const noexcept { return !traces_.empty() || rules_ != nullptr; }

  /// A whole Control Packet from the client, before it is handled.
  void inbound(const Client& client, Bytes frame, std::uint64_t now_ms);
  /// Of the packet shown last: it comes once more, and is not to be shown then.
  void comes_again(const Client& client) { again_.push_back(client.connection_id); }
  /// Whole Control Packets to the client: what the queue holds behind the first `from` bytes.
  void outbound(const Client& client, const OutboundQueue& queue, std::size_t from,
                std::uint64_t now_ms);

 private:
  enum class Way : std::uint8_t { in, out };
  /// What a packet is matched by.
  struct Subject {
    const Client& client;
    Way way;
    Bytes frame;
    Bytes body;
    Bytes client_id;
    Bytes address;
    wire::PublishView publish;  ///< of a PUBLISH that decodes
    bool is_publish = false;
    Bytes shown;                ///< the frame, or a copy without its secrets
    std::uint32_t instance = 0;
  };

  void show(Subject& subject, std::uint64_t now_ms);
  [[nodiscard]] bool fits(const TraceSpec& spec, const Subject& subject) const noexcept;
  void send(Trace& trace, const Subject& subject);
  void log(const Subject& subject);
  void hide_secrets(Subject& subject, const wire::ConnectView& view);
  void end(const Trace& trace, contract::TraceEndCause cause, std::uint32_t suppressed) noexcept;

  Host& host_;
  std::vector<TraceRef> traces_;
  const LogRules* rules_ = nullptr;
  std::vector<std::uint64_t> again_;  ///< connections; see comes_again()
  std::vector<std::uint8_t> scratch_;
  std::vector<std::uint8_t> blanked_;
};

}  // namespace stmqtt
