// MQTT 5.0, 3.2 CONNACK.
import { expect, it } from 'vitest';
import { frame, hex, string, u8, u16 } from '../harness/bytes.js';
import { unique } from '../harness/client.js';
import { decode } from '../harness/decode.js';
import { encode } from '../harness/encode.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

conformance('MQTT 5.0, 3.2 CONNACK', '5.0', {}, (s) => {
  it('[MQTT-3.2.0-1] CONNACK is the first packet, before queued messages', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    const pub = await s.connect();
    for (let i = 0; i < 5; i++) await pub.publish(topic, `${i}`, { qos: 1 });
    const second = await s.open({ clientId, cleanStart: false, properties });
    expect(await second.wire.next()).toMatchObject({ type: 'CONNACK', reasonCode: 0 });
    expect(await second.receiveTexts(5)).toEqual(['0', '1', '2', '3', '4']);
  });

  it('[MQTT-3.2.0-2] there is one CONNACK, also when a second CONNECT comes', async () => {
    const client = await s.connect();
    client.send(client.connectPacket);
    // expectDisconnect fails on any other packet, a CONNACK too.
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it('[MQTT-3.2.2-1] the reserved Connect Acknowledge Flags are 0', async () => {
    // The strict decoder fails on any other; here both values of bit 0 are seen.
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    expect(first.connack.sessionPresent).toBe(false);
    await first.disconnect();
    expect((await s.connect({ clientId, cleanStart: false })).connack.sessionPresent).toBe(true);
    const flagged = encode(first.connack, '5.0');
    flagged[2] = 0x02;
    expect(() => decode(flagged, '5.0', 's2c')).toThrow('reserved');
  });

  it('[MQTT-3.2.2-2] Clean Start 1: Session Present is 0', async () => {
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    await (await s.connect({ clientId, properties })).disconnect();
    const second = await s.connect({ clientId, properties, cleanStart: true });
    expect(second.connack).toMatchObject({ sessionPresent: false, reasonCode: 0 });
  });

  it('[MQTT-3.2.2-3] Clean Start 0: Session Present says whether there is a Session', async () => {
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties, cleanStart: false });
    expect(first.connack).toMatchObject({ sessionPresent: false, reasonCode: 0 });
    await first.disconnect();
    const second = await s.connect({ clientId, properties, cleanStart: false });
    expect(second.connack).toMatchObject({ sessionPresent: true, reasonCode: 0 });
  });

  it('[MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.2.2-8] a refusal has Session Present 0, a Connect Reason Code, and closes', async () => {
    const clientId = unique();
    await (await s.connect({ clientId, properties: { sessionExpiryInterval: 60 } })).disconnect();
    const refused = await s.open({
      clientId,
      cleanStart: false,
      properties: { authenticationMethod: 'nobody knows it' },
    });
    // expectRefused checks Session Present and the end; the decoder refuses undefined codes.
    await refused.wire.expectRefused(Reason.badAuthenticationMethod);
    expect((await s.connect({ clientId, cleanStart: false })).connack.sessionPresent).toBe(true);
  });

  it('[MQTT-3.2.2-16] an Assigned Client Identifier is not used by any other Session', async () => {
    const properties = { sessionExpiryInterval: 60 };
    const ids = new Set<string | undefined>();
    for (let i = 0; i < 10; i++) {
      const client = await s.connect({ clientId: '', cleanStart: i % 2 === 0, properties });
      expect(client.connack.sessionPresent).toBe(false);
      ids.add(client.connack.properties.assignedClientIdentifier);
      await client.disconnect();
    }
    expect(ids.size).toBe(10);
    expect(ids.has(undefined) || ids.has('')).toBe(false);
  });

  it('[MQTT-3.2.2-19] [MQTT-3.2.2-20] CONNACK stays within the client’s Maximum Packet Size', async () => {
    // Refused, where a Reason String is most likely. The smallest CONNACK has five bytes.
    const client = await s.open({
      properties: { maximumPacketSize: 8, authenticationMethod: 'nobody knows it' },
    });
    const answer = await client.wire.expect('CONNACK');
    expect(encode(answer, '5.0').length).toBeLessThanOrEqual(8);
  });

  it.concurrent('[MQTT-3.2.2-22] without a Server Keep Alive the client’s value holds', async () => {
    const client = await s.connect({ keepAlive: 1 });
    expect(client.connack.properties.serverKeepAlive).toBeUndefined();
    const start = performance.now();
    await client.wire.next().catch(() => undefined);
    const elapsed_ms = performance.now() - start;
    expect(elapsed_ms).toBeGreaterThan(1400);
    expect(elapsed_ms).toBeLessThan(4000);
  });
});

conformance(
  'MQTT 5.0, 3.2.2 Server Keep Alive',
  '5.0',
  { max_keep_alive_s: 1, allow_zero_keep_alive: false },
  (s) => {
    it.concurrent.each([0, 2, 600])(
      '[MQTT-3.2.2-22] a Keep Alive of %i s is lowered to 1, told, and enforced',
      async (keepAlive) => {
        const client = await s.connect({ keepAlive });
        expect(client.connack.properties.serverKeepAlive).toBe(1);
        const start = performance.now();
        await client.wire.next().catch(() => undefined);
        expect(performance.now() - start).toBeLessThan(4000);
      },
    );
  },
);

conformance('MQTT 5.0, 3.2.2 Maximum QoS', '5.0', { max_qos: 1, retain_available: false }, (s) => {
  it('[MQTT-3.2.2-9] Maximum QoS tells the highest QoS', async () => {
    expect((await s.connect()).connack.properties.maximumQos).toBe(1);
  });

  it('[MQTT-3.2.2-10] SUBSCRIBE with QoS 2 is still accepted', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    const { reasonCodes } = await sub.subscribe([
      { filter: topic, qos: 2 },
      { filter: `${topic}/0`, qos: 0 },
    ]);
    expect(reasonCodes[0]).toBeLessThanOrEqual(2);
    expect(reasonCodes[1]).toBe(0);
    await pub.publish(topic, 'x', { qos: 1 });
    expect((await sub.receive()).qos).toBe(1);
  });

  it('[MQTT-3.2.2-12] a Will QoS beyond it is refused with 0x9B', async () => {
    const client = await s.open({ will: { topic: unique('t'), qos: 2 } });
    await client.wire.expectRefused(Reason.qosNotSupported);
    await s.connect({ will: { topic: unique('t'), qos: 1 } });
  });

  it('[MQTT-3.2.2-13] a Will Retain is refused with 0x9A', async () => {
    expect((await s.connect()).connack.properties.retainAvailable).toBe(0);
    const client = await s.open({ will: { topic: unique('t'), retain: true } });
    await client.wire.expectRefused(Reason.retainNotSupported);
  });

  it('[MQTT-3.2.2-9] a PUBLISH beyond it ends the connection with 0x9B', async () => {
    const client = await s.connect();
    client.send(frame(0x34, string('a'), u16(1), u8(0), hex('78')));
    await client.wire.expectDisconnect(Reason.qosNotSupported);
  });
});

conformance('MQTT 5.0, 3.2.2 Maximum QoS 0', '5.0', { max_qos: 0 }, (s) => {
  it('[MQTT-3.2.2-9] Maximum QoS 0 is told', async () => {
    expect((await s.connect()).connack.properties.maximumQos).toBe(0);
  });

  it('[MQTT-3.2.2-12] a Will of QoS 1 is refused with 0x9B', async () => {
    const client = await s.open({ will: { topic: unique('t'), qos: 1 } });
    await client.wire.expectRefused(Reason.qosNotSupported);
  });
});
