// Promises wait for the store: with one that takes its time, and with one that fails.
import { expect, it } from 'vitest';
import { ack, type Client, publishPacket, unique } from '../harness/client.js';
import { Reason, type Version } from '../harness/packets.js';
import { type Bench, conformance } from './suite.js';

const SLOW_MS = 50;
/** A timer may fire a little early; a promise may not. */
const WAITED_MS = SLOW_MS - 5;
const session = { sessionExpiryInterval: 60 };

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** A topic with a subscriber whose Session lasts, so that a publish to it is a promise. */
async function promised(s: Bench): Promise<{ topic: string; sub: Client }> {
  const topic = unique('t');
  const sub = await s.connect({ properties: session });
  await sub.subscribe({ filter: topic, qos: 2 });
  return { topic, sub };
}

conformance('tickets of a slow store', '5.0', { store: { kind: 'slow', ms: SLOW_MS } }, (s) => {
  it('[MQTT-4.3.2-4] PUBACK and PUBREC wait until the message is stored', async () => {
    const { topic } = await promised(s);
    const pub = await s.connect();
    expect(await elapsed(() => pub.publish(topic, 'x', { qos: 1 }))).toBeGreaterThan(WAITED_MS);
    pub.send(publishPacket(topic, 'x', { qos: 2, packetId: 9 }));
    expect(await elapsed(() => pub.wire.expect('PUBREC'))).toBeGreaterThan(WAITED_MS);
  });

  it('[MQTT-3.3.1-5] PUBACK waits until a retained message is stored', async () => {
    const [pub, topic] = [await s.connect(), unique('t')];
    const retained = () => pub.publish(topic, 'x', { qos: 1, retain: true });
    expect(await elapsed(retained)).toBeGreaterThan(WAITED_MS);
  });

  it('[MQTT-3.8.4-1] SUBACK of a lasting Session waits until the subscription is stored', async () => {
    const client = await s.connect({ properties: session });
    expect(await elapsed(() => client.subscribe(unique('t')))).toBeGreaterThan(WAITED_MS);
  });

  it('[MQTT-3.1.4-5] CONNACK of a lasting Session waits until it is stored', async () => {
    expect(await elapsed(() => s.connect({ properties: session }))).toBeGreaterThan(WAITED_MS);
    const old = { version: '3.1.1', cleanStart: false } as const;
    expect(await elapsed(() => s.connect(old))).toBeGreaterThan(WAITED_MS);
  });

  it('[MQTT-3.12.4-1] PINGRESP does not wait behind a promise', async () => {
    const { topic } = await promised(s);
    const pub = await s.connect();
    pub.wire.sendTogether(publishPacket(topic, 'x', { qos: 1, packetId: 1 }), { type: 'PINGREQ' });
    expect((await pub.wire.next()).type).toBe('PINGRESP');
    expect((await pub.wire.next()).type).toBe('PUBACK');
  });

  it('[MQTT-4.3.2-4] PUBACK keeps the order of PUBLISH, promise or not', async () => {
    const { topic } = await promised(s);
    const pub = await s.connect();
    pub.wire.sendTogether(
      publishPacket(topic, 'stored', { qos: 1, packetId: 3 }),
      publishPacket(unique('t'), 'to nobody', { qos: 1, packetId: 1 }),
      publishPacket(topic, 'stored', { qos: 1, packetId: 2 }),
    );
    for (const packetId of [3, 1, 2])
      expect((await pub.wire.expect('PUBACK')).packetId).toBe(packetId);
  });

  it('[MQTT-4.3.3-8] PUBREC keeps the order of PUBLISH, promise or not', async () => {
    const { topic } = await promised(s);
    const pub = await s.connect();
    pub.wire.sendTogether(
      publishPacket(topic, 'stored', { qos: 2, packetId: 3 }),
      publishPacket(unique('t'), 'to nobody', { qos: 2, packetId: 1 }),
      publishPacket(topic, 'stored', { qos: 2, packetId: 2 }),
    );
    for (const packetId of [3, 1, 2])
      expect((await pub.wire.expect('PUBREC')).packetId).toBe(packetId);
  });

  it('[MQTT-4.9.0-1] promises are pipelined, not one after the other', async () => {
    const { topic, sub } = await promised(s);
    const pub = await s.connect();
    const count = 50;
    const took_ms = await elapsed(async () => {
      for (let i = 1; i <= count; i++)
        pub.send(publishPacket(topic, `${i}`, { qos: 1, packetId: i }));
      for (let i = 1; i <= count; i++) expect((await pub.wire.expect('PUBACK')).packetId).toBe(i);
    });
    expect(took_ms).toBeLessThan((count * SLOW_MS) / 2);
    expect(await sub.receiveTexts(count)).toEqual(
      Array.from({ length: count }, (_, i) => `${i + 1}`),
    );
  });

  it('[MQTT-4.3.3-10] a QoS 2 resend attaches to the commit that is under way', async () => {
    const { topic, sub } = await promised(s);
    const clientId = unique();
    const pub = await s.connect({ clientId, properties: session });
    pub.send(publishPacket(topic, 'once', { qos: 2, packetId: 7 }));
    await pub.ping();
    const again = await s.connect({ clientId, cleanStart: false, properties: session });
    again.send(publishPacket(topic, 'once', { qos: 2, packetId: 7, dup: true }));
    expect((await again.wire.expect('PUBREC')).packetId).toBe(7);
    again.send(ack('PUBREL', 7));
    await again.wire.expect('PUBCOMP');
    expect((await sub.receive()).payload.toString()).toBe('once');
    await sub.wire.expectNothing();
  });

  it('[MQTT-3.2.2-3] a Session that is taken over while it is stored stays one: one connection is left', async () => {
    const clientId = unique();
    const clients: Client[] = [];
    for (let i = 0; i < 5; i++)
      clients.push(await s.open({ clientId, cleanStart: false, properties: session }));
    // Which CONNECT is read last is up to the threads; each but that one is taken over.
    let left = 0;
    for (const client of clients) {
      client.send({ type: 'PINGREQ' });
      let packet = await client.wire.next().catch(() => undefined);
      while (packet !== undefined && packet.type !== 'PINGRESP' && packet.type !== 'DISCONNECT')
        packet = await client.wire.next().catch(() => undefined);
      if (packet?.type === 'PINGRESP' && !(await client.wire.hasPacket(SLOW_MS * 3))) {
        if (!(await client.wire.hasEnded(0))) left += 1;
      }
    }
    expect(left).toBe(1);
  });
});

