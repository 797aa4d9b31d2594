// MQTT 5.0, 4.6 Message ordering and 4.7 Topic Names and Topic Filters.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { publishPacket, unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { filterMatches } from '../harness/topics.js';
import { conformance } from './suite.js';

const NAME = [Reason.malformedPacket, Reason.protocolError, Reason.topicNameInvalid];
const FILTER = [Reason.malformedPacket, Reason.protocolError, Reason.topicFilterInvalid];
const properties = { sessionExpiryInterval: 60 };
const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

conformance('MQTT 5.0, 4.6 Message ordering', '5.0', {}, (s) => {
  it.each([0, 1, 2] as const)(
    '[MQTT-4.6.0-5] messages of QoS %i reach every subscriber in the order of their publisher',
    async (qos) => {
      const topic = unique('t');
      const subs = [await s.connect(), await s.connect(), await s.connect()];
      const pubs = [await s.connect(), await s.connect()];
      for (const sub of subs) await sub.subscribe({ filter: `${topic}/#`, qos });
      const count = 60;
      await Promise.all(
        pubs.map(async (pub, which) => {
          for (let i = 0; i < count; i++) await pub.publish(`${topic}/${which}`, `${i}`, { qos });
        }),
      );
      for (const sub of subs) {
        const seen = [[], []] as string[][];
        for (let i = 0; i < 2 * count; i++) {
          const message = await sub.receive();
          seen[Number(message.topic.at(-1))]?.push(message.payload.toString());
        }
        expect(seen).toEqual([numbers(count), numbers(count)]);
      }
    },
  );

  it('[MQTT-4.6.0-5] the order holds over a reconnect of the subscriber', async () => {
    const [clientId, topic] = [unique(), unique('t')];
    const pub = await s.connect();
    let sub = await s.connect({ clientId, properties });
    await sub.subscribe({ filter: topic, qos: 1 });
    const seen: string[] = [];
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 10; i++) await pub.publish(topic, `${round * 10 + i}`, { qos: 1 });
      seen.push(...(await sub.receiveTexts(5)));
      await sub.ping();
      sub.close();
      sub = await s.connect({ clientId, cleanStart: false, properties });
      seen.push(...(await sub.receiveTexts(5)));
    }
    expect(seen).toEqual(numbers(40));
  });

  it('[MQTT-4.6.0-6] every topic is ordered: a retained topic, one with an alias, one under $', async () => {
    const base = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    const topics = [`${base}/retained`, `${base}/alias`, `$own/${base}`];
    await sub.subscribe(topics.map((filter) => ({ filter, qos: 1 as const })));
    for (const text of numbers(20)) {
      await pub.publish(topics[0] ?? '', text, { qos: 1, retain: true });
      const name = text === '0' ? (topics[1] ?? '') : '';
      await pub.publish(name, text, { qos: 1, properties: { topicAlias: 1 } });
      await pub.publish(topics[2] ?? '', text, { qos: 1 });
    }
    const seen = new Map<string, string[]>();
    for (let i = 0; i < 60; i++) {
      const { topic, payload } = await sub.receive();
      seen.set(topic, [...(seen.get(topic) ?? []), payload.toString()]);
    }
    for (const topic of topics) expect(seen.get(topic)).toEqual(numbers(20));
    await pub.publish(topics[0] ?? '', '', { retain: true });
  });
});

