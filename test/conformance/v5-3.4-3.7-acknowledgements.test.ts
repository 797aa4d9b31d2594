// MQTT 5.0, 3.4 PUBACK, 3.5 PUBREC, 3.6 PUBREL, 3.7 PUBCOMP.
import { expect, it } from 'vitest';
import { frame, hex, u16 } from '../harness/bytes.js';
import { ack, publishPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { type Packet, Reason } from '../harness/packets.js';
import { type Bench, conformance } from './suite.js';

const BAD_CODE = [Reason.protocolError, Reason.malformedPacket];

/** The smallest size in which these acknowledgements can carry a code and nothing else. */
const TINY = 5;
const tiny = { maximumPacketSize: TINY };
const size = (packet: Packet) => encode(packet, '5.0').length;

/** Asks for CONNACK within a size that leaves no room for its properties only after connecting. */
async function connectTiny(s: Bench) {
  // CONNACK itself must fit, so the limit is what a CONNACK needs when that is more.
  const probe = await s.connect();
  const room = Math.max(TINY, size(probe.connack));
  return { client: await s.connect({ properties: { maximumPacketSize: room } }), room };
}

conformance('MQTT 5.0, 3.4 PUBACK', '5.0', {}, (s) => {
  it('[MQTT-3.4.2-1] PUBACK has 0x00 where someone matched and 0x10 where nobody did', async () => {
    const [topic, pub, sub] = [unique('t'), await s.connect(), await s.connect()];
    expect(await pub.publish(topic, 'x', { qos: 1 })).toBe(Reason.noMatchingSubscribers);
    await sub.subscribe(topic);
    expect(await pub.publish(topic, 'x', { qos: 1 })).toBe(Reason.success);
  });

  it.each([0x01, 0x05, 0x11, 0x82, 0x92, 0xff])(
    '[MQTT-3.4.2-1] a PUBACK with the code %i, which it does not have, ends the connection',
    async (code) => {
      const [topic, sub, pub] = [unique('t'), await s.connect(), await s.connect()];
      await sub.subscribe({ filter: topic, qos: 1 });
      await pub.publish(topic, 'x', { qos: 1 });
      sub.send(ack('PUBACK', (await sub.wire.expect('PUBLISH')).packetId, code));
      await sub.wire.expectDisconnect(BAD_CODE);
    },
  );

  it('[MQTT-3.4.2-2] [MQTT-3.4.2-3] PUBACK stays within the Maximum Packet Size', async () => {
    const { client, room } = await connectTiny(s);
    client.send(publishPacket(unique('t'), 'x', { qos: 1, packetId: 9 }));
    const puback = await client.wire.expect('PUBACK');
    expect(puback.reasonCode).toBe(Reason.noMatchingSubscribers);
    expect(size(puback)).toBeLessThanOrEqual(room);
  });

  it('[MQTT-3.4.2-1] a PUBACK with properties is accepted', async () => {
    const [topic, sub, pub] = [unique('t'), await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 1 });
    await pub.publish(topic, 'x', { qos: 1 });
    const { packetId } = await sub.wire.expect('PUBLISH');
    const properties = { reasonString: 'thanks', userProperty: [['a', 'b']] as [string, string][] };
    sub.send(ack('PUBACK', packetId, 0, properties));
    await sub.ping();
  });
});

