// What counts as a device's activity while the broker does not read from it.
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import { eventually } from '../harness/eventually.js';
import { Client } from './mqttjs-client.js';

const listen = '127.0.0.1:0';
let broker: Broker;
let client: Client | undefined;
afterEach(async () => {
  await client?.mqtt.endAsync(true);
  await broker.stop({ timeoutMs: 0 });
});

test('a client that is slowed by its rate is active each time that it is read from again', async () => {
  broker = new Broker({
    unified: { devices: { listen, role: 'device', connections: { max_messages_per_s: 5 } } },
    log: { to: 'off' },
  });
  await broker.start();
  // Three times its Keep Alive will pass before the last message is taken.
  client = await Client.open(broker.addresses[0]?.port ?? 0, 5, { clientId: 'fan', keepalive: 1 });
  const state = () => broker.device('fan').state();
  expect(await state()).toMatchObject({ online: true });
  const taken = Array.from({ length: 25 }, (_, n) =>
    client?.publish('v1/devices/me/telemetry', `{"n":${n}}`, { qos: 1 }),
  );
  // All of it has been sent: from here on nothing but PINGREQ is, which waits behind it.
  await eventually(() => expect(broker.metrics().paused_rate).toBeGreaterThan(0));
  const seen: number[] = [];
  for (let turn = 0; turn < 3; ++turn) {
    const before = (await state())?.lastActivityAt ?? 0;
    await eventually(async () => expect((await state())?.lastActivityAt).toBeGreaterThan(before));
    seen.push((await state())?.lastActivityAt ?? 0);
  }
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  await Promise.all(taken);
  expect(await state()).toMatchObject({ online: true, lastCause: undefined });
  expect(broker.metrics().closed_keep_alive_timeout).toBe(0);
});

test('a client that waits for a hook is not timed out, and is active when it is read from again', async () => {
  broker = new Broker({
    unified: { devices: { listen, role: 'device' } },
    log: { to: 'off' },
  });
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isAsked = false;
  broker.onSubscribe(
    async ({ clientId }) => {
      if (clientId !== 'fan') return;
      isAsked = true;
      await released;
    },
    { timeoutMs: 60_000 },
  );
  await broker.start();
  client = await Client.open(broker.addresses[0]?.port ?? 0, 5, { clientId: 'fan', keepalive: 0 });
  const activity = async () => (await broker.device('fan').state())?.lastActivityAt ?? 0;
  const subscribing = client.subscribe('v1/devices/me/attributes', 1);
  await eventually(() => expect(isAsked).toBe(true));
  const asked = await activity();
  // It is not read from: what it sends is not seen, and the time stays.
  client.mqtt.publish('v1/devices/me/telemetry', '{"t":1}');
  await eventually(() => expect(Date.now()).toBeGreaterThan(asked));
  await broker.ping();
  expect(await activity()).toBe(asked);
  release();
  await subscribing;
  await eventually(async () => expect(await activity()).toBeGreaterThan(asked));
});
