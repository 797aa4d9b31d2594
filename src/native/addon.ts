/** The addon's JavaScript face: what native/addon exports. Nothing here runs. */

import type { NativeModuleName } from './contract.js';
import type { NativeRuleOptions } from './rules.js';

export type SharedStrategy = 'roundrobin' | 'random' | 'sticky' | 'hash_clientid' | 'hash_topic';
export type QueueOverflow = 'drop_newest' | 'drop_oldest' | 'refuse';
/** What becomes of a PUBLISH beyond max_messages_per_s. */
export type RateExceeded = 'pause' | 'refuse' | 'disconnect';
export type Placement = 'round-robin' | 'least-connections';

export type NativeStoreOptions =
  | { kind: 'memory' }
  /** For tests only: grants each ticket after a while. */
  | { kind: 'slow'; delay_ms: number }
  /** For tests only: fails every ticket behind the first `after`. */
  | { kind: 'failing'; after: number };

/** Of messages that nobody has subscribed to. */
export interface NativeLogOptions {
  segment_bytes: number;
  segment_count: number;
  custom: readonly (readonly [filter: string, bytes: number, count: number])[];
  initialized: readonly string[];
  max_filters: number;
  max_bytes: number;
  replay: 'tail' | 'backlog';
}

export interface NativeBrokerOptions {
  io_threads: number;
  placement: Placement;
  shared_strategy: SharedStrategy;
  max_connections: number;
  /** 0 = none. */
  max_memory_bytes: number;
  match_cache_bytes: number;
  outbound_high_watermark_bytes: number;
  outbound_low_watermark_bytes: number;
  /** 1 << EventKind for each kind that is wanted, of those that may be left out. */
  event_mask: number;
  /** LogLevel; records of a higher number are not sent. */
  log_level: number;
  /** Every CONNECT crosses as connect_request and waits for a verdict. */
  authenticate: boolean;
  /** A CONNECT with an Authentication Method crosses too; otherwise it is refused with 0x8C. */
  enhanced_auth: boolean;
  verdict_timeout_ms: number;
  /** Connections that an I/O thread accepts from a listener before it serves others again. */
  accepts_per_turn: number;
  /** More connects than this of one Client Identifier in the window, and it is banned; 0 = never. */
  flapping_count: number;
  flapping_window_ms: number;
  flapping_ban_s: number;
  me_topics: 'off' | 'scoped' | 'shared';
  /** What may stand behind v1/devices/me/, as Topic Filters. */
  me_patterns: readonly string[];
  /** Where nobody is authenticated the Client Identifier is the device id. */
  device_id_from_client: boolean;
  /** 0 = no bound. */
  max_connections_per_tenant: number;
  messages_per_s_per_tenant: number;
  bytes_per_s_per_tenant: number;
  /** Absent = as an engine is made: no filter has a log before a message makes one. */
  logs?: NativeLogOptions;
  /** Absent = off. */
  delayed?: NativeDelayOptions;
  client_id_prefix: string;
  link_limits: NativeLimits;
  store: NativeStoreOptions;
}

/** What may change while it runs. */
export type NativeLiveOptions = Pick<
  NativeBrokerOptions,
  | 'max_connections'
  | 'max_memory_bytes'
  | 'outbound_high_watermark_bytes'
  | 'outbound_low_watermark_bytes'
  | 'shared_strategy'
  | 'log_level'
  | 'event_mask'
  | 'verdict_timeout_ms'
  | 'authenticate'
  | 'enhanced_auth'
  | 'match_cache_bytes'
  | 'accepts_per_turn'
  | 'flapping_count'
  | 'flapping_window_ms'
  | 'flapping_ban_s'
  | 'me_topics'
  | 'me_patterns'
  | 'device_id_from_client'
  | 'max_connections_per_tenant'
  | 'messages_per_s_per_tenant'
  | 'bytes_per_s_per_tenant'
  | 'logs'
  | 'delayed'
> & {
  /** Levels of single parts of the broker, 0 = off; the others have log_level. */
  log_modules?: Partial<Record<NativeModuleName, number>>;
  /** Client Identifiers and the levels of what is about them, beside the others; at most 64. */
  log_clients?: readonly (readonly [clientId: string, level: number])[];
};

