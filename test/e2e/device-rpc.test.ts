// Requests to devices and of devices, attributes and states, with MQTT.js devices of both versions.
import type { IClientOptions } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import type { DeviceRequest } from '../../src/device/types.ts';
import { UnreadablePayload } from '../../src/device/types.ts';
import type { LogRecord } from '../../src/log/logger.ts';
import { eventually } from '../harness/eventually.js';
import { Client, type Version } from './mqttjs-client.js';

const kRequests = 'v1/devices/me/rpc/request/';
const kResponses = 'v1/devices/me/rpc/response/';

const broker = new Broker({
  unified: {
    devices: { listen: '127.0.0.1:0', role: 'device' },
    services: { listen: '127.0.0.1:0', role: 'service' },
  },
  device: { max_known: 5 },
  log: { to: 'off' },
});
const records: LogRecord[] = [];
broker.on('log', (record) => records.push(record));
const clients: Client[] = [];
const registered: (() => void)[] = [];
beforeAll(() => broker.start());
afterEach(async () => {
  for (const unregister of registered.splice(0)) unregister();
  await broker.hooksReady();
  await Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true)));
});
afterAll(() => broker.stop({ timeoutMs: 0 }));

async function open(listener: string, version: Version, options: IClientOptions) {
  const port = broker.addresses.find((at) => at.listener.endsWith(listener))?.port ?? 0;
  const client = await Client.open(port, version, options);
  clients.push(client);
  return client;
}
const device = (clientId: string, version: Version = 4, more: IClientOptions = {}) =>
  open('devices', version, { clientId, ...more });
const service = (clientId: string) => open('services', 5, { clientId });
const parsed = (text: string): unknown => JSON.parse(text);
/** It answers each request by `answer`. */
async function answering(
  client: Client,
  answer: (method: string, params: unknown) => string | undefined,
): Promise<Client> {
  client.mqtt.on('message', (topic, payload) => {
    const { method, params } = JSON.parse(payload.toString());
    const text = answer(method, params);
    if (text !== undefined) client.mqtt.publish(topic.replace('/request/', '/response/'), text);
  });
  await client.subscribe(`${kRequests}+`, 1);
  return client;
}
const holds = (check: () => Promise<boolean>) =>
  eventually(async () => expect(await check()).toBe(true));
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: { code?: string }) => error.code ?? String(error),
  );
/** What a device is answered to what it asks. */
async function ask(client: Client, number: number | string, text: string, of = 'rpc') {
  await client.subscribe(`v1/devices/me/${of}/response/+`, 1);
  await client.publish(`v1/devices/me/${of}/request/${number}`, text, { qos: 1 });
  const answer = await client.next();
  expect(answer.topic).toBe(`v1/devices/me/${of}/response/${number}`);
  return parsed(answer.text);
}

describe.each([
  { name: '3.1.1', version: 4 as Version },
  { name: '5.0', version: 5 as Version },
])('a device with MQTT $name', ({ version }) => {
  test('is asked and answers; the request has the form of ThingsBoard', async () => {
    const pump = await device('pump', version);
    await pump.subscribe(`${kRequests}+`, 1);
    const answer = broker.device('pump').request('setSpeed', { rpm: 900 }, { timeoutMs: 5000 });
    const request = await pump.next();
    expect(request.topic).toMatch(/^v1\/devices\/me\/rpc\/request\/\d+$/);
    expect(parsed(request.text)).toEqual({ method: 'setSpeed', params: { rpm: 900 } });
    const id = request.topic.slice(kRequests.length);
    await pump.publish(`${kResponses}${id}`, '{"ok":true,"n":[1,null]}', { qos: 1 });
    expect(await answer).toEqual({ ok: true, n: [1, null] });
  });

  test('asks and is answered, and does not get its own question', async () => {
    const seen: DeviceRequest[] = [];
    registered.push(
      broker.onDeviceRequest('time', (request) => {
        seen.push(request);
        return Promise.resolve({ utc: 42 });
      }),
    );
    await broker.hooksReady();
    const pump = await device('pump', version);
    await pump.subscribe(`${kRequests}+`, 1);
    expect(await ask(pump, 7, '{"method":"time","params":["zone"]}')).toEqual({ utc: 42 });
    expect(seen[0]).toMatchObject({
      device: { id: 'pump', tenant: undefined },
      method: 'time',
      params: ['zone'],
    });
    expect(await pump.surplus()).toEqual([]);
  });
});

test('concurrent requests to many devices: each gets its own answer', async () => {
  const names = ['a', 'b', 'c'];
  for (const name of names) {
    await answering(await device(name, name === 'b' ? 5 : 4), (method, params) =>
      JSON.stringify({ name, method, params }),
    );
  }
  const asked = Array.from({ length: 90 }, (_, n) => ({ name: names[n % 3] as string, n }));
  const answers = await Promise.all(
    asked.map(({ name, n }) => broker.device(name).request('m', n, { timeoutMs: 20_000 })),
  );
  expect(answers).toEqual(asked.map(({ name, n }) => ({ name, method: 'm', params: n })));
});

