// MQTT 5.0, 4.3 Quality of Service: the server as sender and as receiver.
import { expect, it } from 'vitest';
import { ack, type Client, publishPacket, unique } from '../harness/client.js';
import { type PublishPacket, type QoS, Reason } from '../harness/packets.js';
import { type Bench, conformance, sleep } from './suite.js';

const properties = { sessionExpiryInterval: 60 };

/** A subscriber and a publisher on a fresh topic, the subscriber's Session lasting. */
async function pair(s: Bench, qos: QoS) {
  const [clientId, topic] = [unique(), unique('t')];
  const sub = await s.connect({ clientId, properties });
  const pub = await s.connect();
  await sub.subscribe({ filter: topic, qos });
  const resume = () => s.connect({ clientId, cleanStart: false, properties });
  return { topic, sub, pub, resume };
}

async function publishes(client: Client, count: number): Promise<PublishPacket[]> {
  const packets: PublishPacket[] = [];
  for (let i = 0; i < count; i++) packets.push(await client.wire.expect('PUBLISH'));
  return packets;
}

conformance('MQTT 5.0, 4.3.1 QoS 0', '5.0', {}, (s) => {
  it('[MQTT-4.3.1-1] the server sends QoS 0 with DUP 0 and no Packet Identifier', async () => {
    const { topic, sub, pub } = await pair(s, 0);
    for (const qos of [0, 1, 2] as const) {
      await pub.publish(topic, 'x', { qos, dup: qos > 0 });
      const message = await sub.receive();
      expect(message).toMatchObject({ qos: 0, dup: false });
      expect(message.packetId).toBeUndefined();
    }
  });
});

conformance('MQTT 5.0, 4.3.2 QoS 1', '5.0', {}, (s) => {
  it('[MQTT-4.3.2-1] each new message has an unused Packet Identifier', async () => {
    const { topic, sub, pub } = await pair(s, 1);
    for (let i = 0; i < 15; i++) await pub.publish(topic, `${i}`, { qos: 1 });
    const ids = (await publishes(sub, 15)).map((message) => message.packetId);
    expect(new Set(ids).size).toBe(15);
  });

  it('[MQTT-4.3.2-2] the server sends QoS 1 with DUP 0', async () => {
    const { topic, sub, pub } = await pair(s, 1);
    await pub.publish(topic, 'x', { qos: 1, dup: true });
    expect(await sub.receive()).toMatchObject({ qos: 1, dup: false });
  });

  it('[MQTT-4.3.2-3] PUBLISH is unacknowledged until PUBACK', async () => {
    const { topic, sub, pub, resume } = await pair(s, 1);
    await pub.publish(topic, '1', { qos: 1 });
    await pub.publish(topic, '2', { qos: 1 });
    const [one] = await publishes(sub, 2);
    sub.send(ack('PUBACK', one?.packetId));
    await sub.ping();
    sub.close();
    const again = await resume();
    expect((await again.receive()).payload.toString()).toBe('2');
    await again.wire.expectNothing();
  });

  it('[MQTT-4.3.2-4] PUBACK has the Packet Identifier, in the order of PUBLISH', async () => {
    const { topic, sub, pub } = await pair(s, 1);
    const ids = [9, 3, 65535, 1, 300];
    pub.wire.sendTogether(
      ...ids.map((packetId) => publishPacket(topic, `${packetId}`, { qos: 1, packetId })),
    );
    for (const packetId of ids) expect((await pub.wire.expect('PUBACK')).packetId).toBe(packetId);
    expect(await sub.receiveTexts(5)).toEqual(ids.map(String));
  });

  it('[MQTT-4.3.2-5] after PUBACK the same Packet Identifier is a new message, DUP or not', async () => {
    const { topic, sub, pub } = await pair(s, 1);
    for (const dup of [false, true, false]) {
      pub.send(publishPacket(topic, `${dup}`, { qos: 1, packetId: 5, dup }));
      await pub.wire.expect('PUBACK');
    }
    expect(await sub.receiveTexts(3)).toEqual(['false', 'true', 'false']);
  });
});

