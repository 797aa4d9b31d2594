// MQTT 3.1.1, 4 Operational behavior and 7 Conformance.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u16 } from '../harness/bytes.js';
import { ack, publishPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import type { PublishPacket } from '../harness/packets.js';
import { filterMatches } from '../harness/topics.js';
import { type Bench, conformance, sleep } from './suite.js';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);

async function pair(s: Bench, qos: 0 | 1 | 2) {
  const [clientId, topic] = [unique(), unique('t')];
  const sub = await s.connect({ clientId, cleanStart: false });
  const pub = await s.connect();
  await sub.subscribe({ filter: topic, qos });
  return { topic, sub, pub, resume: () => s.connect({ clientId, cleanStart: false }) };
}

conformance('MQTT 3.1.1, 4.1 state and 4.3 QoS', '3.1.1', {}, (s) => {
  it('[MQTT-4.3.1-1] QoS 0 is sent with DUP 0 and no Packet Identifier', async () => {
    const { topic, sub, pub } = await pair(s, 0);
    for (const qos of [0, 1, 2] as const) {
      await pub.publish(topic, 'x', { qos, dup: qos > 0 });
      const message = await sub.receive();
      expect(message).toMatchObject({ qos: 0, dup: false });
      expect(message.packetId).toBeUndefined();
    }
  });

  it('[MQTT-4.3.2-1] QoS 1, sender: unused identifiers, DUP 0, unacknowledged until PUBACK', async () => {
    const { topic, sub, pub, resume } = await pair(s, 1);
    for (const text of numbers(6)) await pub.publish(topic, text, { qos: 1, dup: true });
    const sent: PublishPacket[] = [];
    for (let i = 0; i < 6; i++) sent.push(await sub.wire.expect('PUBLISH'));
    expect(new Set(sent.map((message) => message.packetId)).size).toBe(6);
    expect(sent.every((message) => message.qos === 1 && !message.dup)).toBe(true);
    for (const message of sent.slice(0, 4)) sub.send(ack('PUBACK', message.packetId));
    await sub.ping();
    sub.close();
    const again = await resume();
    expect(await again.receiveTexts(2)).toEqual(['4', '5']);
    await again.wire.expectNothing();
  });

  it('[MQTT-4.3.2-2] QoS 1, receiver: PUBACK, after it the same identifier is a new message', async () => {
    const { topic, sub, pub } = await pair(s, 1);
    for (const dup of [false, true, false]) {
      pub.send(publishPacket(topic, `${dup}`, { qos: 1, packetId: 5, dup }));
      expect((await pub.wire.expect('PUBACK')).packetId).toBe(5);
    }
    expect(await sub.receiveTexts(3)).toEqual(['false', 'true', 'false']);
  });

  it('[MQTT-4.3.3-1] QoS 2, sender: PUBLISH until PUBREC, then PUBREL until PUBCOMP', async () => {
    const { topic, sub, pub, resume } = await pair(s, 2);
    await pub.publish(topic, 'x', { qos: 2 });
    const sent = await sub.wire.expect('PUBLISH');
    expect(sent).toMatchObject({ qos: 2, dup: false });
    sub.close();
    const second = await resume();
    const again = await second.wire.expect('PUBLISH');
    expect(again).toMatchObject({ dup: true, packetId: sent.packetId });
    second.send(ack('PUBREC', sent.packetId));
    expect((await second.wire.expect('PUBREL')).packetId).toBe(sent.packetId);
    second.close();
    const third = await resume();
    expect((await third.wire.expect('PUBREL')).packetId).toBe(sent.packetId);
    third.send(ack('PUBCOMP', sent.packetId));
    await third.ping();
    third.close();
    await (await resume()).wire.expectNothing();
  });

  it('[MQTT-4.3.3-2] QoS 2, receiver: PUBREC each time, one delivery, PUBCOMP; then the identifier is new', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    for (const dup of [false, true, true]) {
      pub.send(publishPacket(topic, 'once', { qos: 2, packetId: 5, dup }));
      expect((await pub.wire.expect('PUBREC')).packetId).toBe(5);
    }
    for (let i = 0; i < 2; i++) {
      pub.send(ack('PUBREL', 5));
      expect((await pub.wire.expect('PUBCOMP')).packetId).toBe(5);
    }
    await pub.publish(topic, 'new', { qos: 2, packetId: 5, dup: true });
    expect(await sub.receiveTexts(2)).toEqual(['once', 'new']);
    await sub.wire.expectNothing();
  });

  it('[MQTT-4.3.3-2] also when the publisher reconnects in between', async () => {
    const { topic, sub } = await pair(s, 2);
    const clientId = unique();
    const pub = await s.connect({ clientId, cleanStart: false });
    pub.send(publishPacket(topic, 'once', { qos: 2, packetId: 5 }));
    await pub.wire.expect('PUBREC');
    pub.close();
    const again = await s.connect({ clientId, cleanStart: false });
    again.send(publishPacket(topic, 'once', { qos: 2, packetId: 5, dup: true }));
    await again.wire.expect('PUBREC');
    again.send(ack('PUBREL', 5));
    await again.wire.expect('PUBCOMP');
    expect((await sub.receive()).payload.toString()).toBe('once');
    await sub.wire.expectNothing();
  });

  it.concurrent('[MQTT-4.1.0-1] [MQTT-4.1.0-2] a Session lasts as long as its connection, and beyond it with CleanSession 0', async () => {
    const { topic, sub, pub, resume } = await pair(s, 1);
    await sleep(1500);
    await pub.publish(topic, 'while connected', { qos: 1 });
    expect((await sub.receive()).payload.toString()).toBe('while connected');
    await sub.disconnect();
    await sleep(1000);
    await pub.publish(topic, 'while away', { qos: 1 });
    expect((await (await resume()).receive()).payload.toString()).toBe('while away');
  });
});

