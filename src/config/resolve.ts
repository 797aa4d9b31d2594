/**
 * From layers to the configuration that the broker runs with: every value checked against its row,
 * every key either an option, a known key that this version answers for, or warned about.
 */
import { fail } from '../errors.js';
import { parseFilter } from '../log/filter.js';
import type { ProtocolVersion } from '../native/events.js';
import { formatAddress, type ListenAddress } from './address.js';
import type {
  BrokerConfig,
  ConsoleConfig,
  ConsoleToken,
  ListenerConfig,
  ListenerKind,
  PrometheusConfig,
} from './broker-config.js';
import {
  aliases,
  type BrokerTable,
  brokerRows,
  type LogConfig,
  listenerRows,
  logRows,
  type MqttConfig,
  mqttRows,
  mqttTableRows,
  type RouterConfig,
  routerRows,
  topRows,
} from './options.js';
import { allowedText, defaultOf, type Row, type Rows } from './rows.js';
import {
  type ConsoleRole,
  consoleRows,
  type PrometheusTable,
  prometheusRows,
  tokenRows,
} from './service-options.js';
import { nearest } from './suggest.js';
import {
  keyOf,
  type Layer,
  mergeLayers,
  quoteKey,
  type TableNode,
  type TreeNode,
  whereOf,
} from './tree.js';
import { deadKeys, isAboutAccess, type Scope, unsupported } from './unsupported.js';
import { originOf, rowValue, wrong } from './values.js';

export type {
  BrokerConfig,
  ConsoleConfig,
  ConsoleToken,
  ListenerConfig,
  ListenerKind,
  PrometheusConfig,
} from './broker-config.js';

/** One line of `--check`. */
export interface EffectiveEntry {
  readonly table: string;
  readonly key: string;
  readonly row: Row;
  readonly value: unknown;
  /** undefined = the default. */
  readonly origin: string | undefined;
}

export interface Resolution {
  readonly config: BrokerConfig;
  readonly warnings: readonly string[];
  readonly effective: readonly EffectiveEntry[];
}

export interface ResolveOptions {
  /** The file whose configuration this is: there must be a listener. */
  readonly file?: string;
  /** A file that nobody named: it may leave the listeners out, but not have none that is served. */
  readonly found?: string;
}

const kListenerKinds = ['v4', 'v5', 'unified'] as const;
const kDefaultPort = 1883;
/** Tables of `top` that hold options, and their rows. */
const sections = {
  broker: brokerRows,
  router: routerRows,
  mqtt: mqttTableRows,
  log: logRows,
} as const;

export function resolveConfig(layers: readonly Layer[], options: ResolveOptions = {}): Resolution {
  return new Resolver(mergeLayers(layers)).resolve(options);
}

class Resolver {
  readonly #root: TableNode;
  readonly #warnings: string[] = [];
  readonly #warned = new Set<unknown>();
  readonly #effective: EffectiveEntry[] = [];

  constructor(root: TableNode) {
    this.#root = root;
  }

