// MQTT 5.0, 3.3.2 PUBLISH variable header: Topic Name and properties.
import { expect, it } from 'vitest';
import { binary, frame, hex, string } from '../harness/bytes.js';
import { publishPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { type Properties, Reason } from '../harness/packets.js';
import { filterMatches } from '../harness/topics.js';
import { type Bench, conformance, sleep } from './suite.js';

const NOT_ALLOWED = [Reason.malformedPacket, Reason.protocolError, Reason.topicNameInvalid];

/** Publishes with these properties and returns what a subscriber of the topic gets. */
async function forwarded(s: Bench, properties: Properties): Promise<Properties> {
  const topic = unique('t');
  const [sub, pub] = [await s.connect(), await s.connect()];
  await sub.subscribe({ filter: topic, qos: 1 });
  await pub.publish(topic, 'x', { qos: 1, properties });
  return (await sub.receive()).properties;
}

conformance('MQTT 5.0, 3.3.2.1 Topic Name', '5.0', {}, (s) => {
  it('[MQTT-3.3.2-1] a PUBLISH without a Topic Name, or with one that is not UTF-8, is malformed', async () => {
    for (const body of [Buffer.alloc(0), hex('00'), binary(hex('ff')), hex('0005 61')]) {
      const client = await s.connect();
      client.send(frame(0x30, body, hex('00')));
      await client.wire.expectDisconnect(NOT_ALLOWED);
    }
  });

  it('[MQTT-3.3.2-1] an empty Topic Name without a Topic Alias is a Protocol Error', async () => {
    const client = await s.connect();
    client.send(publishPacket('', 'x'));
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it.each(['#', '+', 'a/#', 'a/+/b', 'a+', 'a#b', '/+'])(
    '[MQTT-3.3.2-2] the Topic Name %s has a wildcard and ends the connection',
    async (topic) => {
      const client = await s.connect();
      client.send(publishPacket(topic, 'x'));
      await client.wire.expectDisconnect(NOT_ALLOWED);
    },
  );

  it('[MQTT-3.3.2-3] the Topic Name sent matches the filter', async () => {
    const base = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    const filter = `${base}/+/x/#`;
    await sub.subscribe({ filter, qos: 1 });
    const topics = ['a/x', 'a/x/b', 'a/y', 'x', '/x', 'a/x/', 'a/b/x', ''].map(
      (t) => `${base}/${t}`,
    );
    for (const topic of topics) await pub.publish(topic, topic, { qos: 1 });
    for (const topic of topics.filter((one) => filterMatches(filter, one))) {
      const message = await sub.receive();
      expect(message.topic).toBe(topic);
      expect(message.payload.toString()).toBe(topic);
    }
    await sub.wire.expectNothing();
  });
});

conformance('MQTT 5.0, 3.3.2.3 PUBLISH properties', '5.0', {}, (s) => {
  it.each([0, 1])('[MQTT-3.3.2-4] Payload Format Indicator %i is sent on', async (value) => {
    const properties = { payloadFormatIndicator: value };
    expect(await forwarded(s, properties)).toEqual(properties);
  });

  it('[MQTT-3.3.2-6] delivered at once it is as received', async () => {
    const interval = (await forwarded(s, { messageExpiryInterval: 1000 })).messageExpiryInterval;
    expect(interval).toBeGreaterThanOrEqual(995);
    expect(interval).toBeLessThanOrEqual(1000);
  });

  it('[MQTT-3.3.2-13] a Response Topic that is not UTF-8 is malformed', async () => {
    const client = await s.connect();
    client.send(frame(0x30, string('a'), hex('04 08 0001 ff')));
    await client.wire.expectDisconnect(Reason.malformedPacket);
  });

  it.each(['a/+', '#', 'x#'])(
    '[MQTT-3.3.2-14] the Response Topic %s has a wildcard and ends the connection',
    async (responseTopic) => {
      const client = await s.connect();
      client.send(publishPacket('a', 'x', { properties: { responseTopic } }));
      await client.wire.expectDisconnect(NOT_ALLOWED);
    },
  );

  it('[MQTT-3.3.2-15] the Response Topic is sent on unaltered', async () => {
    const properties = { responseTopic: '/antwort/é//' };
    expect(await forwarded(s, properties)).toEqual(properties);
  });

  it('[MQTT-3.3.2-16] the Correlation Data is sent on unaltered', async () => {
    for (const bytes of ['', '00', '00ff80000a']) {
      const properties = { correlationData: hex(bytes) };
      expect(await forwarded(s, properties)).toEqual(properties);
    }
  });

  it('[MQTT-3.3.2-17] all User Properties are sent on unaltered, empty ones too', async () => {
    const userProperty: [string, string][] = [
      ['', ''],
      ['k', 'é€😀'],
      ['long', 'x'.repeat(3000)],
    ];
    expect(await forwarded(s, { userProperty })).toEqual({ userProperty });
  });

  it('[MQTT-3.3.2-18] User Properties keep their order, with names repeated', async () => {
    const userProperty = Array.from({ length: 20 }, (_, i): [string, string] => [
      `${i % 3}`,
      `${i}`,
    ]);
    expect(await forwarded(s, { userProperty })).toEqual({ userProperty });
  });

  it('[MQTT-3.3.2-18] also through the retained store and a parked Session', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const userProperty = Array.from({ length: 9 }, (_, i): [string, string] => [
      `${i % 2}`,
      `${i}`,
    ]);
    const session = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties: session });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    const pub = await s.connect();
    await pub.publish(topic, 'x', { qos: 1, retain: true, properties: { userProperty } });
    const second = await s.connect({ clientId, cleanStart: false, properties: session });
    expect((await second.receive()).properties).toEqual({ userProperty });
    const late = await s.connect();
    await late.subscribe(topic);
    expect((await late.receive()).properties).toEqual({ userProperty });
  });

  it('[MQTT-3.3.2-19] a Content Type that is not UTF-8 is malformed', async () => {
    const client = await s.connect();
    client.send(frame(0x30, string('a'), hex('04 03 0001 80')));
    await client.wire.expectDisconnect(Reason.malformedPacket);
  });

  it('[MQTT-3.3.2-20] the Content Type is sent on unaltered', async () => {
    for (const contentType of ['', 'text/plain; charset=utf-8', 'é']) {
      expect(await forwarded(s, { contentType })).toEqual({ contentType });
    }
  });

  it.concurrent('[MQTT-3.3.2-5] an expired message is not delivered to a parked Session', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const session = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties: session });
    await first.subscribe({ filter: topic, qos: 2 });
    await first.disconnect();
    const pub = await s.connect();
    const properties = { messageExpiryInterval: 1 };
    await pub.publish(topic, 'short 1', { qos: 1, properties });
    await pub.publish(topic, 'short 2', { qos: 2, properties });
    await pub.publish(topic, 'long', { qos: 1, properties: { messageExpiryInterval: 600 } });
    await sleep(2100);
    const second = await s.connect({ clientId, cleanStart: false, properties: session });
    expect((await second.receive()).payload.toString()).toBe('long');
    await second.wire.expectNothing();
  });

  it.concurrent('[MQTT-3.3.2-5] an expired retained message is not delivered', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    const properties = { messageExpiryInterval: 1 };
    await pub.publish(topic, 'x', { qos: 1, retain: true, properties });
    await sleep(2100);
    const sub = await s.connect();
    await sub.subscribe(topic);
    await sub.wire.expectNothing();
  });

  it.concurrent('[MQTT-3.3.2-5] an expired message waiting behind a full window is not delivered', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { receiveMaximum: 1 } });
    await sub.subscribe({ filter: topic, qos: 1 });
    const pub = await s.connect();
    await pub.publish(topic, 'in the window', { qos: 1 });
    await pub.publish(topic, 'expires', { qos: 1, properties: { messageExpiryInterval: 1 } });
    await pub.publish(topic, 'stays', { qos: 1 });
    await sleep(2100);
    expect(await sub.receiveTexts(2)).toEqual(['in the window', 'stays']);
  });

  it.concurrent('[MQTT-3.3.2-6] the interval is lowered by the time waited', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const session = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties: session });
    await first.subscribe({ filter: topic, qos: 1 });
    await first.disconnect();
    const pub = await s.connect();
    const properties = { messageExpiryInterval: 100 };
    await pub.publish(topic, 'queued', { qos: 1, retain: true, properties });
    await sleep(2100);
    const second = await s.connect({ clientId, cleanStart: false, properties: session });
    const queued = (await second.receive()).properties.messageExpiryInterval;
    expect(queued).toBeGreaterThanOrEqual(90);
    expect(queued).toBeLessThanOrEqual(98);
    const late = await s.connect();
    await late.subscribe(topic);
    const retained = (await late.receive()).properties.messageExpiryInterval;
    expect(retained).toBeLessThanOrEqual(98);
    await pub.publish(topic, '', { retain: true });
  });
});

