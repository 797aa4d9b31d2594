// Listeners whose TLS is Node's: their clients are counted, bounded, banned and shown by their own
// address, also behind a PROXY header, over WebSocket and on a Unix socket; and nothing is left over.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { IClientOptions, MqttClient } from 'mqtt';
import { afterAll, afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { issue } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';
import { connectOrFail } from '../harness/mqtt-connect.js';
import { inUse } from './raw-native.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const root = issue({ subject: { cn: 'Root' }, isCa: true });
const server = issue({ subject: { cn: 'localhost' }, by: root, names: ['localhost'] });
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const tls = {
  certpath: file('server.pem', server.certificate),
  keypath: file('server.key', server.key),
};

let broker: Broker | undefined;
const clients: MqttClient[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await broker?.stop({ timeoutMs: 300 });
  broker = undefined;
});

async function start(tables: ConfigTables): Promise<Broker> {
  broker = new Broker({
    log: { to: 'off' },
    ...tables,
    broker: { tls_engine: 'node', io_threads: 2 },
  });
  await broker.start();
  return broker;
}
const portOf = ({ addresses }: Broker) => addresses[0]?.port ?? 0;
async function mqtt(at: Broker, over: IClientOptions = {}, scheme = 'mqtts'): Promise<MqttClient> {
  const client = await connectOrFail(`${scheme}://localhost:${portOf(at)}`, {
    ca: root.certificate,
    family: 4,
    ...over,
  } as IClientOptions);
  clients.push(client);
  return client;
}
async function secure(over: object): Promise<TLSSocket> {
  const socket = connectTls({ ca: root.certificate, servername: 'localhost', ...over });
  sockets.push(socket);
  await once(socket, 'secureConnect');
  return socket;
}
/** MQTT 5.0, Clean Start, this Client Identifier. */
function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const head = Buffer.from([0x10, 13 + id.length, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 2, 0, 60, 0, 0]);
  return Buffer.concat([head, Buffer.from([id.length]), id]);
}

test('events and samples have the peer’s own address and transport', async () => {
  const at = await start({ unified: { s: { listen: '127.0.0.1:0', tls } } });
  const told = once(at, 'connect') as Promise<[{ address: string; listener: string }]>;
  const socket = await secure({ port: portOf(at), host: '127.0.0.1' });
  const { localPort } = socket;
  socket.write(connectPacket('me'));
  const [{ address, listener }] = await told;
  expect([address, listener]).toEqual([`127.0.0.1:${localPort}`, 'unified-s']);
  expect(at.metrics().connections_accepted).toBe(1);
  expect(at.metrics().tls_handshakes).toBe(1);
});

test('bounds by address and bans hold, before TLS begins', async () => {
  const listener = { listen: '127.0.0.1:0', tls, max_connections_per_address: 2 };
  const at = await start({ unified: { s: listener } } as ConfigTables);
  await mqtt(at);
  await mqtt(at);
  await expect(mqtt(at)).rejects.toThrow();
  await eventually(() => expect(at.metrics().refused_address_connections).toBe(1));
  expect(at.metrics().tls_handshakes).toBe(2);
  at.bans.add({ kind: 'address', value: '127.0.0.1', seconds: 60, reason: 'test' });
  // Who is there is disconnected, and nobody else comes.
  await eventually(() => expect(clients.every(({ connected }) => !connected)).toBe(true));
  await expect(mqtt(at)).rejects.toThrow();
  expect(at.metrics().tls_handshakes).toBe(2);
});

