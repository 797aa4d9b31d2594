// Broker.stop(): clients are told, what was queued is flushed within the time given, and whoever
// does not read is cut then.
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import { Client, connectPacket, subscription } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { type Address, Wire } from '../harness/wire.js';

let broker: Broker | undefined;
let sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await broker?.stop({ timeoutMs: 100 });
});

async function start(io_threads: number): Promise<Address> {
  broker = new Broker({
    broker: { io_threads },
    unified: { test: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
  });
  await broker.start();
  return { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
}

/** Subscribes to 'flood', then never reads again: its messages stay in the broker. */
async function stuckReader(address: Address, clientId: string): Promise<Socket> {
  const socket = connect({ ...address, noDelay: true });
  sockets.push(socket);
  socket.on('error', () => {});
  socket.write(encode(connectPacket({ clientId }), '5.0'));
  const subscriptions = [subscription('flood')];
  socket.write(encode({ type: 'SUBSCRIBE', packetId: 1, subscriptions, properties: {} }, '5.0'));
  let bytes = 0;
  await new Promise<void>((done) =>
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      // CONNACK and SUBACK.
      if (bytes > 10 && chunk.includes(0x90)) done();
    }),
  );
  socket.pause();
  return socket;
}

describe.each([1, 3])('%i I/O threads', (io_threads) => {
  test('v5 is told 0x8B, v3 just ends, those that wait for CONNECT or a session too', async () => {
    const address = await start(io_threads);
    const modern = await Client.connect(address);
    const old = await Client.connect(address, { version: '3.1.1' });
    const silent = await Wire.open(address, '5.0');
    const disconnects: string[] = [];
    broker?.on('disconnect', ({ cause, reasonCode }) => disconnects.push(`${cause} ${reasonCode}`));
    await broker?.stop();
    expect((await modern.wire.expect('DISCONNECT')).reasonCode).toBe(0x8b);
    await modern.wire.expectClosed();
    await old.wire.expectClosed();
    await silent.expectClosed();
    expect(disconnects).toEqual(['shutting_down 139', 'shutting_down 139']);
    await expect(Wire.open(address, '5.0')).rejects.toThrow('ECONNREFUSED');
  });

  test('what was taken before is delivered, however much it is', async () => {
    const address = await start(io_threads);
    const readers = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const reader = await Client.connect(address);
        await reader.subscribe({ filter: 'q/#', qos: 1 });
        return reader;
      }),
    );
    const link = await broker?.link();
    // Within what a connection may have outbound: beyond it, messages wait in the session.
    const payload = Buffer.alloc(10_000, 1);
    const sent = Array.from({ length: 60 }, (_, n) => link?.publish(`q/${n}`, payload, { qos: 1 }));
    await Promise.all(sent);
    const stopping = broker?.stop({ timeoutMs: 5000 });
    for (const reader of readers) {
      for (let n = 0; n < 60; n++) {
        expect((await reader.wire.expect('PUBLISH')).topic).toBe(`q/${n}`);
      }
      expect((await reader.wire.expect('DISCONNECT')).reasonCode).toBe(0x8b);
    }
    await stopping;
  });

  test('a reader that is stuck is cut when the time is over, also if it was being closed', async () => {
    const address = await start(io_threads);
    const stuck = await stuckReader(address, 'stuck');
    await stuckReader(address, 'kicked');
    const fine = await Client.connect(address);
    const publisher = await Client.connect(address);
    for (let n = 0; n < 300; n++) await publisher.publish('flood', Buffer.alloc(60_000));
    await publisher.ping();
    expect(broker?.metrics().outbound_bytes).toBeGreaterThan(100_000);
    broker?.disconnectClient('kicked');
    const warnings: string[] = [];
    broker?.on('log', ({ text }) => warnings.push(text));
    const from = performance.now();
    await broker?.stop({ timeoutMs: 500 });
    const took = performance.now() - from;
    expect(took).toBeGreaterThan(450);
    expect(took).toBeLessThan(5000);
    expect(warnings).toEqual([
      expect.stringContaining('2 connections were cut with messages left'),
    ]);
    expect((await fine.wire.expect('DISCONNECT')).reasonCode).toBe(0x8b);
    const ended = new Promise((done) => stuck.once('close', done));
    stuck.resume();
    await ended;
  });

  test('while messages come in from all sides', async () => {
    const address = await start(io_threads);
    const clients = await Promise.all(Array.from({ length: 6 }, () => Client.connect(address)));
    for (const client of clients) await client.subscribe({ filter: 'all/#', qos: 1 });
    let running = true;
    const busy = clients.map(async (client, n) => {
      while (running) {
        client.send({
          type: 'PUBLISH',
          topic: `all/${n}`,
          payload: Buffer.alloc(500),
          qos: 0,
          retain: false,
          dup: false,
          properties: {},
        });
        await new Promise((done) => setImmediate(done));
      }
    });
    await new Promise((done) => setTimeout(done, 50));
    const from = performance.now();
    await broker?.stop({ timeoutMs: 10_000 });
    // Nobody had to be cut.
    expect(performance.now() - from).toBeLessThan(9000);
    running = false;
    await Promise.all(busy);
  });
});

test('twice at once, and start() again', async () => {
  const address = await start(2);
  const client = await Client.connect(address);
  await Promise.all([broker?.stop(), broker?.stop()]);
  expect((await client.wire.expect('DISCONNECT')).reasonCode).toBe(0x8b);
  await broker?.stop();
  await broker?.start();
  const again = { host: '127.0.0.1', port: broker?.addresses[0]?.port ?? 0 };
  await (await Client.connect(again)).disconnect();
});