  resolve(options: ResolveOptions): Resolution {
    const top = this.#root.children;
    const id = this.#rows('', this.#root, topRows, 'top').id as number;
    const broker = this.#section('broker') as unknown as BrokerTable;
    const router = this.#section('router') as unknown as RouterConfig;
    const { sys_interval_s, ...mqttTable } = this.#section('mqtt');
    const mqtt = mqttTable as unknown as MqttConfig;
    const log = this.#section('log') as unknown as LogConfig;
    this.#checkPairs(broker);
    this.#checkKeepAlive(mqtt, top.get('mqtt'));
    this.#checkLogFilter(log);

    const console = this.#console();
    const prometheus = this.#prometheus();

    const listeners: ListenerConfig[] = [];
    for (const kind of kListenerKinds) {
      for (const [key, node] of this.#listenersOf(kind)) {
        listeners.push(this.#listener(kind, key, node, mqtt));
      }
    }
    // WebSocket listeners are skipped, but what they say about access is not.
    for (const [, node] of this.#listenersOf('ws')) {
      this.#unserved(node, listenerRows, 'listener');
      const connections = this.#tableAt(node, 'connections');
      if (connections !== undefined) this.#unserved(connections, mqttRows, 'connections');
    }
    const device = this.#tableAt(this.#root, 'device');
    if (device !== undefined) this.#unserved(device, {}, 'device');

    const mentioned = [...kListenerKinds, 'ws'].some((kind) => top.has(kind));
    const isLoopbackDefault = listeners.length === 0 && !mentioned && options.file === undefined;
    if (isLoopbackDefault) listeners.push(loopbackListener(mqtt));
    const where = options.file ?? options.found;
    if (listeners.length === 0 && where !== undefined) {
      throw fail('ST_CONFIG_NO_LISTENER', { where });
    }
    refuseSameAddress(listeners);
    return {
      config: {
        id,
        broker,
        router,
        log,
        console,
        prometheus,
        sysIntervalS: sys_interval_s as number,
        mqtt,
        listeners,
        isLoopbackDefault,
      },
      warnings: this.#warnings,
      effective: this.#effective,
    };
  }

  #section(name: keyof typeof sections): Record<string, unknown> {
    return this.#rows(name, this.#tableAt(this.#root, name), sections[name], name);
  }

  #console(): ConsoleConfig | undefined {
    const node = this.#tableAt(this.#root, 'console');
    if (node === undefined) return undefined;
    const { listen } = this.#rows('console', node, consoleRows, 'console');
    const tokens: ConsoleToken[] = [];
    for (const [name, token] of this.#tableAt(node, 'tokens')?.children ?? []) {
      tokens.push(this.#token(name, token));
    }
    return { listen: listen as readonly ListenAddress[], tokens };
  }

