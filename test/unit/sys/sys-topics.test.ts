// When $SYS is published, on a fake native half and a fake clock.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Metrics } from '../../../src/metrics/counters.ts';
import { counterNames } from '../../../src/native/contract.ts';
import type { DisconnectInfo } from '../../../src/session/events.ts';
import { brokerTopics, loadTopics } from '../../../src/sys/broker-topics.ts';
import { kEventsPerSecond } from '../../../src/sys/publisher.ts';
import { SysTopics } from '../../../src/sys/sys-topics.ts';

const zeros = Object.fromEntries(counterNames.map((name) => [name, 0])) as Record<
  keyof Metrics,
  number
>;

function make() {
  const counters = { ...zeros };
  const sent: { topic: string; payload: string; qos: number; retain: boolean }[] = [];
  const state = { reached: new Set<string>(), changes: 0, reads: 0, errors: [] as unknown[] };
  const sys = new SysTopics({
    node: 4,
    nowMs: () => Date.now(),
    metrics: () => {
      state.reads++;
      return counters;
    },
    native: {
      reaches: (levels) => state.reached.has(levels),
      tableCounts: (into) => into.set([11n, 2n, 30n, 5n, 600n]),
    },
    writer: { publish: (topic, payload, options) => sent.push({ topic, payload, ...options }) },
    watchedChanged: () => state.changes++,
    onError: (error) => state.errors.push(error),
  });
  const take = () => new Map(sent.splice(0).map(({ topic, payload }) => [topic, payload]));
  return { sys, counters, sent, state, take };
}

const gone: DisconnectInfo = {
  clientId: 'dev',
  instance: 0,
  username: undefined,
  address: '1.2.3.4:5',
  cause: 'peer_closed',
  reasonCode: 0,
  detail: '',
  connectionId: 1n,
};

/** Until what makes the messages is loaded. */
const loaded = () => vi.dynamicImportSettled();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the timer', () => {
  test('nothing is read or published before the first interval is over', async () => {
    const { sys, sent, state } = make();
    sys.start(10);
    vi.advanceTimersByTime(9999);
    await loaded();
    expect([sent.length, state.reads]).toEqual([0, 0]);
    vi.advanceTimersByTime(1);
    await loaded();
    expect(state.reads).toBe(1);
    expect(sent.length).toBeGreaterThan(brokerTopics.size + loadTopics.length);
    for (const { topic, qos, retain } of sent) {
      expect({ qos, retain }).toEqual({
        qos: topic.startsWith('$SYS/broker/') ? 2 : 1,
        retain: true,
      });
    }
  });

  test('then only what has changed', async () => {
    const { sys, counters, take } = make();
    sys.start(10);
    vi.advanceTimersByTime(10_000);
    await loaded();
    expect(take().get('$SYS/broker/uptime')).toBe('10 seconds');
    counters.sessions_expired = 3;
    vi.advanceTimersByTime(10_000);
    await loaded();
    const second = take();
    // The memory of this process is its own affair.
    for (const topic of second.keys()) if (topic.includes('/heap/')) second.delete(topic);
    expect([...second.keys()].sort()).toEqual([
      '$SYS/broker/clients/expired',
      '$SYS/broker/uptime',
      '$SYS/brokers/4/uptime',
    ]);
    expect(second.get('$SYS/broker/clients/expired')).toBe('3');
  });

  test('0 takes back what is retained; a new interval begins anew', async () => {
    const { sys, take } = make();
    sys.start(10);
    vi.advanceTimersByTime(10_000);
    await loaded();
    const first = take();
    sys.apply({ sysIntervalS: 0 });
    const cleared = take();
    expect([...cleared.keys()].sort()).toEqual([...first.keys()].sort());
    expect(new Set(cleared.values())).toEqual(new Set(['']));
    vi.advanceTimersByTime(100_000);
    await loaded();
    expect(take().size).toBe(0);
    sys.apply({ sysIntervalS: 2 });
    vi.advanceTimersByTime(2000);
    await loaded();
    expect(take().size).toBe(first.size);
    await sys.stop();
    vi.advanceTimersByTime(100_000);
    await loaded();
    expect(take().size).toBe(0);
  });

  test('the highest is kept', async () => {
    const { sys, counters, take } = make();
    sys.start(10);
    counters.clients_connected_v5 = counters.sessions_created = 9;
    vi.advanceTimersByTime(10_000);
    await loaded();
    counters.clients_disconnected_v5 = counters.sessions_ended = 8;
    vi.advanceTimersByTime(10_000);
    await loaded();
    const values = take();
    expect(values.get('$SYS/broker/clients/connected')).toBe('1');
    expect(values.get('$SYS/broker/clients/maximum')).toBe('9');
    expect(JSON.parse(values.get('$SYS/brokers/4/stats') ?? '')).toMatchObject({
      'connections.count': 1,
      'connections.max': 9,
      'sessions.max': 9,
      'subscriptions.count': 11,
      'subscriptions_shared.count': 2,
      'retaineds.count': 5,
    });
  });
});

