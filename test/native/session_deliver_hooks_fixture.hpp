// Scenes with hooks on deliveries: a net whose hooks are played by the test.
// Thread: one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "session_hooks_fixture.hpp"

namespace stmqtt::test {

inline HookText on_deliver(const std::string& filter, std::uint32_t timeout_ms = 5000,
                           bool drops = false) {
  return {filter, timeout_ms, drops, kHookDeliver};
}

/// Hooks that look at deliveries; what they are asked and told is noted.
class DeliverBed : public HookBed {
 public:
  explicit DeliverBed(const std::vector<HookText>& hooks, const model::NetOptions& options = {})
      : HookBed(hooks, options) {}

  /// A client with a subscription, whose packets up to now were taken.
  Peer& subscriber(const ConnectText& text, const std::string& filter, std::uint8_t qos,
                   unsigned shard = 0) {
    Peer& peer = ready(text, shard);
    peer.subscribe(filter, qos);
    settle();
    static_cast<void>(peer.take());
    return peer;
  }
  /// The hooks' answer about what the client is to get with this payload.
  void judge(const std::string& client, const std::string& payload,
             HookAction action = HookAction::pass, const std::string& to = {}) {
    judge(hook_ids.at(client + " " + payload), action, to);
  }
  void judge(std::uint64_t hook_id, HookAction action = HookAction::pass,
             const std::string& to = {}) {
    contract::HookVerdict verdict{};
    verdict.hook_id = hook_id;
    verdict.action = static_cast<std::uint8_t>(action);
    verdict.flags = contract::kHookVerdictOfDelivery;
    HookVerdictTexts texts;
    texts.payload = as_bytes(to);
    net().hook_verdict(verdict, texts);
    settle();
  }
  [[nodiscard]] std::int64_t asked_now() const {
    return counter(contract::Counter::hook_deliveries_asked);
  }

  std::map<std::string, std::uint64_t> hook_ids;  ///< of the latest, by "client payload"
  std::vector<std::string> deliveries;            ///< "client topic payload", in order
  std::vector<std::string> told;                  ///< notices: "cause client topic"
  contract::DeliverHook last_delivery{};

 private:
  void on_deliver_hook(const contract::DeliverHook& event,
                       const std::string (&fields)[8]) override {
    hook_ids[fields[0] + " " + fields[6]] = event.hook_id;
    deliveries.push_back(fields[0] + " " + fields[4] + " " + fields[6]);
    last_delivery = event;
  }
  void on_notice(const contract::Notice& event, std::string_view client,
                 std::string_view topic) override {
    told.push_back(std::to_string(event.cause) + " " + std::string(client) + " " +
                   std::string(topic));
  }
};

}  // namespace stmqtt::test
