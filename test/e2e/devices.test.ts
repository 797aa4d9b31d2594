// Device topics with MQTT.js and links: each path by which one device could see, guess, retain into,
// will into, share into or speak as another, 3.1.1 and 5.0; and what services are told.
import type { IClientOptions } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import type { Link } from '../../src/link/link.ts';
import { Client, type Version } from './mqttjs-client.js';

const listen = '127.0.0.1:0';
const kTelemetry = 'v1/devices/me/telemetry';
const claims = {
  publisher_client_id: 'liar',
  publisher_device_id: 'liar',
  publisher_username: 'liar',
  publisher_tenant: 'liar',
};

const broker = new Broker({
  unified: { devices: { listen, role: 'device' }, services: { listen, role: 'service' } },
  device: { me_patterns: ['v1/devices/me/claim/{id}'] },
  log: { to: 'off' },
});
const clients: Client[] = [];
beforeAll(() => broker.start());
afterEach(() => Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true))));
afterAll(() => broker.stop({ timeoutMs: 0 }));

async function open(listener: string, version: Version, options: IClientOptions) {
  const port = broker.addresses.find((at) => at.listener.endsWith(listener))?.port ?? 0;
  const client = await Client.open(port, version, options);
  clients.push(client);
  return client;
}
const device = (clientId: string, version: Version, more: IClientOptions = {}) =>
  open('devices', version, { clientId, ...more });
const service = (clientId: string, more: IClientOptions = {}) =>
  open('services', 5, { clientId, ...more });

const codeOf = (promise: Promise<unknown>): Promise<number> =>
  promise.then(
    () => 0,
    (error: { code?: number }) => error.code ?? -1,
  );
const granted = async (client: Client, filter: string) => {
  const [one] = await client.subscribe(filter, 1).catch(() => [{ qos: 128 }]);
  return (one?.qos ?? 128) < 3;
};
/** Granted, and what gives the next message. */
async function hear(link: Link, filter: string) {
  const subscription = link.subscribe(filter, { qos: 1 });
  await subscription.ready;
  const messages = subscription[Symbol.asyncIterator]();
  return async () => (await messages.next()).value;
}
/** Topics and texts of what comes before the mark, which was published after everything else. */
async function upToMark(client: Client): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    const { topic, text } = await client.next();
    if (text === 'mark') return seen;
    seen.push(`${topic}: ${text}`);
  }
}

