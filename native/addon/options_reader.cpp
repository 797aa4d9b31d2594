#include "addon/options_reader.hpp"

#include <string>
#include <utility>

#include "addon/object_reader.hpp"
#include "wire/topic.hpp"

namespace stmqtt {
namespace {

using Reader = ObjectReader;

bool read_limits(Napi::Env env, const Napi::Object& from, Limits& to,
                 std::uint32_t& max_connections) {
  Reader reader(env, from);
  reader.number("connect_timeout_ms", to.connect_timeout_ms);
  reader.number("max_connections", max_connections);
  reader.number("max_packet_size", to.max_packet_size);
  reader.number("max_inflight", to.max_inflight);
  reader.number("receive_maximum", to.receive_maximum);
  reader.number("max_queued_messages", to.max_queued_messages);
  reader.number("max_queued_bytes", to.max_queued_bytes);
  reader.choice("queue_overflow", to.queue_overflow,
                {{"drop_newest", QueueOverflow::drop_newest},
                 {"drop_oldest", QueueOverflow::drop_oldest}, {"refuse", QueueOverflow::refuse}});
  if (reader.has("duplicate_client_id")) {
    using enum DuplicateClientId;
    reader.choice("duplicate_client_id", to.duplicates, {{"takeover", takeover}, {"reject", reject}, {"allow", allow}});
  }
  reader.number("max_qos", to.max_qos);
  reader.flag("retain_available", to.retain_available);
  reader.flag("wildcard_subscriptions", to.wildcard_subscriptions);
  reader.flag("subscription_identifiers", to.subscription_identifiers);
  reader.flag("shared_subscriptions", to.shared_subscriptions);
  reader.number("fair_packets_per_turn", to.fair_packets_per_turn);
  reader.number("topic_alias_maximum", to.topic_alias_maximum);
  reader.number("max_topic_alias_out", to.max_topic_alias_out);
  reader.number("max_keep_alive_s", to.max_keep_alive_s);
  reader.number("default_keep_alive_s", to.default_keep_alive_s);
  reader.flag("allow_zero_keep_alive", to.allow_zero_keep_alive);
  reader.number("max_session_expiry_s", to.max_session_expiry_s);
  reader.number("max_message_expiry_s", to.max_message_expiry_s);
  reader.flag("allow_empty_client_id", to.allow_empty_client_id);
  reader.flag("sys_read", to.sys_read);
  reader.flag("sys_write", to.sys_write);
  reader.number("max_client_id_bytes", to.max_client_id_bytes);
  reader.number("max_topic_levels", to.max_topic_levels);
  reader.number("max_subscriptions", to.max_subscriptions);
  if (reader.has("tenant_mode")) {
    using enum TenantMode;
    reader.choice("tenant_mode", to.tenant_mode,
                  {{"off", off}, {"enforced", enforced}, {"transparent", transparent}});
  }
  if (reader.has("dynamic_filters")) reader.flag("dynamic_filters", to.dynamic_filters);
  if (reader.has("tenant")) reader.text("tenant", to.tenant);
  if (reader.has("role")) {
    reader.choice("role", to.role,
                  {{"device", contract::Role::device}, {"service", contract::Role::service}});
  }
  reader.number("max_messages_per_s", to.max_messages_per_s);
  reader.number("max_bytes_per_s", to.max_bytes_per_s);
  reader.choice("on_rate_exceeded", to.on_rate_exceeded,
                {{"pause", RateExceeded::pause}, {"refuse", RateExceeded::refuse},
                 {"disconnect", RateExceeded::disconnect}});
  if (reader.good() && to.max_qos > 2) reader.fail("max_qos", "0 to 2");
  if (reader.good() && to.max_inflight == 0) reader.fail("max_inflight", "at least 1");
  if (reader.good() && to.receive_maximum == 0) reader.fail("receive_maximum", "at least 1");
  return reader.good();
}

constexpr std::uint8_t kFinestLog = 5;

bool good_level(const Napi::Value& value, std::uint8_t& to) {
  if (!value.IsNumber()) return false;
  const double level = value.As<Napi::Number>().DoubleValue();
  if (!(level >= 0 && level <= kFinestLog)) return false;
  to = static_cast<std::uint8_t>(level);
  return true;
}

/// { session: 5 }: the modules that are not there have the level of all.
void read_log_modules(Reader& reader, LogRules& to) {
  const Napi::Object given = reader.object("log_modules");
  to.modules.fill(LogRules::kAsLevel);
  static constexpr std::pair<const char*, contract::LogModule> kModules[] = {
      {"listener", contract::LogModule::listener}, {"session", contract::LogModule::session},
      {"auth", contract::LogModule::auth},         {"store", contract::LogModule::store},
      {"route", contract::LogModule::route},       {"link", contract::LogModule::link}};
  for (const auto& [name, module] : kModules) {
    if (!reader.good()) return;
    const Napi::Value value = given.Get(name);
    if (value.IsUndefined()) continue;
    if (!good_level(value, to.modules[static_cast<std::size_t>(module)])) {
      return reader.fail("log_modules", "levels from 0 to 5 by module");
    }
  }
}

/// [["client-1", 5], …]
void read_log_clients(Reader& reader, LogRules& to) {
  const Napi::Object given = reader.object("log_clients");
  if (!reader.good()) return;
  to.clients.clear();
  const std::uint32_t count = given.IsArray() ? given.As<Napi::Array>().Length() : UINT32_MAX;
  bool good = count <= LogRules::kMaxClients;
  for (std::uint32_t at = 0; good && at < count; ++at) {
    const Napi::Value pair = given.Get(at);
    good = pair.IsArray();
    if (!good) break;
    const Napi::Value name = pair.As<Napi::Object>().Get(0U);
    std::uint8_t level = 0;
    good = name.IsString() && good_level(pair.As<Napi::Object>().Get(1U), level);
    if (good) to.clients.emplace_back(name.As<Napi::String>().Utf8Value(), level);
  }
  if (!good) reader.fail("log_clients", "at most 64 pairs of a Client Identifier and a level");
}

/// { on, max_delay_s, max_messages, max_bytes, when_full, at_end }
void read_delay_options(Napi::Env env, Reader& outer, DelayOptions& to) {
  const Napi::Object given = outer.object("delayed");
  if (!outer.good()) return;
  Reader reader(env, given);
  DelayOptions delayed;
  reader.flag("on", delayed.on);
  reader.number("max_delay_s", delayed.max_delay_s);
  reader.number("max_messages", delayed.max_messages);
  reader.number("max_bytes", delayed.max_bytes);
  reader.choice("when_full", delayed.when_full,
                {{"refuse", DelayFull::refuse}, {"publish", DelayFull::publish}});
  reader.choice("at_end", delayed.at_end,
                {{"publish", DelayEnd::publish}, {"drop", DelayEnd::drop}});
  if (!reader.good()) return outer.give_up();
  to = delayed;
}

/// Those that may change while the engine runs. All are there, or only those to change.
enum class Wanted : std::uint8_t { all, given };

bool read_live_options(Napi::Env env, Reader& reader, Wanted wanted, LiveOptions& to) {
  const auto is_wanted = [&](const char* name) {
    return wanted == Wanted::all || reader.has(name);
  };
  const auto number = [&](const char* name, auto& field) {
    if (is_wanted(name)) reader.number(name, field);
  };
  if (is_wanted("shared_strategy")) {
    reader.choice("shared_strategy", to.shared_strategy,
                  {{"roundrobin", SharedStrategy::roundrobin},
                   {"random", SharedStrategy::random},
                   {"sticky", SharedStrategy::sticky},
                   {"hash_clientid", SharedStrategy::hash_clientid},
                   {"hash_topic", SharedStrategy::hash_topic}});
  }
  number("max_connections", to.max_connections);
  number("max_memory_bytes", to.max_memory_bytes);
  number("match_cache_bytes", to.match_cache_bytes);
  number("outbound_high_watermark_bytes", to.outbound_high_watermark_bytes);
  number("outbound_low_watermark_bytes", to.outbound_low_watermark_bytes);
  number("event_mask", to.event_mask);
  number("verdict_timeout_ms", to.verdict_timeout_ms);
  if (is_wanted("authenticate")) reader.flag("authenticate", to.authenticate);
  if (is_wanted("enhanced_auth")) reader.flag("enhanced_auth", to.enhanced_auth);
  number("accepts_per_turn", to.accepts_per_turn);
  number("max_connections_per_tenant", to.tenants.max_connections);
  number("messages_per_s_per_tenant", to.tenants.messages_per_s);
  number("bytes_per_s_per_tenant", to.tenants.bytes_per_s);
  number("flapping_count", to.flapping.count);
  number("flapping_window_ms", to.flapping.window_ms);
  number("flapping_ban_s", to.flapping.ban_s);
  if (is_wanted("me_topics")) {
    reader.choice("me_topics", to.device.mode,
                  {{"off", MeMode::off}, {"scoped", MeMode::scoped}, {"shared", MeMode::shared}});
    reader.flag("device_id_from_client", to.device.id_from_client);
    to.device.patterns.clear();
    reader.texts("me_patterns", "Topic Filters", [&](const std::string& text) {
      to.device.patterns.push_back(text);
      return wire::valid_topic_filter(as_bytes(text));
    });
  }
  number("log_level", to.log.level);
  if (reader.good() && to.log.level > kFinestLog) reader.fail("log_level", "0 to 5");
  if (reader.has("delayed")) read_delay_options(env, reader, to.delayed);
  if (reader.has("logs")) read_log_options(env, reader, to.logs);
  if (reader.has("log_modules")) read_log_modules(reader, to.log);
  if (reader.has("log_clients")) read_log_clients(reader, to.log);
  if (reader.good() && to.outbound_low_watermark_bytes > to.outbound_high_watermark_bytes) {
    reader.fail("outbound_low_watermark_bytes", "at most outbound_high_watermark_bytes");
  }
  return reader.good();
}

/// What lies between the listener's sockets and MQTT, TLS apart.
void read_channels(Napi::Env env, Reader& reader, ChannelSettings& to) {
  std::vector<IpNetwork> trusted;
  if (reader.has("trusted_proxies")) {
    reader.texts("trusted_proxies", "IP networks such as 10.0.0.0/8", [&](const std::string& text) {
      trusted.push_back(parse_ip_network(text));
      return trusted.back().address.known();
    });
  }
  if (reader.has("proxy_protocol")) {
    std::optional<stream::ProxyVersions> versions;
    reader.choice("proxy_protocol", versions,
                  {{"off", std::nullopt},
                   {"v1", stream::ProxyVersions::v1},
                   {"v2", stream::ProxyVersions::v2},
                   {"any", stream::ProxyVersions::any}});
    if (versions) to.proxy = ProxySettings{*versions, trusted};
  }
  if (!reader.has("websocket") || reader.is_null("websocket")) return;
  const Napi::Object given = reader.object("websocket");
  if (!reader.good()) return;
  Reader websocket(env, given);
  WebSocketSettings settings;
  websocket.text("path", settings.rules.path);
  websocket.texts("origins", "strings", [&](const std::string& text) {
    settings.rules.origins.push_back(text);
    return true;
  });
  if (websocket.good() && !settings.rules.path.empty() && settings.rules.path[0] != '/') {
    websocket.fail("path", "empty or begin with /");
  }
  if (!websocket.good()) return reader.give_up();
  settings.trusted = std::move(trusted);
  to.websocket = std::move(settings);
}

}  // namespace

bool read_changed_options(Napi::Env env, const Napi::Object& from, LiveOptions& to) {
  Reader reader(env, from);
  return read_live_options(env, reader, Wanted::given, to);
}

bool read_changed_limits(Napi::Env env, const Napi::Object& from, Limits& to,
                         std::uint32_t& max_connections) {
  return read_limits(env, from, to, max_connections);
}

bool read_admission(const Napi::Value& from, Admission& to) {
  const std::string text = from.IsString() ? from.As<Napi::String>().Utf8Value() : "";
  if (text == "open") {
    to = Admission::open;
  } else if (text == "open_no_device") {
    to = Admission::open_no_device;
  }
  return to != Admission::judged || text == "judged";
}

bool read_rule_options(Napi::Env env, const Napi::Object& from, RuleOptions& to) {
  Reader reader(env, from);
  reader.choice("default", to.fallback,
                {{"auto", RuleDefault::automatic},
                 {"allow", RuleDefault::allow},
                 {"deny", RuleDefault::deny}});
  reader.choice("v3_denied", to.disconnects_v3, {{"drop", false}, {"disconnect", true}});
  reader.flag("narrow", to.narrows);
  return reader.good();
}

bool read_ban_kind(Napi::Env env, const Napi::Object& from, BanKind& to) {
  Reader reader(env, from);
  reader.choice("kind", to,
                {{"client", BanKind::client},
                 {"user", BanKind::user},
                 {"address", BanKind::address}});
  return reader.good();
}

bool read_ban(Napi::Env env, const Napi::Object& from, std::uint64_t now_ms, Ban& to) {
  if (!read_ban_kind(env, from, to.kind)) return false;
  Reader reader(env, from);
  std::uint32_t seconds = 0;
  reader.text("value", to.value);
  reader.text("reason", to.reason);
  reader.number("seconds", seconds);
  if (reader.good() && (to.value.empty() || to.value.size() > 65'535)) {
    reader.fail("value", "1 to 65535 bytes");
  }
  if (reader.good() && to.reason.size() > 1024) reader.fail("reason", "at most 1024 bytes");
  if (seconds != 0) to.expires_ms = now_ms + seconds * std::uint64_t{1000};
  return reader.good();
}

bool read_trace_spec(Napi::Env env, const Napi::Object& from, TraceSpec& to) {
  Reader reader(env, from);
  reader.number("id", to.id);
  if (reader.has("clientId")) reader.text("clientId", to.client_id);
  if (reader.has("address")) reader.text("address", to.address);
  if (reader.has("topic")) reader.text("topic", to.topic_filter);
  reader.number("max_per_s", to.max_per_s);
  reader.number("seconds", to.seconds);
  reader.number("payload_bytes", to.payload_bytes);
  if (!reader.good()) return false;
  if (to.client_id.empty() && to.address.empty() && to.topic_filter.empty()) {
    reader.fail("clientId", "there, or address, or topic");
  } else if (!to.topic_filter.empty() && !wire::valid_topic_filter(as_bytes(to.topic_filter))) {
    reader.fail("topic", "a Topic Filter");
  } else if (to.max_per_s == 0 || to.seconds == 0) {
    reader.fail("max_per_s", "at least 1, and seconds too");
  }
  return reader.good();
}

bool read_engine_options(Napi::Env env, const Napi::Object& from, EngineOptions& to,
                         Limits& link_limits) {
  Reader reader(env, from);
  reader.number("io_threads", to.io_threads);
  reader.choice("placement", to.placement,
                {{"round-robin", Placement::round_robin},
                 {"least-connections", Placement::least_connections}});
  reader.text("client_id_prefix", to.client_id_prefix);
  if (!read_live_options(env, reader, Wanted::all, to)) return false;
  if (to.io_threads == 0 || to.io_threads > kMaxIoThreads) {
    reader.fail("io_threads", "1 to 64");
    return false;
  }
  const Napi::Object store_options = reader.object("store");
  if (!reader.good()) return false;
  Reader store(env, store_options);
  std::string kind;
  store.text("kind", kind);
  if (kind == "slow") {
    to.store = StoreKind::trial;
    store.number("delay_ms", to.trial_store.delay_ms);
  } else if (kind == "failing") {
    to.store = StoreKind::trial;
    store.number("after", to.trial_store.granted_tickets);
  } else if (kind != "memory") {
    store.fail("store.kind", "one of its words");
  }
  if (!reader.good() || !store.good()) return false;
  const Napi::Object given = reader.object("link_limits");
  std::uint32_t unused = 0;
  return reader.good() && read_limits(env, given, link_limits, unused);
}

bool read_listen_spec(Napi::Env env, const Napi::Object& from, EngineListenSpec& to) {
  Reader reader(env, from);
  reader.text("unix_path", to.socket.unix_path);
  if (to.socket.unix_path.empty()) {
    reader.text("host", to.socket.host);
    reader.number("port", to.socket.port);
    bool ipv6_only = false;
    reader.flag("ipv6_only", ipv6_only);
    to.socket.ipv6_scope = ipv6_only ? Ipv6Scope::ipv6_only : Ipv6Scope::dual_stack;
  } else {
    reader.number("unix_mode", to.socket.unix_mode);
  }
  reader.number("backlog", to.socket.backlog);
  reader.text("name", to.name);
  reader.number("accept_delay_ms", to.pacing.delay_ms);
  reader.number("max_connect_rate", to.pacing.max_per_s);
  reader.number("total_messages_per_s", to.total_messages_per_s);
  reader.number("total_bytes_per_s", to.total_bytes_per_s);
  if (reader.has("tls")) reader.number("tls", to.tls);
  if (reader.has("tls_outside")) reader.flag("tls_outside", to.tls_outside);
  if (reader.has("handshake_timeout_ms")) {
    reader.number("handshake_timeout_ms", to.handshake_timeout_ms);
  }
  read_channels(env, reader, to.channels);
  reader.number("max_handshakes", to.max_handshakes);
  reader.number("max_connections_per_address", to.addresses.max_connections);
  reader.number("max_connect_rate_per_address", to.addresses.max_connects_per_s);
  std::uint8_t levels = 0;
  reader.number("protocol_levels", levels);
  const Napi::Object limits = reader.object("limits");
  if (!reader.good() || !read_limits(env, limits, to.limits, to.max_connections)) return false;
  to.limits.protocol_levels = levels;
  return true;
}

bool read_channel_settings(Napi::Env env, const Napi::Object& from, ChannelSettings& to) {
  Reader reader(env, from);
  read_channels(env, reader, to);
  return reader.good();
}

}  // namespace stmqtt
