// Devices and gateways of two tenants that have the same names: none sees, asks, answers or speaks for
// one of the other tenant; and gateways that come and go by reload.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import { eventually } from '../harness/eventually.js';
import { Client, type Version } from './mqttjs-client.js';

type Tenant = 'red' | 'blue';
const modes = ['enforced', 'transparent'] as const;
const versions = [4, 5] as const;
const cases = modes.flatMap((mode) => versions.map((version) => ({ mode, version })));

describe.each(cases)('tenants $mode, MQTT version $version', ({ mode, version }) => {
  const asked: string[] = [];
  const listener = (tenant: Tenant) => ({ listen: '127.0.0.1:0', tenant, role: 'device' as const });
  const options = {
    unified: {
      red: listener('red'),
      blue: listener('blue'),
    },
    tenants: { mode, from: 'listener' as const },
    device: { gateways: ['red/gw-*'] },
    log: { to: 'off' as const },
  };
  const broker = new Broker(options);
  broker.onDeviceRequest('who', ({ device: { id, tenant } }) => {
    asked.push(`${tenant}/${id}`);
    return `${tenant}/${id}`;
  });
  broker.onAttributesRequest(({ device: { id, tenant } }) => ({
    shared: { of: `${tenant}/${id}` },
  }));
  const clients: Client[] = [];
  beforeAll(() => broker.start());
  afterEach(async () => {
    asked.length = 0;
    await Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true)));
    await eventually(async () => expect(await online()).toEqual([]));
  });
  afterAll(() => broker.stop({ timeoutMs: 0 }));

  async function online(): Promise<string[]> {
    const found: string[] = [];
    for await (const { id, tenant } of broker.devices.filter({ online: true })) {
      found.push(`${tenant}/${id}`);
    }
    return found.sort();
  }
  async function open(at: string, clientId: string, by: Version = version): Promise<Client> {
    const port = broker.addresses.find((one) => one.listener.endsWith(at))?.port ?? 0;
    const client = await Client.open(port, by, { clientId });
    clients.push(client);
    return client;
  }
  const topic = (tenant: Tenant, rest: string) =>
    mode === 'enforced' ? `/tenants/${tenant}/${rest}` : rest;
  /** What 3.1.1 cannot be told is taken, and goes nowhere. */
  const refused = async (promise: Promise<unknown>) => {
    if (version === 5) await expect(promise).rejects.toMatchObject({ code: 0x87 });
    else await promise;
  };
  const say = (client: Client, tenant: Tenant, kind: string, value: unknown) =>
    client.publish(topic(tenant, `v1/gateway/${kind}`), JSON.stringify(value), { qos: 1 });

  test('requests and answers stay with the device of the tenant that was asked', async () => {
    const red = await open('red', 'pump');
    const blue = await open('blue', 'pump');
    expect(await online()).toEqual(['blue/pump', 'red/pump']);
    const requests = 'v1/devices/me/rpc/request/';
    for (const [client, tenant] of [
      [red, 'red'],
      [blue, 'blue'],
    ] as const) {
      await client.subscribe(topic(tenant, `${requests}+`), 1);
    }
    const { foreignAnswers } = await broker.devices.counts();
    const answer = broker.device('pump', { tenant: 'red' }).request('x', 1, { timeoutMs: 20_000 });
    const request = await red.next();
    const id = request.topic.slice(topic('red', requests).length);
    // The same number of the same name, in another tenant.
    const forged = topic('blue', `v1/devices/me/rpc/response/${id}`);
    await blue.publish(forged, '"forged"', { qos: 1 });
    await eventually(async () =>
      expect((await broker.devices.counts()).foreignAnswers).toBe(foreignAnswers + 1),
    );
    await red.publish(topic('red', `v1/devices/me/rpc/response/${id}`), '"mine"', { qos: 1 });
    expect(await answer).toBe('mine');
    expect(await blue.surplus()).toEqual([]);
    // Without a tenant there is no such device.
    await expect(broker.device('pump').request('x')).rejects.toMatchObject({
      code: 'ST_DEVICE_NOT_CONNECTED',
    });
    expect(await broker.device('pump').state()).toBeUndefined();
  });

  test('another tenant’s device topics are refused, and its requests name their own tenant', async () => {
    const red = await open('red', 'pump');
    const blue = await open('blue', 'pump');
    for (const client of [red, blue]) {
      const tenant = client === red ? 'red' : 'blue';
      await client.subscribe(topic(tenant, 'v1/devices/me/rpc/response/+'), 1);
      await client.subscribe(topic(tenant, 'v1/devices/me/attributes/response/+'), 1);
    }
    for (const [client, tenant] of [
      [red, 'red'],
      [blue, 'blue'],
    ] as const) {
      await client.publish(topic(tenant, 'v1/devices/me/rpc/request/1'), '{"method":"who"}', {
        qos: 1,
      });
      expect(await client.next()).toMatchObject({
        topic: topic(tenant, 'v1/devices/me/rpc/response/1'),
        text: `"${tenant}/pump"`,
      });
      await client.publish(
        topic(tenant, 'v1/devices/me/attributes/request/2'),
        '{"sharedKeys":"of"}',
        { qos: 1 },
      );
      expect(JSON.parse((await client.next()).text)).toEqual({ shared: { of: `${tenant}/pump` } });
    }
    expect(asked).toEqual(['red/pump', 'blue/pump']);
    // In transparent mode it would be a topic of blue's own, /tenants/blue//tenants/red/….
    const others = '/tenants/red/v1/devices/pump/rpc/request/3';
    if (mode === 'enforced') await refused(blue.publish(others, '{"method":"who"}', { qos: 1 }));
    else await blue.publish(others, '{"method":"who"}', { qos: 1 });
    expect(await red.surplus()).toEqual([]);
    expect(asked).toHaveLength(2);
  });

  test('attributes are pushed to the tenant’s device alone', async () => {
    const red = await open('red', 'pump');
    const blue = await open('blue', 'pump');
    await red.subscribe(topic('red', 'v1/devices/me/attributes'), 1);
    const pump = (tenant: Tenant) => broker.device('pump', { tenant });
    expect(await pump('blue').setAttributes({ limit: 1 })).toBe(false);
    await blue.subscribe(topic('blue', 'v1/devices/me/attributes'), 1);
    expect(await pump('blue').setAttributes({ limit: 2 })).toBe(true);
    expect((await blue.next()).text).toBe('{"limit":2}');
    expect(await red.surplus()).toEqual([]);
  });

  test('a gateway speaks for devices of its own tenant; a name in another tenant is none', async () => {
    const link = await broker.link();
    const seen: string[] = [];
    const telemetry = link.subscribe('/tenants/+/v1/devices/me/telemetry', { qos: 1 });
    const reading = telemetry.forEach(({ topic: name, deviceId, payload }) => {
      seen.push(`${name} ${deviceId} ${payload}`);
    });
    await telemetry.ready;
    const gateway = await open('red', 'gw-1');
    const lookalike = await open('blue', 'gw-1');
    const blue = await open('blue', 'valve');
    const before = await broker.devices.counts();
    await refused(say(lookalike, 'blue', 'connect', { device: 'valve' }));
    await refused(say(lookalike, 'blue', 'telemetry', { lamp: [{ t: 'forged' }] }));
    if (mode === 'enforced') {
      await refused(say(lookalike, 'red', 'telemetry', { valve: [{ t: 'forged' }] }));
      await refused(say(gateway, 'blue', 'telemetry', { valve: [{ t: 'forged' }] }));
    }
    expect((await broker.devices.counts()).gatewayMessages).toBe(before.gatewayMessages);
    // Blue's valve is there itself; red's is another one.
    await say(gateway, 'red', 'telemetry', { valve: [{ t: 1 }] });
    await eventually(() =>
      expect(seen).toEqual(['/tenants/red/v1/devices/me/telemetry valve [{"t":1}]']),
    );
    expect(await broker.device('valve', { tenant: 'red' }).state()).toMatchObject({
      gateway: 'gw-1',
    });
    expect(await broker.device('valve', { tenant: 'blue' }).state()).toMatchObject({
      gateway: undefined,
      clientId: 'blue.valve',
    });
    await blue.subscribe(topic('blue', 'v1/devices/me/#'), 1);
    for (const tenant of ['red', 'blue'] as const) {
      const mine = tenant === 'red' ? gateway : lookalike;
      await mine.subscribe(topic(tenant, 'v1/gateway/#'), 1);
    }
    const answer = broker
      .device('valve', { tenant: 'red' })
      .request('turn', 1, { timeoutMs: 20_000 });
    const request = await gateway.next();
    expect(request.topic).toBe(topic('red', 'v1/gateway/rpc'));
    const { id } = JSON.parse(request.text).data;
    await refused(say(lookalike, 'blue', 'rpc', { device: 'valve', id, data: 'forged' }));
    await say(gateway, 'red', 'rpc', { device: 'valve', id, data: 'mine' });
    expect(await answer).toBe('mine');
    // The other tenant's gateway of this name goes: nothing of red's goes with it.
    await lookalike.close();
    await eventually(async () =>
      expect(await broker.device('gw-1', { tenant: 'blue' }).state()).toMatchObject({
        online: false,
      }),
    );
    expect(await broker.device('valve', { tenant: 'red' }).state()).toMatchObject({
      online: true,
      gateway: 'gw-1',
    });
    expect(await blue.surplus()).toEqual([]);
    expect(seen).toEqual(['/tenants/red/v1/devices/me/telemetry valve [{"t":1}]']);
    await link.close();
    await reading;
  });

  test('reload: who is a gateway no more says nothing, and its devices are behind nobody', async () => {
    const gateway = await open('red', 'gw-1');
    const other = await open('red', 'box');
    await say(gateway, 'red', 'connect', { device: 'valve' });
    const valve = broker.device('valve', { tenant: 'red' });
    expect(await valve.state()).toMatchObject({ online: true, gateway: 'gw-1' });
    await broker.reload({ ...options, device: { gateways: ['red/box'] } });
    try {
      await eventually(async () =>
        expect(await valve.state()).toMatchObject({ online: false, lastCause: 'gateway_gone' }),
      );
      await expect(valve.request('x')).rejects.toMatchObject({ code: 'ST_DEVICE_NOT_CONNECTED' });
      await refused(say(gateway, 'red', 'telemetry', { valve: [{ t: 'forged' }] }));
      await say(other, 'red', 'connect', { device: 'valve' });
      expect(await valve.state()).toMatchObject({ online: true, gateway: 'box' });
    } finally {
      await broker.reload(options);
    }
    await eventually(async () =>
      expect(await valve.state()).toMatchObject({ online: false, gateway: undefined }),
    );
    await say(gateway, 'red', 'connect', { device: 'valve' });
    expect(await valve.state()).toMatchObject({ gateway: 'gw-1' });
  });
});

