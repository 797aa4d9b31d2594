/** Stats (gauges), metrics (counters), and the Prometheus text. */

import type { Metrics } from '../../metrics/counters.js';
import type { Totals } from '../../session/registry.js';
import { type Route, route } from '../route.js';
import { byName, flag, integer, list, number, record, text } from '../schema.js';
import type { Context } from './context.js';

const node = record({
  id: integer("This broker's number."),
  name: text('Its name.'),
  running: flag('Whether it accepts connections.'),
});
const values = byName(number('A number.'), 'By name.');

export function numberRoutes({ deps }: Context): readonly Route[] {
  const nodeOf = () => {
    const { id, ready } = deps.brokerInfo();
    return { id, name: nodeName(id), running: ready };
  };
  const stats = () => statsOf(deps.registry.totals(), deps.metrics());
  return [
    route({
      method: 'GET',
      url: '/api/v1/stats',
      name: 'stats.list',
      summary: 'What there is now, by node',
      tag: 'numbers',
      role: 'read',
      answers: { 200: list(record({ node, stats: values }), 'One entry: this broker.') },
      handle: () => [{ node: nodeOf(), stats: stats() }],
    }),
    route({
      method: 'GET',
      url: '/api/v1/stats/sum',
      name: 'stats.sum',
      summary: 'What there is now, of all nodes',
      tag: 'numbers',
      role: 'read',
      answers: { 200: record({ nodes: list(node, 'Nodes.'), stats: values }) },
      handle: () => ({ nodes: [nodeOf()], stats: stats() }),
    }),
    route({
      method: 'GET',
      url: '/api/v1/metrics',
      name: 'metrics.list',
      summary: 'Counters since start, by node',
      tag: 'numbers',
      role: 'read',
      answers: { 200: list(record({ node, metrics: values }), 'One entry: this broker.') },
      handle: () => [{ node: nodeOf(), metrics: deps.metrics() }],
    }),
    route({
      method: 'GET',
      url: '/api/v1/metrics/sum',
      name: 'metrics.sum',
      summary: 'Counters since start, of all nodes',
      tag: 'numbers',
      role: 'read',
      answers: { 200: record({ nodes: list(node, 'Nodes.'), metrics: values }) },
      handle: () => ({ nodes: [nodeOf()], metrics: deps.metrics() }),
    }),
    route({
      method: 'GET',
      url: '/api/v1/metrics/prometheus',
      name: 'metrics.prometheus',
      summary: 'The same as the Prometheus exporter, in its text format',
      tag: 'numbers',
      role: 'read',
      answers: {
        200: {
          description: 'Prometheus text format.',
          content: { 'text/plain': { schema: text('Prometheus text format.') } },
        },
      },
      handle: async ({ reply }) => {
        void reply.type('text/plain; version=0.0.4; charset=utf-8');
        return deps.prometheusText();
      },
    }),
  ];
}

export function nodeName(id: number): string {
  return `st-mqttd-${id}`;
}

/** rmqttd's names, where it has the thing. */
function statsOf(totals: Totals, metrics: Metrics): Record<string, number> {
  return {
    'connections.count': totals.connected,
    'sessions.count': totals.sessions,
    'sessions.offline.count': totals.sessions - totals.connected,
    'subscriptions.count': totals.subscriptions,
    'routes.count': totals.filters,
    'routes.nodes': totals.trieNodes,
    'retaineds.count': totals.retained,
    'retaineds.bytes': totals.retainedBytes,
    'message_queues.count': metrics.messages_queued,
    'out_inflights.count': metrics.messages_in_flight,
    'messages.bytes': metrics.message_bytes,
    'outbound.bytes': metrics.outbound_bytes,
  };
}