/** Of `$delayed/<seconds>/<topic>`; off, that is an ordinary Topic Name. */
export interface NativeDelayOptions {
  on: boolean;
  max_delay_s: number;
  /** Of all threads together. */
  max_messages: number;
  max_bytes: number;
  /** Where there is no room: refused with 0x97, or published at once. */
  when_full: 'refuse' | 'publish';
  /** What becomes of those that wait where it is off. */
  at_end: 'publish' | 'drop';
}

/** Whose packets come as trace events: all that is given must fit. */
export interface NativeTraceSpec {
  /** Not one that is active. */
  id: number;
  clientId?: string;
  /** How the peer's address begins: "10.0.0.". */
  address?: string;
  /** A Topic Filter: PUBLISH packets only. */
  topic?: string;
  /** Over all I/O threads. */
  max_per_s: number;
  /** How long at most. */
  seconds: number;
  /** Of a PUBLISH; of any packet 4096 bytes at most. */
  payload_bytes: number;
}

export type NativeAdmission = 'judged' | 'open' | 'open_no_device';

/** The [mqtt] table after a listener's overrides. */
export interface NativeLimits {
  connect_timeout_ms: number;
  /** 0 = only the broker's. */
  max_connections: number;
  max_packet_size: number;
  max_inflight: number;
  receive_maximum: number;
  max_queued_messages: number;
  max_queued_bytes: number;
  queue_overflow: QueueOverflow;
  duplicate_client_id?: 'takeover' | 'reject' | 'allow';
  max_qos: number;
  retain_available: boolean;
  wildcard_subscriptions: boolean;
  subscription_identifiers: boolean;
  shared_subscriptions: boolean;
  topic_alias_maximum: number;
  max_topic_alias_out: number;
  max_keep_alive_s: number;
  default_keep_alive_s: number;
  allow_zero_keep_alive: boolean;
  max_session_expiry_s: number;
  max_message_expiry_s: number;
  allow_empty_client_id: boolean;
  /** May subscribe to $SYS/…, and publish there. */
  sys_read: boolean;
  sys_write: boolean;
  /** Messages that nobody has subscribed to get a log; absent = no. */
  dynamic_filters?: boolean;
  max_client_id_bytes: number;
  max_topic_levels: number;
  max_subscriptions: number;
  /**
   * Other than off: no client without a tenant, and its topics begin with /tenants/<tenant>/, by its
   * own hand or by ours. Not given = off.
   */
  tenant_mode?: 'off' | 'enforced' | 'transparent';
  /** Of clients whose verdict says none; not given = none. */
  tenant?: string;
  role?: 'device' | 'service';
  /** Packets of one connection handled before others get their turn; 0 = all that one read brought. */
  fair_packets_per_turn: number;
  /** PUBLISH packets from a client; 0 = no bound. */
  max_messages_per_s: number;
  /** Of all packets from a client; 0 = no bound. */
  max_bytes_per_s: number;
  on_rate_exceeded: RateExceeded;
}

export type NativeProxyProtocol = 'off' | 'v1' | 'v2' | 'any';

export interface NativeWebSocketSpec {
  /** '' = any. */
  path: string;
  /** As browsers send them, or with one * for some labels of the host; empty = any. */
  origins: readonly string[];
}

/** What lies between a listener's sockets and MQTT, TLS apart. */
export type NativeChannelSpec = Pick<
  NativeListenSpec,
  'websocket' | 'proxy_protocol' | 'trusted_proxies'
>;

