/**
 * The contract's shape: the same kinds, fields, enums and counters as native/contract/*.hpp, from
 * which test/unit/native/contract.test.ts checks every number here. Decoding is in events.ts,
 * encoding in commands.ts.
 */

import {
  DeliverHook,
  DropCause,
  HookVerdict,
  Notice,
  NoticeKind,
  PublishHook,
  SubscribeHook,
} from './hook-contract.js';
import { type Layout, layout } from './layout.js';

export * from './hook-contract.js';

export type { Layout } from './layout.js';

export const EventKind = {
  connect_request: 1,
  connected: 2,
  disconnected: 3,
  refused: 4,
  session_ended: 5,
  link_bytes: 6,
  link_closed: 7,
  log: 8,
  alert: 9,
  drained: 10,
  trace: 12,
  trace_end: 13,
  reply: 11,
  auth_request: 14,
  publish_hook: 16,
  written: 15,
  subscribe_hook: 17,
  deliver_hook: 18,
  notice: 19,
} as const;

export const CommandKind = {
  verdict: 1,
  link_open: 2,
  link_bytes: 3,
  link_credit: 4,
  link_close: 5,
  disconnect: 6,
  drain: 7,
  query: 8,
  publish: 9,
  hook_verdict: 11,
  direct_write: 10,
} as const;

export const ConnectFlag = {
  clean_start: 1,
  has_username: 2,
  has_password: 4,
  has_will: 8,
  session_present: 16,
  is_link: 32,
  assigned_id: 64,
  is_hooked: 128,
} as const;

export const CloseCause = {
  none: 0,
  client_disconnect: 1,
  peer_closed: 2,
  socket_error: 3,
  keep_alive_timeout: 4,
  connect_timeout: 5,
  malformed_packet: 6,
  protocol_error: 7,
  packet_too_large: 8,
  taken_over: 9,
  refused: 10,
  receive_maximum_exceeded: 11,
  topic_alias_invalid: 12,
  quota_exceeded: 13,
  administrative: 14,
  shutting_down: 15,
  topic_invalid: 16,
  store_failed: 17,
  outbound_overflow: 18,
  version_refused: 19,
  connections_exceeded: 20,
  capability_refused: 21,
  link_closed: 22,
  not_authorized: 23,
  credentials_expired: 24,
  banned: 25,
  rate_exceeded: 26,
  tls_failed: 27,
  proxy_header_invalid: 28,
  websocket_failed: 29,
  hook_refused: 30,
  duplicate_client_id: 31,
} as const;

/** What a client came by. */
export const Transport = { tcp: 0, unix_socket: 1, tls: 2, ws: 3, wss: 4 } as const;
export const AuthFlag = { again: 1 } as const;
export const Role = { unset: 0, device: 1, service: 2 } as const;

export const SessionEndCause = {
  expired: 1,
  clean_start: 2,
  with_connection: 3,
  administrative: 4,
} as const;
export const LogLevel = { error: 1, warn: 2, info: 3, debug: 4, trace: 5 } as const;
/** The part of the broker that a native log record is about. */
export const NativeModule = {
  listener: 1,
  session: 2,
  auth: 3,
  store: 4,
  route: 5,
  link: 6,
} as const;
export const TraceEndCause = { time_over: 1, stopped: 2 } as const;
export const AlertKind = {
  queue_overflow: 1,
  memory_budget: 2,
  log_overrun: 3,
  logs_budget: 4,
} as const;
/** Which bound of all logs it was. */
export const LogsBudgetCause = { filters: 1, bytes: 2, memory: 3 } as const;

export const QueryKind = {
  clients: 1,
  client: 2,
  kick: 3,
  session_end: 4,
  subscriptions: 5,
  routes: 6,
  retained: 7,
  retained_message: 8,
  retained_delete: 9,
  subscribe: 10,
  unsubscribe: 11,
  names: 12,
  ping: 13,
  logs: 14,
  log: 15,
  denials: 17,
} as const;
export const QueryStatus = { done: 1, not_found: 2, bad_cursor: 3 } as const;
export const kMaxCursorBytes = 65_600;

/** Bits of direct_write's flags. */
export const WriteFlag = { queue: 1, expires: 2 } as const;
/**
 * Not one certain connection of a Client Identifier. In direct_write the first if it is connected,
 * else that with the least number; where connections are closed, all.
 */
export const kAnyInstance = 0xffffffff;
export const WriteOutcome = { delivered: 1, dropped: 2, queued: 3 } as const;
export const WriteCause = {
  none: 0,
  not_connected: 1,
  connection_lost: 2,
  session_ended: 3,
  outbound_full: 4,
  queue_full: 5,
  too_large: 6,
  expired: 7,
  refused: 8,
  memory: 9,
  invalid: 10,
  hook: 11,
} as const;

/** In an event mask: session_ended is wanted with the cause with_connection too. */
export const kMaskEndsWithConnection = 1;

