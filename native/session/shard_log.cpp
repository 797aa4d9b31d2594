// Shard: log records for those who look closely, and the traces of packets.
#include <string>

#include "session/shard.hpp"

namespace stmqtt {

using contract::LogLevel;
using contract::LogModule;

void Shard::set_log_rules(const LogRules& rules) noexcept {
  log_rules_ = &rules;
  finest_log_ = rules.finest();
  writes_.set_logged(may_log(LogLevel::debug));
  tap_.set_log(finest_log_ >= static_cast<std::uint8_t>(LogLevel::trace) ? &rules : nullptr);
}

void Shard::add_trace(TraceRef trace) noexcept {
  tap_.add(std::move(trace));
  schedule_trace_end();
}

void Shard::schedule_trace_end() noexcept {
  const std::uint64_t next = tap_.next_end_ms();
  if (next != 0) wheel_.schedule(trace_timer_, next);
}

void Shard::log(LogLevel level, LogModule module, const Client& client,
                const std::string& text) noexcept {
  Bytes client_id;
  if (client.session != nullptr) {
    client_id = client.session->client_id();
  } else if (client.connecting != nullptr) {
    client_id = client.connecting->client_id.empty() ? client.connecting->view.client_id
                                                     : client.connecting->client_id;
  }
  if (!log_rules_->wants(level, module, client_id)) return;
  char address[Host::kAddressBytes];
  const Bytes from = host_.address(client, address);
  contract::Log event{};
  event.connection_id = client.connection_id;
  event.level = static_cast<std::uint8_t>(level);
  event.module = static_cast<std::uint8_t>(module);
  event.client_id_bytes = static_cast<std::uint32_t>(client_id.size());
  event.address_bytes = static_cast<std::uint32_t>(from.size());
  event.text_bytes = static_cast<std::uint32_t>(text.size());
  if (client.session != nullptr) event.instance = client.session->key().instance();
  host_.event(contract::EventKind::log, event.header, sizeof event,
              {client_id, from, as_bytes(text)});
}

void Shard::log_connect(const Client& client) noexcept {
  const wire::ConnectView& view = client.connecting->view;
  std::string text = "CONNECT, protocol level " + std::to_string(view.protocol_level & 0x7F) +
                     ", keep alive " + std::to_string(view.keep_alive_s) + " s";
  if (view.clean_start) text += ", clean start";
  if (view.has_will) text += ", Will '" + std::string(as_text(view.will_topic)) + "'";
  if (view.has_username) text += ", user '" + std::string(as_text(view.username)) + "'";
  log(LogLevel::debug, LogModule::session, client, text);
}

void Shard::log_subscribe(const Client& client, const wire::SubscriptionView& view,
                          wire::ReasonCode outcome) noexcept {
  std::string text = "SUBSCRIBE '" + std::string(as_text(view.topic_filter)) + "' QoS " +
                     std::to_string(view.qos);
  text += wire::is_error(outcome)
              ? std::string(": ") + wire::reason_text(outcome)
              : ", granted " + std::to_string(static_cast<unsigned>(outcome));
  log(LogLevel::debug, LogModule::session, client, text);
}

}  // namespace stmqtt
