/** What `broker.meters()` gives: readings of the counters, with what they did since the last one. */
import type { CounterName } from '../native/contract.js';
import type { Totals } from '../session/registry.js';
import type { Metrics } from './counters.js';

/** Per second, over the interval before. */
export interface MeterRates {
  /** PUBLISH packets from clients, and to them. */
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly connects: number;
  readonly disconnects: number;
  /** Connections that were refused. */
  readonly refused: number;
  /** Messages that were dropped, for whatever cause. */
  readonly dropped: number;
}

export interface Meters {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** How long the interval was that the rates are of. */
  readonly seconds: number;
  readonly rates: MeterRates;
  /** As they are now. */
  readonly totals: Totals;
  /** Since start(), and gauges: as metrics() has them. */
  readonly counters: Metrics;
}

export interface MeterReading {
  readonly at: number;
  /** Monotonic, in milliseconds. */
  readonly clock: number;
  readonly counters: Metrics;
  readonly totals: Totals;
}

export function metersOf(before: MeterReading, after: MeterReading): Meters {
  const seconds = Math.max(0.001, (after.clock - before.clock) / 1000);
  const names = Object.keys(after.counters) as CounterName[];
  // The threads' counters are read one after the other: a difference may be below zero.
  const rate = (isMeant: (name: CounterName) => boolean) => {
    let sum = 0;
    for (const name of names) {
      if (isMeant(name)) sum += after.counters[name] - before.counters[name];
    }
    return Math.max(0, sum) / seconds;
  };
  const is = (wanted: CounterName) => (name: CounterName) => name === wanted;
  const startsWith = (prefix: string) => (name: CounterName) => name.startsWith(prefix);
  return {
    at: after.at,
    seconds,
    rates: {
      messagesIn: rate((name) => /^publish_received_qos[012]$/.test(name)),
      messagesOut: rate(startsWith('publish_sent_qos')),
      bytesIn: rate(is('bytes_received')),
      bytesOut: rate(is('bytes_sent')),
      packetsIn: rate(is('packets_received')),
      packetsOut: rate(is('packets_sent')),
      connects: rate(startsWith('clients_connected_')),
      disconnects: rate(startsWith('clients_disconnected_')),
      refused: rate(is('connections_refused')),
      dropped: rate(startsWith('dropped_')),
    },
    totals: after.totals,
    counters: after.counters,
  };
}
