// MQTT 3.1.1, 3.1 CONNECT without wills (those: v311-3.1-will.test.ts), and 3.2 CONNACK.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u8, u16 } from '../harness/bytes.js';
import { connectPacket, publishPacket, unique } from '../harness/client.js';
import { decode } from '../harness/decode.js';
import { conformance } from './suite.js';

/** CONNECT of 3.1.1 with these flags and payload fields. */
const connectBytes = (flags: number, ...payload: Buffer[]) =>
  frame(0x10, string('MQTT'), u8(4), u8(flags), u16(0), ...payload);

const UNACCEPTABLE_LEVEL = 1;
const IDENTIFIER_REJECTED = 2;

conformance('MQTT 3.1.1, 3.1.0 to 3.1.2 CONNECT', '3.1.1', {}, (s) => {
  it.each([
    ['PINGREQ', hex('c0 00')],
    ['PUBLISH', frame(0x30, string('a'))],
    ['SUBSCRIBE', frame(0x82, u16(1), string('a'), hex('00'))],
  ])('[MQTT-3.1.0-1] %s as the first packet closes the connection', async (_, bytes) => {
    const wire = await s.raw();
    wire.send(bytes);
    await wire.expectClosed();
  });

  it('[MQTT-3.1.0-2] a second CONNECT closes the connection', async () => {
    const client = await s.connect();
    client.send(client.connectPacket);
    await client.wire.expectClosed();
  });

  it.each(['mqtt', 'MQTX', 'MQ', ''])(
    '[MQTT-3.1.2-1] the protocol name "%s" is not processed',
    async (protocolName) => {
      const wire = await s.raw();
      wire.send({ ...connectPacket({ version: '3.1.1' }), protocolName });
      await wire.expectClosed();
    },
  );

  it.each([0, 1, 2, 3])(
    '[MQTT-3.1.2-2] Protocol Level %i under the name MQTT gets CONNACK 0x01 and a close',
    async (protocolLevel) => {
      const wire = await s.raw();
      wire.send({ ...connectPacket({ version: '3.1.1' }), protocolLevel });
      await wire.expectRefused(UNACCEPTABLE_LEVEL);
    },
  );

  it('[MQTT-3.1.2-3] the reserved flag closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x03, string(unique())));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.2-4] CleanSession 0 resumes the Session, or creates one that is stored', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, cleanStart: false });
    expect(first.connack.sessionPresent).toBe(false);
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    const second = await s.connect({ clientId, cleanStart: false });
    expect(second.connack.sessionPresent).toBe(true);
    await (await s.connect()).publish(topic, 'x', { qos: 1 });
    expect((await second.receive()).payload.toString()).toBe('x');
  });

  it('[MQTT-3.1.2-5] messages of QoS 1 and 2 are stored for it', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, cleanStart: false });
    await first.subscribe({ filter: topic, qos: 2 });
    first.close();
    const pub = await s.connect();
    await pub.ping();
    for (let i = 0; i < 10; i++) await pub.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    const second = await s.connect({ clientId, cleanStart: false });
    const texts = await second.receiveTexts(10);
    expect(texts).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
  });

  it('[MQTT-3.1.2-6] CleanSession 1 discards the old Session, and leaves none', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, cleanStart: false });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    const pub = await s.connect();
    await pub.publish(topic, 'lost', { qos: 1 });
    const clean = await s.connect({ clientId, cleanStart: true });
    expect(clean.connack.sessionPresent).toBe(false);
    await pub.publish(topic, 'not subscribed', { qos: 1 });
    await clean.subscribe({ filter: `${topic}/own`, qos: 1 });
    await clean.disconnect();
    const third = await s.connect({ clientId, cleanStart: false });
    expect(third.connack.sessionPresent).toBe(false);
    await pub.publish(`${topic}/own`, 'gone too', { qos: 1 });
    await third.wire.expectNothing();
  });

  it('[MQTT-3.1.2-7] retained messages outlive the Session of their publisher', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'kept', { qos: 1, retain: true });
    await pub.disconnect();
    const sub = await s.connect();
    await sub.subscribe(topic);
    expect((await sub.receive()).payload.toString()).toBe('kept');
  });

  it('[MQTT-3.1.2-18] a user name without its flag closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x02, string(unique()), string('user')));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.2-19] the User Name Flag without a user name closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x82, string(unique())));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.2-20] a password without its flag closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x82, string(unique()), string('user'), binary(hex('7077'))));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.2-21] the Password Flag without a password closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0xc2, string(unique()), string('user')));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.2-22] the Password Flag without the User Name Flag closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x42, string(unique()), binary(hex('7077'))));
    await wire.expectClosed();
  });

  it.concurrent('[MQTT-3.1.2-24] silence for 1.5 times the Keep Alive closes the connection', async () => {
    const client = await s.connect({ keepAlive: 1 });
    const start = performance.now();
    await client.wire.expectClosed();
    const elapsed_ms = performance.now() - start;
    expect(elapsed_ms).toBeGreaterThan(1400);
    expect(elapsed_ms).toBeLessThan(4000);
  });

  it.concurrent('[MQTT-3.1.2-24] PINGREQ or any other packet keeps it', async () => {
    const client = await s.connect({ keepAlive: 1 });
    for (let i = 0; i < 5; i++) {
      await client.wire.expectNothing(500);
      if (i % 2 === 0) await client.ping();
      else await client.publish(unique('t'), 'x', { qos: 2 });
    }
  });
});

