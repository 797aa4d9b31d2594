// Broker.registry over real brokers: what it says of clients and does to them, on one thread and on
// three.
import { connect } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker.js';
import type { ClientRow } from '../../src/session/registry.js';
import { Client, connectPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { eventually } from '../harness/eventually.js';
import type { Address } from '../harness/wire.js';
import { everyPage, start as started } from './registry-start.js';

let broker: Broker;
let address: Address;
afterEach(() => broker?.stop({ timeoutMs: 100 }));

async function start(io_threads: number, mqtt: Record<string, unknown> = {}): Promise<void> {
  ({ broker, address } = await started(io_threads, mqtt));
}
const everyClient = (limit: number, between?: () => unknown) =>
  everyPage(limit, (page) => broker.registry.clients(page), between);
const ids = (rows: readonly ClientRow[]) => rows.map(({ clientId }) => clientId).sort();

describe.each([1, 3])('clients, %i I/O threads', (io_threads) => {
  test('every field of a connected one is true', async () => {
    await start(io_threads);
    const before = Date.now();
    const client = await Client.connect(address, {
      clientId: 'dev "1"\\\t\u{1F600}',
      username: 'ada',
      cleanStart: false,
      keepAlive: 60,
      properties: { sessionExpiryInterval: 300, receiveMaximum: 7, topicAliasMaximum: 3 },
      will: { topic: 'gone/dev1', payload: 'bye', qos: 1, retain: true },
    });
    await client.subscribe([{ filter: 'a/+', qos: 1 }, 'b']);
    const [row, ...others] = await everyClient(10);
    expect(others).toEqual([]);
    expect(row).toEqual({
      clientId: 'dev "1"\\\t\u{1F600}',
      instance: 0,
      connectionId: expect.stringMatching(/^\d+$/),
      connected: true,
      username: 'ada',
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      listener: 'unified-one',
      protocolVersion: '5.0',
      cleanStart: false,
      keepAlive: 60,
      sessionExpiry: 300,
      createdAt: expect.any(Number),
      connectedAt: expect.any(Number),
      disconnectedAt: undefined,
      lastReceivedAt: expect.any(Number),
      lastCause: undefined,
      subscriptions: 2,
      queuedMessages: 0,
      queuedBytes: 0,
      inFlight: 0,
      inboundInFlight: 0,
      dropped: 0,
      hasWill: true,
      thread: expect.any(Number),
    });
    for (const at of [row?.createdAt, row?.connectedAt]) {
      // Whole seconds, and the clocks may differ by a little.
      expect(at).toBeGreaterThan(before - 1500);
      expect(at).toBeLessThanOrEqual(Date.now() + 500);
    }
    expect(row?.thread).toBeLessThan(io_threads);
    const detail = await broker.registry.client(client.clientId);
    expect(detail).toMatchObject({
      ...row,
      connection: {
        receiveMaximum: 7,
        maximumPacketSize: expect.any(Number),
        topicAliasMaximum: 3,
        outboundBytes: 0,
        pausedBy: [],
      },
      will: { topic: 'gone/dev1', qos: 1, retain: true, payloadBytes: 3, delay: 0 },
      window: [],
    });
  });

  test('one that is away: why, since when, and what waits for it', async () => {
    await start(io_threads, { max_queued_messages: 2 });
    const options = {
      clientId: unique(),
      cleanStart: false,
      properties: { sessionExpiryInterval: 0xffffffff, receiveMaximum: 1 },
    };
    const away = await Client.connect(address, options);
    await away.subscribe({ filter: 'q', qos: 1 });
    const publisher = await Client.connect(address);
    await publisher.publish('q', '12345', { qos: 1 });
    await away.wire.expect('PUBLISH');
    away.wire.close();
    await eventually(async () =>
      expect((await broker.registry.client(away.clientId))?.connected).toBe(false),
    );
    for (let n = 0; n < 3; n++) await publisher.publish('q', '12345', { qos: 1 });
    const detail = await broker.registry.client(away.clientId);
    expect(detail).toMatchObject({
      connectionId: '',
      connected: false,
      address: '',
      listener: undefined,
      protocolVersion: undefined,
      lastCause: expect.stringMatching(/^(peer_closed|socket_error)$/),
      disconnectedAt: expect.any(Number),
      queuedMessages: 2,
      queuedBytes: 12,
      inFlight: 1,
      dropped: 1,
      connection: undefined,
      will: undefined,
      window: [
        { packetId: 1, direction: 'out', qos: 1, state: 'sent', topic: 'q', payloadBytes: 5 },
      ],
    });
    // The broker's own bound, not "never".
    expect(detail?.sessionExpiry).toBe(604_800);
  });

  test('a link is a client, too', async () => {
    await start(io_threads);
    const link = await broker.link({ clientId: 'inside' });
    expect(await broker.registry.client('inside')).toMatchObject({
      connected: true,
      address: 'link',
      listener: undefined,
      protocolVersion: '5.0',
    });
    await link.close();
  });

  test('a QoS 2 message that is not released yet', async () => {
    await start(io_threads);
    const client = await Client.connect(address);
    client.send({
      type: 'PUBLISH',
      topic: 't',
      payload: Buffer.from('x'),
      qos: 2,
      retain: false,
      dup: false,
      packetId: 77,
      properties: {},
    });
    await client.wire.expect('PUBREC');
    const detail = await broker.registry.client(client.clientId);
    expect(detail).toMatchObject({ inboundInFlight: 1, inFlight: 0 });
    expect(detail?.window).toEqual([
      { packetId: 77, direction: 'in', qos: 2, state: 'received', topic: '', payloadBytes: 0 },
    ]);
  });

  test('who is there throughout is listed once, whoever comes and goes', async () => {
    await start(io_threads);
    const stay = new Set<string>();
    const moving: Client[] = [];
    for (let n = 0; n < 40; n++) {
      const client = await Client.connect(address);
      if (n % 2 === 0) stay.add(client.clientId);
      else moving.push(client);
    }
    const rows = await everyClient(3, async () => {
      await moving.shift()?.disconnect();
      await Client.connect(address);
    });
    expect(ids(rows.filter(({ clientId }) => stay.has(clientId)))).toEqual([...stay].sort());
  });

  test('kick tells the client why, and says whether there was one', async () => {
    await start(io_threads);
    const client = await Client.connect(address, { properties: { sessionExpiryInterval: 60 } });
    expect(await broker.registry.kick(client.clientId, 0x98, 'go away')).toBe(true);
    const packet = await client.wire.expect('DISCONNECT');
    expect([packet.reasonCode, packet.properties.reasonString]).toEqual([0x98, 'go away']);
    await client.wire.expectClosed();
    expect(await broker.registry.kick(client.clientId, 0x98, '')).toBe(false);
    expect(await broker.registry.client(client.clientId)).toMatchObject({
      connected: false,
      lastCause: 'administrative',
    });
    expect(await broker.registry.kick('nobody', 0x98, '')).toBe(false);
    expect(await broker.registry.client('nobody')).toBeUndefined();
  });
});

test('an empty broker has one page, without a cursor', async () => {
  await start(3);
  expect(await everyClient(1)).toEqual([]);
});

test.each([
  '',
  '%%%',
  'Y2',
  'AAAA',
  Buffer.from('c').toString('base64url'),
  Buffer.from('c\0\0\0\0').toString('base64url'),
  Buffer.from('c\x01\0\0\0\0').toString('base64url'),
  Buffer.from('c\0\0\0\0\0\0').toString('base64url'),
  'c'.repeat(100_000),
])('a cursor that no page gave is refused: %j', async (cursor) => {
  await start(1);
  await expect(broker.registry.clients({ limit: 1, cursor })).rejects.toMatchObject({
    code: 'ST_ARGUMENT',
    message: expect.stringContaining('cursor'),
  });
});

test('a cursor behind the end gives the last page', async () => {
  await start(1);
  await Client.connect(address);
  const cursor = Buffer.from('c\0\xff\xff\xff\xff', 'latin1').toString('base64url');
  expect(await broker.registry.clients({ limit: 1, cursor })).toEqual({
    items: [],
    next: undefined,
  });
});

test.each([0, -1, 1001, 1.5, Number.NaN])('a limit of %d is refused', async (limit) => {
  await start(1);
  await expect(broker.registry.clients({ limit })).rejects.toMatchObject({ code: 'ST_ARGUMENT' });
});

test('what MQTT cannot say is refused before it is asked', async () => {
  await start(1);
  const { registry } = broker;
  const refused = { code: 'ST_ARGUMENT' };
  await expect(registry.client('a\0b')).rejects.toMatchObject(refused);
  await expect(registry.kick('x'.repeat(65_536), 0x98, '')).rejects.toMatchObject(refused);
  await expect(registry.kick('x', 0x98, '\0')).rejects.toMatchObject(refused);
  await expect(registry.kick('x', 0x10, '')).rejects.toMatchObject(refused);
});

test('more questions than may be under way are all answered', async () => {
  await start(3);
  const clients = await Promise.all(Array.from({ length: 50 }, () => Client.connect(address)));
  const rows = await Promise.all(clients.map((c) => broker.registry.client(c.clientId)));
  expect(rows.map((row) => row?.clientId)).toEqual(clients.map((c) => c.clientId));
});

test('stop() in mid-query rejects what is not answered', async () => {
  await start(2);
  const client = await Client.connect(address);
  const { registry } = broker;
  const asked = Array.from({ length: 100 }, () =>
    registry.client(client.clientId).then(
      () => 'answered',
      (error: { code: string }) => error.code,
    ),
  );
  await broker.stop({ timeoutMs: 100 });
  const ends = new Set(await Promise.all(asked));
  for (const end of ends) expect(['answered', 'ST_BROKER_STATE']).toContain(end);
  await expect(registry.client('x')).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
  expect(() => broker.registry).toThrow(expect.objectContaining({ code: 'ST_BROKER_STATE' }));
});

/** A session that stays, without its connection. */
function leaveSession(clientId: string): Promise<void> {
  const packet = connectPacket({ clientId, properties: { sessionExpiryInterval: 3600 } });
  return new Promise((done, failed) => {
    const socket = connect({ ...address, noDelay: true });
    socket.on('error', failed);
    socket.on('close', () => done());
    socket.resume();
    socket.write(encode(packet, '5.0'));
    socket.write(encode({ type: 'DISCONNECT', reasonCode: 0, properties: {} }, '5.0'));
  });
}

test('20,000 sessions are listed without blocking the event loop', async () => {
  await start(2);
  const sessions = 20_000;
  for (let n = 0; n < sessions; n += 200) {
    await Promise.all(Array.from({ length: 200 }, (_, i) => leaveSession(`many-${n + i}`)));
  }
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const rows = await everyClient(1000);
  delay.disable();
  expect(new Set(ids(rows)).size).toBe(sessions);
  expect(rows).toHaveLength(sessions);
  // Some milliseconds on a machine that has nothing else to do.
  expect(delay.max / 1e6).toBeLessThan(1000);
}, 120_000);
