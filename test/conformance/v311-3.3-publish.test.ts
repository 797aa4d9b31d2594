// MQTT 3.1.1, 3.3 PUBLISH and 3.6 PUBREL.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { publishPacket, unique } from '../harness/client.js';
import { filterMatches } from '../harness/topics.js';
import { conformance } from './suite.js';

conformance('MQTT 3.1.1, 3.3.1.1 DUP and QoS', '3.1.1', {}, (s) => {
  it('[MQTT-3.3.1-1] DUP is 1 when a PUBLISH is sent again', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, cleanStart: false });
    await first.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    await pub.publish(topic, 'one', { qos: 1 });
    await pub.publish(topic, 'two', { qos: 2 });
    for (let i = 0; i < 2; i++) expect((await first.wire.expect('PUBLISH')).dup).toBe(false);
    first.close();
    const second = await s.connect({ clientId, cleanStart: false });
    for (let i = 0; i < 2; i++) expect((await second.wire.expect('PUBLISH')).dup).toBe(true);
  });

  it('[MQTT-3.3.1-2] DUP with QoS 0 closes the connection', async () => {
    const client = await s.connect();
    client.send(frame(0x38, string('a')));
    await client.wire.expectClosed();
  });

  it('[MQTT-3.3.1-3] DUP of an incoming PUBLISH is not passed on', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    for (const qos of [1, 2] as const) {
      await pub.publish(topic, 'x', { qos, dup: true });
      expect((await sub.receive()).dup).toBe(false);
    }
  });

  it('[MQTT-3.3.1-4] both QoS bits set close the connection', async () => {
    const client = await s.connect();
    client.send(frame(0x36, string('a'), u16(1)));
    await client.wire.expectClosed();
  });
});

conformance('MQTT 3.1.1, 3.3.1.3 RETAIN', '3.1.1', {}, (s) => {
  it('[MQTT-3.3.1-5] a retained PUBLISH is stored with its QoS', async () => {
    for (const qos of [0, 1, 2] as const) {
      const topic = unique('t');
      const pub = await s.connect();
      await pub.publish(topic, `q${qos}`, { qos, retain: true });
      await pub.ping();
      const sub = await s.connect();
      await sub.subscribe({ filter: topic, qos: 2 });
      const message = await sub.receive();
      expect(message).toMatchObject({ qos, retain: true });
      expect(message.payload.toString()).toBe(`q${qos}`);
    }
  });

  it('[MQTT-3.3.1-6] a new subscription gets the last retained message of each matching topic', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    for (const level of ['a', 'b', 'a/x', 'b'])
      await pub.publish(`${topic}/${level}`, level, { qos: 1, retain: true });
    await pub.publish(`${topic}/b`, 'last', { qos: 1, retain: true });
    const sub = await s.connect();
    await sub.subscribe({ filter: `${topic}/#`, qos: 1 });
    expect((await sub.receiveTexts(3)).sort()).toEqual(['a', 'a/x', 'last']);
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.3.1-7] a retained PUBLISH of QoS 0 discards what was retained before', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'old', { qos: 2, retain: true });
    await pub.publish(topic, 'new', { qos: 0, retain: true });
    await pub.ping();
    const sub = await s.connect();
    await sub.subscribe({ filter: topic, qos: 2 });
    expect((await sub.receive()).payload.toString()).toBe('new');
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.3.1-8] [MQTT-3.3.1-9] RETAIN is 1 for a new subscription, 0 for an established one', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 1 });
    await pub.publish(topic, 'x', { qos: 1, retain: true });
    expect((await sub.receive()).retain).toBe(false);
    const late = await s.connect();
    await late.subscribe({ filter: topic, qos: 1 });
    expect((await late.receive()).retain).toBe(true);
  });

  it('[MQTT-3.3.1-10] [MQTT-3.3.1-11] without payload it is forwarded, removes what was retained, and is not stored', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 1 });
    await pub.publish(topic, 'x', { qos: 1, retain: true });
    await pub.publish(topic, '', { qos: 1, retain: true });
    expect(await sub.receiveTexts(2)).toEqual(['x', '']);
    const late = await s.connect();
    await late.subscribe(topic);
    await late.wire.expectNothing();
  });

  it('[MQTT-3.3.1-12] a PUBLISH that is not retained changes nothing that is', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'kept', { qos: 1, retain: true });
    await pub.publish(topic, 'passing', { qos: 1 });
    await pub.publish(topic, '', { qos: 1 });
    await pub.publish(`${topic}/x`, 'passing', { qos: 1 });
    const sub = await s.connect();
    await sub.subscribe(`${topic}/#`);
    expect((await sub.receive()).payload.toString()).toBe('kept');
    await sub.wire.expectNothing();
  });
});

