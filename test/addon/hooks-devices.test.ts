// What hooks see of devices and tenants, with clients of MQTT.js: device topics as links see them,
// whose they are, and where a changed one goes.
import type mqtt from 'mqtt';
import { expect, test } from 'vitest';
import type { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { eventually } from '../harness/eventually.js';
import * as hooks from './hook-clients.js';
import { logged, outcome } from './hook-clients.js';

const listen = '127.0.0.1:0';
const make = (options: ConfigTables = {}): Broker =>
  hooks.make({
    unified: { devices: { listen }, services: { listen, role: 'service' } },
    ...options,
  } as ConfigTables);
const open = (broker: Broker, listener: 'devices' | 'services', options?: mqtt.IClientOptions) =>
  hooks.open(broker, options, listener);
/** What it gets, as "topic=payload". */
const hear = (client: mqtt.MqttClient, filter: string) => hooks.listen(client, filter, 1);

async function granted(client: mqtt.MqttClient, filter: string): Promise<number | undefined> {
  const [one] = await client.subscribeAsync(filter, { qos: 1 }).catch(() => [{ qos: 0x87 }]);
  return one?.qos;
}

test('a filter by me means all devices; hooks see whose message it is', async () => {
  const broker = make();
  const seen: unknown[] = [];
  broker.onPublish('v1/devices/me/telemetry', (m) => {
    seen.push([m.topic, m.clientId, m.deviceId, m.username, m.isLink]);
  });
  const ofFan: string[] = [];
  broker.onPublish('v1/devices/fan/#', (m) => void ofFan.push(`${m.topic} ${m.deviceId}`));
  await broker.start();
  const service = await open(broker, 'services', { clientId: 'service' });
  const got = await hear(service, 'v1/devices/+/telemetry');
  const pump = await open(broker, 'devices', { clientId: 'pump', username: 'plant' });
  const fan = await open(broker, 'devices', { clientId: 'fan', protocolVersion: 4 });
  await pump.publishAsync('v1/devices/me/telemetry', '1', { qos: 1 });
  await pump.publishAsync('v1/devices/pump/telemetry', '2', { qos: 1 });
  await fan.publishAsync('v1/devices/me/telemetry', '3', { qos: 1 });
  await fan.publishAsync('v1/devices/me/attributes', '4', { qos: 1 });
  // On a device's topic it is told whose it is, not who published there.
  await service.publishAsync('v1/devices/fan/telemetry', '5', { qos: 1 });
  await eventually(() => expect(got).toHaveLength(4));
  expect(got.map((one) => one.split('/')[2])).toEqual(['pump', 'pump', 'fan', 'fan']);
  const topic = 'v1/devices/me/telemetry';
  expect(seen).toEqual([
    [topic, 'pump', 'pump', 'plant', false],
    [topic, 'pump', 'pump', 'plant', false],
    [topic, 'fan', 'fan', undefined, false],
    [topic, 'service', 'fan', undefined, false],
  ]);
  expect(ofFan).toEqual([`${topic} fan`, 'v1/devices/me/attributes fan', `${topic} fan`]);
});

test('a topic that a hook changes to one by me is that of the same device', async () => {
  const broker = make();
  const records = logged(broker);
  broker.onPublish('v1/devices/me/telemetry', (m) => ({
    topic: 'v1/devices/me/attributes',
    payload: `${m.text()}!`,
  }));
  broker.onPublish('v1/devices/me/attributes', () => ({ payload: 'same' }));
  broker.onPublish('raw', () => ({ topic: 'v1/devices/me/telemetry' }), {
    name: 'namer',
    onError: 'drop',
  });
  broker.onPublish('away', () => ({ topic: 'v1/devices/other/telemetry' }));
  await broker.start();
  const service = await open(broker, 'services', { clientId: 'service' });
  const got = await hear(service, '#');
  const pump = await open(broker, 'devices', { clientId: 'pump' });
  const own = await hear(pump, 'v1/devices/me/attributes');
  await pump.publishAsync('v1/devices/me/telemetry', '1', { qos: 1 });
  await pump.publishAsync('v1/devices/me/attributes', '2', { qos: 1 });
  expect(await outcome(pump, 'raw', 1, '3')).toBe(0);
  await pump.publishAsync('away', '4', { qos: 1 });
  await eventually(() =>
    expect(got).toEqual([
      'v1/devices/pump/attributes=1!',
      'v1/devices/pump/attributes=same',
      'v1/devices/pump/telemetry=3',
      'v1/devices/other/telemetry=4',
    ]),
  );
  expect(own).toEqual(['v1/devices/me/attributes=1!', 'v1/devices/me/attributes=same']);
  // Whoever is told who published is told whose topic it has become.
  const watching = await broker.link({ clientId: 'watching' });
  const telemetry = watching.subscribe('v1/devices/me/telemetry', { qos: 1 });
  await telemetry.ready;
  const told = telemetry[Symbol.asyncIterator]();
  const next = async () => {
    const { value } = await told.next();
    return [value?.topic, value?.deviceId, value?.publisherClientId];
  };
  expect(await outcome(pump, 'raw')).toBe(0);
  expect(await next()).toEqual(['v1/devices/me/telemetry', 'pump', 'pump']);
  expect(await outcome(pump, 'away')).toBe(0);
  expect(await next()).toEqual(['v1/devices/me/telemetry', 'other', 'pump']);
  await watching.close();
  await eventually(() => expect(got).toHaveLength(6));
  // A link that is no device has none to put there.
  const link = await broker.link({ clientId: 'a-link' });
  await link.publish('raw', 'x', { qos: 1 }).catch(() => {});
  await link.close();
  await eventually(() =>
    expect(records.map(({ text }) => text).join('\n')).toContain(
      'hook "namer" on "raw": "v1/devices/me/telemetry" is no device\'s: the message has no device id; the message is dropped',
    ),
  );
  expect(got).toHaveLength(6);
});

test('SUBSCRIBE, UNSUBSCRIBE, acknowledgements and losses of device topics', async () => {
  const broker = make();
  const asked: unknown[] = [];
  const told: unknown[] = [];
  broker.onSubscribe('v1/devices/pump/#', ({ clientId, deviceId, filter }) => {
    asked.push([clientId, deviceId, filter]);
    return filter.endsWith('telemetry') ? 'drop' : undefined;
  });
  broker.onUnsubscribe('v1/devices/me/#', (u) => void told.push([u.clientId, u.filter]));
  broker.onAck('v1/devices/me/#', (a) => void told.push([a.clientId, a.topic, a.deviceId]));
  broker.onDrop('v1/devices/me/#', (d) => void told.push([d.cause, d.topic, d.deviceId]));
  broker.onPublish('v1/devices/me/telemetry', () => 'drop');
  await broker.start();
  const pump = await open(broker, 'devices', { clientId: 'pump' });
  const fan = await open(broker, 'devices', { clientId: 'fan' });
  expect(await granted(pump, 'v1/devices/me/telemetry')).toBe(0x87);
  expect(await granted(pump, 'v1/devices/me/attributes')).toBe(1);
  expect(await granted(fan, 'v1/devices/me/telemetry')).toBe(1);
  expect(asked).toEqual([
    ['pump', 'pump', 'v1/devices/me/telemetry'],
    ['pump', 'pump', 'v1/devices/me/attributes'],
  ]);
  await pump.publishAsync('v1/devices/me/attributes', 'x', { qos: 1 });
  await eventually(() => expect(told).toEqual([['pump', 'v1/devices/me/attributes', 'pump']]));
  await fan.publishAsync('v1/devices/me/telemetry', 'x', { qos: 1 });
  await eventually(() => expect(told[1]).toEqual(['hook', 'v1/devices/me/telemetry', 'fan']));
  await pump.unsubscribeAsync('v1/devices/me/attributes');
  await eventually(() => expect(told[2]).toEqual(['pump', 'v1/devices/pump/attributes']));
});

test.each(['shared', 'off'] as const)(
  'me_topics = %s: me is a level like any other',
  async (me_topics) => {
    const broker = make({ device: { me_topics } } as ConfigTables);
    const seen: unknown[] = [];
    broker.onPublish('v1/devices/me/x', (m) => {
      seen.push([m.topic, m.deviceId]);
      return { payload: 'seen' };
    });
    await broker.start();
    const got = await hear(await open(broker, 'services', { clientId: 'service' }), '#');
    const pump = await open(broker, 'devices', { clientId: 'pump' });
    await pump.publishAsync('v1/devices/me/x', '', { qos: 1 });
    await pump.publishAsync('v1/devices/other/x', 'unseen', { qos: 1 });
    await eventually(() =>
      expect(got).toEqual(['v1/devices/me/x=seen', 'v1/devices/other/x=unseen']),
    );
    expect(seen).toEqual([['v1/devices/me/x', 'pump']]);
  },
);

test.each(['transparent', 'enforced'] as const)(
  'tenants, %s: topics and filters are those inside',
  async (mode) => {
    const broker = make({
      unified: { devices: { listen, tenant: 'a' } },
      tenants: { mode, from: 'listener' },
    } as unknown as ConfigTables);
    const seen: unknown[] = [];
    const asked: unknown[] = [];
    broker.onPublish('/tenants/a/#', (m) => {
      seen.push([m.topic, m.tenant, m.deviceId]);
      return m.topic.endsWith('/x') ? { topic: m.topic.replace('/x', '/y') } : undefined;
    });
    broker.onPublish('own', () => 'drop');
    broker.onSubscribe('/tenants/a/#', ({ filter, tenant }) => {
      asked.push([filter, tenant]);
      if (filter.endsWith('wide')) return { filter: '/tenants/a/narrow', qos: 1 };
      return undefined;
    });
    broker.onSubscribe('own', () => 'drop');
    await broker.start();
    const pump = await open(broker, 'devices', { clientId: 'pump' });
    const before = mode === 'enforced' ? '/tenants/a/' : '';
    expect(await granted(pump, `${before}own`)).toBe(1);
    expect(await granted(pump, `${before}wide`)).toBe(1);
    const got = await hear(pump, `${before}v1/devices/me/#`);
    expect(asked).toEqual([
      ['/tenants/a/own', 'a'],
      ['/tenants/a/wide', 'a'],
      ['/tenants/a/v1/devices/me/#', 'a'],
    ]);
    await pump.publishAsync(`${before}v1/devices/me/telemetry`, '1', { qos: 1 });
    await pump.publishAsync(`${before}x`, '', { qos: 1 });
    await pump.publishAsync(`${before}own`, '2', { qos: 1 });
    await pump.publishAsync(`${before}narrow`, '3', { qos: 1 });
    await pump.publishAsync(`${before}wide`, '4', { qos: 1 });
    await pump.publishAsync(`${before}v1/devices/me/telemetry`, '5', { qos: 1 });
    await eventually(() =>
      expect(got).toEqual([
        `${before}v1/devices/me/telemetry=1`,
        `${before}own=2`,
        `${before}narrow=3`,
        `${before}v1/devices/me/telemetry=5`,
      ]),
    );
    expect(seen[0]).toEqual(['/tenants/a/v1/devices/me/telemetry', 'a', 'pump']);
    expect(seen).toHaveLength(6);
  },
);
