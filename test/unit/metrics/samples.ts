// A sample in which every number is another one.
import { noDeviceCounts } from '../../../src/device/counts.ts';
import type { Metrics } from '../../../src/metrics/counters.ts';
import type { MetricsSource } from '../../../src/metrics/sample.ts';
import { type CounterName, counterNames } from '../../../src/native/contract.ts';

/** Each counter is its place in the list, plus 1, times `scale`. */
export function countersOf(scale = 1): Metrics {
  const metrics = {} as Record<CounterName, number>;
  for (const [index, name] of counterNames.entries()) metrics[name] = (index + 1) * scale;
  return metrics;
}

export function sourceOf(counters: Metrics = countersOf()): MetricsSource {
  return {
    counters: () => counters,
    threads: () => [countersOf(1e9), countersOf(2e9)],
    listeners: () => [
      { name: 'v5-1', transport: 'tcp', connections: 3 },
      { name: 'v5-1', transport: 'tcp', connections: 4 },
      { name: 'odd "name"\\\n', transport: 'unix', connections: 5 },
    ],
    tables: () => ({
      subscriptions: 20,
      sharedSubscriptions: 5,
      nodes: 30,
      retained: 4,
      retainedBytes: 400,
    }),
    auth: () => ({
      accepted: 50,
      anonymous: 7,
      refused: {
        bad_credentials: 11,
        no_credentials: 12,
        expired: 13,
        not_authorized: 14,
        bad_method: 15,
        address_limit: 16,
        unavailable: 17,
      },
      addressesLimited: 3,
      deviceIdsUnfit: 2,
    }),
    devices: () => ({ ...noDeviceCounts, devicesKnown: 9, devicesOnline: 8, timeouts: 6 }),
    latency: () => ({ bounds: [0.001, 0.01], counts: [5, 3, 1], sum: 0.5 }),
  };
}

export const build = { version: '9.8.7', startedAt: 1_700_000_000_500 };
