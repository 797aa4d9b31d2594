// Streams of values: a bounded buffer, independent readers, ends of every kind.
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import {
  checkFeedOptions,
  endFeed,
  Feed,
  type FeedOptions,
  put,
} from '../../../src/session/feed.ts';

function make(options: FeedOptions = {}) {
  let released = 0;
  const feed = new Feed<number>(checkFeedOptions('testing', options, 3), () => {
    released++;
  });
  return { feed, released: () => released };
}
async function rest(feed: AsyncIterable<number>): Promise<number[]> {
  const found: number[] = [];
  for await (const value of feed) found.push(value);
  return found;
}

describe('a feed', () => {
  test('gives values in order, whether they were waited for or not', async () => {
    const { feed, released } = make();
    const first = feed.next();
    put(feed, 1);
    put(feed, 2);
    put(feed, 3);
    endFeed(feed);
    expect(await first).toEqual({ done: false, value: 1 });
    expect(await rest(feed)).toEqual([2, 3]);
    expect(feed.missed).toBe(0);
    expect(released()).toBe(1);
  });

  test('that nobody reads keeps the newest of its buffer, and counts the others', async () => {
    const { feed } = make({ buffer: 4 });
    for (let i = 0; i < 1001; i++) put(feed, i);
    expect(feed.missed).toBe(997);
    endFeed(feed);
    expect(await rest(feed)).toEqual([997, 998, 999, 1000]);
  });

  test('reads and writes in turns around its ring', async () => {
    const { feed } = make();
    for (let i = 0; i < 50; i += 2) {
      put(feed, i);
      put(feed, i + 1);
      expect([await feed.next(), await feed.next()]).toEqual([
        { done: false, value: i },
        { done: false, value: i + 1 },
      ]);
    }
    expect(feed.missed).toBe(0);
  });

  test('break ends it, and gives up what is kept', async () => {
    const { feed, released } = make();
    put(feed, 1);
    put(feed, 2);
    for await (const value of feed) {
      expect(value).toBe(1);
      break;
    }
    put(feed, 3);
    expect(await feed.next()).toEqual({ done: true, value: undefined });
    expect(released()).toBe(1);
  });

  test('await using ends it', async () => {
    const { feed, released } = make();
    const waiting = feed.next();
    await feed[Symbol.asyncDispose]();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(released()).toBe(1);
  });

  test('a signal throws its reason to who reads, once', async () => {
    const controller = new AbortController();
    const { feed, released } = make({ signal: controller.signal });
    const waiting = feed.next();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(await feed.next()).toEqual({ done: true, value: undefined });
    expect(released()).toBe(1);
  });

  test('a signal that is aborted already', async () => {
    const { feed, released } = make({ signal: AbortSignal.abort() });
    put(feed, 1);
    await expect(feed.next()).rejects.toMatchObject({ name: 'AbortError' });
    expect(released()).toBe(1);
  });

  test('is a source of Readable.from, which ends it', async () => {
    const { feed, released } = make();
    put(feed, 1);
    const stream = Readable.from(feed);
    for await (const value of stream) {
      expect(value).toBe(1);
      break;
    }
    expect(stream.destroyed).toBe(true);
    expect(await feed.next()).toEqual({ done: true, value: undefined });
    expect(released()).toBe(1);
  });

  test.each([
    [{ buffer: 0 }, 'buffer'],
    [{ buffer: 1.5 }, 'buffer'],
    [{ buffer: 100_001 }, 'buffer'],
    [{ buffer: '9' }, 'buffer'],
    [{ signal: {} }, 'signal'],
  ])('%j is refused', (options, name) => {
    expect(() => make(options as FeedOptions)).toThrow(
      expect.objectContaining({
        code: 'ST_ARGUMENT',
        message: expect.stringContaining(`testing: ${name} is `),
      }),
    );
  });
});
