// MQTT 5.0, 4.1 Session State, 4.2 Network Connections, 4.4 message delivery retry, 4.5 message receipt.
import { expect, it } from 'vitest';
import { ack, publishPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { Reason } from '../harness/packets.js';
import { conformance, sleep } from './suite.js';

const properties = { sessionExpiryInterval: 60 };

conformance('MQTT 5.0, 4.1 Session State', '5.0', {}, (s) => {
  it('[MQTT-4.1.0-2] with an interval of 0 it is discarded at once', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const client = await s.connect({ clientId });
    await client.subscribe({ filter: topic, qos: 1 });
    client.close();
    const again = await s.connect({ clientId, cleanStart: false });
    expect(again.connack.sessionPresent).toBe(false);
  });

  it.concurrent('[MQTT-4.1.0-1] a Session is not discarded while its connection is open', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const client = await s.connect({ clientId, properties: { sessionExpiryInterval: 1 } });
    await client.subscribe({ filter: topic, qos: 1 });
    await sleep(2000);
    await (await s.connect()).publish(topic, 'x', { qos: 1 });
    expect((await client.receive()).payload.toString()).toBe('x');
    client.close();
    const again = await s.connect({ clientId, cleanStart: false });
    expect(again.connack.sessionPresent).toBe(true);
  });

  it.concurrent('[MQTT-4.1.0-2] it is discarded when the Session Expiry Interval has passed', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const client = await s.connect({ clientId, properties: { sessionExpiryInterval: 1 } });
    await client.subscribe({ filter: topic, qos: 1 });
    client.close();
    await sleep(2300);
    const pub = await s.connect();
    expect(await pub.publish(topic, 'x', { qos: 1 })).toBe(Reason.noMatchingSubscribers);
    const again = await s.connect({ clientId, cleanStart: false });
    expect(again.connack.sessionPresent).toBe(false);
    await again.wire.expectNothing();
  });

  it.concurrent('[MQTT-4.1.0-2] 0xFFFFFFFF is lowered or kept, but the Session stays', async () => {
    const clientId = unique();
    const never = { sessionExpiryInterval: 0xffffffff };
    const client = await s.connect({ clientId, properties: never });
    client.close();
    await sleep(1200);
    const again = await s.connect({ clientId, cleanStart: false, properties: never });
    expect(again.connack.sessionPresent).toBe(true);
  });
});

conformance(
  'MQTT 5.0, 4.1 the limit of Session Expiry',
  '5.0',
  { max_session_expiry_s: 1 },
  (s) => {
    it.concurrent.each([30, 0xffffffff])(
      '[MQTT-4.1.0-2] an interval of %i is lowered to the maximum, and told',
      async (sessionExpiryInterval) => {
        const clientId = unique();
        const client = await s.connect({ clientId, properties: { sessionExpiryInterval } });
        expect(client.connack.properties.sessionExpiryInterval).toBe(1);
        client.close();
        await sleep(2300);
        const again = await s.connect({ clientId, cleanStart: false });
        expect(again.connack.sessionPresent).toBe(false);
      },
    );
  },
);

conformance('MQTT 5.0, 4.2 Network Connections', '5.0', {}, (s) => {
  it('[MQTT-4.2.0-1] the transport is a stream: packets may come byte by byte or many at once', async () => {
    const topic = unique('t');
    const client = await s.connect();
    await client.subscribe({ filter: topic, qos: 0 });
    const bytes = encode(publishPacket(topic, 'x'), '5.0');
    for (const byte of bytes) {
      client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.receive()).payload.toString()).toBe('x');
    const count = 500;
    const many = Array.from({ length: count }, (_, i) =>
      encode(publishPacket(topic, `${i}`), '5.0'),
    );
    client.send(Buffer.concat(many));
    expect(await client.receiveTexts(count)).toEqual(
      Array.from({ length: count }, (_, i) => `${i}`),
    );
  });

  it('[MQTT-4.2.0-1] a packet of 300 kB in uneven pieces arrives whole', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 1 });
    const payload = Buffer.alloc(300_000);
    for (let i = 0; i < payload.length; i++) payload[i] = (i * 31) & 0xff;
    const bytes = encode(publishPacket(topic, payload, { qos: 1, packetId: 1 }), '5.0');
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7 + 13) % 60_000)
      pub.send(bytes.subarray(at, at + step));
    await pub.wire.expect('PUBACK');
    expect((await sub.receive()).payload.equals(payload)).toBe(true);
  });
});

