// MQTT 5.0, 1.5 Data representation and 2 Control Packet format.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { ack, publishPacket, subscription, unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

const NO_PROPERTIES = hex('00');
const SURROGATES = ['eda080', 'edbfbf', 'edaf80edb080'];

conformance('MQTT 5.0, 1.5 data representation', '5.0', {}, (s) => {
  it.each([...SURROGATES, 'c080', 'e08080', 'f4908080', 'c3', '80', 'fe', 'f8888080'])(
    '[MQTT-1.5.4-1] a Topic Name that is not UTF-8 (%s) is a Malformed Packet',
    async (bytes) => {
      const client = await s.connect();
      client.send(frame(0x30, binary(hex(bytes)), NO_PROPERTIES));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );

  it('[MQTT-1.5.4-1] all well-formed UTF-8 goes through unaltered, up to U+10FFFF', async () => {
    const topic = `${unique('t')}/é€😀\u{10ffff}\u{d7ff}\u{e000}/\u007f`;
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe(topic);
    await pub.publish(topic, 'x');
    expect((await sub.receive()).topic).toBe(topic);
  });

  it.each([
    ['Topic Name', frame(0x30, binary(hex('610062')), NO_PROPERTIES)],
    ['Topic Filter', frame(0x82, u16(1), NO_PROPERTIES, binary(hex('6100')), hex('00'))],
    ['Content Type', frame(0x30, string('a'), hex('05 03 0002 6100'))],
  ])('[MQTT-1.5.4-2] U+0000 in a %s is a Malformed Packet', async (_, bytes) => {
    const client = await s.connect();
    client.send(bytes);
    await client.wire.expectDisconnect(Reason.malformedPacket);
  });

  it('[MQTT-1.5.4-3] U+FEFF is kept in Topic Names and Topic Filters', async () => {
    const name = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([`\ufeff${name}`, `end/${name}`]);
    await pub.publish(name, 'without');
    await pub.publish(`\ufeff${name}`, 'with');
    const message = await sub.receive();
    expect(message.payload.toString()).toBe('with');
    expect(message.topic).toBe(`\ufeff${name}`);
  });

  it.each([
    ['Remaining Length', hex('c0 80 00')],
    ['Property Length', frame(0x30, string('a'), hex('80 00'))],
    ['Subscription Identifier', frame(0x82, u16(1), hex('03 0b 81 00'), string('a'), hex('00'))],
  ])(
    '[MQTT-1.5.5-1] a %s that is not in its shortest form is a Malformed Packet',
    async (_, bytes) => {
      const client = await s.connect();
      client.send(bytes);
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );

  it.each(['30 ff ff ff ff 01', '30 80 80 80 80 01'])(
    '[MQTT-1.5.5-1] a Remaining Length of five bytes (%s) is a Malformed Packet',
    async (bytes) => {
      const client = await s.connect();
      client.send(hex(bytes));
      await client.wire.expectDisconnect([Reason.malformedPacket, Reason.packetTooLarge]);
    },
  );

  it.each([
    ['name', '26 0002 6100 0001 76'],
    ['value', '26 0001 6b 0001 ff'],
    ['name with a surrogate', '26 0003 eda080 0001 76'],
  ])(
    '[MQTT-1.5.7-1] a bad string as the %s of a User Property is a Malformed Packet',
    async (_, p) => {
      const client = await s.connect();
      const property = hex(p);
      client.send(
        frame(0x30, string('a'), Buffer.concat([Buffer.from([property.length]), property])),
      );
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );
});

conformance('MQTT 5.0, 2 Control Packet format', '5.0', {}, (s) => {
  const subscribe = frame(0x82, u16(7), NO_PROPERTIES, string('a'), hex('00'));
  const flagged = (bytes: Buffer, flags: number) =>
    Buffer.concat([Buffer.from([((bytes[0] ?? 0) & 0xf0) | flags]), bytes.subarray(1)]);

  it.each([
    ['SUBSCRIBE', flagged(subscribe, 0)],
    ['SUBSCRIBE', flagged(subscribe, 3)],
    ['UNSUBSCRIBE', frame(0xa0, u16(7), NO_PROPERTIES, string('a'))],
    ['PUBACK', frame(0x41, u16(7))],
    ['PUBREC', frame(0x52, u16(7))],
    ['PUBREL', frame(0x60, u16(7))],
    ['PUBCOMP', frame(0x78, u16(7))],
    ['PINGREQ', hex('c1 00')],
    ['DISCONNECT', hex('e8 00')],
  ])('[MQTT-2.1.3-1] wrong reserved flags of %s are a Malformed Packet', async (_, bytes) => {
    const client = await s.connect();
    client.send(bytes);
    await client.wire.expectDisconnect(Reason.malformedPacket);
  });

  it('[MQTT-2.1.3-1] Packet Identifier 0 is refused in SUBSCRIBE, UNSUBSCRIBE and PUBLISH', async () => {
    for (const bytes of [
      frame(0x82, u16(0), NO_PROPERTIES, string('a'), hex('00')),
      frame(0xa2, u16(0), NO_PROPERTIES, string('a')),
      frame(0x32, string('a'), u16(0), NO_PROPERTIES),
    ]) {
      const client = await s.connect();
      client.send(bytes);
      await client.wire.expectDisconnect([Reason.malformedPacket, Reason.protocolError]);
    }
  });

  it('[MQTT-2.2.1-2] a PUBLISH of QoS 0 has no Packet Identifier: what follows the topic is not one', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    // Were bytes 00 00 read as a Packet Identifier, the payload would lack one.
    pub.send(frame(0x30, string(topic), NO_PROPERTIES, hex('00')));
    const message = await sub.receive();
    expect([...message.payload]).toEqual([0]);
    expect(message.packetId).toBeUndefined();
  });

  it('[MQTT-2.2.1-4] Packet Identifiers of unacknowledged messages differ and are not 0', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    const ids = new Set<number>();
    for (let i = 0; i < 10; i++) {
      await pub.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
      const message = await sub.wire.expect('PUBLISH');
      expect(message.packetId).toBeGreaterThan(0);
      ids.add(message.packetId ?? 0);
    }
    expect(ids.size).toBe(10);
  });

  it('[MQTT-2.2.1-5] PUBACK, PUBREC, PUBREL and PUBCOMP carry the identifier of their PUBLISH', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    pub.send(publishPacket(topic, '1', { qos: 1, packetId: 65535 }));
    expect((await pub.wire.expect('PUBACK')).packetId).toBe(65535);
    pub.send(publishPacket(topic, '2', { qos: 2, packetId: 0x1234 }));
    expect((await pub.wire.expect('PUBREC')).packetId).toBe(0x1234);
    pub.send(ack('PUBREL', 0x1234));
    expect((await pub.wire.expect('PUBCOMP')).packetId).toBe(0x1234);
    await sub.receive();
    const message = await sub.wire.expect('PUBLISH');
    sub.send(ack('PUBREC', message.packetId));
    expect((await sub.wire.expect('PUBREL')).packetId).toBe(message.packetId);
  });

  it('[MQTT-2.2.1-6] SUBACK and UNSUBACK carry the identifier of their request', async () => {
    const client = await s.connect();
    const subscriptions = [subscription('a')];
    client.send({ type: 'SUBSCRIBE', packetId: 0xabcd, subscriptions, properties: {} });
    expect((await client.wire.expect('SUBACK')).packetId).toBe(0xabcd);
    client.send({ type: 'UNSUBSCRIBE', packetId: 1, filters: ['a'], properties: {} });
    expect((await client.wire.expect('UNSUBACK')).packetId).toBe(1);
  });

  it('[MQTT-2.2.2-1] packets without properties have a Property Length of zero', async () => {
    // The strict decoder of the harness fails on any packet without a Property Length.
    const topic = unique('t');
    const client = await s.connect();
    expect((await client.subscribe(topic)).reasonCodes).toEqual([0]);
    await client.publish(topic, 'x');
    expect((await client.receive()).properties).toEqual({});
    expect((await client.unsubscribe(topic)).reasonCodes).toEqual([0]);
    client.send(frame(0x82, u16(9)));
    await client.wire.expectDisconnect(Reason.malformedPacket);
  });
});
