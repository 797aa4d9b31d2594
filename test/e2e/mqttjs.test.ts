// MQTT.js against the broker as a process: what a user sees of each protocol version.
import type { IPublishPacket } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerProcess, standIn, startProcess } from './broker-process.js';
import { Client, type Version } from './mqttjs-client.js';

let broker: BrokerProcess;
beforeAll(async () => {
  broker = await startProcess();
});
afterAll(async () => {
  await broker.stop();
});

const versions: ReadonlyArray<{ name: string; version: Version }> = [
  { name: '3.1', version: 3 },
  { name: '3.1.1', version: 4 },
  { name: '5.0', version: 5 },
];

/** A session that outlives its connection, in the terms of each version. */
const persistent = (version: Version) =>
  version === 5 ? { clean: false, properties: { sessionExpiryInterval: 300 } } : { clean: false };

const unique = () => `e2e/${process.pid}/${Math.random().toString(36).slice(2)}`;

describe.each(versions)('MQTT.js, MQTT $name', ({ version }) => {
  const open = (options = {}) => Client.open(broker.port, version, options);

  test.each([0, 1, 2] as const)('QoS %i: published, received once, in order', async (qos) => {
    const topic = unique();
    const [subscriber, publisher] = await Promise.all([open(), open()]);
    await subscriber.subscribe(`${topic}/+`, qos);
    const sent = Array.from({ length: 200 }, (_, i) => `message ${i}`);
    for (let at = 0; at < sent.length; at += 50) {
      // MQTT.js does not heed the broker's Receive Maximum: more at once would break the protocol.
      const part = sent.slice(at, at + 50);
      await Promise.all(part.map((text) => publisher.publish(`${topic}/a`, text, { qos })));
    }
    const received = await subscriber.take(sent.length);
    expect(received.map(({ text }) => text)).toEqual(sent);
    expect(new Set(received.map(({ packet }) => packet.qos))).toEqual(new Set([qos]));
    expect(await subscriber.surplus()).toEqual([]);
    await Promise.all([subscriber.close(), publisher.close()]);
  });

  test('QoS is the lower one of publication and subscription', async () => {
    const topic = unique();
    const client = await open();
    await client.subscribe(topic, 1);
    for (const qos of [0, 1, 2] as const) await client.publish(topic, `${qos}`, { qos });
    const received = await client.take(3);
    expect(received.map(({ packet }) => packet.qos).sort()).toEqual([0, 1, 1]);
    await client.close();
  });

  test('bytes that are no text arrive as they are', async () => {
    const topic = unique();
    const payload = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
    const client = await open();
    await client.subscribe(topic, 1);
    await client.publish(topic, payload, { qos: 1 });
    await client.publish(topic, Buffer.alloc(0), { qos: 1 });
    const [first, second] = await client.take(2);
    expect(first?.payload.equals(payload)).toBe(true);
    expect(second?.payload.length).toBe(0);
    await client.close();
  });

  test('an unsubscribed filter gets nothing more', async () => {
    const topic = unique();
    const client = await open();
    await client.subscribe(topic, 1);
    await client.publish(topic, 'one', { qos: 1 });
    expect((await client.next()).text).toBe('one');
    await client.mqtt.unsubscribeAsync(topic);
    await client.publish(topic, 'two', { qos: 1 });
    expect(await client.surplus()).toEqual([]);
    await client.close();
  });

  test('retained: kept, marked for new subscribers only, cleared by an empty one', async () => {
    const topic = unique();
    const publisher = await open();
    await publisher.subscribe(`${topic}/#`, 1);
    await publisher.publish(`${topic}/state`, 'on', { qos: 1, retain: true });
    expect((await publisher.next()).packet.retain).toBe(false);

    const late = await open();
    await late.subscribe(`${topic}/#`, 1);
    const kept = await late.next();
    expect([kept.text, kept.packet.retain, kept.packet.qos]).toEqual(['on', true, 1]);

    await publisher.publish(`${topic}/state`, '', { qos: 1, retain: true });
    expect((await late.next()).payload.length).toBe(0);
    const later = await open();
    await later.subscribe(`${topic}/#`, 1);
    expect(await later.surplus()).toEqual([]);
    await Promise.all([publisher, late, later].map((client) => client.close()));
  });

  test('a will is published when the connection breaks, not after DISCONNECT', async () => {
    const topic = unique();
    const watcher = await open();
    await watcher.subscribe(topic, 1);
    const will = { topic, payload: Buffer.from('gone'), qos: 1 as const, retain: true };
    const polite = await open({ will });
    await polite.close();
    expect(await watcher.surplus()).toEqual([]);
    const broken = await open({ will });
    await broken.cut();
    expect((await watcher.next()).text).toBe('gone');

    const late = await open();
    await late.subscribe(topic, 1);
    expect((await late.next()).packet.retain).toBe(true);
    await late.publish(topic, '', { retain: true });
    await Promise.all([watcher.close(), late.close()]);
  });

  test('a persistent session gets what was published meanwhile, in order, once', async () => {
    const topic = unique();
    const options = { clientId: `p-${topic}`.slice(-20), ...persistent(version) };
    const first = await open(options);
    await first.subscribe(`${topic}/+`, 2);
    await first.close();

    const publisher = await open();
    const texts = Array.from({ length: 60 }, (_, i) => `queued ${i}`);
    for (const [i, text] of texts.entries()) {
      await publisher.publish(`${topic}/a`, text, { qos: i % 2 === 0 ? 1 : 2 });
    }
    const again = await open(options);
    const received = await again.take(texts.length);
    // Order is kept for each QoS [MQTT-4.6.0-6]; both together need not be.
    for (const rest of [0, 1]) {
      const ofOne = (list: readonly string[]) =>
        list.filter((text) => Number(text.split(' ')[1]) % 2 === rest);
      expect(ofOne(received.map(({ text }) => text))).toEqual(ofOne(texts));
    }
    expect(await again.surplus()).toEqual([]);
    await again.close();

    const clean = await open({ clientId: options.clientId, clean: true });
    await publisher.publish(`${topic}/a`, 'for nobody', { qos: 1 });
    expect(await clean.surplus()).toEqual([]);
    await Promise.all([clean.close(), publisher.close()]);
  });

  test('Session Present tells whether there was a session', async () => {
    const options = { clientId: `s-${unique()}`.slice(-20), ...persistent(version) };
    for (const expected of [false, true]) {
      const client = await Client.open(broker.port, version, options);
      // MQTT 3.1 has no such flag.
      expect(client.sessionPresent).toBe(version === 3 ? false : expected);
      await client.close();
    }
    await (await open({ clientId: options.clientId, clean: true })).close();
  });

  test('a second connection with the same Client Identifier takes over', async () => {
    const clientId = `t-${unique()}`.slice(-20);
    const first = await open({ clientId });
    const closed = first.closed();
    // mosquitto, as a stand-in, closes without a word.
    const reason = version === 5 && !standIn ? first.disconnected() : undefined;
    const second = await open({ clientId });
    await closed;
    if (reason !== undefined) expect(await reason).toBe(0x8e);
    const topic = unique();
    await second.subscribe(topic);
    await second.publish(topic, 'still here');
    expect((await second.next()).text).toBe('still here');
    await Promise.all([first.mqtt.endAsync(true), second.close()]);
  });

  test('a shared subscription: each message at one member, all members take part', async () => {
    const topic = unique();
    const members = await Promise.all([open(), open(), open()]);
    const outsider = await open();
    for (const member of members) await member.subscribe(`$share/group/${topic}/+`, 1);
    await outsider.subscribe(`${topic}/+`, 1);
    const texts = Array.from({ length: 60 }, (_, i) => `${i}`);
    await Promise.all(texts.map((text) => outsider.publish(`${topic}/a`, text, { qos: 1 })));
    expect((await outsider.take(60)).map(({ text }) => text)).toEqual(texts);
    const parts = await Promise.all(members.map((member) => member.surplus(400)));
    expect(parts.flat().length).toBe(60);
    expect(new Set(parts.flat()).size).toBe(60);
    for (const part of parts) expect(part.length).toBeGreaterThan(5);
    await Promise.all([...members, outsider].map((client) => client.close()));
  });

  // A stand-in may have another limit.
  test.skipIf(standIn)('a packet of max_packet_size passes, one byte more is refused', async () => {
    const topic = 'big';
    const limit = 1024 * 1024;
    // Fixed header 4, topic 2 + 3, Packet Identifier 2, and in 5.0 the length of no properties.
    const largest = limit - 4 - 5 - 2 - (version === 5 ? 1 : 0);
    const [subscriber, publisher] = await Promise.all([open(), open()]);
    await subscriber.subscribe(topic, 1);
    const payload = Buffer.alloc(largest, 'x');
    await publisher.publish(topic, payload, { qos: 1 });
    expect((await subscriber.next()).payload.equals(payload)).toBe(true);

    const closed = publisher.closed();
    const reason = version === 5 ? publisher.disconnected() : undefined;
    publisher.mqtt.publish(topic, Buffer.alloc(largest + 1, 'x'), { qos: 1 });
    await closed;
    if (reason !== undefined) expect(await reason).toBe(0x95);
    expect(await subscriber.surplus()).toEqual([]);
    await Promise.all([subscriber.close(), publisher.mqtt.endAsync(true)]);
  });

  // MQTT 3 has no Receive Maximum: such a client cannot know, so it must be made to wait instead.
  if (version !== 5) {
    test.skipIf(standIn).each([1, 2] as const)(
      'QoS %i: far more at once than receive_maximum all arrive',
      async (qos) => {
        const topic = unique();
        const [subscriber, publisher] = await Promise.all([open(), open()]);
        await subscriber.subscribe(topic, qos);
        const sent = Array.from({ length: 1000 }, (_, i) => `${i}`);
        await Promise.all(sent.map((text) => publisher.publish(topic, text, { qos })));
        expect((await subscriber.take(1000)).map(({ text }) => text)).toEqual(sent);
        expect(await subscriber.surplus()).toEqual([]);
        await Promise.all([subscriber.close(), publisher.close()]);
      },
    );
  }

  test('100 messages of 100 kB in a burst all arrive', async () => {
    const topic = unique();
    const [subscriber, publisher] = await Promise.all([open(), open()]);
    await subscriber.subscribe(topic, 1);
    const payloads = Array.from({ length: 100 }, (_, i) => Buffer.alloc(100_000, i));
    await Promise.all(payloads.map((payload) => publisher.publish(topic, payload, { qos: 1 })));
    const received = await subscriber.take(100);
    expect(received.every(({ payload }, i) => payload.equals(payloads[i] as Buffer))).toBe(true);
    await Promise.all([subscriber.close(), publisher.close()]);
  });
});

