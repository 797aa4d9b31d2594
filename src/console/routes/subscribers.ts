/** What rumqttd knows of a subscriber, said of a session. */
import type { ClientDetail, SubscriptionRow } from '../../session/registry.js';
import { integer, orNull, record, type Schema, text } from '../schema.js';
import type { Context } from './context.js';
import { checkTopicFilter } from './topics.js';

/** Stands for a wildcard's levels where a Topic Filter is looked up as a Topic Name. */
const kAnyLevel = '\u{10fffd}';
/** What the registry gives at most. */
const kMaxRoutes = 10_000;

export const requestSchema = record(
  {
    filter: text('Topic Filter.'),
    qos: integer('Granted.'),
    group: orNull(text('ShareName; null = not shared.')),
  },
  'A subscription. There are no cursors here: messages go straight to sessions.',
);
export const statusSchema: Schema = {
  description:
    '"Ready" = messages are going out. {"Paused": "InflightFull"} = the window is full; ' +
    '"Busy" = its connection does not take more now; "Caughtup" = nothing waits. null = offline.',
  anyOf: [
    { type: 'string', enum: ['Ready'] },
    record({ Paused: text('Why.', { enum: ['InflightFull', 'Busy', 'Caughtup'] }) }),
    { type: 'null' },
  ],
};
export type Status = 'Ready' | { readonly Paused: 'InflightFull' | 'Busy' | 'Caughtup' } | null;
/** Through the trie, not by a scan: a Topic Name that the filter matches leads to it. */
export async function subscribersOf({ deps }: Context, written: string) {
  const filter = written.replaceAll('.', '/');
  checkTopicFilter(filter, 'filter');
  const plain = /^\$share\/[^/]+\/(.+)$/s.exec(filter)?.[1] ?? filter;
  const name = plain
    .split('/')
    .map((level) => (level === '+' || level === '#' ? kAnyLevel : level))
    .join('/');
  const matching = await deps.registry.routes(name);
  const rows = matching.filter((row) => row.filter === filter);
  return { filter, rows, truncated: matching.length >= kMaxRoutes };
}

export function statusOf({ deps }: Context, detail: ClientDetail): Status {
  const { connection, inFlight, queuedMessages, listener } = detail;
  if (!detail.connected || connection === undefined) return null;
  const { config } = deps.resolution();
  const mqtt = config.listeners.find(({ name }) => name === listener)?.mqtt ?? config.mqtt;
  const window = Math.min(connection.receiveMaximum, mqtt.max_inflight);
  if (inFlight >= window) return { Paused: 'InflightFull' };
  if (connection.outboundBytes >= config.broker.outbound_high_watermark_bytes) {
    return { Paused: 'Busy' };
  }
  return queuedMessages > 0 || connection.outboundBytes > 0 ? 'Ready' : { Paused: 'Caughtup' };
}

export function showRequest({ filter, qos, group }: SubscriptionRow) {
  return { filter, qos, group: group ?? null };
}
