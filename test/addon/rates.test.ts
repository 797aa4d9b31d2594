// Bounded rates with real clients: a publisher that is faster is slowed and loses nothing, and its
// neighbours do not notice.
import { afterEach, describe, expect, test } from 'vitest';
import type { NativeBroker, NativeListenSpec } from '../../src/native/addon.js';
import { type CounterName, counterNames } from '../../src/native/counter-names.js';
import { loadAddon } from '../../src/native/load.js';
import { Client, publishPacket } from '../harness/client.js';
import type { QoS } from '../harness/packets.js';
import type { Address } from '../harness/wire.js';
import { brokerOptions, limits, listenSpec } from './raw-native.js';

const addon = loadAddon();
let brokers: NativeBroker[] = [];
afterEach(() => {
  for (const broker of brokers) broker.stop();
  brokers = [];
});

/** One listener without bounds, one with them. */
function start(io_threads: number, bounded: Partial<NativeListenSpec>) {
  const native = addon.createBroker(brokerOptions({ io_threads }), () => {});
  brokers.push(native);
  const address = (spec: NativeListenSpec): Address => ({
    host: '127.0.0.1',
    port: native.listen(spec).port,
  });
  const free = address(listenSpec());
  const slow = address(listenSpec(bounded));
  native.start();
  const counters = new BigInt64Array(counterNames.length);
  const counter = (name: CounterName): number => {
    native.counters(counters);
    return Number(counters[counterNames.indexOf(name)]);
  };
  return { free, slow, counter };
}

const qualities: readonly QoS[] = [0, 1, 2];

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  test.each(qualities)('QoS %i: all arrive, in order, and not at once', async (qos) => {
    const { free, slow, counter } = start(io_threads, {
      limits: limits({ max_messages_per_s: 40 }),
    });
    const subscriber = await Client.connect(free);
    await subscriber.subscribe({ filter: 'slow', qos });
    const publisher = await Client.connect(slow);
    const expected = Array.from({ length: 80 }, (_, n) => `${n}`);
    for (const [n, payload] of expected.entries()) {
      publisher.send(publishPacket('slow', payload, { qos, ...(qos > 0 && { packetId: n + 1 }) }));
    }
    const neighbour = await Client.connect(free);
    for (let n = 0; n < 20; n++) await neighbour.publish('elsewhere', 'x', { qos: 1 });
    expect(counter('paused_rate')).toBeGreaterThan(0);
    const got: string[] = [];
    for (const _ of expected) got.push((await subscriber.receive()).payload.toString());
    expect(got).toEqual(expected);
    expect(counter('closed_rate_exceeded')).toBe(0);
  });

  test('a listener has one rate for all of its clients', async () => {
    const { free, slow, counter } = start(io_threads, { total_messages_per_s: 30 });
    const subscriber = await Client.connect(free);
    await subscriber.subscribe({ filter: '#', qos: 0 });
    const publishers = [await Client.connect(slow), await Client.connect(slow)];
    for (let n = 0; n < 25; n++) {
      for (const [index, publisher] of publishers.entries()) {
        publisher.send(publishPacket(`by/${index}`, `${n}`));
      }
    }
    const got: string[] = [];
    for (let n = 0; n < 50; n++) got.push((await subscriber.receive()).topic);
    expect(got.filter((topic) => topic === 'by/0')).toHaveLength(25);
    expect(counter('paused_rate')).toBeGreaterThan(0);
  });
});

test('more than the rate is refused with 0x97 where configured', async () => {
  const { slow, counter } = start(1, {
    limits: limits({ max_messages_per_s: 1, on_rate_exceeded: 'refuse' }),
  });
  const publisher = await Client.connect(slow, { version: '5.0' });
  expect(await publisher.publish('t', '1', { qos: 1 })).not.toBe(0x97);
  expect(await publisher.publish('t', '2', { qos: 1 })).toBe(0x97);
  expect(counter('publish_refused_rate')).toBe(1);
});
