// The broker inside an application: authentication, events, several brokers, worker threads.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import mqtt from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import type { AuthHandler } from '../../src/auth/verdict.js';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { eventually } from '../harness/eventually.js';

let brokers: Broker[] = [];
let clients: mqtt.MqttClient[] = [];
afterEach(async () => {
  for (const client of clients) client.end(true);
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
  clients = [];
});

async function start(options: ConfigTables = {}, authenticate?: AuthHandler): Promise<Broker> {
  const broker = new Broker({ unified: { test: { listen: '127.0.0.1:0' } }, ...options });
  brokers.push(broker);
  if (authenticate !== undefined) broker.authenticate(authenticate);
  await broker.start();
  return broker;
}
function portOf(broker: Broker): number {
  const address = broker.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
async function open(broker: Broker, options: mqtt.IClientOptions = {}): Promise<mqtt.MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${portOf(broker)}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  client.on('error', () => {});
  clients.push(client);
  return client;
}
/** The Reason Code that a connection is refused with. */
async function refusal(broker: Broker, options: mqtt.IClientOptions = {}): Promise<number> {
  try {
    await open(broker, options);
  } catch (error) {
    return (error as { code?: number }).code ?? -1;
  }
  throw new Error('it was admitted');
}

describe.each([1, 3])('an authenticator, %i I/O threads', (io_threads) => {
  const threads = { broker: { io_threads } };

  test('admits and refuses, at once and later, old and new clients', async () => {
    const broker = await start(threads, async ({ username, password, clientId, listener }) => {
      await sleep(clientId.endsWith('late') ? 50 : 0);
      return listener === 'unified-test' && username === 'u' && password?.toString() === 'p';
    });
    const good = { username: 'u', password: 'p' };
    for (const protocolVersion of [3, 4, 5] as const) {
      const more = protocolVersion === 3 ? { protocolId: 'MQIsdp' as const } : {};
      await open(broker, {
        ...good,
        ...more,
        protocolVersion,
        clientId: `a${protocolVersion}late`,
      });
      await open(broker, { ...good, ...more, protocolVersion, clientId: `a${protocolVersion}` });
    }
    expect(await refusal(broker, { ...good, password: 'wrong' })).toBe(0x87);
    expect(await refusal(broker, {})).toBe(0x87);
    expect(await refusal(broker, { protocolVersion: 4 })).toBe(5);
  });

  test('a verdict changes id, username, QoS, Keep Alive and expiry', async () => {
    const broker = await start(threads, () => ({
      accept: true,
      clientId: 'tenant.a',
      username: 'mapped',
      maxQos: 1,
      serverKeepAlive: 33,
      maxSessionExpiry: 44,
    }));
    const connected = new Promise((done) => broker.once('connect', done));
    const client = mqtt.connect(`mqtt://127.0.0.1:${portOf(broker)}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
      clientId: 'a',
      clean: false,
      properties: { sessionExpiryInterval: 1000 },
    });
    clients.push(client);
    const connack = await new Promise<{ properties?: object }>((done) =>
      client.once('connect', done),
    );
    expect(connack.properties).toMatchObject({
      maximumQoS: 1,
      serverKeepAlive: 33,
      sessionExpiryInterval: 44,
    });
    expect(await connected).toMatchObject({
      clientId: 'tenant.a',
      username: 'mapped',
      keepAlive: 33,
      sessionExpiry: 44,
    });
  });

  test('a Will that is not allowed, a code and a reason of its own', async () => {
    const broker = await start(threads, ({ clientId }) =>
      clientId === 'banned'
        ? { accept: false, reasonCode: 0x8a, reason: 'go away' }
        : { accept: true, allowWill: false },
    );
    expect(await refusal(broker, { clientId: 'banned' })).toBe(0x8a);
    expect(await refusal(broker, { will: { topic: 'w', payload: Buffer.from('x') } })).toBe(0x87);
    await open(broker);
  });

  test('it throws, or is silent: 0x88; what comes too late changes nothing', async () => {
    const errors: string[] = [];
    let answer: () => void = () => {};
    const broker = new Broker({
      unified: { test: { listen: '127.0.0.1:0' } },
      broker: { io_threads, verdict_timeout_ms: 150 },
    });
    brokers.push(broker);
    broker.on('log', ({ level, text }) => level === 'error' && errors.push(text));
    broker.authenticate(({ clientId, signal }) => {
      if (clientId === 'bad') throw new Error('the database is down');
      return new Promise((done) => {
        answer = () => done(true);
        signal.addEventListener('abort', () => errors.push('aborted'));
      });
    });
    await broker.start();
    expect(await refusal(broker, { clientId: 'bad' })).toBe(0x88);
    expect(errors).toEqual([expect.stringContaining('the database is down')]);
    expect(await refusal(broker, { clientId: 'silent' })).toBe(0x88);
    await eventually(() => expect(errors).toContain('aborted'));
    const connected: string[] = [];
    broker.on('connect', ({ clientId }) => connected.push(clientId));
    answer();
    await broker.ping();
    expect(connected).toEqual([]);
  });

  test('links are not asked about', async () => {
    const broker = await start(threads, () => false);
    const link = await broker.link();
    expect(link.isOpen).toBe(true);
  });

  test('a blocked event loop stops no traffic between clients that are admitted', async () => {
    const broker = await start(threads, () => true);
    const file = resolve(import.meta.dirname, 'echo-worker.mjs');
    const worker = new Worker(file, { workerData: { port: portOf(broker), messages: 200 } });
    await new Promise((done) => worker.once('message', done));
    const finished = new Promise<number>((done) => worker.once('message', done));
    worker.postMessage('go');
    const until = performance.now() + 3000;
    while (performance.now() < until);
    // It was done while this thread stood still.
    expect(await finished).toBeLessThan(Date.now() - 200);
    await worker.terminate();
  });
});

test('events: in order, exactly one disconnect for each connect', async () => {
  const broker = await start();
  const heard: string[] = [];
  broker.on('connect', ({ clientId }) => heard.push(`+${clientId}`));
  broker.on('disconnect', ({ clientId, cause }) => heard.push(`-${clientId} ${cause}`));
  broker.on('refused', ({ cause, reasonCode }) => heard.push(`! ${cause} ${reasonCode}`));
  broker.on('sessionEnd', ({ clientId, cause }) => heard.push(`. ${clientId} ${cause}`));
  const first = await open(broker, { clientId: 'a' });
  await eventually(() => expect(heard).toEqual(['+a']));
  await open(broker, { clientId: 'a' });
  await eventually(() => expect(heard).toContain('-a taken_over'));
  first.end(true);
  const kept = { clientId: 'b', properties: { sessionExpiryInterval: 60 } };
  await (await open(broker, { ...kept, clean: false })).endAsync();
  await (await open(broker, { ...kept, clean: true })).endAsync();
  await eventually(() => expect(heard).toContain('. b clean_start'));
  broker.disconnectClient('a', { reasonCode: 0x98 });
  await eventually(() => expect(heard).toContain('-a administrative'));
  await refusal(broker, { clientId: 'x'.repeat(300) });
  await eventually(() => expect(heard).toContain('! refused 133'));
  expect(heard.filter((line) => line.startsWith('+'))).toHaveLength(4);
  expect(heard.filter((line) => line.startsWith('-'))).toHaveLength(4);
});

test('disconnectClient tells an MQTT 5.0 client the code', async () => {
  const broker = await start();
  const client = await open(broker, { clientId: 'c' });
  const told = new Promise<{ reasonCode?: number }>((done) => client.once('disconnect', done));
  broker.disconnectClient('c', { reasonCode: 0x97 });
  expect((await told).reasonCode).toBe(0x97);
  broker.disconnectClient('nobody');
});

test('links and sockets see each other', async () => {
  const broker = await start();
  const client = await open(broker);
  const link = await broker.link();
  const subscription = link.subscribe('up/#', { qos: 1 });
  await subscription.ready;
  await client.subscribeAsync('down', { qos: 1 });
  await client.publishAsync('up/1', 'hello', { qos: 1 });
  const { value } = await subscription[Symbol.asyncIterator]().next();
  expect(String(value?.payload)).toBe('hello');
  const received = new Promise<string>((done) =>
    client.once('message', (_, payload) => done(payload.toString())),
  );
  await link.publish('down', 'there', { qos: 1 });
  expect(await received).toBe('there');
});

test('a flood of events leaves the loop its turns, and none is lost', async () => {
  const broker = await start();
  let connects = 0;
  let disconnects = 0;
  broker.on('connect', () => connects++);
  broker.on('disconnect', () => disconnects++);
  let longest = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  const rounds = 30;
  const each = 100;
  for (let round = 0; round < rounds; round++) {
    const links = await Promise.all(Array.from({ length: each }, () => broker.link()));
    await Promise.all(links.map((link) => link.close()));
  }
  clearInterval(watch);
  await eventually(() => expect([connects, disconnects]).toEqual([rounds * each, rounds * each]));
  expect(longest).toBeLessThan(5000);
});

describe('several brokers', () => {
  test('in one process: each has its own clients, sessions and retained messages', async () => {
    const [one, two] = [await start(), await start()];
    expect(portOf(one)).not.toBe(portOf(two));
    const [a, b] = [await one.link({ clientId: 'same' }), await two.link({ clientId: 'same' })];
    await a.publish('r', 'mine', { retain: true, qos: 1 });
    const ours = a.subscribe('r');
    const theirs = b.subscribe('r');
    await Promise.all([ours.ready, theirs.ready]);
    expect(String((await ours[Symbol.asyncIterator]().next()).value?.payload)).toBe('mine');
    const nothing = await Promise.race([
      theirs[Symbol.asyncIterator]().next(),
      sleep(100).then(() => 'nothing'),
    ]);
    expect(nothing).toBe('nothing');
    await one.stop();
    expect(b.isOpen).toBe(true);
  });

  test('the port of one is busy for the other: ST_LISTEN, and the first goes on', async () => {
    const one = await start();
    const text = `127.0.0.1:${portOf(one)}`;
    await expect(start({ unified: { x: { listen: text } } })).rejects.toMatchObject({
      code: 'ST_LISTEN',
      message: expect.stringContaining(text),
      cause: { code: 'EADDRINUSE' },
    });
    await open(one);
  });

  test('started and stopped again and again, by turns', async () => {
    const broker = new Broker({ unified: { test: { listen: '127.0.0.1:0' } } });
    brokers.push(broker);
    for (let round = 0; round < 20; round++) {
      await broker.start();
      const link = await broker.link();
      await link.publish('a', 'x', { qos: 1 });
      await broker.stop();
      expect(link.isOpen).toBe(false);
    }
  });
});

const entry = resolve(import.meta.dirname, '../../dist/index.js');
describe.skipIf(!existsSync(entry))('worker threads (npm run build)', () => {
  const inWorker = (body: string) =>
    new Worker(
      `const { parentPort } = require('node:worker_threads');
       import(${JSON.stringify(entry)}).then(async ({ Broker }) => { ${body} })
         .catch((error) => parentPort.postMessage({ error: String(error) }));`,
      { eval: true },
    );
  const serve = `
    const broker = new Broker({ unified: { w: { listen: '127.0.0.1:0' } } });
    await broker.start();
    parentPort.postMessage({ port: broker.address().port });
    parentPort.on('message', async () => { await broker.stop(); parentPort.close(); });`;

  test('each has its broker; one that stops leaves the others alone', async () => {
    const workers = [inWorker(serve), inWorker(serve)];
    const ports = await Promise.all(
      workers.map(
        (worker) =>
          new Promise<number>((done) =>
            worker.once('message', (m: { port: number }) => done(m.port)),
          ),
      ),
    );
    const here = await start();
    const dial = (port: number) =>
      mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
    const [first, second] = await Promise.all(ports.map(dial));
    clients.push(...[first, second].filter((client) => client !== undefined));
    const ended = new Promise((done) => workers[0]?.once('exit', done));
    workers[0]?.postMessage('stop');
    expect(await ended).toBe(0);
    await second?.publishAsync('a', 'x', { qos: 1 });
    await open(here);
    workers[1]?.postMessage('stop');
  });

  test('one that is terminated while clients are connected takes its threads with it', async () => {
    for (let round = 0; round < 3; round++) {
      const worker = inWorker(serve);
      const port = await new Promise<number>((done) =>
        worker.once('message', (m: { port: number }) => done(m.port)),
      );
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
      clients.push(client);
      const closed = new Promise<void>((done) => client.once('close', () => done()));
      const flood = setInterval(() => client.publish('a', 'x'), 1);
      await sleep(20);
      await worker.terminate();
      await closed;
      clearInterval(flood);
    }
  });
});
