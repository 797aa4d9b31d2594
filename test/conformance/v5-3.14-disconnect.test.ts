// MQTT 5.0, 3.14 DISCONNECT and 3.15 AUTH.
import { expect, it } from 'vitest';
import { frame, hex } from '../harness/bytes.js';
import { connectPacket, publishPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { Reason } from '../harness/packets.js';
import { conformance, sleep } from './suite.js';

conformance('MQTT 5.0, 3.14 DISCONNECT', '5.0', {}, (s) => {
  it('[MQTT-3.14.0-1] before CONNACK the server sends no DISCONNECT', async () => {
    const first = await s.raw();
    first.send({ type: 'PINGREQ' });
    await first.expectClosed();
    // Refused by CONNACK, and nothing behind it.
    const second = await s.raw();
    second.sendTogether(connectPacket({ properties: { receiveMaximum: 0 } }), { type: 'PINGREQ' });
    await second.expectRefused(Reason.protocolError);
  });

  it.each(['e1 00', 'e2 00', 'e8 00', 'ef 00'])(
    '[MQTT-3.14.1-1] a DISCONNECT with reserved flags (%s) is malformed, and publishes the will',
    async (bytes) => {
      const topic = unique('t');
      const watcher = await s.connect();
      await watcher.subscribe(topic);
      const client = await s.connect({ will: { topic, payload: 'will' } });
      client.send(hex(bytes));
      await client.wire.expectDisconnect(Reason.malformedPacket);
      expect((await watcher.receive()).payload.toString()).toBe('will');
    },
  );

  it.each([0x01, 0x03, 0x05, 0x85, 0xff])(
    '[MQTT-3.14.2-1] a DISCONNECT with the code %i, which it does not have, ends the connection as an error',
    async (code) => {
      const client = await s.connect();
      client.send(frame(0xe0, Buffer.from([code])));
      await client.wire.expectDisconnect([Reason.protocolError, Reason.malformedPacket]);
    },
  );

  it('[MQTT-3.14.2-2] a DISCONNECT from the server has no Session Expiry Interval', async () => {
    const clientId = unique();
    const first = await s.connect({ clientId, properties: { sessionExpiryInterval: 60 } });
    await s.connect({ clientId, cleanStart: false });
    const disconnect = await first.wire.expectDisconnect(Reason.sessionTakenOver);
    expect(disconnect?.properties.sessionExpiryInterval).toBeUndefined();
  });

  it('[MQTT-3.14.2-3] [MQTT-3.14.2-4] DISCONNECT stays within the Maximum Packet Size', async () => {
    const room = encode((await s.connect()).connack, '5.0').length;
    const clientId = unique();
    const first = await s.connect({ clientId, properties: { maximumPacketSize: room } });
    await s.connect({ clientId });
    const disconnect = await first.wire.expectDisconnect(Reason.sessionTakenOver);
    if (disconnect !== undefined)
      expect(encode(disconnect, '5.0').length).toBeLessThanOrEqual(room);
  });

  it('[MQTT-3.14.4-1] [MQTT-3.14.4-2] after DISCONNECT the server sends nothing and closes', async () => {
    const topic = unique('t');
    const [client, pub] = [await s.connect(), await s.connect()];
    await client.subscribe(topic);
    const flood = (async () => {
      for (let i = 0; i < 50; i++) await pub.publish(topic, `${i}`, { qos: 1 });
    })();
    client.send(client.connectPacket);
    let packet = await client.wire.next();
    while (packet.type === 'PUBLISH') packet = await client.wire.next();
    expect(packet).toMatchObject({ type: 'DISCONNECT', reasonCode: Reason.protocolError });
    await client.wire.expectClosed();
    await flood;
  });

  it('[MQTT-3.14.4-1] what a client sends behind its DISCONNECT is not processed', async () => {
    const topic = unique('t');
    const [watcher, client] = [await s.connect(), await s.connect()];
    await watcher.subscribe(topic);
    client.wire.sendTogether(
      publishPacket(topic, 'before'),
      { type: 'DISCONNECT', reasonCode: 0, properties: {} },
      publishPacket(topic, 'behind'),
    );
    await client.wire.expectClosed();
    expect((await watcher.receive()).payload.toString()).toBe('before');
    await watcher.wire.expectNothing();
  });

  it('[MQTT-3.14.2-1] a Session Expiry Interval in DISCONNECT replaces the one of CONNECT', async () => {
    const clientId = unique();
    const first = await s.connect({ clientId, properties: { sessionExpiryInterval: 600 } });
    await first.disconnect(0, { sessionExpiryInterval: 0 });
    const second = await s.connect({ clientId, cleanStart: false });
    expect(second.connack.sessionPresent).toBe(false);
  });

  it('[MQTT-3.14.2-1] raising the Session Expiry Interval from 0 is a Protocol Error', async () => {
    const client = await s.connect();
    const properties = { sessionExpiryInterval: 10 };
    client.send({ type: 'DISCONNECT', reasonCode: 0, properties });
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it.concurrent('[MQTT-3.14.4-3] DISCONNECT 0x00 discards the will, a delayed one too', async () => {
    const topic = unique('t');
    const watcher = await s.connect();
    await watcher.subscribe(topic);
    const delayed = { topic, payload: 'never', properties: { willDelayInterval: 1 } };
    await (await s.connect({ will: { topic, payload: 'never' } })).disconnect();
    await (
      await s.connect({ will: delayed, properties: { sessionExpiryInterval: 60 } })
    ).disconnect();
    const client = await s.connect({ will: { topic, payload: 'never' } });
    client.send(hex('e0 01 00'));
    await client.wire.expectClosed();
    await watcher.wire.expectNothing(1500);
  });

  it.concurrent('[MQTT-3.14.2-1] it can be lowered to one second, and then holds', async () => {
    const clientId = unique();
    const first = await s.connect({ clientId, properties: { sessionExpiryInterval: 600 } });
    await first.disconnect(0, { sessionExpiryInterval: 1 });
    await sleep(2200);
    const second = await s.connect({ clientId, cleanStart: false });
    expect(second.connack.sessionPresent).toBe(false);
  });
});

conformance('MQTT 5.0, 3.15 AUTH', '5.0', {}, (s) => {
  it.each(['f1 00', 'f2 00', 'f8 06 18 04 15 0001 6d'])(
    '[MQTT-3.15.1-1] an AUTH with reserved flags (%s) is malformed',
    async (bytes) => {
      const client = await s.connect();
      client.send(hex(bytes));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );

  it('[MQTT-3.15.1-1] a well-formed AUTH without an Authentication Method in CONNECT is a Protocol Error', async () => {
    for (const reasonCode of [0x18, 0x19]) {
      const client = await s.connect();
      client.send({ type: 'AUTH', reasonCode, properties: { authenticationMethod: 'm' } });
      await client.wire.expectDisconnect(Reason.protocolError);
    }
  });

  it('[MQTT-3.15.2-1] an AUTH with a code it does not have ends the connection', async () => {
    for (const reasonCode of [0x01, 0x17, 0x80]) {
      const client = await s.connect();
      client.send({ type: 'AUTH', reasonCode, properties: { authenticationMethod: 'm' } });
      await client.wire.expectDisconnect([Reason.protocolError, Reason.malformedPacket]);
    }
  });

  it('[MQTT-3.15.2-2] [MQTT-3.15.2-3] where a method is refused no AUTH is sent, of whatever size', async () => {
    const client = await s.open({
      properties: { authenticationMethod: 'nobody knows it', maximumPacketSize: 20 },
    });
    const answer = await client.wire.expectRefused(Reason.badAuthenticationMethod);
    if (answer !== undefined) expect(encode(answer, '5.0').length).toBeLessThanOrEqual(20);
  });
});
