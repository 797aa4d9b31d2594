// MQTT 3.1.1, 3.8 SUBSCRIBE to 3.14 DISCONNECT.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { ack, publishPacket, subscription, unique } from '../harness/client.js';
import { conformance } from './suite.js';

const subscribeBytes = (...payload: Buffer[]) => frame(0x82, u16(1), ...payload);

conformance('MQTT 3.1.1, 3.8 SUBSCRIBE and 3.9 SUBACK', '3.1.1', {}, (s) => {
  it.each([0x80, 0x81, 0x83, 0x84, 0x86, 0x8a, 0x8f])(
    '[MQTT-3.8.1-1] a SUBSCRIBE with the first byte %i closes the connection',
    async (first) => {
      const client = await s.connect();
      client.send(frame(first, u16(1), string('a'), hex('00')));
      await client.wire.expectClosed();
    },
  );

  it('[MQTT-3.8.3-1] a Topic Filter that is not UTF-8 closes the connection', async () => {
    for (const bytes of ['ff', '6100', 'eda080']) {
      const client = await s.connect();
      client.send(subscribeBytes(binary(hex(bytes)), hex('00')));
      await client.wire.expectClosed();
    }
  });

  it('[MQTT-3.8.3-3] a SUBSCRIBE without a Topic Filter, or without its QoS, closes the connection', async () => {
    for (const payload of [[], [string('a')], [string('a'), hex('00'), string('b')]]) {
      const client = await s.connect();
      client.send(subscribeBytes(...payload));
      await client.wire.expectClosed();
    }
  });

  it.each(['03', '04', '08', '10', '40', '80', 'fe'])(
    '[MQTT-3.8.3-4] the QoS byte %s closes the connection',
    async (options) => {
      const client = await s.connect();
      client.send(subscribeBytes(string('a'), hex(options)));
      await client.wire.expectClosed();
    },
  );

  it('[MQTT-3.8.4-1] [MQTT-3.8.4-2] SUBACK answers with the same Packet Identifier', async () => {
    const client = await s.connect();
    for (const packetId of [1, 257, 65535]) {
      const subscriptions = [subscription(unique('t'))];
      client.send({ type: 'SUBSCRIBE', packetId, subscriptions, properties: {} });
      expect(await client.wire.expect('SUBACK')).toMatchObject({ packetId, reasonCodes: [0] });
    }
  });

  it('[MQTT-3.8.4-3] an identical filter replaces the QoS, brings retained messages again, and loses nothing', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await pub.publish(`${topic}/r`, 'retained', { qos: 1, retain: true });
    await sub.subscribe({ filter: `${topic}/#`, qos: 0 });
    expect(await sub.receive()).toMatchObject({ retain: true, qos: 0 });
    const count = 40;
    const flow = (async () => {
      for (let i = 0; i < count; i++) await pub.publish(`${topic}/live`, `${i}`, { qos: 1 });
    })();
    for (let i = 0; i < 4; i++) await sub.subscribe({ filter: `${topic}/#`, qos: 1 });
    const live: string[] = [];
    let retained = 0;
    while (live.length < count || retained < 4) {
      const message = await sub.receive();
      if (message.retain) retained += 1;
      else live.push(message.payload.toString());
    }
    await flow;
    expect(live).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
    await pub.publish(`${topic}/live`, 'once', { qos: 1 });
    expect((await sub.receive()).qos).toBe(1);
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.8.4-4] several filters act as several SUBSCRIBEs with one SUBACK', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([
      { filter: `${topic}/a`, qos: 0 },
      { filter: `${topic}/b`, qos: 1 },
      { filter: `${topic}/a`, qos: 2 },
    ]);
    await sub.wire.expectNothing(50);
    await pub.publish(`${topic}/a`, 'x', { qos: 2 });
    await pub.publish(`${topic}/b`, 'y', { qos: 2 });
    expect([(await sub.receive()).qos, (await sub.receive()).qos]).toEqual([2, 1]);
  });

  it('[MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] a code for each filter, in order: 0, 1, 2 or 0x80', async () => {
    const topic = unique('t');
    const client = await s.connect();
    const many = Array.from({ length: 40 }, (_, i) => ({
      filter: `${topic}/${i}`,
      qos: ((i * 2) % 3) as 0 | 1 | 2,
    }));
    expect((await client.subscribe(many)).reasonCodes).toEqual(many.map((one) => one.qos));
  });

  it('[MQTT-3.8.4-6] the QoS sent is the lower of published and granted', async () => {
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
});

const NO_WILDCARDS = { wildcard_subscriptions: false, max_subscriptions: 3 };
conformance('MQTT 3.1.1, 3.8.3 without wildcards', '3.1.1', NO_WILDCARDS, (s) => {
  it('[MQTT-3.8.3-2] filters with wildcards are refused with 0x80', async () => {
    const client = await s.connect();
    expect((await client.subscribe(['a/+', 'plain', '#'])).reasonCodes).toEqual([0x80, 0, 0x80]);
  });

  it('[MQTT-3.9.3-2] a filter beyond max_subscriptions gets 0x80', async () => {
    const client = await s.connect();
    const { reasonCodes } = await client.subscribe(['a', 'b', 'c', 'd']);
    expect(reasonCodes).toEqual([0, 0, 0, 0x80]);
  });
});

