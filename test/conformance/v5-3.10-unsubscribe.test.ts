// MQTT 5.0, 3.10 UNSUBSCRIBE, 3.11 UNSUBACK and 3.12, 3.13 PINGREQ, PINGRESP.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { ack, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

const unsubscribeBytes = (...payload: Buffer[]) => frame(0xa2, u16(1), hex('00'), ...payload);

conformance('MQTT 5.0, 3.10 UNSUBSCRIBE packet', '5.0', {}, (s) => {
  it.each([0xa0, 0xa1, 0xa3, 0xa4, 0xa6, 0xaa, 0xaf])(
    '[MQTT-3.10.1-1] an UNSUBSCRIBE with the first byte %i is malformed',
    async (first) => {
      const client = await s.connect();
      client.send(frame(first, u16(1), hex('00'), string('a')));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );

  it('[MQTT-3.10.3-1] a Topic Filter that is not UTF-8 is malformed', async () => {
    for (const bytes of ['ff', '00', 'eda080']) {
      const client = await s.connect();
      client.send(unsubscribeBytes(binary(hex(bytes))));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    }
  });

  it('[MQTT-3.10.3-2] an UNSUBSCRIBE without a Topic Filter is a Protocol Error', async () => {
    const client = await s.connect();
    client.send(unsubscribeBytes());
    await client.wire.expectDisconnect(Reason.protocolError);
  });
});

conformance('MQTT 5.0, 3.10.4 UNSUBSCRIBE actions', '5.0', {}, (s) => {
  it('[MQTT-3.10.4-1] filters are compared character by character, wildcards too', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([`${topic}/+`, `${topic}/#`]);
    const { reasonCodes } = await sub.unsubscribe([
      `${topic}/a`,
      `${topic.toUpperCase()}/+`,
      `${topic}/+`,
    ]);
    const none = Reason.noSubscriptionExisted;
    expect(reasonCodes).toEqual([none, none, 0]);
    await pub.publish(`${topic}/a`, 'still by #');
    expect((await sub.receive()).payload.toString()).toBe('still by #');
    await sub.wire.expectNothing();
    await sub.unsubscribe(`${topic}/#`);
    expect(await pub.publish(`${topic}/a`, 'x', { qos: 1 })).toBe(Reason.noMatchingSubscribers);
  });

  it('[MQTT-3.10.4-2] after UNSUBACK no new message is added', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([{ filter: topic, qos: 1 }, 'sentinel/+']);
    await pub.publish(topic, 'before', { qos: 1 });
    expect((await sub.receive()).payload.toString()).toBe('before');
    await sub.unsubscribe(topic);
    for (let i = 0; i < 10; i++) await pub.publish(topic, 'after', { qos: 1 });
    await pub.publish(`sentinel/${topic}`, 'sentinel');
    expect((await sub.receive()).payload.toString()).toBe('sentinel');
  });

  it('[MQTT-3.10.4-3] deliveries that have begun are completed', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const sub = await s.connect({ clientId, properties });
    const pub = await s.connect();
    await sub.subscribe({ filter: topic, qos: 2 });
    await pub.publish(topic, 'one', { qos: 1 });
    await pub.publish(topic, 'two', { qos: 2 });
    const [one, two] = [await sub.wire.expect('PUBLISH'), await sub.wire.expect('PUBLISH')];
    expect((await sub.unsubscribe(topic)).reasonCodes).toEqual([0]);
    sub.send(ack('PUBREC', two.packetId));
    expect((await sub.wire.expect('PUBREL')).packetId).toBe(two.packetId);
    sub.close();
    const again = await s.connect({ clientId, cleanStart: false, properties });
    // The standard does not say which of the two comes first.
    const resent = [await again.wire.next(), await again.wire.next()];
    expect(resent).toContainEqual(
      expect.objectContaining({ type: 'PUBREL', packetId: two.packetId }),
    );
    expect(resent).toContainEqual(
      expect.objectContaining({ type: 'PUBLISH', dup: true, packetId: one.packetId }),
    );
  });

  it('[MQTT-3.10.4-4] [MQTT-3.10.4-5] UNSUBACK has the same Packet Identifier, and comes where nothing was deleted', async () => {
    const client = await s.connect();
    for (const packetId of [65535, 1]) {
      client.send({ type: 'UNSUBSCRIBE', packetId, filters: [unique('t')], properties: {} });
      const unsuback = await client.wire.expect('UNSUBACK');
      expect(unsuback).toMatchObject({ packetId, reasonCodes: [Reason.noSubscriptionExisted] });
    }
  });

  it('[MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2] several filters: one UNSUBACK, a code for each, in order', async () => {
    const topic = unique('t');
    const client = await s.connect();
    await client.subscribe([`${topic}/0`, `${topic}/2`, `$share/g/${topic}`]);
    const { reasonCodes } = await client.unsubscribe([
      `${topic}/0`,
      `${topic}/1`,
      `${topic}/2`,
      `${topic}/0`,
      `$share/g/${topic}`,
      `$share/h/${topic}`,
    ]);
    expect(reasonCodes).toEqual([0, 0x11, 0, 0x11, 0, 0x11]);
  });

  it('[MQTT-3.11.2-1] [MQTT-3.11.2-2] UNSUBACK stays within the Maximum Packet Size', async () => {
    const room = encode((await s.connect()).connack, '5.0').length;
    const client = await s.connect({ properties: { maximumPacketSize: room } });
    const filters = Array.from({ length: room - 5 }, () => unique('t'));
    const unsuback = await client.unsubscribe(filters);
    expect(unsuback.reasonCodes).toEqual(filters.map(() => 0x11));
    expect(encode(unsuback, '5.0').length).toBeLessThanOrEqual(room);
  });
});

conformance('MQTT 5.0, 3.12 PINGREQ', '5.0', {}, (s) => {
  it('[MQTT-3.12.4-1] each PINGREQ is answered by a PINGRESP', async () => {
    const client = await s.connect();
    client.wire.sendTogether({ type: 'PINGREQ' }, { type: 'PINGREQ' }, { type: 'PINGREQ' });
    for (let i = 0; i < 3; i++) await client.wire.expect('PINGRESP');
    await client.wire.expectNothing();
  });
});
