/** What the console needs, from the running broker. */
import type { EventEmitter } from 'node:events';
import type { Broker } from '../broker.js';
import type { Layer } from '../config/tree.js';
import type { Link } from '../link/link.js';
import { monitor, type OwnLinkOptions } from '../link/options.js';
import type { LogRecord } from '../log/logger.js';
import type { MetricsSource } from '../metrics/sample.js';
import { packageVersion } from '../native/load.js';
import type { ReloadReport } from '../reload/report.js';
import type { BrokerEvents } from '../session/events.js';
import type { Registry } from '../session/registry.js';
import type { AuditRecord, ConsoleDeps, ConsolePublish } from './deps.js';

export interface BrokerSide {
  readonly broker: Pick<
    Broker,
    | 'id'
    | 'ready'
    | 'config'
    | 'addresses'
    | 'bans'
    | 'devices'
    | 'metrics'
    | 'reload'
    | 'logFilter'
    | 'setLogFilter'
    | 'link'
    | 'directWriteMany'
    | 'tracer'
    | 'plugins'
    | 'on'
    | 'off'
  >;
  readonly registry: Registry;
  readonly source: MetricsSource;
  readonly startedAt: number;
  readonly prometheusText: () => Promise<string>;
  readonly patch: (layer: Layer) => Promise<ReloadReport>;
  readonly log: (record: LogRecord) => void;
}

export function consoleDeps(side: BrokerSide): ConsoleDeps {
  const { broker, registry, source, startedAt, prometheusText, patch, log } = side;
  const version = packageVersion();
  const on = <K extends keyof BrokerEvents>(
    name: K,
    listener: (...values: BrokerEvents[K]) => void,
  ) => {
    // EventEmitter's own type cannot follow an open K.
    const untyped = broker as unknown as EventEmitter;
    untyped.on(name, listener as () => void);
    return () => void untyped.off(name, listener as () => void);
  };
  const publish = publisher((options) => broker.link(options));
  return {
    registry,
    metrics: () => broker.metrics(),
    resolution: () => broker.config,
    brokerInfo: () => ({
      id: broker.id,
      version,
      startedAt,
      ready: broker.ready,
      listeners: broker.addresses.map(({ listener, text }) => ({ name: listener, address: text })),
    }),
    reload: () => broker.reload(),
    patchConfig: (tables) =>
      patch({ name: 'the console', root: tables, locate: () => 'the console' }),
    logFilter: () => broker.logFilter,
    setLogFilter: (text) => broker.setLogFilter(text),
    publish,
    directWrite: (clientIds, topic, payload, options) =>
      broker.directWriteMany(clientIds, topic, payload, options),
    prometheusText,
    latency: () => source.latency(),
    traces: async () => (await broker.tracer()).traces,
    startTrace: async (options) => {
      const tracer = await broker.tracer();
      const id = await tracer.start(options);
      const started = tracer.traces.find((trace) => trace.id === id);
      if (started === undefined) throw new Error(`trace ${id} ended before it began`);
      return started;
    },
    stopTrace: async (id) => (await broker.tracer()).stop(id),
    devices: (page) => broker.devices.page(page),
    bans: () => broker.bans,
    plugins: () => broker.plugins(),
    // It looks on: what a page watches has no subscriber for that.
    openLink: (options) => {
      const own: OwnLinkOptions = { ...options, [monitor]: true };
      return broker.link(own);
    },
    onConnect: (listener) => on('connect', listener),
    onDisconnect: (listener) => on('disconnect', listener),
    onLog: (listener) => on('log', listener),
    log,
    audit: (record) => log(auditRecord(record)),
  };
}

/** A link of the console's own, opened by the first publish; another one for each other name. */
function publisher(open: Broker['link']): ConsoleDeps['publish'] {
  let own: Promise<Link> | undefined;
  const ownLink = async (): Promise<Link> => {
    if (own !== undefined) {
      const link = await own.catch(() => undefined);
      if (link?.isOpen === true) return link;
    }
    own = open();
    return own;
  };
  return async (topic, payload, { clientId, qos, retain, properties }: ConsolePublish) => {
    const link = clientId === undefined ? await ownLink() : await open({ clientId });
    try {
      const sent = await link.publish(topic, payload, {
        qos,
        retain,
        ...(properties === undefined ? {} : { properties }),
      });
      return sent.reasonCode;
    } finally {
      if (clientId !== undefined) await link.close();
    }
  };
}

/** Always in the log, whatever its level is: who changed what. */
function auditRecord({ who, address, action, target, result }: AuditRecord): LogRecord {
  const fields = { who, from: address, action, target, result };
  return { level: 'notice', module: 'audit', text: `${action} by ${who}: ${result}`, fields };
}