conformance('MQTT 5.0, 4.7 Topic Names and Topic Filters', '5.0', {}, (s) => {
  /** Either the connection ends, or the filter alone is refused in SUBACK. */
  async function refused(filter: Buffer): Promise<void> {
    const client = await s.connect();
    client.send(frame(0x82, u16(1), hex('00'), filter, hex('00')));
    const answer = await client.wire.next();
    if (answer.type === 'SUBACK') {
      expect(answer.reasonCodes).toEqual([Reason.topicFilterInvalid]);
      return;
    }
    expect(answer.type).toBe('DISCONNECT');
    if (answer.type === 'DISCONNECT') expect(FILTER).toContain(answer.reasonCode);
    await client.wire.expectClosed();
  }

  it.each(['a/+', '#', '+'])(
    '[MQTT-4.7.0-1] the wildcard in the Topic Name %s ends the connection',
    async (topic) => {
      const client = await s.connect();
      client.send(publishPacket(topic, 'x', { qos: 1, packetId: 1 }));
      await client.wire.expectDisconnect(NAME);
    },
  );

  it.each(['a#', 'a/#/b', '#/a', '##', 'a/b#', '#a', '$share/g/a/#/b'])(
    '[MQTT-4.7.1-1] the filter %s is refused',
    async (filter) => refused(string(filter)),
  );

  it.each(['a+', '+a', 'a/+b/c', '++', 'a/b+', '+#', '$share/g/a+'])(
    '[MQTT-4.7.1-2] the filter %s is refused',
    async (filter) => refused(string(filter)),
  );

  const filters = [
    '#',
    '+',
    '+/+',
    '/+',
    '+/',
    'P',
    'P/#',
    'P/+',
    'P/+/+',
    'P/+/b',
    '+/a',
    'P/a/#',
    '/#',
    'P//b',
    '//',
    '/',
    'P/',
  ];
  const topics = ['P', 'P/', '/P', 'P/a', 'P/a/b', 'P//b', '/', '//', 'P/a/', '/P/a', 'P/b'];

  it.each(filters)(
    '[MQTT-4.7.1-1] [MQTT-4.7.1-2] the filter %s matches what it should',
    async (pattern) => {
      const base = unique('t');
      // Everything below a level of this test's own, so that others' messages stay out.
      const own = (one: string) => `${base}/${one.replaceAll('P', 'p')}`;
      const [sub, pub] = [await s.connect(), await s.connect()];
      const filter = own(pattern);
      await sub.subscribe([filter, `end/${base}`]);
      for (const topic of topics) await pub.publish(own(topic), own(topic));
      await pub.publish(base, base);
      await pub.publish(`end/${base}`, 'end');
      const wanted = [...topics.map(own), base].filter((topic) => filterMatches(filter, topic));
      expect(await sub.receiveTexts(wanted.length + 1)).toEqual([...wanted, 'end']);
    },
  );

  it('[MQTT-4.7.1-1] # alone matches topics of any depth, with an empty first level too', async () => {
    const name = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe('#');
    for (const topic of [name, `/${name}`, `a/${name}/b/c/d/e/f`]) {
      await pub.publish(topic, name);
      let message = await sub.receive();
      while (!message.topic.includes(name)) message = await sub.receive();
      expect(message.topic).toBe(topic);
    }
  });

  it('[MQTT-4.7.2-1] filters that begin with a wildcard do not match topics that begin with $', async () => {
    const name = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([`+/${name}`, `+/${name}/#`, '#']);
    const exact = await s.connect();
    await exact.subscribe([`$own/${name}`]);
    const below = await s.connect();
    await below.subscribe([`$own/${name}/#`, `$own/+/${name}`]);
    await pub.publish(`$own/${name}`, 'hidden', { qos: 1 });
    await pub.publish(`own/${name}`, 'shown', { qos: 1 });
    let message = await sub.receive();
    while (!message.topic.includes(name)) message = await sub.receive();
    expect(message.payload.toString()).toBe('shown');
    expect((await exact.receive()).payload.toString()).toBe('hidden');
    expect((await below.receive()).payload.toString()).toBe('hidden');
  });

  it('[MQTT-4.7.2-1] nor retained ones', async () => {
    const name = unique('t');
    const pub = await s.connect();
    await pub.publish(`$own/${name}`, 'hidden', { qos: 1, retain: true });
    const sub = await s.connect();
    await sub.subscribe([`+/${name}`, `+/${name}/#`]);
    await sub.wire.expectNothing();
    await sub.subscribe(`$own/${name}`);
    expect((await sub.receive()).payload.toString()).toBe('hidden');
    await pub.publish(`$own/${name}`, '', { qos: 1, retain: true });
  });

  it('[MQTT-4.7.3-1] an empty Topic Filter is refused', async () => refused(string('')));

  it('[MQTT-4.7.3-1] an empty Topic Name is refused, the topic "/" is not', async () => {
    const client = await s.connect();
    await client.publish('/', 'x', { qos: 1 });
    client.send(publishPacket('', 'x'));
    await client.wire.expectDisconnect(NAME);
  });

  it('[MQTT-4.7.3-2] U+0000 in a Topic Name or Topic Filter is refused', async () => {
    const client = await s.connect();
    client.send(frame(0x30, binary(hex('610061')), hex('00')));
    await client.wire.expectDisconnect(Reason.malformedPacket);
    const other = await s.connect();
    other.send(frame(0x82, u16(1), hex('00'), binary(hex('0061')), hex('00')));
    await other.wire.expectDisconnect(Reason.malformedPacket);
  });

  it('[MQTT-4.7.3-3] Topic Names and Topic Filters of 65535 bytes are carried', async () => {
    const head = `${unique('t')}/é`;
    const long = head + 'x'.repeat(65_535 - Buffer.byteLength(head));
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe(long);
    await pub.publish(long, 'x');
    expect((await sub.receive()).topic).toBe(long);
  });

  it('[MQTT-4.7.3-4] matching normalizes nothing: case, composition, separators', async () => {
    const base = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    // U+00E9 and U+0065 U+0301 look alike.
    await sub.subscribe([`${base}/caf\u00e9`, `end/${base}`]);
    for (const level of [
      'cafe\u0301',
      'CAF\u00c9',
      'Caf\u00e9',
      'caf\u00e9/',
      '/caf\u00e9',
      ' caf\u00e9',
    ])
      await pub.publish(`${base}/${level}`, 'not this');
    await pub.publish(`${base}/caf\u00e9`, 'this');
    await pub.publish(`end/${base}`, 'end');
    expect(await sub.receiveTexts(2)).toEqual(['this', 'end']);
  });
});
