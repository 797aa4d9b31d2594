// MQTT 5.0, 4.8 Subscriptions (shared ones) and 4.9 Flow Control.
import { expect, it } from 'vitest';
import { ack, type Client, publishPacket, unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { type Bench, conformance } from './suite.js';

const FILTER = [Reason.malformedPacket, Reason.protocolError, Reason.topicFilterInvalid];
const properties = { sessionExpiryInterval: 60 };

/** A group of members with lasting Sessions on a fresh topic. */
async function group(s: Bench, count: number, qos: 0 | 1 | 2) {
  const topic = unique('t');
  const filter = `$share/${unique('g')}/${topic}`;
  const members: Client[] = [];
  for (let i = 0; i < count; i++) {
    const member = await s.connect({ properties });
    await member.subscribe({ filter, qos });
    members.push(member);
  }
  return { topic, filter, members };
}

/** The member on whose connection the next message is, with the message. */
async function receiver(members: Client[]): Promise<Client> {
  for (let round = 0; round < 200; round++)
    for (const member of members) if (await member.wire.hasPacket(20)) return member;
  throw new Error('no member of the group got the message');
}

conformance('MQTT 5.0, 4.8.2 Shared Subscriptions', '5.0', {}, (s) => {
  it.each(['$share/', '$share/g', '$share//a'])(
    '[MQTT-4.8.2-1] the filter %s is no valid shared filter',
    async (filter) => {
      const client = await s.connect();
      client.send({
        type: 'SUBSCRIBE',
        packetId: 1,
        subscriptions: [
          { filter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        ],
        properties: {},
      });
      const answer = await client.wire.next();
      if (answer.type === 'SUBACK') expect(answer.reasonCodes).toEqual([Reason.topicFilterInvalid]);
      else if (answer.type === 'DISCONNECT') expect(FILTER).toContain(answer.reasonCode);
      else throw new Error(`${answer.type} came`);
    },
  );

  it.each(['$share/g+/a', '$share/#/a', '$share/+/a', '$share/g/', '$share/a#b/a'])(
    '[MQTT-4.8.2-2] the filter %s is no valid shared filter',
    async (filter) => {
      const client = await s.connect();
      client.send({
        type: 'SUBSCRIBE',
        packetId: 1,
        subscriptions: [
          { filter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        ],
        properties: {},
      });
      const answer = await client.wire.next();
      if (answer.type === 'SUBACK') expect(answer.reasonCodes).toEqual([Reason.topicFilterInvalid]);
      else if (answer.type === 'DISCONNECT') expect(FILTER).toContain(answer.reasonCode);
      else throw new Error(`${answer.type} came`);
    },
  );

  it('[MQTT-4.8.2-1] each message goes to one member of each group, and to every other subscriber', async () => {
    const { topic, members } = await group(s, 3, 1);
    const second = await s.connect();
    await second.subscribe({ filter: `$share/${unique('g')}/${topic}`, qos: 1 });
    const plain = await s.connect();
    await plain.subscribe({ filter: topic, qos: 1 });
    const pub = await s.connect();
    const wanted = Array.from({ length: 12 }, (_, i) => `${i}`);
    for (const text of wanted) await pub.publish(topic, text, { qos: 1 });
    expect(await second.receiveTexts(12)).toEqual(wanted);
    expect(await plain.receiveTexts(12)).toEqual(wanted);
    const seen: string[] = [];
    while (seen.length < 12)
      seen.push((await (await receiver(members)).receive()).payload.toString());
    expect(seen.sort()).toEqual([...wanted].sort());
    for (const member of members) await member.wire.expectNothing(50);
  });

  it('[MQTT-4.8.2-1] a Session in the group and with a plain subscription gets a copy for each', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe([topic, `$share/${unique('g')}/${topic}`]);
    await pub.publish(topic, 'x');
    expect(await sub.receiveTexts(2)).toEqual(['x', 'x']);
    await sub.wire.expectNothing();
  });

  it('[MQTT-4.8.2-1] no retained messages come with a shared subscription', async () => {
    const topic = unique('t');
    const pub = await s.connect();
    await pub.publish(topic, 'kept', { qos: 1, retain: true });
    const sub = await s.connect();
    await sub.subscribe({ filter: `$share/g/${topic}`, qos: 1 });
    await sub.wire.expectNothing();
  });

  it('[MQTT-4.8.2-3] each member receives with its own granted QoS', async () => {
    const topic = unique('t');
    const filter = `$share/${unique('g')}/${topic}`;
    const [zero, two] = [await s.connect(), await s.connect()];
    await zero.subscribe({ filter, qos: 0 });
    await two.subscribe({ filter, qos: 2 });
    const pub = await s.connect();
    const seen = new Set<number>();
    for (let i = 0; i < 8; i++) {
      await pub.publish(topic, `${i}`, { qos: 2 });
      const member = await receiver([zero, two]);
      expect((await member.receive()).qos).toBe(member === zero ? 0 : 2);
      seen.add(member === zero ? 0 : 2);
    }
    expect(seen.size).toBe(2);
  });

  it('[MQTT-4.8.2-4] a QoS 2 delivery that broke off is completed with the same member', async () => {
    const { topic, members } = await group(s, 2, 2);
    await (await s.connect()).publish(topic, 'x', { qos: 2 });
    const chosen = await receiver(members);
    const other = members.find((member) => member !== chosen);
    const sent = await chosen.wire.expect('PUBLISH');
    chosen.close();
    await other?.wire.expectNothing();
    const again = await s.connect({ clientId: chosen.clientId, cleanStart: false, properties });
    expect(await again.receive()).toMatchObject({ dup: true, packetId: sent.packetId });
    await other?.wire.expectNothing();
  });

  it('[MQTT-4.8.2-5] if that member’s Session ends, no other member gets the message', async () => {
    const { topic, members } = await group(s, 2, 2);
    await (await s.connect()).publish(topic, 'x', { qos: 2 });
    const chosen = await receiver(members);
    const other = members.find((member) => member !== chosen);
    await chosen.wire.expect('PUBLISH');
    await chosen.disconnect(0, { sessionExpiryInterval: 0 });
    await other?.wire.expectNothing(400);
  });

  it('[MQTT-4.8.2-6] a PUBACK or PUBREC of 0x80 or more discards the message for all', async () => {
    for (const qos of [1, 2] as const) {
      const { topic, members } = await group(s, 2, qos);
      await (await s.connect()).publish(topic, 'x', { qos });
      const chosen = await receiver(members);
      const { packetId } = await chosen.wire.expect('PUBLISH');
      chosen.send(ack(qos === 1 ? 'PUBACK' : 'PUBREC', packetId, 0x83));
      for (const member of members) await member.wire.expectNothing();
    }
  });

  it('[MQTT-4.8.2-4] QoS 1 that a member did not acknowledge goes to another when it disconnects', async () => {
    const { topic, members } = await group(s, 2, 1);
    const pub = await s.connect();
    for (let i = 0; i < 6; i++) await pub.publish(topic, `${i}`, { qos: 1 });
    const chosen = await receiver(members);
    const other = members.find((member) => member !== chosen);
    if (other === undefined) throw new Error('two members');
    chosen.close();
    const seen: string[] = [];
    while (seen.length < 6) seen.push((await other.receive()).payload.toString());
    expect(seen.sort()).toEqual(['0', '1', '2', '3', '4', '5']);
    const again = await s.connect({ clientId: chosen.clientId, cleanStart: false, properties });
    await again.wire.expectNothing();
  });
});

const STRATEGIES = ['roundrobin', 'random', 'sticky', 'hash_clientid', 'hash_topic'] as const;
for (const shared_subscriptions_strategy of STRATEGIES)
  conformance(
    `MQTT 5.0, 4.8.2 strategy ${shared_subscriptions_strategy}`,
    '5.0',
    { shared_subscriptions_strategy },
    (s) => {
      it('[MQTT-4.8.2-1] every message reaches exactly one member', async () => {
        const { topic, filter, members } = await group(s, 3, 1);
        const wide = filter.replace(topic, `${topic}/+`);
        for (const member of members) await member.subscribe({ filter: wide, qos: 1 });
        const pubs = [await s.connect(), await s.connect()];
        const counts = new Map<Client, number>();
        const seen: string[] = [];
        for (let i = 0; i < 12; i++) {
          await pubs[i % 2]?.publish(`${topic}/${i % 4}`, `${i}`, { qos: 1 });
          const member = await receiver(members);
          seen.push((await member.receive()).payload.toString());
          counts.set(member, (counts.get(member) ?? 0) + 1);
        }
        expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => `${i}`));
        for (const member of members) await member.wire.expectNothing(50);
        if (shared_subscriptions_strategy === 'roundrobin')
          expect([...counts.values()]).toEqual([4, 4, 4]);
        if (shared_subscriptions_strategy === 'sticky') expect(counts.size).toBe(1);
        if (shared_subscriptions_strategy === 'hash_clientid')
          expect(counts.size).toBeLessThanOrEqual(2);
      });
    },
  );

