// Clients, sessions, subscriptions, retained messages, meters and alerts of a real broker.
import mqtt from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { eventually } from '../harness/eventually.js';

let broker: Broker;
const clients: mqtt.MqttClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker.stop({ timeoutMs: 300 });
});

async function start(options: ConfigTables = {}): Promise<void> {
  broker = new Broker({ unified: { test: { listen: '127.0.0.1:0' } }, ...options });
  await broker.start();
}
async function connect(clientId: string, options: mqtt.IClientOptions = {}) {
  const [address] = broker.addresses;
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${address?.port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    clientId,
    ...options,
  });
  clients.push(client);
  return client;
}
async function listed<T, R>(rows: AsyncIterable<T>, show: (row: T) => R): Promise<R[]> {
  const found: R[] = [];
  for await (const row of rows) found.push(show(row));
  return found.toSorted();
}

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  const threads = { broker: { io_threads } };

  test('clients are those that are connected, sessions are all', async () => {
    await start(threads);
    const stays = { clean: false, properties: { sessionExpiryInterval: 60 } };
    for (let i = 0; i < 30; i++) await connect(`pump-${i}`, i < 3 ? stays : {});
    await connect('valve');
    await clients[0]?.endAsync();
    await eventually(async () => {
      expect(await listed(broker.clients, (row) => row.connected)).toHaveLength(30);
    });
    expect(await listed(broker.sessions, (row) => row.clientId)).toHaveLength(31);
    expect(await broker.clients.get('pump-0')).toBeUndefined();
    expect(await broker.sessions.get('pump-0')).toMatchObject({ connected: false });
    const filtered = broker.clients.filter({ clientId: 'pump-1*', protocolVersion: '5.0' });
    expect(await listed(filtered, (row) => row.clientId)).toHaveLength(11);
    const { items, next } = await broker.clients.page({ limit: 5 });
    expect(items).toHaveLength(5);
    expect(next).toBeDefined();

    expect(await broker.clients.disconnect('valve', { reason: 'bye' })).toBe(true);
    expect(await broker.clients.disconnect('nobody')).toBe(false);
    expect(await broker.sessions.end('pump-0')).toBe(true);
    expect(await broker.sessions.end('pump-0')).toBe(false);
    await eventually(async () => {
      expect(await listed(broker.sessions, (row) => row.clientId)).toHaveLength(29);
    });
  });

  test('subscriptions: of all, of one, of a topic; added and removed', async () => {
    await start(threads);
    const client = await connect('a');
    await client.subscribeAsync(['plant/#', '$share/g/plant/+'], { qos: 1 });
    await (await connect('b')).subscribeAsync('other');
    const filters = (rows: AsyncIterable<{ filter: string }>) => listed(rows, (row) => row.filter);
    expect(await filters(broker.subscriptions)).toEqual(['$share/g/plant/+', 'other', 'plant/#']);
    expect(await filters(broker.subscriptions.of('a'))).toEqual(['$share/g/plant/+', 'plant/#']);
    expect(await filters(broker.subscriptions.filter({ group: 'g' }))).toHaveLength(1);
    expect(await broker.subscriptions.matching('plant/1')).toHaveLength(2);
    expect(await broker.subscriptions.add('b', { filter: 'more', qos: 1 })).toBe(1);
    expect(await broker.subscriptions.add('nobody', { filter: 'more', qos: 1 })).toBeUndefined();
    expect(await filters(broker.subscriptions.of('b'))).toEqual(['more', 'other']);
    expect(await broker.subscriptions.remove('b', 'more')).toBe(0);
  });

  test('retained messages: set, read, matched, deleted', async () => {
    await start(threads);
    for (let i = 0; i < 20; i++) {
      await broker.retained.set(`hall/${i}/state`, `${i}`, {
        properties: { contentType: 'text/plain' },
      });
    }
    await broker.retained.set('other', new Uint8Array([1, 2]));
    // One link for all of them.
    expect(await listed(broker.clients, (row) => row.address)).toEqual(['link']);
    expect(await listed(broker.retained, (row) => row.topic)).toHaveLength(21);
    expect(await listed(broker.retained.matching('hall/+/state'), (r) => r.topic)).toHaveLength(20);
    const state = await broker.retained.get('hall/7/state');
    expect([String(state?.payload), state?.qos]).toEqual(['7', 1]);
    const client = await connect('late');
    const came = new Promise((resolve) => {
      client.on('message', (topic, payload) => resolve([topic, `${payload}`]));
    });
    await client.subscribeAsync('hall/3/#');
    expect(await came).toEqual(['hall/3/state', '3']);
    expect(await broker.retained.delete('hall/7/state')).toBe(true);
    expect(await broker.retained.delete('hall/7/state')).toBe(false);
    expect(await broker.retained.get('hall/7/state')).toBeUndefined();
    await expect(broker.retained.set('x', '')).rejects.toMatchObject({ code: 'ST_ARGUMENT' });
    await expect(broker.retained.set('x/#', 'y')).rejects.toMatchObject({ code: 'ST_ARGUMENT' });
  });
});

test('meters tell what traffic there was', async () => {
  await start();
  const meters = broker.meters({ intervalMs: 20 });
  const link = await broker.link({ clientId: 'me' });
  const received = link.subscribe('t', { qos: 1 });
  await received.ready;
  for (let i = 0; i < 50; i++) await link.publish('t', 'x', { qos: 1 });
  let messagesIn = 0;
  for await (const { rates, seconds, totals } of meters) {
    messagesIn += rates.messagesIn * seconds;
    if (Math.round(messagesIn) < 50) continue;
    expect(totals).toMatchObject({ connected: 1, subscriptions: 1 });
    break;
  }
  expect(Math.round(messagesIn)).toBe(50);
});

test('alerts reach each of their readers; both end with stop()', async () => {
  await start({ mqtt: { max_queued_messages: 1 } });
  const options = { clean: false, properties: { sessionExpiryInterval: 60 } } as const;
  const client = await connect('sleeper', options);
  await client.subscribeAsync('t', { qos: 1 });
  await client.endAsync();
  const readers = [broker.alerts(), broker.alerts({ buffer: 1 })];
  const meters = broker.meters({ intervalMs: 1000 });
  const link = await broker.link();
  for (let i = 0; i < 5; i++) await link.publish('t', 'x', { qos: 1 });
  for (const reader of readers) {
    expect((await reader.next()).value).toMatchObject({
      alert: 'queue_overflow',
      clientId: 'sleeper',
    });
  }
  await broker.stop({ timeoutMs: 100 });
  for await (const _ of meters) expect.unreachable('no reading was due');
  for (const reader of readers) for await (const { alert } of reader) expect(alert).toBeDefined();
});

test('what was kept of a broker that has stopped rejects', async () => {
  await start();
  const { clients: kept, retained } = broker;
  await retained.set('t', 'x');
  await broker.stop({ timeoutMs: 100 });
  await expect(kept.page()).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
  await expect(retained.get('t')).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
  await expect(retained.set('t', 'x')).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
  await expect(kept[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'ST_BROKER_STATE',
  });
});

test('await using stops the broker', async () => {
  await start();
  await broker[Symbol.asyncDispose]();
  expect(broker.ready).toBe(false);
  expect(broker.addresses).toEqual([]);
});