describe('MQTT.js, MQTT 5.0 only', () => {
  const open = (options = {}) => Client.open(broker.port, 5, options);
  const properties = (packet: IPublishPacket) => packet.properties ?? {};

  test('properties reach a 5.0 subscriber as they were, and leave a 3.1.1 one alone', async () => {
    const topic = unique();
    const [publisher, modern, old] = await Promise.all([
      open(),
      open(),
      Client.open(broker.port, 4),
    ]);
    await Promise.all([modern.subscribe(topic, 1), old.subscribe(topic, 1)]);
    const sent = {
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'answers/here',
      correlationData: Buffer.from([0, 1, 255]),
      userProperties: { first: 'a', second: ['b', 'c'] },
    };
    await publisher.publish(topic, 'text', { qos: 1, properties: sent });
    expect(properties((await modern.next()).packet)).toMatchObject(sent);
    expect((await old.next()).text).toBe('text');
    await Promise.all([publisher, modern, old].map((client) => client.close()));
  });

  test('a will waits for its delay, and a reconnection in time cancels it', async () => {
    const topic = unique();
    const watcher = await open();
    await watcher.subscribe(topic, 1);
    const clientId = `w-${topic}`.slice(-20);
    const will = {
      topic,
      payload: Buffer.from('gone'),
      qos: 1 as const,
      properties: { willDelayInterval: 1 },
    };
    const options = { clientId, will, clean: false, properties: { sessionExpiryInterval: 30 } };
    const first = await open(options);
    await first.cut();
    const second = await open(options);
    expect(await watcher.surplus(1500)).toEqual([]);
    const start = Date.now();
    await second.cut();
    expect((await watcher.next()).text).toBe('gone');
    expect(Date.now() - start).toBeGreaterThan(900);
    await watcher.close();
  });

  test('a subscription with No Local does not get its own messages', async () => {
    const topic = unique();
    const client = await open();
    await client.mqtt.subscribeAsync(topic, { qos: 1, nl: true });
    await client.publish(topic, 'own', { qos: 1 });
    expect(await client.surplus()).toEqual([]);
    await client.close();
  });

  test('Topic Aliases work in both directions', async () => {
    const topic = unique();
    const [publisher, subscriber] = await Promise.all([
      open({ autoUseTopicAlias: true, autoAssignTopicAlias: true }),
      open({ properties: { topicAliasMaximum: 10 } }),
    ]);
    await subscriber.subscribe(`${topic}/#`, 1);
    for (let i = 0; i < 30; i += 1)
      await publisher.publish(`${topic}/${i % 3}`, `${i}`, { qos: 1 });
    const received = await subscriber.take(30);
    expect(received.map(({ topic: name }) => name)).toEqual(
      Array.from({ length: 30 }, (_, i) => `${topic}/${i % 3}`),
    );
    await Promise.all([publisher.close(), subscriber.close()]);
  });

  test('Subscription Identifiers name the filters that matched', async () => {
    const topic = unique();
    const client = await open();
    await client.mqtt.subscribeAsync(`${topic}/a`, {
      qos: 1,
      properties: { subscriptionIdentifier: 7 },
    });
    await client.publish(`${topic}/a`, 'x', { qos: 1 });
    expect(properties((await client.next()).packet).subscriptionIdentifier).toBe(7);
    await client.close();
  });

  test('a client without a Client Identifier is given one', async () => {
    const client = await open({ clientId: '', clean: true });
    expect(client.connack?.properties?.assignedClientIdentifier).toBeTruthy();
    await client.close();
  });
});