/** Bits of link_open's flags. */
export const kLinkDynamicFilters = 1;
export const kLinkMonitor = 2;

/** In a verdict: a field left as it was asked for. */
export const kVerdictUnset32 = 0xfffffffe;
export const kVerdictUnset16 = 0xffff;
export const kVerdictUnset8 = 0xff;
/** Longest form of the rules in a verdict. */
export const kMaxRulesBytes = 1_048_576;

/** Padding is not listed: it is written as zero and never read. */
export const ConnectRequest = layout('ConnectRequest', {
  connection_id: 'u64',
  listener_id: 'u32',
  session_expiry_s: 'u32',
  keep_alive_s: 'u16',
  protocol_level: 'u8',
  flags: 'u8',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  password_bytes: 'u32',
  address_bytes: 'u32',
  will_topic_bytes: 'u32',
  certificate_bytes: 'u32',
  auth_method_bytes: 'u32',
  auth_data_bytes: 'u32',
  transport: 'u8',
});

export const AuthRequest = layout('AuthRequest', {
  connection_id: 'u64',
  flags: 'u8',
  auth_method_bytes: 'u32',
  auth_data_bytes: 'u32',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  address_bytes: 'u32',
  listener_id: 'u32',
});

export const Connected = layout('Connected', {
  connection_id: 'u64',
  listener_id: 'u32',
  session_expiry_s: 'u32',
  keep_alive_s: 'u16',
  protocol_level: 'u8',
  flags: 'u8',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  address_bytes: 'u32',
  instance: 'u32',
  padding: 'u32',
});

export const Disconnected = layout('Disconnected', {
  connection_id: 'u64',
  cause: 'u16',
  reason_code: 'u8',
  flags: 'u8',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  address_bytes: 'u32',
  detail_bytes: 'u32',
  instance: 'u32',
});

export const Refused = layout('Refused', {
  connection_id: 'u64',
  listener_id: 'u32',
  cause: 'u16',
  reason_code: 'u8',
  protocol_level: 'u8',
  client_id_bytes: 'u32',
  address_bytes: 'u32',
  detail_bytes: 'u32',
});

export const SessionEnded = layout('SessionEnded', {
  cause: 'u16',
  client_id_bytes: 'u32',
  instance: 'u32',
  padding2: 'u32',
});

export const LinkBytes = layout('LinkBytes', { link_id: 'u32', data_bytes: 'u32' });

export const LinkClosed = layout('LinkClosed', {
  link_id: 'u32',
  cause: 'u16',
  reason_code: 'u8',
});

export const Log = layout('Log', {
  connection_id: 'u64',
  suppressed: 'u32',
  cause: 'u16',
  level: 'u8',
  reason_code: 'u8',
  client_id_bytes: 'u32',
  address_bytes: 'u32',
  text_bytes: 'u32',
  module: 'u8',
  instance: 'u32',
  padding2: 'u32',
});

export const Trace = layout('Trace', {
  connection_id: 'u64',
  time_ms: 'u64',
  trace_id: 'u32',
  packet_length: 'u32',
  suppressed: 'u32',
  direction: 'u8',
  protocol_level: 'u8',
  client_id_bytes: 'u32',
  address_bytes: 'u32',
  packet_bytes: 'u32',
  instance: 'u32',
});

export const TraceEnd = layout('TraceEnd', {
  trace_id: 'u32',
  suppressed: 'u32',
  cause: 'u16',
});

export const Alert = layout('Alert', {
  count: 'u64',
  alert: 'u16',
  cause: 'u16',
  client_id_bytes: 'u32',
  filter_bytes: 'u32',
  instance: 'u32',
});

export const Drained = layout('Drained', { unflushed_connections: 'u32', padding: 'u32' });

export const Verdict = layout('Verdict', {
  connection_id: 'u64',
  max_session_expiry_s: 'u32',
  server_keep_alive_s: 'u16',
  reason_code: 'u8',
  max_qos: 'u8',
  will_refused: 'u8',
  role: 'u8',
  anonymous: 'u8',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  reason_text_bytes: 'u32',
  expires_s: 'u32',
  max_messages_per_s: 'u32',
  max_bytes_per_s: 'u32',
  max_subscriptions: 'u32',
  max_packet_size: 'u32',
  tenant_bytes: 'u32',
  device_id_bytes: 'u32',
  groups_bytes: 'u32',
  certificate_name_bytes: 'u32',
  rules_bytes: 'u32',
  auth_data_bytes: 'u32',
});

export const LinkOpen = layout('LinkOpen', {
  link_id: 'u32',
  credit_bytes: 'u32',
  device_id_bytes: 'u32',
  role: 'u8',
  flags: 'u8',
  padding: 'u16',
});
export const LinkCredit = layout('LinkCredit', { link_id: 'u32', consumed_bytes: 'u32' });
export const LinkClose = layout('LinkClose', { link_id: 'u32', padding: 'u32' });

