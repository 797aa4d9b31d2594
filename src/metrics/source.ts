/** The exporter's numbers, from the running broker. */
import type { AuthGate } from '../auth/gate.js';
import type { DeviceGate } from '../device/gate.js';
import type { Listeners } from '../listener/listeners.js';
import type { NativeBroker } from '../native/addon.js';
import { kLatencyNumbers, latencyBoundsUs } from '../native/contract.js';
import { kTableCounts, tableCounts } from '../sys/numbers.js';
import { Counters } from './counters.js';
import type { HistogramSample, MetricsSource } from './sample.js';

export interface BrokerParts {
  readonly native: Pick<
    NativeBroker,
    'counters' | 'threadCounters' | 'ioThreads' | 'tableCounts' | 'latency'
  >;
  readonly listeners: Pick<Listeners, 'samples'>;
  readonly auth: Pick<AuthGate, 'counts'>;
  readonly devices: Pick<DeviceGate, 'counts'>;
}

export function brokerSource({ native, listeners, auth, devices }: BrokerParts): MetricsSource {
  const all = new Counters();
  const one = new Counters();
  return {
    counters: () => all.read(native),
    threads: () =>
      Array.from({ length: native.ioThreads() }, (_, thread) =>
        one.read({ counters: (into) => native.threadCounters(thread, into) }),
      ),
    listeners: () => listeners.samples(),
    tables: () => {
      const raw = new BigInt64Array(kTableCounts);
      native.tableCounts(raw);
      return tableCounts(raw);
    },
    latency: () => latencyOf(native),
    auth: () => auth.counts(),
    devices: () => devices.counts(),
  };
}

const kMicrosecondsPerSecond = 1e6;
const latencyBounds = latencyBoundsUs.map((bound) => bound / kMicrosecondsPerSecond);

function latencyOf(native: Pick<NativeBroker, 'latency'>): HistogramSample {
  const numbers = new BigInt64Array(kLatencyNumbers);
  native.latency(numbers);
  // The buckets, how many in all, the sum. Their total is what the buckets add up to.
  const counts = Array.from(numbers.subarray(0, latencyBounds.length + 1), Number);
  return {
    bounds: latencyBounds,
    counts,
    sum: Number(numbers[kLatencyNumbers - 1] ?? 0n) / kMicrosecondsPerSecond,
  };
}
