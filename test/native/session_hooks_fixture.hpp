// Scenes with hooks: a net whose hooks are played by the test.
// Thread: one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "session_access_fixture.hpp"

namespace stmqtt::test {

using contract::HookAction;

struct HookText {
  std::string filter;
  std::uint32_t timeout_ms = 1000;
  bool drops = false;
  std::uint8_t kind = kHookPublish;
};

inline std::string form_of(const std::vector<HookText>& hooks) {
  std::string form;
  const auto number = [&](std::size_t value, std::size_t bytes) {
    for (std::size_t n = 0; n < bytes; ++n) form += static_cast<char>(value >> (8 * n) & 0xFF);
  };
  number(hooks.size(), 4);
  for (const HookText& hook : hooks) {
    number(hook.kind, 1);
    number(hook.drops ? 1 : 0, 1);
    number(hook.filter.size(), 2);
    number(hook.timeout_ms, 4);
    form += hook.filter;
  }
  return form;
}

/// A net whose hooks are played by the test.
class HookBed : public model::Bed {
 public:
  explicit HookBed(const std::vector<HookText>& hooks, const model::NetOptions& options = {})
      : Bed(options) {
    set(hooks);
  }
  /// A client that gets all messages with QoS 0, and has got none yet.
  model::Peer& receiver() {
    model::Peer& peer = ready(named("r"));
    peer.subscribe("#", 0);
    settle();
    static_cast<void>(peer.take());
    return peer;
  }
  void set(const std::vector<HookText>& hooks) {
    const std::string form = form_of(hooks);
    const auto set = HookSet::read(as_bytes(form));
    REQUIRE(set != nullptr);
    for (unsigned shard = 0; shard < net().shards(); ++shard) net().set_hooks(shard, set);
  }
  /// The hooks' answer about the message with this payload.
  void verdict(const std::string& payload, HookAction action = HookAction::pass,
               ReasonCode reason = ReasonCode::success, const std::string& text = {}) {
    contract::HookVerdict verdict{};
    verdict.hook_id = asked.at(payload);
    verdict.action = static_cast<std::uint8_t>(action);
    verdict.reason_code = static_cast<std::uint8_t>(reason);
    HookVerdictTexts texts;
    texts.reason = as_bytes(text);
    net().hook_verdict(verdict, texts);
    settle();
  }
  void change(const std::string& payload, const std::string& topic, const std::string& to,
              std::uint8_t qos, bool retain) {
    contract::HookVerdict verdict{};
    verdict.hook_id = asked.at(payload);
    verdict.action = static_cast<std::uint8_t>(HookAction::change);
    verdict.qos = qos;
    verdict.retain = retain ? 1 : 0;
    HookVerdictTexts texts;
    texts.topic = as_bytes(topic);
    texts.payload = as_bytes(to);
    net().hook_verdict(verdict, texts);
    settle();
  }
  void wait(std::uint64_t ms) {
    net().advance(ms);
    for (unsigned shard = 0; shard < net().shards(); ++shard) net().timers(shard);
    settle();
  }

  std::map<std::string, std::uint64_t> asked;  ///< by payload
  std::vector<std::string> shown;              ///< "client topic payload", in order
  contract::PublishHook last{};

 private:
  void on_publish_hook(const contract::PublishHook& event,
                       const std::string (&fields)[7]) override {
    asked[fields[6]] = event.hook_id;
    shown.push_back(fields[0] + " " + fields[4] + " " + fields[6]);
    last = event;
  }
};

inline ConnectText v3(const std::string& id, bool clean = true) {
  ConnectText text = named(id);
  text.version = Version::v311;
  text.clean_start = clean;
  return text;
}

}  // namespace stmqtt::test