test('reload: the first gateways come, and the last ones go, at once', async () => {
  const options = {
    unified: { all: { listen: '127.0.0.1:0', role: 'device' as const } },
    log: { to: 'off' as const },
  };
  const broker = new Broker(options);
  await broker.start();
  const clients: Client[] = [];
  try {
    for (const clientId of ['gw-1', 'spy']) {
      clients.push(await Client.open(broker.addresses[0]?.port ?? 0, 5, { clientId }));
    }
    const [gateway, spy] = clients as [Client, Client];
    await spy.subscribe('v1/gateway/#', 1);
    const connect = () => gateway.publish('v1/gateway/connect', '{"device":"valve"}', { qos: 1 });
    // Topics like any other while there are no gateways.
    await connect();
    expect((await spy.next()).topic).toBe('v1/gateway/connect');
    await broker.reload({ ...options, device: { gateways: ['gw-*'] } });
    await broker.hooksReady();
    await connect();
    expect(await broker.device('valve').state()).toMatchObject({ online: true, gateway: 'gw-1' });
    await broker.reload(options);
    await broker.hooksReady();
    expect(await broker.device('valve').state()).toMatchObject({ lastCause: 'gateway_gone' });
    expect(await spy.surplus()).toEqual([]);
    await connect();
    expect((await spy.next()).topic).toBe('v1/gateway/connect');
  } finally {
    await Promise.all(clients.map((client) => client.mqtt.endAsync(true)));
    await broker.stop({ timeoutMs: 0 });
  }
});
