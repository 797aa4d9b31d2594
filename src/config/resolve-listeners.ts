/** `[v4.NAME]`, `[v5.NAME]`, `[unified.NAME]`, `[ws.NAME]`, and the one on loopback. */
import { fail } from '../errors.js';
import type { ProtocolVersion } from '../native/events.js';
import { formatAddress, type ListenAddress } from './address.js';
import { secretRow } from './auth-options.js';
import type {
  ListenerConfig,
  ListenerKind,
  ProviderConfig,
  StaticUser,
  TenantsConfig,
  TlsConfig,
} from './broker-config.js';
import { connectionsOwnRows, listenerRows, webSocketRows } from './listener-options.js';
import { type MqttConfig, mqttRows } from './options.js';
import { atPlace, placedIn, placedLike } from './places.js';
import type { Reader } from './reader.js';
import { readTls } from './resolve-tls.js';
import { defaultOf, type ValueTable } from './rows.js';
import { keyOf, quoteKey, type TableNode, type TreeNode, whereOf } from './tree.js';
import { wrong } from './values.js';

export const listenerKinds = ['v4', 'v5', 'unified', 'ws'] as const;
const kDefaultPort = 1883;
const connectionsRows = { ...mqttRows, ...connectionsOwnRows } as const;

type OwnTable = ValueTable<typeof listenerRows>;

export function readListeners(
  reader: Reader,
  root: TableNode,
  base: MqttConfig,
  tenants: TenantsConfig,
): readonly ListenerConfig[] {
  const listeners: ListenerConfig[] = [];
  for (const kind of listenerKinds) {
    for (const [key, node] of reader.tableAt(root, kind)?.children ?? []) {
      if (node.kind !== 'table') throw wrong(node, `a table, as [${kind}.1]`);
      const listener = readListener(reader, kind, key, node, base);
      const mode =
        tenants.mode === 'off' && listener.validateTenantPrefix ? 'enforced' : tenants.mode;
      listeners.push(placedIn(node, { ...listener, tenantMode: mode }));
    }
  }
  return listeners;
}

function readListener(
  reader: Reader,
  kind: ListenerKind,
  key: string,
  node: TableNode,
  base: MqttConfig,
): ListenerConfig {
  const table = `${kind}.${quoteKey(key)}`;
  const isWebSocket = kind === 'ws';
  const values = reader.rows(
    table,
    node,
    isWebSocket ? { ...listenerRows, ...webSocketRows } : listenerRows,
    'listener',
    { name: `${kind}-${key}` },
  );
  const rows = values as unknown as OwnTable;
  const connections = reader.tableAt(node, 'connections');
  const { validate_tenant_prefix, dynamic_filters, ...limits } = reader.rows(
    `${table}.connections`,
    connections,
    connectionsRows,
    'connections',
    { ...base, accept_versions: versionsOf(kind, base) },
  );
  const mqtt = limits as unknown as MqttConfig;
  checkKeepAlive(mqtt, connections);
  const tls = readTls(reader, table, node);
  const validateTenantPrefix = validate_tenant_prefix as boolean;
  if (rows.listen.length === 0 && rows.unix === '') {
    throw reader.missing(node, 'listen', listenerRows.listen);
  }
  if (rows.proxy_protocol !== 'off' && rows.trusted_proxies.length === 0 && rows.unix === '') {
    const why = `proxy_protocol = "${rows.proxy_protocol}" needs trusted_proxies: from anywhere else a header is refused`;
    throw reader.conflict(node, 'proxy_protocol', why);
  }
  return {
    kind,
    table,
    name: rows.name,
    listen: rows.listen,
    unix: rows.unix === '' ? undefined : { path: rows.unix, mode: rows.unix_mode },
    maxConnections: rows.max_connections,
    acceptDelayMs: acceptDelay(reader, node, rows.next_connection_delay_ms),
    maxConnectRate: rows.max_connect_rate,
    versions: mqtt.accept_versions,
    mqtt,
    transport: isWebSocket ? 'websocket' : 'mqtt',
    ws: isWebSocket
      ? {
          path: values.path as string,
          allowedOrigins: values.allowed_origins as readonly string[],
        }
      : undefined,
    tls: validateTenantPrefix ? withCertificates(reader, connections ?? node, tls) : tls?.tls,
    proxyProtocol: rows.proxy_protocol as ListenerConfig['proxyProtocol'],
    trustedProxies: rows.trusted_proxies,
    role: rows.role,
    allowAnonymous: rows.allow_anonymous as boolean | undefined,
    users: [
      ...readUsers(reader, table, node),
      ...readUsers(reader, `${table}.connections`, connections),
    ],
    validateTenantPrefix,
    dynamicFilters: dynamic_filters as boolean,
    tenantMode: 'off',
    isGuarded: false,
    tenant: rows.tenant,
    handshakeTimeoutMs: rows.handshake_timeout_ms,
    maxHandshakes: rows.max_handshakes,
    maxConnectionsPerAddress: rows.max_connections_per_address,
    maxConnectRatePerAddress: rows.max_connect_rate_per_address,
    totalMessagesPerS: rows.total_messages_per_s,
    totalBytesPerS: rows.total_bytes_per_s,
  };
}

