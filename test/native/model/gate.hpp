// A gate whose tickets a test decides one by one.
// Thread: one.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>

#include "base/bytes.hpp"
#include "session/gate.hpp"

namespace stmqtt::model {

/// What was handed to the store, with copies of what the Commit only lent.
struct CommitNote {
  Ticket ticket = kGranted;
  CommitKind kind = CommitKind::publish;
  SessionRef session;
  std::uint16_t packet_id = 0;
  std::string text;
  std::string payload;  ///< of its message
};

class TestGate final : public Gate {
 public:
  enum class Mode : std::uint8_t { at_once, on_demand };

  explicit TestGate(Mode mode) noexcept : Gate(mode == Mode::at_once) {}

  std::function<void(const CommitNote&)> on_commit;
  /// Called when the shard takes the result, before it acts on it.
  std::function<void(const TicketResult&)> on_result;

  /// Tickets whose batch was handed over and that nobody decided.
  [[nodiscard]] std::size_t waiting() const {
    return static_cast<std::size_t>(handed_over_ - decided_);
  }
  /// The oldest ones, in their order.
  void decide(std::size_t count, TicketResult::Outcome outcome) {
    for (; count > 0 && decided_ < handed_over_; --count) {
      results_.push_back({++decided_, outcome});
      if (outcome == TicketResult::Outcome::granted) granted_.insert(decided_);
    }
  }
  void grant(std::size_t count = SIZE_MAX) { decide(count, TicketResult::Outcome::granted); }
  void fail(std::size_t count = SIZE_MAX) { decide(count, TicketResult::Outcome::failed); }
  [[nodiscard]] bool has_results() const { return !results_.empty(); }
  /// The store granted it, whether or not the shard has taken the result.
  [[nodiscard]] bool granted(Ticket ticket) const {
    return ticket == kGranted || granted_.contains(ticket);
  }

  [[nodiscard]] bool next_result(TicketResult& out) noexcept override {
    if (results_.empty()) return false;
    out = results_.front();
    results_.pop_front();
    if (on_result) on_result(out);
    return true;
  }
  void end_batch() noexcept override { handed_over_ = issued_; }

 protected:
  [[nodiscard]] Ticket submit(const Commit& record) noexcept override {
    ++issued_;
    if (on_commit) {
      on_commit({issued_, record.kind, record.session, record.packet_id,
                 std::string(as_text(record.text)),
                 record.message == nullptr ? std::string()
                                           : std::string(as_text(record.message->payload()))});
    }
    return issued_;
  }

 private:
  Ticket issued_ = 0;
  Ticket handed_over_ = 0;
  Ticket decided_ = 0;
  std::deque<TicketResult> results_;
  std::set<Ticket> granted_;
};

}  // namespace stmqtt::model