export interface NativeListenSpec {
  host: string;
  port: number;
  backlog: number;
  /** A listener on "::" leaves IPv4 to others; otherwise it takes IPv4 connections too. */
  ipv6_only: boolean;
  /** '' = TCP. */
  unix_path: string;
  unix_mode: number;
  name: string;
  /** From one accept to the next; 0 or 1 = none. What is faster waits in the backlog. */
  accept_delay_ms: number;
  /** Accepts per second, with a burst of one second's worth; 0 = no bound. */
  max_connect_rate: number;
  /** Of all its clients together; 0 = no bound. */
  total_messages_per_s: number;
  total_bytes_per_s: number;
  /** Between accept and CONNACK; further ones wait in the backlog. 0 = no bound. */
  max_handshakes: number;
  /** Of one address, IPv6: of one /64. 0 = no bound. */
  max_connections_per_address: number;
  max_connect_rate_per_address: number;
  /** Bit set: 1 = 3.1, 2 = 3.1.1, 4 = 5.0. */
  protocol_levels: number;
  /** Of tlsContext(); 0 = no TLS in the I/O threads. */
  tls: number;
  /** JavaScript does it: takeOutside() gives the sockets. */
  tls_outside: boolean;
  /** From accept until TLS, and what else lies before MQTT, is ready for the first packet. */
  handshake_timeout_ms: number;
  /** MQTT over WebSocket alone; null = none. */
  websocket: NativeWebSocketSpec | null;
  /** A PROXY header must come first; any = v1 or v2. */
  proxy_protocol: NativeProxyProtocol;
  /** IP networks (CIDR) whose PROXY headers and X-Forwarded-For are believed. */
  trusted_proxies: readonly string[];
  limits: NativeLimits;
}

/** `names`: of the hosts (SNI) that it is for, "*.example.com" too; [] = the default one. */
export type NativeTlsIdentity = {
  names: readonly string[];
  /** Of the key, or of the PKCS#12 file. */
  passphrase?: string;
} & (
  | {
      /** PEM: the server's certificate, then those in between. */
      certificate: Buffer;
      key: Buffer;
    }
  | { pkcs12: Buffer }
);

export interface NativeTlsOptions {
  /** At least one. */
  identities: readonly NativeTlsIdentity[];
  /** PEM, several certificates in one allowed. */
  ca: readonly Buffer[];
  crl: readonly Buffer[];
  verify: 'none' | 'optional' | 'require';
  min_version: '1.2' | '1.3';
  /** Of TLS 1.2; '' = ours. */
  ciphers: string;
  /** Of TLS 1.3; '' = ours. */
  ciphersuites: string;
  /** By preference; [] = what a client offers is not looked at. */
  alpn: readonly string[];
  /** A client that offers protocols, and none of these, is refused; else it gets none. */
  alpn_required: boolean;
}

/** What tlsContext() and tlsCheck() throw, code ST_NATIVE_TLS. */
export interface NativeTlsFailure extends Error {
  item:
    | 'openssl'
    | 'certificate'
    | 'key'
    | 'passphrase'
    | 'pkcs12'
    | 'ca'
    | 'crl'
    | 'ciphers'
    | 'ciphersuites'
    | 'alpn';
  /** Of the identity, the CA or the CRL. */
  index: number;
  /** Continues a sentence that begins with the item. */
  reason: string;
}

export type NativeBanKind = 'client' | 'user' | 'address';

export interface NativeBan {
  kind: NativeBanKind;
  /** A Client Identifier (with its tenant), a username, an address or a network. */
  value: string;
  /** 0 = until it is taken back. */
  seconds: number;
  /** For the operator; may be ''. */
  reason: string;
}

export interface NativeBanRow {
  readonly kind: NativeBanKind;
  readonly value: string;
  readonly reason: string;
  readonly source: 'admin' | 'flapping';
  /** null = never. */
  readonly expires_s: number | null;
}

export interface NativeBound {
  id: number;
  address: string;
  /** 0 = a Unix socket. */
  port: number;
}

