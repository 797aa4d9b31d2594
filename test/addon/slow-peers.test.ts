// Peers that hold places and bring nothing: silent ones, ones that send a byte at a time, ones that do
// not read, at every step from accept to CONNECT and on every transport. They end in time, counted
// by cause, others come through meanwhile, and nothing is left of them.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { issue } from '../harness/certificates.js';
import { Client, connectPacket } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { eventually } from '../harness/eventually.js';
import { clientFrame, kOpcode, RawWebSocket } from '../harness/websocket.js';

const root = issue({ subject: { cn: 'Root' }, isCa: true });
const server = issue({ subject: { cn: 'server' }, by: root, names: ['localhost'] });
const ca = root.certificate;

/** Its own address: bounds by address are about it alone. */
const kAttacker = '127.0.0.2';
const slow = process.env.ST_MQTTD_SANITIZED !== undefined;
const kHandshakeMs = slow ? 6000 : 3000;
const kConnectMs = slow ? 8000 : 4000;
const kEach = 25;

let broker: Broker | undefined;
let folder: string | undefined;
let sockets: Socket[] = [];
let drip: NodeJS.Timeout | undefined;
afterEach(async () => {
  clearInterval(drip);
  for (const socket of sockets) socket.removeAllListeners('close').destroy();
  sockets = [];
  await broker?.stop({ timeoutMs: 300 });
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

let clientHello: Buffer;
beforeAll(async () => {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const client = connectTls({ host: '127.0.0.1', port });
  client.on('error', () => {});
  const [socket] = (await once(listener, 'connection')) as [Socket];
  [clientHello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  listener.close();
});

async function start(tables: (tls: object) => ConfigTables): Promise<(name: string) => number> {
  folder = mkdtempSync(join(tmpdir(), 'st-mqttd-slow-'));
  const [certpath, keypath] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  writeFileSync(certpath, server.certificate);
  writeFileSync(keypath, server.key);
  broker = new Broker({ log: { to: 'off' }, ...tables({ certpath, keypath }) });
  await broker.start();
  const { addresses } = broker;
  return (name) => {
    const bound = addresses.find(({ listener }) => listener === name);
    if (bound === undefined) throw new Error(`no listener ${name}`);
    return bound.port;
  };
}

function plain(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port, localAddress: kAttacker, noDelay: true });
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}
async function secured(port: number): Promise<TLSSocket> {
  const socket = connectTls({ socket: plain(port), ca, servername: 'localhost' });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}
function closed(socket: Socket): Promise<void> {
  // Not once(): a reset, for bytes that come after the end, is an end too.
  return new Promise((done) => {
    if (socket.destroyed) done();
    else socket.once('close', () => done());
  });
}
async function honest(port: number, over: 'tcp' | 'tls' | 'ws'): Promise<void> {
  const packet = connectPacket();
  if (over === 'ws') {
    const socket = await RawWebSocket.open({ host: '127.0.0.1', port });
    socket.send('5.0', packet);
    expect((await socket.expect('CONNACK', '5.0')).reasonCode).toBe(0);
    return socket.close();
  }
  const socket =
    over === 'tcp'
      ? connect({ host: '127.0.0.1', port })
      : connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost' });
  sockets.push(socket);
  socket.write(encode(packet, '5.0'));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect([answer[0], answer[3]]).toEqual([0x20, 0]);
  socket.destroy();
}

/** One byte of each, again and again, never the last one. */
function dripping(): (socket: Socket, bytes: Buffer) => Socket {
  const all = new Map<Socket, { bytes: Buffer; at: number }>();
  drip = setInterval(() => {
    for (const [socket, state] of all) {
      if (socket.destroyed || state.at === state.bytes.length - 1) all.delete(socket);
      else socket.write(state.bytes.subarray(state.at, ++state.at));
    }
  }, 20);
  return (socket, bytes) => {
    all.set(socket, { bytes, at: 0 });
    return socket;
  };
}

describe.each([1, 2])('%i I/O threads', (io_threads) => {
  test('at every step: ended in time, counted by cause, and in nobody’s way', async () => {
    const listen = '127.0.0.1:0';
    const handshake_timeout_ms = kHandshakeMs;
    const port = await start((tls) => ({
      broker: { io_threads },
      mqtt: { connection_timeout_ms: kConnectMs },
      unified: {
        tcp: { listen },
        tls: { listen, handshake_timeout_ms, tls },
        proxy: {
          listen,
          handshake_timeout_ms,
          proxy_protocol: 'any',
          trusted_proxies: ['127.0.0.0/8'],
        },
      },
      ws: { web: { listen, handshake_timeout_ms } },
    }));
    const metrics = () => {
      if (broker === undefined) throw new Error('no broker');
      return broker.metrics();
    };
    const open = () => metrics().connections_accepted - metrics().connections_closed;
    const established = await Client.connect({ host: '127.0.0.1', port: port('unified-tcp') });
    await established.subscribe({ filter: 't', qos: 1 });
    const talk = async (text: string) => {
      await established.publish('t', text, { qos: 1 });
      expect((await established.receive()).payload.toString()).toBe(text);
    };
    await talk('before');
    const before = metrics();

    const packet = encode(connectPacket({ clientId: 'x'.repeat(2000) }), '5.0');
    const upgrade = Buffer.from(
      `GET /mqtt HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(2000)}\r\n\r\n`,
    );
    const header = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n');
    const slowly = dripping();
    const ping = async () => {
      // RawWebSocket is for those who behave.
      const socket = plain(port('ws-web'));
      socket.write(
        'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
          'Sec-WebSocket-Protocol: mqtt\r\n\r\n',
      );
      await once(socket, 'data');
      const frames = Buffer.concat(
        Array.from({ length: 300 }, () => clientFrame(kOpcode.ping, 'p')),
      );
      return slowly(socket, frames);
    };
    const silently = (to: string) => () => plain(port(to));
    const unread = () => {
      const socket = plain(port('unified-tls'));
      socket.write(clientHello);
      return socket;
    };
    const attacks: (() => Socket | Promise<Socket>)[] = [
      silently('unified-tcp'),
      () => slowly(plain(port('unified-tcp')), packet),
      () => secured(port('unified-tls')),
      async () => slowly(await secured(port('unified-tls')), packet),
      ping,
      silently('unified-tls'),
      () => slowly(plain(port('unified-tls')), clientHello),
      unread,
      silently('ws-web'),
      () => slowly(plain(port('ws-web')), upgrade),
      silently('unified-proxy'),
      () => slowly(plain(port('unified-proxy')), header),
    ];
    const ends: Promise<unknown>[] = [];
    let ended = 0;
    for (let n = 0; n < kEach; n++) {
      const made = await Promise.all(attacks.map((attack) => attack()));
      for (const socket of made) {
        // What comes is thrown away, or the end would never be told.
        ends.push(closed(socket.resume()).then(() => ended++));
      }
      if (n % 5 === 0) await talk(`meanwhile ${n}`);
    }
    for (const over of ['tcp', 'tls'] as const) await honest(port(`unified-${over}`), over);
    await honest(port('ws-web'), 'ws');
    await Promise.all(ends);
    expect(ended).toBe(kEach * attacks.length);
    await talk('after');
    const after = metrics();
    const grew = (name: keyof typeof after) => after[name] - before[name];
    expect({
      connect: grew('refused_connect_timeout'),
      tls: grew('tls_failed_unfinished'),
      refused: grew('refused_tls_failed'),
      websocket: grew('refused_websocket_failed'),
      proxy: grew('refused_proxy_header_invalid'),
      all: grew('connections_refused'),
    }).toEqual({
      connect: 5 * kEach,
      tls: 3 * kEach,
      refused: 3 * kEach,
      websocket: 2 * kEach,
      proxy: 2 * kEach,
      all: 12 * kEach,
    });
    await eventually(() => {
      expect(open()).toBe(1);
      expect(metrics().outbound_bytes).toBe(before.outbound_bytes);
    });
  }, 60_000);
});

describe('max_handshakes', () => {
  const kPlaces = 6;
  const kAttackers = 30;

  test('all places held by slow ones who come back: an honest client gets its turn', async () => {
    const port = await start((tls) => ({
      unified: {
        tls: {
          listen: '127.0.0.1:0',
          handshake_timeout_ms: 400,
          max_handshakes: kPlaces,
          tls,
        },
      },
    }));
    const slowly = dripping();
    let over = false;
    const attack = (): void => {
      if (over) return;
      const socket = slowly(plain(port('unified-tls')), clientHello);
      socket.resume().once('close', attack);
    };
    for (let n = 0; n < kAttackers; n++) attack();
    await eventually(() => expect(broker?.metrics().accepts_held).toBeGreaterThan(0));
    // On a slow machine its own handshake may take too long: it tries again, as a client would.
    await eventually(() => honest(port('unified-tls'), 'tls'));
    over = true;
    expect(broker?.metrics().tls_failed_unfinished).toBeGreaterThan(0);
  }, 60_000);

  test('and with max_connections_per_address no address holds them all, however long', async () => {
    const port = await start((tls) => ({
      unified: {
        tls: {
          listen: '127.0.0.1:0',
          handshake_timeout_ms: 3_600_000,
          max_handshakes: kPlaces,
          max_connections_per_address: kPlaces - 1,
          tls,
        },
      },
    }));
    const slowly = dripping();
    const attackers = Array.from({ length: kAttackers }, () =>
      slowly(plain(port('unified-tls')), clientHello).resume(),
    );
    await eventually(() =>
      expect(broker?.metrics().refused_address_connections).toBe(kAttackers - kPlaces + 1),
    );
    for (let n = 0; n < 5; n++) await honest(port('unified-tls'), 'tls');
    expect(attackers.filter(({ destroyed }) => !destroyed)).toHaveLength(kPlaces - 1);
    expect(broker?.metrics().tls_handshakes).toBe(5);
  });
});
