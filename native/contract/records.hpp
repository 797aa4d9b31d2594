// The whole contract between native and TypeScript: every event (native -> TypeScript) and every
// command (TypeScript -> native) as a flat little-endian record. A record is a header, fixed
// fields, then its byte strings one behind the other in the order of their *_bytes fields, padded
// to 8. No behaviour here. src/native/contract.ts mirrors this file; a test holds them together.
// Thread: any (plain data).
#pragma once

#include <cstddef>
#include <cstdint>

namespace stmqtt::contract {

/// First field of every record.
struct RecordHeader {
  std::uint32_t record_bytes;  ///< whole record, header and padding included; a multiple of 8
  std::uint16_t kind;          ///< EventKind or CommandKind
  std::uint16_t reserved;
};

enum class EventKind : std::uint16_t {
  connect_request = 1,  ///< a CONNECT waits for a verdict command
  connected = 2,        ///< a client was admitted: CONNACK 0 is on its way
  disconnected = 3,     ///< exactly one for each connected event
  refused = 4,          ///< a CONNECT was answered with a refusal, or the socket ended before
  session_ended = 5,    ///< expired, discarded by Clean Start, or, where asked for, ended with its
                        ///< connection
  link_bytes = 6,       ///< MQTT 5.0 Control Packets for an in-process link, whole packets only
  link_closed = 7,      ///< the link's end; nothing follows for it
  log = 8,              ///< something an operator should know, rate-limited natively
  alert = 9,            ///< a bound was reached (queue overflow and the like)
  drained = 10,         ///< every connection of every thread is closed; threads may be joined
  trace = 12,           ///< a packet of a client that is traced
  trace_end = 13,       ///< a trace is over; of other threads, a packet or two may come behind it
  reply = 11,           ///< answers a query command; never left out
  auth_request = 14,    ///< an AUTH packet waits for a verdict command
  publish_hook = 16,    ///< a PUBLISH, or a Will, waits for a hook_verdict command
  written = 15,         ///< answers a direct_write command; never left out
  subscribe_hook = 17,  ///< a SUBSCRIBE waits for one
  deliver_hook = 18,    ///< a message waits for one on its way to one receiver
  notice = 19,          ///< what hooks are told; left out where TypeScript is far behind
};

enum class CommandKind : std::uint16_t {
  verdict = 1,      ///< answers connect_request
  link_open = 2,    ///< a new in-process link; its first link_bytes must be a CONNECT
  link_bytes = 3,   ///< MQTT 5.0 Control Packets from the link, in any fragmentation
  link_credit = 4,  ///< bytes of link_bytes events that the link has consumed
  link_close = 5,   ///< the link's "socket" is closed (the Will is due unless DISCONNECT came)
  disconnect = 6,   ///< close a client by Client Identifier with a Reason Code
  drain = 7,        ///< stop accepting, DISCONNECT 0x8B, flush, close; answered by drained
  query = 8,        ///< asks for a page of a listing, or for a change of a session; answered by reply
  publish = 9,      ///< an Application Message of the broker's own: no client sent it
  direct_write = 10,  ///< a message for one client by name; answered by written
  hook_verdict = 11,  ///< answers publish_hook, subscribe_hook and deliver_hook; a late one is counted
};

/// Bits of ConnectRequest::flags, Connected::flags.
enum ConnectFlag : std::uint8_t {
  kConnectCleanStart = 1,
  kConnectHasUsername = 2,
  kConnectHasPassword = 4,
  kConnectHasWill = 8,
  kConnectSessionPresent = 16,
  kConnectIsLink = 32,
  kConnectAssignedId = 64,
  kConnectIsHooked = 128,  ///< accepted already: the verdict is of hooks
};

/// What a client came by.
enum class Transport : std::uint8_t { tcp = 0, unix_socket = 1, tls = 2, ws = 3, wss = 4 };

struct ConnectRequest {
  RecordHeader header;
  std::uint64_t connection_id;  ///< never reused within a process
  std::uint32_t listener_id;
  std::uint32_t session_expiry_s;  ///< as asked for; 0xFFFFFFFF = never
  std::uint16_t keep_alive_s;
  std::uint8_t protocol_level;  ///< 3, 4 or 5
  std::uint8_t flags;           ///< ConnectFlag
  std::uint32_t client_id_bytes;
  std::uint32_t username_bytes;
  std::uint32_t password_bytes;
  std::uint32_t address_bytes;  ///< "127.0.0.1:52110", "[::1]:4040", "unix"
  std::uint32_t will_topic_bytes;
  std::uint32_t certificate_bytes;  ///< DER of the client's verified certificate; 0 = none
  std::uint32_t auth_method_bytes;  ///< v5 Authentication Method; 0 = none
  std::uint32_t auth_data_bytes;
  std::uint8_t transport;  ///< Transport
  std::uint8_t padding[3];
};

/// Bits of AuthRequest::flags.
enum AuthFlag : std::uint8_t {
  kAuthAgain = 1,  ///< re-authentication of an active client
};

struct AuthRequest {
  RecordHeader header;
  std::uint64_t connection_id;
  std::uint8_t flags;  ///< AuthFlag
  std::uint8_t padding[3];
  std::uint32_t auth_method_bytes;
  std::uint32_t auth_data_bytes;
  // Who re-authenticates; nobody before CONNACK, when TypeScript knows it.
  std::uint32_t client_id_bytes;  ///< final
  std::uint32_t username_bytes;
  std::uint32_t address_bytes;
  std::uint32_t listener_id;
};

struct Connected {
  RecordHeader header;
  std::uint64_t connection_id;
  std::uint32_t listener_id;
  std::uint32_t session_expiry_s;  ///< as granted
  std::uint16_t keep_alive_s;      ///< as in force
  std::uint8_t protocol_level;
  std::uint8_t flags;
  std::uint32_t client_id_bytes;  ///< final, after assignment
  std::uint32_t username_bytes;
  std::uint32_t address_bytes;
  std::uint32_t instance;  ///< which connection of the Client Identifier; 0 = the first
  std::uint32_t padding;
};

/// Why a connection ended, for events, logs and counters. Append only; never renumber.
enum class CloseCause : std::uint16_t {
  none = 0,
  client_disconnect = 1,    ///< DISCONNECT received
  peer_closed = 2,          ///< end of stream without DISCONNECT
  socket_error = 3,         ///< reset and the like
  keep_alive_timeout = 4,
  connect_timeout = 5,      ///< no complete CONNECT in time
  malformed_packet = 6,
  protocol_error = 7,
  packet_too_large = 8,
  taken_over = 9,
  refused = 10,             ///< CONNACK with a refusal
  receive_maximum_exceeded = 11,
  topic_alias_invalid = 12,
  quota_exceeded = 13,
  administrative = 14,      ///< the disconnect command
  shutting_down = 15,
  topic_invalid = 16,
  store_failed = 17,
  outbound_overflow = 18,   ///< cannot take what must not be dropped
  version_refused = 19,
  connections_exceeded = 20,
  capability_refused = 21,  ///< QoS, retain, wildcard, shared: not available here
  link_closed = 22,
  not_authorized = 23,        ///< did what no rule allows, where that ends a connection
  credentials_expired = 24,   ///< the verdict's time is over
  banned = 25,
  rate_exceeded = 26,
  tls_failed = 27,            ///< the TLS handshake, or the session after it
  proxy_header_invalid = 28,
  websocket_failed = 29,      ///< the upgrade request, or a frame
  hook_refused = 30,          ///< an application's hook said so
  duplicate_client_id = 31,   ///< connected already, and the listener rejects the newer one
};
inline constexpr std::uint16_t kCloseCauseCount = 32;

struct Disconnected {
  RecordHeader header;
  std::uint64_t connection_id;
  std::uint16_t cause;       ///< CloseCause
  std::uint8_t reason_code;  ///< of the DISCONNECT received or sent; 0 if none
  std::uint8_t flags;
  std::uint32_t client_id_bytes;
  std::uint32_t username_bytes;
  std::uint32_t address_bytes;
  std::uint32_t detail_bytes;  ///< English text for the operator; may be empty
  std::uint32_t instance;
};

struct Refused {
  RecordHeader header;
  std::uint64_t connection_id;
  std::uint32_t listener_id;
  std::uint16_t cause;       ///< CloseCause
  std::uint8_t reason_code;  ///< MQTT 5.0 code, also for v3 clients
  std::uint8_t protocol_level;
  std::uint32_t client_id_bytes;
  std::uint32_t address_bytes;
  std::uint32_t detail_bytes;
};

/// In an event mask: session_ended is wanted with the cause with_connection too.
inline constexpr std::uint32_t kMaskEndsWithConnection = 1;

/// Why a session ended.
enum class SessionEndCause : std::uint16_t {
  expired = 1,
  clean_start = 2,
  with_connection = 3,
  administrative = 4,  ///< the session_end query
};

struct SessionEnded {
  RecordHeader header;
  std::uint16_t cause;  ///< SessionEndCause
  std::uint16_t padding;
  std::uint32_t client_id_bytes;
  std::uint32_t instance;
  std::uint32_t padding2;
};

struct LinkBytes {  ///< event and command
  RecordHeader header;
  std::uint32_t link_id;
  std::uint32_t data_bytes;
};

struct LinkClosed {
  RecordHeader header;
  std::uint32_t link_id;
  std::uint16_t cause;  ///< CloseCause
  std::uint8_t reason_code;
  std::uint8_t padding;
};

enum class LogLevel : std::uint8_t { error = 1, warn = 2, info = 3, debug = 4, trace = 5 };

/// The part of the broker that a log record is about.
enum class LogModule : std::uint8_t {
  listener = 1,
  session = 2,
  auth = 3,
  store = 4,
  route = 5,
  link = 6,
};
inline constexpr std::uint8_t kLogModuleCount = 7;  ///< 0 is none

struct Log {
  RecordHeader header;
  std::uint64_t connection_id;  ///< 0 = not about a connection
  std::uint32_t suppressed;     ///< like records not sent since the last one
  std::uint16_t cause;          ///< CloseCause or 0
  std::uint8_t level;           ///< LogLevel
  std::uint8_t reason_code;
  std::uint32_t client_id_bytes;
  std::uint32_t address_bytes;
  std::uint32_t text_bytes;
  std::uint8_t module;  ///< LogModule
  std::uint8_t padding[3];
  std::uint32_t instance;
  std::uint32_t padding2;
};

enum class AlertKind : std::uint16_t {
  queue_overflow = 1,  ///< a session's queue dropped messages by its policy
  memory_budget = 2,
  log_overrun = 3,     ///< the log of a filter was full: its oldest messages went
  logs_budget = 4,     ///< logs went, or messages of them, for one of the bounds of all logs
};

/// Which bound of all logs it was.
enum class LogsBudgetCause : std::uint16_t {
  filters = 1,  ///< max_dynamic_filters
  bytes = 2,    ///< max_dynamic_bytes
  memory = 3,   ///< max_memory_bytes
};

struct Alert {
  RecordHeader header;
  std::uint64_t count;  ///< messages lost since the last alert of this kind and client or filter;
                        ///< memory_budget: bytes in use
  std::uint16_t alert;  ///< AlertKind
  std::uint16_t cause;  ///< logs_budget: LogsBudgetCause
  std::uint32_t client_id_bytes;
  std::uint32_t filter_bytes;  ///< log_overrun: its Topic Filter; 0 = of several
  std::uint32_t instance;
};

struct Trace {
  RecordHeader header;
  std::uint64_t connection_id;
  std::uint64_t time_ms;        ///< of the wall clock
  std::uint32_t trace_id;
  std::uint32_t packet_length;  ///< of the whole Control Packet
  std::uint32_t suppressed;     ///< that fitted, but were too many in their second, since the last
  std::uint8_t direction;       ///< 0 = from the client, 1 = to it
  std::uint8_t protocol_level;  ///< 3, 4 or 5
  std::uint16_t padding;
  std::uint32_t client_id_bytes;
  std::uint32_t address_bytes;
  std::uint32_t packet_bytes;   ///< its beginning, with secrets blanked
  std::uint32_t instance;
};

enum class TraceEndCause : std::uint16_t { time_over = 1, stopped = 2 };

struct TraceEnd {
  RecordHeader header;
  std::uint32_t trace_id;
  std::uint32_t suppressed;  ///< since the last packet shown
  std::uint16_t cause;       ///< TraceEndCause
  std::uint16_t padding;
};

struct Drained {
  RecordHeader header;
  std::uint32_t unflushed_connections;  ///< closed at the deadline with bytes left
  std::uint32_t padding;
};

/// In Verdict: a field left as it was asked for.
inline constexpr std::uint32_t kVerdictUnset32 = 0xFFFFFFFE;
inline constexpr std::uint16_t kVerdictUnset16 = 0xFFFF;
inline constexpr std::uint8_t kVerdictUnset8 = 0xFF;

/// What the verdict knows of its client's place.
enum class Role : std::uint8_t { unset = 0, device = 1, service = 2 };

/// Longest Verdict::rules.
inline constexpr std::uint32_t kMaxRulesBytes = 1 << 20;

/// As it is made it accepts and changes nothing.
struct Verdict {
  RecordHeader header;
  std::uint64_t connection_id;
  std::uint32_t max_session_expiry_s = kVerdictUnset32;  ///< cap; kVerdictUnset32 = the listener's
  std::uint16_t server_keep_alive_s = kVerdictUnset16;   ///< kVerdictUnset16 = by the listener's rule
  std::uint8_t reason_code;            ///< 0 = accept; 0x18 = AUTH with auth_data goes out; else
                                       ///< CONNACK with it (mapped for v3)
  std::uint8_t max_qos = kVerdictUnset8;                ///< kVerdictUnset8 = the listener's
  std::uint8_t will_refused;           ///< 1 = a CONNECT with a Will is refused with 0x87
  std::uint8_t role;                   ///< Role
  std::uint8_t anonymous;              ///< 1 = nobody stands behind the username: it is dropped
  std::uint8_t padding[1];
  std::uint32_t client_id_bytes;  ///< replaces the Client Identifier; 0 = unchanged
  std::uint32_t username_bytes;   ///< replaces the username; 0 = unchanged
  std::uint32_t reason_text_bytes;  ///< Reason String of a refusal
  std::uint32_t expires_s = kVerdictUnset32;          ///< from now; kVerdictUnset32 = never
  // Limits of this client; kVerdictUnset32 = the listener's.
  std::uint32_t max_messages_per_s = kVerdictUnset32;
  std::uint32_t max_bytes_per_s = kVerdictUnset32;
  std::uint32_t max_subscriptions = kVerdictUnset32;
  std::uint32_t max_packet_size = kVerdictUnset32;
  std::uint32_t tenant_bytes;
  std::uint32_t device_id_bytes;
  std::uint32_t groups_bytes;            ///< names, NUL between them
  std::uint32_t certificate_name_bytes;  ///< what rules call the client's certificate
  std::uint32_t rules_bytes;             ///< of this client alone: route/rules.hpp has the form
  std::uint32_t auth_data_bytes;         ///< of CONNACK, or of the AUTH packet
};

/// Bits of the flags of PublishHook, SubscribeHook and DeliverHook.
enum HookFlag : std::uint8_t {
  kHookIsLink = 1,
  kHookIsWill = 2,      ///< its connection has ended
  kHookIsInTenant = 4,  ///< of a SUBSCRIBE: the filters stand behind its tenant inside
};
/// In PublishHook and DeliverHook: the message does not expire.
inline constexpr std::uint32_t kNoExpiry = 0xFFFFFFFF;

struct PublishHook {
  RecordHeader header;
  std::uint64_t hook_id;        ///< of the verdict; its first byte is the I/O thread
  std::uint64_t connection_id;  ///< 0 = none: a Will
  std::uint32_t listener_id;
  std::uint32_t expiry_s;       ///< that is left; kNoExpiry
  std::uint8_t qos;
  std::uint8_t retain;
  std::uint8_t flags;           ///< HookFlag
  std::uint8_t protocol_level;  ///< 3, 4 or 5; 0 = a Will
  std::uint32_t client_id_bytes;
  std::uint32_t username_bytes;
  std::uint32_t tenant_bytes;
  std::uint32_t device_id_bytes;
  std::uint32_t topic_bytes;       ///< in its internal form
  std::uint32_t properties_bytes;  ///< encoded, those that a server forwards
  std::uint32_t payload_bytes;
  std::uint32_t instance;          ///< which connection of the Client Identifier; 0 = the first
  std::uint32_t padding;
};

struct SubscribeHook {
  RecordHeader header;
  std::uint64_t connection_id;    ///< the hook_id of the verdict: thread and slot where it is now
  std::uint32_t listener_id;
  std::uint32_t subscription_id;  ///< Subscription Identifier; 0 = none
  std::uint8_t flags;             ///< HookFlag
  std::uint8_t protocol_level;    ///< 3, 4 or 5
  std::uint16_t padding;
  std::uint32_t client_id_bytes;
  std::uint32_t username_bytes;
  std::uint32_t tenant_bytes;
  std::uint32_t device_id_bytes;
  std::uint32_t filters_bytes;    ///< the packet's payload: filters with their options
  std::uint32_t instance;
};

/// All but the message and its publisher is about the receiver.
struct DeliverHook {
  RecordHeader header;
  std::uint64_t hook_id;        ///< of the verdict; its first byte is the I/O thread
  std::uint64_t connection_id;
  std::uint32_t listener_id;
  std::uint32_t expiry_s;       ///< that is left; kNoExpiry
  std::uint8_t qos;             ///< that it is delivered with
  std::uint8_t retain;          ///< likewise
  std::uint8_t flags;           ///< HookFlag
  std::uint8_t protocol_level;  ///< 3, 4 or 5
  std::uint32_t client_id_bytes;
  std::uint32_t username_bytes;
  std::uint32_t tenant_bytes;
  std::uint32_t device_id_bytes;
  std::uint32_t topic_bytes;       ///< in its internal form; of a DirectWrite as it was given
  std::uint32_t properties_bytes;  ///< encoded, without what is added for the receiver
  std::uint32_t payload_bytes;
  std::uint32_t publisher_bytes;   ///< encoded User Properties that say who published; 0 = unknown
  std::uint32_t instance;
};

enum class NoticeKind : std::uint16_t { ack = 1, drop = 2, unsubscribe = 3, subscribed = 4 };

/// Why a message did not get to its receiver.
enum class DropCause : std::uint16_t {
  none = 0,
  outbound_watermark = 1,
  queue_full_newest = 2,
  queue_full_oldest = 3,
  queue_bytes = 4,
  expired = 5,
  packet_too_large = 6,
  offline_qos0 = 7,
  shared_no_member = 8,
  memory_budget = 9,
  hook = 10,
  deliver_hook = 11,
  delayed_end = 12,  ///< it waited for its time when the broker stopped, or delaying was switched off
};

struct Notice {
  RecordHeader header;
  std::uint64_t connection_id;  ///< of the receiver, or of who unsubscribed; 0 = none
  std::uint32_t left_out;       ///< notices of this thread since the last one
  std::uint16_t notice;         ///< NoticeKind
  std::uint16_t cause;          ///< DropCause
  std::uint16_t packet_id;      ///< of an ack
  std::uint8_t qos;
  std::uint8_t reason_code;     ///< of an ack
  std::uint32_t client_id_bytes;
  std::uint32_t topic_bytes;    ///< in its internal form, a filter with its $share part
  std::uint32_t instance;       ///< of the receiver, or of who unsubscribed
};

/// subscribe: payload has for each filter of the SUBSCRIBE u8 Reason Code (0 = as it may be), u8 the
/// largest QoS, u16 little-endian length and text of another filter.
enum class HookAction : std::uint8_t { pass = 0, drop = 1, change = 2, subscribe = 3 };

/// Bits of HookVerdict::flags.
enum HookVerdictFlag : std::uint8_t {
  kHookVerdictTimedOut = 1,  ///< a hook did not answer in time; for the counters
  kHookVerdictFailed = 2,    ///< a hook failed; for the counters
  kHookVerdictOfDelivery = 4,  ///< it answers a deliver_hook; of a change, payload and properties count
};

struct HookVerdict {
  RecordHeader header;
  std::uint64_t hook_id;
  std::uint8_t action;       ///< HookAction
  std::uint8_t reason_code;  ///< of a drop, to a v5 client; 0 = as if it had been taken
  std::uint8_t flags;        ///< HookVerdictFlag
  std::uint8_t qos;          ///< of a change
  std::uint8_t retain;       ///< of a change
  std::uint8_t padding[3];
  std::uint32_t reason_text_bytes;  ///< Reason String of a drop
  std::uint32_t topic_bytes;        ///< of a change, all of it as it is to be
  std::uint32_t properties_bytes;   ///< encoded
  std::uint32_t payload_bytes;
};

struct LinkOpen {
  RecordHeader header;
  std::uint32_t link_id;       ///< chosen by TypeScript, never reused
  std::uint32_t credit_bytes;  ///< how many bytes of link_bytes may be unconsumed
  std::uint32_t device_id_bytes;  ///< empty = it is a service, not a device
  std::uint8_t role;              ///< Role
  std::uint8_t flags;             ///< LinkFlag bits
  std::uint16_t padding;
};
/// Bits of LinkOpen::flags.
enum LinkFlag : std::uint8_t {
  kLinkDynamicFilters = 1,  ///< topics that nobody has subscribed to get a log of what it publishes
  kLinkMonitor = 2,         ///< its subscriptions do not count as subscribers
};
inline constexpr std::uint8_t kLinkFlags = kLinkDynamicFilters | kLinkMonitor;

struct LinkCredit {
  RecordHeader header;
  std::uint32_t link_id;
  std::uint32_t consumed_bytes;
};

struct LinkClose {
  RecordHeader header;
  std::uint32_t link_id;
  std::uint32_t padding;
};

/// Which connection of its Client Identifier: 0 = the first, which has its session. In DirectWrite
/// kAnyInstance is the first if it is connected, else that with the least number; in Disconnect, and
/// in queries that close connections, all; in other queries the first if it has a session.
inline constexpr std::uint32_t kAnyInstance = 0xFFFFFFFF;

struct Disconnect {
  RecordHeader header;
  std::uint8_t reason_code;  ///< MQTT 5.0 code of the DISCONNECT to a v5 client
  std::uint8_t padding[3];
  std::uint32_t client_id_bytes;
  std::uint32_t reason_text_bytes;
  std::uint32_t instance;    ///< kAnyInstance = all of the Client Identifier
};

struct Drain {
  RecordHeader header;
  std::uint32_t deadline_ms;  ///< from now; what is not flushed by then is cut
  std::uint32_t padding;
};

struct Publish {
  RecordHeader header;
  std::uint8_t qos;
  std::uint8_t retain;
  std::uint8_t padding[2];
  std::uint32_t expiry_s;  ///< Message Expiry Interval; 0 = none
  std::uint32_t topic_bytes;
  std::uint32_t payload_bytes;
};

/// Bits of DirectWrite::flags.
enum WriteFlag : std::uint8_t {
  kWriteQueue = 1,    ///< a persistent session may keep it while its client is away
  kWriteExpires = 2,  ///< expiry_s is meant
};
struct DirectWrite {
  RecordHeader header;
  std::uint64_t write_id;   ///< chosen by TypeScript, never reused, not 0
  std::uint8_t qos;
  std::uint8_t flags;       ///< WriteFlag
  std::uint16_t padding;
  std::uint32_t expiry_s;   ///< Message Expiry Interval
  std::uint32_t instance;   ///< kAnyInstance, or which connection of the Client Identifier
  std::uint32_t client_id_bytes;
  std::uint32_t topic_bytes;       ///< as the client is to see it
  std::uint32_t properties_bytes;  ///< encoded, in the form that is forwarded; without their length
  std::uint32_t payload_bytes;
  std::uint32_t padding2;
};

/// What became of a direct_write.
enum class WriteOutcome : std::uint8_t {
  delivered = 1,  ///< QoS 0: handed to the socket; QoS 1 and 2: acknowledged
  dropped = 2,    ///< WriteCause says why
  queued = 3,     ///< its session keeps it
};
/// Append only; never renumber.
enum class WriteCause : std::uint8_t {
  none = 0,
  not_connected = 1,
  connection_lost = 2,  ///< before the acknowledgement: it may have arrived
  session_ended = 3,
  outbound_full = 4,    ///< QoS 0 above the watermark
  queue_full = 5,       ///< of the session, by its queue_overflow
  too_large = 6,        ///< for the client's Maximum Packet Size
  expired = 7,
  refused = 8,          ///< by the client: reason_code
  memory = 9,           ///< QoS 0, and max_memory_bytes is used up
  invalid = 10,         ///< the topic is not a Topic Name
  hook = 11,            ///< an application's hook said so
};
inline constexpr std::uint8_t kWriteCauseCount = 12;

struct Written {
  RecordHeader header;
  std::uint64_t write_id;
  std::uint8_t outcome;      ///< WriteOutcome
  std::uint8_t reason_code;  ///< of the client's acknowledgement
  std::uint8_t cause;        ///< WriteCause
  std::uint8_t padding;
  std::uint32_t instance;    ///< which connection of the Client Identifier it was for
};

/// What a query asks for. Listings come by pages: each reply has a cursor for the next query.
enum class QueryKind : std::uint16_t {
  clients = 1,  ///< sessions, with their connections
  client = 2,   ///< one session in detail
  kick = 3,     ///< close a client's connection: reason_code, text = Reason String
  session_end = 4,       ///< end a session, its connection first
  subscriptions = 5,     ///< of client_id, or of all: by session, then in no order that means anything
  routes = 6,            ///< of this thread: who gets what is published to the Topic Name in text
  retained = 7,          ///< by topic: those that match the filter in text, or all
  retained_message = 8,  ///< of the topic in text
  retained_delete = 9,   ///< of the topic in text
  subscribe = 10,        ///< for client_id: the filter in text, options as in a SUBSCRIBE packet
  unsubscribe = 11,      ///< for client_id: the filter in text
  names = 12,            ///< Client Identifiers of this thread's sessions in text: "slot:generation,…"
  ping = 13,             ///< answered by this thread, with nothing
  logs = 14,             ///< logs of messages that nobody had subscribed to
  log = 15,              ///< that of the filter in text; options 1 = delete it
  denials = 17,          ///< who was denied what lately, and by which rule
};

struct Query {
  RecordHeader header;
  std::uint64_t query_id;  ///< chosen by TypeScript, never reused
  std::uint16_t query;     ///< QueryKind
  std::uint16_t thread;    ///< which I/O thread is to answer; where a session or a cursor says it: 0
  std::uint32_t limit;     ///< rows at most
  std::uint8_t reason_code;
  std::uint8_t options;
  std::uint8_t padding[2];
  std::uint32_t client_id_bytes;
  std::uint32_t text_bytes;
  std::uint32_t cursor_bytes;  ///< of the reply before; empty = from the beginning
  std::uint32_t instance;      ///< of client_id; or kAnyInstance
  std::uint32_t padding2;
};
/// A cursor may hold a whole Topic Name.
inline constexpr std::uint32_t kMaxCursorBytes = 65'600;

enum class QueryStatus : std::uint16_t {
  done = 1,
  not_found = 2,   ///< no such session, or not what was asked for in it
  bad_cursor = 3,  ///< no reply ever had it
};

struct Reply {
  RecordHeader header;
  std::uint64_t query_id;
  std::uint16_t status;        ///< QueryStatus
  std::uint16_t code;          ///< Reason Code, where one was asked for
  std::uint32_t rows_bytes;    ///< JSON: an array of rows, an object, or nothing
  std::uint32_t cursor_bytes;  ///< for the next page; empty = that was the last
  std::uint32_t data_bytes;    ///< payloads, one behind the other, as the rows tell their lengths
};

}  // namespace stmqtt::contract
