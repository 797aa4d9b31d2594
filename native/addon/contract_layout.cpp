#include "addon/contract_layout.hpp"

#include <cstddef>

#include "contract/counters.hpp"
#include "contract/latency.hpp"
#include "contract/records.hpp"

namespace stmqtt {
namespace {

using namespace contract;

struct Field {
  const char* name;
  std::size_t offset;
  std::size_t bytes;
};

void number(std::string& out, std::size_t value) { out += std::to_string(value); }

void record(std::string& out, const char* name, const char* direction, std::size_t kind,
            std::size_t bytes, std::initializer_list<Field> fields) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += name;
  out += "\":{\"direction\":\"";
  out += direction;
  out += "\",\"kind\":";
  number(out, kind);
  out += ",\"bytes\":";
  number(out, bytes);
  out += ",\"fields\":{";
  bool first = true;
  for (const Field& field : fields) {
    if (!first) out += ',';
    first = false;
    out += '"';
    out += field.name;
    out += "\":{\"offset\":";
    number(out, field.offset);
    out += ",\"bytes\":";
    number(out, field.bytes);
    out += '}';
  }
  out += "}}";
}

#define F(Record, field) Field{#field, offsetof(Record, field), sizeof(Record::field)}
#define EVENT(Record, kind, ...) \
  record(out, #Record, "event", static_cast<std::size_t>(EventKind::kind), sizeof(Record), {__VA_ARGS__})
#define COMMAND(Record, kind, ...) \
  record(out, #Record, "command", static_cast<std::size_t>(CommandKind::kind), sizeof(Record), {__VA_ARGS__})

void records(std::string& out) {
  EVENT(ConnectRequest, connect_request, F(ConnectRequest, connection_id),
        F(ConnectRequest, listener_id), F(ConnectRequest, session_expiry_s),
        F(ConnectRequest, keep_alive_s), F(ConnectRequest, protocol_level),
        F(ConnectRequest, flags), F(ConnectRequest, client_id_bytes),
        F(ConnectRequest, username_bytes), F(ConnectRequest, password_bytes),
        F(ConnectRequest, address_bytes), F(ConnectRequest, will_topic_bytes),
        F(ConnectRequest, certificate_bytes), F(ConnectRequest, auth_method_bytes),
        F(ConnectRequest, auth_data_bytes), F(ConnectRequest, transport),
        F(ConnectRequest, padding));
  EVENT(AuthRequest, auth_request, F(AuthRequest, connection_id), F(AuthRequest, flags),
        F(AuthRequest, padding), F(AuthRequest, auth_method_bytes),
        F(AuthRequest, auth_data_bytes), F(AuthRequest, client_id_bytes),
        F(AuthRequest, username_bytes), F(AuthRequest, address_bytes),
        F(AuthRequest, listener_id));
  EVENT(Connected, connected, F(Connected, connection_id), F(Connected, listener_id),
        F(Connected, session_expiry_s), F(Connected, keep_alive_s), F(Connected, protocol_level),
        F(Connected, flags), F(Connected, client_id_bytes), F(Connected, username_bytes),
        F(Connected, address_bytes), F(Connected, instance), F(Connected, padding));
  EVENT(Disconnected, disconnected, F(Disconnected, connection_id), F(Disconnected, cause),
        F(Disconnected, reason_code), F(Disconnected, flags), F(Disconnected, client_id_bytes),
        F(Disconnected, username_bytes), F(Disconnected, address_bytes),
        F(Disconnected, detail_bytes), F(Disconnected, instance));
  EVENT(Refused, refused, F(Refused, connection_id), F(Refused, listener_id), F(Refused, cause),
        F(Refused, reason_code), F(Refused, protocol_level), F(Refused, client_id_bytes),
        F(Refused, address_bytes), F(Refused, detail_bytes));
  EVENT(SessionEnded, session_ended, F(SessionEnded, cause), F(SessionEnded, padding),
        F(SessionEnded, client_id_bytes), F(SessionEnded, instance), F(SessionEnded, padding2));
  EVENT(LinkBytes, link_bytes, F(LinkBytes, link_id), F(LinkBytes, data_bytes));
  EVENT(LinkClosed, link_closed, F(LinkClosed, link_id), F(LinkClosed, cause),
        F(LinkClosed, reason_code), F(LinkClosed, padding));
  EVENT(Log, log, F(Log, connection_id), F(Log, suppressed), F(Log, cause), F(Log, level),
        F(Log, reason_code), F(Log, client_id_bytes), F(Log, address_bytes), F(Log, text_bytes),
        F(Log, module), F(Log, padding), F(Log, instance), F(Log, padding2));
  EVENT(Trace, trace, F(Trace, connection_id), F(Trace, time_ms), F(Trace, trace_id),
        F(Trace, packet_length), F(Trace, suppressed), F(Trace, direction),
        F(Trace, protocol_level), F(Trace, padding), F(Trace, client_id_bytes),
        F(Trace, address_bytes), F(Trace, packet_bytes), F(Trace, instance));
  EVENT(TraceEnd, trace_end, F(TraceEnd, trace_id), F(TraceEnd, suppressed), F(TraceEnd, cause),
        F(TraceEnd, padding));
  EVENT(Alert, alert, F(Alert, count), F(Alert, alert), F(Alert, cause),
        F(Alert, client_id_bytes), F(Alert, filter_bytes), F(Alert, instance));
  EVENT(Drained, drained, F(Drained, unflushed_connections), F(Drained, padding));
  EVENT(Written, written, F(Written, write_id), F(Written, outcome), F(Written, reason_code),
        F(Written, cause), F(Written, padding), F(Written, instance));
  EVENT(Reply, reply, F(Reply, query_id), F(Reply, status), F(Reply, code), F(Reply, rows_bytes),
        F(Reply, cursor_bytes), F(Reply, data_bytes));
  EVENT(PublishHook, publish_hook, F(PublishHook, hook_id), F(PublishHook, connection_id),
        F(PublishHook, listener_id), F(PublishHook, expiry_s), F(PublishHook, qos),
        F(PublishHook, retain), F(PublishHook, flags), F(PublishHook, protocol_level),
        F(PublishHook, client_id_bytes), F(PublishHook, username_bytes),
        F(PublishHook, tenant_bytes), F(PublishHook, device_id_bytes), F(PublishHook, topic_bytes),
        F(PublishHook, properties_bytes), F(PublishHook, payload_bytes),
        F(PublishHook, instance), F(PublishHook, padding));
  EVENT(SubscribeHook, subscribe_hook, F(SubscribeHook, connection_id),
        F(SubscribeHook, listener_id), F(SubscribeHook, subscription_id), F(SubscribeHook, flags),
        F(SubscribeHook, protocol_level), F(SubscribeHook, padding),
        F(SubscribeHook, client_id_bytes), F(SubscribeHook, username_bytes),
        F(SubscribeHook, tenant_bytes), F(SubscribeHook, device_id_bytes),
        F(SubscribeHook, filters_bytes), F(SubscribeHook, instance));
  EVENT(DeliverHook, deliver_hook, F(DeliverHook, hook_id), F(DeliverHook, connection_id),
        F(DeliverHook, listener_id), F(DeliverHook, expiry_s), F(DeliverHook, qos),
        F(DeliverHook, retain), F(DeliverHook, flags), F(DeliverHook, protocol_level),
        F(DeliverHook, client_id_bytes), F(DeliverHook, username_bytes),
        F(DeliverHook, tenant_bytes), F(DeliverHook, device_id_bytes), F(DeliverHook, topic_bytes),
        F(DeliverHook, properties_bytes), F(DeliverHook, payload_bytes),
        F(DeliverHook, publisher_bytes), F(DeliverHook, instance));
  EVENT(Notice, notice, F(Notice, connection_id), F(Notice, left_out), F(Notice, notice),
        F(Notice, cause), F(Notice, packet_id), F(Notice, qos), F(Notice, reason_code),
        F(Notice, client_id_bytes), F(Notice, topic_bytes), F(Notice, instance));
  COMMAND(HookVerdict, hook_verdict, F(HookVerdict, hook_id), F(HookVerdict, action),
          F(HookVerdict, reason_code), F(HookVerdict, flags), F(HookVerdict, qos),
          F(HookVerdict, retain), F(HookVerdict, padding), F(HookVerdict, reason_text_bytes),
          F(HookVerdict, topic_bytes), F(HookVerdict, properties_bytes),
          F(HookVerdict, payload_bytes));
  COMMAND(Verdict, verdict, F(Verdict, connection_id), F(Verdict, max_session_expiry_s),
          F(Verdict, server_keep_alive_s), F(Verdict, reason_code), F(Verdict, max_qos),
          F(Verdict, will_refused), F(Verdict, role), F(Verdict, anonymous),
          F(Verdict, padding),
          F(Verdict, client_id_bytes), F(Verdict, username_bytes), F(Verdict, reason_text_bytes),
          F(Verdict, expires_s), F(Verdict, max_messages_per_s), F(Verdict, max_bytes_per_s),
          F(Verdict, max_subscriptions), F(Verdict, max_packet_size), F(Verdict, tenant_bytes),
          F(Verdict, device_id_bytes), F(Verdict, groups_bytes),
          F(Verdict, certificate_name_bytes), F(Verdict, rules_bytes),
          F(Verdict, auth_data_bytes));
  COMMAND(LinkOpen, link_open, F(LinkOpen, link_id), F(LinkOpen, credit_bytes),
          F(LinkOpen, device_id_bytes), F(LinkOpen, role), F(LinkOpen, flags),
          F(LinkOpen, padding));
  COMMAND(LinkCredit, link_credit, F(LinkCredit, link_id), F(LinkCredit, consumed_bytes));
  COMMAND(LinkClose, link_close, F(LinkClose, link_id), F(LinkClose, padding));
  COMMAND(Disconnect, disconnect, F(Disconnect, reason_code), F(Disconnect, padding),
          F(Disconnect, client_id_bytes), F(Disconnect, reason_text_bytes),
          F(Disconnect, instance));
  COMMAND(Drain, drain, F(Drain, deadline_ms), F(Drain, padding));
  COMMAND(Publish, publish, F(Publish, qos), F(Publish, retain), F(Publish, padding),
          F(Publish, expiry_s), F(Publish, topic_bytes), F(Publish, payload_bytes));
  COMMAND(DirectWrite, direct_write, F(DirectWrite, write_id), F(DirectWrite, qos),
          F(DirectWrite, flags), F(DirectWrite, padding), F(DirectWrite, expiry_s),
          F(DirectWrite, instance), F(DirectWrite, client_id_bytes), F(DirectWrite, topic_bytes),
          F(DirectWrite, properties_bytes), F(DirectWrite, payload_bytes),
          F(DirectWrite, padding2));
  COMMAND(Query, query, F(Query, query_id), F(Query, query), F(Query, thread), F(Query, limit),
          F(Query, reason_code), F(Query, options), F(Query, padding), F(Query, client_id_bytes),
          F(Query, text_bytes), F(Query, cursor_bytes), F(Query, instance), F(Query, padding2));
}

#undef COMMAND
#undef EVENT
#undef F

}  // namespace

std::string contract_layout_json() {
  std::string out = "{\"records\":{";
  records(out);
  out += "},\"counters\":[";
  for (std::size_t index = 0; index < kCounterCount; ++index) {
    if (index > 0) out += ',';
    out += '"';
    out += kCounterNames[index];
    out += '"';
  }
  out += "],\"latencyBoundsUs\":[";
  for (std::size_t index = 0; index + 1 < kLatencyBuckets; ++index) {
    if (index > 0) out += ',';
    number(out, kLatencyBoundsUs[index]);
  }
  out += "],\"closeCauses\":";
  number(out, kCloseCauseCount);
  out += '}';
  return out;
}

}  // namespace stmqtt
