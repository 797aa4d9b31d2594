// What a client is where nobody says it: on loopback the operator's own, unless it was asked who it
// is, or came through a proxy.
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { connectPacket, unique } from '../harness/client.js';
import { Wire } from '../harness/wire.js';

let brokers: Broker[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
});

const listen = '127.0.0.1:0';
const header = Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.7 56324 1883\r\n');
const proxied = { listen, proxy_protocol: 'any', trusted_proxies: ['127.0.0.0/8'] } as const;
const anna = { username: 'anna', password: Buffer.from('hunter2') };

/** Its role, and the Reason Code of SUBSCRIBE $SYS/#. */
async function seen(listener: object, login: object = {}, first = Buffer.alloc(0)) {
  const tables = { unified: { main: listener }, log: { to: 'off' } } as ConfigTables;
  const broker = new Broker(tables);
  brokers.push(broker);
  await broker.start();
  const clientId = unique();
  const wire = await Wire.open({ host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 }, '5.0');
  if (first.length > 0) wire.send(first);
  wire.send(connectPacket({ clientId, ...login }));
  expect((await wire.expect('CONNACK')).reasonCode).toBe(0);
  wire.send({
    type: 'SUBSCRIBE',
    packetId: 1,
    subscriptions: [
      { filter: '$SYS/#', qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
    ],
    properties: {},
  });
  const { reasonCodes } = await wire.expect('SUBACK');
  const client = await broker.registry.client(clientId);
  wire.close();
  return [client?.identity?.role ?? 'device', reasonCodes[0]];
}

test('on loopback, asked nothing: a service, which may read $SYS', async () => {
  expect(await seen({ listen })).toEqual(['service', 0]);
});

test('on loopback with a login: a device', async () => {
  expect(await seen({ listen, auth: { anna: 'hunter2' } }, anna)).toEqual(['device', 0]);
});

test('as the listener says', async () => {
  expect(await seen({ listen, role: 'device' })).toEqual(['device', 0]);
  const guarded = { listen, role: 'service', auth: { anna: 'hunter2' } };
  expect(await seen(guarded, anna)).toEqual(['service', 0]);
});

test('through a proxy on this machine: anybody, so a device, and $SYS is shut', async () => {
  expect(await seen(proxied, {}, header)).toEqual(['device', 0x87]);
  expect(await seen({ ...proxied, role: 'service' }, {}, header)).toEqual(['service', 0x87]);
});