conformance('MQTT 5.0, 3.3.2.3.4 Topic Alias', '5.0', {}, (s) => {
  const LIMIT = 32; // the default topic_alias_maximum

  it('[MQTT-3.3.2-7] a client’s aliases do not outlive its connection', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const session = { sessionExpiryInterval: 60 };
    const first = await s.connect({ clientId, properties: session });
    await first.publish(topic, 'x', { qos: 1, properties: { topicAlias: 1 } });
    await first.disconnect();
    const second = await s.connect({ clientId, cleanStart: false, properties: session });
    second.send(publishPacket('', 'x', { properties: { topicAlias: 1 } }));
    await second.wire.expectDisconnect([Reason.protocolError, Reason.topicAliasInvalid]);
  });

  it('[MQTT-3.3.2-7] the server’s aliases do not outlive the connection', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const properties = { sessionExpiryInterval: 60, topicAliasMaximum: 10 };
    const pub = await s.connect();
    for (let i = 0; i < 2; i++) {
      const sub = await s.connect({ clientId, cleanStart: false, properties });
      await sub.subscribe({ filter: topic, qos: 1 });
      for (let j = 0; j < 3; j++) {
        await pub.publish(topic, 'x', { qos: 1 });
        // The first one on each connection must bring the name.
        const message = await sub.receive();
        if (j === 0) expect(message.topic).toBe(topic);
      }
      await sub.disconnect();
    }
  });

  it('[MQTT-3.3.2-8] Topic Alias 0 ends the connection with 0x94', async () => {
    const client = await s.connect();
    client.send(publishPacket('a', 'x', { properties: { topicAlias: 0 } }));
    await client.wire.expectDisconnect([Reason.topicAliasInvalid, Reason.protocolError]);
  });

  it('[MQTT-3.3.2-11] aliases sent are within the client’s maximum and name the right topic', async () => {
    const base = unique('t');
    const sub = await s.connect({ properties: { topicAliasMaximum: 3 } });
    await sub.subscribe({ filter: `${base}/#`, qos: 1 });
    const pub = await s.connect();
    const known = new Map<number, string>();
    for (let i = 0; i < 30; i++) {
      const wanted = `${base}/${(i * 7) % 5}`;
      await pub.publish(wanted, 'x', { qos: i % 2 === 0 ? 0 : 1 });
      const { topic, properties } = await sub.receive();
      const alias = properties.topicAlias ?? 0;
      expect(alias).toBeLessThanOrEqual(3);
      if (topic !== '' && alias > 0) known.set(alias, topic);
      expect(topic === '' ? known.get(alias) : topic).toBe(wanted);
    }
  });

  it('[MQTT-3.3.2-12] every alias from 1 to the maximum of CONNACK is accepted, and replaced', async () => {
    const base = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: `${base}/#`, qos: 1 });
    const maximum = pub.connack.properties.topicAliasMaximum ?? 0;
    expect(maximum).toBeGreaterThan(0);
    for (let alias = 1; alias <= maximum; alias++)
      await pub.publish(`${base}/${alias}`, 'named', { properties: { topicAlias: alias } });
    await pub.publish(`${base}/new`, 'named', { properties: { topicAlias: 1 } });
    for (let alias = 1; alias <= maximum; alias++)
      await pub.publish('', 'aliased', { properties: { topicAlias: alias } });
    const seen: string[] = [];
    for (let i = 0; i < 2 * maximum + 1; i++) {
      const message = await sub.receive();
      if (message.payload.toString() === 'aliased') seen.push(message.topic);
    }
    const wanted = Array.from({ length: maximum - 1 }, (_, i) => `${base}/${i + 2}`);
    expect(seen).toEqual([`${base}/new`, ...wanted]);
  });

  it('[MQTT-3.3.2-12] an alias above the maximum ends the connection with 0x94', async () => {
    const client = await s.connect();
    const topicAlias = (client.connack.properties.topicAliasMaximum ?? LIMIT) + 1;
    client.send(publishPacket('a', 'x', { properties: { topicAlias } }));
    await client.wire.expectDisconnect(Reason.topicAliasInvalid);
  });

  it('[MQTT-3.3.2-12] an alias that was never set is a Protocol Error', async () => {
    const client = await s.connect();
    client.send(publishPacket('', 'x', { properties: { topicAlias: 2 } }));
    await client.wire.expectDisconnect([Reason.protocolError, Reason.topicAliasInvalid]);
  });

  it('[MQTT-3.3.2-12] an alias works across QoS, and the subscriber never sees the publisher’s', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    await pub.publish(topic, '0', { properties: { topicAlias: 5 } });
    await pub.publish('', '1', { qos: 1, properties: { topicAlias: 5 } });
    await pub.publish('', '2', { qos: 2, properties: { topicAlias: 5 } });
    for (const qos of [0, 1, 2])
      expect(await sub.receive()).toMatchObject({ topic, qos, properties: {} });
  });
});

conformance('MQTT 5.0, 3.3.2 the size of properties', '5.0', {}, (s) => {
  it('[MQTT-3.3.2-17] a property block of three length bytes goes through', async () => {
    const userProperty = Array.from({ length: 200 }, (_, i): [string, string] => [
      `name ${i}`,
      'v'.repeat(100),
    ]);
    const bytes = encode(publishPacket('t', '', { properties: { userProperty } }), '5.0');
    expect(bytes.length).toBeGreaterThan(16_384);
    expect(await forwarded(s, { userProperty })).toEqual({ userProperty });
  });
});
