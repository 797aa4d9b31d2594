// ThingsBoard's gateway topics: one session, many devices; and what a gateway may not do.
import type { IClientOptions } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import { eventually } from '../harness/eventually.js';
import { Client, type Version } from './mqttjs-client.js';

const broker = new Broker({
  unified: {
    devices: { listen: '127.0.0.1:0', role: 'device' },
    services: { listen: '127.0.0.1:0', role: 'service' },
  },
  device: { gateways: ['gw-*'] },
  log: { to: 'off' },
});
broker.onAttributesRequest(({ device: { id }, clientKeys, sharedKeys }) => ({
  client: Object.fromEntries(clientKeys.map((key) => [key, `client ${id}`])),
  shared: Object.fromEntries(sharedKeys.map((key) => [key, `shared ${id}`])),
}));
const clients: Client[] = [];
beforeAll(async () => {
  await broker.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true)));
  await eventually(async () => expect(await online()).toEqual([]));
});
afterAll(() => broker.stop({ timeoutMs: 0 }));

async function online(): Promise<string[]> {
  const found: string[] = [];
  for await (const { id } of broker.devices.filter({ online: true })) found.push(id);
  return found.sort();
}
async function open(listener: string, version: Version, options: IClientOptions) {
  const port = broker.addresses.find((at) => at.listener.endsWith(listener))?.port ?? 0;
  const client = await Client.open(port, version, options);
  clients.push(client);
  return client;
}
const device = (clientId: string, version: Version = 5) => open('devices', version, { clientId });
const service = (clientId: string) => open('services', 5, { clientId });
const say = (client: Client, kind: string, value: unknown) =>
  client.publish(`v1/gateway/${kind}`, typeof value === 'string' ? value : JSON.stringify(value), {
    qos: 1,
  });
const refused = (promise: Promise<unknown>) =>
  expect(promise).rejects.toMatchObject({ code: 0x87 });
const seen = async (client: Client, count: number) =>
  (await client.take(count)).map(({ topic, text }) => `${topic} ${text}`).sort();

describe.each([
  { name: '3.1.1', version: 4 as Version },
  { name: '5.0', version: 5 as Version },
])('a gateway with MQTT $name', ({ version }) => {
  test('its devices have telemetry and attributes of their own, digit by digit', async () => {
    const backend = await service('backend');
    await backend.subscribe('v1/#', 1);
    const gateway = await device('gw-1', version);
    await say(gateway, 'connect', { device: 'Boiler 1' });
    expect(await broker.device('Boiler 1').state()).toMatchObject({
      online: true,
      gateway: 'gw-1',
      clientId: undefined,
    });
    const one = '[{"ts":1483228800000,"values":{"t": 42.10, "big":12345678901234567890}}]';
    await say(gateway, 'telemetry', `{"Boiler 1": ${one} , "Boiler\\u00202":[{"t":1}]}`);
    await say(gateway, 'attributes', { 'Boiler 1': { model: 'x' } });
    expect(await seen(backend, 3)).toEqual([
      'v1/devices/Boiler 1/attributes {"model":"x"}',
      `v1/devices/Boiler 1/telemetry ${one}`,
      'v1/devices/Boiler 2/telemetry [{"t":1}]',
    ]);
    // What the gateway itself has sent went to nobody.
    expect(await backend.surplus()).toEqual([]);
    expect(await online()).toEqual(['Boiler 1', 'Boiler 2', 'backend', 'gw-1']);
    await say(gateway, 'disconnect', { device: 'Boiler 1' });
    expect(await broker.device('Boiler 1').state()).toMatchObject({
      online: false,
      gateway: undefined,
      lastCause: 'gateway_disconnect',
    });
    await gateway.close();
    await eventually(async () =>
      expect(await broker.device('Boiler 2').state()).toMatchObject({ lastCause: 'gateway_gone' }),
    );
  });

  test('requests go through it, to it alone, and so do attributes', async () => {
    const gateway = await device('gw-1', version);
    const other = await device('gw-2', version);
    const spy = await device('spy', version);
    for (const one of [gateway, other, spy]) await one.subscribe('v1/gateway/#', 1);
    await say(gateway, 'connect', { device: 'valve' });
    await say(other, 'connect', { device: 'lamp' });
    const answer = broker.device('valve').request('turn', { by: 90 }, { timeoutMs: 5000 });
    const request = await gateway.next();
    expect(request.topic).toBe('v1/gateway/rpc');
    const { device: named, data } = JSON.parse(request.text);
    expect([named, data.method, data.params]).toEqual(['valve', 'turn', { by: 90 }]);
    const forged = say(other, 'rpc', { device: 'valve', id: data.id, data: 'forged' });
    if (version === 5) await refused(forged);
    else await forged;
    await say(other, 'rpc', { device: 'lamp', id: data.id, data: 'forged' });
    await say(gateway, 'rpc', { device: 'valve', id: data.id, data: { success: true } });
    expect(await answer).toEqual({ success: true });
    expect(await broker.device('valve').setAttributes({ limit: 3 })).toBe(true);
    expect(await gateway.next()).toMatchObject({
      topic: 'v1/gateway/attributes',
      text: '{"device":"valve","data":{"limit":3}}',
    });
    await say(gateway, 'attributes/request', { id: 4, device: 'valve', client: false, key: 'a' });
    expect(await gateway.next()).toMatchObject({
      topic: 'v1/gateway/attributes/response',
      text: '{"id":4,"device":"valve","value":"shared valve"}',
    });
    await say(gateway, 'attributes/request', { id: 5, device: 'valve', client: true, keys: ['a'] });
    expect(JSON.parse((await gateway.next()).text)).toEqual({
      id: 5,
      device: 'valve',
      values: { a: 'client valve' },
    });
    expect([await spy.surplus(), await other.surplus()]).toEqual([[], []]);
  });
});