export interface NativeBroker {
  /** Spawns the I/O threads; idempotent. */
  start(): void;
  /** Throws an Error with `code` ('EADDRINUSE') and `syscall`. */
  listen(spec: NativeListenSpec): NativeBound;
  /** Closes the socket: its address is free when this returns. Connections stay. */
  unlisten(id: number): void;
  /**
   * For connections of this listener that begin from now on; 0 = links. Without `protocolLevels`
   * they stay as they are. Throws a RangeError if there is no such listener.
   */
  setLimits(listenerId: number, limits: NativeLimits, protocolLevels?: number): void;
  /**
   * For CONNECTs that come from now on, on connections that are there too: whether TypeScript judges
   * them (where `authenticate` is on; a new listener's it does), or everybody may come in, and is
   * the device that its Client Identifier names, or none. Throws a RangeError if there is no such
   * listener.
   */
  setAdmission(listenerId: number, admission: NativeAdmission): void;
  /**
   * For connections of this listener that begin from now on. Throws a RangeError if there is no such
   * listener, or if it would become one of WebSocket or cease to be one.
   */
  setChannels(listenerId: number, channels: NativeChannelSpec): void;
  /** Changes what is given. Bounds hold from now on, for what is there too. */
  configure(options: Partial<NativeLiveOptions>): void;
  /**
   * Access rules for everybody, those who are connected too: encodeRules() of rules.ts makes the
   * bytes. All or nothing: throws a RangeError with code ST_NATIVE_RULE and `rule`, from 0, and what
   * was in force stays.
   */
  setRules(rules: Uint8Array, options: NativeRuleOptions): void;
  /** All hooks from now on, in the form of encodeHooks(). Each I/O thread takes them in its turn. */
  setHooks(hooks: Uint8Array): void;
  /** Copies whole records; bytes written, 0 = none left, -n = the next record needs n bytes. */
  drainEvents(into: Uint8Array): number;
  /** Whole command records. They are copied before this returns. */
  submit(commands: Uint8Array, byteLength: number): void;
  /** Whether somebody may be subscribed to Topic Names that begin with these levels. */
  reaches(levels: string): boolean;
  /** Subscriptions, shared ones among them, trie nodes, retained messages and their bytes. */
  tableCounts(into: BigInt64Array): void;
  /** In the order of counterNames. */
  counters(into: BigInt64Array): void;
  /** Of one I/O thread, from 0. Throws a RangeError if there is no such thread. */
  threadCounters(index: number, into: BigInt64Array): void;
  /** From a PUBLISH read to its copies flushed; kLatencyNumbers of contract.ts. */
  latency(into: BigInt64Array): void;
  /**
   * Refused from now on, and disconnected soon. One of the same kind and value is replaced. Throws a
   * RangeError with `code` 'ST_NATIVE_BAN' where value is no address, or the table is full.
   */
  ban(ban: NativeBan): void;
  /** False: there was none. */
  unban(ban: Pick<NativeBan, 'kind' | 'value'>): boolean;
  /** At most `limit` rows behind `cursor`; both '' = from the beginning, at the end. */
  bans(cursor: string, limit: number): { rows: NativeBanRow[]; cursor: string };
  /** Throws a RangeError where there are 8 already, or one of this id. Ends with trace_end. */
  trace(spec: NativeTraceSpec): void;
  untrace(id: number): void;
  /** How many there are; 0 = stopped. */
  ioThreads(): number;
  /** Open connections that came by a listener, closed ones too; 0 = there is no such listener. */
  listenerConnections(id: number): number;
  /** A number for NativeListenSpec.tls and setTls(). Throws a NativeTlsFailure. */
  tlsContext(options: NativeTlsOptions): number;
  /** For connections of a TLS listener that begin from now on. Throws a RangeError. */
  setTls(listenerId: number, tls: number): void;
  /** Likewise, of any listener. */
  setHandshakeTimeout(listenerId: number, timeoutMs: number): void;
  /** Listeners and connections that have it keep it. */
  releaseTls(tls: number): void;
  /**
   * What was accepted from listeners with `tls_outside` since the last call: listener id, the peer's
   * socket, the other end of its connection, 1 where a PROXY header comes first; and so on. Whoever
   * calls owns the descriptors. `wake` is called when there are some.
   */
  takeOutside(): number[];
  /** Joins all threads and frees; blocks briefly; idempotent. */
  stop(): void;
}

export interface NativeAddon {
  version(): string;
  contractLayout(): string;
  /** One datagram to a supervisor's Unix socket, "@" in front = abstract. 0, or the errno. */
  notify(socket: string, text: string): number;
  /** null, or why TLS cannot be had in this process. */
  tlsAvailable(): string | null;
  /**
   * Where this process has no OpenSSL 3 and the system's stands in: its version, and the function that
   * is missing. null otherwise. `force`, for tests: the system's, if nothing has asked for TLS yet.
   */
  tlsFallback(force?: boolean): { version: string; missing: string } | null;
  /** Throws as tlsContext() does, and keeps nothing. */
  tlsCheck(options: NativeTlsOptions): void;
  /** `wake` is called on the JavaScript thread, at most once per pending batch. */
  createBroker(options: NativeBrokerOptions, wake: () => void): NativeBroker;
}
