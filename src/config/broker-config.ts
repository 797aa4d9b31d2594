/** The configuration that the broker runs with: every value checked, every default in its place. */
import type { ProtocolVersion } from '../native/events.js';
import type {
  AclConfig,
  AuthConfig,
  ClientRole,
  DeviceConfig,
  LimitsConfig,
  ProxyProtocol,
  StaticUser,
  TenantsConfig,
  TlsConfig,
  WebSocketConfig,
} from './access-config.js';
import type { ListenAddress } from './address.js';
import type { BrokerTable, LogConfig, MqttConfig, RouterConfig } from './options.js';
import type { PluginsConfig } from './plugin-options.js';
import type { ConsoleRole } from './service-options.js';

export type * from './access-config.js';

export type ListenerKind = 'v4' | 'v5' | 'unified' | 'ws';

export interface ListenerConfig {
  readonly kind: ListenerKind;
  /** Its table, as "v4.1": what makes it the same listener after a reload. */
  readonly table: string;
  readonly name: string;
  readonly listen: readonly ListenAddress[];
  readonly unix: { readonly path: string; readonly mode: number } | undefined;
  /** 0 = only the broker's limit. */
  readonly maxConnections: number;
  /** Between two accepts; 0 = none. */
  readonly acceptDelayMs: number;
  /** Connections per second; 0 = no bound. */
  readonly maxConnectRate: number;
  readonly versions: readonly ProtocolVersion[];
  readonly mqtt: MqttConfig;
  readonly transport: 'mqtt' | 'websocket';
  /** Where transport is 'websocket'. */
  readonly ws: WebSocketConfig | undefined;
  readonly tls: TlsConfig | undefined;
  readonly proxyProtocol: ProxyProtocol;
  readonly trustedProxies: readonly string[];
  /** undefined = by what applies there. */
  readonly role: ClientRole | undefined;
  readonly allowAnonymous: boolean | undefined;
  /** Of its `auth` tables. */
  readonly users: readonly StaticUser[];
  readonly validateTenantPrefix: boolean;
  /** What nobody has subscribed to goes into a log. */
  readonly dynamicFilters: boolean;
  /** Of [tenants]; with validateTenantPrefix at least enforced. */
  readonly tenantMode: TenantsConfig['mode'];
  /** Whether the configuration says who its clients are: users, a provider, certificates. */
  readonly isGuarded: boolean;
  /** '' = none of its own. */
  readonly tenant: string;
  readonly handshakeTimeoutMs: number;
  /** 0 = no bound, of this and those that follow. */
  readonly maxHandshakes: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxConnectRatePerAddress: number;
  readonly totalMessagesPerS: number;
  readonly totalBytesPerS: number;
}

/** Bounds of the logs whose topics match. */
export interface CustomSegment {
  readonly filter: string;
  readonly maxSegmentSize: number;
  readonly maxSegmentCount: number;
}

export interface ConsoleToken {
  readonly name: string;
  readonly role: ConsoleRole;
  readonly token: string;
}

export interface ConsoleConfig {
  readonly listen: readonly ListenAddress[];
  readonly tokens: readonly ConsoleToken[];
  readonly tls: TlsConfig | undefined;
}

export interface PrometheusConfig {
  readonly listen: readonly ListenAddress[];
  /** The key by which it was asked for. */
  readonly asked: 'listen' | 'port';
  readonly intervalS: number;
  readonly tls: TlsConfig | undefined;
}

export interface BrokerConfig {
  readonly id: number;
  readonly broker: BrokerTable;
  readonly router: RouterConfig;
  readonly customSegments: readonly CustomSegment[];
  readonly log: LogConfig;
  /** undefined = not configured: nothing of it is loaded. */
  readonly console: ConsoleConfig | undefined;
  readonly prometheus: PrometheusConfig | undefined;
  /** Of broker.meters(), where its caller names none. */
  readonly meterIntervalS: number;
  /** How often $SYS is published; 0 = not at all. */
  readonly sysIntervalS: number;
  /** Of links, and of listeners that override nothing. */
  readonly mqtt: MqttConfig;
  readonly listeners: readonly ListenerConfig[];
  /** undefined = not configured. */
  readonly auth: AuthConfig | undefined;
  readonly acl: AclConfig | undefined;
  readonly limits: LimitsConfig;
  readonly tenants: TenantsConfig;
  readonly device: DeviceConfig;
  /** undefined = no plugin is named: nothing of them is loaded. */
  readonly plugins: PluginsConfig | undefined;
  /** Nobody asked for a listener: the one on loopback was put in. */
  readonly isLoopbackDefault: boolean;
}
