// MQTT 3.1.1, 1.5 Data representations and 2 Control Packet format.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { ack, publishPacket, subscription, unique } from '../harness/client.js';
import { conformance } from './suite.js';

conformance('MQTT 3.1.1, 1.5.3 UTF-8 encoded strings', '3.1.1', {}, (s) => {
  it.each(['eda080', 'edbfbf', 'c080', 'f4908080', 'c3', '80', 'fe'])(
    '[MQTT-1.5.3-1] a Topic Name that is not UTF-8 (%s) closes the connection',
    async (bytes) => {
      const client = await s.connect();
      client.send(frame(0x30, binary(hex(bytes))));
      await client.wire.expectClosed();
    },
  );

  it.each([
    ['Topic Name', frame(0x30, binary(hex('610062')))],
    ['Topic Filter', frame(0x82, u16(1), binary(hex('6100')), hex('00'))],
    ['filter of UNSUBSCRIBE', frame(0xa2, u16(1), binary(hex('00')))],
  ])('[MQTT-1.5.3-2] U+0000 in a %s closes the connection', async (_, bytes) => {
    const client = await s.connect();
    client.send(bytes);
    await client.wire.expectClosed();
  });

  it('[MQTT-1.5.3-3] U+FEFF is kept', async () => {
    const name = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe(`\ufeff${name}`);
    await pub.publish(name, 'without');
    await pub.publish(`\ufeff${name}`, 'with');
    const message = await sub.receive();
    expect(message.topic).toBe(`\ufeff${name}`);
    expect(message.payload.toString()).toBe('with');
  });
});

conformance('MQTT 3.1.1, 2 Control Packet format', '3.1.1', {}, (s) => {
  it.each([
    ['SUBSCRIBE', frame(0x80, u16(7), string('a'), hex('00'))],
    ['UNSUBSCRIBE', frame(0xa0, u16(7), string('a'))],
    ['PUBACK', frame(0x41, u16(7))],
    ['PUBREC', frame(0x52, u16(7))],
    ['PUBREL', frame(0x60, u16(7))],
    ['PUBCOMP', frame(0x78, u16(7))],
    ['PINGREQ', hex('c1 00')],
    ['DISCONNECT', hex('e8 00')],
  ])('[MQTT-2.2.2-1] [MQTT-2.2.2-2] wrong flags of %s close the connection', async (_, bytes) => {
    const client = await s.connect();
    client.send(bytes);
    await client.wire.expectClosed();
  });

  it.each([
    ['SUBSCRIBE', frame(0x82, u16(0), string('a'), hex('00'))],
    ['UNSUBSCRIBE', frame(0xa2, u16(0), string('a'))],
    ['PUBLISH of QoS 1', frame(0x32, string('a'), u16(0))],
    ['PUBLISH of QoS 2', frame(0x34, string('a'), u16(0))],
  ])('[MQTT-2.3.1-1] Packet Identifier 0 in %s closes the connection', async (_, bytes) => {
    const client = await s.connect();
    client.send(bytes);
    await client.wire.expectClosed();
  });

  it('[MQTT-2.3.1-4] the server gives unacknowledged messages different Packet Identifiers, and the same on a resend', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const sub = await s.connect({ clientId, cleanStart: false });
    const pub = await s.connect();
    await sub.subscribe({ filter: topic, qos: 2 });
    for (let i = 0; i < 8; i++) await pub.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    const ids: (number | undefined)[] = [];
    for (let i = 0; i < 8; i++) ids.push((await sub.wire.expect('PUBLISH')).packetId);
    expect(new Set(ids).size).toBe(8);
    expect(ids).not.toContain(0);
    sub.close();
    const again = await s.connect({ clientId, cleanStart: false });
    for (let i = 0; i < 8; i++) {
      const message = await again.wire.expect('PUBLISH');
      expect(message.packetId).toBe(ids[Number(message.payload.toString())]);
    }
  });

  it('[MQTT-2.3.1-5] a PUBLISH of QoS 0 has no Packet Identifier', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    pub.send(frame(0x30, string(topic), hex('0001')));
    const message = await sub.receive();
    expect([...message.payload]).toEqual([0, 1]);
    expect(message.packetId).toBeUndefined();
  });

  it('[MQTT-2.3.1-6] PUBACK, PUBREC, PUBREL carry the identifier of their PUBLISH', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    pub.send(publishPacket(topic, '1', { qos: 1, packetId: 65535 }));
    expect((await pub.wire.expect('PUBACK')).packetId).toBe(65535);
    pub.send(publishPacket(topic, '2', { qos: 2, packetId: 258 }));
    expect((await pub.wire.expect('PUBREC')).packetId).toBe(258);
    pub.send(ack('PUBREL', 258));
    expect((await pub.wire.expect('PUBCOMP')).packetId).toBe(258);
    await sub.receive();
    const message = await sub.wire.expect('PUBLISH');
    sub.send(ack('PUBREC', message.packetId));
    expect((await sub.wire.expect('PUBREL')).packetId).toBe(message.packetId);
  });

  it('[MQTT-2.3.1-7] SUBACK and UNSUBACK carry the identifier of their request', async () => {
    const client = await s.connect();
    const subscriptions = [subscription('a')];
    client.send({ type: 'SUBSCRIBE', packetId: 43981, subscriptions, properties: {} });
    expect((await client.wire.expect('SUBACK')).packetId).toBe(43981);
    client.send({ type: 'UNSUBSCRIBE', packetId: 2, filters: ['a'], properties: {} });
    expect((await client.wire.expect('UNSUBACK')).packetId).toBe(2);
  });
});