conformance('MQTT 3.1.1, 4.4 to 4.6 retry, receipt, ordering', '3.1.1', {}, (s) => {
  it('[MQTT-4.4.0-1] [MQTT-4.6.0-1] on resuming, what is unacknowledged comes again in order, with its identifiers', async () => {
    const { topic, sub, pub, resume } = await pair(s, 2);
    for (let i = 0; i < 6; i++) await pub.publish(topic, `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    const sent: PublishPacket[] = [];
    for (let i = 0; i < 6; i++) sent.push(await sub.wire.expect('PUBLISH'));
    sub.send(ack('PUBREC', sent[1]?.packetId));
    await sub.wire.expect('PUBREL');
    sub.close();
    const again = await resume();
    const publishes: (number | undefined)[] = [];
    for (let i = 0; i < 6; i++) {
      const packet = await again.wire.next();
      if (packet.type === 'PUBREL') expect(packet.packetId).toBe(sent[1]?.packetId);
      else if (packet.type === 'PUBLISH') publishes.push(packet.packetId);
      else throw new Error(`${packet.type} came`);
    }
    expect(publishes).toEqual([0, 2, 3, 4, 5].map((i) => sent[i]?.packetId));
  });

  it('[MQTT-4.5.0-1] a message is added to every matching Session, connected or not', async () => {
    const topic = unique('t');
    const ids = [unique(), unique(), unique()];
    for (const clientId of ids) {
      const client = await s.connect({ clientId, cleanStart: false });
      await client.subscribe({ filter: `${topic}/+`, qos: 1 });
      if (clientId !== ids[0]) await client.disconnect();
    }
    const pub = await s.connect();
    for (const text of numbers(15)) await pub.publish(`${topic}/${text}`, text, { qos: 1 });
    for (const clientId of ids) {
      const client = await s.connect({ clientId, cleanStart: false });
      expect(await client.receiveTexts(15)).toEqual(numbers(15));
    }
  });

  it('[MQTT-4.6.0-2] PUBACK comes in the order of PUBLISH', async () => {
    const { topic, pub } = await pair(s, 1);
    const ids = [9, 3, 65535, 1, 300];
    pub.wire.sendTogether(
      ...ids.map((packetId) => publishPacket(topic, 'x', { qos: 1, packetId })),
    );
    for (const packetId of ids) expect((await pub.wire.expect('PUBACK')).packetId).toBe(packetId);
  });

  it('[MQTT-4.6.0-3] PUBREC comes in the order of PUBLISH', async () => {
    const { topic, pub } = await pair(s, 2);
    const ids = [9, 3, 65535, 1, 300];
    pub.wire.sendTogether(
      ...ids.map((packetId) => publishPacket(topic, 'x', { qos: 2, packetId })),
    );
    for (const packetId of ids) expect((await pub.wire.expect('PUBREC')).packetId).toBe(packetId);
  });

  it('[MQTT-4.6.0-4] PUBREL comes in the order of PUBREC', async () => {
    const { topic, sub, pub } = await pair(s, 2);
    for (const text of numbers(5)) await pub.publish(topic, text, { qos: 2 });
    const ids: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) ids.unshift((await sub.wire.expect('PUBLISH')).packetId);
    sub.wire.sendTogether(...ids.map((packetId) => ack('PUBREC', packetId)));
    for (const packetId of ids) expect((await sub.wire.expect('PUBREL')).packetId).toBe(packetId);
  });

  it.each([0, 1, 2] as const)(
    '[MQTT-4.6.0-5] [MQTT-4.6.0-6] messages of QoS %i reach every subscriber in order',
    async (qos) => {
      const topic = unique('t');
      const subs = [await s.connect(), await s.connect()];
      const pub = await s.connect();
      for (const sub of subs) await sub.subscribe({ filter: topic, qos });
      for (const text of numbers(50)) await pub.publish(topic, text, { qos });
      for (const sub of subs) expect(await sub.receiveTexts(50)).toEqual(numbers(50));
    },
  );
});

conformance('MQTT 3.1.1, 4.7 Topic Names and Topic Filters', '3.1.1', {}, (s) => {
  /** The connection is closed, or the filter alone is refused with 0x80. */
  async function refused(filter: Buffer): Promise<void> {
    const client = await s.connect();
    client.send(frame(0x82, u16(1), filter, hex('00')));
    const answer = await client.wire.next().catch(() => undefined);
    if (answer === undefined) return client.wire.expectClosed();
    expect(answer).toMatchObject({ type: 'SUBACK', reasonCodes: [0x80] });
  }

  it.each(['a/+', '#'])(
    '[MQTT-4.7.1-1] the wildcard in the Topic Name %s closes the connection',
    async (topic) => {
      const client = await s.connect();
      client.send(publishPacket(topic, 'x', { qos: 1, packetId: 1 }));
      await client.wire.expectClosed();
    },
  );

  it.each(['a#', 'a/#/b', '#/a', '##'])('[MQTT-4.7.1-2] the filter %s is refused', async (filter) =>
    refused(string(filter)),
  );

  it.each(['a+', '+a', 'a/+b/c', '++'])('[MQTT-4.7.1-3] the filter %s is refused', async (filter) =>
    refused(string(filter)),
  );

  const topics = ['', '/', '/a', '/a/b', '//b', '/a/', 'x'];
  it.each(['', '/#', '/+', '/+/b', '/a/#', '/+/+', '//b', '/'])(
    '[MQTT-4.7.1-2] [MQTT-4.7.1-3] the filter BASE%s matches what it should',
    async (pattern) => {
      const base = unique('t');
      const [sub, pub] = [await s.connect(), await s.connect()];
      await sub.subscribe([`${base}${pattern}`, `end/${base}`]);
      for (const topic of topics) await pub.publish(`${base}${topic}`, topic);
      await pub.publish(`end/${base}`, 'end');
      const wanted = topics.filter((topic) =>
        filterMatches(`${base}${pattern}`, `${base}${topic}`),
      );
      expect(await sub.receiveTexts(wanted.length + 1)).toEqual([...wanted, 'end']);
    },
  );

  it('[MQTT-4.7.2-1] filters that begin with a wildcard do not match topics that begin with $', async () => {
    const name = unique('t');
    const [sub, exact, pub] = [await s.connect(), await s.connect(), await s.connect()];
    await sub.subscribe([`+/${name}`, `+/${name}/#`]);
    await exact.subscribe(`$own/${name}`);
    await pub.publish(`$own/${name}`, 'hidden', { qos: 1 });
    await pub.publish(`own/${name}`, 'shown', { qos: 1 });
    expect((await sub.receive()).payload.toString()).toBe('shown');
    expect((await exact.receive()).payload.toString()).toBe('hidden');
  });

  it('[MQTT-4.7.3-1] an empty Topic Name closes the connection, an empty filter is refused', async () => {
    const client = await s.connect();
    client.send(publishPacket('', 'x'));
    await client.wire.expectClosed();
    await refused(string(''));
  });

  it('[MQTT-4.7.3-2] U+0000 closes the connection', async () => {
    for (const bytes of [
      frame(0x30, binary(hex('00'))),
      frame(0x82, u16(1), binary(hex('0061')), hex('00')),
    ]) {
      const client = await s.connect();
      client.send(bytes);
      await client.wire.expectClosed();
    }
  });

  it('[MQTT-4.7.3-3] 65535 bytes are carried', async () => {
    const topic = unique('t').padEnd(65_535, 'x');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe(topic);
    await pub.publish(topic, 'x');
    expect((await sub.receive()).topic).toBe(topic);
  });

  it('[MQTT-4.7.3-4] matching normalizes nothing', async () => {
    const base = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe(`${base}/caf\u00e9`);
    for (const level of ['cafe\u0301', 'CAF\u00c9', 'caf\u00e9/', ' caf\u00e9'])
      await pub.publish(`${base}/${level}`, 'not this');
    await pub.publish(`${base}/caf\u00e9`, 'this');
    expect((await sub.receive()).payload.toString()).toBe('this');
  });
});

conformance('MQTT 3.1.1, 4.8 Handling errors and 7 Conformance', '3.1.1', {}, (s) => {
  it.each([
    ['packet type 0', hex('00 00')],
    ['packet type 15', hex('f0 00')],
    ['CONNACK from a client', hex('20 02 00 00')],
    ['PINGRESP from a client', hex('d0 00')],
    ['a PUBACK that is too short', hex('40 01 00')],
    ['a PINGREQ with a body', hex('c0 01 00')],
  ])('[MQTT-4.8.0-1] %s closes the connection and only that', async (_, bytes) => {
    const [client, bystander] = [await s.connect(), await s.connect()];
    client.send(bytes);
    await client.wire.expectClosed();
    await bystander.ping();
  });

  it('[MQTT-7.0.0-2] [MQTT-7.1.1-1] plain MQTT over a TCP stream is enough, byte by byte or all at once', async () => {
    const topic = unique('t');
    const client = await s.connect();
    await client.subscribe(topic);
    for (const byte of encode(publishPacket(topic, 'x'), '3.1.1')) {
      client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.receive()).payload.toString()).toBe('x');
    client.send(
      Buffer.concat(numbers(300).map((text) => encode(publishPacket(topic, text), '3.1.1'))),
    );
    expect(await client.receiveTexts(300)).toEqual(numbers(300));
  });
});