test('who is no gateway says nothing for others', async () => {
  const backend = await service('backend');
  await backend.subscribe('#', 1);
  const spy = await device('spy');
  for (const kind of ['connect', 'disconnect', 'telemetry', 'attributes', 'rpc', 'odd/one']) {
    await refused(say(spy, kind, { device: 'valve', valve: [{ t: 1 }] }));
  }
  await refused(say(backend, 'telemetry', { valve: [{ t: 1 }] }));
  const payload = Buffer.from('{"valve":[{"t":1}]}');
  const will = { topic: 'v1/gateway/telemetry', payload, qos: 0 as const, retain: false };
  const late = await open('devices', 5, { clientId: 'gw-will', will });
  await late.cut();
  await eventually(async () =>
    expect(await broker.device('gw-will').state()).toMatchObject({ online: false }),
  );
  expect(await broker.device('valve').state()).toMatchObject({ online: false });
  expect(await backend.surplus()).toEqual([]);
});

test('a gateway does not speak for who is there himself, or behind another', async () => {
  const backend = await service('backend');
  await backend.subscribe('v1/devices/+/telemetry', 1);
  const gateway = await device('gw-1');
  const other = await device('gw-2');
  const pump = await device('pump');
  await refused(say(gateway, 'connect', { device: 'pump' }));
  await refused(say(gateway, 'connect', { device: 'gw-2' }));
  await say(gateway, 'connect', { device: 'valve' });
  await refused(say(other, 'connect', { device: 'valve' }));
  await refused(say(other, 'disconnect', { device: 'valve' }));
  await refused(say(other, 'telemetry', { valve: [{ t: 'forged' }] }));
  await refused(say(gateway, 'telemetry', { pump: [{ t: 'forged' }] }));
  for (const id of ['me', 'a/b', '+', '#', '']) {
    await refused(say(gateway, 'telemetry', { [id]: [{ t: 'forged' }] }));
  }
  // Of several, those that are its own are taken.
  await say(gateway, 'telemetry', { pump: [{ t: 'forged' }], valve: [{ t: 1 }] });
  expect(await seen(backend, 1)).toEqual(['v1/devices/valve/telemetry [{"t":1}]']);
  // Who comes himself needs no gateway any more.
  await device('valve');
  await eventually(async () =>
    expect(await broker.device('valve').state()).toMatchObject({
      gateway: undefined,
      online: true,
    }),
  );
  await refused(say(gateway, 'telemetry', { valve: [{ t: 'forged' }] }));
  // Released, another gateway may have it.
  await say(gateway, 'connect', { device: 'lamp' });
  await say(gateway, 'disconnect', { device: 'lamp' });
  await say(other, 'connect', { device: 'lamp' });
  expect(await broker.device('lamp').state()).toMatchObject({ gateway: 'gw-2' });
  expect(await backend.surplus()).toEqual([]);
  await pump.close();
});

test.each(['', '[]', '{', '{"device":1}', '\u00ff'])('payload %j is refused', async (payload) => {
  const gateway = await device('gw-1');
  await expect(say(gateway, 'connect', payload)).rejects.toMatchObject({ code: 0x99 });
});

test('the gateway goes while its device is asked: the request ends', async () => {
  const gateway = await device('gw-1');
  await say(gateway, 'connect', { device: 'valve' });
  await gateway.close();
  await eventually(async () =>
    expect(await broker.device('valve').state()).toMatchObject({ online: false }),
  );
  await expect(broker.device('valve').request('x')).rejects.toMatchObject({
    code: 'ST_DEVICE_NOT_CONNECTED',
  });
});