conformance('MQTT 5.0, 4.4 Message delivery retry', '5.0', {}, (s) => {
  it('[MQTT-4.4.0-1] unacknowledged PUBLISH and PUBREL are sent again, in order, with their identifiers', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    for (let i = 0; i < 6; i++) await pub.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    const sent = [];
    for (let i = 0; i < 6; i++) sent.push(await first.wire.expect('PUBLISH'));
    first.send(ack('PUBACK', sent[0]?.packetId));
    first.send(ack('PUBREC', sent[1]?.packetId));
    await first.wire.expect('PUBREL');
    first.close();
    const second = await s.connect({ clientId, cleanStart: false, properties });
    const publishes: string[] = [];
    const releases: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      const packet = await second.wire.next();
      if (packet.type === 'PUBLISH') {
        const before = sent.find((one) => one.packetId === packet.packetId);
        expect(packet).toMatchObject({ dup: true, qos: before?.qos, payload: before?.payload });
        publishes.push(packet.payload.toString());
      } else {
        expect(packet.type).toBe('PUBREL');
        if (packet.type === 'PUBREL') releases.push(packet.packetId);
      }
    }
    expect(publishes).toEqual(['2', '3', '4', '5']);
    expect(releases).toEqual([sent[1]?.packetId]);
  });

  it('[MQTT-4.4.0-1] what was never sent goes out after what is sent again, without DUP', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const window = { ...properties, receiveMaximum: 2 };
    const first = await s.connect({ clientId, properties: window });
    await first.subscribe({ filter: topic, qos: 1 });
    const pub = await s.connect();
    for (let i = 0; i < 5; i++) await pub.publish(topic, `${i}`, { qos: 1 });
    await first.wire.expect('PUBLISH');
    await first.wire.expect('PUBLISH');
    first.close();
    const second = await s.connect({ clientId, cleanStart: false, properties: window });
    const seen: [string, boolean][] = [];
    for (let i = 0; i < 5; i++) {
      const message = await second.receive();
      seen.push([message.payload.toString(), message.dup]);
    }
    expect(seen).toEqual([
      ['0', true],
      ['1', true],
      ['2', false],
      ['3', false],
      ['4', false],
    ]);
  });

  it('[MQTT-4.4.0-1] it happens at every reconnect, and on takeover', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    let client = await s.connect({ clientId, properties });
    await client.subscribe({ filter: topic, qos: 1 });
    await (await s.connect()).publish(topic, 'again', { qos: 1 });
    const sent = await client.wire.expect('PUBLISH');
    for (let i = 0; i < 3; i++) {
      client = await s.connect({ clientId, cleanStart: false, properties });
      const again = await client.wire.expect('PUBLISH');
      expect(again).toMatchObject({ dup: true, packetId: sent.packetId });
    }
    client.send(ack('PUBACK', sent.packetId));
    await client.ping();
    const last = await s.connect({ clientId, cleanStart: false, properties });
    await last.wire.expectNothing();
  });

  it('[MQTT-4.4.0-2] a PUBACK or PUBREC of 0x80 or more is final: nothing is sent again', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    await pub.publish(topic, '1', { qos: 1 });
    await pub.publish(topic, '2', { qos: 2 });
    first.send(ack('PUBACK', (await first.wire.expect('PUBLISH')).packetId, 0x80));
    first.send(ack('PUBREC', (await first.wire.expect('PUBLISH')).packetId, 0x87));
    await first.ping();
    first.close();
    const second = await s.connect({ clientId, cleanStart: false, properties });
    await second.wire.expectNothing();
  });

  it.concurrent('[MQTT-4.4.0-1] nothing is sent again on a connection that stays', async () => {
    const topic = unique('t');
    const sub = await s.connect();
    await sub.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    await pub.publish(topic, '1', { qos: 1 });
    await pub.publish(topic, '2', { qos: 2 });
    await sub.wire.expect('PUBLISH');
    await sub.wire.expect('PUBLISH');
    await sub.wire.expectNothing(1000);
  });
});

conformance('MQTT 5.0, 4.5 Message receipt', '5.0', {}, (s) => {
  it('[MQTT-4.5.0-1] a message is added to every matching Session, connected or not', async () => {
    const topic = unique('t');
    const ids = [unique(), unique(), unique()];
    const pub = await s.connect();
    const online = [];
    for (const clientId of ids) {
      const client = await s.connect({ clientId, properties });
      await client.subscribe({ filter: `${topic}/+`, qos: 1 });
      if (clientId === ids[0]) online.push(client);
      else await client.disconnect();
    }
    for (let i = 0; i < 20; i++) await pub.publish(`${topic}/${i}`, `${i}`, { qos: 1 });
    const wanted = Array.from({ length: 20 }, (_, i) => `${i}`);
    for (const clientId of ids.slice(1))
      online.push(await s.connect({ clientId, cleanStart: false, properties }));
    for (const client of online) expect(await client.receiveTexts(20)).toEqual(wanted);
  });

  it('[MQTT-4.5.0-1] QoS 0 is not queued for a Session without a connection', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 2 });
    await first.disconnect();
    const pub = await s.connect();
    await pub.publish(topic, 'zero', { qos: 0 });
    await pub.publish(topic, 'one', { qos: 1 });
    const second = await s.connect({ clientId, cleanStart: false, properties });
    expect((await second.receive()).payload.toString()).toBe('one');
    await second.wire.expectNothing();
  });
});