conformance('MQTT 3.1.1, 3.1.3 CONNECT payload', '3.1.1', {}, (s) => {
  it('[MQTT-3.1.3-1] the fields are read in their order', async () => {
    const topic = unique('t');
    const watcher = await s.connect();
    await watcher.subscribe(topic);
    const will = { topic, payload: 'the message' };
    const client = await s.connect({ will, username: 'the user', password: 'the password' });
    client.close();
    expect((await watcher.receive()).payload.toString()).toBe('the message');
  });

  it('[MQTT-3.1.3-2] the ClientId identifies the Session, byte for byte', async () => {
    const clientId = unique('id');
    await (await s.connect({ clientId, cleanStart: false })).disconnect();
    const upper = await s.connect({ clientId: clientId.toUpperCase(), cleanStart: false });
    expect(upper.connack.sessionPresent).toBe(false);
    const same = await s.connect({ clientId, cleanStart: false });
    expect(same.connack.sessionPresent).toBe(true);
  });

  it('[MQTT-3.1.3-3] a CONNECT without a ClientId field closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x02));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.3-4] a ClientId that is not UTF-8 closes the connection', async () => {
    for (const bytes of ['ff', 'eda080', '6100']) {
      const wire = await s.raw();
      wire.send(connectBytes(0x02, binary(hex(bytes))));
      await wire.expectClosed();
    }
  });

  it.each(['Z', '0123456789abcdefghijklm', 'nopqrstuvwxyzABCDEFGHIJ', 'KLMNOPQRSTUVWXYZ0123456'])(
    '[MQTT-3.1.3-5] the ClientId %s is allowed',
    async (clientId) => {
      await s.connect({ clientId: `${clientId}` });
    },
  );

  it('[MQTT-3.1.3-6] an empty ClientId gets a unique one: two such clients live side by side', async () => {
    const [one, two] = [await s.connect({ clientId: '' }), await s.connect({ clientId: '' })];
    await one.ping();
    await two.ping();
    const topic = unique('t');
    await one.subscribe(topic);
    await two.publish(topic, 'x');
    expect((await one.receive()).payload.toString()).toBe('x');
  });

  it('[MQTT-3.1.3-8] an empty ClientId with CleanSession 0 gets CONNACK 0x02 and a close', async () => {
    const client = await s.open({ clientId: '', cleanStart: false });
    await client.wire.expectRefused(IDENTIFIER_REJECTED);
  });

  it('[MQTT-3.1.3-11] a user name that is not UTF-8 closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x82, string(unique()), binary(hex('ff'))));
    await wire.expectClosed();
  });
});

const STRICT = { allow_empty_client_id: false, max_client_id_bytes: 30 };
conformance('MQTT 3.1.1, 3.1.3 a rejected ClientId', '3.1.1', STRICT, (s) => {
  it('[MQTT-3.1.3-9] a rejected ClientId gets CONNACK 0x02 and a close', async () => {
    for (const clientId of ['', 'x'.repeat(31)]) {
      const client = await s.open({ clientId });
      await client.wire.expectRefused(IDENTIFIER_REJECTED);
    }
  });
});

