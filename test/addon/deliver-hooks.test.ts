// onDeliver on the real broker, with clients of MQTT.js and links: what it sees, what its answers do
// to each receiver, and that nothing is lost, repeated or out of order meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import type mqtt from 'mqtt';
import { describe, expect, test } from 'vitest';
import type { DropInfo, HookDelivery } from '../../src/hooks/types.js';
import { eventually } from '../harness/eventually.js';
import { listen as listenAt, open, start } from './hook-clients.js';

// QoS 1: at QoS 2, MQTT.js shows a message when its PUBREL comes.
const listen: typeof listenAt = (client, filter = '#', qos = 1) => listenAt(client, filter, qos);

describe.each([1, 3])('onDeliver, %i I/O threads', (io_threads) => {
  const threads = { broker: { io_threads } };

  test('sees the message, its receiver and its publisher; each receiver has its own answer', async () => {
    const broker = await start(threads);
    const seen: HookDelivery[] = [];
    broker.onDeliver('h/#', (delivery) => {
      seen.push(delivery);
      if (delivery.clientId === 'no') return 'drop';
      if (delivery.clientId === 'other') return { payload: `${delivery.text()} for other` };
      return undefined;
    });
    const lost: DropInfo[] = [];
    broker.onDrop((info) => void lost.push(info));
    await broker.hooksReady();
    const plain = await listen(await open(broker, { clientId: 'plain', username: 'reader' }));
    const other = await listen(await open(broker, { clientId: 'other', protocolVersion: 4 }));
    const no = await listen(await open(broker, { clientId: 'no' }));
    const sender = await open(broker, { clientId: 'sender', username: 'writer' });
    await sender.publishAsync('h/a', 'x', {
      qos: 1,
      properties: { contentType: 'text', userProperties: { a: 'b' }, messageExpiryInterval: 60 },
    });
    await sender.publishAsync('free', 'y', { qos: 1 });
    await eventually(() => {
      expect(plain).toEqual(['h/a=x', 'free=y']);
      expect(other).toEqual(['h/a=x for other', 'free=y']);
      expect(no).toEqual(['free=y']);
    });
    expect(seen).toHaveLength(3);
    const one = seen.find(({ clientId }) => clientId === 'plain') as HookDelivery;
    expect([one.topic, one.text(), one.qos, one.retain]).toEqual(['h/a', 'x', 1, false]);
    expect([one.username, one.tenant, one.isLink]).toEqual(['reader', undefined, false]);
    expect([one.listener, one.protocolVersion]).toEqual(['unified-test', '5.0']);
    expect(one.connectionId).toBeTypeOf('bigint');
    expect(one.publisher?.clientId).toBe('sender');
    expect(one.properties).toMatchObject({ contentType: 'text', userProperties: [['a', 'b']] });
    expect(one.properties.messageExpiryInterval).toBeLessThanOrEqual(60);
    await eventually(() => expect(lost).toHaveLength(1));
    expect(lost[0]).toMatchObject({ clientId: 'no', topic: 'h/a', cause: 'deliver_hook', qos: 1 });
    expect(broker.metrics()).toMatchObject({
      hook_deliveries: 3,
      dropped_by_deliver_hook: 1,
      hook_deliveries_asked: 0,
    });
  });

  test('random answers after random times: order, nothing lost, nothing twice', async () => {
    const broker = await start(threads);
    const dropped = new Map<string, Set<string>>();
    broker.onDeliver('h/#', async (delivery) => {
      const text = delivery.text();
      if (Math.random() < 0.7) await sleep(Math.random() * 12);
      const fate = Math.random();
      if (fate < 0.25) {
        const of = dropped.get(delivery.clientId) ?? new Set();
        dropped.set(delivery.clientId, of.add(text));
        return 'drop';
      }
      return fate < 0.5 ? { payload: `${text}!` } : 'pass';
    });
    await broker.hooksReady();
    const got: Record<string, string[]> = {};
    for (const [at, qos] of ([0, 1, 2] as const).entries()) {
      const clientId = `r${at}`;
      got[clientId] = await listen(await open(broker, { clientId }), '#', qos);
    }
    const link = await broker.link({ clientId: 'link' });
    const of: string[] = [];
    got.link = of;
    const subscription = link.subscribe('#', { qos: 1 });
    await subscription.ready;
    const reading = (async () => {
      for await (const message of subscription) of.push(`${message.topic}=${message.payload}`);
    })();
    const sender = await open(broker);
    const texts = Array.from({ length: 300 }, (_, at) => `${at}`);
    // QoS 1, for at QoS 2 MQTT.js shows a message when its PUBREL comes.
    await Promise.all(
      texts.map((text, at) => sender.publishAsync(at % 3 === 0 ? 'free' : 'h/1', text, { qos: 1 })),
    );
    await eventually(() => {
      for (const [clientId, list] of Object.entries(got)) {
        const left = texts.filter((text) => !dropped.get(clientId)?.has(text));
        expect(list.map((one) => one.replace(/^.*=|!$/g, ''))).toEqual(left);
      }
    });
    await link.close();
    await reading;
  });
});

