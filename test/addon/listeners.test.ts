// Every kind of listener from the configuration to a client on it: Unix sockets, IPv6, several with
// limits of their own, the number of connections, and those that never say CONNECT.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { Client, connectPacket } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { eventually } from '../harness/eventually.js';
import { type Address, Wire } from '../harness/wire.js';

let brokers: Broker[] = [];
let folders: string[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  brokers = [];
  folders = [];
});

async function start(tables: ConfigTables): Promise<Broker> {
  const broker = new Broker({ log: { to: 'off' }, ...tables });
  brokers.push(broker);
  await broker.start();
  return broker;
}
/** Of the listener's first address. */
function addressOf(broker: Broker, listener: string): Address {
  const bound = broker.addresses.find((each) => each.listener === listener);
  if (bound === undefined) throw new Error(`no listener ${listener}`);
  return { host: bound.host, port: bound.port };
}
/** For net.connect: harness addresses are TCP, and a path goes the same way. */
const unixAddress = (path: string) => ({ path }) as unknown as Address;
const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

describe('Unix sockets', () => {
  test('messages between a Unix socket and TCP; mode, address and end of the file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-'));
    folders.push(folder);
    const path = join(folder, 'mqtt.sock');
    const broker = await start({
      broker: { io_threads: 2 },
      unified: { both: { listen: '127.0.0.1:0', unix: path, unix_mode: '0600' } },
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(broker.addresses.map(({ text }) => text)).toContain(`unix:${path}`);
    const connected = new Promise<{ address: string }>((done) => broker.once('connect', done));
    const local = await Client.connect(unixAddress(path), { clientId: 'local' });
    expect((await connected).address).toBe('unix');
    const remote = await Client.connect(addressOf(broker, 'unified-both'));
    await local.subscribe({ filter: 'a', qos: 2 });
    await remote.subscribe({ filter: 'a', qos: 2 });
    expect(await local.publish('a', 'from the file', { qos: 2 })).toBe(0);
    expect((await remote.receive()).payload.toString()).toBe('from the file');
    expect((await local.receive()).payload.toString()).toBe('from the file');
    // More than a socket's buffer takes at once.
    const large = Buffer.alloc(900_000, 7);
    expect(await remote.publish('a', large, { qos: 1 })).toBe(0);
    expect((await local.receive()).payload.equals(large)).toBe(true);
    await broker.stop();
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  test('alone; a file that a dead process left is replaced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-'));
    folders.push(folder);
    const path = join(folder, 's');
    const tables = { unified: { local: { unix: path } } };
    const first = await start(tables);
    expect(first.address()).toBe(path);
    await expect(start(tables)).rejects.toMatchObject({ code: 'ST_LISTEN' });
    const client = await Client.connect(unixAddress(path));
    await client.ping();
    await client.disconnect();
    await first.stop();
    await first.start();
    await (await Client.connect(unixAddress(path))).disconnect();
  });
});

describe.skipIf(!hasIpv6)('IPv6', () => {
  test('[::1], and its address in events', async () => {
    const broker = await start({ unified: { six: { listen: '[::1]:0' } } });
    expect(broker.address()).toMatchObject({ address: '::1', family: 'IPv6' });
    expect(broker.addresses[0]?.text).toMatch(/^\[::1\]:\d+$/);
    const connected = new Promise<{ address: string }>((done) => broker.once('connect', done));
    const client = await Client.connect(addressOf(broker, 'unified-six'));
    expect((await connected).address).toMatch(/^\[::1\]:\d+$/);
    await client.ping();
    client.close();
  });
});