conformance('MQTT 5.0, 4.3.3 QoS 2, the server as sender', '5.0', {}, (s) => {
  it('[MQTT-4.3.3-1] each new message has an unused Packet Identifier, also while PUBREL is open', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    await pub.publish(topic, '0', { qos: 2 });
    const [open] = await publishes(sub, 1);
    sub.send(ack('PUBREC', open?.packetId));
    await sub.wire.expect('PUBREL');
    for (let i = 1; i < 20; i++) await pub.publish(topic, `${i}`, { qos: 2 });
    const ids = (await publishes(sub, 19)).map((message) => message.packetId);
    expect(new Set([...ids, open?.packetId]).size).toBe(20);
  });

  it('[MQTT-4.3.3-2] the server sends QoS 2 with DUP 0', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    await pub.publish(topic, 'x', { qos: 2, dup: true });
    expect(await sub.receive()).toMatchObject({ qos: 2, dup: false });
  });

  it('[MQTT-4.3.3-3] PUBLISH is unacknowledged until PUBREC', async () => {
    const { topic, sub, pub, resume } = await pair(s, 2);
    await pub.publish(topic, 'x', { qos: 2 });
    const [sent] = await publishes(sub, 1);
    sub.close();
    const again = await resume();
    expect(await again.receive()).toMatchObject({ dup: true, packetId: sent?.packetId });
  });

  it('[MQTT-4.3.3-4] a PUBREC is answered by PUBREL with its Packet Identifier, in order', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    for (let i = 0; i < 5; i++) await pub.publish(topic, `${i}`, { qos: 2 });
    const ids = (await publishes(sub, 5)).map((message) => message.packetId).reverse();
    sub.wire.sendTogether(...ids.map((packetId) => ack('PUBREC', packetId)));
    for (const packetId of ids) expect((await sub.wire.expect('PUBREL')).packetId).toBe(packetId);
  });

  it('[MQTT-4.3.3-5] [MQTT-4.3.3-6] PUBREL is sent again until PUBCOMP, PUBLISH is not', async () => {
    const { topic, sub, pub, resume } = await pair(s, 2);
    await pub.publish(topic, 'x', { qos: 2 });
    const [sent] = await publishes(sub, 1);
    sub.send(ack('PUBREC', sent?.packetId));
    await sub.wire.expect('PUBREL');
    sub.close();
    for (let i = 0; i < 2; i++) {
      const again = await resume();
      expect((await again.wire.expect('PUBREL')).packetId).toBe(sent?.packetId);
      if (i === 1) {
        again.send(ack('PUBCOMP', sent?.packetId));
        await again.ping();
      }
      again.close();
    }
    await (await resume()).wire.expectNothing();
  });
});