test('retained, queued, shared and written messages pass it', async () => {
  const broker = await start();
  const seen: string[] = [];
  let listens = (): void => {};
  const listening = new Promise<void>((resolve) => (listens = resolve));
  broker.onDeliver('h/#', async ({ clientId, topic, payload, retain }) => {
    seen.push(`${clientId} ${topic}=${payload}${retain ? ' retained' : ''}`);
    // Until somebody listens.
    if (topic === 'h/queued') await listening;
    return { payload: `${payload}'` };
  });
  await broker.hooksReady();
  const sender = await open(broker);
  await sender.publishAsync('h/kept', 'r', { qos: 1, retain: true });
  const away = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 60 } };
  const first = await open(broker, away);
  await first.subscribeAsync('h/queued', { qos: 2 });
  await first.endAsync();
  await sender.publishAsync('h/queued', 'q', { qos: 2 });
  const back = await open(broker, away);
  const queued: string[] = [];
  back.on('message', (topic, payload) => queued.push(`${topic}=${payload}`));
  listens();
  const got = await listen(await open(broker, { clientId: 'r' }), 'h/kept');
  const member = await listen(await open(broker, { clientId: 'm' }), '$share/g/h/shared');
  await sender.publishAsync('h/shared', 's', { qos: 1 });
  await eventually(() => expect(got).toEqual(["h/kept=r'"]));
  await eventually(() => expect(member).toEqual(["h/shared=s'"]));
  await eventually(() => expect(queued).toEqual(["h/queued=q'"]));
  expect(seen).toEqual(
    expect.arrayContaining(['r h/kept=r retained', 'm h/shared=s', 'away h/queued=q']),
  );
  await expect(broker.directWrite('r', 'h/write', 'w', { qos: 1 })).resolves.toMatchObject({
    outcome: 'delivered',
  });
  expect(got).toContain("h/write=w'");
  broker.onDeliver('h/write', () => 'drop');
  await broker.hooksReady();
  await expect(broker.directWrite('r', 'h/write', 'w')).resolves.toEqual({
    outcome: 'dropped',
    reason: 'hook',
  });
});

test('many compose, lower order first; a property is changed, the expiry stays', async () => {
  const broker = await start();
  const add = (name: string, order: number) =>
    broker.onDeliver('h', (d) => ({ payload: d.text() + name }), { order });
  add('c', 3);
  add('a', 1);
  const remove = add('b', 2);
  broker.onDeliver('h', ({ properties: { messageExpiryInterval: _, ...properties } }) => ({
    properties: { ...properties, userProperties: [['hook', 'was here']] },
  }));
  await broker.hooksReady();
  const receiver = await open(broker);
  const packets: mqtt.IPublishPacket[] = [];
  receiver.on('message', (_topic, _payload, packet) => packets.push(packet));
  await receiver.subscribeAsync('h');
  const sender = await open(broker);
  const properties = { contentType: 'text', messageExpiryInterval: 60 };
  await sender.publishAsync('h', '_', { properties });
  await eventually(() => expect(packets).toHaveLength(1));
  expect(packets[0]?.payload.toString()).toBe('_abc');
  expect(packets[0]?.properties).toMatchObject({
    contentType: 'text',
    userProperties: { hook: 'was here' },
  });
  expect(packets[0]?.properties?.messageExpiryInterval).toBeGreaterThan(0);
  remove();
  await broker.hooksReady();
  await sender.publishAsync('h', '_');
  await eventually(() => expect(packets[1]?.payload.toString()).toBe('_ac'));
});

test('devices: filters by me mean all of them', async () => {
  const broker = await start();
  const seen: unknown[] = [];
  broker.onDeliver('v1/devices/me/rpc/#', ({ topic, deviceId, clientId, publisher }) => {
    seen.push([topic, deviceId, clientId, publisher?.clientId]);
  });
  await broker.hooksReady();
  const pump = await open(broker, { clientId: 'pump' });
  const got = await listen(pump, 'v1/devices/me/rpc/request/+');
  const link = await broker.link({ clientId: 'service' });
  await link.publish('v1/devices/pump/rpc/request/1', 'go', { qos: 1 });
  await eventually(() => expect(got).toEqual(['v1/devices/me/rpc/request/1=go']));
  expect(seen).toEqual([['v1/devices/me/rpc/request/1', 'pump', 'pump', 'service']]);
});

test('a receiver that leaves while it is asked: nothing leaks, nothing comes twice', async () => {
  const broker = await start();
  const answers: (() => void)[] = [];
  broker.onDeliver('h', () => new Promise<void>((resolve) => answers.push(resolve)));
  await broker.hooksReady();
  const options = { clientId: 'c', clean: false, properties: { sessionExpiryInterval: 60 } };
  const first = await open(broker, options);
  await first.subscribeAsync('h', { qos: 1 });
  const sender = await open(broker);
  await sender.publishAsync('h', '1', { qos: 1 });
  await eventually(() => expect(answers).toHaveLength(1));
  // Taken over.
  const second = await open(broker, options);
  const got: string[] = [];
  second.on('message', (_, payload) => got.push(payload.toString()));
  await eventually(() => expect(answers).toHaveLength(2));
  answers[0]?.();
  await eventually(() => expect(broker.metrics().hook_verdicts_late).toBe(1));
  expect(got).toEqual([]);
  answers[1]?.();
  await eventually(() => expect(got).toEqual(['1']));
  await sender.publishAsync('h', '2', { qos: 1 });
  await eventually(() => expect(answers).toHaveLength(3));
  second.end(true);
  await eventually(() => expect(broker.metrics().hook_deliveries_asked).toBe(0));
});

test('stop() waits for them; what they never answer is not waited for', async () => {
  const broker = await start();
  broker.onDeliver('h', async () => sleep(50));
  broker.onDeliver('never', () => new Promise<never>(() => {}), { timeoutMs: 60_000 });
  await broker.hooksReady();
  const got = await listen(await open(broker));
  const sender = await open(broker);
  await sender.publishAsync('h', '1', { qos: 1 });
  await sender.publishAsync('never', '2', { qos: 1 });
  await eventually(() => expect(broker.metrics().hook_deliveries_asked).toBe(2));
  await broker.stop({ timeoutMs: 1_500 });
  await eventually(() => expect(got).toEqual(['h=1', 'never=2']));
});
