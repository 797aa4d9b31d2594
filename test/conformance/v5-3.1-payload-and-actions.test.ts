// MQTT 5.0, 3.1.3 CONNECT payload and 3.1.4 CONNECT actions.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u8, u16 } from '../harness/bytes.js';
import { connectPacket, publishPacket, unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

function connectBytes(flags: number, ...payload: Buffer[]): Buffer {
  return frame(0x10, string('MQTT'), u8(5), u8(flags), u16(0), hex('00'), ...payload);
}
const NOT_UTF8 = binary(hex('ff fe'));

conformance('MQTT 5.0, 3.1.3 CONNECT payload', '5.0', {}, (s) => {
  it('[MQTT-3.1.3-1] the fields are read in their order', async () => {
    const topic = unique('t');
    const watcher = await s.connect();
    await watcher.subscribe(topic);
    const client = await s.connect({
      will: { topic, payload: 'the payload', properties: { contentType: 'c' } },
      username: 'the user',
      password: 'the password',
    });
    client.close();
    const message = await watcher.receive();
    expect(message.payload.toString()).toBe('the payload');
    expect(message.properties.contentType).toBe('c');
  });

  it('[MQTT-3.1.3-2] the Client Identifier identifies the Session, byte for byte', async () => {
    const clientId = unique('id');
    const properties = { sessionExpiryInterval: 60 };
    await (await s.connect({ clientId, properties })).disconnect();
    const other = await s.connect({ clientId: clientId.toUpperCase(), cleanStart: false });
    expect(other.connack.sessionPresent).toBe(false);
    const same = await s.connect({ clientId, cleanStart: false });
    expect(same.connack.sessionPresent).toBe(true);
  });

  it('[MQTT-3.1.3-3] a CONNECT without a Client Identifier is refused', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x02));
    await wire.expectRefused(Reason.malformedPacket);
  });

  it('[MQTT-3.1.3-4] a Client Identifier that is not UTF-8 is malformed', async () => {
    for (const bytes of ['ff', 'eda080', '6100', 'c080']) {
      const wire = await s.raw();
      wire.send(connectBytes(0x02, binary(hex(bytes))));
      await wire.expectRefused(Reason.malformedPacket);
    }
  });

  it.each(['a', '0123456789abcdefghijklm', 'nopqrstuvwxyzABCDEFGHIJ', 'KLMNOPQRSTUVWXYZ0123456'])(
    '[MQTT-3.1.3-5] the Client Identifier %s is allowed',
    async (clientId) => {
      await s.connect({ clientId });
    },
  );

  it('[MQTT-3.1.3-6] an empty Client Identifier gets a unique one', async () => {
    const ids = new Set<string | undefined>();
    for (let i = 0; i < 4; i++) {
      const client = await s.connect({ clientId: '' });
      ids.add(client.connack.properties.assignedClientIdentifier);
    }
    expect(ids.size).toBe(4);
    expect(ids.has(undefined)).toBe(false);
  });

  it('[MQTT-3.1.3-7] the assigned one is returned and is the one of the Session', async () => {
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId: '', properties });
    const clientId = first.connack.properties.assignedClientIdentifier ?? '';
    expect(clientId).not.toBe('');
    await first.disconnect();
    const second = await s.connect({ clientId, cleanStart: false });
    expect(second.connack.sessionPresent).toBe(true);
    expect(second.connack.properties.assignedClientIdentifier).toBeUndefined();
  });

  it('[MQTT-3.1.3-11] a Will Topic that is not UTF-8 is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x06, string(unique()), hex('00'), NOT_UTF8, binary(hex('78'))));
    await wire.expectRefused(Reason.malformedPacket);
  });

  it('[MQTT-3.1.3-12] a User Name that is not UTF-8 is malformed', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x82, string(unique()), NOT_UTF8));
    await wire.expectRefused(Reason.malformedPacket);
  });
});

conformance(
  'MQTT 5.0, 3.1.3 a refused Client Identifier',
  '5.0',
  { allow_empty_client_id: false, max_client_id_bytes: 30 },
  (s) => {
    it('[MQTT-3.1.3-8] an empty Client Identifier is refused with 0x85 where it is not allowed', async () => {
      const client = await s.open({ clientId: '' });
      await client.wire.expectRefused(Reason.clientIdentifierNotValid);
    });

    it('[MQTT-3.1.3-8] a Client Identifier beyond max_client_id_bytes is refused with 0x85', async () => {
      const client = await s.open({ clientId: 'x'.repeat(31) });
      await client.wire.expectRefused(Reason.clientIdentifierNotValid);
      await s.connect({ clientId: 'x'.repeat(30) });
    });
  },
);

