// duplicate_client_id = "allow" with MQTT.js: many clients of one Client Identifier at once, on several
// I/O threads, told apart wherever they are shown or named.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import type { ConnectInfo, DisconnectInfo } from '../../src/session/events.ts';
import { eventually } from '../harness/eventually.js';
import { Client, type Version } from './mqttjs-client.js';

const listen = '127.0.0.1:0';
const kId = 'pump/7';
const kAtOnce = 24;

let broker: Broker;
const clients: Client[] = [];
const came: ConnectInfo[] = [];
const went: DisconnectInfo[] = [];

async function start(io_threads: number): Promise<void> {
  broker = new Broker({
    broker: { io_threads },
    unified: {
      loose: { listen, connections: { duplicate_client_id: 'allow' } },
      plain: { listen },
    },
    limits: { flapping: { count: 5 } },
    log: { to: 'off' },
  });
  broker.on('connect', (info) => came.push(info));
  broker.on('disconnect', (info) => went.push(info));
  await broker.start();
}
beforeEach(() => {
  came.length = 0;
  went.length = 0;
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true)));
  await broker.stop({ timeoutMs: 0 });
});

async function open(version: Version, more = {}, listener = 'loose'): Promise<Client> {
  const port = broker.addresses.find((at) => at.listener.endsWith(listener))?.port ?? 0;
  const client = await Client.open(port, version, { clientId: kId, ...more });
  clients.push(client);
  return client;
}
async function numbers(): Promise<number[]> {
  const found: number[] = [];
  for await (const row of broker.clients) {
    expect(row.clientId).toBe(kId);
    found.push(row.instance);
  }
  return found.sort((a, b) => a - b);
}
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
/** By a message that only it gets. */
async function isWho(client: Client, instance: number): Promise<void> {
  const mark = `for ${instance}`;
  const writing = broker.directWrite(kId, 'who', mark, { instance, qos: 1 });
  expect((await client.next()).text).toBe(mark);
  const is = instance === 0 ? {} : { instance };
  expect(await writing).toEqual({ outcome: 'delivered', ...is });
}

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  test('all that come at once stay, each with a number of its own', async () => {
    await start(io_threads);
    const all = await Promise.all(
      upTo(kAtOnce).map((index) => open(([3, 4, 5] as const)[index % 3] ?? 5)),
    );
    expect(await numbers()).toEqual(upTo(kAtOnce));
    await eventually(() =>
      expect(came.map(({ instance }) => instance).sort((a, b) => a - b)).toEqual(upTo(kAtOnce)),
    );
    expect(broker.metrics()).toMatchObject({
      takeovers: 0,
      bans_flapping: 0,
      duplicates_connected: kAtOnce - 1,
      duplicates_admitted: kAtOnce - 1,
    });
    if (io_threads > 1) {
      const threads = new Set<number>();
      for await (const { thread } of broker.clients) threads.add(thread);
      expect(threads.size).toBeGreaterThan(1);
    }
    await Promise.all(all.map((client) => client.subscribe('news')));
    const sender = all[0] as Client;
    await sender.publish('news', 'to all', { qos: 1 });
    for (const client of all) expect((await client.next()).text).toBe('to all');
    expect(await sender.surplus()).toEqual([]);
  });

  test('numbers come back, the least first, and the next one after the first is the first', async () => {
    await start(io_threads);
    const all: Client[] = [];
    for (let count = 0; count < 5; count++) all.push(await open(5));
    for (const [number, client] of all.entries()) await isWho(client, number);
    await all[3]?.mqtt.endAsync();
    await all[1]?.mqtt.endAsync();
    await eventually(async () => expect(await numbers()).toEqual([0, 2, 4]));
    await isWho(await open(4), 1);
    await isWho(await open(5), 3);
    await all[0]?.mqtt.endAsync();
    await eventually(async () => expect(await numbers()).toEqual([1, 2, 3, 4]));
    await isWho(await open(5), 0);
    await eventually(() => expect(went.map(({ instance }) => instance)).toEqual([3, 1, 0]));
  });

  test('only the first has a session; the others are told that they have none', async () => {
    await start(io_threads);
    const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const first = await open(5, kept);
    await first.subscribe('t', 1);
    const beside = await open(5, kept);
    expect(beside.connack).toMatchObject({ sessionPresent: false });
    expect(beside.connack?.properties?.sessionExpiryInterval).toBe(0);
    await beside.subscribe('t', 1);
    // MQTT.js sends its own interval again, with DISCONNECT: it is no error.
    await beside.mqtt.endAsync(false, { properties: { sessionExpiryInterval: 600 } });
    await eventually(() => expect(went).toHaveLength(1));
    expect(went[0]).toMatchObject({ instance: 1, cause: 'client_disconnect' });
    expect(await broker.sessions.get(kId, { instance: 1 })).toBeUndefined();
    await first.mqtt.endAsync(true);
    await eventually(async () => expect(await numbers()).toEqual([]));
    expect(await broker.sessions.get(kId)).toMatchObject({ instance: 0, connected: false });
    expect((await open(5, kept)).sessionPresent).toBe(true);
  });

  test('a listener with takeover meets the first only', async () => {
    await start(io_threads);
    const first = await open(5);
    const beside = await open(5);
    const told = first.disconnected();
    const taker = await open(5, {}, 'plain');
    expect(await told).toBe(0x8e);
    await isWho(taker, 0);
    await isWho(beside, 1);
  });

  test('a write without a number goes to who is there: the first, else the least', async () => {
    await start(io_threads);
    const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const first = await open(5, kept);
    const [one, two] = [await open(5), await open(5)];
    const write = (options = {}) => broker.directWrite(kId, 'w', 'x', { qos: 1, ...options });
    expect(await write()).toEqual({ outcome: 'delivered' });
    await first.next();
    await first.mqtt.endAsync(true);
    await eventually(async () => expect(await numbers()).toEqual([1, 2]));
    expect(await write({ queue: true })).toEqual({ outcome: 'delivered', instance: 1 });
    await one.next();
    expect(await write({ queue: true, instance: 0 })).toEqual({ outcome: 'queued' });
    expect(await write({ instance: 0 })).toMatchObject({ reason: 'not_connected' });
    await one.mqtt.endAsync(true);
    await eventually(async () => expect(await numbers()).toEqual([2]));
    expect(await write()).toEqual({ outcome: 'delivered', instance: 2 });
    await two.next();
    expect(await write({ instance: 1 })).toEqual({
      outcome: 'dropped',
      reason: 'not_connected',
      instance: 1,
    });
    await two.mqtt.endAsync(true);
    await eventually(async () => expect(await numbers()).toEqual([]));
    expect(await write({ queue: true })).toEqual({ outcome: 'queued' });
    const counts = await broker.directWriteMany([kId], 'w', 'x', { instance: 0, queue: true });
    expect(counts).toMatchObject({ queued: 1 });
  });

  test('rows, subscriptions and the detail say which; get() finds who is connected', async () => {
    await start(io_threads);
    const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const first = await open(5, kept);
    const beside = await open(4);
    await beside.subscribe('only/beside', 1);
    const of = async (instance?: number) => {
      const filters: string[] = [];
      for await (const row of broker.subscriptions.of(kId, { instance })) {
        filters.push(`${row.instance} ${row.filter}`);
      }
      return filters;
    };
    expect([await of(), await of(0), await of(1)]).toEqual([[], [], ['1 only/beside']]);
    expect(await broker.subscriptions.matching('only/beside')).toMatchObject([{ instance: 1 }]);
    expect(await broker.clients.get(kId)).toMatchObject({ instance: 0, instances: [1] });
    expect(await broker.clients.get(kId, { instance: 1 })).toMatchObject({
      instance: 1,
      instances: [1],
      protocolVersion: '3.1.1',
      sessionExpiry: 0,
    });
    expect(await broker.subscriptions.add(kId, { filter: 'added', qos: 1, instance: 1 })).toBe(1);
    expect(await of(1)).toEqual(expect.arrayContaining(['1 added']));
    expect(await broker.subscriptions.remove(kId, 'added', { instance: 1 })).toBe(0);
    expect(await broker.subscriptions.remove(kId, 'added', { instance: 9 })).toBeUndefined();
    await first.mqtt.endAsync(true);
    await eventually(async () => expect(await numbers()).toEqual([1]));
    expect(await broker.sessions.get(kId)).toMatchObject({ instance: 0, connected: false });
    expect(await broker.clients.get(kId)).toMatchObject({ instance: 1, connected: true });
    const page = await broker.sessions.filter({ instance: { min: 1 } }).page();
    expect(page.items).toHaveLength(1);
    expect(() => broker.disconnectClient(kId, { instance: -1 })).toThrow(
      expect.objectContaining({ code: 'ST_ARGUMENT' }),
    );
    await expect(broker.directWrite(kId, 't', '', { instance: 0.5 })).rejects.toMatchObject({
      code: 'ST_ARGUMENT',
    });
  });

  test('who closes by name closes all, or the one of a number', async () => {
    await start(io_threads);
    const all: Client[] = [];
    for (let count = 0; count < 6; count++) all.push(await open(5));
    expect(await broker.clients.disconnect(kId, { instance: 4 })).toBe(true);
    await eventually(async () => expect(await numbers()).toEqual([0, 1, 2, 3, 5]));
    expect(await broker.clients.disconnect(kId, { instance: 4 })).toBe(false);
    broker.disconnectClient(kId, { instance: 0 });
    await eventually(async () => expect(await numbers()).toEqual([1, 2, 3, 5]));
    expect(await broker.sessions.end(kId, { instance: 1 })).toBe(true);
    await eventually(async () => expect(await numbers()).toEqual([2, 3, 5]));
    const told = all[5]?.disconnected();
    expect(await broker.clients.disconnect(kId, { reasonCode: 0x98 })).toBe(true);
    expect(await told).toBe(0x98);
    await eventually(async () => expect(await numbers()).toEqual([]));
    const again = [await open(5), await open(5), await open(5)];
    broker.disconnectClient(kId);
    await eventually(async () => expect(await numbers()).toEqual([]));
    expect(again).toHaveLength(3);
    const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
    await open(5, kept);
    await open(5);
    await open(5);
    expect(await broker.sessions.end(kId)).toBe(true);
    await eventually(async () => expect(await numbers()).toEqual([]));
    expect(await broker.sessions.get(kId)).toBeUndefined();
  });

  test('they come and go in a storm: nothing is counted twice, and no number is left taken', async () => {
    await start(io_threads);
    const port = broker.addresses.find((at) => at.listener.endsWith('loose'))?.port ?? 0;
    await Promise.all(
      upTo(8).map(async (worker) => {
        for (let round = 0; round < 12; round++) {
          const client = await Client.open(port, 5, { clientId: kId });
          if ((worker + round) % 3 === 0) client.mqtt.stream.destroy();
          await client.mqtt.endAsync((worker + round) % 2 === 0);
        }
      }),
    );
    await eventually(async () => expect(await numbers()).toEqual([]));
    await eventually(() => expect(went).toHaveLength(96));
    expect(came).toHaveLength(96);
    // Whoever was there at the same time had another number.
    expect(Math.max(...came.map(({ instance }) => instance))).toBeLessThan(16);
    expect(broker.metrics()).toMatchObject({ duplicates_connected: 0, takeovers: 0 });
    await isWho(await open(5), 0);
    await isWho(await open(5), 1);
  });

  test('all of them are one device, online as long as one is connected', async () => {
    await start(io_threads);
    const id = 'fan';
    const state = () => broker.device(id).state();
    expect(await state()).toBeUndefined();
    const first = await open(5, { clientId: id });
    const beside = await open(4, { clientId: id });
    expect(await state()).toMatchObject({ online: true });
    await beside.subscribe('v1/devices/me/rpc/request/+', 1);
    await first.publish('v1/devices/me/rpc/request/1', 'to myself', { qos: 1 });
    expect((await beside.next()).topic).toBe('v1/devices/me/rpc/request/1');
    await first.mqtt.endAsync(true);
    await eventually(async () =>
      expect(await broker.clients.get(id)).toMatchObject({ instance: 1 }),
    );
    expect(await state()).toMatchObject({ online: true });
    await beside.mqtt.endAsync(true);
    await eventually(async () => expect(await state()).toMatchObject({ online: false }));
  });
});
