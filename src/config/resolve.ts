/**
 * From layers to the configuration that the broker runs with: every value checked against its row,
 * every key either an option, a known key that this version answers for, or warned about.
 */
import { fail } from '../errors.js';
import { parseFilter } from '../log/filter.js';
import type { BrokerConfig } from './broker-config.js';
import {
  type BrokerTable,
  brokerRows,
  type LogConfig,
  logRows,
  type MqttConfig,
  mqttTableRows,
  type RouterConfig,
  routerRows,
  topRows,
} from './options.js';
import { readPlugins } from './plugin-options.js';
import { type EffectiveEntry, Reader } from './reader.js';
import { readAcl, readDevice, readLimits, readSegments, readTenants } from './resolve-access.js';
import { readAuth } from './resolve-auth.js';
import {
  checkKeepAlive,
  guarded,
  listenerKinds,
  loopbackListener,
  readListeners,
  refuseSameAddress,
} from './resolve-listeners.js';
import { readConsole, readMeterInterval, readPrometheus } from './resolve-services.js';
import { type Layer, mergeLayers, type TableNode, whereOf } from './tree.js';

export type {
  BrokerConfig,
  ConsoleConfig,
  ConsoleToken,
  ListenerConfig,
  ListenerKind,
  PrometheusConfig,
} from './broker-config.js';
export type { EffectiveEntry } from './reader.js';

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

/** Tables of `top` that hold options, and their rows. */
const sections = {
  broker: brokerRows,
  router: routerRows,
  mqtt: mqttTableRows,
  log: logRows,
} as const;

export function resolveConfig(layers: readonly Layer[], options: ResolveOptions = {}): Resolution {
  const root = mergeLayers(layers);
  const reader = new Reader();
  const section = (name: keyof typeof sections) =>
    reader.rows(name, reader.tableAt(root, name), sections[name], name);

  const id = reader.rows('', root, topRows, 'top').id as number;
  const broker = section('broker') as unknown as BrokerTable;
  const router = section('router') as unknown as RouterConfig;
  const { sys_interval_s, ...mqttTable } = section('mqtt');
  const mqtt = mqttTable as unknown as MqttConfig;
  const log = section('log') as unknown as LogConfig;
  checkPairs(reader, root, broker);
  checkKeepAlive(mqtt, root.children.get('mqtt'));
  checkLogFilter(reader, root, log);

  const console = readConsole(reader, root);
  const prometheus = readPrometheus(reader, root);
  const meterIntervalS = readMeterInterval(reader, root);
  const limits = readLimits(reader, root);
  const tenants = readTenants(reader, root);
  const device = readDevice(reader, root, broker);
  const customSegments = readSegments(reader, root, router);
  const acl = readAcl(reader, root);
  const plugins = readPlugins(reader, root);

  const configured = readListeners(reader, root, mqtt, tenants);
  const mentioned = listenerKinds.some((kind) => root.children.has(kind));
  const isLoopbackDefault = configured.length === 0 && !mentioned && options.file === undefined;
  const listeners = isLoopbackDefault ? [loopbackListener(mqtt, tenants)] : configured;
  const auth = readAuth(reader, root, new Set(listeners.map(({ name }) => name)));
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
      customSegments,
      log,
      console,
      prometheus,
      meterIntervalS,
      sysIntervalS: sys_interval_s as number,
      mqtt,
      listeners: listeners.map((one) => guarded(one, auth?.providers ?? [])),
      isLoopbackDefault,
      auth,
      acl,
      limits,
      tenants,
      device,
      plugins,
    },
    warnings: reader.warnings,
    effective: reader.effective,
  };
}

function checkPairs(reader: Reader, root: TableNode, broker: BrokerTable): void {
  if (broker.outbound_low_watermark_bytes < broker.outbound_high_watermark_bytes) return;
  const table = reader.tableAt(root, 'broker');
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

function checkLogFilter(reader: Reader, root: TableNode, { filter, level }: LogConfig): void {
  const node = reader.tableAt(root, 'log')?.children.get('filter');
  const where = node === undefined ? 'defaults' : whereOf(node);
  for (const text of parseFilter(filter, level, where).warnings) {
    reader.warnings.push(`${where}: ${text}`);
  }
}
