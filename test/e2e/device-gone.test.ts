// Requests to devices that go before they have answered: what ends at once, and what waits on.
import type { IClientOptions } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import type { ConfigTables } from '../../src/config/options.ts';
import { eventually } from '../harness/eventually.js';
import { Client, type Version } from './mqttjs-client.js';

const kRequests = 'v1/devices/me/rpc/request/';
/** Far longer than a test may take: what ends before has not ended by it. */
const waiting = { timeoutMs: 600_000 };

const options = (gateways: readonly string[]) =>
  ({
    broker: { io_threads: 2 },
    unified: { devices: { listen: '127.0.0.1:0', role: 'device' } },
    device: { gateways },
    log: { to: 'off' },
  }) as unknown as ConfigTables;

let broker: Broker;
const clients: Client[] = [];
beforeEach(async () => {
  broker = new Broker(options(['gw-*']));
  await broker.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true)));
  await broker.stop({ timeoutMs: 0 });
});

async function device(clientId: string, version: Version = 5, more: IClientOptions = {}) {
  const client = await Client.open(broker.addresses[0]?.port ?? 0, version, { clientId, ...more });
  clients.push(client);
  return client;
}
const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };
const isGone = (promise: Promise<unknown>, why: RegExp) =>
  expect(promise).rejects.toMatchObject({
    code: 'ST_DEVICE_GONE',
    message: expect.stringMatching(why),
  });
/** A request that the device has got, and its number. */
async function asked(client: Client, name: string) {
  await client.subscribe(`${kRequests}+`, 1);
  const answer = broker.device(name).request('stop', undefined, waiting);
  // Some tests wait for something else first.
  answer.catch(() => undefined);
  const { topic } = await client.next();
  return { answer, id: topic.slice(kRequests.length) };
}
const offline = (name: string) =>
  eventually(async () => expect((await broker.device(name).state())?.online).toBe(false));

describe.each([4, 5] as const)('a device with MQTT %i', (version) => {
  test('whose session ends with its connection', async () => {
    for (const end of ['cut', 'close'] as const) {
      const pump = await device('pump', version);
      const { answer } = await asked(pump, 'pump');
      await pump[end]();
      await isGone(answer, /asking device "pump" for stop: .*its session has ended/);
    }
    expect(await broker.devices.counts()).toMatchObject({ requestsGone: 2, requestsUnderWay: 0 });
  });

  test('whose session waits for it may answer when it is back', async () => {
    const pump = await device('pump', version, lasting);
    const { answer, id } = await asked(pump, 'pump');
    await pump.cut();
    await offline('pump');
    expect(await broker.devices.counts()).toMatchObject({ requestsUnderWay: 1, requestsGone: 0 });
    const again = await device('pump', version, lasting);
    await again.publish(`v1/devices/me/rpc/response/${id}`, '"stopped"', { qos: 1 });
    expect(await answer).toBe('stopped');
  });

  test('whose session is ended while it is away, or with its connection', async () => {
    const pump = await device('pump', version, lasting);
    const { answer } = await asked(pump, 'pump');
    await pump.cut();
    await offline('pump');
    expect(await broker.sessions.end('pump')).toBe(true);
    await isGone(answer, /its session has ended/);
    const fan = await device('fan', version, lasting);
    const other = await asked(fan, 'fan');
    expect(await broker.sessions.end('fan')).toBe(true);
    await isGone(other.answer, /its session has ended/);
  });
});

test('whose session expires while it is away', async () => {
  const pump = await device('pump', 5, {
    clean: false,
    properties: { sessionExpiryInterval: 1 },
  });
  const { answer } = await asked(pump, 'pump');
  await pump.cut();
  await isGone(answer, /its session has ended/);
});

test('an answer that a device sends before it goes is taken', async () => {
  for (let turn = 0; turn < 20; ++turn) {
    const pump = await device(`pump-${turn}`, 4);
    const { answer, id } = await asked(pump, `pump-${turn}`);
    void pump.publish(`v1/devices/me/rpc/response/${id}`, String(turn));
    await pump.close();
    expect(await answer).toBe(turn);
  }
});

test('one that is not there yet is waited for, also when it comes and goes', async () => {
  const answer = broker.device('pump').request('stop', undefined, { ...waiting, queue: true });
  const deaf = await device('pump', 4);
  await deaf.cut();
  await offline('pump');
  const pump = await device('pump', 4);
  await pump.subscribe(`${kRequests}+`, 1);
  const { topic } = await pump.next();
  await pump.publish(topic.replace('/request/', '/response/'), 'true');
  expect(await answer).toBe(true);
});

describe('a device behind a gateway', () => {
  async function behind() {
    const gateway = await device('gw-1', 4);
    await gateway.publish('v1/gateway/connect', '{"device":"valve"}', { qos: 1 });
    const answer = broker.device('valve').request('shut', undefined, waiting);
    answer.catch(() => undefined);
    expect((await gateway.next()).topic).toBe('v1/gateway/rpc');
    return { gateway, answer };
  }
  const why = /asking device "valve" for shut: .*its gateway does not speak for it any more/;

  test('whose gateway is none any more after a reload', async () => {
    const { answer } = await behind();
    await broker.reload(options([]));
    await isGone(answer, why);
  });
  test('that its gateway lets go of', async () => {
    const { gateway, answer } = await behind();
    await gateway.publish('v1/gateway/disconnect', '{"device":"valve"}', { qos: 1 });
    await isGone(answer, why);
  });
  test('whose gateway goes', async () => {
    const { gateway, answer } = await behind();
    await gateway.cut();
    await isGone(answer, why);
  });
  test('that connects itself', async () => {
    const { answer } = await behind();
    await device('valve', 4);
    await isGone(answer, why);
  });
});