test('who is away, deaf, silent or talks nonsense: an error of its own each', async () => {
  const nobody = broker.device('nobody');
  expect(await codeOf(nobody.request('x'))).toBe('ST_DEVICE_NOT_CONNECTED');
  const { requestsRefused } = await broker.devices.counts();
  expect(await codeOf(nobody.notify('x'))).toBe('ST_DEVICE_NOT_CONNECTED');
  await device('deaf');
  expect(await codeOf(broker.device('deaf').request('x'))).toBe('ST_DEVICE_NOT_LISTENING');
  expect(await broker.devices.counts()).toMatchObject({
    requestsRefused: requestsRefused + 2,
    devicesOnline: 1,
  });
  await answering(await device('mute'), () => undefined);
  const mute = broker.device('mute');
  expect(await codeOf(mute.request('x', 1, { timeoutMs: 30 }))).toBe('ST_RPC_TIMEOUT');
  const controller = new AbortController();
  const given = mute.request('x', 1, { signal: controller.signal });
  controller.abort();
  expect(await codeOf(given)).toBe('ST_RPC_ABORTED');
  await answering(await device('odd'), () => '{"half":');
  const error: unknown = await broker
    .device('odd')
    .request('x')
    .catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'ST_RPC_ANSWER' });
  const { cause } = error as { cause: unknown };
  expect(cause).toBeInstanceOf(UnreadablePayload);
  expect((cause as UnreadablePayload).payload.toString()).toBe('{"half":');
  expect(await codeOf(mute.request('x', 1, { timeoutMs: 0 }))).toBe('ST_ARGUMENT');
  expect(await codeOf(mute.request(''))).toBe('ST_ARGUMENT');
  expect(() => broker.device('a/b')).toThrow(/id is "a\/b"/);
});

test('requests under way are bounded, for one device', async () => {
  await answering(await device('mute'), () => undefined);
  const controller = new AbortController();
  const { signal } = controller;
  const many = Array.from({ length: 256 }, () =>
    codeOf(broker.device('mute').request('x', 1, { signal })),
  );
  expect(await codeOf(broker.device('mute').request('x'))).toBe('ST_RPC_BUSY');
  controller.abort();
  expect(new Set(await Promise.all(many))).toEqual(new Set(['ST_RPC_ABORTED']));
  expect((await broker.devices.counts()).requestsUnderWay).toBe(0);
});

test('an answer counts for the device that was asked only, and only in time', async () => {
  const pump = await device('pump');
  await pump.subscribe(`${kRequests}+`, 1);
  const thief = await device('thief', 5);
  const before = await broker.devices.counts();
  const answer = broker.device('pump').request('secret', 1, { timeoutMs: 5000 });
  const id = (await pump.next()).topic.slice(kRequests.length);
  await thief.publish(`${kResponses}${id}`, '"forged"', { qos: 1 });
  const direct = thief.publish(`v1/devices/pump/rpc/response/${id}`, '"forged"', { qos: 1 });
  await expect(direct).rejects.toMatchObject({ code: 0x87 });
  await holds(
    async () => (await broker.devices.counts()).foreignAnswers === before.foreignAnswers + 1,
  );
  await pump.publish(`${kResponses}${id}`, '"mine"', { qos: 1 });
  expect(await answer).toBe('mine');
  await pump.publish(`${kResponses}${id}`, '"again"', { qos: 1 });
  await holds(async () => (await broker.devices.counts()).lateAnswers === before.lateAnswers + 1);
});

test('queue: a request waits for the device and its subscription', async () => {
  const answer = broker.device('later').request('x', 1, { queue: true, timeoutMs: 20_000 });
  const watcher = await service('watcher');
  await watcher.subscribe('v1/devices/#', 0);
  const later = await device('later');
  await later.subscribe('other', 0);
  await answering(later, () => '"here"');
  expect(await answer).toBe('here');
  const never = broker.device('never').request('x', 1, { queue: true, timeoutMs: 30 });
  expect(await codeOf(never)).toBe('ST_RPC_TIMEOUT');
});

test('notify asks for no answer, and one that comes all the same is late', async () => {
  const pump = await answering(await device('pump'), () => '1');
  const { lateAnswers } = await broker.devices.counts();
  await broker.device('pump').notify('blink');
  expect(parsed((await pump.next()).text)).toEqual({ method: 'blink' });
  await holds(async () => (await broker.devices.counts()).lateAnswers === lateAnswers + 1);
});

