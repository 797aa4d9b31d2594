// Hooks about clients and their subscriptions, and those that are only told, with clients of MQTT.js.
import { setTimeout as sleep } from 'node:timers/promises';
import type mqtt from 'mqtt';
import { describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker.js';
import type { AckInfo, DropInfo, HookConnect, HookSubscription } from '../../src/hooks/types.js';
import { eventually } from '../harness/eventually.js';
import { listen, logged, make, open, start } from './hook-clients.js';

/** The Reason Code that a connection is refused with. */
async function refusal(broker: Broker, options: mqtt.IClientOptions = {}): Promise<number> {
  try {
    await open(broker, options);
  } catch (error) {
    return (error as { code?: number }).code ?? -1;
  }
  throw new Error('it was admitted');
}
/** The codes of a SUBACK. */
async function subscribe(client: mqtt.MqttClient, ...filters: string[]): Promise<number[]> {
  return new Promise((resolve) => {
    client.once('packetreceive', (packet) => {
      if (packet.cmd === 'suback') resolve(packet.granted as number[]);
    });
    client.subscribe(Object.fromEntries(filters.map((filter) => [filter, { qos: 2 }])), () => {});
  });
}

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  const threads = { broker: { io_threads } };

  test('onConnect sees who is accepted, refuses, and lowers what it gets', async () => {
    const broker = make(threads);
    const seen: HookConnect[] = [];
    broker.authenticate(({ clientId }) => clientId !== 'unknown');
    broker.onConnect(async (client) => {
      seen.push(client);
      await sleep(5);
      if (client.clientId === 'dropped') return 'drop';
      if (client.clientId === 'busy') return { refuse: 0x89, reason: 'later' };
      return { maxQos: 1, serverKeepAlive: 33, maxSessionExpiry: 10 };
    });
    broker.onConnect(() => ({ maxSessionExpiry: 60 }));
    await broker.start();
    expect(await refusal(broker, { clientId: 'unknown' })).toBe(0x87);
    expect(await refusal(broker, { clientId: 'dropped' })).toBe(0x87);
    expect(await refusal(broker, { clientId: 'busy' })).toBe(0x89);
    let connack: mqtt.IConnackPacket | undefined;
    const client = await open(broker, {
      clientId: 'good',
      username: 'u',
      properties: { sessionExpiryInterval: 100 },
    });
    client.once('connect', (packet) => {
      connack = packet;
    });
    client.reconnect();
    await eventually(() => expect(connack?.properties?.serverKeepAlive).toBe(33));
    expect(connack?.properties).toMatchObject({ maximumQoS: 1, sessionExpiryInterval: 10 });
    expect(seen.map(({ clientId }) => clientId)).not.toContain('unknown');
    expect(seen[2]).toMatchObject({ clientId: 'good', username: 'u', listener: 'unified-test' });
    // Links are not asked about.
    const link = await broker.link({ clientId: 'a-link' });
    await link.close();
    expect(seen.map(({ clientId }) => clientId)).not.toContain('a-link');
  });

  test('onSubscribe refuses and changes, filter by filter; its client waits, in order', async () => {
    const broker = await start(threads);
    const seen: HookSubscription[] = [];
    broker.onSubscribe('secret/#', async (subscription) => {
      seen.push(subscription);
      await sleep(20);
      if (subscription.filter === '#') return { filter: 'open/#', qos: 1 };
      return subscription.filter.startsWith('secret') ? 'drop' : undefined;
    });
    await broker.hooksReady();
    const client = await open(broker, { clientId: 'c' });
    expect(await subscribe(client, 'free')).toEqual([2]);
    expect(seen).toEqual([]);
    expect(await subscribe(client, 'secret/a', '#', '+/x', 'free')).toEqual([0x87, 1, 2, 2]);
    expect(seen.map(({ filter }) => filter)).toEqual(['secret/a', '#', '+/x']);
    expect(seen[0]).toMatchObject({ clientId: 'c', qos: 2, listener: 'unified-test' });
    const got: string[] = [];
    client.on('message', (topic) => got.push(topic));
    for (const topic of ['secret/a', 'open/1', 'secret/x']) await client.publishAsync(topic, '');
    await eventually(() => expect(got).toEqual(['open/1', 'secret/x']));
    const four = await open(broker, { protocolVersion: 4 });
    expect(await subscribe(four, 'secret/b')).toEqual([0x80]);
    expect(broker.metrics().hook_subscribes).toBe(2);
  });
});

test('onConnect: where no provider is, too; a hook that throws or never answers', async () => {
  const broker = await start();
  const records = logged(broker);
  const remove = broker.onConnect(() => new Promise<never>(() => {}), {
    name: 'sleeper',
    timeoutMs: 40,
    onTimeout: 'drop',
  });
  await broker.hooksReady();
  expect(await refusal(broker, { clientId: 'x' })).toBe(0x88);
  remove();
  broker.onConnect(() => ({ refuse: 1 }), { name: 'nonsense' });
  await broker.hooksReady();
  await open(broker);
  const texts = records.map(({ text }) => text).join('\n');
  expect(texts).toContain('hook "sleeper" on "x" has not answered within 40 ms');
  expect(texts).toContain('no CONNACK can have the code 1; the client is let in');
});

test('onAck, onDrop and onUnsubscribe are told of what they asked for', async () => {
  const broker = await start();
  const acks: AckInfo[] = [];
  const drops: DropInfo[] = [];
  const gone: string[] = [];
  broker.onAck('a', (ack) => void acks.push(ack));
  broker.onDrop((dropped) => void drops.push(dropped));
  broker.onUnsubscribe('x/+', ({ clientId, filter }) => void gone.push(`${clientId} ${filter}`));
  broker.onPublish('never', () => 'drop');
  await broker.hooksReady();
  const receiver = await open(broker, { clientId: 'r' });
  await listen(receiver);
  const sender = await open(broker);
  await sender.publishAsync('a', '1', { qos: 1 });
  await sender.publishAsync('b', '2', { qos: 1 });
  await sender.publishAsync('a', '3', { qos: 2 });
  await sender.publishAsync('never', '4', { qos: 1 });
  await eventually(() => expect(acks).toHaveLength(2));
  expect(acks[0]).toMatchObject({ clientId: 'r', topic: 'a', qos: 1, reasonCode: 0, leftOut: 0 });
  await eventually(() => expect(drops).toHaveLength(1));
  expect(drops[0]).toMatchObject({ clientId: '', topic: 'never', cause: 'hook' });
  await receiver.subscribeAsync(['x/1', 'y'], { qos: 0 });
  await receiver.unsubscribeAsync(['x/1', 'y', 'z']);
  await eventually(() => expect(gone).toEqual(['r x/1']));
});
