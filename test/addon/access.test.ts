// What a verdict says of its client, at the socket: rules, tenant, expiry; and that credentials of
// one with another's Client Identifier gain nothing.
import { afterEach, expect, test } from 'vitest';
import type { AuthHandler } from '../../src/auth/verdict.js';
import { Broker } from '../../src/broker.js';
import { Client } from '../harness/client.js';
import { eventually } from '../harness/eventually.js';
import type { Address } from '../harness/wire.js';

let brokers: Broker[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
});

async function start(handler: AuthHandler) {
  const broker = new Broker({
    unified: { test: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
    broker: { io_threads: 2 },
  }).authenticate(handler);
  brokers.push(broker);
  await broker.start();
  const address: Address = { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
  return { broker, address };
}

test('rules of a verdict: PUBLISH and SUBSCRIBE beyond them are refused with 0x87', async () => {
  const { address } = await start(() => ({
    accept: true,
    rules: [{ effect: 'allow', actions: 'all', filters: ['own/%c/#'] }],
  }));
  const client = await Client.connect(address, { clientId: 'c1' });
  const suback = await client.subscribe([
    { filter: 'own/c1/#', qos: 1 },
    { filter: 'own/#', qos: 1 },
    { filter: '$share/g/own/c2/#', qos: 1 },
  ]);
  expect(suback.reasonCodes).toEqual([1, 0x87, 0x87]);
});

test('valid credentials of one tenant with a Client Identifier of another gain nothing', async () => {
  const { broker, address } = await start(({ username }) => ({
    accept: true,
    tenant: username === 'open' ? undefined : username,
  }));
  const red = await Client.connect(address, { clientId: 'pump', username: 'red' });
  await red.subscribe({ filter: 'x', qos: 0 });
  const blue = await Client.connect(address, { clientId: 'pump', username: 'blue' });
  // Shown by the same name as red's, and another session all the same: it takes nothing over.
  const squatter = await Client.connect(address, {
    clientId: 'red.pump',
    username: 'open',
    cleanStart: false,
  });
  expect(squatter.connack.sessionPresent).toBe(false);
  await blue.publish('x', 'all are there');
  expect((await red.wire.expect('PUBLISH')).topic).toBe('x');
  expect(await broker.registry.client('pump')).toBeUndefined();
  expect((await broker.registry.client('blue.pump'))?.identity?.tenant).toBe('blue');
  expect((await broker.registry.client('red.pump'))?.identity?.tenant).toBe('red');
});

test('when a verdict is over the client is told, with 0xA0', async () => {
  const { broker, address } = await start(() => ({ accept: true, expiresIn: 1 }));
  const client = await Client.connect(address, { clientId: 'c1' });
  expect((await client.wire.expect('DISCONNECT')).reasonCode).toBe(0xa0);
  await eventually(async () => {
    const row = await broker.registry.client('c1');
    expect(row?.connected ?? false).toBe(false);
  });
});