test('handlers that fail cost their device an error, and say no more than they may', async () => {
  registered.push(
    broker.onDeviceRequest('secret', () => {
      throw new Error('password is hunter2');
    }),
    broker.onDeviceRequest('told', () => {
      throw Object.assign(new Error('no such valve'), { expose: true });
    }),
    broker.onDeviceRequest('slow', () => new Promise(() => {}), { timeoutMs: 20 }),
    broker.onDeviceRequest('nothing', () => undefined),
  );
  await broker.hooksReady();
  const pump = await device('pump', 5);
  expect(await ask(pump, 1, '{"method":"secret"}')).toEqual({ error: 'the request failed' });
  expect(await ask(pump, 2, '{"method":"told"}')).toEqual({ error: 'no such valve' });
  expect(await ask(pump, 3, '{"method":"slow"}')).toEqual({
    error: 'it has not answered within 20 ms',
  });
  expect(await ask(pump, 4, '{"method":"nothing"}')).toBe(null);
  expect(await ask(pump, 5, '{"method":"other"}')).toEqual({ error: 'unknown method "other"' });
  expect(await ask(pump, 6, '[]')).toHaveProperty('error');
  expect(await ask(pump, 7, 'not json')).toHaveProperty('error');
  expect(records.some(({ text }) => text.includes('the handler of secret failed'))).toBe(true);
  expect(() => broker.onDeviceRequest('slow', () => 1)).toThrow(/has no handler yet/);
});

test('a service that asks a device by MQTT is not taken for the device', async () => {
  registered.push(broker.onDeviceRequest('*', () => 'the broker'));
  await broker.hooksReady();
  const backend = await service('backend');
  await backend.subscribe('v1/devices/+/rpc/response/+', 1);
  await answering(await device('pump'), () => '"the pump"');
  await backend.publish('v1/devices/pump/rpc/request/5', '{"method":"x"}', { qos: 1 });
  expect((await backend.next()).text).toBe('"the pump"');
  expect(await backend.surplus()).toEqual([]);
});

test('attributes: asked for, and pushed', async () => {
  registered.push(
    broker.onAttributesRequest(({ device: { id }, clientKeys, sharedKeys }) => ({
      client: { [clientKeys.join('+')]: id },
      shared: { [sharedKeys.join('+')]: 1 },
    })),
  );
  await broker.hooksReady();
  const pump = await device('pump', 4);
  const text = '{"clientKeys":"a,b","sharedKeys":"limit"}';
  expect(await ask(pump, 1, text, 'attributes')).toEqual({
    client: { 'a+b': 'pump' },
    shared: { limit: 1 },
  });
  expect(await broker.device('nobody').setAttributes({ limit: 2 })).toBe(false);
  await pump.subscribe('v1/devices/me/attributes', 1);
  expect(await broker.device('pump').setAttributes({ limit: 2 })).toBe(true);
  expect(await pump.next()).toMatchObject({
    topic: 'v1/devices/me/attributes',
    text: '{"limit":2}',
  });
});

test.each([4, 5] as const)('lastActivityAt: its own telemetry counts, MQTT %i', async (version) => {
  const fan = await device('fan', version);
  const activity = async () => (await broker.device('fan').state())?.lastActivityAt ?? 0;
  const listed = async () => {
    for await (const { id, lastActivityAt } of broker.devices)
      if (id === 'fan') return lastActivityAt;
    return 0;
  };
  const came = await activity();
  expect(came).toBeGreaterThan(0);
  // Nothing comes from it: nothing changes.
  expect([await activity(), await listed()]).toEqual([came, came]);
  await holds(async () => {
    await fan.publish('v1/devices/me/telemetry', '{"t":1}', { qos: 0 });
    return (await activity()) > came;
  });
  const then = await activity();
  await holds(async () => {
    await fan.publish('v1/devices/me/telemetry', '{"t":2}', { qos: 1 });
    return (await listed()) > then;
  });
});

test('states: who is there, since when, why not; bounded', async () => {
  const fan = await device('fan', 5);
  const before = await broker.device('fan').state();
  expect(before).toMatchObject({ id: 'fan', online: true, clientId: 'fan', gateway: undefined });
  expect(before?.connectedAt).toBeGreaterThan(0);
  await fan.cut();
  await holds(async () => (await broker.device('fan').state())?.online === false);
  const after = await broker.device('fan').state();
  expect(after).toMatchObject({ online: false, lastCause: 'peer_closed' });
  for (const name of ['s1', 's2', 's3', 's4', 's5', 's6']) await (await device(name)).close();
  await holds(async () => (await broker.devices.page()).items.length === 5);
  expect(await broker.device('fan').state()).toBeUndefined();
  const online = broker.devices.filter({ online: true });
  await device('last');
  const names: string[] = [];
  for await (const { id } of online) names.push(id);
  expect(names).toEqual(['last']);
});