  /** NAME = { token, role }, or NAME = "token" for all roles. */
  #token(name: string, node: TreeNode): ConsoleToken {
    const table = `console.tokens.${quoteKey(name)}`;
    if (node.kind === 'value') {
      const token = rowValue(node, tokenRows.token) as string;
      const origin = originOf(node, name);
      this.#effective.push({ table, key: 'token', row: tokenRows.token, value: token, origin });
      return { name, role: 'admin', token };
    }
    const { role, token } = this.#rows(table, node, tokenRows, 'console');
    if (!node.children.has('token')) {
      const allowed = allowedText(tokenRows.token);
      throw fail('ST_CONFIG_MISSING', {
        where: whereOf(node),
        key: `${keyOf(node)} token`,
        allowed,
      });
    }
    return { name, role: role as ConsoleRole, token: token as string };
  }

  #prometheus(): PrometheusConfig | undefined {
    const node = this.#tableAt(this.#root, 'prometheus');
    if (node === undefined) return undefined;
    const rows = this.#rows('prometheus', node, prometheusRows, 'prometheus');
    const { listen, port, interval } = rows as unknown as PrometheusTable;
    // As in rumqttd, the deprecated port wins.
    return { listen: port === 0 ? listen : [{ host: '127.0.0.1', port }], intervalS: interval };
  }

  /** The table of this key; undefined where there is none. */
  #tableAt(parent: TableNode, key: string): TableNode | undefined {
    const node = parent.children.get(key);
    if (node === undefined || node.kind === 'table') return node;
    // `mqtt:` with nothing behind it, in YAML.
    if (node.value === null) return undefined;
    throw wrong(node, 'a table');
  }

  /** Every row's value: the configured one or the default. Then all keys that are no rows. */
  #rows(
    table: string,
    node: TableNode | undefined,
    rows: Rows,
    scope: Scope,
    defaults: Readonly<Record<string, unknown>> = {},
  ): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [key, row] of Object.entries(rows)) {
      const found = node?.children.get(key);
      const value =
        found === undefined
          ? key in defaults
            ? defaults[key]
            : defaultOf(row)
          : rowValue(found, row);
      values[key] = value;
      const origin = found === undefined ? undefined : originOf(found, key);
      this.#effective.push({ table, key, row, value, origin });
    }
    if (node !== undefined) this.#unserved(node, rows, scope);
    return values;
  }

  /** Keys that are not options of this table: refused, or warned about once. */
  #unserved(table: TableNode, rows: Rows, scope: Scope): void {
    for (const [key, node] of table.children) {
      if (Object.hasOwn(rows, key) || isKnownTable(scope, key)) continue;
      const known = Object.hasOwn(unsupported[scope], key) ? unsupported[scope][key] : undefined;
      if (known !== undefined) {
        if (node.kind === 'value' && known.harmless?.(node.value) === true) continue;
        if (known.answer === 'refuse') {
          throw fail('ST_CONFIG_UNSUPPORTED', {
            where: whereOf(node),
            key: keyOf(node),
            why: known.text,
          });
        }
        // `[ws]` with nothing in it asks for nothing.
        if (scope === 'top' && isEmpty(node)) continue;
        this.#warn(known.text, `${whereOf(node)}: ${keyOf(node)}: ${known.text}`);
      } else if (deadKeys.has(key)) {
        this.#warn(key, `${whereOf(node)}: ${keyOf(node)}: has no effect, as in rumqttd`);
      } else {
        this.#unknown(node, key, scope, rows);
      }
    }
  }

  #unknown(node: TreeNode, key: string, scope: Scope, rows: Rows): void {
    const candidates = [
      ...Object.keys(rows),
      ...Object.keys(unsupported[scope]),
      ...knownTables(scope),
      ...(scope === 'connections' ? Object.keys(aliases.connections) : []),
    ];
    const meant = nearest(key, candidates);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    const meantKey = meant === undefined ? undefined : unsupported[scope][meant];
    // A mistyped `tsl` or `atuh` must not open the port that the file wants closed.
    if (meantKey?.answer === 'refuse' || isAboutAccess(key)) {
      throw fail('ST_CONFIG_UNSUPPORTED', {
        where: whereOf(node),
        key: keyOf(node),
        why: `unknown, and about access by its name${hint}`,
      });
    }
    this.#warnings.push(`${whereOf(node)}: ${keyOf(node)}: unknown key, left out${hint}`);
  }

  #warn(once: unknown, text: string): void {
    if (this.#warned.has(once)) return;
    this.#warned.add(once);
    this.#warnings.push(text);
  }

  *#listenersOf(kind: ListenerKind | 'ws'): Iterable<[string, TableNode]> {
    const table = this.#tableAt(this.#root, kind);
    if (table === undefined) return;
    for (const [key, node] of table.children) {
      if (node.kind !== 'table') throw wrong(node, `a table, as [${kind}.1]`);
      yield [key, node];
    }
  }

  #listener(kind: ListenerKind, key: string, node: TableNode, base: MqttConfig): ListenerConfig {
    const table = `${kind}.${quoteKey(key)}`;
    const rows = this.#rows(table, node, listenerRows, 'listener', { name: `${kind}-${key}` });
    const connections = this.#tableAt(node, 'connections');
    const mqtt = this.#rows(`${table}.connections`, connections, mqttRows, 'connections', {
      ...base,
      accept_versions: versionsOf(kind, base),
    }) as unknown as MqttConfig;
    this.#checkKeepAlive(mqtt, connections);
    const listen = rows.listen as readonly ListenAddress[];
    const path = rows.unix as string;
    if (listen.length === 0 && path === '') {
      throw fail('ST_CONFIG_MISSING', {
        where: whereOf(node),
        key: `${keyOf(node)} listen`,
        allowed: allowedText(listenerRows.listen),
      });
    }
    return {
      kind,
      table,
      name: rows.name as string,
      listen,
      unix: path === '' ? undefined : { path, mode: rows.unix_mode as number },
      maxConnections: rows.max_connections as number,
      acceptDelayMs: this.#acceptDelay(node, rows.next_connection_delay_ms as number),
      maxConnectRate: rows.max_connect_rate as number,
      versions: mqtt.accept_versions,
      mqtt,
    };
  }

  /** ST-RMQTT's files have 1 everywhere: taken at its word, a port would take 1000 clients a second. */
  #acceptDelay(listener: TableNode, delayMs: number): number {
    const node = listener.children.get('next_connection_delay_ms');
    if (delayMs !== 1 || node === undefined) return delayMs;
    const why =
      'has no effect at 1, which would let in at most 1000 connections a second; 2 and more has';
    this.#warn(why, `${whereOf(node)}: ${keyOf(node)}: ${why}`);
    const last = this.#effective.findLastIndex(({ key }) => key === 'next_connection_delay_ms');
    const entry = this.#effective[last];
    if (entry !== undefined) {
      this.#effective[last] = { ...entry, value: 0, origin: `${entry.origin} (1)` };
    }
    return 0;
  }

  #checkPairs(broker: BrokerTable): void {
    if (broker.outbound_low_watermark_bytes < broker.outbound_high_watermark_bytes) return;
    const table = this.#tableAt(this.#root, 'broker');
    const node =
      table?.children.get('outbound_low_watermark_bytes') ??
      table?.children.get('outbound_high_watermark_bytes');
    throw fail('ST_CONFIG_CONFLICT', {
      where: node === undefined ? 'defaults' : whereOf(node),
      why:
        `broker.outbound_low_watermark_bytes = ${broker.outbound_low_watermark_bytes} must be less than ` +
        `broker.outbound_high_watermark_bytes = ${broker.outbound_high_watermark_bytes}`,
    });
  }

  #checkLogFilter({ filter, level }: LogConfig): void {
    const node = this.#tableAt(this.#root, 'log')?.children.get('filter');
    const where = node === undefined ? 'defaults' : whereOf(node);
    for (const text of parseFilter(filter, level, where).warnings) {
      this.#warnings.push(`${where}: ${text}`);
    }
  }

  #checkKeepAlive(mqtt: MqttConfig, table: TreeNode | undefined): void {
    if (mqtt.default_keep_alive_s <= mqtt.max_keep_alive_s || table?.kind !== 'table') return;
    const node =
      table.children.get('default_keep_alive_s') ?? table.children.get('max_keep_alive_s') ?? table;
    throw fail('ST_CONFIG_CONFLICT', {
      where: whereOf(node),
      why: `default_keep_alive_s = ${mqtt.default_keep_alive_s} is more than max_keep_alive_s = ${mqtt.max_keep_alive_s}`,
    });
  }
}

