/** The exporter's numbers, from the running broker. */
import type { Listeners } from '../listener/listeners.js';
import type { NativeBroker } from '../native/addon.js';
import type { Totals } from '../session/registry.js';
import { Counters } from './counters.js';
import type { MetricsSource } from './sample.js';

export interface BrokerParts {
  readonly native: Pick<NativeBroker, 'counters' | 'threadCounters' | 'ioThreads'>;
  readonly registry: { totals(): Totals };
  readonly listeners: Pick<Listeners, 'samples'>;
}

export function brokerSource({ native, registry, listeners }: BrokerParts): MetricsSource {
  const all = new Counters();
  const one = new Counters();
  return {
    counters: () => all.read(native),
    threads: () =>
      Array.from({ length: native.ioThreads() }, (_, thread) =>
        one.read({ counters: (into) => native.threadCounters(thread, into) }),
      ),
    listeners: () => listeners.samples(),
    totals: () => registry.totals(),
    latency: () => undefined,
  };
}
