// Clients that are judged asynchronously and do not wait for it: what they send behind CONNECT is
// kept in order, bounded, and served or thrown away by the verdict.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { AuthHandler } from '../../src/auth/verdict.js';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { Client, connectPacket, publishPacket, subscription, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { eventually } from '../harness/eventually.js';
import type { QoS } from '../harness/packets.js';
import { type Address, Wire } from '../harness/wire.js';

let brokers: Broker[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
});

async function start(tables: ConfigTables, handler: AuthHandler) {
  const broker = new Broker({
    unified: { test: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
    ...tables,
  }).authenticate(handler);
  brokers.push(broker);
  await broker.start();
  const address: Address = { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
  return { broker, address };
}

const versions = ['3.1.1', '5.0'] as const;

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  const threads = { broker: { io_threads } };

  test.each(versions)('%s: a whole conversation behind CONNECT', async (version) => {
    const { broker, address } = await start(threads, async () => {
      await sleep(80);
      return true;
    });
    const watcher = await Client.connect(address);
    await watcher.subscribe({ filter: 'behind/#', qos: 2 });
    const wire = await Wire.open(address, version);
    const count = 60;
    const bytes = [
      encode(connectPacket({ version, clientId: unique() }), version),
      encode(
        {
          type: 'SUBSCRIBE',
          packetId: 1000,
          subscriptions: [subscription({ filter: 'behind/#', qos: 1 })],
          properties: {},
        },
        version,
      ),
      ...Array.from({ length: count }, (_, n) =>
        encode(
          publishPacket('behind/x', `${n}`, {
            qos: (n % 2) as QoS,
            ...(n % 2 === 0 ? {} : { packetId: n }),
          }),
          version,
        ),
      ),
      encode({ type: 'PINGREQ' }, version),
    ];
    // In pieces that know nothing of packets.
    const all = Buffer.concat(bytes);
    for (let at = 0; at < all.length; at += 97) wire.send(all.subarray(at, at + 97));
    expect((await wire.expect('CONNACK')).reasonCode).toBe(0);
    expect((await wire.answer('SUBACK')).packetId).toBe(1000);
    const texts: string[] = [];
    for (let n = 0; n < count; n++) texts.push((await watcher.receive()).payload.toString());
    const parity = (which: number) => texts.map(Number).filter((n) => n % 2 === which);
    expect(parity(0)).toEqual(Array.from({ length: count / 2 }, (_, n) => n * 2));
    expect(parity(1)).toEqual(Array.from({ length: count / 2 }, (_, n) => n * 2 + 1));
    const rest = new Map<string, number>();
    while (await wire.hasPacket(300)) {
      const { type } = await wire.next();
      rest.set(type, (rest.get(type) ?? 0) + 1);
    }
    expect(Object.fromEntries(rest)).toEqual({ PUBLISH: count, PUBACK: count / 2, PINGRESP: 1 });
    expect(broker.metrics().verdicts_waited).toBe(2);
    wire.close();
  });

  test.each(versions)(
    '%s: refused, nothing of what lay behind CONNECT has happened',
    async (version) => {
      const { broker, address } = await start(threads, async ({ clientId }) => {
        await sleep(clientId.startsWith('bad') ? 60 : 0);
        return !clientId.startsWith('bad');
      });
      const watcher = await Client.connect(address);
      await watcher.subscribe({ filter: '#', qos: 2 });
      const wire = await Wire.open(address, version);
      const packet = connectPacket({
        version,
        clientId: 'bad',
        will: { topic: 'will', payload: 'x' },
      });
      wire.send(
        Buffer.concat([
          encode(packet, version),
          encode(publishPacket('evil', 'x', { qos: 1, packetId: 1, retain: true }), version),
        ]),
      );
      expect((await wire.expect('CONNACK')).reasonCode).toBe(version === '5.0' ? 0x87 : 5);
      await wire.expectClosed();
      await watcher.ping();
      expect(await watcher.wire.hasPacket(100)).toBe(false);
      expect(broker.metrics().retained_set).toBe(0);
    },
  );

  test('a flood behind CONNECT waits in the socket, not in memory', async () => {
    let admit: (verdict: boolean) => void = () => {};
    const { broker, address } = await start(threads, ({ clientId }) =>
      clientId === 'flood' ? new Promise((done) => (admit = done)) : true,
    );
    const wire = await Wire.open(address, '5.0');
    wire.send(connectPacket({ clientId: 'flood' }));
    await eventually(() => expect(broker.metrics().verdicts_waited).toBe(1));
    const message = encode(publishPacket('flood', Buffer.alloc(10_000)), '5.0');
    const count = 1500;
    for (let n = 0; n < count; n++) wire.send(message);
    await sleep(200);
    // What is read before it pauses is at most what one read brings.
    const { bytes_received } = broker.metrics();
    expect(bytes_received).toBeLessThan(2_000_000);
    admit(true);
    await eventually(() => expect(broker.metrics().publish_received_qos0).toBe(count));
    expect(broker.metrics().bytes_received).toBeGreaterThan(count * 10_000);
    wire.close();
  });

  test('many at once, each with its own delay, some twice: everyone gets one answer', async () => {
    const { broker, address } = await start(threads, async ({ clientId }) => {
      await sleep(Math.random() * 60);
      return !clientId.startsWith('bad');
    });
    let connects = 0;
    let disconnects = 0;
    broker.on('connect', () => connects++);
    broker.on('disconnect', () => disconnects++);
    const wires = await Promise.all(
      Array.from({ length: 150 }, async (_, n) => {
        const wire = await Wire.open(address, '5.0');
        // Every fifth shares a name with another: the later verdict takes over.
        const clientId = n % 3 === 0 ? `bad${n}` : n % 5 === 0 ? 'shared' : `good${n}`;
        wire.send(connectPacket({ clientId }));
        wire.send({ type: 'PINGREQ' });
        return wire;
      }),
    );
    let admitted = 0;
    await Promise.all(
      wires.map(async (wire, n) => {
        const { reasonCode } = await wire.expect('CONNACK');
        expect(reasonCode).toBe(n % 3 === 0 ? 0x87 : 0);
        if (reasonCode === 0) admitted++;
      }),
    );
    expect(admitted).toBe(100);
    for (const wire of wires) wire.close();
    await eventually(() => expect([connects, disconnects]).toEqual([100, 100]));
  });
});