conformance('MQTT 5.0, 4.3.3 QoS 2, the server as receiver', '5.0', {}, (s) => {
  it('[MQTT-4.3.3-8] PUBREC has the Packet Identifier, in the order of PUBLISH', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    const ids = [7, 2, 65535, 1];
    pub.wire.sendTogether(
      ...ids.map((packetId) => publishPacket(topic, `${packetId}`, { qos: 2, packetId })),
    );
    for (const packetId of ids) expect((await pub.wire.expect('PUBREC')).packetId).toBe(packetId);
    pub.wire.sendTogether(...ids.map((packetId) => ack('PUBREL', packetId)));
    for (const packetId of ids) expect((await pub.wire.expect('PUBCOMP')).packetId).toBe(packetId);
    expect(await sub.receiveTexts(4)).toEqual(ids.map(String));
  });

  it('[MQTT-4.3.3-10] until PUBREL the same Packet Identifier gets PUBREC and no second delivery', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    for (const dup of [false, true, true]) {
      pub.send(publishPacket(topic, 'once', { qos: 2, packetId: 5, dup }));
      expect((await pub.wire.expect('PUBREC')).packetId).toBe(5);
    }
    expect((await sub.receive()).payload.toString()).toBe('once');
    pub.send(ack('PUBREL', 5));
    await pub.wire.expect('PUBCOMP');
    await sub.wire.expectNothing();
  });

  it('[MQTT-4.3.3-10] also when the publisher reconnects in between', async () => {
    const { topic, sub } = await pair(s, 2);
    const clientId = unique();
    const pub = await s.connect({ clientId, properties });
    pub.send(publishPacket(topic, 'once', { qos: 2, packetId: 5 }));
    await pub.wire.expect('PUBREC');
    pub.close();
    const again = await s.connect({ clientId, cleanStart: false, properties });
    expect(again.connack.sessionPresent).toBe(true);
    again.send(publishPacket(topic, 'once', { qos: 2, packetId: 5, dup: true }));
    await again.wire.expect('PUBREC');
    again.send(ack('PUBREL', 5));
    expect(await again.wire.expect('PUBCOMP')).toMatchObject({ packetId: 5, reasonCode: 0 });
    expect((await sub.receive()).payload.toString()).toBe('once');
    await sub.wire.expectNothing();
  });

  it('[MQTT-4.3.3-11] PUBREL is answered by PUBCOMP with its Packet Identifier', async () => {
    const { topic, pub } = await pair(s, 2);
    pub.send(publishPacket(topic, 'x', { qos: 2, packetId: 0xabcd }));
    await pub.wire.expect('PUBREC');
    pub.send(ack('PUBREL', 0xabcd));
    expect(await pub.wire.expect('PUBCOMP')).toMatchObject({ packetId: 0xabcd, reasonCode: 0 });
  });

  it('[MQTT-4.3.3-12] after PUBCOMP the Packet Identifier means a new message', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    for (const text of ['first', 'second'])
      await pub.publish(topic, text, { qos: 2, packetId: 5, dup: true });
    expect(await sub.receiveTexts(2)).toEqual(['first', 'second']);
  });
});

conformance('MQTT 5.0, 4.3.3 QoS 2 and message expiry', '5.0', {}, (s) => {
  it.concurrent('[MQTT-4.3.3-7] message expiry is not applied once PUBLISH was sent', async () => {
    const { topic, sub, pub, resume } = await pair(s, 2);
    await pub.publish(topic, 'x', { qos: 2, properties: { messageExpiryInterval: 1 } });
    const [sent] = await publishes(sub, 1);
    sub.close();
    await sleep(2100);
    const again = await resume();
    expect(await again.receive()).toMatchObject({ dup: true, packetId: sent?.packetId });
  });

  it.concurrent('[MQTT-4.3.3-13] the exchange goes on though the message has expired', async () => {
    const { topic, sub, pub, resume } = await pair(s, 2);
    await sub.disconnect();
    const expiry = { messageExpiryInterval: 1 };
    pub.send(publishPacket(topic, 'x', { qos: 2, packetId: 5, properties: expiry }));
    await pub.wire.expect('PUBREC');
    await sleep(2100);
    pub.send(ack('PUBREL', 5));
    expect(await pub.wire.expect('PUBCOMP')).toMatchObject({ packetId: 5, reasonCode: 0 });
    await (await resume()).wire.expectNothing();
  });
});

conformance('MQTT 5.0, 4.3.3 a PUBREC that refuses', '5.0', { max_topic_levels: 3 }, (s) => {
  it('[MQTT-4.3.3-9] after a PUBREC of 0x80 or more the Packet Identifier means a new message', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    pub.send(publishPacket(`${topic}/too/many/levels`, 'x', { qos: 2, packetId: 5 }));
    const refused = await pub.wire.next();
    if (refused.type === 'DISCONNECT') {
      // Ending the connection is allowed too; there is no PUBREC to judge then.
      expect(refused.reasonCode).toBe(Reason.topicNameInvalid);
      return;
    }
    expect(refused).toMatchObject({ type: 'PUBREC', reasonCode: Reason.topicNameInvalid });
    pub.send(publishPacket(topic, 'new', { qos: 2, packetId: 5 }));
    expect(await pub.wire.expect('PUBREC')).toMatchObject({ packetId: 5, reasonCode: 0 });
    expect((await sub.receive()).payload.toString()).toBe('new');
  });
});
