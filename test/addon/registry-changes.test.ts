// Broker.registry: what it does to sessions. A subscription made for a client is a real one.
import { afterEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker.js';
import { kInternals } from '../../src/internal.js';
import { Client, unique } from '../harness/client.js';
import type { Address } from '../harness/wire.js';
import { everyPage, start as started } from './registry-start.js';

let broker: Broker;
let address: Address;
afterEach(() => broker?.stop({ timeoutMs: 100 }));

async function start(
  io_threads: number,
  mqtt: Record<string, unknown> = {},
  internals: Record<symbol, unknown> = {},
): Promise<void> {
  ({ broker, address } = await started(io_threads, mqtt, internals));
}
const kept = () => ({
  clientId: unique(),
  cleanStart: false,
  properties: { sessionExpiryInterval: 600 },
});

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  test('endSession closes the connection and forgets the session', async () => {
    await start(io_threads);
    const options = kept();
    const client = await Client.connect(address, options);
    await client.subscribe('x');
    const ended: unknown[] = [];
    broker.on('sessionEnd', (info) => ended.push(info));
    expect(await broker.registry.endSession(client.clientId)).toBe(true);
    expect((await client.wire.expect('DISCONNECT')).reasonCode).toBe(0x98);
    await client.wire.expectClosed();
    expect(await broker.registry.client(client.clientId)).toBeUndefined();
    expect(await broker.registry.endSession(client.clientId)).toBe(false);
    expect(ended).toEqual([{ clientId: client.clientId, instance: 0, cause: 'administrative' }]);
    const again = await Client.connect(address, options);
    expect(again.connack.sessionPresent).toBe(false);
    expect(broker.registry.totals()).toMatchObject({ sessions: 1, connected: 1, subscriptions: 0 });
  });

  test('endSession of one that is away, and of one that ends with its connection', async () => {
    await start(io_threads);
    const away = await Client.connect(address, kept());
    await away.disconnect();
    expect(await broker.registry.endSession(away.clientId)).toBe(true);
    const short = await Client.connect(address);
    expect(await broker.registry.endSession(short.clientId)).toBe(true);
    await short.wire.expect('DISCONNECT');
    expect(broker.registry.totals()).toMatchObject({ sessions: 0, connected: 0 });
  });

  test('a subscription for a client brings it messages, retained ones first', async () => {
    await start(io_threads);
    const publisher = await Client.connect(address);
    await publisher.publish('s/old', 'retained', { qos: 1, retain: true });
    const client = await Client.connect(address);
    const { registry } = broker;
    expect(await registry.subscribe(client.clientId, { filter: 's/#', qos: 1 })).toBe(1);
    const old = await client.receive();
    expect([old.topic, old.retain, old.qos]).toEqual(['s/old', true, 1]);
    await publisher.publish('s/new', 'live', { qos: 2 });
    expect(await client.receive()).toMatchObject({ topic: 's/new', qos: 1, retain: false });
    expect(await registry.unsubscribe(client.clientId, 's/#')).toBe(0);
    expect(await registry.unsubscribe(client.clientId, 's/#')).toBe(0x11);
    await publisher.publish('s/new', 'nobody', { qos: 1 });
    await client.ping();
    expect(await registry.subscribe('nobody', { filter: 'a', qos: 0 })).toBeUndefined();
    expect(await registry.unsubscribe('nobody', 'a')).toBeUndefined();
  });

  test('one that is away gets what was retained, and came, when it is back', async () => {
    await start(io_threads);
    const options = kept();
    await (await Client.connect(address, options)).disconnect();
    const publisher = await Client.connect(address);
    await publisher.publish('w/1', 'retained', { qos: 1, retain: true });
    const filter = 'w/+';
    expect(await broker.registry.subscribe(options.clientId, { filter, qos: 1 })).toBe(1);
    await publisher.publish('w/2', 'live', { qos: 1 });
    const back = await Client.connect(address, options);
    expect(back.connack.sessionPresent).toBe(true);
    expect(await back.receiveTexts(2)).toEqual(['retained', 'live']);
  });

  test('a member of a group that is away is passed over', async () => {
    await start(io_threads);
    const options = kept();
    await (await Client.connect(address, options)).disconnect();
    const here = await Client.connect(address);
    await here.subscribe({ filter: '$share/g/m', qos: 1 });
    const filter = '$share/g/m';
    expect(await broker.registry.subscribe(options.clientId, { filter, qos: 1 })).toBe(1);
    const publisher = await Client.connect(address);
    for (let n = 0; n < 4; n++) await publisher.publish('m', String(n), { qos: 1 });
    expect(await here.receiveTexts(4)).toEqual(['0', '1', '2', '3']);
  });

  test.each(['slow', 'failing'] as const)('with a %s store', async (kind) => {
    const store = kind === 'slow' ? { kind, delay_ms: 50 } : { kind, after: 1 };
    await start(io_threads, {}, { [kInternals]: { store } });
    const client = await Client.connect(address, kept());
    const code = await broker.registry.subscribe(client.clientId, { filter: 'a', qos: 1 });
    const rows = await everyPage(5, (page) => broker.registry.subscriptions(page));
    // As a SUBACK: told only when it is stored, and taken back if it could not be.
    expect([code, rows.length]).toEqual(kind === 'slow' ? [1, 1] : [0x80, 0]);
    const gone = await broker.registry.unsubscribe(client.clientId, 'a');
    expect(gone).toBe(kind === 'slow' ? 0 : 0x11);
  });
});

test('limits hold as for the client itself', async () => {
  await start(1, { max_subscriptions: 1, max_qos: 1, max_topic_levels: 3 });
  const client = await Client.connect(address);
  const subscribe = (filter: string) =>
    broker.registry.subscribe(client.clientId, { filter, qos: 2 });
  expect(await subscribe('a/b/c/d')).toBe(0x8f);
  expect(await subscribe('a')).toBe(1);
  expect(await subscribe('b')).toBe(0x97);
  expect(await subscribe('a')).toBe(1);
  expect(await subscribe('$share//a')).toBe(0x8f);
});

test('capabilities that are off are refused', async () => {
  await start(1, { wildcard_subscriptions: false, shared_subscriptions: false });
  const client = await Client.connect(address);
  const subscribe = (filter: string) =>
    broker.registry.subscribe(client.clientId, { filter, qos: 0 });
  expect(await subscribe('a/#')).toBe(0xa2);
  expect(await subscribe('$share/g/a')).toBe(0x9e);
});

test('what is no filter, QoS or option is refused before it is asked', async () => {
  await start(1);
  const { registry } = broker;
  const refused = { code: 'ST_ARGUMENT' };
  for (const filter of ['', 'a#', '#/a', 'a\0']) {
    await expect(registry.subscribe('x', { filter, qos: 0 })).rejects.toMatchObject(refused);
    await expect(registry.unsubscribe('x', filter)).rejects.toMatchObject(refused);
  }
  const bad = [
    { filter: 'a', qos: 3 },
    { filter: 'a', qos: 0, retainHandling: 3 },
    { filter: '$share/g/a', qos: 0, noLocal: true },
  ] as never[];
  for (const request of bad) {
    await expect(registry.subscribe('x', request)).rejects.toMatchObject(refused);
  }
});