conformance('MQTT 5.0, 4.9 Flow Control', '5.0', { max_inflight: 5, receive_maximum: 4 }, (s) => {
  it('[MQTT-4.9.0-1] the send quota is the lower of Receive Maximum and max_inflight', async () => {
    for (const [receiveMaximum, quota] of [
      [65535, 5],
      [2, 2],
      [undefined, 5],
    ] as const) {
      const topic = unique('t');
      const sub = await s.connect({
        properties: receiveMaximum === undefined ? {} : { receiveMaximum },
      });
      await sub.subscribe({ filter: topic, qos: 1 });
      const pub = await s.connect();
      for (let i = 0; i < 8; i++) await pub.publish(topic, `${i}`, { qos: 1 });
      for (let i = 0; i < quota; i++) await sub.wire.expect('PUBLISH');
      await sub.wire.expectNothing();
    }
  });

  it('[MQTT-4.9.0-2] at a quota of zero nothing of QoS above 0 is sent until a place is free', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 2 });
    for (let i = 0; i < 12; i++) await pub.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    // With five places and each freed in turn, everything arrives in order.
    expect(await sub.receiveTexts(12)).toEqual(Array.from({ length: 12 }, (_, i) => `${i}`));
  });

  it('[MQTT-4.9.0-3] at a quota of zero everything else is processed', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { receiveMaximum: 1 } });
    await sub.subscribe({ filter: topic, qos: 1 });
    const pub = await s.connect();
    await pub.publish(topic, '1', { qos: 1 });
    await pub.publish(topic, '2', { qos: 1 });
    const first = await sub.wire.expect('PUBLISH');
    await sub.ping();
    await sub.subscribe(unique('t'));
    await sub.publish(unique('t'), 'x', { qos: 2 });
    sub.send(ack('PUBACK', first.packetId));
    expect((await sub.receive()).payload.toString()).toBe('2');
  });

  it('[MQTT-4.9.0-1] CONNACK tells our Receive Maximum, and that many are accepted', async () => {
    const pub = await s.connect();
    expect(pub.connack.properties.receiveMaximum).toBe(4);
    for (let packetId = 1; packetId <= 4; packetId++) {
      pub.send(publishPacket(unique('t'), 'x', { qos: 2, packetId }));
      expect((await pub.wire.expect('PUBREC')).packetId).toBe(packetId);
    }
    await pub.ping();
  });
});
