// DirectWrites: messages that the application gives one client by name, past matching and
// subscriptions, and what became of each: told once, as a `written` event. Which deliveries are
// such is in their DeliveryExtras; here is only how many of this thread still wait for their end.
// Thread: the shard's.
#pragma once

#include <cstdint>

#include "contract/counters.hpp"
#include "contract/records.hpp"
#include "session/directory.hpp"
#include "session/host.hpp"
#include "wire/reason_code.hpp"

namespace stmqtt {

/// How a delivery ended, for whoever waits for it.
struct WriteEnd {
  contract::WriteOutcome outcome = contract::WriteOutcome::dropped;
  contract::WriteCause cause = contract::WriteCause::none;
  wire::ReasonCode reason = wire::ReasonCode::success;  ///< of the client's acknowledgement

  [[nodiscard]] static constexpr WriteEnd delivered(wire::ReasonCode reason = {}) noexcept {
    return {contract::WriteOutcome::delivered, contract::WriteCause::none, reason};
  }
  [[nodiscard]] static constexpr WriteEnd queued() noexcept {
    return {contract::WriteOutcome::queued, contract::WriteCause::none, {}};
  }
  [[nodiscard]] static constexpr WriteEnd dropped(contract::WriteCause cause) noexcept {
    return {contract::WriteOutcome::dropped, cause, {}};
  }
  /// The client's own answer.
  [[nodiscard]] static constexpr WriteEnd answered(wire::ReasonCode reason) noexcept {
    return wire::is_error(reason)
               ? WriteEnd{contract::WriteOutcome::dropped, contract::WriteCause::refused, reason}
               : delivered(reason);
  }
};

/// The application waits for its outcome under `id`; `may_wait`: its session may keep it.
struct WriteMark {
  std::uint64_t id = 0;  ///< 0 = nobody waits (any more)
  bool direct = false;   ///< the topic goes out as it is, and no rule of access is asked
  bool may_wait = false;
};

/// Whom it was for. Borrowed.
struct WriteReceiver {
  WriteReceiver(Bytes name, std::uint32_t number) noexcept : client_id(name), instance(number) {}
  WriteReceiver(const SessionKey& key) noexcept  // NOLINT(google-explicit-constructor)
      : client_id(key.client_id()), instance(key.instance()) {}

  Bytes client_id;
  std::uint32_t instance;
};

class DirectWrites {
 public:
  DirectWrites(Host& host, contract::Counters& counters) noexcept
      : host_(host), counters_(counters) {}
  DirectWrites(const DirectWrites&) = delete;
  DirectWrites& operator=(const DirectWrites&) = delete;

  /// Deliveries of this thread whose outcome is not known yet.
  [[nodiscard]] std::uint32_t under_way() const noexcept { return under_way_; }
  /// Somebody wants to read of each that is dropped.
  void set_logged(bool logged) noexcept { logged_ = logged; }

  /// A delivery with this mark exists from now on.
  void begin() noexcept { ++under_way_; }
  /// The end of one that began.
  void settle(std::uint64_t id, const WriteReceiver& to, const WriteEnd& end) noexcept {
    --under_way_;
    tell(id, to, end);
  }
  /// The outcome of a write that never became a delivery.
  void tell(std::uint64_t id, const WriteReceiver& to, const WriteEnd& end) noexcept;

 private:
  void log_drop(const WriteReceiver& to, const WriteEnd& end) noexcept;

  Host& host_;
  contract::Counters& counters_;
  std::uint32_t under_way_ = 0;
  bool logged_ = false;
};

/// A drop's cause in words, for logs.
[[nodiscard]] const char* write_cause_text(contract::WriteCause cause) noexcept;

}  // namespace stmqtt
