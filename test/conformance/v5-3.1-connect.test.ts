// MQTT 5.0, 3.1.0 to 3.1.2: CONNECT, its flags and its properties (wills: v5-3.1-will.test.ts).
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u8, u16 } from '../harness/bytes.js';
import { connectPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

const MALFORMED = [Reason.malformedPacket, Reason.protocolError];

/** CONNECT of 5.0 with these flags and payload fields. */
function connectBytes(flags: number, ...payload: Buffer[]): Buffer {
  const head = [string('MQTT'), u8(5), u8(flags), u16(0), hex('00')];
  return frame(0x10, ...head, ...payload);
}

conformance('MQTT 5.0, 3.1.0 CONNECT comes first and once', '5.0', {}, (s) => {
  it.each([
    ['PINGREQ', hex('c0 00')],
    ['PUBLISH', frame(0x30, string('a'), hex('00'))],
    ['DISCONNECT', hex('e0 00')],
    ['AUTH', hex('f0 00')],
  ])('[MQTT-3.1.0-1] %s as the first packet ends the connection', async (_, bytes) => {
    const wire = await s.raw();
    wire.send(bytes);
    await wire.expectClosed();
  });

  it('[MQTT-3.1.0-2] a second CONNECT is a Protocol Error', async () => {
    const client = await s.connect();
    client.send(client.connectPacket);
    await client.wire.expectDisconnect(Reason.protocolError);
  });
});

conformance('MQTT 5.0, 3.1.2 CONNECT variable header', '5.0', {}, (s) => {
  it.each(['mqtt', 'MQTX', 'MQTTT', ''])(
    '[MQTT-3.1.2-1] the protocol name "%s" is not processed',
    async (protocolName) => {
      const wire = await s.raw();
      wire.send({ ...connectPacket(), protocolName });
      // CONNACK 0x84 may come; a peer that speaks something else may also just be closed.
      const answer = await wire.next().catch(() => undefined);
      if (answer !== undefined) {
        expect(answer).toMatchObject({ type: 'CONNACK', reasonCode: 0x84 });
        await wire.expectClosed();
      }
    },
  );

  it.each([6, 9, 127])('[MQTT-3.1.2-2] protocol version %i is refused with 0x84', async (level) => {
    const wire = await s.raw();
    wire.send({ ...connectPacket(), protocolLevel: level });
    await wire.expectRefused(Reason.unsupportedProtocolVersion);
  });

  it('[MQTT-3.1.2-3] the reserved flag of CONNECT is a Malformed Packet', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x03, string(unique())));
    await wire.expectRefused(Reason.malformedPacket);
  });

  it('[MQTT-3.1.2-4] Clean Start 1 discards the Session, its subscriptions and its messages', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    const pub = await s.connect();
    await pub.publish(topic, 'while away', { qos: 1 });
    const second = await s.connect({ clientId, cleanStart: true, properties });
    expect(second.connack.sessionPresent).toBe(false);
    expect(await pub.publish(topic, 'after', { qos: 1 })).toBe(Reason.noMatchingSubscribers);
    await second.wire.expectNothing();
  });

  it('[MQTT-3.1.2-5] Clean Start 0 resumes the Session with its subscriptions', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 1 });
    first.close();
    const second = await s.connect({ clientId, cleanStart: false, properties });
    expect(second.connack.sessionPresent).toBe(true);
    await (await s.connect()).publish(topic, 'x', { qos: 1 });
    expect((await second.receive()).payload.toString()).toBe('x');
  });

  it('[MQTT-3.1.2-6] Clean Start 0 without a Session creates one', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const client = await s.connect({ clientId, cleanStart: false });
    expect(client.connack.sessionPresent).toBe(false);
    await client.subscribe(topic);
    await client.publish(topic, 'x');
    expect((await client.receive()).payload.toString()).toBe('x');
  });

  it('[MQTT-3.1.2-9] the Will Flag without will fields is malformed', async () => {
    for (const payload of [[], [hex('00')], [hex('00'), string('w')]]) {
      const wire = await s.raw();
      wire.send(connectBytes(0x06, string(unique()), ...payload));
      await wire.expectRefused(...MALFORMED);
    }
  });

  it('[MQTT-3.1.2-11] Will QoS without the Will Flag is malformed', async () => {
    for (const flags of [0x0a, 0x12, 0x1a]) {
      const wire = await s.raw();
      wire.send(connectBytes(flags, string(unique())));
      await wire.expectRefused(Reason.malformedPacket);
    }
  });

  it('[MQTT-3.1.2-12] Will QoS 3 is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x1e, string(unique()), hex('00'), string('w'), binary(hex('78'))));
    await wire.expectRefused(Reason.malformedPacket);
  });

  it('[MQTT-3.1.2-13] Will Retain without the Will Flag is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x22, string(unique())));
    await wire.expectRefused(Reason.malformedPacket);
  });

  it('[MQTT-3.1.2-16] a User Name without its flag is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x02, string(unique()), string('user')));
    await wire.expectRefused(...MALFORMED);
  });

  it('[MQTT-3.1.2-17] the User Name Flag without a User Name is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x82, string(unique())));
    await wire.expectRefused(...MALFORMED);
  });

  it('[MQTT-3.1.2-18] a Password without its flag is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x82, string(unique()), string('user'), binary(hex('7077'))));
    await wire.expectRefused(...MALFORMED);
  });

  it('[MQTT-3.1.2-19] the Password Flag without a Password is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0xc2, string(unique()), string('user')));
    await wire.expectRefused(...MALFORMED);
  });

  it('[MQTT-3.1.2-19] a Password without a User Name is allowed in 5.0', async () => {
    await s.connect({ password: 'secret' });
  });

  it('[MQTT-3.1.2-23] with a Session Expiry Interval the Session is stored, with what comes meanwhile', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 2 });
    await first.disconnect();
    const pub = await s.connect();
    await pub.publish(topic, 'one', { qos: 1 });
    await pub.publish(topic, 'two', { qos: 2 });
    const second = await s.connect({ clientId, cleanStart: false, properties });
    expect(second.connack.sessionPresent).toBe(true);
    expect((await second.receiveTexts(2)).sort()).toEqual(['one', 'two']);
  });

  it('[MQTT-3.1.2-23] without a Session Expiry Interval the Session ends with the connection', async () => {
    const clientId = unique();
    const first = await s.connect({ clientId });
    await first.disconnect();
    const second = await s.connect({ clientId, cleanStart: false });
    expect(second.connack.sessionPresent).toBe(false);
  });

  it.concurrent('[MQTT-3.1.2-22] silence for one and a half times the Keep Alive ends the connection', async () => {
    const client = await s.connect({ keepAlive: 1 });
    const start = performance.now();
    const last = await client.wire.next().catch(() => undefined);
    const elapsed_ms = performance.now() - start;
    if (last !== undefined) {
      expect(last).toMatchObject({ type: 'DISCONNECT', reasonCode: Reason.keepAliveTimeout });
      await client.wire.expectClosed();
    }
    expect(elapsed_ms).toBeGreaterThan(1400);
    expect(elapsed_ms).toBeLessThan(4000);
  });

  it.concurrent('[MQTT-3.1.2-22] any Control Packet keeps the connection alive', async () => {
    const client = await s.connect({ keepAlive: 1 });
    for (let i = 0; i < 5; i++) {
      await client.wire.expectNothing(500);
      if (i % 2 === 0) await client.publish(unique('t'), 'x', { qos: 1 });
      else await client.ping();
    }
  });

  it.concurrent('[MQTT-3.1.2-22] Keep Alive 0 turns it off', async () => {
    const client = await s.connect({ keepAlive: 0 });
    await client.wire.expectNothing(2000);
    await client.ping();
  });
});