describe('several listeners', () => {
  test('each with its own limits, versions and number of connections', async () => {
    const broker = await start({
      broker: { io_threads: 3 },
      mqtt: { max_qos: 2 },
      unified: {
        wide: { listen: ['127.0.0.1:0', '127.0.0.1:0'] },
        narrow: {
          listen: '127.0.0.1:0',
          max_connections: 1,
          connections: { max_qos: 0, max_packet_size: 1024, retain_available: false },
        },
      },
      v4: { old: { listen: '127.0.0.1:0' } },
    });
    expect(broker.addresses).toHaveLength(4);
    const wide = await Client.connect(addressOf(broker, 'unified-wide'));
    expect(wide.connack.properties.maximumQos).toBeUndefined();
    const narrow = await Client.connect(addressOf(broker, 'unified-narrow'));
    expect(narrow.connack.properties).toMatchObject({
      maximumQos: 0,
      maximumPacketSize: 1024,
      retainAvailable: 0,
    });
    const second = await Wire.open(addressOf(broker, 'unified-narrow'), '5.0');
    expect(await second.hasEnded(5000)).toBe(true);
    const old = await Client.connect(addressOf(broker, 'v4-old'), { version: '3.1.1' });
    const modern = await Client.open(addressOf(broker, 'v4-old'));
    expect((await modern.wire.expect('CONNACK')).reasonCode).toBe(0x84);
    await old.subscribe({ filter: 'a', qos: 2 });
    await wide.publish('a', 'x', { qos: 2 });
    expect((await old.receive()).qos).toBe(2);
    narrow.send(Buffer.concat([Buffer.from([0x30, 0x80, 0x10]), Buffer.alloc(2048)]));
    expect((await narrow.wire.expect('DISCONNECT')).reasonCode).toBe(0x95);
  });

  test('max_connections of the broker: the next is closed at once, and a place that gets free serves', async () => {
    const broker = await start({
      broker: { io_threads: 3, max_connections: 3 },
      unified: { one: { listen: '127.0.0.1:0' }, two: { listen: '127.0.0.1:0' } },
    });
    const places = ['unified-one', 'unified-two', 'unified-one'].map((name) =>
      addressOf(broker, name),
    );
    const clients = await Promise.all(places.map((address) => Client.connect(address)));
    const beyond = await Wire.open(addressOf(broker, 'unified-two'), '5.0');
    expect(await beyond.hasEnded(5000)).toBe(true);
    clients[0]?.close();
    await eventually(async () => {
      const next = await Client.connect(addressOf(broker, 'unified-two'));
      next.close();
    });
    // A link of this process takes no place.
    expect((await broker.link()).isOpen).toBe(true);
  });
});

describe.each([1, 3])('never CONNECT, %i I/O threads', (io_threads) => {
  test('nothing, half of it, a byte now and then, or something else: closed on time', async () => {
    const broker = await start({
      broker: { io_threads },
      unified: {
        impatient: { listen: '127.0.0.1:0', connections: { connection_timeout_ms: 400 } },
      },
    });
    const refused: string[] = [];
    broker.on('refused', ({ cause }) => refused.push(cause));
    const address = addressOf(broker, 'unified-impatient');
    const packet = encode(connectPacket({ clientId: 'slow' }), '5.0');
    const wires = await Promise.all([0, 1, 2, 3].map(() => Wire.open(address, '5.0')));
    const from = performance.now();
    wires[1]?.send(packet.subarray(0, packet.length - 1));
    let sent = 0;
    const drip = setInterval(() => {
      if (sent < packet.length - 1) wires[2]?.send(packet.subarray(sent, ++sent));
    }, 60);
    wires[3]?.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    expect(await wires[3]?.hasEnded(300)).toBe(true);
    for (const wire of wires.slice(0, 3)) expect(await wire.hasEnded(3000)).toBe(true);
    clearInterval(drip);
    const took = performance.now() - from;
    expect(took).toBeGreaterThan(380);
    expect(took).toBeLessThan(8000);
    await eventually(() =>
      expect(refused.sort()).toEqual([
        'connect_timeout',
        'connect_timeout',
        'connect_timeout',
        'protocol_error',
      ]),
    );
    // One that is in time is not disturbed by the deadline that it has met.
    const client = await Client.connect(address);
    await new Promise((done) => setTimeout(done, 600));
    await client.ping();
  });
});