test.each([
  ['v1', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n')],
  ['v2', Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000201c6336407dc04075b', 'hex')],
])('a PROXY header (%s) in front of TLS, in pieces', async (_name, header) => {
  const listener = {
    listen: '127.0.0.1:0',
    tls,
    proxy_protocol: 'any' as const,
    trusted_proxies: ['127.0.0.0/8'],
  };
  const at = await start({ unified: { s: listener } });
  const told = once(at, 'connect') as Promise<[{ address: string }]>;
  const plain = connectTcp({ port: portOf(at), host: '127.0.0.1', noDelay: true });
  sockets.push(plain);
  await once(plain, 'connect');
  plain.write(header.subarray(0, 9));
  await eventually(() => expect(at.metrics().connections_accepted).toBe(1));
  plain.write(header.subarray(9));
  const socket = await secure({ socket: plain });
  socket.write(connectPacket('behind'));
  expect((await told)[0].address).toBe('192.0.2.1:56324');
});

test('what is no PROXY header is refused and counted', async () => {
  const listener = {
    listen: '127.0.0.1:0',
    tls,
    proxy_protocol: 'any' as const,
    trusted_proxies: ['127.0.0.0/8'],
  };
  const at = await start({ unified: { s: listener } });
  await expect(mqtt(at)).rejects.toThrow();
  await eventually(() => expect(at.metrics().refused_proxy_header_invalid).toBe(1));
});

test('WebSocket over it', async () => {
  const at = await start({ ws: { s: { listen: '127.0.0.1:0', tls } } });
  const client = await mqtt(at, { protocolVersion: 5 }, 'wss');
  const got = new Promise<Buffer>((done) =>
    client.once('message', (_topic, payload) => done(payload)),
  );
  await client.subscribeAsync('t', { qos: 1 });
  await client.publishAsync('t', Buffer.alloc(300_000, 'x'), { qos: 1 });
  expect(await got).toHaveLength(300_000);
});

test('a Unix socket', async () => {
  const path = join(folder, 'mqtt.sock');
  const at = await start({ unified: { s: { unix: path, tls } } } as ConfigTables);
  const told = once(at, 'connect') as Promise<[{ address: string }]>;
  const socket = await secure({ path });
  socket.write(connectPacket('local'));
  expect((await told)[0].address).toBe('unix');
});

test('at the stop the last words come through, and no descriptor is left', async () => {
  const before = inUse().descriptors;
  const at = await start({ unified: { s: { listen: '127.0.0.1:0', tls } } });
  const socket = await secure({ port: portOf(at), host: '127.0.0.1' });
  const seen: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => seen.push(bytes));
  socket.write(connectPacket('last'));
  await eventually(() => expect(Buffer.concat(seen)[0]).toBe(0x20));
  const silent = connectTcp(portOf(at), '127.0.0.1');
  sockets.push(silent);
  await once(silent, 'connect');
  await eventually(() => expect(at.metrics().connections_accepted).toBe(2));
  seen.length = 0;
  const closed = once(socket, 'close');
  await at.stop();
  await closed;
  // DISCONNECT with 0x8B, "Server shutting down".
  expect(Buffer.concat(seen).subarray(0, 3).toString('hex')).toMatch(/^e0..8b$/);
  silent.destroy();
  await eventually(() => expect(inUse().descriptors).toBe(before));
});

test('a client that does not read holds up nobody but itself', async () => {
  const at = await start({ unified: { s: { listen: '127.0.0.1:0', tls } } });
  const slow = await secure({ port: portOf(at), host: '127.0.0.1' });
  slow.write(connectPacket('slow'));
  await once(slow, 'data');
  // SUBSCRIBE "t", QoS 0; then nothing is read any more.
  slow.write(Buffer.from('820700010000017400', 'hex'));
  await once(slow, 'data');
  slow.pause();
  const quick = await mqtt(at);
  const got: Buffer[] = [];
  quick.on('message', (_topic, payload) => got.push(payload));
  await quick.subscribeAsync('t');
  const payload = Buffer.alloc(100_000, 'x');
  for (let n = 0; n < 100; n++) await quick.publishAsync('t', payload, { qos: 1 });
  await eventually(() => expect(got).toHaveLength(100));
  expect(at.metrics().dropped_outbound_watermark).toBeGreaterThan(0);
});

test('another certificate at a reload; who is there stays', async () => {
  const at = await start({ unified: { s: { listen: '127.0.0.1:0', tls } } });
  const client = await mqtt(at);
  const next = issue({ subject: { cn: 'next' }, by: root, names: ['localhost'] });
  const other = { certpath: file('n.pem', next.certificate), keypath: file('n.key', next.key) };
  await at.reload({
    log: { to: 'off' },
    broker: { tls_engine: 'node', io_threads: 2 },
    unified: { s: { listen: '127.0.0.1:0', tls: other } },
  });
  const socket = await secure({ port: portOf(at), host: '127.0.0.1' });
  expect(socket.getPeerCertificate().subject.CN).toBe('next');
  await client.publishAsync('still', 'there', { qos: 1 });
});
