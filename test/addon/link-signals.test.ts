// Links given up from outside: signals, `await using`, and readers that never read.
import { afterEach, describe, expect, test } from 'vitest';
import { Broker, type Link } from '../../src/index.js';
import { eventually } from '../harness/eventually.js';

let broker: Broker;
async function start(options: object = {}): Promise<Broker> {
  broker = new Broker({ unified: {}, ...options });
  await broker.start();
  return broker;
}
afterEach(() => broker.stop({ timeoutMs: 300 }));

const stop = new Error('enough');
async function ids(): Promise<string[]> {
  const found: string[] = [];
  for await (const { clientId } of broker.clients) found.push(clientId);
  return found.toSorted();
}

describe('a signal', () => {
  test('of a link closes it; its Will is not published, its iterators end', async () => {
    await start();
    const watcher = await broker.link({ clientId: 'watcher' });
    const wills = watcher.subscribe('will');
    await wills.ready;
    const controller = new AbortController();
    const will = { topic: 'will', payload: 'gone' };
    const link = await broker.link({ clientId: 'a', will, signal: controller.signal });
    const reading = link.subscribe('t')[Symbol.asyncIterator]().next();
    controller.abort(stop);
    expect(await link.closed).toMatchObject({ reasonCode: 0 });
    expect(await reading).toEqual({ done: true, value: undefined });
    expect(await ids()).toEqual(['watcher']);
    await watcher.publish('will', 'last');
    const first = await wills[Symbol.asyncIterator]().next();
    expect(String(first.value?.payload)).toBe('last');
  });

  test('while a link opens: link() rejects, and nobody stays', async () => {
    await start();
    const controller = new AbortController();
    const opening = broker.link({ clientId: 'a', signal: controller.signal });
    controller.abort(stop);
    await expect(opening).rejects.toBe(stop);
    await eventually(async () => expect(await ids()).toEqual([]));
    await expect(broker.link({ signal: AbortSignal.abort(stop) })).rejects.toBe(stop);
    expect(await ids()).toEqual([]);
  });

  test('of a subscription unsubscribes, and is thrown to who reads', async () => {
    await start();
    const link = await broker.link({ clientId: 'a' });
    const controller = new AbortController();
    const { signal } = controller;
    const loop = link.subscribe('loop', { signal });
    const handled = link.subscribe('handled', { signal }).forEach(() => {});
    await loop.ready;
    const reading = loop[Symbol.asyncIterator]().next();
    controller.abort(stop);
    await expect(reading).rejects.toBe(stop);
    await expect(handled).rejects.toBe(stop);
    await eventually(async () => {
      expect((await broker.subscriptions.page()).items).toEqual([]);
    });
    // Its filter is free again.
    await link.subscribe('loop').ready;
    expect(() => link.subscribe('x', { signal })).toThrow(stop);
  });

  test('that has done its work is let go of', async () => {
    await start();
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const [add, remove] = [signal.addEventListener, signal.removeEventListener];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove.apply(signal, args);
    };
    const link = await broker.link({ signal });
    const subscription = link.subscribe('t', { signal });
    await link.publish('t', 'x', { qos: 1, signal });
    expect(listeners).toBe(2);
    await subscription.close();
    await link.close();
    await link.closed;
    await eventually(async () => expect(listeners).toBe(0));
  });
});

test('await using closes link and subscription', async () => {
  await start();
  const link = await broker.link();
  const subscription = link.subscribe('t');
  await subscription.ready;
  await subscription[Symbol.asyncDispose]();
  expect((await broker.subscriptions.page()).items).toEqual([]);
  await link[Symbol.asyncDispose]();
  expect(await ids()).toEqual([]);
});

describe.each([0, 1] as const)('an iterator nobody reads, QoS %i', (qos) => {
  test('holds a bounded buffer; the rest is the broker’s business', async () => {
    await start({ mqtt: { max_queued_messages: 100 } });
    const bufferBytes = 16 * 1024;
    const subscriber = await broker.link({ clientId: 'lazy', bufferBytes, receiveMaximum: 20 });
    const subscription = subscriber.subscribe('t', { qos });
    await subscription.ready;
    const publisher: Link = await broker.link({ clientId: 'eager' });
    const payload = Buffer.alloc(4096);
    for (let i = 0; i < 2000; i++) await publisher.publish('t', payload, { qos });
    // What was kept for it can be read after the end. Of QoS 1 that is its window. Of QoS 0 (8 MB
    // were published) it is the broker's queue twice: what went out at once while there was credit,
    // and what gathered behind it, each up to the high watermark of 1 MiB and the packet that crossed it.
    const watermark = 1024 * 1024 + payload.length;
    const bound = qos === 0 ? 2 * watermark : 20 * payload.length;
    await broker.stop({ timeoutMs: 100 });
    let kept = 0;
    for await (const message of subscription) kept += message.payload.length;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThanOrEqual(bound);
  });
});
