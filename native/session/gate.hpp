// Durable before acknowledged: a promise to a peer waits for the ticket of what it promises. The
// store implements Gate, one for each I/O thread; the in-memory store grants at once.
// Thread: the I/O thread that owns it.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/message.hpp"

namespace stmqtt {

class MatchResult;

/// Grows by one with each commit of a thread; kGranted = nothing to wait for.
using Ticket = std::uint64_t;
inline constexpr Ticket kGranted = 0;

enum class CommitKind : std::uint8_t {
  session_begin,    ///< session exists (CONNACK)
  session_end,      ///< nothing waits for it
  subscribe,        ///< SUBACK
  unsubscribe,      ///< UNSUBACK
  publish,          ///< a message that a persistent session must get (PUBACK, PUBREC)
  retained,         ///< a retained message set or cleared (PUBACK, PUBREC)
  inbound_id,       ///< a QoS 2 Packet Identifier from a client (PUBREC, and delivery)
  inbound_release,  ///< ... is free again (PUBCOMP)
  outbound_id,      ///< a Packet Identifier towards a client (its QoS 2 PUBLISH)
  outbound_pubrec,  ///< PUBREC came (PUBREL)
  outbound_done,    ///< PUBACK or PUBCOMP came; nothing waits for it
};

/// What to make durable. All pointers are borrowed for the call.
struct Commit {
  CommitKind kind;
  std::uint16_t packet_id = 0;
  SessionRef session;
  Message* message = nullptr;
  const MatchResult* receivers = nullptr;
  Bytes text;  ///< Topic Filter or Client Identifier
};

struct TicketResult {
  Ticket ticket;
  enum class Outcome : std::uint8_t { granted, failed } outcome;
};

class Gate {
 public:
  virtual ~Gate() = default;
  /// True where nothing ever waits; then commit() costs one test.
  [[nodiscard]] bool grants_at_once() const noexcept { return grants_at_once_; }
  /// Hands the record to the store. kGranted, or a ticket larger than all before.
  [[nodiscard]] Ticket commit(const Commit& record) noexcept {
    return grants_at_once_ ? kGranted : (last_issued_ = submit(record));
  }
  /// For records that no promise waits for.
  void note(const Commit& record) noexcept {
    if (!grants_at_once_) last_issued_ = submit(record);
  }
  [[nodiscard]] Ticket last_issued() const noexcept { return last_issued_; }
  /// The next result, in the order of tickets; false = none now.
  [[nodiscard]] virtual bool next_result(TicketResult& out) noexcept = 0;
  /// Called once per loop turn: hands the batch over.
  virtual void end_batch() noexcept = 0;

 protected:
  explicit Gate(bool grants_at_once) noexcept : grants_at_once_(grants_at_once) {}
  [[nodiscard]] virtual Ticket submit(const Commit& record) noexcept = 0;

 private:
  Ticket last_issued_ = kGranted;
  const bool grants_at_once_;
};

}  // namespace stmqtt
