// DirectWrite on the real broker: to clients on sockets and to links, on one thread and on several.
import { afterEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker.js';
import { Client, unique } from '../harness/client.js';
import type { Address } from '../harness/wire.js';
import { start as started } from './registry-start.js';

let broker: Broker;
let address: Address;
afterEach(() => broker?.stop({ timeoutMs: 100 }));

async function start(io_threads: number, mqtt: Record<string, unknown> = {}): Promise<void> {
  ({ broker, address } = await started(io_threads, mqtt));
}
const kept = () => ({
  clientId: unique(),
  cleanStart: false,
  properties: { sessionExpiryInterval: 600 },
});

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  test.each(['3.1.1', '5.0'] as const)('MQTT %s, without a subscription', async (version) => {
    await start(io_threads);
    const client = await Client.connect(address, { version });
    const properties = { contentType: 'text', userProperties: [['a', 'b']] as const };
    expect(
      await broker.directWrite(client.clientId, 'any/where', 'zero', {
        properties: { ...properties, messageExpiryInterval: 60 },
      }),
    ).toEqual({ outcome: 'delivered' });
    const zero = await client.wire.expect('PUBLISH');
    expect(zero).toMatchObject({ topic: 'any/where', qos: 0, retain: false });
    expect(zero.payload.toString()).toBe('zero');
    if (version === '5.0') {
      expect(zero.properties).toMatchObject({ contentType: 'text', messageExpiryInterval: 60 });
    }
    const one = broker.directWrite(client.clientId, 'x', Buffer.from([0, 255]), { qos: 1 });
    const got = await client.wire.expect('PUBLISH');
    expect(got).toMatchObject({ qos: 1, payload: Buffer.from([0, 255]) });
    client.wire.send({
      type: 'PUBACK',
      packetId: got.packetId ?? 0,
      reasonCode: 0,
      properties: {},
    });
    expect(await one).toEqual({ outcome: 'delivered' });
    expect(broker.metrics()).toMatchObject({ direct_writes_delivered: 2 });
  });

  test('in the order of the calls, from the first one on', async () => {
    await start(io_threads);
    const client = await Client.connect(address);
    const writes = Array.from({ length: 50 }, (_, index) =>
      broker.directWrite(client.clientId, 't', `${index}`),
    );
    const got: string[] = [];
    while (got.length < 50) got.push((await client.wire.expect('PUBLISH')).payload.toString());
    expect(got).toEqual(got.map((_, index) => `${index}`));
    expect(await Promise.all(writes)).toEqual(got.map(() => ({ outcome: 'delivered' })));
  });

  test('dropped with the reason; queued for a session whose client is away', async () => {
    await start(io_threads);
    const options = kept();
    const client = await Client.connect(address, options);
    const refused = broker.directWrite(options.clientId, 'x', 'no', { qos: 1 });
    const { packetId = 0 } = await client.wire.expect('PUBLISH');
    client.wire.send({ type: 'PUBACK', packetId, reasonCode: 0x87, properties: {} });
    expect(await refused).toEqual({ outcome: 'dropped', reason: 'refused', reasonCode: 0x87 });
    const open = broker.directWrite(options.clientId, 'x', 'lost', { qos: 1 });
    const held = broker.directWrite(options.clientId, 'x', 'held', { qos: 1, queue: true });
    await client.wire.expect('PUBLISH');
    await client.wire.expect('PUBLISH');
    client.wire.close();
    expect(await open).toEqual({ outcome: 'dropped', reason: 'connection_lost' });
    expect(await held).toEqual({ outcome: 'queued' });
    expect(await broker.directWrite(options.clientId, 'x', 'a', { qos: 1 })).toEqual({
      outcome: 'dropped',
      reason: 'not_connected',
    });
    expect(await broker.directWrite(unique(), 'x', 'a', { queue: true })).toMatchObject({
      reason: 'not_connected',
    });
    expect(
      await broker.directWrite(options.clientId, 'x', 'later', { qos: 1, queue: true }),
    ).toEqual({ outcome: 'queued' });
    const again = await Client.connect(address, options);
    const payloads: string[] = [];
    while (payloads.length < 3) {
      payloads.push((await again.wire.expect('PUBLISH')).payload.toString());
    }
    expect(payloads).toEqual(['lost', 'held', 'later']);
  });

  test('to links', async () => {
    await start(io_threads);
    const link = await broker.link({ clientId: unique() });
    const client = await Client.connect(address);
    const subscription = await link.subscribe('#');
    const writes = [0, 1, 2].map((qos) =>
      broker.directWrite(link.clientId, `t/${qos}`, 'x', { qos: qos as 0 | 1 | 2 }),
    );
    const topics: string[] = [];
    for await (const { topic } of subscription) if (topics.push(topic) === 3) break;
    expect(topics).toEqual(['t/0', 't/1', 't/2']);
    expect(await Promise.all(writes)).toEqual(topics.map(() => ({ outcome: 'delivered' })));
    await link.close();
    await client.disconnect();
  });

  test('to many clients, with a count of each outcome', async () => {
    await start(io_threads);
    const clients = await Promise.all(
      Array.from({ length: 30 }, () => Client.connect(address, { clientId: unique() })),
    );
    async function* ids() {
      for (const { clientId } of clients) yield clientId;
      yield 'nobody';
    }
    const results: unknown[] = [];
    expect(
      await broker.directWriteMany(ids(), 't', 'x', {
        onResult: (clientId, result) => results.push([clientId, result?.outcome]),
      }),
    ).toEqual({ delivered: 30, dropped: 1, queued: 0, timedOut: 0 });
    expect(results).toHaveLength(31);
    expect(results).toContainEqual(['nobody', 'dropped']);
    for (const client of clients) {
      expect((await client.wire.expect('PUBLISH')).payload.toString()).toBe('x');
    }
  });
});

