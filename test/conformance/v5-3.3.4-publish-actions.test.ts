// MQTT 5.0, 3.3.4 PUBLISH actions: acknowledgement, overlapping subscriptions, Receive Maximum.
import { expect, it } from 'vitest';
import { ack, publishPacket, unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

conformance('MQTT 5.0, 3.3.4 PUBLISH actions', '5.0', {}, (s) => {
  it('[MQTT-3.3.4-1] QoS 0 has no answer, QoS 1 has PUBACK, QoS 2 has PUBREC', async () => {
    const [topic, pub] = [unique('t'), await s.connect()];
    await (await s.connect()).subscribe(topic);
    pub.send(publishPacket(topic, 'x'));
    await pub.ping();
    pub.send(publishPacket(topic, 'x', { qos: 1, packetId: 3 }));
    expect(await pub.wire.next()).toMatchObject({ type: 'PUBACK', packetId: 3, reasonCode: 0 });
    pub.send(publishPacket(topic, 'x', { qos: 2, packetId: 3 }));
    expect(await pub.wire.next()).toMatchObject({ type: 'PUBREC', packetId: 3, reasonCode: 0 });
  });

  it('[MQTT-3.3.4-2] overlapping subscriptions deliver one copy with the highest QoS', async () => {
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

  it('[MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5] the one copy carries every Subscription Identifier that matches', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe(`${topic}/#`, { subscriptionIdentifier: [268435455] });
    await sub.subscribe(`${topic}/+`, { subscriptionIdentifier: [1] });
    await sub.subscribe(`${topic}/b`, { subscriptionIdentifier: [7] });
    await pub.publish(`${topic}/a`, 'x');
    const identifiers = (await sub.receive()).properties.subscriptionIdentifier;
    expect(identifiers?.sort()).toEqual([1, 268435455]);
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.3.4-3] retained and queued messages carry them too', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const pub = await s.connect();
    await pub.publish(topic, 'retained', { qos: 1, retain: true });
    const sub = await s.connect({ clientId, properties });
    await sub.subscribe({ filter: topic, qos: 1 }, { subscriptionIdentifier: [200] });
    expect((await sub.receive()).properties.subscriptionIdentifier).toEqual([200]);
    await sub.disconnect();
    await pub.publish(topic, 'queued', { qos: 1 });
    const again = await s.connect({ clientId, cleanStart: false, properties });
    expect((await again.receive()).properties.subscriptionIdentifier).toEqual([200]);
  });

  it('[MQTT-3.3.4-6] a Subscription Identifier in a PUBLISH from a client is a Protocol Error', async () => {
    const client = await s.connect();
    client.send(publishPacket('a', 'x', { properties: { subscriptionIdentifier: [1] } }));
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it('[MQTT-3.3.4-9] no more than the client’s Receive Maximum is unacknowledged', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { receiveMaximum: 3 } });
    await sub.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    for (let i = 0; i < 9; i++) await pub.publish(topic, `${i}`, { qos: i % 3 === 0 ? 2 : 1 });
    const window = [];
    for (let i = 0; i < 3; i++) window.push(await sub.wire.expect('PUBLISH'));
    await sub.wire.expectNothing();
    // A PUBREC below 0x80 does not free its place, the PUBCOMP does.
    sub.send(ack('PUBREC', window[0]?.packetId));
    await sub.wire.expect('PUBREL');
    await sub.wire.expectNothing();
    sub.send(ack('PUBCOMP', window[0]?.packetId));
    expect((await sub.wire.expect('PUBLISH')).payload.toString()).toBe('3');
    await sub.wire.expectNothing();
    sub.send(ack('PUBACK', window[1]?.packetId));
    expect((await sub.wire.expect('PUBLISH')).payload.toString()).toBe('4');
  });

  it('[MQTT-3.3.4-9] a PUBREC of 0x80 or more frees the place', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { receiveMaximum: 1 } });
    await sub.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    await pub.publish(topic, 'refused', { qos: 2 });
    await pub.publish(topic, 'next', { qos: 2 });
    const first = await sub.wire.expect('PUBLISH');
    sub.send(ack('PUBREC', first.packetId, 0x83));
    expect((await sub.receive()).payload.toString()).toBe('next');
  });

  it('[MQTT-3.3.4-10] with the window full all other packets go out', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { receiveMaximum: 1 } });
    await sub.subscribe({ filter: topic, qos: 1 });
    const pub = await s.connect();
    await pub.publish(topic, '1', { qos: 1 });
    await pub.publish(topic, '2', { qos: 1 });
    await sub.wire.expect('PUBLISH');
    await sub.ping();
    expect((await sub.subscribe(unique('t'))).reasonCodes).toEqual([0]);
    expect(await sub.publish(unique('t'), 'x', { qos: 2 })).toBe(Reason.noMatchingSubscribers);
    expect((await sub.unsubscribe(topic)).reasonCodes).toEqual([0]);
  });
});