export const Disconnect = layout('Disconnect', {
  reason_code: 'u8',
  client_id_bytes: 'u32',
  reason_text_bytes: 'u32',
  instance: 'u32',
});

export const Drain = layout('Drain', { deadline_ms: 'u32', padding: 'u32' });

export const Publish = layout('Publish', {
  qos: 'u8',
  retain: 'u8',
  expiry_s: 'u32',
  topic_bytes: 'u32',
  payload_bytes: 'u32',
});

export const DirectWrite = layout('DirectWrite', {
  write_id: 'u64',
  qos: 'u8',
  flags: 'u8',
  padding: 'u16',
  expiry_s: 'u32',
  instance: 'u32',
  client_id_bytes: 'u32',
  topic_bytes: 'u32',
  properties_bytes: 'u32',
  payload_bytes: 'u32',
  padding2: 'u32',
});

export const Written = layout('Written', {
  write_id: 'u64',
  outcome: 'u8',
  reason_code: 'u8',
  cause: 'u8',
  padding: 'u8',
  instance: 'u32',
});

export const Query = layout('Query', {
  query_id: 'u64',
  query: 'u16',
  thread: 'u16',
  limit: 'u32',
  reason_code: 'u8',
  options: 'u8',
  client_id_bytes: 'u32',
  text_bytes: 'u32',
  cursor_bytes: 'u32',
  instance: 'u32',
  padding2: 'u32',
});

export const Reply = layout('Reply', {
  query_id: 'u64',
  status: 'u16',
  code: 'u16',
  rows_bytes: 'u32',
  cursor_bytes: 'u32',
  data_bytes: 'u32',
});

export const eventLayouts = {
  connect_request: ConnectRequest,
  connected: Connected,
  disconnected: Disconnected,
  refused: Refused,
  session_ended: SessionEnded,
  link_bytes: LinkBytes,
  link_closed: LinkClosed,
  log: Log,
  alert: Alert,
  drained: Drained,
  trace: Trace,
  trace_end: TraceEnd,
  reply: Reply,
  auth_request: AuthRequest,
  publish_hook: PublishHook,
  written: Written,
  subscribe_hook: SubscribeHook,
  deliver_hook: DeliverHook,
  notice: Notice,
} as const satisfies Record<keyof typeof EventKind, Layout>;

export const commandLayouts = {
  verdict: Verdict,
  link_open: LinkOpen,
  link_bytes: LinkBytes,
  link_credit: LinkCredit,
  link_close: LinkClose,
  disconnect: Disconnect,
  drain: Drain,
  query: Query,
  publish: Publish,
  hook_verdict: HookVerdict,
  direct_write: DirectWrite,
} as const satisfies Record<keyof typeof CommandKind, Layout>;

export { type CounterName, counterNames } from './counter-names.js';

/** Upper bounds of the latency histogram's buckets, in µs; one more is above the last. */
export const latencyBoundsUs = [
  50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
  1_000_000, 2_000_000, 5_000_000, 10_000_000,
] as const;
/** What latency() fills in: deliveries by bucket (not added up), all of them, the sum of their µs. */
export const kLatencyNumbers = latencyBoundsUs.length + 3;

export type TransportName = keyof typeof Transport;
export type RoleName = keyof typeof Role;
export type CloseCauseName = keyof typeof CloseCause;
export type SessionEndCauseName = keyof typeof SessionEndCause;
export type LogLevelName = keyof typeof LogLevel;
export type AlertName = keyof typeof AlertKind;
export type LogsBudgetCauseName = keyof typeof LogsBudgetCause;
export type NativeModuleName = keyof typeof NativeModule;
export type TraceEndCauseName = keyof typeof TraceEndCause;
export type QueryName = keyof typeof QueryKind;
export type QueryStatusName = keyof typeof QueryStatus;
export type WriteOutcomeName = keyof typeof WriteOutcome;
export type WriteCauseName = keyof typeof WriteCause;

function inverse<K extends string>(of: Readonly<Record<K, number>>): readonly (K | undefined)[] {
  const names: (K | undefined)[] = [];
  for (const name of Object.keys(of) as K[]) names[of[name]] = name;
  return names;
}
export const eventKindNames = inverse(EventKind);
export const transportNames = inverse(Transport);
export const closeCauseNames = inverse(CloseCause);
export const sessionEndCauseNames = inverse(SessionEndCause);
export const logLevelNames = inverse(LogLevel);
export const alertNames = inverse(AlertKind);
export const logsBudgetCauseNames = inverse(LogsBudgetCause);
export const nativeModuleNames = inverse(NativeModule);
export const traceEndCauseNames = inverse(TraceEndCause);
export const noticeNames = inverse(NoticeKind);
export const dropCauseNames = inverse(DropCause);
export const queryStatusNames = inverse(QueryStatus);
export const writeOutcomeNames = inverse(WriteOutcome);
export const writeCauseNames = inverse(WriteCause);
