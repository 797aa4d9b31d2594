// MQTT 3.1: what differs from 3.1.1, and that the rest works. Its text has no numbered statements.
import { expect, it } from 'vitest';
import { frame, hex, string, u8, u16 } from '../harness/bytes.js';
import { ack, connectPacket, publishPacket, unique } from '../harness/client.js';
import { conformance } from './suite.js';

const IDENTIFIER_REJECTED = 2;

conformance('MQTT 3.1', '3.1', {}, (s) => {
  it('CONNECT with the name MQIsdp and level 3 is accepted', async () => {
    const client = await s.connect();
    expect(client.connack).toMatchObject({ sessionPresent: false, reasonCode: 0 });
    await client.ping();
  });

  it('another level under the name MQIsdp gets CONNACK 1', async () => {
    for (const protocolLevel of [2, 4, 5]) {
      const wire = await s.raw();
      wire.send({ ...connectPacket({ version: '3.1' }), protocolLevel });
      await wire.expectRefused(1);
    }
  });

  it('the level with bit 0x80 of a bridge is accepted', async () => {
    const wire = await s.raw();
    wire.send({ ...connectPacket({ version: '3.1' }), bridge: true });
    expect((await wire.expect('CONNACK')).reasonCode).toBe(0);
  });

  it('an empty Client Identifier gets CONNACK 2, with or without a clean session', async () => {
    for (const cleanStart of [true, false]) {
      const client = await s.open({ clientId: '', cleanStart });
      await client.wire.expectRefused(IDENTIFIER_REJECTED);
    }
  });

  it('the acknowledge flags of CONNACK are 0, also when a Session is resumed', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, cleanStart: false });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    await (await s.connect()).publish(topic, 'x', { qos: 1 });
    const second = await s.connect({ clientId, cleanStart: false });
    // Session Present is 3.1.1's; here the byte is reserved.
    expect(second.connack.sessionPresent).toBe(false);
    expect((await second.receive()).payload.toString()).toBe('x');
  });

  it('a clean session leaves nothing behind', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    await (await s.connect()).publish(topic, 'x', { qos: 1 });
    const second = await s.connect({ clientId, cleanStart: false });
    await second.wire.expectNothing();
  });

  it('all QoS go both ways, and to the other versions', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    const subs = [
      await s.connect(),
      await s.connect({ version: '3.1.1' }),
      await s.connect({ version: '5.0' }),
    ];
    for (const sub of subs) await sub.subscribe({ filter: topic, qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      await pub.publish(topic, `${qos}`, { qos });
      for (const sub of subs) expect(await sub.receive()).toMatchObject({ qos, topic });
    }
  });

  it('messages of the other versions reach it', async () => {
    const topic = unique('t');
    const sub = await s.connect();
    await sub.subscribe({ filter: topic, qos: 2 });
    for (const version of ['3.1.1', '5.0'] as const) {
      const pub = await s.connect({ version });
      for (const qos of [0, 1, 2] as const) {
        await pub.publish(topic, version, { qos });
        expect(await sub.receive()).toMatchObject({ qos, payload: Buffer.from(version) });
      }
    }
  });

  it('retained messages and wills work', async () => {
    const topic = unique('t');
    (await s.connect({ will: { topic, payload: 'will', qos: 1, retain: true } })).close();
    const sub = await s.connect();
    let message: { payload: Buffer } | undefined;
    for (let i = 0; i < 50 && message === undefined; i++) {
      await sub.subscribe({ filter: topic, qos: 1 });
      if (await sub.wire.hasPacket(100)) message = await sub.receive();
    }
    expect(message).toMatchObject({ payload: Buffer.from('will'), qos: 1 });
    await sub.publish(topic, '', { retain: true });
  });

  it('PUBLISH and PUBREL are sent again on reconnect, DUP set on PUBLISH', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const first = await s.connect({ clientId, cleanStart: false });
    await first.subscribe({ filter: topic, qos: 2 });
    const pub = await s.connect();
    await pub.publish(topic, 'one', { qos: 1 });
    await pub.publish(topic, 'two', { qos: 2 });
    const [one, two] = [await first.wire.expect('PUBLISH'), await first.wire.expect('PUBLISH')];
    first.send(ack('PUBREC', two.packetId));
    await first.wire.expect('PUBREL');
    first.close();
    const second = await s.connect({ clientId, cleanStart: false });
    // The standard does not say which of the two comes first.
    const resent = [await second.wire.next(), await second.wire.next()];
    expect(resent).toContainEqual(
      expect.objectContaining({ type: 'PUBREL', packetId: two.packetId }),
    );
    expect(resent).toContainEqual(
      expect.objectContaining({ type: 'PUBLISH', dup: true, packetId: one.packetId }),
    );
  });

  it('DUP on SUBSCRIBE, UNSUBSCRIBE and PUBREL is accepted', async () => {
    const client = await s.connect();
    client.send(frame(0x8a, u16(1), string('a'), hex('01')));
    expect((await client.wire.expect('SUBACK')).reasonCodes).toEqual([1]);
    client.send(frame(0xaa, u16(2), string('a')));
    await client.wire.expect('UNSUBACK');
    client.send(publishPacket(unique('t'), 'x', { qos: 2, packetId: 3 }));
    await client.wire.expect('PUBREC');
    client.send(frame(0x6a, u16(3)));
    expect((await client.wire.expect('PUBCOMP')).packetId).toBe(3);
  });

  it('SUBACK has no failure code: a filter that cannot be granted closes the connection', async () => {
    const client = await s.connect();
    client.send(frame(0x82, u16(1), string('a/#/b'), hex('00')));
    await client.wire.expectClosed();
  });

  it('a second CONNECT, a first packet that is not CONNECT, and a QoS of 3 close the connection', async () => {
    const client = await s.connect();
    client.send(client.connectPacket);
    await client.wire.expectClosed();
    const first = await s.raw();
    first.send(hex('c0 00'));
    await first.expectClosed();
    const qos = await s.connect();
    qos.send(frame(0x36, string('a'), u16(1)));
    await qos.wire.expectClosed();
  });

  it('takeover works between the versions', async () => {
    const clientId = unique();
    const first = await s.connect({ clientId });
    const second = await s.connect({ clientId, version: '5.0' });
    await first.wire.expectClosed();
    const third = await s.connect({ clientId });
    await second.wire.expectDisconnect(0x8e);
    await third.ping();
  });

  it('a CONNECT that ends inside its header closes the connection', async () => {
    const wire = await s.raw();
    wire.send(frame(0x10, string('MQIsdp'), u8(3)));
    await wire.expectClosed();
  });

  it.concurrent('Keep Alive is enforced at one and a half times', async () => {
    const client = await s.connect({ keepAlive: 1 });
    const start = performance.now();
    await client.wire.expectClosed();
    expect(performance.now() - start).toBeGreaterThan(1400);
    expect(performance.now() - start).toBeLessThan(4000);
  });
});