conformance('MQTT 3.1.1, 3.10 UNSUBSCRIBE', '3.1.1', {}, (s) => {
  it.each([0xa0, 0xa1, 0xa3, 0xa4, 0xa6, 0xaa, 0xaf])(
    '[MQTT-3.10.1-1] an UNSUBSCRIBE with the first byte %i closes the connection',
    async (first) => {
      const client = await s.connect();
      client.send(frame(first, u16(1), string('a')));
      await client.wire.expectClosed();
    },
  );

  it('[MQTT-3.10.3-1] a Topic Filter that is not UTF-8 closes the connection', async () => {
    const client = await s.connect();
    client.send(frame(0xa2, u16(1), binary(hex('fe'))));
    await client.wire.expectClosed();
  });

  it('[MQTT-3.10.3-2] an UNSUBSCRIBE without a Topic Filter closes the connection', async () => {
    const client = await s.connect();
    client.send(frame(0xa2, u16(1)));
    await client.wire.expectClosed();
  });

  it('[MQTT-3.10.4-1] filters are compared character by character', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([`${topic}/+`, `${topic}/x`]);
    await sub.unsubscribe([`${topic}/a`, `${topic.toUpperCase()}/+`, `${topic}/#`, `${topic}/x`]);
    await pub.publish(`${topic}/x`, 'still by +');
    expect((await sub.receive()).payload.toString()).toBe('still by +');
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.10.4-2] after UNSUBACK no new message is added', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([{ filter: topic, qos: 1 }, `end/${topic}`]);
    await sub.unsubscribe(topic);
    for (let i = 0; i < 10; i++) await pub.publish(topic, 'after', { qos: 1 });
    await pub.publish(`end/${topic}`, 'end');
    expect((await sub.receive()).payload.toString()).toBe('end');
  });

  it('[MQTT-3.10.4-3] deliveries that have begun are completed', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const sub = await s.connect({ clientId, cleanStart: false });
    const pub = await s.connect();
    await sub.subscribe({ filter: topic, qos: 2 });
    await pub.publish(topic, 'one', { qos: 1 });
    await pub.publish(topic, 'two', { qos: 2 });
    const [one, two] = [await sub.wire.expect('PUBLISH'), await sub.wire.expect('PUBLISH')];
    await sub.unsubscribe(topic);
    sub.send(ack('PUBREC', two.packetId));
    expect((await sub.wire.expect('PUBREL')).packetId).toBe(two.packetId);
    sub.close();
    const again = await s.connect({ clientId, cleanStart: false });
    // The standard does not say which of the two comes first.
    const resent = [await again.wire.next(), await again.wire.next()];
    expect(resent).toContainEqual(
      expect.objectContaining({ type: 'PUBREL', packetId: two.packetId }),
    );
    expect(resent).toContainEqual(
      expect.objectContaining({ type: 'PUBLISH', dup: true, packetId: one.packetId }),
    );
  });

  it('[MQTT-3.10.4-4] [MQTT-3.10.4-5] UNSUBACK has the same Packet Identifier, and comes where nothing was deleted', async () => {
    const client = await s.connect();
    for (const packetId of [65535, 1]) {
      client.send({ type: 'UNSUBSCRIBE', packetId, filters: [unique('t')], properties: {} });
      expect((await client.wire.expect('UNSUBACK')).packetId).toBe(packetId);
    }
  });

  it('[MQTT-3.10.4-6] several filters: all are removed, one UNSUBACK', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([`${topic}/a`, `${topic}/b`, `${topic}/c`]);
    await sub.unsubscribe([`${topic}/a`, `${topic}/b`]);
    for (const level of ['a', 'b', 'c']) await pub.publish(`${topic}/${level}`, level);
    expect((await sub.receive()).payload.toString()).toBe('c');
    await sub.wire.expectNothing();
  });
});

conformance('MQTT 3.1.1, 3.12 PINGREQ and 3.14 DISCONNECT', '3.1.1', {}, (s) => {
  it('[MQTT-3.12.4-1] each PINGREQ is answered by a PINGRESP', async () => {
    const client = await s.connect();
    client.wire.sendTogether({ type: 'PINGREQ' }, { type: 'PINGREQ' });
    await client.wire.expect('PINGRESP');
    await client.wire.expect('PINGRESP');
    await client.wire.expectNothing();
  });

  it.each(['e1 00', 'e2 00', 'e8 00'])(
    '[MQTT-3.14.1-1] a DISCONNECT with reserved bits (%s) closes the connection, and publishes the will',
    async (bytes) => {
      const topic = unique('t');
      const watcher = await s.connect();
      await watcher.subscribe(topic);
      const client = await s.connect({ will: { topic, payload: 'will' } });
      client.send(hex(bytes));
      await client.wire.expectClosed();
      expect((await watcher.receive()).payload.toString()).toBe('will');
    },
  );

  it('[MQTT-3.14.4-3] DISCONNECT discards the will, closes, and nothing behind it is processed', async () => {
    const topic = unique('t');
    const watcher = await s.connect();
    await watcher.subscribe(topic);
    const client = await s.connect({ will: { topic, payload: 'never' } });
    client.wire.sendTogether(
      { type: 'DISCONNECT', reasonCode: 0, properties: {} },
      publishPacket(topic, 'behind'),
    );
    await client.wire.expectClosed();
    await watcher.wire.expectNothing(300);
  });
});
