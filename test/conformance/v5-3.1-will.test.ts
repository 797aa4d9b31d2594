// MQTT 5.0, 3.1.2.5 to 3.1.2.7 and 3.1.3.2: the Will Message.
import { expect, it } from 'vitest';
import { unique } from '../harness/client.js';
import { Reason } from '../harness/packets.js';
import { type Bench, conformance, sleep } from './suite.js';

/** A watcher on a fresh topic, QoS 2, RETAIN as published. */
async function watch(s: Bench) {
  const topic = unique('will');
  const watcher = await s.connect();
  await watcher.subscribe({ filter: topic, qos: 2, retainAsPublished: true });
  return { topic, watcher };
}

conformance('MQTT 5.0, 3.1.2.5 Will Flag', '5.0', {}, (s) => {
  it('[MQTT-3.1.2-7] the Will Message is stored and published with its QoS and payload', async () => {
    for (const qos of [0, 1, 2] as const) {
      const { topic, watcher } = await watch(s);
      const client = await s.connect({ will: { topic, payload: `q${qos}`, qos } });
      client.close();
      const message = await watcher.receive();
      expect(message).toMatchObject({ topic, qos, retain: false, dup: false });
      expect(message.payload.toString()).toBe(`q${qos}`);
    }
  });

  it('[MQTT-3.1.2-8] it is published when the network fails', async () => {
    const { topic, watcher } = await watch(s);
    const client = await s.connect({ will: { topic, payload: 'reset' } });
    client.wire.reset();
    expect((await watcher.receive()).payload.toString()).toBe('reset');
  });

  it('[MQTT-3.1.2-8] it is published when the server closes for a Protocol Error', async () => {
    const { topic, watcher } = await watch(s);
    const client = await s.connect({ will: { topic, payload: 'error' } });
    client.send(client.connectPacket);
    await client.wire.expectDisconnect(Reason.protocolError);
    expect((await watcher.receive()).payload.toString()).toBe('error');
  });

  it('[MQTT-3.1.2-8] it is published on DISCONNECT 0x04 and on codes of 0x80 or more', async () => {
    for (const code of [Reason.disconnectWithWill, 0x80, 0x83]) {
      const { topic, watcher } = await watch(s);
      const client = await s.connect({ will: { topic, payload: `${code}` } });
      await client.disconnect(code);
      expect((await watcher.receive()).payload.toString()).toBe(`${code}`);
    }
  });

  it('[MQTT-3.1.2-8] it is published on takeover without a resumed Session', async () => {
    const { topic, watcher } = await watch(s);
    const clientId = unique();
    await s.connect({ clientId, will: { topic, payload: 'taken over' } });
    await s.connect({ clientId });
    expect((await watcher.receive()).payload.toString()).toBe('taken over');
  });

  it('[MQTT-3.1.2-8] a Clean Start ends the old Session, and publishes its delayed will at once', async () => {
    const { topic, watcher } = await watch(s);
    const clientId = unique();
    const client = await s.connect({
      clientId,
      properties: { sessionExpiryInterval: 60 },
      will: { topic, payload: 'discarded', properties: { willDelayInterval: 600 } },
    });
    client.close();
    await watcher.wire.expectNothing();
    await s.connect({ clientId, cleanStart: true });
    expect((await watcher.receive()).payload.toString()).toBe('discarded');
  });

  it('[MQTT-3.1.2-10] it is removed on DISCONNECT 0x00', async () => {
    const { topic, watcher } = await watch(s);
    const client = await s.connect({ will: { topic, payload: 'never' } });
    await client.disconnect();
    await watcher.wire.expectNothing();
  });

  it('[MQTT-3.1.2-10] it is published once and not again by a later connection', async () => {
    const { topic, watcher } = await watch(s);
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    (await s.connect({ clientId, properties, will: { topic, payload: 'once' } })).close();
    expect((await watcher.receive()).payload.toString()).toBe('once');
    (await s.connect({ clientId, properties, cleanStart: false })).close();
    await watcher.wire.expectNothing();
  });

  it('[MQTT-3.1.2-14] without Will Retain it is published as not retained', async () => {
    const { topic, watcher } = await watch(s);
    (await s.connect({ will: { topic, payload: 'x', retain: false } })).close();
    expect((await watcher.receive()).retain).toBe(false);
    const later = await s.connect();
    await later.subscribe(topic);
    await later.wire.expectNothing();
  });

  it('[MQTT-3.1.2-15] with Will Retain it is published as retained', async () => {
    const { topic, watcher } = await watch(s);
    (await s.connect({ will: { topic, payload: 'kept', retain: true, qos: 1 } })).close();
    expect((await watcher.receive()).retain).toBe(true);
    const later = await s.connect();
    await later.subscribe({ filter: topic, qos: 1 });
    expect(await later.receive()).toMatchObject({ retain: true, qos: 1 });
    await later.publish(topic, '', { retain: true });
  });

  it('[MQTT-3.1.3-10] its User Properties keep their order', async () => {
    const { topic, watcher } = await watch(s);
    const userProperty: [string, string][] = [
      ['b', '1'],
      ['a', '2'],
      ['b', '0'],
    ];
    (await s.connect({ will: { topic, properties: { userProperty } } })).close();
    expect((await watcher.receive()).properties.userProperty).toEqual(userProperty);
  });

  it('[MQTT-3.1.2-9] Will Properties are published with it, the Will Delay Interval is not', async () => {
    const { topic, watcher } = await watch(s);
    const message = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 100,
      contentType: 'text/plain',
      responseTopic: 'answer/here',
      correlationData: Buffer.from([1, 2, 3]),
    };
    const client = await s.connect({
      will: { topic, payload: 'p', properties: { ...message, willDelayInterval: 0 } },
    });
    client.close();
    expect((await watcher.receive()).properties).toEqual(message);
  });

  it.concurrent('[MQTT-3.1.2-8] it is published when Keep Alive has run out', async () => {
    const { topic, watcher } = await watch(s);
    await s.connect({ keepAlive: 1, will: { topic, payload: 'silent' } });
    expect((await watcher.receive()).payload.toString()).toBe('silent');
  });

  it.concurrent('[MQTT-3.1.2-8] it waits for the Will Delay Interval', async () => {
    const { topic, watcher } = await watch(s);
    const client = await s.connect({
      properties: { sessionExpiryInterval: 60 },
      will: { topic, payload: 'late', properties: { willDelayInterval: 1 } },
    });
    const start = performance.now();
    client.close();
    expect((await watcher.receive()).payload.toString()).toBe('late');
    expect(performance.now() - start).toBeGreaterThan(800);
  });

  it.concurrent('[MQTT-3.1.2-8] the end of the Session comes before a longer Will Delay', async () => {
    for (const sessionExpiryInterval of [0, 1]) {
      const { topic, watcher } = await watch(s);
      const client = await s.connect({
        properties: { sessionExpiryInterval },
        will: { topic, payload: 'session end', properties: { willDelayInterval: 600 } },
      });
      client.close();
      expect((await watcher.receive()).payload.toString()).toBe('session end');
    }
  });

  it.concurrent('[MQTT-3.1.3-9] a new connection before the Will Delay passed stops it', async () => {
    const { topic, watcher } = await watch(s);
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const client = await s.connect({
      clientId,
      properties,
      will: { topic, payload: 'never', properties: { willDelayInterval: 1 } },
    });
    client.close();
    const second = await s.connect({ clientId, cleanStart: false, properties });
    expect(second.connack.sessionPresent).toBe(true);
    await watcher.wire.expectNothing(1500);
  });

  it.concurrent('[MQTT-3.1.3-9] a takeover that resumes the Session stops a delayed will', async () => {
    const { topic, watcher } = await watch(s);
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const will = { topic, payload: 'never', properties: { willDelayInterval: 1 } };
    await s.connect({ clientId, properties, will });
    await s.connect({ clientId, cleanStart: false, properties });
    await watcher.wire.expectNothing(1400);
  });

  it.concurrent('[MQTT-3.1.2-8] its expiry counts from its publication, not from the CONNECT', async () => {
    const { topic, watcher } = await watch(s);
    const client = await s.connect({
      will: { topic, payload: 'fresh', properties: { messageExpiryInterval: 1 } },
    });
    await sleep(1500);
    client.close();
    expect((await watcher.receive()).payload.toString()).toBe('fresh');
  });
});
