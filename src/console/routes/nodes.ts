/** The broker itself: identity, machine, health, features, and the list of what is served here. */
import { freemem, loadavg, totalmem, uptime } from 'node:os';
import type { ConsoleDeps } from '../deps.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { flag, input, integer, list, number, record, type Schema, text } from '../schema.js';
import type { Context } from './context.js';
import { nodeName } from './numbers.js';

const common = {
  node_id: integer("This broker's number."),
  node_name: text('Its name.'),
  running: flag('Whether it accepts connections.'),
  uptime: text('As "5 days 23 hours, 16 minutes, 3 seconds".'),
  version: text('Its version.'),
} as const satisfies Record<string, Schema>;

const brokerSchema = record({
  ...common,
  datetime: text('Now, ISO 8601.'),
  started_at: integer('ms since 1970.'),
  sysdescr: text('What it is.'),
  node_version: text('Of Node.js.'),
  listeners: list(
    record({ name: text("The listener's."), address: text('Where it listens.') }),
    'Listeners.',
  ),
});
const nodeSchema = record({
  ...common,
  boottime: text('When the machine started, ISO 8601.'),
  connections: integer('Clients connected.'),
  load1: number('Load average of a minute.'),
  load5: number('Of 5 minutes.'),
  load15: number('Of 15 minutes.'),
  memory_free: integer('Of the machine, bytes.'),
  memory_total: integer('Of the machine, bytes.'),
  memory_used: integer('Of the machine, bytes.'),
  process_memory: integer('Of this process (resident), bytes.'),
});
const byNode = input({ node: integer("This broker's number.", { minimum: 0 }) }, ['node']);

interface ByNode {
  readonly params: { readonly node: number };
}

export function nodeRoutes({ deps }: Context): readonly Route[] {
  const own = (node: number) => {
    if (node !== deps.brokerInfo().id) {
      throw new Problem('not_found', `there is no node ${node}`, 'node');
    }
  };
  const pair = (
    what: 'brokers' | 'nodes',
    summary: string,
    schema: Schema,
    show: (deps: ConsoleDeps) => unknown,
  ): readonly Route[] => [
    route({
      method: 'GET',
      url: `/api/v1/${what}`,
      name: `${what}.list`,
      summary,
      tag: 'broker',
      role: 'read',
      answers: { 200: list(schema, 'One entry: this broker.') },
      handle: () => [show(deps)],
    }),
    route<ByNode>({
      method: 'GET',
      url: `/api/v1/${what}/:node`,
      name: `${what}.get`,
      summary,
      tag: 'broker',
      role: 'read',
      params: byNode,
      answers: { 200: schema },
      handle: ({ params }) => {
        own(params.node);
        return show(deps);
      },
    }),
  ];
  return [
    ...pair('brokers', 'What this broker is', brokerSchema, showBroker),
    ...pair('nodes', 'How this machine is', nodeSchema, showNode),
    route({
      method: 'GET',
      url: '/api/v1/health/check',
      name: 'health.check',
      summary: 'Whether the broker serves',
      tag: 'broker',
      role: 'read',
      answers: {
        200: record({
          status: text('"ok", or "stopping".', { enum: ['ok', 'stopping'] }),
          nodes: list(
            record({ node_id: common.node_id, running: common.running }),
            'One entry: this broker.',
          ),
        }),
      },
      handle: () => {
        const { id, ready } = deps.brokerInfo();
        const nodes = [{ node_id: id, running: ready }];
        return { status: ready ? 'ok' : 'stopping', nodes };
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/features',
      name: 'features.get',
      summary: 'What the broker offers to clients, unless their listener says otherwise',
      tag: 'broker',
      role: 'read',
      answers: {
        200: record({
          node_id: common.node_id,
          versions: list(text('A version of MQTT.'), 'Of unified listeners.'),
          max_qos: integer('The highest QoS.'),
          retain: flag('Retained messages.'),
          wildcard_subscriptions: flag('Wildcards in Topic Filters.'),
          subscription_identifiers: flag('Subscription Identifiers.'),
          shared_subscriptions: flag('$share/….'),
        }),
      },
      handle: () => {
        const { mqtt } = deps.resolution().config;
        return {
          node_id: deps.brokerInfo().id,
          versions: mqtt.accept_versions,
          max_qos: mqtt.max_qos,
          retain: mqtt.retain_available,
          wildcard_subscriptions: mqtt.wildcard_subscriptions,
          subscription_identifiers: mqtt.subscription_identifiers,
          shared_subscriptions: mqtt.shared_subscriptions,
        };
      },
    }),
  ];
}

/** The list of what is served here. */
export function indexRoute(all: () => readonly Route[]): Route {
  return route({
    method: 'GET',
    url: '/api/v1',
    name: 'index',
    summary: 'What is served here',
    tag: 'broker',
    role: 'read',
    answers: {
      200: list(
        record({
          name: text('Its name in the audit log.'),
          method: text('HTTP method.'),
          path: text('Its path.'),
          descr: text('What it does.'),
          role: text('The role that it needs; "open" = none.'),
        }),
        'Routes.',
      ),
    },
    handle: () =>
      all().map(({ name, method, url, summary, role }) => ({
        name,
        method,
        path: url.replace(/:(\w+)/g, '{$1}'),
        descr: summary,
        role,
      })),
  });
}

function commonOf(deps: ConsoleDeps) {
  const { id, version, startedAt, ready } = deps.brokerInfo();
  return {
    node_id: id,
    node_name: nodeName(id),
    running: ready,
    uptime: durationText(Date.now() - startedAt),
    version: `st-mqttd/${version}`,
  };
}

function showBroker(deps: ConsoleDeps): unknown {
  const { startedAt, listeners } = deps.brokerInfo();
  return {
    ...commonOf(deps),
    datetime: new Date().toISOString(),
    started_at: startedAt,
    sysdescr: 'st-mqttd',
    node_version: process.version,
    listeners,
  };
}

function showNode(deps: ConsoleDeps): unknown {
  const [load1 = 0, load5 = 0, load15 = 0] = loadavg();
  const [free, total] = [freemem(), totalmem()];
  return {
    ...commonOf(deps),
    boottime: new Date(Date.now() - uptime() * 1000).toISOString(),
    connections: deps.registry.totals().connected,
    load1,
    load5,
    load15,
    memory_free: free,
    memory_total: total,
    memory_used: total - free,
    process_memory: process.memoryUsage.rss(),
  };
}

/** As rmqttd writes it. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  return `${days} days ${hours} hours, ${minutes} minutes, ${seconds % 60} seconds`;
}