conformance('MQTT 3.1.1, 3.1.4 CONNECT response', '3.1.1', {}, (s) => {
  it.each([
    ['cut off', frame(0x10, string('MQTT'), u8(4), u8(2))],
    ['with bytes behind its end', connectBytes(0x02, string('c'), hex('00'))],
    ['with will flags that contradict', connectBytes(0x1a, string('c'))],
  ])('[MQTT-3.1.4-1] a CONNECT %s closes the connection without CONNACK', async (_, bytes) => {
    const wire = await s.raw();
    wire.send(bytes);
    await wire.expectClosed();
  });

  it('[MQTT-3.1.4-2] the client that is connected is disconnected', async () => {
    const clientId = unique();
    let before = await s.connect({ clientId });
    for (const version of ['3.1.1', '5.0', '3.1.1'] as const) {
      const next = await s.connect({ clientId, version });
      if (before.version === '5.0') await before.wire.expectDisconnect(0x8e);
      else await before.wire.expectClosed();
      before = next;
    }
    await before.ping();
  });

  it('[MQTT-3.1.4-3] on takeover CleanSession decides over the Session', async () => {
    const clientId = unique();
    await s.connect({ clientId, cleanStart: false });
    const resumed = await s.connect({ clientId, cleanStart: false });
    expect(resumed.connack.sessionPresent).toBe(true);
    const clean = await s.connect({ clientId, cleanStart: true });
    expect(clean.connack.sessionPresent).toBe(false);
  });

  it('[MQTT-3.1.4-4] [MQTT-3.2.0-1] CONNECT is acknowledged by a CONNACK with code 0, before anything else', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, cleanStart: false });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    await (await s.connect()).publish(topic, 'x', { qos: 1 });
    const second = await s.open({ clientId, cleanStart: false });
    expect(await second.wire.next()).toMatchObject({ type: 'CONNACK', reasonCode: 0 });
    expect((await second.receive()).payload.toString()).toBe('x');
  });

  it('[MQTT-3.1.4-5] what follows a refused CONNECT is not processed', async () => {
    const topic = unique('t');
    const watcher = await s.connect();
    await watcher.subscribe(topic);
    const wire = await s.raw();
    const refused = connectPacket({ version: '3.1.1', clientId: '', cleanStart: false });
    wire.sendTogether(refused, publishPacket(topic, 'never'));
    await wire.expectRefused(IDENTIFIER_REJECTED);
    await watcher.wire.expectNothing();
  });
});

conformance('MQTT 3.1.1, 3.2 CONNACK', '3.1.1', {}, (s) => {
  it('[MQTT-3.2.2-1] CleanSession 1: Session Present is 0', async () => {
    const clientId = unique();
    await (await s.connect({ clientId, cleanStart: false })).disconnect();
    const clean = await s.connect({ clientId, cleanStart: true });
    expect(clean.connack).toMatchObject({ sessionPresent: false, reasonCode: 0 });
  });

  it('[MQTT-3.2.2-2] [MQTT-3.2.2-3] CleanSession 0: Session Present says whether there is a Session', async () => {
    const clientId = unique();
    const first = await s.connect({ clientId, cleanStart: false });
    expect(first.connack).toMatchObject({ sessionPresent: false, reasonCode: 0 });
    await first.disconnect();
    const second = await s.connect({ clientId, cleanStart: false });
    expect(second.connack).toMatchObject({ sessionPresent: true, reasonCode: 0 });
  });

  it('[MQTT-3.2.2-4] [MQTT-3.2.2-5] a refusal has Session Present 0 and closes', async () => {
    // expectRefused checks both, the decoder that the reserved flags are 0.
    const client = await s.open({ clientId: '', cleanStart: false });
    await client.wire.expectRefused(IDENTIFIER_REJECTED);
    expect(() => decode(hex('20 02 02 00'), '3.1.1', 's2c')).toThrow('reserved');
  });

  it('[MQTT-3.2.2-6] where no return code fits, the connection is closed without CONNACK', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x06, string(unique()), string('a/#'), binary(hex('78'))));
    await wire.expectClosed();
  });
});
