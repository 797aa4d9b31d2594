// Bans, and limits of single clients and tenants, through the addon with real clients.
import { afterEach, describe, expect, test } from 'vitest';
import type { NativeBroker, NativeBrokerOptions } from '../../src/native/addon.js';
import { CommandWriter, type VerdictCommand } from '../../src/native/commands.js';
import { type CounterName, counterNames } from '../../src/native/counter-names.js';
import { Dispatcher } from '../../src/native/dispatch.js';
import { loadAddon } from '../../src/native/load.js';
import { Client, publishPacket, unique } from '../harness/client.js';
import { eventually } from '../harness/eventually.js';
import { Reason } from '../harness/packets.js';
import type { Address } from '../harness/wire.js';
import { brokerOptions, listenSpec } from './raw-native.js';

const addon = loadAddon();
let stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops) stop();
  stops = [];
});

interface Started {
  native: NativeBroker;
  address: Address;
  counter: (name: CounterName) => number;
}

/** `judge`: what a CONNECT with this username is told besides. */
function start(
  options: Partial<NativeBrokerOptions> = {},
  judge: (username: string) => Omit<VerdictCommand, 'connectionId' | 'reasonCode'> = () => ({}),
): Started {
  const native = addon.createBroker(brokerOptions(options), () => dispatcher.wake());
  const writer = new CommandWriter((bytes, length) => native.submit(bytes, length));
  const dispatcher = new Dispatcher(native, (event) => {
    if (event.kind !== 'connect_request') return;
    const { connectionId, username } = event;
    writer.verdict({ connectionId, reasonCode: 0, ...judge(username) });
  });
  stops.push(() => {
    dispatcher.close();
    native.stop();
  });
  const { port } = native.listen(listenSpec());
  native.start();
  const counters = new BigInt64Array(counterNames.length);
  const counter = (name: CounterName): number => {
    native.counters(counters);
    return Number(counters[counterNames.indexOf(name)]);
  };
  return { native, address: { host: '127.0.0.1', port }, counter };
}

describe.each([1, 3])('bans, %i I/O threads', (io_threads) => {
  test('a client is disconnected, refused, and back when the ban is taken back', async () => {
    const { native, address } = start({ io_threads });
    const clientId = unique();
    const client = await Client.connect(address, { version: '5.0', clientId });
    const other = await Client.connect(address, { version: '5.0' });
    native.ban({ kind: 'client', value: clientId, seconds: 60, reason: 'test' });
    await client.wire.expectDisconnect(0x98);
    const again = await Client.open(address, { version: '5.0', clientId });
    await again.wire.expectRefused(0x8a);
    const old = await Client.open(address, { version: '3.1.1', clientId });
    await old.wire.expectRefused(5);
    await other.ping();
    expect(native.unban({ kind: 'client', value: clientId })).toBe(true);
    expect(native.unban({ kind: 'client', value: clientId })).toBe(false);
    await Client.connect(address, { version: '5.0', clientId });
  });

  test('flapping: one connect too many in the window', async () => {
    const { native, address, counter } = start({ io_threads, flapping_count: 3 });
    const clientId = unique();
    for (let n = 0; n < 3; n++) {
      await (await Client.connect(address, { version: '5.0', clientId })).disconnect();
    }
    const fourth = await Client.open(address, { version: '5.0', clientId });
    await fourth.wire.expectRefused(0x8a);
    await Client.connect(address, { version: '5.0' });
    expect(counter('bans_flapping')).toBe(1);
    const { rows } = native.bans('', 10);
    expect(rows).toMatchObject([{ kind: 'client', value: clientId, source: 'flapping' }]);
  });
});

test('the table of bans: pages, times, and values that are none', () => {
  const { native } = start();
  for (let n = 0; n < 5; n++) {
    native.ban({ kind: 'user', value: `u${n}`, seconds: n * 100, reason: `r${n}` });
  }
  native.ban({ kind: 'address', value: '2001:db8::/32', seconds: 0, reason: '' });
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = native.bans(cursor, 2);
    seen.push(...page.rows.map(({ kind, value }) => `${kind} ${value}`));
    cursor = page.cursor;
  } while (cursor !== '');
  expect(seen).toEqual([
    'user u0',
    'user u1',
    'user u2',
    'user u3',
    'user u4',
    'address 2001:db8::/32',
  ]);
  const [first, second] = native.bans('', 2).rows;
  expect(first?.expires_s).toBeNull();
  expect(second?.expires_s).toBeLessThanOrEqual(100);
  const bad = { kind: 'address', seconds: 0, reason: '' } as const;
  for (const value of ['nowhere', '10.0.0.0.0/8', '10.0.0.0/33']) {
    expect(() => native.ban({ ...bad, value })).toThrow(
      expect.objectContaining({ code: 'ST_NATIVE_BAN' }),
    );
  }
  expect(() => native.ban({ ...bad, kind: 'planet' as 'user', value: 'x' })).toThrow(
    expect.objectContaining({ code: 'ST_NATIVE_OPTION' }),
  );
});

test("a verdict's limits hold for that client alone", async () => {
  const { address, counter } = start({ authenticate: true }, (username) =>
    username === 'small'
      ? { limits: { maxSubscriptions: 1, maxPacketSize: 200, maxMessagesPerSecond: 1 } }
      : {},
  );
  const small = await Client.connect(address, { version: '5.0', username: 'small' });
  expect(small.connack.properties.maximumPacketSize).toBe(200);
  await small.subscribe('a');
  expect((await small.subscribe('b')).reasonCodes).toEqual([Reason.quotaExceeded]);
  const large = await Client.connect(address, { version: '5.0', username: 'large' });
  expect(large.connack.properties.maximumPacketSize).toBe(1 << 20);
  await large.subscribe('a');
  await large.subscribe('b');
  for (let n = 0; n < 3; n++) await small.publish('c', `${n}`, { qos: 1 });
  expect(counter('paused_rate')).toBeGreaterThan(0);
  await large.publish('b', Buffer.alloc(1000), { qos: 1 });
  expect((await large.receive()).payload).toHaveLength(1000);
  small.send(publishPacket('c', Buffer.alloc(1000)));
  await small.wire.expectDisconnect(Reason.packetTooLarge);
});

test('a tenant has its connections, and a takeover is none more', async () => {
  const { address, counter } = start(
    { authenticate: true, max_connections_per_tenant: 2, io_threads: 3 },
    (username) => ({ tenant: username }),
  );
  const of = (username: string, clientId = unique()) =>
    Client.open(address, { version: '5.0', username, clientId });
  const first = await of('acme', 'one');
  await first.wire.expect('CONNACK');
  const second = await of('acme');
  await second.wire.expect('CONNACK');
  await (await of('acme')).wire.expectRefused(Reason.quotaExceeded);
  await (await of('umbrella')).wire.expect('CONNACK');
  const again = await of('acme', 'one');
  expect((await again.wire.expect('CONNACK')).reasonCode).toBe(0);
  expect(counter('refused_tenant_connections')).toBe(1);
  await second.disconnect();
  await eventually(async () => {
    const next = await of('acme');
    expect((await next.wire.expect('CONNACK')).reasonCode).toBe(0);
  });
});
