// Replay of logs (dynamic filters): nobody gets from a log what he would not have got live, and what the
// console looks on with is no subscriber.
import { WebSocket } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.ts';
import type { LogRecord } from '../../src/log/logger.ts';
import { eventually } from '../harness/eventually.js';
import { Client, type Version } from './mqttjs-client.js';

const listen = '127.0.0.1:0';
const connections = { dynamic_filters: true };
const running: Broker[] = [];
const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true)));
  await Promise.all(running.splice(0).map((broker) => broker.stop({ timeoutMs: 0 })));
});

async function start(options: BrokerOptions): Promise<Broker> {
  const broker = new Broker({
    broker: { io_threads: 2 },
    device: { dynamic_replay: 'backlog' },
    log: { to: 'off' },
    ...options,
  });
  running.push(broker);
  await broker.start();
  return broker;
}
async function open(broker: Broker, at: string, version: Version, clientId: string) {
  const port = broker.addresses.find((one) => one.listener.endsWith(at))?.port ?? 0;
  const client = await Client.open(port, version, { clientId });
  clients.push(client);
  return client;
}
const seen = async (client: Client, count: number) =>
  (await client.take(count)).map(({ topic, text }) => `${topic} ${text}`).sort();
const say = (client: Client, topic: string, text: string) =>
  client.publish(topic, text, { qos: 1 });

describe.each([4, 5] as const)('MQTT version %i', (version) => {
  test('a device gets its own topics of a log, and leaves the others’ to a service', async () => {
    const broker = await start({
      unified: {
        devices: { listen, role: 'device', connections },
        services: { listen, role: 'service', connections },
      },
    });
    const fan = await open(broker, 'devices', version, 'fan');
    const pump = await open(broker, 'devices', version, 'pump');
    for (const [client, name] of [
      [fan, 'fan'],
      [pump, 'pump'],
    ] as const) {
      for (const n of [1, 2]) await say(client, 'v1/devices/me/telemetry', `${name} ${n}`);
    }
    await expect
      .poll(() => broker.registry.log('v1/devices/pump/telemetry'))
      .toMatchObject({ messages: 2 });
    await fan.subscribe('v1/devices/+/telemetry', 1);
    expect(await seen(fan, 2)).toEqual([
      'v1/devices/fan/telemetry fan 1',
      'v1/devices/fan/telemetry fan 2',
    ]);
    expect(await fan.surplus()).toEqual([]);
    await expect.poll(() => broker.registry.log('v1/devices/fan/telemetry')).toBeUndefined();
    await expect
      .poll(() => broker.registry.log('v1/devices/pump/telemetry'))
      .toMatchObject({ messages: 2 });
    const backend = await open(broker, 'services', version, 'backend');
    await backend.subscribe('v1/devices/+/telemetry', 1);
    expect(await seen(backend, 2)).toEqual([
      'v1/devices/pump/telemetry pump 1',
      'v1/devices/pump/telemetry pump 2',
    ]);
    expect([await fan.surplus(), await backend.surplus()]).toEqual([[], []]);
  });

  test('by me, a device gets its own log under me', async () => {
    const broker = await start({ unified: { devices: { listen, role: 'device', connections } } });
    const fan = await open(broker, 'devices', version, 'fan');
    const pump = await open(broker, 'devices', version, 'pump');
    await say(pump, 'v1/devices/me/telemetry', 'other');
    await say(fan, 'v1/devices/me/telemetry', 'own');
    await fan.subscribe('v1/devices/me/#', 1);
    expect(await seen(fan, 1)).toEqual(['v1/devices/me/telemetry own']);
    expect(await fan.surplus()).toEqual([]);
  });

  test.each(['enforced', 'transparent'] as const)('a tenant gets its own, %s', async (mode) => {
    const broker = await start({
      unified: {
        red: { listen, tenant: 'red', connections },
        blue: { listen, tenant: 'blue', connections },
      },
      tenants: { mode, from: 'listener' },
    });
    const own = (tenant: string) => (mode === 'enforced' ? `/tenants/${tenant}/t` : 't');
    const red = await open(broker, 'red', version, 'red');
    const blue = await open(broker, 'blue', version, 'blue');
    await say(red, own('red'), 'of red');
    await say(blue, own('blue'), 'of blue');
    await blue.subscribe(own('blue').replace(/t$/, '#'), 1);
    expect(await seen(blue, 1)).toEqual([`${own('blue')} of blue`]);
    expect(await blue.surplus()).toEqual([]);
    await expect.poll(() => broker.registry.log('/tenants/red/t')).toMatchObject({ messages: 1 });
    await red.subscribe(own('red').replace(/t$/, '#'), 1);
    expect(await seen(red, 1)).toEqual([`${own('red')} of red`]);
    expect([await red.surplus(), await blue.surplus()]).toEqual([[], []]);
  });
});

test('the console’s live page and listings are no subscriber, and take nothing of a log', async () => {
  const broker = new Broker({
    unified: { all: { listen, connections } },
    device: { dynamic_replay: 'backlog' },
    console: { listen },
  });
  const logs: LogRecord[] = [];
  broker.on('log', (record) => logs.push(record));
  running.push(broker);
  await broker.start();
  const said = logs.find(({ text }) => text.startsWith('console on '));
  const url = said?.text.replace('console on ', '') ?? '';
  const publisher = await open(broker, 'all', 5, 'publisher');
  await say(publisher, 'seen/before', '1');
  const page = new WebSocket(`${url.replace('http', 'ws')}/api/v1/live`, ['st-mqttd.live']);
  try {
    const frames: string[] = [];
    page.addEventListener('message', ({ data }) => frames.push(String(data)));
    await new Promise((resolve) => page.addEventListener('open', resolve));
    page.send(JSON.stringify({ type: 'watch', id: 1, filter: 'seen/#', mode: 'each' }));
    await eventually(() =>
      expect(frames.some((text) => text.includes('"type":"watching"'))).toBe(true),
    );
    await say(publisher, 'seen/while', '2');
    await say(publisher, 'seen/before', '3');
    const valuesOf = (topic: string) =>
      frames.filter((text) => text.includes('"type":"values"') && text.includes(`"${topic}"`));
    await eventually(() => expect(valuesOf('seen/while')).not.toEqual([]));
    for (const path of ['subscriptions', 'filters', 'clients', 'retains']) {
      expect((await fetch(`${url}/api/v1/${path}`)).status).toBe(200);
    }
    for await (const { topic } of broker.retained) expect(topic).toBeUndefined();
    await expect.poll(() => broker.registry.log('seen/before')).toMatchObject({ messages: 2 });
    await expect.poll(() => broker.registry.log('seen/while')).toMatchObject({ messages: 1 });
    const first = await open(broker, 'all', 5, 'first');
    await first.subscribe('seen/#', 1);
    expect(await seen(first, 3)).toEqual(['seen/before 1', 'seen/before 3', 'seen/while 2']);
    await expect.poll(() => broker.registry.log('seen/while')).toBeUndefined();
  } finally {
    page.close();
  }
});
