// MQTT over WebSocket from the configuration to clients on it: MQTT.js and a client made of bytes;
// what a listener asks for, large and many packets, ends, limits, moves between threads.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { Client as Mqttjs } from '../e2e/mqttjs-client.js';
import { issue } from '../harness/certificates.js';
import { Client, connectPacket, publishPacket, subscription, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { eventually } from '../harness/eventually.js';
import { kOpcode, RawWebSocket } from '../harness/websocket.js';
import type { Address } from '../harness/wire.js';
import { Wire } from '../harness/wire.js';

let brokers: Broker[] = [];
let clients: Mqttjs[] = [];
afterEach(async () => {
  for (const { mqtt } of clients) mqtt.end(true);
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
  clients = [];
});

type WsTable = NonNullable<ConfigTables['ws']>[string];
interface Started {
  readonly broker: Broker;
  readonly ws: Address;
  readonly tcp: Address;
}

async function start(ws: Partial<WsTable> = {}, tables: ConfigTables = {}): Promise<Started> {
  const broker = new Broker({
    log: { to: 'off' },
    ...tables,
    unified: { tcp: { listen: '127.0.0.1:0' } },
    ws: { web: { listen: '127.0.0.1:0', ...ws } },
  });
  brokers.push(broker);
  await broker.start();
  const at = (listener: string): Address => {
    const bound = broker.addresses.find((each) => each.listener === listener);
    if (bound === undefined) throw new Error(`no listener ${listener}`);
    return { host: '127.0.0.1', port: bound.port };
  };
  return { broker, ws: at('ws-web'), tcp: at('unified-tcp') };
}

async function open(address: Address, version: 3 | 4 | 5, options = {}): Promise<Mqttjs> {
  const client = await Mqttjs.open(address.port, version, {
    protocol: 'ws',
    path: '/mqtt',
    ...options,
  });
  clients.push(client);
  return client;
}

describe('MQTT.js', () => {
  test.each([3, 4, 5] as const)('protocol level %i: QoS 0 to 2, to and from TCP', async (level) => {
    const { ws, tcp } = await start();
    const web = await open(ws, level);
    const other = await Client.connect(tcp);
    await web.subscribe('to/web', 2);
    await other.subscribe({ filter: 'from/web', qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      await web.publish('from/web', `up ${qos}`, { qos });
      expect((await other.receive()).payload.toString()).toBe(`up ${qos}`);
      await other.publish('to/web', `down ${qos}`, { qos });
      expect((await web.next()).text).toBe(`down ${qos}`);
    }
  });

  test('large packets, many packets, and both at once come whole and in order', async () => {
    const { ws } = await start({}, { broker: { io_threads: 2 } });
    const sender = await open(ws, 5);
    const receiver = await open(ws, 4);
    await receiver.subscribe('t', 1);
    const large = Buffer.alloc(900_000, 'l');
    for (let i = 0; i < 300; i++) {
      const payload = i % 60 === 0 ? Buffer.concat([Buffer.from(`${i} `), large]) : `${i} `;
      void sender.publish('t', payload, { qos: 1 });
    }
    for (let i = 0; i < 300; i++) {
      const { payload } = await receiver.next();
      expect(payload.subarray(0, payload.indexOf(' ')).toString()).toBe(String(i));
      expect(payload.length > 800_000).toBe(i % 60 === 0);
    }
  });

  test('sessions are resumed over WebSocket and TCP alike, across threads', async () => {
    const { ws, tcp } = await start({}, { broker: { io_threads: 3 } });
    const clientId = unique('s');
    const publisher = await Client.connect(tcp);
    const options = { clientId, clean: false, properties: { sessionExpiryInterval: 60 } };
    for (let round = 0; round < 6; round++) {
      const client = await open(ws, 5, options);
      expect(client.sessionPresent).toBe(round > 0);
      await client.subscribe('queue', 1);
      if (round > 0) expect((await client.next()).text).toBe(`round ${round - 1}`);
      await client.mqtt.endAsync(true);
      await publisher.publish('queue', `round ${round}`, { qos: 1 });
    }
    const tcpClient = await Client.connect(tcp, { clientId, cleanStart: false });
    expect((await tcpClient.receive()).payload.toString()).toBe('round 5');
  });

  test('a connection over WebSocket takes over from one over TCP, and the other way round', async () => {
    const { ws, tcp } = await start();
    const clientId = unique('t');
    const first = await Client.connect(tcp, { clientId });
    const web = await open(ws, 5, { clientId });
    await first.wire.expectDisconnect(0x8e);
    const told = new Promise<number>((done) =>
      web.mqtt.once('disconnect', ({ reasonCode }) => done(reasonCode ?? 0)),
    );
    await Client.connect(tcp, { clientId });
    expect(await told).toBe(0x8e);
  });
});

describe('what a listener asks for', () => {
  test('its path, and any query; any path by default', async () => {
    const { ws } = await start({ path: '/mqtt' });
    await RawWebSocket.open(ws, { path: '/mqtt?token=1' });
    const elsewhere = await RawWebSocket.ask(ws, { path: '/other' });
    expect(elsewhere.answer.status).toBe(404);
    await elsewhere.expectEnd();
    const any = await start();
    await RawWebSocket.open(any.ws, { path: '/whatever' });
  });

  test('origins of its own; none of a client that is no browser', async () => {
    const { ws } = await start({
      allowed_origins: ['https://app.example', 'https://*.lan.example'],
    });
    const status = async (origin: string | undefined) =>
      (await RawWebSocket.ask(ws, { headers: { Origin: origin } })).answer.status;
    expect(await status(undefined)).toBe(101);
    expect(await status('https://app.example')).toBe(101);
    expect(await status('https://a.lan.example')).toBe(101);
    expect(await status('https://evil.example')).toBe(403);
    expect(await status('null')).toBe(403);
  });

  test('WebSocket: MQTT, HTTP and WebSocket on the wrong port are told, logged and counted', async () => {
    const { broker, ws, tcp } = await start();
    const wire = await Wire.open(ws, '3.1.1');
    wire.send(connectPacket({ version: '3.1.1' }));
    await eventually(() => {
      expect(broker.metrics()).toMatchObject({
        refused_websocket_failed: 1,
        websocket_refused_malformed: 1,
      });
    });
    wire.close();
    const page = await fetch(`http://127.0.0.1:${ws.port}/`);
    expect(page.status).toBe(426);
    expect(await page.text()).toMatch(/MQTT listener over WebSocket/);
    await expect(RawWebSocket.ask(tcp)).rejects.toThrow(/ended/);
  });
});

describe('ends', () => {
  test('a Close frame is answered; without DISCONNECT the Will is published', async () => {
    const { ws, tcp } = await start();
    const watcher = await Client.connect(tcp);
    await watcher.subscribe('will');
    const socket = await RawWebSocket.open(ws);
    socket.send('5.0', connectPacket({ will: { topic: 'will', payload: 'gone' } }));
    await socket.expect('CONNACK', '5.0');
    socket.frame(kOpcode.close, Buffer.from([0x03, 0xe9]));
    expect(await socket.expectClose()).toBe(1001);
    expect((await watcher.receive()).payload.toString()).toBe('gone');
  });

  test('DISCONNECT and a Close in one segment: no Will', async () => {
    const { ws, tcp } = await start();
    const watcher = await Client.connect(tcp);
    await watcher.subscribe('#');
    const socket = await RawWebSocket.open(ws);
    socket.send('3.1.1', connectPacket({ version: '3.1.1', will: { topic: 'will' } }));
    await socket.expect('CONNACK', '3.1.1');
    socket.send('3.1.1', { type: 'DISCONNECT', reasonCode: 0, properties: {} });
    socket.frame(kOpcode.close);
    await socket.expectClose();
    await watcher.publish('last', 'x');
    expect((await watcher.receive()).topic).toBe('last');
  });

  test('the broker says DISCONNECT, then Close 1000', async () => {
    const { broker, ws } = await start();
    const socket = await RawWebSocket.open(ws);
    socket.send('5.0', connectPacket());
    await socket.expect('CONNACK', '5.0');
    const stopped = broker.stop({ timeoutMs: 1000 });
    expect((await socket.expect('DISCONNECT', '5.0')).reasonCode).toBe(0x8b);
    expect(await socket.expectClose()).toBe(1000);
    await stopped;
  });

  test.each([
    ['a frame that is not masked', kOpcode.binary, { masked: false }, 1002],
    ['a reserved bit', kOpcode.binary, { reserved: 4 }, 1002],
    ['an unknown opcode', 3, {}, 1002],
    ['a continuation of nothing', kOpcode.continuation, {}, 1002],
    ['a fragmented Ping', kOpcode.ping, { fin: false }, 1002],
    ['a text frame', kOpcode.text, {}, 1003],
  ])('%s ends the connection', async (_, opcode, options, status) => {
    const { ws } = await start();
    const socket = await RawWebSocket.open(ws);
    socket.send('5.0', connectPacket());
    await socket.expect('CONNACK', '5.0');
    socket.frame(opcode, encode({ type: 'PINGREQ' }, '5.0'), options);
    expect(await socket.expectClose()).toBe(status);
  });
});

describe('over TLS', () => {
  const server = issue({ subject: { cn: 'localhost' }, names: ['localhost'] });
  const ca = server.certificate;
  let folder = '';
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  function tls() {
    folder = mkdtempSync(join(tmpdir(), 'st-mqttd-'));
    const [certpath, keypath] = [join(folder, 'server.pem'), join(folder, 'server.key')];
    writeFileSync(certpath, server.certificate);
    writeFileSync(keypath, server.key);
    return { certpath, keypath };
  }

  test.each([3, 4, 5] as const)('MQTT.js, protocol level %i: to and from TCP', async (level) => {
    const { ws, tcp } = await start({ tls: tls() }, { broker: { io_threads: 2 } });
    const web = await open(ws, level, { protocol: 'wss', host: 'localhost', ca });
    const other = await Client.connect(tcp);
    await web.subscribe('to/web', 1);
    await other.subscribe({ filter: 'from/web', qos: 2 });
    const large = 'l'.repeat(500_000);
    await web.publish('from/web', large, { qos: 2 });
    expect((await other.receive()).payload.toString()).toBe(large);
    await other.publish('to/web', large, { qos: 1 });
    expect((await web.next()).text).toBe(large);
  });

  test('PROXY header, TLS, WebSocket, in this order; a Close is answered inside', async () => {
    const { broker, ws } = await start({
      tls: tls(),
      proxy_protocol: 'v1',
      trusted_proxies: ['127.0.0.1'],
    });
    const clientId = unique();
    const address = new Promise<string>((done) => {
      broker.on('connect', (event) => done(event.address));
    });
    const before = 'PROXY TCP6 2001:db8::1 2001:db8::2 4711 8883\r\n';
    const socket = await RawWebSocket.open(ws, { before, tls: { ca } });
    socket.send('5.0', connectPacket({ clientId }));
    await socket.expect('CONNACK', '5.0');
    expect(await address).toBe('[2001:db8::1]:4711');
    socket.frame(kOpcode.ping, 'x');
    expect(await socket.nextFrame()).toMatchObject({ opcode: kOpcode.pong });
    socket.frame(kOpcode.close, Buffer.from([0x03, 0xe8]));
    expect(await socket.expectClose()).toBe(1000);
  });

  test('a request that is refused is answered inside TLS', async () => {
    const { broker, ws } = await start({ tls: tls(), path: '/mqtt' });
    const socket = await RawWebSocket.ask(ws, { path: '/x', tls: { ca } });
    expect(socket.answer.status).toBe(404);
    await socket.expectEnd();
    expect(broker.metrics()).toMatchObject({
      tls_handshakes: 1,
      tls_handshakes_failed: 0,
      websocket_refused_path: 1,
      refused_websocket_failed: 1,
    });
  });

  test('a slow upgrade behind a finished handshake ends in time, with its own cause', async () => {
    const { broker, ws } = await start({ tls: tls(), handshake_timeout_ms: 2000 });
    const socket = connectTls({ host: ws.host, port: ws.port, ca, servername: 'localhost' });
    socket.on('error', () => {});
    socket.write('GET /mqtt HTTP/1.1\r\n');
    await new Promise((done) => socket.once('close', done));
    expect(broker.metrics()).toMatchObject({ tls_handshakes: 1, refused_websocket_failed: 1 });
  });
});

describe('bounds', () => {
  test('max_packet_size holds for a packet however it is framed', async () => {
    const { ws } = await start({}, { mqtt: { max_packet_size: 1000 } });
    const large = encode(publishPacket('t', 'x'.repeat(2000)), '5.0');
    for (const size of [large.length, 100]) {
      const socket = await RawWebSocket.open(ws);
      socket.send('5.0', connectPacket());
      await socket.expect('CONNACK', '5.0');
      for (let at = 0; at < large.length; at += size) {
        socket.frame(kOpcode.binary, large.subarray(at, at + size));
      }
      expect((await socket.expect('DISCONNECT', '5.0')).reasonCode).toBe(0x95);
      socket.close();
    }
    // Many small packets in one large frame are not a large packet.
    const socket = await RawWebSocket.open(ws);
    const topic = unique('t');
    socket.send('5.0', connectPacket(), {
      type: 'SUBSCRIBE',
      packetId: 1,
      subscriptions: [subscription(topic)],
      properties: {},
    });
    await socket.expect('CONNACK', '5.0');
    await socket.expect('SUBACK', '5.0');
    const small = encode(publishPacket(topic, 'y'.repeat(100)), '5.0');
    socket.frame(kOpcode.binary, Buffer.concat(Array.from({ length: 500 }, () => small)));
    for (let i = 0; i < 500; i++) await socket.expect('PUBLISH', '5.0');
  });

  test('a slow upgrade request, and none at all, end in time; others are served meanwhile', async () => {
    const { broker, ws } = await start({ handshake_timeout_ms: 200 });
    const slow = await Wire.open(ws, '5.0');
    slow.send(Buffer.from('GET /mqtt HTTP/1.1\r\nHost: a\r\n'));
    const silent = await Wire.open(ws, '5.0');
    await open(ws, 5);
    await slow.expectClosed();
    await silent.expectClosed();
    expect(broker.metrics()).toMatchObject({ refused_websocket_failed: 2, websocket_upgrades: 1 });
  });
});
