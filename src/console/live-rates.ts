/** Once a second, while someone looks: what the counters did. Nobody looks = no timer. */

import { messageOf } from '../errors.js';
import type { Metrics } from '../metrics/counters.js';
import type { HistogramSample } from '../metrics/sample.js';
import type { CounterName } from '../native/contract.js';
import type { ConsoleDeps } from './deps.js';
import type { Gauges, Tick } from './live-protocol.js';

const kPeriodMs = 1000;
/** Five minutes. */
const kHistory = 300;

interface Reading {
  readonly t: number;
  readonly counters: Metrics;
  readonly latency: HistogramSample;
}

type Deps = Pick<ConsoleDeps, 'metrics' | 'latency' | 'registry' | 'log'>;

const received: readonly CounterName[] = [
  'publish_received_qos0',
  'publish_received_qos1',
  'publish_received_qos2',
];
const sent: readonly CounterName[] = [
  'publish_sent_qos0',
  'publish_sent_qos1',
  'publish_sent_qos2',
];

export class Rates {
  readonly #deps: Deps;
  readonly #listeners = new Set<(tick: Tick) => void>();
  #history: Tick[] = [];
  #last: Reading | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  get history(): readonly Tick[] {
    return this.#history;
  }

  /** Until the returned function is called. */
  listen(listener: (tick: Tick) => void): () => void {
    this.#listeners.add(listener);
    if (this.#timer === undefined) {
      this.#last = this.#read();
      this.#timer = setInterval(() => this.#tick(), kPeriodMs).unref();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#history = [];
    };
  }

  #read(): Reading {
    return { t: Date.now(), counters: this.#deps.metrics(), latency: this.#deps.latency() };
  }

  #tick(): void {
    let tick: Tick;
    try {
      const before = this.#last;
      const after = this.#read();
      this.#last = after;
      if (before === undefined) return;
      tick = tickOf(before, after, gaugesOf(after.counters, this.#deps));
      this.#failed = false;
    } catch (error) {
      // In a timer: thrown further, it would end the process. Told once, until it is over.
      if (!this.#failed) {
        const text = `console: the live page has no numbers: ${messageOf(error)}`;
        this.#deps.log({ level: 'error', module: 'console', text, fields: {} });
      }
      this.#failed = true;
      return;
    }
    this.#history.push(tick);
    if (this.#history.length > kHistory) this.#history.shift();
    for (const listener of this.#listeners) listener(tick);
  }
}

export function tickOf(before: Reading, after: Reading, now: Gauges): Tick {
  const seconds = Math.max(0.001, (after.t - before.t) / 1000);
  // The threads' counters are read one after the other: a difference may be below zero.
  const rate = (names: readonly CounterName[]) => {
    let sum = 0;
    for (const name of names) sum += after.counters[name] - before.counters[name];
    return Math.max(0, sum) / seconds;
  };
  const named = (prefix: string) =>
    (Object.keys(after.counters) as CounterName[]).filter((name) => name.startsWith(prefix));
  return {
    t: after.t,
    messagesIn: rate(received),
    messagesOut: rate(sent),
    bytesIn: rate(['bytes_received']),
    bytesOut: rate(['bytes_sent']),
    packetsIn: rate(['packets_received']),
    packetsOut: rate(['packets_sent']),
    connects: rate(named('clients_connected_')),
    disconnects: rate(named('clients_disconnected_')),
    refused: rate(['connections_refused']),
    drops: rate(named('dropped_')),
    latency: quantilesOf(before.latency, after.latency),
    now,
  };
}

function gaugesOf(counters: Metrics, { registry }: Deps): Gauges {
  const totals = registry.totals();
  const open = (version: 'v31' | 'v311' | 'v5') =>
    Math.max(
      0,
      counters[`clients_connected_${version}`] - counters[`clients_disconnected_${version}`],
    );
  return {
    connected: totals.connected,
    connectedByVersion: { '3.1': open('v31'), '3.1.1': open('v311'), '5.0': open('v5') },
    sessions: totals.sessions,
    subscriptions: totals.subscriptions,
    retained: totals.retained,
    retainedBytes: totals.retainedBytes,
    queued: counters.messages_queued,
    inFlight: counters.messages_in_flight,
    messageBytes: counters.message_bytes,
    outboundBytes: counters.outbound_bytes,
    drops: present(counters, 'dropped_'),
    refused: present(counters, 'refused_'),
    rss: process.memoryUsage.rss(),
  };
}

/** Those of a prefix that are not zero, without it. */
function present(counters: Metrics, prefix: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, value] of Object.entries(counters)) {
    if (value > 0 && name.startsWith(prefix)) found[name.slice(prefix.length)] = value;
  }
  return found;
}

/** Of what came between two readings: linear inside a bucket. */
export function quantilesOf(before: HistogramSample, after: HistogramSample): Tick['latency'] {
  const counts = after.counts.map((count, at) => Math.max(0, count - (before.counts[at] ?? 0)));
  const count = counts.reduce((sum, one) => sum + one, 0);
  if (count === 0) return null;
  const quantile = (q: number) => {
    let left = q * count;
    for (const [at, here] of counts.entries()) {
      if (here > 0 && left <= here) {
        const low = at === 0 ? 0 : (after.bounds[at - 1] ?? 0);
        // The last bucket has no upper bound: its lower one is what is known.
        const high = after.bounds[at] ?? low;
        return low + (high - low) * (left / here);
      }
      left -= here;
    }
    return after.bounds.at(-1) ?? 0;
  };
  return { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), count };
}
