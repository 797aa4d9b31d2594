/**
 * The option table: one row per option, in the tables of the configuration file. Environment names
 * follow from table and key (ST_MQTTD_MQTT__MAX_QOS). docs/OPTIONS.md is made from it.
 */
import { totalmem } from 'node:os';
import type { aclRows, ruleRows } from './acl-options.js';
import type { AuthOptions } from './auth-options.js';
import type { deviceRows, tenantsRows } from './identity-options.js';
import { type flappingRows, type limitsRows, rateRows } from './limits-options.js';
import { type connectionsOwnRows, listenerRows, type webSocketRows } from './listener-options.js';
import { routerLogRows, type segmentRows } from './log-options.js';
import type { PluginsOptions } from './plugin-options.js';
import {
  allVersions,
  boolean,
  integer,
  oneOf,
  string,
  type ValueTable,
  versions,
  type WrittenTable,
} from './rows.js';
import {
  type ConsoleOptions,
  logRows,
  type MetricsOptions,
  type PrometheusOptions,
} from './service-options.js';
import type { TlsOptions } from './tls-options.js';

const kMiB = 1024 * 1024;
const kU32 = 0xffffffff;
/** The largest Control Packet there can be: Remaining Length and the fixed header [2.1.4]. */
const kLargestPacket = 268_435_460;

/** How many threads serve connections unless configured; follows the benchmark. */
export const kDefaultIoThreads = 1;

/** Half of what this process may use: the other half is for V8, the sockets and the tables. */
function defaultMemoryBudget(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  const physical = totalmem();
  return Math.floor((limit > 0 && limit < physical ? limit : physical) / 2);
}

export const topRows = {
  id: integer({
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    reload: 'restart',
    flag: '--id',
    help: "This broker's number, in each of its log records.",
  }),
} as const;