describe.each([
  { name: '3.1.1', version: 4 as Version },
  { name: '5.0', version: 5 as Version },
])('a device with MQTT $name', ({ version }) => {
  test('has its own topics by me, and services see whose they are', async () => {
    const backend = await service('backend');
    await backend.subscribe('v1/devices/+/telemetry');
    const pump = await device('pump', version);
    await pump.subscribe('v1/devices/me/rpc/request/+', 1);
    await pump.publish(kTelemetry, 'warm', { qos: 1 });
    expect(await backend.next()).toMatchObject({
      topic: 'v1/devices/pump/telemetry',
      text: 'warm',
      packet: { properties: { userProperties: { publisher_client_id: 'pump' } } },
    });
    await backend.publish('v1/devices/pump/rpc/request/7', 'on', { qos: 1 });
    expect(await pump.next()).toMatchObject({ topic: 'v1/devices/me/rpc/request/7', text: 'on' });
    await pump.publish('v1/devices/me/claim/1', 'x', { qos: 1 });
    await pump.mqtt.unsubscribeAsync('v1/devices/me/rpc/request/+');
    await backend.publish('v1/devices/pump/rpc/request/8', 'gone', { qos: 1 });
    expect(await pump.surplus()).toEqual([]);
  });

  test('gets nothing of another: publish, subscribe, wildcards, groups, retained, Will', async () => {
    const pump = await device('pump', version);
    const backend = await service('backend');
    await backend.subscribe('v1/devices/#');
    const spy = await device('spy', version);
    for (const filter of [
      'v1/devices/pump/telemetry',
      'v1/devices/pump/#',
      'v1/devices/me/nothing',
    ]) {
      expect(await granted(spy, filter)).toBe(false);
    }
    expect(await granted(spy, '$share/g/v1/devices/pump/#')).toBe(false);
    await pump.publish('v1/devices/me/attributes', 'kept', { qos: 1, retain: true });
    for (const filter of ['#', '+/devices/#', 'v1/devices/+/attributes', '$share/s/#']) {
      expect(await granted(spy, filter)).toBe(true);
    }
    await pump.publish(kTelemetry, 'secret', { qos: 1 });
    const publish = (topic: string) => codeOf(spy.publish(topic, 'forged', { qos: 1 }));
    const refused = version === 5 ? 0x87 : 0;
    expect(await publish('v1/devices/pump/telemetry')).toBe(refused);
    expect(await publish('v1/devices/me/nothing')).toBe(refused);
    const payload = Buffer.from('forged');
    const will = { topic: 'v1/devices/pump/telemetry', payload, qos: 0 as const, retain: false };
    await expect(device('late', version, { will })).rejects.toMatchObject({
      code: version === 5 ? 0x87 : 5,
    });
    const own = { ...will, topic: 'v1/devices/me/attributes', payload: Buffer.from('gone') };
    const fan = await device('fan', version, { will: own });
    fan.mqtt.stream.destroy();
    const seen = [];
    do seen.push(await backend.next());
    while (seen.at(-1)?.text !== 'gone');
    expect(seen.map(({ topic, text }) => `${topic}: ${text}`)).toEqual([
      'v1/devices/pump/attributes: kept',
      'v1/devices/pump/telemetry: secret',
      'v1/devices/fan/attributes: gone',
    ]);
    await backend.publish('open', 'mark');
    expect(await upToMark(spy)).toEqual([]);
    await backend.publish('v1/devices/pump/attributes', '', { qos: 1, retain: true });
  });

  test.each(['me', 'a/b', '+', '#'])('called %j has no device topics', async (clientId) => {
    const odd = await device(clientId, version);
    expect(await granted(odd, kTelemetry)).toBe(false);
    expect(await granted(odd, 'v1/devices/a/b')).toBe(false);
    expect(await codeOf(odd.publish(kTelemetry, 'x', { qos: 1 }))).toBe(version === 5 ? 0x87 : 0);
  });
});

test('nobody says himself who he is: User Properties of these names go, others stay', async () => {
  const backend = await service('backend');
  await backend.subscribe('#', 1);
  const payload = Buffer.from('gone');
  const will = {
    topic: 'v1/devices/me/attributes',
    payload,
    qos: 0 as const,
    retain: false,
    properties: { userProperties: { ...claims, unit: 'K' } },
  };
  const pump = await device('pump', 5, { will });
  const properties = { contentType: 'text', userProperties: { unit: 'K', ...claims, more: '1' } };
  await pump.publish(kTelemetry, '1', { qos: 1, properties });
  await pump.publish('plain', '2', { qos: 1, properties });
  await pump.publish('bare', '3', { qos: 1, properties: { userProperties: claims } });
  pump.mqtt.stream.destroy();
  const seen = (await backend.take(4)).map(({ packet }) => ({
    ...packet.properties?.userProperties,
  }));
  expect(seen).toEqual([
    { unit: 'K', more: '1', publisher_client_id: 'pump' },
    { unit: 'K', more: '1' },
    {},
    { unit: 'K', publisher_client_id: 'pump' },
  ]);
});

test('a link sees every device under me, and who it is; queued and retained, too', async () => {
  const link = await broker.link({ clientId: 'hub' });
  const heard = await hear(link, 'v1/devices/me/telemetry');
  const pump = await device('pump', 5, { username: 'anna' });
  const properties = { userProperties: { ...claims, unit: 'K' } };
  await pump.publish(kTelemetry, '1', { qos: 1, properties });
  const first = await heard();
  expect(first).toMatchObject({
    topic: kTelemetry,
    publisherClientId: 'pump',
    deviceId: 'pump',
    username: 'anna',
    tenant: undefined,
    properties: { userProperties: [['unit', 'K']] },
  });
  await pump.publish('v1/devices/me/attributes', 'kept', { qos: 1, retain: true });
  await pump.publish('plain', 'kept too', { qos: 1, retain: true });
  await pump.mqtt.endAsync(true);
  const kept = await hear(link, 'v1/devices/+/attributes');
  expect(await kept()).toMatchObject({
    topic: 'v1/devices/me/attributes',
    deviceId: 'pump',
    publisherClientId: 'pump',
  });
  const plain = await hear(link, 'plain');
  expect(await plain()).toMatchObject({ topic: 'plain', deviceId: 'pump' });
  const fan = await device('fan', 4);
  await fan.subscribe('v1/devices/me/rpc/request/+', 1);
  await link.publish('v1/devices/fan/rpc/request/1', 'on', { qos: 1 });
  expect(await fan.next()).toMatchObject({ topic: 'v1/devices/me/rpc/request/1', text: 'on' });
  await link.publish('v1/devices/pump/attributes', '', { retain: true });
  await link.publish('plain', '', { retain: true });
  await link.close();
});