conformance('MQTT 3.1.1, 3.3.2 to 3.3.5 Topic Name and actions', '3.1.1', {}, (s) => {
  it('[MQTT-3.3.2-1] a PUBLISH without a Topic Name, or with one that is not UTF-8, closes the connection', async () => {
    for (const body of [Buffer.alloc(0), hex('00'), binary(hex('c3')), hex('0005 61')]) {
      const client = await s.connect();
      client.send(frame(0x30, body));
      await client.wire.expectClosed();
    }
  });

  it.each(['#', '+', 'a/#', 'a/+/b', 'a+'])(
    '[MQTT-3.3.2-2] the wildcard in the Topic Name %s closes the connection',
    async (topic) => {
      const client = await s.connect();
      client.send(publishPacket(topic, 'x'));
      await client.wire.expectClosed();
    },
  );

  it('[MQTT-3.3.2-3] the Topic Name sent matches the filter', async () => {
    const base = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    const filter = `${base}/+/x/#`;
    await sub.subscribe({ filter, qos: 1 });
    const topics = ['a/x', 'a/x/b', 'a/y', 'x', '/x', 'a/x/', 'a/b/x'].map((t) => `${base}/${t}`);
    for (const topic of topics) await pub.publish(topic, topic, { qos: 1 });
    for (const topic of topics.filter((one) => filterMatches(filter, one)))
      expect(await sub.receive()).toMatchObject({ topic, payload: Buffer.from(topic) });
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.3.4-1] QoS 0 has no answer, QoS 1 has PUBACK, QoS 2 has PUBREC', async () => {
    const [topic, pub] = [unique('t'), await s.connect()];
    pub.send(publishPacket(topic, 'x'));
    await pub.ping();
    pub.send(publishPacket(topic, 'x', { qos: 1, packetId: 3 }));
    expect(await pub.wire.next()).toMatchObject({ type: 'PUBACK', packetId: 3 });
    pub.send(publishPacket(topic, 'x', { qos: 2, packetId: 3 }));
    expect(await pub.wire.next()).toMatchObject({ type: 'PUBREC', packetId: 3 });
  });

  it('[MQTT-3.3.5-1] overlapping subscriptions deliver one copy with the highest QoS', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([
      { filter: `${topic}/#`, qos: 0 },
      { filter: `${topic}/a`, qos: 2 },
      { filter: `${topic}/+`, qos: 1 },
    ]);
    await pub.publish(`${topic}/a`, 'x', { qos: 2 });
    expect((await sub.receive()).qos).toBe(2);
    await pub.publish(`${topic}/b`, 'y', { qos: 2 });
    expect(await sub.receive()).toMatchObject({ qos: 1, topic: `${topic}/b` });
    await sub.wire.expectNothing();
  });
});

conformance('MQTT 3.1.1, 3.6 PUBREL', '3.1.1', {}, (s) => {
  it.each([0x60, 0x61, 0x63, 0x64, 0x66, 0x6a, 0x6f])(
    '[MQTT-3.6.1-1] a PUBREL with the first byte %i closes the connection',
    async (first) => {
      const client = await s.connect();
      client.send(frame(first, u16(1)));
      await client.wire.expectClosed();
    },
  );
});