/** Protocol limits and defaults; a listener's `.connections` table may override each. */
export const mqttRows = {
  max_packet_size: integer({
    default: kMiB,
    unit: 'bytes',
    min: 64,
    max: kLargestPacket,
    reload: 'new-connections',
    help: 'The largest Control Packet taken from a client, told to MQTT 5.0 clients. A larger one ends the connection (0x95).',
  }),
  max_inflight: integer({
    default: 100,
    min: 1,
    max: 65535,
    reload: 'new-connections',
    help: 'How many QoS 1 and 2 messages a client may have unacknowledged; lowered by its Receive Maximum.',
  }),
  receive_maximum: integer({
    default: 100,
    min: 1,
    max: 65535,
    reload: 'new-connections',
    help: 'How many QoS 1 and 2 messages a client may send before they are acknowledged (Receive Maximum).',
  }),
  max_queued_messages: integer({
    default: 10_000,
    min: 1,
    max: kU32,
    reload: 'new-connections',
    help: 'Messages that may wait for one session beyond its in-flight window.',
  }),
  max_queued_bytes: integer({
    default: 8 * kMiB,
    unit: 'bytes',
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
    reload: 'new-connections',
    help: 'Bytes that may wait for one session beyond its in-flight window.',
  }),
  queue_overflow: oneOf({
    default: 'drop_newest',
    values: ['drop_newest', 'drop_oldest', 'refuse'],
    reload: 'new-connections',
    help: "What happens when a session's queue is full: the new message or the oldest is dropped and counted, or the publisher is refused (0x97) or paused.",
  }),
  duplicate_client_id: oneOf({
    default: 'takeover',
    values: ['takeover', 'reject', 'allow'],
    reload: 'new-connections',
    help: "A CONNECT with a Client Identifier that is connected: the older connection ends; the newer one is refused (0x85); or both stay, and the newer one's session ends with its connection. That of the newer one's listener counts.",
  }),
  max_qos: integer({
    default: 2,
    min: 0,
    max: 2,
    reload: 'new-connections',
    help: 'The highest QoS that clients may publish with.',
  }),
  retain_available: boolean({
    default: true,
    reload: 'new-connections',
    help: 'Whether clients may publish retained messages.',
  }),
  wildcard_subscriptions: boolean({
    default: true,
    reload: 'new-connections',
    help: 'Whether Topic Filters may have wildcards.',
  }),
  subscription_identifiers: boolean({
    default: true,
    reload: 'new-connections',
    help: 'Whether MQTT 5.0 clients may give Subscription Identifiers.',
  }),
  shared_subscriptions: boolean({
    default: true,
    reload: 'new-connections',
    help: 'Whether clients may subscribe to $share/….',
  }),
  topic_alias_maximum: integer({
    default: 32,
    min: 0,
    max: 65535,
    reload: 'new-connections',
    help: 'Topic Aliases that an MQTT 5.0 client may use towards the broker.',
  }),
  max_topic_alias_out: integer({
    default: 32,
    min: 0,
    max: 65535,
    reload: 'new-connections',
    help: 'Topic Aliases that the broker uses towards an MQTT 5.0 client, at most what that client allows.',
  }),
  max_keep_alive_s: integer({
    default: 65535,
    unit: 's',
    min: 1,
    max: 65535,
    reload: 'new-connections',
    help: 'The longest Keep Alive; a longer one is lowered (told to MQTT 5.0 clients).',
  }),
  default_keep_alive_s: integer({
    default: 0,
    unit: 's',
    min: 0,
    max: 65535,
    reload: 'new-connections',
    help: 'The Keep Alive of clients that ask for none while allow_zero_keep_alive is false; 0 = max_keep_alive_s.',
  }),
  allow_zero_keep_alive: boolean({
    default: true,
    reload: 'new-connections',
    help: 'Whether clients may turn Keep Alive off.',
  }),
  max_session_expiry_s: integer({
    default: 604_800,
    unit: 's',
    min: 0,
    max: kU32,
    reload: 'new-connections',
    help: 'How long a session outlives its connection at most; 4294967295 = for ever. MQTT 3.x persistent sessions get it.',
  }),
  max_message_expiry_s: integer({
    default: 0,
    unit: 's',
    min: 0,
    max: kU32,
    reload: 'new-connections',
    help: 'How long a message waits for a receiver at most; 0 = no limit but its own.',
  }),
  allow_empty_client_id: boolean({
    default: true,
    reload: 'new-connections',
    help: 'Whether the broker assigns a Client Identifier to clients that have none.',
  }),
  max_client_id_bytes: integer({
    default: 256,
    unit: 'bytes',
    // [MQTT-3.1.3-5]: those of up to 23 bytes must be allowed.
    min: 23,
    max: 65535,
    reload: 'new-connections',
    help: 'The longest Client Identifier.',
  }),
  max_topic_levels: integer({
    default: 64,
    min: 1,
    max: 32768,
    reload: 'new-connections',
    help: 'Levels of a Topic Name or Topic Filter.',
  }),
  max_subscriptions: integer({
    default: 10_000,
    min: 1,
    max: kU32,
    reload: 'new-connections',
    help: 'Subscriptions of one session.',
  }),
  fair_packets_per_turn: integer({
    default: 0,
    min: 0,
    max: 1_000_000,
    reload: 'new-connections',
    help: 'Packets of one connection that are handled before others get their turn; 0 = all that one read brought (at most 256 KiB). [router] max_outgoing_packet_count sets it too.',
  }),
  sys_readers: oneOf({
    default: 'loopback',
    values: ['loopback', 'all', 'none'],
    reload: 'new-connections',
    help: 'Who may subscribe to $SYS/…: clients of loopback addresses and Unix sockets (not through a proxy), all clients, or none. Others get 0x87, or 0x80 in MQTT 3.x. Nobody but the broker publishes there.',
  }),
  connection_timeout_ms: integer({
    default: 10_000,
    unit: 'ms',
    min: 1,
    max: 3_600_000,
    reload: 'new-connections',
    help: 'How long a new connection may take to send its CONNECT.',
  }),
  accept_versions: versions({
    default: allVersions,
    reload: 'new-connections',
    help: 'MQTT versions that unified and ws listeners accept. A v4 listener accepts 3.1 and 3.1.1, a v5 listener 5.0, unless their own table says otherwise.',
  }),
  ...rateRows,
} as const;

/** `[mqtt]` itself: what a listener may override, and what is the broker's alone. */
export const mqttTableRows = {
  ...mqttRows,
  sys_interval_s: integer({
    default: 10,
    unit: 's',
    min: 0,
    max: 86_400,
    reload: 'live',
    help: 'How often $SYS topics are published; 0 = not at all.',
  }),
} as const;

