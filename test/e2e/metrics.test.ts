// The broker's counters against what clients counted themselves, with drops of every kind on the way.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { lint } from '../unit/metrics/lint.js';
import { type Metric, parseExposition } from '../unit/metrics/parse.js';
import { type BrokerProcess, freePort, standIn, startProcess } from './broker-process.js';

const kQueued = 50;
const kWatermark = 65_536;
let broker: BrokerProcess;
let scrapeUrl = '';

beforeAll(async () => {
  if (standIn) return;
  const port = await freePort();
  scrapeUrl = `http://127.0.0.1:${port}/metrics`;
  broker = await startProcess(`
[mqtt]
max_queued_messages = ${kQueued}
connection_timeout_ms = 1000
[broker]
outbound_high_watermark_bytes = ${kWatermark}
outbound_low_watermark_bytes = 16384
[prometheus]
listen = "127.0.0.1:${port}"
interval = 0
`);
  // Its address is opened after those for clients.
  await eventually(scrape);
});
afterAll(() => broker?.stop());

/** Clients of one test and what they counted. */
class Clients {
  readonly sent = new Map<string, number>();
  readonly received = new Map<string, number>();
  readonly #clients: MqttClient[] = [];

  async open(options: IClientOptions, onMessage = () => {}): Promise<MqttClient> {
    const client = mqtt.connect({
      host: '127.0.0.1',
      port: broker.port,
      reconnectPeriod: 0,
      ...options,
    });
    this.#clients.push(client);
    // Before it is connected: what waited for it comes right behind CONNACK.
    client.on('message', onMessage);
    const add = (to: Map<string, number>, name: string) => to.set(name, (to.get(name) ?? 0) + 1);
    // MQTT.js does not tell of its CONNECT.
    add(this.sent, 'connect');
    client.on('packetsend', ({ cmd }) => add(this.sent, cmd));
    client.on('packetreceive', ({ cmd }) => add(this.received, cmd));
    client.on('error', () => {});
    await new Promise((done, failed) => {
      client.once('connect', done);
      client.once('close', () => failed(new Error('closed before CONNACK')));
    });
    return client;
  }

  async end(): Promise<{ written: number; read: number }> {
    const sockets = this.#clients.map(({ stream }) => stream as unknown as Socket);
    await Promise.all(this.#clients.map((client) => client.endAsync()));
    const sum = (of: (socket: Socket) => number) =>
      sockets.reduce((total, socket) => total + of(socket), 0);
    return {
      written: sum(({ bytesWritten }) => bytesWritten),
      read: sum(({ bytesRead }) => bytesRead),
    };
  }
}

let clients = new Clients();
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await clients.end();
  clients = new Clients();
});

async function scrape(): Promise<readonly Metric[]> {
  const answer = await fetch(scrapeUrl);
  expect(answer.status).toBe(200);
  return parseExposition(await answer.text());
}

