/** $SYS/broker/…: mosquitto's topics, with its names and formats, as far as they are true here. */
import type { Metrics } from '../metrics/counters.js';
import { LoadAverage, windows } from './load.js';
import { type Numbers, publishDropped, publishReceived, publishSent, sum } from './numbers.js';

type Read = (numbers: Numbers) => number | string;

const counter =
  (name: keyof Metrics): Read =>
  ({ counters }) =>
    counters[name];

/** Below $SYS/broker/, by topic; `version` is published by whoever knows it. */
export const brokerTopics: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['uptime', ({ uptimeS }) => `${uptimeS} seconds`],
  ['clients/total', ({ sessions }) => sessions],
  ['clients/maximum', ({ highest }) => highest.connected],
  ['clients/connected', ({ connected }) => connected],
  ['clients/active', ({ connected }) => connected],
  ['clients/disconnected', ({ sessions, connected }) => Math.max(0, sessions - connected)],
  ['clients/inactive', ({ sessions, connected }) => Math.max(0, sessions - connected)],
  ['clients/expired', counter('sessions_expired')],
  ['messages/received', counter('packets_received')],
  ['messages/sent', counter('packets_sent')],
  ['messages/inflight', counter('messages_in_flight')],
  ['store/messages/bytes', counter('message_bytes')],
  ['publish/messages/received', ({ counters }) => sum(counters, publishReceived)],
  ['publish/messages/sent', ({ counters }) => sum(counters, publishSent)],
  ['publish/messages/dropped', ({ counters }) => sum(counters, publishDropped)],
  ['bytes/received', counter('bytes_received')],
  ['bytes/sent', counter('bytes_sent')],
  ['subscriptions/count', ({ tables }) => tables.subscriptions],
  ['shared_subscriptions/count', ({ tables }) => tables.sharedSubscriptions],
  ['retained messages/count', ({ tables }) => tables.retained],
  ['heap/current', ({ memory }) => memory.current],
  ['heap/maximum', ({ memory }) => memory.maximum],
]);

/** What load/… averages, by topic below $SYS/broker/load/. */
const loads: ReadonlyMap<string, (counters: Metrics) => number> = new Map([
  ['messages/received', (counters) => counters.packets_received],
  ['messages/sent', (counters) => counters.packets_sent],
  ['publish/received', (counters) => sum(counters, publishReceived)],
  ['publish/sent', (counters) => sum(counters, publishSent)],
  ['publish/dropped', (counters) => sum(counters, publishDropped)],
  ['bytes/received', (counters) => counters.bytes_received],
  ['bytes/sent', (counters) => counters.bytes_sent],
  ['sockets', (counters) => counters.connections_accepted],
  ['connections', (counters) => counters.packets_received_connect],
]);

/** Below $SYS/broker/. */
export const loadTopics: readonly string[] = [...loads.keys()].flatMap((what) =>
  windows.map(([window]) => `load/${what}/${window}`),
);

/** All load averages, from the start on. */
export class Loads {
  readonly #averages: ReadonlyMap<string, LoadAverage>;

  constructor(startedAtMs: number) {
    this.#averages = new Map(
      [...loads.keys()].map((what) => [what, new LoadAverage(0, startedAtMs)]),
    );
  }

  /** Values by topic below $SYS/broker/. */
  *update({ counters, nowMs }: Numbers): Iterable<readonly [topic: string, value: string]> {
    for (const [what, total] of loads) {
      const averages = this.#averages.get(what)?.update(total(counters), nowMs);
      if (averages === undefined) continue;
      for (const [window] of windows) {
        yield [`load/${what}/${window}`, averages[window].toFixed(2)];
      }
    }
  }
}