function knownTables(scope: Scope): readonly string[] {
  if (scope === 'top') {
    return [...Object.keys(sections), ...kListenerKinds, 'console', 'prometheus', 'device'];
  }
  if (scope === 'console') return ['tokens'];
  return scope === 'listener' ? ['connections'] : [];
}
function isKnownTable(scope: Scope, key: string): boolean {
  return knownTables(scope).includes(key);
}

function versionsOf(kind: ListenerKind, mqtt: MqttConfig): readonly ProtocolVersion[] {
  if (kind === 'v4') return ['3.1', '3.1.1'];
  return kind === 'v5' ? ['5.0'] : mqtt.accept_versions;
}

function loopbackListener(mqtt: MqttConfig): ListenerConfig {
  return {
    kind: 'unified',
    table: 'unified.loopback',
    name: 'loopback',
    listen: [
      { host: '127.0.0.1', port: kDefaultPort },
      { host: '::1', port: kDefaultPort, optional: true },
    ],
    unix: undefined,
    maxConnections: 0,
    acceptDelayMs: 0,
    maxConnectRate: 0,
    versions: mqtt.accept_versions,
    mqtt,
  };
}

/** A table without keys, or in YAML a key with nothing behind it. */
function isEmpty(node: TreeNode): boolean {
  return node.kind === 'table' ? node.children.size === 0 : node.value === null;
}

function refuseSameAddress(listeners: readonly ListenerConfig[]): void {
  const names = new Map<string, string>();
  for (const { name, listen, unix } of listeners) {
    const addresses = listen
      .filter(({ port }) => port !== 0)
      .map((a) => formatAddress(a.host, a.port));
    for (const address of unix === undefined ? addresses : [...addresses, unix.path]) {
      const other = names.get(address);
      if (other !== undefined) {
        throw fail('ST_CONFIG_CONFLICT', {
          where: `listener ${name}`,
          why: `it and listener ${other} both ask for ${address}; give one of them another port`,
        });
      }
      names.set(address, name);
    }
  }
}