/** The tenant is in the certificate: so there must be one, from a CA that is trusted. */
function withCertificates(
  reader: Reader,
  connections: TableNode,
  read: ReturnType<typeof readTls>,
): TlsConfig {
  const key = 'validate_tenant_prefix';
  if (read === undefined || read.tls.capath === '') {
    const why = `${key} needs client certificates: a tls table with capath`;
    throw reader.conflict(connections, key, why);
  }
  const { tls, node } = read;
  const written = node.children.get('verify_client_cert');
  if (written !== undefined && tls.verify !== 'require') {
    const why = `verify_client_cert = "${tls.verify}" leaves clients without a certificate in, and ${key} wants one of each`;
    throw reader.conflict(node, 'verify_client_cert', why);
  }
  return placedLike(tls, { ...tls, verify: 'require' });
}

/** `auth` of a listener, and of its `.connections` as in ST-RMQTT: user name = password. */
function readUsers(reader: Reader, table: string, node: TableNode | undefined): StaticUser[] {
  if (node === undefined) return [];
  const users = reader.named(table, node, 'auth', secretRow);
  if (node.children.has('auth') && users.size === 0) {
    const why = `the auth table of ${table} names no user, so nobody could come in; name one, or leave it out`;
    throw reader.conflict(node, 'auth', why);
  }
  return [...users].map(([name, password]) => ({ name, password: password as string }));
}

/** ST-RMQTT's files have 1 everywhere: taken at its word, a port would take 1000 clients a second. */
function acceptDelay(reader: Reader, listener: TableNode, delayMs: number): number {
  const node = listener.children.get('next_connection_delay_ms');
  if (delayMs !== 1 || node === undefined) return delayMs;
  const why =
    'has no effect at 1, which would let in at most 1000 connections a second; 2 and more has';
  reader.warn(why, `${whereOf(node)}: ${keyOf(node)}: ${why}`);
  const last = reader.effective.findLastIndex(({ key }) => key === 'next_connection_delay_ms');
  const entry = reader.effective[last];
  if (entry !== undefined) {
    reader.effective[last] = { ...entry, value: 0, origin: `${entry.origin} (1)` };
  }
  return 0;
}

export function checkKeepAlive(mqtt: MqttConfig, table: TreeNode | undefined): void {
  if (mqtt.default_keep_alive_s <= mqtt.max_keep_alive_s || table?.kind !== 'table') return;
  const node =
    table.children.get('default_keep_alive_s') ?? table.children.get('max_keep_alive_s') ?? table;
  throw fail('ST_CONFIG_CONFLICT', {
    where: whereOf(node),
    why: `default_keep_alive_s = ${mqtt.default_keep_alive_s} is more than max_keep_alive_s = ${mqtt.max_keep_alive_s}`,
  });
}

function versionsOf(kind: ListenerKind, mqtt: MqttConfig): readonly ProtocolVersion[] {
  if (kind === 'v4') return ['3.1', '3.1.1'];
  return kind === 'v5' ? ['5.0'] : mqtt.accept_versions;
}

export function loopbackListener(mqtt: MqttConfig, tenants: TenantsConfig): ListenerConfig {
  const listen: readonly ListenAddress[] = [
    { host: '127.0.0.1', port: kDefaultPort },
    { host: '::1', port: kDefaultPort, optional: true },
  ];
  return {
    kind: 'unified',
    table: 'unified.loopback',
    name: 'loopback',
    listen,
    unix: undefined,
    maxConnections: 0,
    acceptDelayMs: 0,
    maxConnectRate: 0,
    versions: mqtt.accept_versions,
    mqtt,
    transport: 'mqtt',
    ws: undefined,
    tls: undefined,
    proxyProtocol: 'off',
    trustedProxies: [],
    role: undefined,
    allowAnonymous: undefined,
    users: [],
    validateTenantPrefix: false,
    dynamicFilters: false,
    tenantMode: tenants.mode,
    isGuarded: false,
    tenant: '',
    handshakeTimeoutMs: defaultOf(listenerRows.handshake_timeout_ms) as number,
    maxHandshakes: 0,
    maxConnectionsPerAddress: 0,
    maxConnectRatePerAddress: 0,
    totalMessagesPerS: 0,
    totalBytesPerS: 0,
  };
}

/** With what is known of each when the providers are. */
export function guarded(
  listener: ListenerConfig,
  providers: readonly ProviderConfig[],
): ListenerConfig {
  const { users, tls, validateTenantPrefix, allowAnonymous, name } = listener;
  const isGuarded =
    users.length > 0 ||
    validateTenantPrefix ||
    allowAnonymous === false ||
    (tls !== undefined && (tls.identity !== 'none' || tls.verify === 'require')) ||
    providers.some(({ listeners }) => listeners.length === 0 || listeners.includes(name));
  return placedLike(listener, { ...listener, isGuarded });
}

export function refuseSameAddress(listeners: readonly ListenerConfig[]): void {
  const names = new Map<string, string>();
  for (const listener of listeners) {
    const { name, listen, unix } = listener;
    const addresses = listen
      .filter(({ port }) => port !== 0)
      .map((a) => formatAddress(a.host, a.port));
    for (const address of unix === undefined ? addresses : [...addresses, unix.path]) {
      const other = names.get(address);
      if (other !== undefined) {
        const why = `it and listener ${other} both ask for ${address}; give one of them another port`;
        const error = fail('ST_CONFIG_CONFLICT', { where: `listener ${name}`, why });
        throw atPlace(error, listener, address === unix?.path ? 'unix' : 'listen');
      }
      names.set(address, name);
    }
  }
}