conformance('MQTT 5.0, 3.1.4 CONNECT actions', '5.0', {}, (s) => {
  it.each([
    ['cut off', frame(0x10, string('MQTT'), u8(5), u8(2))],
    ['with bytes behind its end', connectBytes(0x02, string('c'), hex('00'))],
    [
      'with an unknown property',
      frame(0x10, string('MQTT'), u8(5), u8(2), u16(0), hex('02 7f 00'), string('c')),
    ],
  ])('[MQTT-3.1.4-1] a CONNECT %s is refused as malformed', async (_, bytes) => {
    const wire = await s.raw();
    wire.send(bytes);
    await wire.expectRefused(Reason.malformedPacket);
  });

  it('[MQTT-3.1.4-2] a CONNECT that fails a further check is refused', async () => {
    for (const properties of [{ receiveMaximum: 0 }, { maximumPacketSize: 0 }]) {
      const client = await s.open({ properties });
      await client.wire.expectRefused(Reason.protocolError);
    }
    const method = await s.open({ properties: { authenticationMethod: 'nobody knows it' } });
    await method.wire.expectRefused(Reason.badAuthenticationMethod);
  });

  it('[MQTT-3.1.4-3] the client that is connected gets DISCONNECT 0x8E and is closed', async () => {
    const clientId = unique();
    const connections = [await s.connect({ clientId })];
    for (let i = 0; i < 4; i++) {
      const next = await s.connect({ clientId, cleanStart: i % 2 === 0 });
      await connections.at(-1)?.wire.expectDisconnect(Reason.sessionTakenOver);
      connections.push(next);
    }
    await connections.at(-1)?.ping();
  });

  it('[MQTT-3.1.4-4] on takeover Clean Start decides over the Session', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 1 });
    const resumed = await s.connect({ clientId, cleanStart: false, properties });
    expect(resumed.connack.sessionPresent).toBe(true);
    await resumed.publish(topic, 'x', { qos: 1 });
    expect((await resumed.receive()).payload.toString()).toBe('x');
    const fresh = await s.connect({ clientId, cleanStart: true, properties });
    expect(fresh.connack.sessionPresent).toBe(false);
    expect(await fresh.publish(topic, 'y', { qos: 1 })).toBe(Reason.noMatchingSubscribers);
  });

  it('[MQTT-3.1.4-5] CONNECT is acknowledged with CONNACK 0x00', async () => {
    const client = await s.open();
    expect(await client.wire.expect('CONNACK')).toMatchObject({ reasonCode: 0 });
  });

  it('[MQTT-3.1.4-6] what follows a refused CONNECT is not processed', async () => {
    const topic = unique('t');
    const watcher = await s.connect();
    await watcher.subscribe(topic);
    const wire = await s.raw();
    const refused = connectPacket({ properties: { authenticationMethod: 'nobody knows it' } });
    wire.sendTogether(refused, publishPacket(topic, 'never'));
    await wire.expectRefused(Reason.badAuthenticationMethod);
    await watcher.wire.expectNothing();
  });

  it('[MQTT-3.1.4-5] a client may send before CONNACK has come; all of it is processed in order', async () => {
    const topic = unique('t');
    const wire = await s.raw();
    wire.sendTogether(
      connectPacket(),
      {
        type: 'SUBSCRIBE',
        packetId: 1,
        subscriptions: [
          { filter: topic, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        ],
        properties: {},
      },
      publishPacket(topic, 'one', { qos: 1, packetId: 2 }),
      { type: 'PINGREQ' },
    );
    expect((await wire.expect('CONNACK')).reasonCode).toBe(0);
    expect((await wire.expect('SUBACK')).reasonCodes).toEqual([1]);
    const rest = [(await wire.next()).type, (await wire.next()).type, (await wire.next()).type];
    expect(rest.sort()).toEqual(['PINGRESP', 'PUBACK', 'PUBLISH']);
  });
});