test('takeovers race with writes: each has one outcome, and what is delivered was received', async () => {
  await start(3);
  const clientId = unique();
  let received = 0;
  let isOver = false;
  const connect = async () => {
    while (!isOver) {
      const client = await Client.connect(address, { clientId });
      for (;;) {
        const packet = await client.wire.next();
        if (packet === undefined || packet.type === 'DISCONNECT') break;
        if (packet.type !== 'PUBLISH') continue;
        received++;
        const { packetId = 0 } = packet;
        client.wire.send({ type: 'PUBACK', packetId, reasonCode: 0, properties: {} });
        if (received % 20 === 0) break;
      }
      client.wire.close();
    }
  };
  const failed: unknown[] = [];
  const clients = [connect(), connect()].map((running) =>
    running.catch((error) => isOver || failed.push(error)),
  );
  const counts = { delivered: 0, dropped: 0, queued: 0 };
  while (counts.delivered < 200) {
    const results = await Promise.all(
      Array.from({ length: 20 }, () => broker.directWrite(clientId, 't', 'x', { qos: 1 })),
    );
    for (const { outcome } of results) counts[outcome]++;
  }
  isOver = true;
  await broker.stop({ timeoutMs: 100 });
  await Promise.all(clients);
  expect(failed).toEqual([]);
  expect(counts.queued).toBe(0);
  expect(received).toBeGreaterThanOrEqual(counts.delivered);
}, 60_000);

test('a client that never acknowledges: ST_WRITE_TIMEOUT, or its signal', async () => {
  await start(1);
  const client = await Client.connect(address);
  await expect(
    broker.directWrite(client.clientId, 'x', 'a', { qos: 1, timeoutMs: 30 }),
  ).rejects.toMatchObject({ code: 'ST_WRITE_TIMEOUT' });
  const stop = new AbortController();
  const given = broker.directWrite(client.clientId, 'x', 'b', { qos: 1, signal: stop.signal });
  await client.wire.expect('PUBLISH');
  stop.abort('enough');
  await expect(given).rejects.toMatchObject({ code: 'ST_WRITE_ABORTED', cause: 'enough' });
  await expect(
    broker.directWriteMany([client.clientId, 'nobody'], 'x', 'c', { qos: 1, timeoutMs: 30 }),
  ).resolves.toEqual({ delivered: 0, dropped: 1, queued: 0, timedOut: 1 });
});

test('misuse: typed errors; after stop those under way too', async () => {
  await start(1);
  const client = await Client.connect(address);
  const wrong = { code: 'ST_ARGUMENT' };
  await expect(broker.directWrite('', 't', 'x')).rejects.toMatchObject(wrong);
  await expect(broker.directWrite('c', 't/#', 'x')).rejects.toMatchObject(wrong);
  await expect(broker.directWrite('c', '', 'x')).rejects.toMatchObject(wrong);
  await expect(broker.directWrite('c', 't', 'x', { qos: 3 as 2 })).rejects.toMatchObject(wrong);
  await expect(broker.directWrite('c', 't', 'x', { timeoutMs: -1 })).rejects.toMatchObject(wrong);
  await expect(
    broker.directWrite('c', 't', 'x', { properties: { messageExpiryInterval: -1 } }),
  ).rejects.toMatchObject(wrong);
  await expect(broker.directWriteMany(['c', ''], 't', 'x')).rejects.toMatchObject(wrong);
  const open = broker.directWrite(client.clientId, 't', 'x', { qos: 1 });
  open.catch(() => undefined);
  await client.wire.expect('PUBLISH');
  await broker.stop({ timeoutMs: 50 });
  expect(await open.catch((error) => error.code)).toEqual(
    expect.toSatisfy((end) => end === 'ST_BROKER_STATE' || end.reason === 'connection_lost'),
  );
  await expect(broker.directWrite('c', 't', 'x')).rejects.toMatchObject({
    code: 'ST_BROKER_STATE',
  });
});
