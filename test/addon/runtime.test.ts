// What the native half lets change while it runs: listeners, limits, options, counters by thread.
import { afterEach, expect, test } from 'vitest';
import type { NativeBroker, NativeBrokerOptions } from '../../src/native/addon.js';
import { counterNames, kLatencyNumbers, latencyBoundsUs } from '../../src/native/contract.js';
import { Dispatcher } from '../../src/native/dispatch.js';
import type { NativeEvent } from '../../src/native/events.js';
import { loadAddon } from '../../src/native/load.js';
import { describePacket } from '../../src/trace/describe.js';
import { Client, connectPacket } from '../harness/client.js';
import { eventually } from '../harness/eventually.js';
import { RawWebSocket } from '../harness/websocket.js';
import { Wire } from '../harness/wire.js';
import { brokerOptions, limits, listenSpec } from './raw-native.js';

const addon = loadAddon();
let brokers: NativeBroker[] = [];
afterEach(() => {
  for (const broker of brokers) broker.stop();
  brokers = [];
});

function create(over: Partial<NativeBrokerOptions> = {}): NativeBroker {
  const broker = addon.createBroker(brokerOptions(over), () => {});
  brokers.push(broker);
  return broker;
}
const at = (port: number) => ({ host: '127.0.0.1', port });
const counterAt = (name: (typeof counterNames)[number]) => counterNames.indexOf(name);

test('listen and unlisten: the same port again at once, and its connections stay', async () => {
  const broker = create({ io_threads: 2 });
  broker.start();
  const first = broker.listen(listenSpec());
  const clients = [await Client.connect(at(first.port))];
  let last = first;
  for (let n = 0; n < 20; n++) {
    broker.unlisten(last.id);
    await expect(Client.connect(at(first.port))).rejects.toThrow();
    const next = broker.listen(listenSpec({ port: first.port }));
    expect(next.id).toBeGreaterThan(last.id);
    last = next;
    clients.push(await Client.connect(at(first.port), { clientId: `c${n}` }));
  }
  for (const client of clients) await client.ping();
});

test('setChannels: new connections only; what does not fit changes nothing', async () => {
  const broker = create();
  const websocket = { path: '/a', origins: [] };
  const off = { proxy_protocol: 'off', trusted_proxies: [] } as const;
  const { id, port } = broker.listen(listenSpec({ websocket }));
  const tcp = broker.listen(listenSpec());
  broker.start();
  const before = await RawWebSocket.open(at(port), { path: '/a' });
  broker.setChannels(id, { ...off, websocket: { path: '/b', origins: ['https://one.example'] } });
  expect((await RawWebSocket.ask(at(port), { path: '/a' })).answer.status).toBe(404);
  await RawWebSocket.open(at(port), { path: '/b' });
  before.send('5.0', connectPacket());
  await before.expect('CONNACK', '5.0');
  expect(() => broker.setChannels(77, { ...off, websocket })).toThrow(RangeError);
  expect(() => broker.setChannels(tcp.id, { ...off, websocket })).toThrow(RangeError);
  expect(() => broker.setChannels(id, { ...off, websocket: null })).toThrow(RangeError);
  for (const bad of [
    { ...off, websocket: { path: 'b', origins: [] } },
    { ...off, websocket, trusted_proxies: ['10.0.0.0/33'] },
    { ...off, websocket, proxy_protocol: 'v3' as 'v2' },
  ]) {
    expect(() => broker.setChannels(id, bad)).toThrow(
      expect.objectContaining({ code: 'ST_NATIVE_OPTION' }),
    );
  }
  expect((await RawWebSocket.ask(at(port), { path: '/a' })).answer.status).toBe(404);
});

test('setLimits: new connections only; versions stay unless given', async () => {
  const broker = create();
  const { id, port } = broker.listen(listenSpec({ protocol_levels: 4 }));
  broker.start();
  const before = await Client.connect(at(port), { clientId: 'before' });
  broker.setLimits(id, limits({ max_qos: 0, max_packet_size: 500 }));
  const after = await Client.connect(at(port), { clientId: 'after' });
  expect(before.connack.properties.maximumQos).toBeUndefined();
  expect(after.connack.properties).toMatchObject({ maximumQos: 0, maximumPacketSize: 500 });
  await expect(Client.connect(at(port), { version: '3.1.1' })).rejects.toThrow();
  broker.setLimits(id, limits(), 6);
  await Client.connect(at(port), { version: '3.1.1' });
  await before.publish('t', Buffer.alloc(1000), { qos: 2 });
  expect(() => broker.setLimits(77, limits())).toThrow(RangeError);
  expect(() => broker.setLimits(id, limits({ max_qos: 3 }))).toThrow(
    expect.objectContaining({ code: 'ST_NATIVE_OPTION' }),
  );
});

test('configure: changes what is given, refuses what does not fit', async () => {
  const broker = create();
  const { port } = broker.listen(listenSpec());
  broker.start();
  await Client.connect(at(port));
  broker.configure({ max_connections: 1 });
  broker.configure({ verdict_timeout_ms: 1 });
  const second = await Wire.open(at(port), '5.0');
  expect(await second.hasEnded(5000)).toBe(true);
  broker.configure({
    max_connections: 2,
    max_memory_bytes: 1e9,
    match_cache_bytes: 0,
    outbound_high_watermark_bytes: 1000,
    outbound_low_watermark_bytes: 0,
    shared_strategy: 'sticky',
    log_level: 5,
    event_mask: 0,
  });
  await eventually(async () => {
    await Client.connect(at(port), { clientId: 'third' });
  });
  for (const wrong of [
    { max_connections: '2' },
    { log_level: 6 },
    { shared_strategy: 'fair' },
    { outbound_high_watermark_bytes: 10, outbound_low_watermark_bytes: 11 },
  ]) {
    expect(() => broker.configure(wrong as object), JSON.stringify(wrong)).toThrow(
      expect.objectContaining({ code: 'ST_NATIVE_OPTION' }),
    );
  }
  expect(() => broker.configure(undefined as unknown as object)).toThrow(TypeError);
});

