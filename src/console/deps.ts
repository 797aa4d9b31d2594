/** What the console needs of the broker: functions only, so that it can be tested without one. */
import type { Resolution } from '../config/resolve.js';
import type { DirectWriteCounts, DirectWriteManyOptions } from '../device/direct-write.js';
import type { DeviceState } from '../device/types.js';
import type { Bans } from '../limits/bans.js';
import type { Link } from '../link/link.js';
import type { LinkOptions } from '../link/options.js';
import type { MessageProperties, Qos } from '../link/packets.js';
import type { LogRecord } from '../log/logger.js';
import type { Metrics } from '../metrics/counters.js';
import type { HistogramSample } from '../metrics/sample.js';
import type { Plugins } from '../plugins/plugins.js';
import type { ReloadReport } from '../reload/report.js';
import type { ConnectInfo, DisconnectInfo } from '../session/events.js';
import type { Page, PageRequest, Registry } from '../session/registry.js';
import type { TraceInfo, TraceOptions } from '../trace/tracer.js';

export interface BrokerInfo {
  readonly id: number;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Accepts connections, and is not stopping. */
  readonly ready: boolean;
  /** "127.0.0.1:1883", with the listener's name. */
  readonly listeners: readonly { readonly name: string; readonly address: string }[];
}

export interface ConsolePublish {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties?: MessageProperties | undefined;
  /** The publisher's Client Identifier; undefined = the broker's own. Nobody's session has it. */
  readonly clientId?: string | undefined;
}

/** A changing action, done or refused. */
export interface AuditRecord {
  /** The token's name; "loopback" = local, no tokens; "nobody" = refused for want of one. */
  readonly who: string;
  readonly address: string;
  /** The operation, as "clients.kick". */
  readonly action: string;
  readonly target: string;
  /** "ok", or the error's code. */
  readonly result: string;
}

export interface ConsoleDeps {
  readonly registry: Registry;
  metrics(): Metrics;
  resolution(): Resolution;
  brokerInfo(): BrokerInfo;
  /** Reads the configuration again; rejects with ST_CONFIG_… if it is not valid: nothing changed. */
  reload(): Promise<ReloadReport>;
  /** Tables of the configuration file, until the next restart. Rejects like reload(). */
  patchConfig(tables: Readonly<Record<string, unknown>>): Promise<ReloadReport>;
  logFilter(): string;
  /** Throws ST_LOG_FILTER. */
  setLogFilter(text: string): void;
  /** Resolves with the Reason Code: 0, or 0x10 where nobody had subscribed. */
  publish(topic: string, payload: Uint8Array, options: ConsolePublish): Promise<number>;
  /** To each of these clients; see Broker.directWriteMany. */
  directWrite(
    clientIds: readonly string[],
    topic: string,
    payload: Uint8Array,
    options: DirectWriteManyOptions,
  ): Promise<DirectWriteCounts>;
  prometheusText(): Promise<string>;
  /** Publish to delivery, since the start: for the live page. */
  latency(): HistogramSample;
  traces(): Promise<readonly TraceInfo[]>;
  /** Throws ST_ARGUMENT where there are too many already. */
  startTrace(options: TraceOptions): Promise<TraceInfo>;
  /** False: there is none of this number. */
  stopTrace(id: number): Promise<boolean>;
  /** Rejects with ST_DEVICE_TOPICS where devices have no topics of their own. */
  devices(page: PageRequest): Promise<Page<DeviceState>>;
  /** Of the broker that runs. */
  bans(): Pick<Bans, 'add' | 'remove' | 'list'>;
  /** Loaded with the first call. */
  plugins(): Promise<Pick<Plugins, 'list' | 'load' | 'unload' | 'reload'>>;
  /** A client inside the process: the live page's subscriptions. */
  openLink(options: LinkOptions): Promise<Link>;
  /** Until the returned function is called. */
  onConnect(listener: (client: ConnectInfo) => void): () => void;
  onDisconnect(listener: (client: DisconnectInfo) => void): () => void;
  onLog(listener: (record: LogRecord) => void): () => void;
  log(record: LogRecord): void;
  audit(record: AuditRecord): void;
}
