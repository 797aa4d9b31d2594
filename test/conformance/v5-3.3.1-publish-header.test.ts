// MQTT 5.0, 3.3.1 PUBLISH fixed header: DUP, QoS, RETAIN.
import { expect, it } from 'vitest';
import { frame, hex, string, u16 } from '../harness/bytes.js';
import { publishPacket, unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

conformance('MQTT 5.0, 3.3.1.1 DUP', '5.0', {}, (s) => {
  it('[MQTT-3.3.1-1] DUP is 1 when a PUBLISH is sent again after a reconnect', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    await pub.publish(topic, 'one', { qos: 1 });
    await pub.publish(topic, 'two', { qos: 2 });
    const sent = [await first.wire.expect('PUBLISH'), await first.wire.expect('PUBLISH')];
    expect(sent.map((message) => message.dup)).toEqual([false, false]);
    first.close();
    const second = await s.connect({ clientId, cleanStart: false, properties });
    for (const before of sent) {
      const again = await second.wire.expect('PUBLISH');
      expect(again).toMatchObject({ dup: true, packetId: before.packetId, qos: before.qos });
      expect(again.payload).toEqual(before.payload);
    }
  });

  it('[MQTT-3.3.1-2] DUP with QoS 0 is a Malformed Packet', async () => {
    const client = await s.connect();
    client.send(frame(0x38, string('a'), hex('00')));
    await client.wire.expectDisconnect([Reason.malformedPacket, Reason.protocolError]);
  });

  it('[MQTT-3.3.1-3] DUP of an incoming PUBLISH is not passed on', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    await pub.publish(topic, 'x', { qos: 1, dup: true });
    expect((await sub.receive()).dup).toBe(false);
    await pub.publish(topic, 'x', { qos: 2, dup: true });
    expect((await sub.receive()).dup).toBe(false);
  });

  it('[MQTT-3.3.1-4] a PUBLISH with QoS 3 is a Malformed Packet: DISCONNECT 0x81', async () => {
    const client = await s.connect();
    client.send(frame(0x36, string('a'), u16(1), hex('00')));
    await client.wire.expectDisconnect(Reason.malformedPacket);
  });
});

conformance('MQTT 5.0, 3.3.1.3 RETAIN', '5.0', {}, (s) => {
  it('[MQTT-3.3.1-5] a retained PUBLISH replaces the one before and keeps its QoS', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'old', { qos: 2, retain: true });
    await pub.publish(topic, 'new', { qos: 1, retain: true });
    const sub = await s.connect();
    await sub.subscribe({ filter: topic, qos: 2 });
    const message = await sub.receive();
    expect(message).toMatchObject({ retain: true, qos: 1, topic });
    expect(message.payload.toString()).toBe('new');
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.3.1-5] it is kept when its publisher’s Session ends', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'kept', { qos: 1, retain: true });
    await pub.disconnect();
    const sub = await s.connect();
    await sub.subscribe(topic);
    expect((await sub.receive()).payload.toString()).toBe('kept');
  });

  it('[MQTT-3.3.1-6] without payload it is forwarded, and what was retained is removed', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, retainAsPublished: true });
    await pub.publish(topic, 'x', { qos: 1, retain: true });
    await pub.publish(topic, '', { qos: 1, retain: true });
    expect((await sub.receive()).payload.length).toBe(1);
    expect(await sub.receive()).toMatchObject({ retain: true, topic });
    const late = await s.connect();
    await late.subscribe(topic);
    await late.wire.expectNothing();
  });

  it('[MQTT-3.3.1-7] without payload it is not stored, also where none was', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, '', { qos: 1, retain: true });
    const sub = await s.connect();
    await sub.subscribe(`${topic}/#`);
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.3.1-8] a PUBLISH that is not retained changes nothing that is, payload or not', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'kept', { qos: 1, retain: true });
    await pub.publish(topic, 'passing', { qos: 1 });
    await pub.publish(topic, '', { qos: 1 });
    await pub.publish(`${topic}/other`, 'passing', { qos: 1 });
    const sub = await s.connect();
    await sub.subscribe(`${topic}/#`);
    expect((await sub.receive()).payload.toString()).toBe('kept');
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.3.1-9] Retain Handling 0: retained messages come with each SUBSCRIBE, RETAIN set', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    for (const level of ['a', 'b', 'c'])
      await pub.publish(`${topic}/${level}`, level, { qos: 1, retain: true });
    const sub = await s.connect();
    for (let i = 0; i < 2; i++) {
      await sub.subscribe({ filter: `${topic}/+`, qos: 1, retainHandling: 0 });
      const seen: string[] = [];
      for (let j = 0; j < 3; j++) {
        const message = await sub.receive();
        expect(message.retain).toBe(true);
        seen.push(message.payload.toString());
      }
      expect(seen.sort()).toEqual(['a', 'b', 'c']);
    }
  });

  it('[MQTT-3.3.1-10] Retain Handling 1: they come only where the subscription did not exist', async () => {
    const topic = unique('t');
    await (await s.connect()).publish(topic, 'kept', { qos: 1, retain: true });
    const sub = await s.connect();
    const filter = { filter: topic, qos: 1, retainHandling: 1 } as const;
    await sub.subscribe(filter);
    expect((await sub.receive()).payload.toString()).toBe('kept');
    await sub.subscribe({ ...filter, qos: 0 });
    await sub.wire.expectNothing();
    await sub.unsubscribe(topic);
    await sub.subscribe(filter);
    expect((await sub.receive()).payload.toString()).toBe('kept');
  });

  it('[MQTT-3.3.1-10] a subscription of a resumed Session existed', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    await (await s.connect()).publish(topic, 'kept', { qos: 1, retain: true });
    const filter = { filter: topic, retainHandling: 1 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe(filter);
    await first.receive();
    await first.disconnect();
    const second = await s.connect({ clientId, properties, cleanStart: false });
    await second.subscribe(filter);
    await second.wire.expectNothing();
  });

  it('[MQTT-3.3.1-11] Retain Handling 2: none come', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'kept', { qos: 1, retain: true });
    const sub = await s.connect();
    await sub.subscribe({ filter: topic, retainHandling: 2 });
    await sub.wire.expectNothing();
    await pub.publish(topic, 'live', { qos: 1, retain: true });
    expect((await sub.receive()).payload.toString()).toBe('live');
  });

  it('[MQTT-3.3.1-12] Retain As Published 0: RETAIN is 0 when forwarding', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, retainAsPublished: false });
    await pub.publish(topic, 'x', { retain: true });
    expect((await sub.receive()).retain).toBe(false);
  });

  it('[MQTT-3.3.1-13] Retain As Published 1: RETAIN is as it was published', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 1, retainAsPublished: true });
    for (const retain of [true, false]) {
      await pub.publish(topic, 'x', { qos: 1, retain });
      expect((await sub.receive()).retain).toBe(retain);
    }
  });

  it('[MQTT-3.3.1-13] of overlapping subscriptions one with Retain As Published is enough', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([{ filter: topic, retainAsPublished: true }, `${topic}/#`]);
    await pub.publish(topic, 'x', { retain: true });
    expect((await sub.receive()).retain).toBe(true);
    await sub.wire.expectNothing();
  });
});

conformance('MQTT 5.0, 3.3.1.3 RETAIN not available', '5.0', { retain_available: false }, (s) => {
  it('[MQTT-3.3.1-5] a retained PUBLISH ends the connection with 0x9A', async () => {
    const client = await s.connect();
    client.send(publishPacket(unique('t'), 'x', { retain: true }));
    await client.wire.expectDisconnect(Reason.retainNotSupported);
  });
});
