// What hooks are only told, and nobody waits for: acknowledgements, losses, UNSUBSCRIBE; for topics
// that one asked for. Where TypeScript is far behind they are left out, and the next one says how many.
// Thread: the shard's.
#pragma once

#include <cstdint>

#include "contract/counters.hpp"
#include "contract/records.hpp"
#include "session/hook_desk.hpp"

namespace stmqtt {

class Host;
class Message;
class Session;

class HookNotices {
 public:
  HookNotices(HookDesk& desk, Host& host, contract::Counters& counters) noexcept
      : desk_(desk), host_(host), counters_(counters) {}

  /// Messages are kept until they are acknowledged, so that their topic can be told.
  [[nodiscard]] bool wants_acks() const noexcept { return desk_.wants(kHookAck); }
  /// The receiver has taken or refused it: PUBACK, or the PUBREC of QoS 2.
  void acknowledged(const Session& to, const Message* message, std::uint8_t qos,
                    std::uint16_t packet_id, wire::ReasonCode reason) noexcept {
    if (wants_acks() && message != nullptr) [[unlikely]] {
      tell_ack(to, *message, qos, packet_id, reason);
    }
  }
  /// It does not get to its receiver, or (`to` null) to nobody.
  void dropped(const Session* to, Bytes topic, std::uint8_t qos,
               contract::DropCause cause) noexcept {
    if (desk_.wants(kHookDrop)) [[unlikely]] tell_drop(to, topic, qos, cause);
  }
  /// Subscribed or unsubscribed, as `notice` says. Both texts in their internal form; `filter` is
  /// `text` without its $share part.
  void subscription(const Session& session, Bytes filter, Bytes text,
                    contract::Notice& notice) noexcept;

 private:
  void tell_ack(const Session& to, const Message& message, std::uint8_t qos,
                std::uint16_t packet_id, wire::ReasonCode reason) noexcept;
  void tell_drop(const Session* to, Bytes topic, std::uint8_t qos,
                 contract::DropCause cause) noexcept;
  void send(contract::Notice& notice, const Session* session, Bytes topic) noexcept;

  HookDesk& desk_;
  Host& host_;
  contract::Counters& counters_;
  std::uint32_t left_out_ = 0;
};

}  // namespace stmqtt
