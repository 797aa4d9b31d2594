// MQTT 5.0, 3.8 SUBSCRIBE and 3.9 SUBACK.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { subscription, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { Reason } from '../harness/packets.js';
import { conformance } from './suite.js';

/** SUBSCRIBE with Packet Identifier 1, no properties and this payload. */
const subscribeBytes = (...payload: Buffer[]) => frame(0x82, u16(1), hex('00'), ...payload);

conformance('MQTT 5.0, 3.8.1 to 3.8.3 SUBSCRIBE packet', '5.0', {}, (s) => {
  it.each([0x80, 0x81, 0x83, 0x84, 0x86, 0x8a, 0x8f])(
    '[MQTT-3.8.1-1] a SUBSCRIBE with the first byte %i is malformed',
    async (first) => {
      const client = await s.connect();
      client.send(frame(first, u16(1), hex('00'), string('a'), hex('00')));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );

  it('[MQTT-3.8.3-1] a Topic Filter that is not UTF-8 is malformed', async () => {
    for (const bytes of ['ff', '6100', 'eda080']) {
      const client = await s.connect();
      client.send(subscribeBytes(binary(hex(bytes)), hex('00')));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    }
  });

  it('[MQTT-3.8.3-2] a SUBSCRIBE without a Topic Filter is a Protocol Error', async () => {
    const client = await s.connect();
    client.send(subscribeBytes());
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it('[MQTT-3.8.3-2] a Topic Filter without its options is malformed', async () => {
    const client = await s.connect();
    client.send(subscribeBytes(string('a'), hex('00'), string('b')));
    await client.wire.expectDisconnect(Reason.malformedPacket);
  });

  it('[MQTT-3.8.3-3] No Local: the publisher does not get its own message, others do', async () => {
    const topic = unique('t');
    const [self, other] = [await s.connect(), await s.connect()];
    await self.subscribe({ filter: topic, qos: 2, noLocal: true });
    await other.subscribe({ filter: topic, qos: 2, noLocal: true });
    for (const qos of [0, 1, 2] as const) await self.publish(topic, `self ${qos}`, { qos });
    expect(await other.receiveTexts(3)).toEqual(['self 0', 'self 1', 'self 2']);
    await other.publish(topic, 'other', { qos: 1 });
    expect((await self.receive()).payload.toString()).toBe('other');
    await self.wire.expectNothing();
  });

  it('[MQTT-3.8.3-3] the publisher is told by the Client Identifier, over a reconnect too', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties });
    await first.subscribe({ filter: topic, qos: 1, noLocal: true });
    await first.disconnect();
    const second = await s.connect({ clientId, cleanStart: false, properties });
    await second.publish(topic, 'own', { qos: 1 });
    await (await s.connect()).publish(topic, 'foreign', { qos: 1 });
    expect((await second.receive()).payload.toString()).toBe('foreign');
  });

  it('[MQTT-3.8.3-3] No Local holds for what the client itself retained', async () => {
    const topic = unique('t');
    const [self, other] = [await s.connect(), await s.connect()];
    await self.publish(`${topic}/self`, 'self', { qos: 1, retain: true });
    await other.publish(`${topic}/other`, 'other', { qos: 1, retain: true });
    await self.subscribe({ filter: `${topic}/#`, qos: 1, noLocal: true });
    expect((await self.receive()).payload.toString()).toBe('other');
    await self.wire.expectNothing();
  });

  it('[MQTT-3.8.3-4] No Local on a Shared Subscription is a Protocol Error', async () => {
    const client = await s.connect();
    client.send(subscribeBytes(string('$share/g/a'), hex('04')));
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it.each(['40', '80', 'c0'])(
    '[MQTT-3.8.3-5] reserved option bits %s are malformed',
    async (options) => {
      const client = await s.connect();
      client.send(subscribeBytes(string('a'), hex(options)));
      await client.wire.expectDisconnect(Reason.malformedPacket);
    },
  );

  it.each([
    ['QoS 3', '03'],
    ['Retain Handling 3', '30'],
  ])('[MQTT-3.8.3-5] %s is a Protocol Error', async (_, options) => {
    const client = await s.connect();
    client.send(subscribeBytes(string('a'), hex(options)));
    await client.wire.expectDisconnect([Reason.protocolError, Reason.malformedPacket]);
  });

  it('[MQTT-3.8.3-2] a Subscription Identifier of 0, or two of them, is a Protocol Error', async () => {
    for (const block of ['02 0b 00', '04 0b 01 0b 02']) {
      const client = await s.connect();
      client.send(frame(0x82, u16(1), hex(block), string('a'), hex('00')));
      await client.wire.expectDisconnect(Reason.protocolError);
    }
  });
});

conformance('MQTT 5.0, 3.8.4 SUBSCRIBE actions', '5.0', {}, (s) => {
  it('[MQTT-3.8.4-1] [MQTT-3.8.4-2] SUBACK answers with the same Packet Identifier', async () => {
    const client = await s.connect();
    for (const packetId of [1, 257, 65535]) {
      const subscriptions = [subscription(unique('t'))];
      client.send({ type: 'SUBSCRIBE', packetId, subscriptions, properties: {} });
      expect(await client.wire.expect('SUBACK')).toMatchObject({ packetId, reasonCodes: [0] });
    }
  });

  it('[MQTT-3.8.4-3] an identical filter replaces the subscription: QoS, options, identifier', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 }, { subscriptionIdentifier: [1] });
    await sub.subscribe(
      { filter: topic, qos: 1, retainAsPublished: true },
      { subscriptionIdentifier: [2] },
    );
    await pub.publish(topic, 'x', { qos: 2, retain: true });
    const message = await sub.receive();
    expect(message).toMatchObject({ qos: 1, retain: true });
    expect(message.properties.subscriptionIdentifier).toEqual([2]);
    await sub.subscribe(topic);
    await sub.receive(); // the retained message again
    await pub.publish(topic, 'y', { qos: 2 });
    const last = await sub.receive();
    expect(last.properties).toEqual({});
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.8.4-4] replacing sends retained messages again and loses none that flow', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await pub.publish(topic, 'retained', { qos: 1, retain: true });
    await sub.subscribe({ filter: `${topic}/#`, qos: 1 });
    expect((await sub.receive()).retain).toBe(true);
    const count = 60;
    const flow = (async () => {
      for (let i = 0; i < count; i++) await pub.publish(`${topic}/live`, `${i}`, { qos: 1 });
    })();
    for (let i = 0; i < 5; i++) await sub.subscribe({ filter: `${topic}/#`, qos: 1 });
    const live: string[] = [];
    let retained = 0;
    while (live.length < count || retained < 5) {
      const message = await sub.receive();
      if (message.retain) retained += 1;
      else live.push(message.payload.toString());
    }
    await flow;
    expect(live).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
    expect(retained).toBe(5);
  });

  it('[MQTT-3.8.4-5] several filters act as several SUBSCRIBEs with one SUBACK', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(`${topic}/a`, 'kept', { qos: 1, retain: true });
    const sub = await s.connect();
    // The third replaces the first; each scans retained messages.
    const { reasonCodes } = await sub.subscribe([
      { filter: `${topic}/a`, qos: 0 },
      { filter: `${topic}/b`, qos: 1 },
      { filter: `${topic}/a`, qos: 2 },
    ]);
    expect(reasonCodes).toEqual([0, 1, 2]);
    expect(await sub.receiveTexts(2)).toEqual(['kept', 'kept']);
    await pub.publish(`${topic}/a`, 'x', { qos: 2 });
    await pub.publish(`${topic}/b`, 'y', { qos: 2 });
    expect([(await sub.receive()).qos, (await sub.receive()).qos]).toEqual([2, 1]);
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] one code per filter, in order, granted QoS or failure', async () => {
    const topic = unique('t');
    const client = await s.connect();
    const many = Array.from({ length: 50 }, (_, i) => ({
      filter: `${topic}/${i}`,
      qos: (i % 3) as 0 | 1 | 2,
    }));
    expect((await client.subscribe(many)).reasonCodes).toEqual(many.map((one) => one.qos));
  });

  it('[MQTT-3.8.4-8] the QoS sent is the lower of published and granted', async () => {
    const [sub, pub] = [await s.connect(), await s.connect()];
    for (const granted of [0, 1, 2] as const) {
      const topic = unique('t');
      await sub.subscribe({ filter: topic, qos: granted });
      for (const published of [0, 1, 2] as const) {
        await pub.publish(topic, 'x', { qos: published });
        expect((await sub.receive()).qos).toBe(Math.min(granted, published));
      }
    }
  });

  it('[MQTT-3.8.4-8] also for retained messages', async () => {
    const topic = unique('t');
    await (await s.connect()).publish(topic, 'x', { qos: 1, retain: true });
    const sub = await s.connect();
    for (const qos of [0, 1, 2] as const) {
      await sub.subscribe({ filter: topic, qos });
      expect((await sub.receive()).qos).toBe(Math.min(1, qos));
    }
  });

  it('[MQTT-3.9.2-1] [MQTT-3.9.2-2] SUBACK stays within the Maximum Packet Size', async () => {
    const room = encode((await s.connect()).connack, '5.0').length;
    const client = await s.connect({ properties: { maximumPacketSize: room } });
    const filters = Array.from({ length: room - 5 }, () => unique('t'));
    const suback = await client.subscribe(filters);
    expect(suback.reasonCodes).toEqual(filters.map(() => 0));
    expect(encode(suback, '5.0').length).toBeLessThanOrEqual(room);
  });
});