test('counters of each thread add up', async () => {
  const broker = create({ io_threads: 3 });
  const { port } = broker.listen(listenSpec());
  broker.start();
  expect(broker.ioThreads()).toBe(3);
  for (let n = 0; n < 6; n++) {
    const client = await Client.connect(at(port), { clientId: `c${n}` });
    await client.publish('t', 'x', { qos: 1 });
  }
  const sums = new BigInt64Array(counterNames.length);
  for (let thread = 0; thread < 3; thread++) {
    const one = new BigInt64Array(counterNames.length);
    broker.threadCounters(thread, one);
    expect(one[counterAt('publish_received_qos1')]).toBe(2n);
    for (const [index, value] of one.entries()) sums[index] = (sums[index] ?? 0n) + value;
  }
  expect(sums[counterAt('publish_received_qos1')]).toBe(6n);
  expect(() => broker.threadCounters(3, sums)).toThrow(RangeError);
  expect(() => broker.threadCounters(0, new Uint8Array(8) as never)).toThrow(TypeError);
  broker.stop();
  expect(broker.ioThreads()).toBe(0);
});

/** Events as they come. */
function listening(over: Partial<NativeBrokerOptions> = {}) {
  const events: NativeEvent[] = [];
  const broker = addon.createBroker(brokerOptions(over), () => dispatcher.wake());
  const dispatcher = new Dispatcher(broker, (event) => events.push(event));
  brokers.push(broker);
  const of = <K extends NativeEvent['kind']>(kind: K) =>
    events.filter((event): event is Extract<NativeEvent, { kind: K }> => event.kind === kind);
  return { broker, of };
}

test('trace: packets both ways, decoded, without the password; then trace_end', async () => {
  const { broker, of } = listening({ io_threads: 2 });
  const { port } = broker.listen(listenSpec());
  broker.start();
  const spec = { id: 1, max_per_s: 100, seconds: 60, payload_bytes: 3 };
  broker.trace({ ...spec, clientId: 'dev-1' });
  expect(() => broker.trace({ ...spec, clientId: 'dev-2' })).toThrow(RangeError);
  for (const wrong of [{}, { topic: 'a/#/b' }, { clientId: 'a', max_per_s: 0 }]) {
    expect(() => broker.trace({ ...spec, id: 2, ...wrong }), JSON.stringify(wrong)).toThrow(
      expect.objectContaining({ code: 'ST_NATIVE_OPTION' }),
    );
  }
  const dev = await Client.connect(at(port), {
    clientId: 'dev-1',
    username: 'joe',
    password: Buffer.from('sesame'),
  });
  await dev.publish('a/b', 'payload', { qos: 1 });
  await eventually(() => expect(of('trace')).toHaveLength(4));
  const lines = of('trace').map((event) => `${event.direction} ${describePacket(event).text}`);
  expect(lines[0]).toMatch(/^in CONNECT .*"joe"/);
  expect(lines.join()).not.toContain('sesame');
  expect(lines[1]).toMatch(/^out CONNACK/);
  expect(lines[2]).toMatch(/^in PUBLISH "a\/b" .*7 bytes.*"pay"/);
  expect(lines[3]).toMatch(/^out PUBACK/);
  broker.untrace(1);
  await eventually(() =>
    expect(of('trace_end')).toEqual([
      { kind: 'trace_end', traceId: 1, cause: 'stopped', suppressed: 0 },
    ]),
  );
});

test('log records by module and client; latency; session_ended with its connection', async () => {
  const { broker, of } = listening({ event_mask: 0xffffffff });
  const { port } = broker.listen(listenSpec());
  broker.start();
  broker.configure({ log_level: 0, log_modules: { listener: 2 }, log_clients: [['dev', 5]] });
  const dev = await Client.connect(at(port), { clientId: 'dev' });
  await dev.subscribe({ filter: 't', qos: 1 });
  await dev.publish('t', 'x', { qos: 1 });
  await dev.receive();
  await (await Client.connect(at(port), { clientId: 'other' })).disconnect();
  dev.close();
  await eventually(() => expect(of('session_ended')).toHaveLength(2));
  expect(of('session_ended')[0]).toMatchObject({ clientId: 'other', cause: 'with_connection' });
  const logs = of('log');
  expect(new Set(logs.map(({ clientId, module }) => `${module} ${clientId}`))).toEqual(
    new Set(['session dev']),
  );
  expect(logs.map(({ level, text }) => `${level} ${text}`)).toContain(
    "debug SUBSCRIBE 't' QoS 1, granted 1",
  );
  const latency = new BigInt64Array(kLatencyNumbers);
  await eventually(() => {
    broker.latency(latency);
    expect(latency[latencyBoundsUs.length + 1]).toBe(1n);
  });
  expect(latency.slice(0, latencyBoundsUs.length + 1).reduce((a, b) => a + b)).toBe(1n);
  for (const wrong of [
    { log_modules: { session: 9 } },
    { log_clients: [['a']] },
    { log_clients: Array.from({ length: 65 }, (_, n) => [`c${n}`, 5]) },
  ]) {
    expect(() => broker.configure(wrong as object)).toThrow(
      expect.objectContaining({ code: 'ST_NATIVE_OPTION' }),
    );
  }
});
