// Every vector of what a server may receive, sent to the broker: an invalid packet ends that one
// connection with its code, a valid one does not count as malformed.
import { expect, it } from 'vitest';
import { frame, hex, string, u8, u16 } from '../harness/bytes.js';
import { publishPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { Reason, VERSIONS, type Version } from '../harness/packets.js';
import { loadVectors, type Vector } from '../harness/vectors.js';
import { type Bench, conformance } from './suite.js';

const AT_ONCE = 24;
const received = loadVectors().filter((vector) => vector.direction === 'c2s');

/** Runs `one` on every vector, some at once, and reports all failures together. */
async function each(vectors: Vector[], one: (vector: Vector) => Promise<void>): Promise<void> {
  const failures: string[] = [];
  const queue = [...vectors];
  const worker = async () => {
    for (let vector = queue.shift(); vector !== undefined; vector = queue.shift()) {
      try {
        await one(vector);
      } catch (error) {
        failures.push(`${vector.name}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(failures.length, failures.slice(0, 8).join('\n\n')).toBe(0);
}

async function refusedConnect(s: Bench, vector: Vector): Promise<void> {
  const wire = await s.raw(vector.version);
  wire.send(vector.bytes);
  // A name or first byte that is not MQTT at all may also be closed without a word.
  const answer = await wire.next().catch((error: Error) => {
    if (!error.message.includes('the connection ended')) throw error;
    return undefined;
  });
  if (answer === undefined) {
    const nameless = /protocol name|fixed header flags/.test(vector.name);
    if (vector.reason !== 0 && !nameless)
      throw new Error(`closed without CONNACK\n${wire.transcript}`);
    return;
  }
  const found = answer.type === 'CONNACK' ? answer.reasonCode : answer.type;
  if (found !== vector.reason || vector.reason === 0)
    throw new Error(`CONNACK ${vector.reason} expected, ${found} came\n${wire.transcript}`);
  await wire.expectClosed();
}

async function refusedPacket(s: Bench, vector: Vector): Promise<void> {
  const client = await s.connect({ version: vector.version });
  client.send(vector.bytes);
  if (vector.name.startsWith('topic: ') && vector.type === 'SUBSCRIBE') {
    // A Topic Filter alone may be refused in SUBACK: 0x8F in 5.0, 0x80 before (only 3.1.1 has it).
    const answer = await client.wire.next().catch(() => undefined);
    if (answer?.type === 'SUBACK') {
      expect(answer.reasonCodes).toEqual([vector.version === '5.0' ? 0x8f : 0x80]);
      return client.close();
    }
    if (answer === undefined) return expect(vector.version).not.toBe('5.0');
    expect(answer).toMatchObject({ type: 'DISCONNECT', reasonCode: vector.reason });
    return client.wire.expectClosed();
  }
  if (vector.name.startsWith('topic: ') && vector.type === 'UNSUBSCRIBE') {
    const answer = await client.wire.next().catch(() => undefined);
    if (answer?.type === 'UNSUBACK') return client.close();
    if (answer === undefined) return expect(vector.version).not.toBe('5.0');
    expect(answer).toMatchObject({ type: 'DISCONNECT', reasonCode: vector.reason });
    return client.wire.expectClosed();
  }
  await client.wire.expectDisconnect(vector.reason);
}

async function acceptedPacket(s: Bench, vector: Vector): Promise<void> {
  // With a Session Expiry Interval, which a DISCONNECT may then change.
  const properties = vector.version === '5.0' ? { sessionExpiryInterval: 1 } : {};
  const client = await s.connect({ version: vector.version, properties });
  client.send(vector.bytes);
  if (vector.type === 'DISCONNECT') return client.wire.expectClosed();
  client.send({ type: 'PINGREQ' });
  for (;;) {
    const answer = await client.wire.next();
    if (answer.type === 'PINGRESP') return client.close();
    if (answer.type !== 'DISCONNECT') continue;
    // Not malformed, but the state may forbid it: an alias never set, AUTH without a method.
    const states: number[] = [Reason.topicAliasInvalid];
    if (vector.type === 'AUTH' || vector.name.includes('Topic Alias')) states.push(0x82);
    expect(states, vector.name).toContain(answer.reasonCode);
    return;
  }
}

const of = (version: Version, valid: boolean, connect: boolean) =>
  received.filter(
    (v) => v.version === version && v.valid === valid && (v.type === 'CONNECT') === connect,
  );

conformance('bad input', '5.0', {}, (s) => {
  it.each(VERSIONS)('every invalid CONNECT of %s is refused with its code', async (version) => {
    await each(of(version, false, true), (vector) => refusedConnect(s, vector));
  });

  it.each(VERSIONS)(
    'every invalid packet of %s ends its connection with its code',
    async (version) => {
      const bystander = await s.connect();
      await each(of(version, false, false), (vector) => refusedPacket(s, vector));
      await bystander.ping();
    },
  );

  it.each(VERSIONS)('every valid packet of %s is accepted', async (version) => {
    await each(of(version, true, false), (vector) => acceptedPacket(s, vector));
  });

  it('a connection that sends other bytes than MQTT is closed', async () => {
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      'SSH-2.0-x\r\n',
      '\x16\x03\x01\x02\x00\x01',
    ]) {
      const wire = await s.raw();
      wire.send(Buffer.from(bytes, 'latin1'));
      await wire.expectClosed();
    }
  });

  it('random bytes after a good CONNECT end the connection and nothing else', async () => {
    const bystander = await s.connect();
    let seed = 12345;
    for (let i = 0; i < 60; i++) {
      const client = await s.connect({ version: VERSIONS[i % 3] ?? '5.0' });
      const bytes = Buffer.alloc(64);
      for (let at = 0; at < bytes.length; at++) {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        bytes[at] = seed >> 16;
      }
      client.send(bytes);
      client.close();
    }
    await bystander.ping();
  });
});

conformance('bad input: sizes', '5.0', { max_packet_size: 1000 }, (s) => {
  it('CONNACK tells the Maximum Packet Size; a packet of that size is accepted', async () => {
    const client = await s.connect();
    expect(client.connack.properties.maximumPacketSize).toBe(1000);
    const head = encode(publishPacket('t', Buffer.alloc(200), { qos: 1, packetId: 1 }), '5.0');
    client.send(publishPacket('t', Buffer.alloc(1200 - head.length), { qos: 1, packetId: 1 }));
    await client.wire.expect('PUBACK');
  });

  it('a larger one ends the connection with 0x95, from its fixed header on', async () => {
    const client = await s.connect();
    // 998 bytes of Remaining Length and three of header are one too many.
    client.send(hex('30 e6 07'));
    await client.wire.expectDisconnect(Reason.packetTooLarge);
    const old = await s.connect({ version: '3.1.1' });
    old.send(hex('30 ff ff ff 7f'));
    await old.wire.expectClosed();
  });

  it('a CONNECT that is larger is refused', async () => {
    const wire = await s.raw();
    wire.send(
      frame(0x10, string('MQTT'), u8(5), u8(2), u16(0), hex('00'), string('c'.repeat(1500))),
    );
    const answer = await wire.next().catch(() => undefined);
    if (answer !== undefined)
      expect(answer).toMatchObject({ type: 'CONNACK', reasonCode: Reason.packetTooLarge });
    await wire.expectClosed();
  });
});

conformance('bad input: silence', '5.0', { connection_timeout_ms: 700 }, (s) => {
  it.concurrent.each([
    ['nothing', ''],
    ['half a CONNECT', '10 14 0004 4d51'],
    ['a fixed header', '10'],
  ])('a connection that sends %s is closed after connection_timeout_ms', async (_, bytes) => {
    const wire = await s.raw();
    const start = performance.now();
    if (bytes !== '') wire.send(hex(bytes));
    await wire.expectClosed(5000);
    expect(performance.now() - start).toBeGreaterThan(500);
  });

  it.concurrent('dripping bytes do not extend it', async () => {
    const wire = await s.raw();
    const start = performance.now();
    for (const byte of hex('10 14 0004 4d51')) {
      wire.send(Buffer.from([byte]));
      if (await wire.hasEnded(200)) break;
    }
    await wire.expectClosed(5000);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it.concurrent('a connection that sent its CONNECT stays', async () => {
    const client = await s.connect({ clientId: unique() });
    await client.wire.expectNothing(1500);
    await client.ping();
  });
});