test('a link may be a device', async () => {
  const backend = await service('backend');
  await backend.subscribe('v1/devices/#');
  const link = await broker.link({ clientId: 'inner', deviceId: 'probe' });
  const heard = await hear(link, 'v1/devices/me/rpc/request/+');
  await link.publish(kTelemetry, 'x', { qos: 1 });
  expect(await backend.next()).toMatchObject({ topic: 'v1/devices/probe/telemetry' });
  await backend.publish('v1/devices/probe/rpc/request/1', 'on');
  expect(await heard()).toMatchObject({ topic: 'v1/devices/me/rpc/request/1' });
  await expect(hear(link, 'v1/devices/pump/#')).rejects.toThrow();
  await link.close();
  for (const deviceId of ['me', 'a/b', '', '+']) {
    await expect(broker.link({ deviceId })).rejects.toMatchObject({ code: 'ST_ARGUMENT' });
  }
});

test('verdicts say which device it is, and who is a service; the Client Identifier does not', async () => {
  const judged = new Broker({ unified: { main: { listen } }, log: { to: 'off' } });
  judged.authenticate(({ username }) => ({
    accept: true,
    ...(username === 'backend' ? { role: 'service' } : { deviceId: `d-${username}` }),
  }));
  await judged.start();
  const port = judged.addresses[0]?.port ?? 0;
  const backend = await Client.open(port, 5, { username: 'backend', password: 'x' });
  await backend.subscribe('v1/devices/#');
  const thief = await Client.open(port, 5, { clientId: 'd-bob', username: 'eve', password: 'x' });
  expect(await codeOf(thief.publish('v1/devices/d-bob/telemetry', 'x', { qos: 1 }))).toBe(0x87);
  await thief.publish(kTelemetry, 'mine', { qos: 1 });
  expect(await backend.next()).toMatchObject({ topic: 'v1/devices/d-eve/telemetry', text: 'mine' });
  expect(await backend.surplus()).toEqual([]);
  await Promise.all([backend.mqtt.endAsync(true), thief.mqtt.endAsync(true)]);
  await judged.stop({ timeoutMs: 0 });
});

test.each(['shared', 'off'] as const)('%s: topics stay as they are', async (me_topics) => {
  const plain = new Broker({
    unified: { main: { listen, role: 'device' } },
    device: { me_topics },
    log: { to: 'off' },
  });
  await plain.start();
  const port = plain.addresses[0]?.port ?? 0;
  const link = await plain.link({ clientId: 'hub' });
  const heard = await hear(link, 'v1/devices/#');
  const pump = await Client.open(port, 5, { clientId: 'pump' });
  const spy = await Client.open(port, 5, { clientId: 'spy' });
  await spy.subscribe('v1/devices/#');
  const userProperties = { publisher_client_id: 'liar' };
  await pump.publish(kTelemetry, 'x', { qos: 1, properties: { userProperties } });
  const seen = (await spy.next()).packet;
  expect(seen.topic).toBe(kTelemetry);
  expect({ ...seen.properties?.userProperties }).toEqual(me_topics === 'off' ? userProperties : {});
  const told = await heard();
  expect(told).toMatchObject({
    topic: kTelemetry,
    publisherClientId: me_topics === 'off' ? undefined : 'pump',
  });
  await link.close();
  await Promise.all([pump.mqtt.endAsync(true), spy.mqtt.endAsync(true)]);
  await plain.stop({ timeoutMs: 0 });
});
