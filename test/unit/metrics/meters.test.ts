// Readings at an interval: rates, readers of their own, nothing that goes on after the end.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Metrics } from '../../../src/metrics/counters.ts';
import { Feeds, type MeterOptions } from '../../../src/metrics/feeds.ts';
import { counterNames } from '../../../src/native/contract.ts';
import type { AlertInfo } from '../../../src/session/events.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function world() {
  const counters: Record<string, number> = Object.fromEntries(counterNames.map((n) => [n, 0]));
  const totals = {
    sessions: 1,
    connected: 1,
    subscriptions: 2,
    filters: 2,
    trieNodes: 3,
    retained: 0,
    retainedBytes: 0,
  };
  const interval = { ms: 1000 };
  const feeds = new Feeds({
    counters: () => ({ ...counters }) as Metrics,
    totals: () => totals,
    intervalMs: () => interval.ms,
  });
  return { counters, totals, feeds, interval };
}
const alert = (count: number): AlertInfo => ({
  alert: 'queue_overflow',
  count,
  clientId: 'x',
  instance: 0,
  filter: '',
  cause: undefined,
});

describe('meters', () => {
  test('are the rates of each interval, and the numbers at its end', async () => {
    const { counters, totals, feeds } = world();
    const meters = feeds.meters({ intervalMs: 2000 });
    Object.assign(counters, {
      publish_received_qos0: 10,
      publish_received_qos2: 6,
      publish_received_invalid: 1000,
      bytes_sent: 4000,
      dropped_expired: 1,
      dropped_no_local: 3,
    });
    vi.advanceTimersByTime(2000);
    const { value } = await meters.next();
    expect(value).toMatchObject({ seconds: 2, totals, counters: { bytes_sent: 4000 } });
    expect(value?.rates).toMatchObject({
      messagesIn: 8,
      messagesOut: 0,
      bytesOut: 2000,
      dropped: 2,
      connects: 0,
    });
    vi.advanceTimersByTime(2000);
    const next = await meters.next();
    expect(next.value?.rates).toMatchObject({ messagesIn: 0, bytesOut: 0 });
    expect((next.value?.at ?? 0) - (value?.at ?? 0)).toBe(2000);
  });

  test('who names no interval gets the configured one, as it is when he asks', () => {
    const { feeds, interval } = world();
    const early = feeds.meters({ buffer: 1 });
    interval.ms = 5000;
    const late = feeds.meters({ buffer: 1 });
    vi.advanceTimersByTime(5000);
    expect([early.missed, late.missed]).toEqual([4, 0]);
    vi.advanceTimersByTime(5000);
    expect([early.missed, late.missed]).toEqual([9, 1]);
    feeds.end();
  });

  test('readers are independent; nobody reads = no timer', () => {
    const { feeds } = world();
    const fast = feeds.meters({ intervalMs: 10, buffer: 5 });
    const slow = feeds.meters();
    expect(vi.getTimerCount()).toBe(2);
    vi.advanceTimersByTime(1000);
    expect([fast.missed, slow.missed]).toEqual([95, 0]);
    void fast.return();
    expect(vi.getTimerCount()).toBe(1);
    feeds.end();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a signal that is aborted already starts none', async () => {
    const { feeds } = world();
    const meters = feeds.meters({ signal: AbortSignal.abort() });
    expect(vi.getTimerCount()).toBe(0);
    await expect(meters.next()).rejects.toMatchObject({ name: 'AbortError' });
  });

  test.each([{ intervalMs: 9 }, { intervalMs: 1e9 }, { intervalMs: '1000' }, { buffer: 0 }])(
    '%j is refused',
    (options) => {
      const { feeds } = world();
      expect(() => feeds.meters(options as MeterOptions)).toThrow(
        expect.objectContaining({ code: 'ST_ARGUMENT' }),
      );
    },
  );
});

test('alerts go to every reader that is there, and end with the broker', async () => {
  const { feeds } = world();
  const first = feeds.alerts();
  feeds.alert(alert(1));
  const second = feeds.alerts({ buffer: 1 });
  const gone = feeds.alerts();
  await gone.return();
  feeds.alert(alert(2));
  feeds.alert(alert(3));
  feeds.end();
  const read = async (feed: AsyncIterable<AlertInfo>) => {
    const counts: number[] = [];
    for await (const { count } of feed) counts.push(count);
    return counts;
  };
  expect(await read(first)).toEqual([1, 2, 3]);
  expect(await read(second)).toEqual([3]);
  expect(second.missed).toBe(1);
  expect(await read(gone)).toEqual([]);
});
