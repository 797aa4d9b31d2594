// What an addon can get wrong: leaks, garbage collection, a JavaScript thread that stands still.
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import mqtt from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import { eventually } from '../harness/eventually.js';

let brokers: Broker[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const linux = process.platform === 'linux';

function inUse() {
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    residentKb: Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]),
  };
}

async function round(io_threads: number): Promise<void> {
  const broker = new Broker({
    unified: { test: { listen: '127.0.0.1:0' } },
    broker: { io_threads },
  });
  await broker.start();
  const link = await broker.link({ clientId: 'a', sessionExpiry: 100 });
  const subscription = link.subscribe('a/#', { qos: 1 });
  await subscription.ready;
  await link.publish('a/b', Buffer.alloc(10_000), { qos: 1, retain: true });
  await broker.stop();
}

test.skipIf(!linux)(
  '1,000 starts and stops leave no descriptor, thread or memory behind',
  async () => {
    for (let i = 0; i < 100; i++) await round(1 + (i % 3));
    collectGarbage();
    const before = inUse();
    for (let i = 0; i < 1000; i++) await round(1 + (i % 3));
    collectGarbage();
    await eventually(() => expect(inUse().threads).toBeLessThanOrEqual(before.threads));
    const after = inUse();
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
    // 60 KB a round would be a leak of anything that a round holds.
    expect(after.residentKb - before.residentKb).toBeLessThan(60_000);
  },
  120_000,
);

test('garbage collection while traffic flows: nothing that native code holds is freed', async () => {
  const broker = new Broker({ unified: { test: { listen: '127.0.0.1:0' } } });
  brokers.push(broker);
  await broker.start();
  const publisher = await broker.link();
  const consumer = await broker.link();
  const subscription = consumer.subscribe('a', { qos: 1 });
  await subscription.ready;
  let seen = 0;
  const reading = subscription.forEach(({ payload }) => {
    expect(payload[0]).toBe(seen++ & 255);
  });
  for (let i = 0; i < 2000; i++) {
    // Nobody but the command buffer knows this payload once publish() has returned.
    await publisher.publish('a', Buffer.alloc(50, i), { qos: 1 });
    if (i % 100 === 0) collectGarbage();
  }
  await eventually(() => expect(seen).toBe(2000));
  await subscription.close();
  await reading;
});

test('a broker that nobody refers to is not collected: it goes on serving', async () => {
  const start = async () => {
    const broker = new Broker({ unified: { test: { listen: '127.0.0.1:0' } } });
    await broker.start();
    return [broker.addresses[0]?.port, new WeakRef(broker)] as const;
  };
  const [port, reference] = await start();
  for (let i = 0; i < 5; i++) {
    await sleep(5);
    collectGarbage();
  }
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
  await client.publishAsync('a', 'x', { qos: 1 });
  await client.endAsync();
  await reference.deref()?.stop();
});

describe('while the JavaScript thread stands still', () => {
  const file = resolve(import.meta.dirname, 'still-worker.mjs');

  /** What the worker saw, and when, while this thread was blocked for so long. */
  async function watched(blockMs: number): Promise<Record<string, number>> {
    const broker = new Broker({ unified: { test: { listen: '127.0.0.1:0' } } });
    brokers.push(broker);
    broker.authenticate(() => true);
    await broker.start();
    const [address] = broker.addresses;
    const worker = new Worker(file, { workerData: { port: address?.port } });
    await new Promise((done) => worker.once('message', done));
    const result = new Promise<Record<string, number>>((done) => worker.once('message', done));
    worker.postMessage('go');
    const start = Date.now();
    while (Date.now() - start < blockMs);
    const unblocked = Date.now();
    const seen = await result;
    await worker.terminate();
    return Object.fromEntries(Object.entries(seen).map(([what, at]) => [what, unblocked - at]));
  }

  test('Keep Alive, Wills with their delay, session expiry and traffic go on', async () => {
    const early = await watched(5000);
    for (const what of ['keepAliveClosed', 'will', 'delayedWill', 'expiredSession', 'echo']) {
      // So many milliseconds before this thread moved again.
      expect([what, early[what]]).toEqual([what, expect.any(Number)]);
      expect(early[what]).toBeGreaterThan(100);
    }
  });
});