export const brokerRows = {
  io_threads: integer({
    default: kDefaultIoThreads,
    min: 1,
    max: 64,
    reload: 'restart',
    help: 'Threads that serve connections.',
  }),
  tls_engine: oneOf({
    default: 'auto',
    values: ['auto', 'native', 'node'],
    reload: 'restart',
    help: "Who does the TLS of listeners: OpenSSL in the I/O threads (native), or Node's module tls (node), which is slower. auto = native where this runtime or the system has OpenSSL 3.",
  }),
  max_connections: integer({
    default: 100_000,
    min: 1,
    max: 100_000_000,
    reload: 'live',
    help: 'Connections in all; a further one is closed at once, and logged. [router] max_connections sets it too.',
  }),
  max_memory_bytes: integer({
    default: {
      text: 'half of the cgroup limit, or of the RAM',
      value: defaultMemoryBudget,
    },
    unit: 'bytes',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    reload: 'live',
    help: 'Bytes that messages may take in all. Beyond it QoS 0 is dropped first, then publishers pause, for 10 s at most (LIMITS.md). 0 = no limit.',
  }),
  drain_timeout_ms: integer({
    default: 5000,
    unit: 'ms',
    min: 0,
    max: 600_000,
    reload: 'live',
    help: 'How long stopping may take to send what waits before connections are cut.',
  }),
  verdict_timeout_ms: integer({
    default: 10_000,
    unit: 'ms',
    min: 1,
    max: 600_000,
    reload: 'live',
    help: 'How long those who are asked (providers, code) may take for one client, or for each step of an exchange of AUTH; then it is refused (0x88).',
  }),
  client_id_prefix: string({
    default: 'st-mqttd-',
    allowed: 'text of at most 64 bytes without control characters',
    check: (value) => Buffer.byteLength(value) <= 64 && !/\p{Cc}/u.test(value),
    reload: 'restart',
    help: 'What assigned Client Identifiers start with; a UUID follows.',
  }),
  match_cache_bytes: integer({
    default: 8 * kMiB,
    unit: 'bytes',
    min: 0,
    max: kU32,
    reload: 'live',
    help: "Bytes of each I/O thread's cache from Topic Names to subscribers.",
  }),
  outbound_high_watermark_bytes: integer({
    default: kMiB,
    unit: 'bytes',
    min: 4096,
    max: kU32,
    reload: 'live',
    help: 'Bytes that may wait for a slow connection; above it QoS 0 is dropped, QoS 1 and 2 wait in the session.',
  }),
  outbound_low_watermark_bytes: integer({
    default: 256 * 1024,
    unit: 'bytes',
    min: 0,
    max: kU32,
    reload: 'live',
    help: 'Bytes below which a slow connection is served as usual again.',
  }),
} as const;

export const routerRows = {
  shared_subscriptions_strategy: oneOf({
    default: 'roundrobin',
    values: ['roundrobin', 'random', 'sticky', 'hash_clientid', 'hash_topic'],
    reload: 'live',
    help: 'Which member of a shared subscription gets a message: by turn, at random, the oldest, by the publisher, or by the topic.',
  }),
  ...routerLogRows,
} as const;

export type MqttConfig = ValueTable<typeof mqttRows>;
export type BrokerTable = ValueTable<typeof brokerRows>;
export type RouterConfig = ValueTable<typeof routerRows>;
export type LogConfig = ValueTable<typeof logRows>;

/** User name = password, as in ST-RMQTT. */
type Users = Readonly<Record<string, string>>;

export interface ListenerOptions extends WrittenTable<typeof listenerRows> {
  readonly connections?:
    | (WrittenTable<typeof mqttRows & typeof connectionsOwnRows> & {
        readonly auth?: Users | undefined;
      })
    | undefined;
  readonly auth?: Users | undefined;
  readonly tls?: TlsOptions | undefined;
}
export interface WebSocketListenerOptions
  extends ListenerOptions,
    WrittenTable<typeof webSocketRows> {}

export interface AclOptions extends WrittenTable<typeof aclRows> {
  readonly rules?: readonly WrittenTable<typeof ruleRows>[] | undefined;
}
export interface LimitsOptions extends WrittenTable<typeof limitsRows> {
  readonly flapping?: WrittenTable<typeof flappingRows> | undefined;
}

/** The configuration as an object: the tables and keys of the configuration file. */
export interface ConfigTables extends WrittenTable<typeof topRows> {
  readonly mqtt?: WrittenTable<typeof mqttTableRows> | undefined;
  readonly broker?: WrittenTable<typeof brokerRows> | undefined;
  readonly router?:
    | (WrittenTable<typeof routerRows> & {
        readonly custom_segment?:
          | Readonly<Record<string, WrittenTable<typeof segmentRows>>>
          | undefined;
      })
    | undefined;
  readonly log?: WrittenTable<typeof logRows> | undefined;
  readonly console?: ConsoleOptions | undefined;
  readonly prometheus?: PrometheusOptions | undefined;
  readonly metrics?: MetricsOptions | undefined;
  readonly v4?: Readonly<Record<string, ListenerOptions>> | undefined;
  readonly v5?: Readonly<Record<string, ListenerOptions>> | undefined;
  readonly unified?: Readonly<Record<string, ListenerOptions>> | undefined;
  readonly ws?: Readonly<Record<string, WebSocketListenerOptions>> | undefined;
  readonly auth?: AuthOptions | undefined;
  readonly acl?: AclOptions | undefined;
  readonly limits?: LimitsOptions | undefined;
  readonly tenants?: WrittenTable<typeof tenantsRows> | undefined;
  readonly device?: WrittenTable<typeof deviceRows> | undefined;
  readonly plugins?: PluginsOptions | undefined;
}

/** ST-RMQTT's names of options that have another name here, by the table they stand in. */
export const aliases = {
  connections: { max_payload_size: 'max_packet_size', max_inflight_count: 'max_inflight' },
  router: {
    max_connections: ['broker', 'max_connections'],
    max_outgoing_packet_count: ['mqtt', 'fair_packets_per_turn'],
  },
} as const;

export { listenerRows, logRows };