describe('events', () => {
  test('are published only if somebody may get them', async () => {
    const { sys, sent, state } = make();
    sys.start(10);
    sys.tell('disconnect', [gone]);
    await loaded();
    expect(sent).toEqual([]);
    state.reached.add('$SYS/brokers/4/clients');
    sys.tell('disconnect', [gone]);
    sys.tell('sessionEnd', [{ clientId: 'dev', instance: 0, cause: 'expired' }]);
    await loaded();
    sys.tell('disconnect', [gone]);
    expect(sent.map(({ topic }) => topic)).toEqual([
      '$SYS/brokers/4/clients/dev/disconnected',
      '$SYS/brokers/4/clients/dev/disconnected',
    ]);
    expect(sent[0]).toMatchObject({ qos: 0, retain: false });
    expect(JSON.parse(sent[0]?.payload ?? '')).toMatchObject({ cause: 'peer_closed', node: 4 });
  });

  test('a thousand a second; the others are counted', async () => {
    const { sys, sent, state, take } = make();
    state.reached.add('$SYS/brokers/4/clients');
    sys.start(10);
    for (let i = 0; i < kEventsPerSecond + 7; i++) sys.tell('disconnect', [gone]);
    await loaded();
    expect(sent.splice(0)).toHaveLength(kEventsPerSecond);
    vi.advanceTimersByTime(1000);
    sys.tell('disconnect', [gone]);
    expect(sent.splice(0)).toHaveLength(1);
    vi.advanceTimersByTime(9000);
    await loaded();
    const metrics = JSON.parse(take().get('$SYS/brokers/4/metrics') ?? '') as object;
    expect(metrics).toMatchObject({ 'events.left_out': 7 });
  });

  test('off with the interval', async () => {
    const { sys, sent, state } = make();
    state.reached.add('$SYS/brokers/4/clients');
    sys.tell('disconnect', [gone]);
    await loaded();
    expect(sent).toEqual([]);
  });

  test('whether they are watched is told when it changes', async () => {
    const { sys, state } = make();
    sys.start(10);
    vi.advanceTimersByTime(10_000);
    expect([sys.watched, state.changes]).toEqual([false, 0]);
    state.reached.add('$SYS/brokers/4/session');
    vi.advanceTimersByTime(20_000);
    expect([sys.watched, state.changes]).toEqual([true, 1]);
    sys.start(0);
    expect([sys.watched, state.changes]).toEqual([false, 2]);
    await loaded();
    expect(state.errors).toEqual([]);
  });
});

test('every topic is in docs/SYS.md', () => {
  const text = readFileSync('docs/SYS.md', 'utf8');
  for (const topic of brokerTopics.keys()) expect(text).toContain(`\`${topic}\``);
  for (const topic of loadTopics) expect(text).toContain(`\`${topic.replace(/\d+min$/, '…')}\``);
  for (const topic of ['version', 'uptime', 'sysdescr', 'stats', 'metrics']) {
    expect(text).toContain(`\`$SYS/brokers/{node}/${topic}\``);
  }
});