conformance('MQTT 5.0, 3.5 PUBREC', '5.0', {}, (s) => {
  it('[MQTT-3.5.2-1] PUBREC has 0x00 where someone matched and 0x10 where nobody did', async () => {
    const [topic, pub, sub] = [unique('t'), await s.connect(), await s.connect()];
    expect(await pub.publish(topic, 'x', { qos: 2 })).toBe(Reason.noMatchingSubscribers);
    await sub.subscribe(topic);
    expect(await pub.publish(topic, 'x', { qos: 2 })).toBe(Reason.success);
  });

  it('[MQTT-3.5.2-1] a PUBREC with a code it does not have ends the connection', async () => {
    const [topic, sub, pub] = [unique('t'), await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    await pub.publish(topic, 'x', { qos: 2 });
    sub.send(ack('PUBREC', (await sub.wire.expect('PUBLISH')).packetId, 0x92));
    await sub.wire.expectDisconnect(BAD_CODE);
  });

  it('[MQTT-3.5.2-2] [MQTT-3.5.2-3] PUBREC stays within the Maximum Packet Size', async () => {
    const { client, room } = await connectTiny(s);
    client.send(publishPacket(unique('t'), 'x', { qos: 2, packetId: 9 }));
    expect(size(await client.wire.expect('PUBREC'))).toBeLessThanOrEqual(room);
  });
});

conformance('MQTT 5.0, 3.6 PUBREL', '5.0', {}, (s) => {
  it.each([0x60, 0x61, 0x63, 0x64, 0x66, 0x6a, 0x6f])(
    '[MQTT-3.6.1-1] a PUBREL with the first byte %i is malformed',
    async (first) => {
      const client = await s.connect();
      client.send(frame(first, u16(1)));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );

  it('[MQTT-3.6.2-1] PUBREL sent has a code of its own, one received with another ends the connection', async () => {
    const [topic, sub, pub] = [unique('t'), await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    await pub.publish(topic, 'x', { qos: 2 });
    const { packetId } = await sub.wire.expect('PUBLISH');
    sub.send(ack('PUBREC', packetId));
    expect((await sub.wire.expect('PUBREL')).reasonCode).toBe(0);
    pub.send(ack('PUBREL', 500, 0x10));
    await pub.wire.expectDisconnect(BAD_CODE);
  });

  it('[MQTT-3.6.2-1] a PUBREC for an unknown Packet Identifier is answered by PUBREL 0x92', async () => {
    const client = await s.connect();
    client.send(ack('PUBREC', 4711));
    const answer = await client.wire.expect('PUBREL');
    expect(answer).toMatchObject({ packetId: 4711, reasonCode: Reason.packetIdentifierNotFound });
  });

  it('[MQTT-3.6.2-2] [MQTT-3.6.2-3] PUBREL stays within the Maximum Packet Size', async () => {
    const { client, room } = await connectTiny(s);
    client.send(ack('PUBREC', 4711));
    expect(size(await client.wire.expect('PUBREL'))).toBeLessThanOrEqual(room);
  });
});

conformance('MQTT 5.0, 3.7 PUBCOMP', '5.0', {}, (s) => {
  it('[MQTT-3.7.2-1] PUBCOMP has 0x00, and 0x92 for an unknown Packet Identifier', async () => {
    const client = await s.connect();
    client.send(publishPacket(unique('t'), 'x', { qos: 2, packetId: 8 }));
    await client.wire.expect('PUBREC');
    for (const reasonCode of [Reason.success, Reason.packetIdentifierNotFound]) {
      client.send(ack('PUBREL', 8));
      expect(await client.wire.expect('PUBCOMP')).toMatchObject({ packetId: 8, reasonCode });
    }
  });

  it('[MQTT-3.7.2-1] a PUBCOMP with a code it does not have ends the connection', async () => {
    const client = await s.connect();
    client.send(ack('PUBCOMP', 1, 0x80));
    await client.wire.expectDisconnect(BAD_CODE);
  });

  it('[MQTT-3.7.2-2] [MQTT-3.7.2-3] PUBCOMP stays within the Maximum Packet Size', async () => {
    const { client, room } = await connectTiny(s);
    client.send(ack('PUBREL', 4711));
    expect(size(await client.wire.expect('PUBCOMP'))).toBeLessThanOrEqual(room);
  });
});

conformance('MQTT 5.0, 3.4 to 3.7 with the smallest Maximum Packet Size', '5.0', {}, (s) => {
  it('[MQTT-3.4.2-2] acknowledgements of five bytes still go out when CONNACK did', async () => {
    const client = await s.open({ properties: tiny });
    // A CONNACK that cannot fit may end the connection; if it came, five bytes are enough.
    const connack = await client.wire.next().catch(() => undefined);
    if (connack?.type !== 'CONNACK' || connack.reasonCode !== 0) return;
    expect(size(connack)).toBeLessThanOrEqual(TINY);
    client.send(hex('32 06 0001 61 0001 00'));
    expect(size(await client.wire.expect('PUBACK'))).toBeLessThanOrEqual(TINY);
  });
});