/** A metric by its labels' values: { publish: 3, puback: 1 }; '' = it has none. */
function values(metrics: readonly Metric[], name: string): Record<string, number> {
  const found = metrics.find((metric) => metric.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  const by: Record<string, number> = {};
  for (const { labels, value } of found.samples) by[Object.values(labels).join(' ')] = value;
  return by;
}

/** What changed since `before`, without what did not. */
function since(before: readonly Metric[], after: readonly Metric[], name: string) {
  const [old, now] = [values(before, name), values(after, name)];
  const changed: Record<string, number> = {};
  for (const [key, value] of Object.entries(now)) {
    const by = value - (old[key] ?? 0);
    expect(by, `${name} ${key} went down`).toBeGreaterThanOrEqual(0);
    if (by !== 0) changed[key] = by;
  }
  return changed;
}

/** When all are gone: what a closed connection did is counted. */
async function settled(): Promise<readonly Metric[]> {
  return eventually(async () => {
    const metrics = await scrape();
    const open = Object.values(values(metrics, 'st_mqttd_connections_open'));
    expect(open.reduce((sum, value) => sum + value, 0)).toBe(0);
    // A socket is counted as closed a moment after its peer saw it close.
    const sockets = (what: string) => values(metrics, `st_mqttd_sockets_${what}_total`);
    expect(sockets('closed')).toEqual(sockets('accepted'));
    return metrics;
  });
}

describe.skipIf(standIn)('counters', () => {
  test('the page keeps the rules of promtool with real values', async () => {
    const metrics = await scrape();
    const inherited = metrics.filter(({ name }) => name.startsWith('metrics_router_'));
    expect(inherited).toHaveLength(3);
    expect(lint(metrics, new Set(inherited.map(({ name }) => name)))).toEqual([]);
  });

  test('packets by type, bytes and publishes by QoS are what the clients sent and got', async () => {
    const before = await settled();
    const subscriber = await clients.open({ protocolVersion: 5, clientId: 'm-sub' });
    const old = await clients.open({ protocolVersion: 4, clientId: 'm-old' });
    const publisher = await clients.open({ protocolVersion: 5, clientId: 'm-pub' });
    await subscriber.subscribeAsync('count/#', { qos: 2 });
    await old.subscribeAsync(['count/a', 'count/b'], { qos: 1 });
    for (let round = 0; round < 40; round++) {
      for (const qos of [0, 1, 2] as const) {
        await publisher.publishAsync(`count/${'ab'[round % 2]}`, 'x'.repeat(round * 40), { qos });
      }
    }
    await publisher.publishAsync('nobody/listens', 'x', { qos: 1 });
    await publisher.publishAsync('count/a', 'kept', { qos: 1, retain: true });
    await publisher.publishAsync('count/a', '', { qos: 1, retain: true });
    await old.unsubscribeAsync('count/b');
    await eventually(() => expect(clients.received.get('publish')).toBe(244));
    // QoS 2 ends with the client's PUBCOMP, and PUBACKs may be on their way.
    await eventually(() => expect(clients.sent.get('pubcomp')).toBe(40));
    const { written, read } = await clients.end();
    const after = await settled();
    const changed = (name: string) => since(before, after, `st_mqttd_${name}`);
    expect(changed('packets_received_total')).toEqual(Object.fromEntries(clients.sent));
    expect(changed('packets_sent_total')).toEqual(Object.fromEntries(clients.received));
    expect(changed('received_bytes_total')).toEqual({ '': written });
    expect(changed('sent_bytes_total')).toEqual({ '': read });
    expect(changed('publishes_received_total')).toEqual({ 0: 40, 1: 43, 2: 40 });
    // The older client takes QoS 2 as QoS 1.
    expect(changed('publishes_sent_total')).toEqual({ 0: 80, 1: 124, 2: 40 });
    expect(changed('publishes_unmatched_total')).toEqual({ '': 1 });
    expect(changed('client_connects_total')).toEqual({ '3.1.1': 1, '5.0': 2 });
    expect(changed('client_disconnects_total')).toEqual({ '3.1.1': 1, '5.0': 2 });
    expect(changed('connections_closed_total')).toEqual({ client_disconnect: 3 });
    expect(changed('messages_dropped_total')).toEqual({});
    expect(changed('retained_set_total')).toEqual({ '': 1 });
    expect(changed('retained_cleared_total')).toEqual({ '': 1 });
    expect(since(before, after, 'metrics_router_total_publishes')).toEqual({ '': 123 });
    expect(since(before, after, 'metrics_router_failed_publishes')).toEqual({ '': 1 });
    expect(values(after, 'metrics_router_total_connections')).toEqual({ '': 0 });
    expect(values(after, 'st_mqttd_messages_in_flight')).toEqual({ '': 0 });
  });

  test('delivered and dropped by cause are together what was published', async () => {
    const before = await settled();
    let delivered = 0;
    const listen = (options: IClientOptions) => clients.open(options, () => delivered++);
    const durable = { protocolVersion: 5, clean: false } as const;
    const never = { properties: { sessionExpiryInterval: 3600 } };

    // 1. A reader that does not read: QoS 0 above its watermark.
    const slow = await listen({ protocolVersion: 5, clientId: 'd-slow' });
    await slow.subscribeAsync('d/slow', { qos: 0 });
    (slow.stream as unknown as Socket).pause();
    // 2. Two sessions without a connection: one overflows, the other's messages expire.
    const full = await listen({ ...durable, ...never, clientId: 'd-full' });
    await full.subscribeAsync(['d/full', 'd/plain'], { qos: 1 });
    await full.endAsync();
    const late = await listen({ ...durable, ...never, clientId: 'd-late' });
    await late.subscribeAsync('d/late', { qos: 2 });
    await late.endAsync();
    // 3. One that does not hear itself.
    const publisher = await listen({ protocolVersion: 5, clientId: 'd-pub' });
    await publisher.subscribeAsync('d/own', { qos: 1, nl: true });
    // 4. One that takes small packets only.
    const small = await listen({
      protocolVersion: 5,
      clientId: 'd-small',
      properties: { maximumPacketSize: 200 },
    });
    await small.subscribeAsync('d/size', { qos: 1 });

    // Each publish that waits for its socket is a listener of it.
    publisher.stream.setMaxListeners(0);
    const kBig = Buffer.alloc(4096, 'x');
    const published: Promise<unknown>[] = [];
    for (let i = 0; i < 4000; i++) published.push(publisher.publishAsync('d/slow', kBig));
    for (let i = 0; i < 180; i++) {
      published.push(publisher.publishAsync('d/full', `${i}`, { qos: 1 }));
    }
    // QoS 0 is not kept for who is away.
    for (let i = 0; i < 7; i++) published.push(publisher.publishAsync('d/plain', `${i}`));
    for (let i = 0; i < 30; i++) {
      const properties = i < 20 ? { messageExpiryInterval: 1 } : {};
      published.push(publisher.publishAsync('d/late', `${i}`, { qos: 2, properties }));
    }
    for (let i = 0; i < 11; i++) {
      published.push(publisher.publishAsync('d/own', `${i}`, { qos: 1 }));
    }
    for (let i = 0; i < 10; i++) {
      const payload = i < 6 ? kBig : 'fits';
      published.push(publisher.publishAsync('d/size', payload, { qos: 1 }));
    }
    await Promise.all(published);
    const copies = published.length;

    await sleep(1300);
    for (const clientId of ['d-full', 'd-late']) {
      await listen({ protocolVersion: 5, clean: false, clientId, ...never });
    }
    (slow.stream as unknown as Socket).resume();
    await eventually(async () => {
      const dropped = since(before, await scrape(), 'st_mqttd_messages_dropped_total');
      const total = Object.values(dropped).reduce((sum, value) => sum + value, 0);
      expect(delivered + total).toBe(copies);
    });
    const after = await scrape();
    const dropped = since(before, after, 'st_mqttd_messages_dropped_total');
    const { outbound_watermark: slowDropped = 0, ...others } = dropped;
    expect(others).toEqual({
      queue_full_newest: 180 - kQueued,
      offline_qos0: 7,
      expired: 20,
      no_local: 11,
      packet_too_large: 6,
    });
    // More than the sockets' buffers was published; how much they hold is the system's.
    expect(slowDropped).toBeGreaterThan(500);
    expect(delivered).toBe(copies - slowDropped - (180 - kQueued) - 7 - 20 - 11 - 6);
    expect(values(after, 'st_mqttd_messages_queued')).toEqual({ '': 0 });
    const { '': latencies } = {
      '': after
        .find(({ name }) => name === 'st_mqttd_delivery_latency_seconds')
        ?.samples.find(({ name }) => name.endsWith('_count'))?.value,
    };
    expect(latencies).toBeGreaterThan(0);
  });

  test('what was refused is counted by its cause', async () => {
    const before = await settled();
    const raw = (bytes: Buffer | undefined) =>
      new Promise<void>((done) => {
        const socket = connect(broker.port, '127.0.0.1', () => {
          if (bytes === undefined) socket.end();
          else socket.write(bytes);
        });
        sockets.push(socket);
        socket.on('error', () => {});
        socket.on('close', () => done());
        socket.resume();
      });
    await raw(undefined);
    await raw(undefined);
    // PINGREQ before CONNECT; a Remaining Length without an end; a level that does not exist.
    await raw(Buffer.from('c000', 'hex'));
    await raw(Buffer.from('10ffffffffff', 'hex'));
    await raw(Buffer.from('100d00044d51545409020000000161', 'hex'));
    // Half a CONNECT, and then nothing.
    await raw(Buffer.from('100d00044d', 'hex'));
    const after = await settled();
    const refused = since(before, after, 'st_mqttd_connections_refused_total');
    expect(refused).toEqual({
      peer_closed: 2,
      protocol_error: 1,
      malformed_packet: 1,
      version_refused: 1,
      connect_timeout: 1,
    });
    expect(since(before, after, 'st_mqttd_connections_closed_total')).toEqual(refused);
    expect(since(before, after, 'st_mqttd_sockets_accepted_total')).toEqual({ '': 6 });
    expect(since(before, after, 'st_mqttd_sockets_closed_total')).toEqual({ '': 6 });
    expect(since(before, after, 'st_mqttd_client_connects_total')).toEqual({});
  });

  test('gauges say what there is now', async () => {
    const before = await settled();
    const client = await clients.open({ protocolVersion: 5, clientId: 'g' });
    await client.subscribeAsync(['g/1', 'g/2'], { qos: 1 });
    await client.publishAsync('g/kept', 'four', { qos: 1, retain: true });
    const now = await scrape();
    const value = (name: string) => values(now, `st_mqttd_${name}`);
    expect(value('clients_connected')).toEqual({ '3.1': 0, '3.1.1': 0, '5.0': 1 });
    const open = Object.entries(value('connections_open'));
    expect(open).toEqual([[expect.stringMatching(/ tcp$/), 1]]);
    // $SYS has some of its own.
    expect(since(before, now, 'st_mqttd_retained_messages')).toEqual({ '': 1 });
    expect(since(before, now, 'st_mqttd_subscriptions')).toEqual({ '': 2 });
    expect(value('memory_bytes')).toMatchObject({ process_resident: expect.any(Number) });
    expect(value('memory_bytes').process_resident).toBeGreaterThan(10_000_000);
    expect(value('start_time_seconds')['']).toBeGreaterThan(Date.now() / 1000 - 120);
    const busy = Object.entries(value('io_busy_seconds_total'));
    const threads = Number(process.env.ST_MQTTD_BROKER__IO_THREADS ?? 1);
    expect(busy.map(([thread]) => thread)).toEqual(
      Array.from({ length: threads }, (_, i) => `${i}`),
    );
    for (const [, seconds] of busy) expect(seconds).toBeGreaterThan(0);
    expect(value('build_info')).toEqual({ [Object.keys(value('build_info'))[0] ?? '']: 1 });
    await client.publishAsync('g/kept', '', { qos: 1, retain: true });
  });
});