conformance('MQTT 5.0, 3.1.2.11 CONNECT properties', '5.0', {}, (s) => {
  it('[MQTT-3.1.2-24] one that is too small for CONNACK and what it must tell is refused', async () => {
    const client = await s.open({ properties: { maximumPacketSize: 12 } });
    await client.wire.expectRefused(Reason.packetTooLarge);
  });

  it('[MQTT-3.1.2-24] no packet beyond the Maximum Packet Size is sent', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { maximumPacketSize: 60 } });
    await sub.subscribe(topic);
    const pub = await s.connect();
    const fits = encode(
      {
        type: 'PUBLISH',
        topic,
        payload: Buffer.alloc(0),
        qos: 0,
        retain: false,
        dup: false,
        properties: {},
      },
      '5.0',
    );
    const room = 60 - fits.length;
    await pub.publish(topic, Buffer.alloc(room + 1, 'b'));
    await pub.publish(topic, Buffer.alloc(room, 'a'));
    expect((await sub.receive()).payload.toString()).toBe('a'.repeat(room));
  });

  it('[MQTT-3.1.2-25] a message too large counts as delivered: its slot is free for the next', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { maximumPacketSize: 60, receiveMaximum: 1 } });
    await sub.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    await pub.publish(topic, Buffer.alloc(200), { qos: 1 });
    await pub.publish(topic, Buffer.alloc(200), { qos: 2 });
    await pub.publish(topic, 'small', { qos: 1 });
    expect((await sub.receive()).payload.toString()).toBe('small');
  });

  it('[MQTT-3.1.2-26] no Topic Alias above the client’s maximum is sent', async () => {
    const base = unique('t');
    const sub = await s.connect({ properties: { topicAliasMaximum: 2 } });
    await sub.subscribe(`${base}/+`);
    const pub = await s.connect();
    const names = new Map<number, string>();
    for (let i = 0; i < 12; i++) {
      await pub.publish(`${base}/${i % 4}`, `${i % 4}`);
      const { topic, payload, properties } = await sub.receive();
      const alias = properties.topicAlias;
      if (alias !== undefined) {
        expect(alias).toBeLessThanOrEqual(2);
        if (topic !== '') names.set(alias, topic);
      }
      expect(topic === '' ? names.get(alias ?? 0) : topic).toBe(`${base}/${payload}`);
    }
  });

  it.each([{}, { topicAliasMaximum: 0 }])(
    '[MQTT-3.1.2-27] no Topic Alias is sent to a client with %j',
    async (properties) => {
      const topic = unique('t');
      const sub = await s.connect({ properties });
      await sub.subscribe(topic);
      const pub = await s.connect({});
      for (let i = 0; i < 5; i++) {
        await pub.publish(topic, `${i}`);
        const message = await sub.receive();
        expect(message.properties.topicAlias).toBeUndefined();
        expect(message.topic).toBe(topic);
      }
    },
  );

  it.each([{}, { requestResponseInformation: 0 }])(
    '[MQTT-3.1.2-28] no Response Information for a client with %j',
    async (properties) => {
      const client = await s.connect({ properties });
      expect(client.connack.properties.responseInformation).toBeUndefined();
    },
  );

  it('[MQTT-3.1.2-29] Request Problem Information 0 silences reasons and User Properties', async () => {
    const client = await s.connect({ properties: { requestProblemInformation: 0 } });
    const silent = (properties: object) => {
      expect(properties).not.toHaveProperty('reasonString');
      expect(properties).not.toHaveProperty('userProperty');
    };
    client.send({ type: 'PUBREL', packetId: 77, reasonCode: 0, properties: {} });
    silent((await client.wire.expect('PUBCOMP')).properties);
    silent((await client.unsubscribe(unique('t'))).properties);
    client.send(frame(0x32, string(unique('t')), u16(5), hex('00')));
    silent((await client.wire.expect('PUBACK')).properties);
    client.send(frame(0x34, string(unique('t')), u16(6), hex('00')));
    silent((await client.wire.expect('PUBREC')).properties);
    client.send({ type: 'PUBREL', packetId: 6, reasonCode: 0, properties: {} });
    silent((await client.wire.expect('PUBCOMP')).properties);
    silent((await client.subscribe(unique('t'))).properties);
  });
});
