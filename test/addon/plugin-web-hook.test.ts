// web-hook on the real broker, with MQTT.js clients and an HTTP server of the test's.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, afterEach, expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import type { LogRecord } from '../../src/log/logger.js';
import { issue } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';

type Told = Readonly<Record<string, unknown>>;

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-web-hook-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const servers: Server[] = [];
const clients: mqtt.MqttClient[] = [];
let brokers: Broker[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** What was posted, and the headers of the last request. `answer`: what becomes of a request. */
async function serve(answer: (response: ServerResponse, count: number) => void, tls?: object) {
  const told: Told[] = [];
  const bodies: string[] = [];
  const headers: Record<string, unknown> = {};
  const server = (tls === undefined ? createServer() : createTls(tls)) as Server;
  server.on('request', (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      Object.assign(headers, request.headers);
      bodies.push(body);
      told.push(...[JSON.parse(body) as Told].flat());
      answer(response, bodies.length);
    });
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const scheme = tls === undefined ? 'http' : 'https';
  return { told, bodies, headers, url: `${scheme}://localhost:${port}/mqtt?token=hunter2` };
}
const ok = (response: ServerResponse) => void response.writeHead(204).end();

async function start(config: object, log: LogRecord[] = []): Promise<Broker> {
  const broker = new Broker({
    id: 7,
    unified: { main: { listen: '127.0.0.1:0' } },
    plugins: { 'web-hook': { default_startup: true, config } },
  } as BrokerOptions);
  brokers.push(broker);
  broker.on('log', (record) => log.push(record));
  await broker.start();
  return broker;
}

async function open(broker: Broker, options: mqtt.IClientOptions): Promise<mqtt.MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.addresses[0]?.port}`, {
    ...{ protocolVersion: 5, reconnectPeriod: 0, ...options },
  });
  client.on('error', () => {});
  clients.push(client);
  return client;
}
const counts = async (broker: Broker) =>
  (await broker.plugins()).list().find(({ name }) => name === 'web-hook')?.counts;

test('every event, with who and what', async () => {
  const { told, bodies, headers, url } = await serve(ok);
  const rule = Object.fromEntries(
    [
      ...['session_created', 'session_terminated', 'client_connect', 'client_connack'],
      ...['client_connected', 'client_disconnected', 'message_publish', 'message_acked'],
      ...['message_dropped', 'client_subscribe', 'session_unsubscribed'],
      ...['session_subscribed', 'message_delivered'],
    ].map((event) => [event, [{}]]),
  );
  const broker = await start({
    ...{ urls: [url], rule, batch_wait_ms: 1 },
    headers: { Authorization: 'Bearer hunter2' },
  });
  broker.onConnect(({ clientId }) => (clientId === 'bad' ? 'drop' : 'pass'));
  await broker.hooksReady();
  await expect(open(broker, { clientId: 'bad' })).rejects.toMatchObject({ code: 0x87 });
  const pump = await open(broker, { clientId: 'pump', username: 'u', keepalive: 30 });
  await pump.subscribeAsync('a/+', { qos: 1 });
  await pump.publishAsync('a/b', 'höhe', { qos: 1 });
  await eventually(() => expect(told.map(({ action }) => action)).toContain('message_acked'));
  await pump.unsubscribeAsync('a/+');
  await pump.endAsync();
  await eventually(() => {
    const actions = told.filter(({ clientid }) => clientid === 'pump').map(({ action }) => action);
    expect(actions).toContain('session_terminated');
    expect(actions).toContain('client_disconnected');
  });
  const of = (action: string, who = 'pump') =>
    told.filter((one) => one.action === action && (one.clientid ?? one.from_clientid) === who);
  const whose = { node: 7, clientid: 'pump', username: 'u' };
  const address = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
  const at = expect.any(Number);
  const from = { ipaddress: address, keepalive: 30, proto_ver: 5, clean_start: true };
  const always = { ts: at, time: expect.stringMatching(/^\d{4}-.*Z$/) };
  const own = { ...whose, ...from, listener: 'unified-main', ...always };
  expect(of('client_connect')).toEqual([{ action: 'client_connect', ...own }]);
  expect(of('client_connack')).toEqual([
    { action: 'client_connack', conn_ack: 'Connection Accepted', reason_code: 0, ...own },
  ]);
  expect(of('client_connack', 'bad')).toMatchObject([
    { conn_ack: 'refused', reason_code: 0x87, username: null },
  ]);
  expect(of('client_connected')).toEqual([
    { action: 'client_connected', connected_at: at, session_present: false, ...own },
  ]);
  expect(of('session_created')).toMatchObject([{ ...whose, created_at: at, ipaddress: address }]);
  expect(of('client_subscribe')).toMatchObject([{ ...whose, topic: 'a/+', opts: { qos: 1 } }]);
  expect(of('message_publish')).toEqual([
    {
      ...{ action: 'message_publish', node: 7, from_clientid: 'pump', from_username: 'u' },
      ...{ device_id: 'pump', retain: false, qos: 1, topic: 'a/b' },
      ...{ payload: Buffer.from('höhe').toString('base64'), ...always },
    },
  ]);
  expect(of('session_subscribed')).toMatchObject([
    { clientid: 'pump', topic: 'a/+', opts: { qos: 1 } },
  ]);
  expect(of('message_delivered')).toEqual([
    {
      ...{ action: 'message_delivered', ...whose, from_clientid: 'pump', from_username: 'u' },
      ...{ device_id: 'pump', retain: false, qos: 1, topic: 'a/b' },
      ...{ payload: Buffer.from('höhe').toString('base64'), ...always },
    },
  ]);
  expect(of('message_acked')).toMatchObject([{ topic: 'a/b', qos: 1, packet_id: at }]);
  expect(of('session_unsubscribed')).toMatchObject([{ clientid: 'pump', topic: 'a/+' }]);
  expect(of('client_disconnected')).toMatchObject([{ ...whose, reason: 'client_disconnect' }]);
  expect(of('session_terminated')).toMatchObject([{ clientid: 'pump', reason: 'with_connection' }]);
  expect(headers).toMatchObject({
    ...{ 'content-type': 'application/json', authorization: 'Bearer hunter2' },
  });
  expect(bodies.every((body) => body.startsWith('['))).toBe(true);
  expect(await counts(broker)).toMatchObject({ sent: told.length, dropped_failed: 0 });
});

test('by topic, once for each rule, as text, one by one; another URL has its own', async () => {
  const [one, two] = [await serve(ok), await serve(ok)];
  const broker = await start({
    ...{ urls: [one.url], payload: 'text', batch_events: 1 },
    rule: {
      message_publish: [
        { topics: ['a/#', 'a/b', '+/b'] },
        { action: 'mine', topics: ['a/b'], urls: [two.url] },
      ],
      client_subscribe: [{ topics: ['a/b'] }],
    },
  });
  const client = await open(broker, { clientId: 'c' });
  for (const topic of ['a/b', 'a', 'x/b', 'else'])
    await client.publishAsync(topic, topic, { qos: 1 });
  await client.subscribeAsync(['a/+', 'x', '$share/g/#']);
  await eventually(() => expect(one.told.length).toBe(5));
  expect(one.told.map(({ action, topic }) => [action, topic])).toEqual([
    ...[
      ['message_publish', 'a/b'],
      ['message_publish', 'a'],
      ['message_publish', 'x/b'],
    ],
    ...[
      ['client_subscribe', 'a/+'],
      ['client_subscribe', '$share/g/#'],
    ],
  ]);
  expect(one.told[0]).toMatchObject({ payload: 'a/b' });
  expect(one.bodies[0]).toMatch(/^\{/);
  await eventually(() => expect(two.told).toMatchObject([{ action: 'mine', topic: 'a/b' }]));
});

test('a server that fails is asked again, in order; no secret is logged; the end sends what is left', async () => {
  const log: LogRecord[] = [];
  const { told, bodies, url } = await serve((response, count) => {
    response.writeHead(count < 3 ? 503 : 200).end();
  });
  const broker = await start(
    {
      ...{ urls: [url], batch_events: 2, batch_wait_ms: 60_000, retry_first_ms: 1 },
      headers: { authorization: 'Bearer hunter2' },
      rule: { message_publish: [{}] },
    },
    log,
  );
  const client = await open(broker, { clientId: 'c' });
  for (const topic of ['1', '2', '3']) await client.publishAsync(topic, '', { qos: 1 });
  await eventually(async () => expect(await counts(broker)).toMatchObject({ sent: 3, queued: 0 }));
  expect(new Set(bodies.slice(0, 3)).size).toBe(1);
  expect(bodies.length).toBe(4);
  await client.publishAsync('4', '', { qos: 1 });
  expect(await counts(broker)).toMatchObject({ queued: 1, retries: 2 });
  await broker.stop();
  expect(told.slice(-2)).toMatchObject([{ topic: '3' }, { topic: '4' }]);
  const said = JSON.stringify(log.map(({ text, fields }) => [text, fields]));
  expect(said).toContain('its answer is 503');
  expect(said).not.toContain('hunter2');
});

test('a server that is away: bounded, counted, said, and the stop does not wait for ever', async () => {
  const log: LogRecord[] = [];
  const { url } = await serve(() => {});
  const broker = await start(
    {
      ...{ urls: [url], batch_events: 1, queue_capacity: 3, flush_ms: 100 },
      rule: { message_publish: [{}] },
    },
    log,
  );
  const client = await open(broker, { clientId: 'c' });
  for (let n = 0; n < 5; n++) await client.publishAsync('t', '', { qos: 1 });
  expect(await counts(broker)).toMatchObject({ queued: 3, dropped_full: 2 });
  await (await broker.plugins()).unload('web-hook');
  const texts = log.map(({ text, fields }) => [text.replace(/http\S* /, ''), fields]);
  expect(texts).toContainEqual([
    'web-hook: the queue is full: events were dropped',
    expect.objectContaining({ dropped: 1 }),
  ]);
  expect(texts).toContainEqual([
    'web-hook: events were dropped at the end: they could not be sent in time',
    expect.objectContaining({ left: 3 }),
  ]);
  await client.publishAsync('t', '', { qos: 1 });
});

test('over TLS, with a CA of its own; without it nothing is sent', async () => {
  const root = issue({ subject: { cn: 'Root' }, isCa: true });
  const { key, certificate } = issue({ subject: { cn: 's' }, by: root, names: ['localhost'] });
  writeFileSync(join(folder, 'ca.pem'), root.certificate);
  const { told, url } = await serve(ok, { key, cert: certificate });
  const rule = { message_publish: [{}] };
  const tls = { ca_path: join(folder, 'ca.pem') };
  const broker = await start({ urls: [url], rule, tls, batch_wait_ms: 0 });
  const client = await open(broker, { clientId: 'c' });
  await client.publishAsync('t', '', { qos: 1 });
  await eventually(() => expect(told).toMatchObject([{ topic: 't' }]));
  await expect(start({ urls: [url], rule, tls: { ca_path: '/none.pem' } })).rejects.toThrow(
    /tls.ca_path: \/none.pem/,
  );
  const other = await start({ urls: [url], rule, batch_wait_ms: 0, retry_max_elapsed_ms: 0 });
  await (await open(other, { clientId: 'c' })).publishAsync('never', '', { qos: 1 });
  await eventually(async () => expect(await counts(other)).toMatchObject({ dropped_failed: 1 }));
  expect(told.length).toBe(1);
});
