// web-hook's queue towards one URL: batches, retries, bounds, the end. The clock and the server are the test's.
import { describe, expect, test } from 'vitest';
import { Outbox, type OutboxOptions } from '../../../src/plugins/builtin/web-hook/outbox.ts';

const settled = async () => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

function setUp(given: Partial<OutboxOptions> = {}) {
  let now = 0;
  const timers = new Set<{ at: number; fn: () => void }>();
  const posted: string[] = [];
  const said: string[] = [];
  const waiting: { status: (code: number) => void; fail: () => void; signal: AbortSignal }[] = [];
  const options: OutboxOptions = {
    ...{ batchEvents: 3, batchWaitMs: 50, concurrency: 1, capacity: 10, bytes: 1_000 },
    ...{ retryMaxElapsedMs: 10_000, retryFirstMs: 100, retryMultiplier: 2 },
    ...{ onFull: 'drop_newest', ...given },
  };
  const say = (text: string, fields: object) => {
    said.push(`${text} ${JSON.stringify(fields)}`);
  };
  const outbox = new Outbox(options, {
    post: (body, signal) => {
      posted.push(body);
      return new Promise((resolve, reject) => {
        const fail = () => reject(new Error('no answer'));
        signal.addEventListener('abort', fail);
        const status = (code: number) => resolve({ status: code, body: Buffer.alloc(0) });
        waiting.push({ status, fail, signal });
      });
    },
    after: (fn, ms) => {
      const timer = { at: now + ms, fn };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    ...{ now: () => now, random: () => 1, warn: say, info: say },
  });
  const pass = async (ms: number) => {
    now += ms;
    for (const timer of timers) {
      if (timer.at > now) continue;
      timers.delete(timer);
      timer.fn();
    }
    await settled();
  };
  const answer = async (code: number) => {
    waiting.shift()?.status(code);
    await settled();
  };
  const fail = async () => {
    waiting.shift()?.fail();
    await settled();
  };
  return { outbox, posted, said, waiting, timers, pass, answer, fail };
}

test('several events at once when there are enough, or after a while; meanwhile others gather', async () => {
  const { outbox, posted, pass, answer } = setUp();
  outbox.add('1');
  outbox.add('2');
  await pass(49);
  expect(posted).toEqual([]);
  await pass(1);
  expect(posted).toEqual(['[1,2]']);
  for (const event of ['3', '4', '5', '6']) outbox.add(event);
  await pass(1_000);
  expect(posted.length).toBe(1);
  await answer(204);
  expect(posted).toEqual(['[1,2]', '[3,4,5]']);
  await answer(200);
  expect(posted.at(-1)).toBe('[6]');
  await answer(299);
  expect(outbox.counts).toMatchObject({ queued: 0, sent: 6, requests: 3, retries: 0 });
});

test('one event a request is no list; concurrency', async () => {
  const { outbox, posted } = setUp({ batchEvents: 1, batchWaitMs: 0, concurrency: 2 });
  for (const event of ['1', '2', '3']) outbox.add(event);
  expect(posted).toEqual(['1', '2']);
});

test.each([500, 503, 429, 408, 0])(
  '%i is tried again, later and later, and keeps the order',
  async (code) => {
    const { outbox, posted, said, pass, answer, fail } = setUp();
    for (const event of ['1', '2', '3', '4']) outbox.add(event);
    const refuse = () => (code === 0 ? fail() : answer(code));
    await refuse();
    await pass(99);
    expect(posted.length).toBe(1);
    await pass(1);
    expect(posted).toEqual(['[1,2,3]', '[1,2,3]']);
    await refuse();
    await pass(199);
    expect(posted.length).toBe(2);
    await pass(1);
    expect(posted.length).toBe(3);
    await answer(200);
    expect(posted.at(-1)).toBe('[4]');
    expect(outbox.counts).toMatchObject({ sent: 3, retries: 2, queued: 1 });
    expect(said.length).toBe(2);
    expect(said[0]).toMatch(/sent again.*(no answer|its answer is)/);
    expect(said[1]).toMatch(/taken again/);
  },
);

test.each([400, 401, 404, 301])('%i is the end of it, counted and said', async (code) => {
  const { outbox, posted, said, answer } = setUp({ batchEvents: 2 });
  for (const event of ['1', '2', '3', '4']) outbox.add(event);
  await answer(code);
  expect(posted).toEqual(['[1,2]', '[3,4]']);
  expect(outbox.counts).toMatchObject({ dropped_failed: 2, queued: 2 });
  expect(said).toEqual([expect.stringMatching(`its answer is ${code}","events":2`)]);
});

test('retries have an end', async () => {
  const { outbox, pass, fail, said, posted } = setUp({ retryMaxElapsedMs: 250 });
  for (const event of ['1', '2', '3']) outbox.add(event);
  await fail();
  await pass(100);
  await fail();
  await pass(150);
  expect(posted.length).toBe(3);
  await fail();
  expect(outbox.counts).toMatchObject({ dropped_failed: 3, queued: 0, retries: 2 });
  expect(said.at(-1)).toMatch(/for too long: dropped/);
});

describe('a full queue', () => {
  test('drops the newest, those on their way counted in', async () => {
    const { outbox, posted, said, answer, pass } = setUp({ capacity: 4, batchEvents: 2 });
    for (const event of ['1', '2', '3', '4', '5', '6']) outbox.add(event);
    expect(outbox.counts).toMatchObject({ queued: 4, dropped_full: 2 });
    await answer(200);
    outbox.add('7');
    await answer(200);
    await pass(50);
    await answer(200);
    expect(posted).toEqual(['[1,2]', '[3,4]', '[7]']);
    // Said once, and again after a while with what came in between.
    expect(said).toEqual(['the queue is full: events were dropped {"dropped":1}']);
    await pass(10_000);
    for (let n = 0; n < 5; n++) outbox.add('8');
    expect(said.at(-1)).toContain('{"dropped":2}');
  });
  test('drops the oldest', async () => {
    const { outbox, posted, answer } = setUp({
      capacity: 4,
      batchEvents: 2,
      onFull: 'drop_oldest',
    });
    for (const event of ['1', '2', '3', '4', '5', '6']) outbox.add(event);
    await answer(200);
    await answer(200);
    expect(posted).toEqual(['[1,2]', '[5,6]']);
    expect(outbox.counts).toMatchObject({ dropped_full: 2, queued: 0 });
  });
  test.each(['drop_newest', 'drop_oldest'] as const)(
    '%s, by bytes; one that never fits costs no other',
    (onFull) => {
      const { outbox } = setUp({ bytes: 10, onFull });
      outbox.add('1234');
      outbox.add('"äöü"'); // 8 bytes
      outbox.add('x'.repeat(11));
      const both = { drop_newest: 2, drop_oldest: 2 }[onFull];
      expect(outbox.counts).toMatchObject({ queued: 1, dropped_full: both });
    },
  );
});

describe('the end', () => {
  test('waits for what is on its way, and does not wait to gather', async () => {
    const { outbox, posted, answer } = setUp();
    outbox.add('1');
    let closed = false;
    const closing = outbox.close(1_000).then(() => {
      closed = true;
    });
    expect(posted).toEqual(['[1]']);
    outbox.add('2');
    await answer(200);
    expect(posted).toEqual(['[1]', '[2]']);
    expect(closed).toBe(false);
    await answer(200);
    await closing;
    expect(outbox.counts).toMatchObject({ sent: 2, dropped_at_stop: 0 });
    outbox.add('3');
    expect(outbox.counts.dropped_at_stop).toBe(1);
  });
  test('a retry is made at once; after its time what is left is counted and said', async () => {
    const { outbox, posted, said, fail, pass, waiting, timers } = setUp({ batchEvents: 1 });
    outbox.add('1');
    outbox.add('2');
    await pass(50);
    await fail();
    const closing = outbox.close(500);
    await settled();
    expect(posted).toEqual(['1', '1']);
    await pass(500);
    await closing;
    expect(waiting[0]?.signal.aborted).toBe(true);
    await settled();
    expect(outbox.counts).toMatchObject({ queued: 0, sent: 0, dropped_at_stop: 2 });
    expect(said.at(-1)).toMatch(/at the end.*"left":2/);
    expect(timers.size).toBe(0);
  });
});
