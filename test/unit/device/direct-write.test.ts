// DirectWrites without a native half: what is handed over when, time limits and signals.
import { describe, expect, test } from 'vitest';
import { DirectWrites } from '../../../src/device/direct-write.ts';
import type { DirectWriteCommand } from '../../../src/native/commands.ts';
import { eventually } from '../../harness/eventually.js';

function world() {
  const sent: DirectWriteCommand[] = [];
  const writes = new DirectWrites({ directWrite: (command) => sent.push(command) });
  const answer = (writeId: number, outcome: 'delivered' | 'dropped' = 'delivered') =>
    writes.handle({ kind: 'written', writeId, outcome, cause: 'none', reasonCode: 0, instance: 0 });
  const many = (count: number, options = {}) =>
    Array.from({ length: count }, (_, index) => writes.write(`c${index}`, 't', 'x', options));
  return { sent, writes, answer, many };
}

describe('what is under way is bounded', () => {
  test('by number: the next is handed over when one is done', async () => {
    const { sent, answer, many, writes } = world();
    const all = many(5000);
    await Promise.resolve();
    expect(sent).toHaveLength(4096);
    for (let id = 1; id <= 5000; id++) answer(id);
    expect(sent.map(({ clientId }) => clientId)).toEqual(sent.map((_, index) => `c${index}`));
    expect(await Promise.all(all)).toHaveLength(5000);
    writes.end();
  });

  test('by bytes', async () => {
    const { sent, answer, writes } = world();
    const payload = Buffer.alloc(6 * 1024 * 1024);
    const all = [1, 2, 3, 4].map((n) => writes.write(`c${n}`, 't', payload, {}));
    await Promise.resolve();
    expect(sent).toHaveLength(3);
    answer(1);
    expect(sent).toHaveLength(4);
    for (const id of [2, 3, 4]) answer(id);
    await Promise.all(all);
  });

  test('of many, only so much is taken from the iterable', async () => {
    const { sent, answer, writes } = world();
    let taken = 0;
    function* endless() {
      for (;;) yield `c${++taken}`;
    }
    const stop = new AbortController();
    const done = writes.writeMany(endless(), 't', 'x', { signal: stop.signal });
    await eventually(() => expect(taken).toBe(2 * 4096));
    answer(sent[0]?.writeId ?? 0);
    await eventually(() => expect(taken).toBe(2 * 4096 + 1));
    stop.abort();
    await expect(done).rejects.toMatchObject({ code: 'ST_WRITE_ABORTED' });
  });
});

test('a signal gives up what waits and what is under way, and a late answer is nothing', async () => {
  const { sent, answer, many, writes } = world();
  const stop = new AbortController();
  const all = many(5000, { signal: stop.signal });
  const other = writes.write('other', 't', 'x', {});
  await Promise.resolve();
  stop.abort();
  const ends = await Promise.allSettled(all);
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  expect(sent.at(-1)?.clientId).toBe('other');
  expect(sent).toHaveLength(4097);
  answer(1);
  answer(sent.at(-1)?.writeId ?? 0, 'dropped');
  expect(await other).toEqual({ outcome: 'dropped' });
  await expect(writes.write('c', 't', 'x', { signal: stop.signal })).rejects.toMatchObject({
    code: 'ST_WRITE_ABORTED',
  });
});

test('time limits: of each its own; those that waited are never sent', async () => {
  const { sent, answer, many, writes } = world();
  const never = many(4096, { timeoutMs: 0 });
  const ends = await Promise.allSettled(many(4, { timeoutMs: 30 }));
  for (const end of ends) {
    expect(end).toMatchObject({ reason: { code: 'ST_WRITE_TIMEOUT' } });
  }
  expect(sent).toHaveLength(4096);
  answer(1);
  const last = writes.write('last', 't', 'x', { timeoutMs: 30 });
  expect(sent.at(-1)?.clientId).toBe('last');
  await expect(last).rejects.toMatchObject({ code: 'ST_WRITE_TIMEOUT' });
  const again = writes.write('again', 't', 'x', {});
  expect(sent.at(-1)?.clientId).toBe('again');
  writes.end();
  const stopped = await Promise.allSettled([...never.slice(1), again]);
  for (const end of stopped) expect(end).toMatchObject({ reason: { code: 'ST_BROKER_STATE' } });
  await expect(writes.write('c', 't', 'x', {})).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
});

test('an error of the iterable or of onResult ends the call', async () => {
  const { answer, writes } = world();
  function* failing() {
    yield 'a';
    throw new Error('mine');
  }
  await expect(writes.writeMany(failing(), 't', 'x', {})).rejects.toThrow('mine');
  const done = writes.writeMany(['a'], 't', 'x', {
    onResult: () => {
      throw new Error('yours');
    },
  });
  await Promise.resolve();
  await Promise.resolve();
  answer(2);
  await expect(done).rejects.toThrow('yours');
});