const WITHOUT = {
  wildcard_subscriptions: false,
  subscription_identifiers: false,
  shared_subscriptions: false,
};
conformance('MQTT 5.0, 3.9.3 codes of what is not available', '5.0', WITHOUT, (s) => {
  // 3.2.2.3.11 to 3.2.2.3.13 call each of these a Protocol Error, answered by DISCONNECT.
  it.each([
    ['a wildcard', 'a/+', {}, Reason.wildcardSubscriptionsNotSupported],
    ['a shared filter', '$share/g/a', {}, Reason.sharedSubscriptionsNotSupported],
    [
      'a Subscription Identifier',
      'a',
      { subscriptionIdentifier: [1] },
      Reason.subscriptionIdentifiersNotSupported,
    ],
  ])(
    '[MQTT-3.9.3-2] %s ends the connection with its code',
    async (_, filter, properties, reason) => {
      const client = await s.connect();
      expect((await client.subscribe('plain')).reasonCodes).toEqual([0]);
      const subscriptions = [subscription(filter)];
      client.send({ type: 'SUBSCRIBE', packetId: 9, subscriptions, properties });
      await client.wire.expectDisconnect(reason);
    },
  );

  it('[MQTT-3.9.3-2] CONNACK tells what is not available', async () => {
    expect((await s.connect()).connack.properties).toMatchObject({
      wildcardSubscriptionAvailable: 0,
      subscriptionIdentifierAvailable: 0,
      sharedSubscriptionAvailable: 0,
    });
  });
});

conformance('MQTT 5.0, 3.9.3 quota', '5.0', { max_subscriptions: 3, max_topic_levels: 4 }, (s) => {
  it('[MQTT-3.8.4-7] filters beyond max_subscriptions get 0x97, replacing is still possible', async () => {
    const client = await s.connect();
    const topic = unique('t');
    const filters = [0, 1, 2, 3].map((i) => `${topic}/${i}`);
    expect((await client.subscribe(filters)).reasonCodes).toEqual([0, 0, 0, Reason.quotaExceeded]);
    expect((await client.subscribe({ filter: filters[0] ?? '', qos: 1 })).reasonCodes).toEqual([1]);
    await client.unsubscribe(filters[1] ?? '');
    expect((await client.subscribe(filters[3] ?? '')).reasonCodes).toEqual([0]);
  });

  it('[MQTT-3.8.4-7] a filter of more than max_topic_levels is refused with 0x8F', async () => {
    const client = await s.connect();
    expect((await client.subscribe(['a/b/c/d', 'a/b/c/d/e'])).reasonCodes).toEqual([
      0,
      Reason.topicFilterInvalid,
    ]);
  });
});
