// The running broker's numbers as the exporter wants them.
import { expect, test } from 'vitest';
import { noAuthCounts } from '../../../src/auth/counts.ts';
import { noDeviceCounts } from '../../../src/device/counts.ts';
import { brokerSource } from '../../../src/metrics/source.ts';
import { counterNames, kLatencyNumbers, latencyBoundsUs } from '../../../src/native/contract.ts';

const at = counterNames.indexOf('busy_ns');

test('threads, latency in seconds, listeners and tables', () => {
  const samples = [{ name: 'a', transport: 'tcp', connections: 2 }] as const;
  const source = brokerSource({
    native: {
      counters: (into) => void into.fill(7n),
      threadCounters: (thread, into) => {
        into.fill(0n);
        into[at] = BigInt(thread + 1);
      },
      ioThreads: () => 2,
      tableCounts: (into) => {
        for (const index of into.keys()) into[index] = BigInt(index);
      },
      latency: (into) => {
        for (const index of into.keys()) into[index] = BigInt(index);
        into[kLatencyNumbers - 1] = 2_500_000n;
      },
    },
    listeners: { samples: () => samples },
    auth: { counts: () => noAuthCounts },
    devices: { counts: () => noDeviceCounts },
  });
  expect(source.counters().bytes_sent).toBe(7);
  // Each its own object: the second does not overwrite the first.
  expect(source.threads().map(({ busy_ns }) => busy_ns)).toEqual([1, 2]);
  expect(source.tables()).toEqual({
    subscriptions: 0,
    sharedSubscriptions: 1,
    nodes: 2,
    retained: 3,
    retainedBytes: 4,
  });
  expect(source.listeners()).toBe(samples);
  expect(source.auth()).toBe(noAuthCounts);
  const { bounds, counts, sum } = source.latency();
  expect(bounds).toHaveLength(latencyBoundsUs.length);
  expect(bounds[0]).toBe(0.000_05);
  expect(bounds.at(-1)).toBe(10);
  expect(counts).toEqual(Array.from({ length: bounds.length + 1 }, (_, index) => index));
  expect(sum).toBe(2.5);
});