conformance(
  'tickets count in our Receive Maximum',
  '5.0',
  { store: { kind: 'slow', ms: 300 }, receive_maximum: 2 },
  (s) => {
    it('[MQTT-4.9.0-1] a third unacknowledged publish is 0x93 though nothing was acknowledged yet', async () => {
      const { topic } = await promised(s);
      const pub = await s.connect();
      for (const packetId of [1, 2, 3]) pub.send(publishPacket(topic, 'x', { qos: 1, packetId }));
      await pub.wire.expectDisconnect(Reason.receiveMaximumExceeded);
    });
  },
);

conformance('tickets of a failing store', '5.0', { store: { kind: 'failing' } }, (s) => {
  it.each(['3.1', '3.1.1', '5.0'] as Version[])(
    '[MQTT-3.1.4-5] a lasting Session of %s is not promised: CONNACK refuses, or the connection ends',
    async (version) => {
      const client = await s.open({
        version,
        cleanStart: false,
        properties: version === '5.0' ? session : {},
      });
      const answer = await client.wire.next().catch(() => undefined);
      if (answer !== undefined) {
        expect(answer.type).toBe('CONNACK');
        if (answer.type === 'CONNACK') expect(answer.reasonCode).not.toBe(0);
        await client.wire.expectClosed();
      }
    },
  );

  it('[MQTT-4.3.2-4] [MQTT-4.3.3-8] what was not stored is not acknowledged as if it were', async () => {
    for (const qos of [1, 2] as const) {
      const client = await s.connect();
      client.send(publishPacket(unique('t'), 'x', { qos, packetId: 1, retain: true }));
      const answer = await client.wire.next();
      expect(['PUBACK', 'PUBREC', 'DISCONNECT']).toContain(answer.type);
      if ('reasonCode' in answer) expect(answer.reasonCode).toBeGreaterThanOrEqual(0x80);
    }
  });

  it('[MQTT-4.8.0-2] a 3.1.1 publisher is closed without PUBACK', async () => {
    const client = await s.connect({ version: '3.1.1' });
    client.send(publishPacket(unique('t'), 'x', { qos: 1, packetId: 1, retain: true }));
    await client.wire.expectClosed();
  });

  it('[MQTT-4.13.1-1] what needs no promise goes on', async () => {
    const topic = unique('t');
    const [sub, pub] = [await s.connect(), await s.connect()];
    await sub.subscribe({ filter: topic, qos: 1 });
    await pub.publish(topic, 'x', { qos: 1 });
    expect((await sub.receive()).payload.toString()).toBe('x');
  });
});
