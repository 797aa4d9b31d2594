// MQTT 5.0, 4.12 Enhanced authentication and 4.13 Handling errors.
import { expect, it } from 'vitest';
import { frame, hex, string, u16 } from '../harness/bytes.js';
import { unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

const unknown = { authenticationMethod: 'nobody knows it', authenticationData: Buffer.from('x') };

conformance('MQTT 5.0, 4.12 Enhanced authentication', '5.0', {}, (s) => {
  it('[MQTT-4.12.0-1] [MQTT-4.12.0-4] an unknown Authentication Method is refused with 0x8C', async () => {
    const client = await s.open({ properties: unknown });
    await client.wire.expectRefused(Reason.badAuthenticationMethod);
  });

  it('[MQTT-4.12.0-2] [MQTT-4.12.0-5] the refusal comes at once: no AUTH is sent that it would have to carry', async () => {
    const client = await s.open({ properties: unknown });
    expect((await client.wire.next()).type).toBe('CONNACK');
    await client.wire.expectClosed();
  });

  it('[MQTT-4.12.0-6] without a method in CONNECT there is no AUTH and none in CONNACK', async () => {
    const client = await s.connect({ username: 'user', password: 'secret' });
    expect(client.connack.properties).not.toHaveProperty('authenticationMethod');
    expect(client.connack.properties).not.toHaveProperty('authenticationData');
    await client.ping();
  });

  it('[MQTT-4.12.1-2] re-authentication without a method ends the connection with DISCONNECT', async () => {
    const client = await s.connect();
    client.send({ type: 'AUTH', reasonCode: 0x19, properties: { authenticationMethod: 'm' } });
    await client.wire.expectDisconnect(Reason.protocolError);
  });
});

conformance('MQTT 5.0, 4.13 Handling errors', '5.0', {}, (s) => {
  it.each([
    ['a malformed packet', hex('00 00'), Reason.malformedPacket],
    ['a packet only a server sends', hex('d0 00'), Reason.protocolError],
    ['SUBACK from a client', frame(0x90, u16(1), hex('00 00')), Reason.protocolError],
    ['QoS 3', frame(0x36, string('a'), u16(1), hex('00')), Reason.malformedPacket],
  ])('[MQTT-4.13.1-1] %s ends the connection', async (_, bytes, reason) => {
    const client = await s.connect();
    client.send(bytes);
    await client.wire.expectDisconnect(reason);
  });

  it('[MQTT-4.13.1-1] it ends only that connection; others, and its own Session, go on', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const other = await s.connect();
    await other.subscribe(topic);
    const faulty = await s.connect({ clientId, properties });
    await faulty.subscribe({ filter: topic, qos: 1 });
    faulty.send(hex('00 00'));
    await faulty.wire.expectDisconnect(Reason.malformedPacket);
    await (await s.connect()).publish(topic, 'x', { qos: 1 });
    expect((await other.receive()).payload.toString()).toBe('x');
    const again = await s.connect({ clientId, cleanStart: false, properties });
    expect(again.connack.sessionPresent).toBe(true);
    expect((await again.receive()).payload.toString()).toBe('x');
  });

  it('[MQTT-4.13.2-1] after a DISCONNECT or CONNACK of 0x80 or more the connection is closed', async () => {
    const client = await s.connect();
    client.send(client.connectPacket);
    await client.wire.expectDisconnect(Reason.protocolError);
    const refused = await s.open({ properties: unknown });
    await refused.wire.expectRefused(Reason.badAuthenticationMethod);
  });

  it('[MQTT-4.13.2-1] a DISCONNECT of 0x80 or more from a client ends the connection, with its will', async () => {
    const topic = unique('t');
    const watcher = await s.connect();
    await watcher.subscribe(topic);
    const client = await s.connect({ will: { topic, payload: 'will' } });
    await client.disconnect(Reason.unspecifiedError);
    expect((await watcher.receive()).payload.toString()).toBe('will');
  });
});
