// MQTT 3.1.1, 3.1.2.5 to 3.1.2.7 and 3.1.3.2: the Will Message.
import { expect, it } from 'vitest';
import { binary, frame, hex, string, u8, u16 } from '../harness/bytes.js';
import { unique } from '../harness/client.js';
import { type Bench, conformance } from './suite.js';

const connectBytes = (flags: number, ...payload: Buffer[]) =>
  frame(0x10, string('MQTT'), u8(4), u8(flags), u16(0), ...payload);

async function watch(s: Bench) {
  const topic = unique('will');
  const watcher = await s.connect();
  await watcher.subscribe({ filter: topic, qos: 2 });
  return { topic, watcher };
}

conformance('MQTT 3.1.1, the Will Message', '3.1.1', {}, (s) => {
  it('[MQTT-3.1.2-8] it is published with its QoS when the connection ends without DISCONNECT', async () => {
    for (const qos of [0, 1, 2] as const) {
      const { topic, watcher } = await watch(s);
      const client = await s.connect({ will: { topic, payload: `q${qos}`, qos } });
      if (qos === 1) client.wire.reset();
      else client.close();
      const message = await watcher.receive();
      expect(message).toMatchObject({ topic, qos, retain: false, dup: false });
      expect(message.payload.toString()).toBe(`q${qos}`);
    }
  });

  it('[MQTT-3.1.2-8] it is published when the server closes for a protocol violation, and on takeover', async () => {
    const { topic, watcher } = await watch(s);
    const clientId = unique();
    const client = await s.connect({ clientId, will: { topic, payload: 'violation' } });
    client.send(client.connectPacket);
    await client.wire.expectClosed();
    expect((await watcher.receive()).payload.toString()).toBe('violation');
    await s.connect({ clientId, will: { topic, payload: 'takeover' } });
    await s.connect({ clientId });
    expect((await watcher.receive()).payload.toString()).toBe('takeover');
  });

  it('[MQTT-3.1.2-8] an empty Will Message is published too', async () => {
    const { topic, watcher } = await watch(s);
    (await s.connect({ will: { topic } })).close();
    expect((await watcher.receive()).payload.length).toBe(0);
  });

  it('[MQTT-3.1.2-9] the Will Flag without will fields closes the connection', async () => {
    for (const payload of [[], [string('w')]]) {
      const wire = await s.raw();
      wire.send(connectBytes(0x06, string(unique()), ...payload));
      await wire.expectClosed();
    }
  });

  it('[MQTT-3.1.2-10] it is removed by DISCONNECT, and published once only', async () => {
    const { topic, watcher } = await watch(s);
    await (await s.connect({ will: { topic, payload: 'never' } })).disconnect();
    const clientId = unique();
    (await s.connect({ clientId, cleanStart: false, will: { topic, payload: 'once' } })).close();
    expect((await watcher.receive()).payload.toString()).toBe('once');
    (await s.connect({ clientId, cleanStart: false })).close();
    await watcher.wire.expectNothing();
  });

  it('[MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-15] will options without the Will Flag close the connection', async () => {
    for (const flags of [0x0a, 0x12, 0x22]) {
      const wire = await s.raw();
      wire.send(connectBytes(flags, string(unique())));
      await wire.expectClosed();
    }
    const wire = await s.raw();
    wire.send(connectBytes(0x02, string(unique()), string('w'), binary(hex('78'))));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.2-12] without the Will Flag nothing is published', async () => {
    const { topic, watcher } = await watch(s);
    const clientId = unique();
    await (await s.connect({ clientId, will: { topic, payload: 'old' } })).disconnect();
    (await s.connect({ clientId })).close();
    await watcher.wire.expectNothing();
  });

  it('[MQTT-3.1.2-14] Will QoS 3 closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x1e, string(unique()), string('w'), binary(hex('78'))));
    await wire.expectClosed();
  });

  it('[MQTT-3.1.2-16] without Will Retain it is not retained', async () => {
    const { topic, watcher } = await watch(s);
    (await s.connect({ will: { topic, payload: 'x' } })).close();
    await watcher.receive();
    const late = await s.connect();
    await late.subscribe(topic);
    await late.wire.expectNothing();
  });

  it('[MQTT-3.1.2-17] with Will Retain it is retained', async () => {
    const { topic, watcher } = await watch(s);
    (await s.connect({ will: { topic, payload: 'kept', qos: 1, retain: true } })).close();
    expect((await watcher.receive()).retain).toBe(false);
    const late = await s.connect();
    await late.subscribe({ filter: topic, qos: 1 });
    expect(await late.receive()).toMatchObject({ retain: true, qos: 1 });
  });

  it('[MQTT-3.1.3-10] a Will Topic that is not UTF-8 closes the connection', async () => {
    const wire = await s.raw();
    wire.send(connectBytes(0x06, string(unique()), binary(hex('ff')), binary(hex('78'))));
    await wire.expectClosed();
  });

  it.concurrent('[MQTT-3.1.2-8] it is published when Keep Alive has run out', async () => {
    const { topic, watcher } = await watch(s);
    await s.connect({ keepAlive: 1, will: { topic, payload: 'silent' } });
    expect((await watcher.receive()).payload.toString()).toBe('silent');
  });
});
