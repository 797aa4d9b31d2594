// delayed-publish on the real broker, with MQTT.js clients and several I/O threads.
import mqtt from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import type { LogRecord } from '../../src/log/logger.js';
import { eventually } from '../harness/eventually.js';

const clients: mqtt.MqttClient[] = [];
let broker: Broker;
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker.stop({ timeoutMs: 300 });
});

const options = (config: object, more: object = {}) =>
  ({
    unified: { main: { listen: '127.0.0.1:0' } },
    broker: { io_threads: 2 },
    plugins: { 'delayed-publish': { default_startup: true, config } },
    ...more,
  }) as ConfigTables;

async function start(config: object, more: object = {}): Promise<LogRecord[]> {
  broker = new Broker(options(config, more));
  const log: LogRecord[] = [];
  broker.on('log', (record) => log.push(record));
  await broker.start();
  return log;
}

async function open(given: mqtt.IClientOptions = {}): Promise<mqtt.MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.addresses[0]?.port}`, {
    ...{ protocolVersion: 5, reconnectPeriod: 0, ...given },
  });
  client.on('error', () => {});
  clients.push(client);
  return client;
}
async function reader(filter: string): Promise<string[]> {
  const client = await open();
  const got: string[] = [];
  client.on('message', (topic, payload, { qos }) => got.push(`${topic}=${payload} ${qos}`));
  await client.subscribeAsync(filter, { qos: 2 });
  return got;
}
const counts = async () =>
  (await broker.plugins()).list().find(({ name }) => name === 'delayed-publish')?.counts;

test('published later, acknowledged at once, with every QoS and version, and by links', async () => {
  await start({});
  const got = await reader('#');
  const five = await open();
  const three = await open({ protocolVersion: 4 });
  await five.publishAsync('$delayed/2/b', 'later', { qos: 1 });
  await five.publishAsync('$delayed/1/a', 'soon', { qos: 2 });
  await three.publishAsync('$delayed/1/c', 'three', { qos: 2 });
  const link = await broker.link();
  await link.publish('$delayed/1/d', 'link', { qos: 1 });
  await three.publishAsync('plain', 'now', { qos: 1 });
  await three.endAsync();
  await eventually(() => expect(got).toEqual(['plain=now 1']));
  expect(await counts()).toMatchObject({ waiting: 4, taken: 4 });
  await eventually(() => expect(got.length).toBe(5));
  expect(got.slice(1, 4).sort()).toEqual(['a=soon 2', 'c=three 2', 'd=link 1']);
  expect(got[4]).toBe('b=later 1');
  expect(await counts()).toMatchObject({ waiting: 0, waiting_bytes: 0, published: 4 });
});

test('what is refused, and why', async () => {
  await start(
    { max_messages: 1, max_delay_s: 100 },
    { acl: { default: 'allow', rules: [{ effect: 'deny', filters: ['secret'] }] } },
  );
  const client = await open();
  const code = (topic: string, qos: 1 | 2 = 1) =>
    client.publishAsync(topic, 'x', { qos }).then(
      () => 0,
      ({ code: reason }: { code: number }) => reason,
    );
  expect(await code('$delayed/101/a')).toBe(0x90);
  expect(await code('$delayed/1.5/a', 2)).toBe(0x90);
  expect(await code('$delayed/100/secret')).toBe(0x87);
  expect(await code('$delayed/100/a')).toBe(0);
  expect(await code('$delayed/100/a')).toBe(0x97);
  expect(await code('$delayed/100/a', 2)).toBe(0x97);
  expect(await counts()).toMatchObject({ invalid: 2, refused_full: 2, waiting: 1 });
});

test('unloaded it is an ordinary topic; those that wait are published; a stop says what is lost', async () => {
  const log = await start({});
  const got = await reader('#');
  const all = await reader('$delayed/#');
  const client = await open();
  await client.publishAsync('$delayed/1000/a', 'waits', { qos: 1 });
  await (await broker.plugins()).unload('delayed-publish');
  await eventually(() => expect(got).toEqual(['a=waits 1']));
  await client.publishAsync('$delayed/1000/a', 'plain', { qos: 1 });
  await eventually(() => expect(all).toEqual(['$delayed/1000/a=plain 1']));
  const dropped: unknown[] = [];
  broker.onDrop('#', ({ topic, cause, clientId }) => dropped.push([topic, cause, clientId]));
  await broker.reload(options({ on_unload: 'drop' }));
  await (await broker.plugins()).load('delayed-publish');
  await client.publishAsync('$delayed/1000/b', 'dropped', { qos: 1 });
  await (await broker.plugins()).unload('delayed-publish');
  expect(broker.metrics()).toMatchObject({ delayed_messages: 0, delayed_dropped_end: 1 });
  await (await broker.plugins()).load('delayed-publish');
  await client.publishAsync('$delayed/1000/c', 'lost', { qos: 1 });
  await client.publishAsync('$delayed/1000/d', 'lost', { qos: 0 });
  await client.publishAsync('e', 'behind it', { qos: 1 });
  await broker.stop();
  expect(log.map(({ level, text, fields }) => [level, text, fields?.waiting])).toEqual(
    expect.arrayContaining([
      ['warn', 'delayed-publish: delayed messages are published now', 1],
      ['warn', 'delayed-publish: delayed messages are dropped', 1],
      ['warn', 'delayed-publish: the broker stops: delayed messages are lost', 2],
    ]),
  );
  expect(got).toEqual(['a=waits 1', 'e=behind it 1']);
  expect(broker.metrics()).toMatchObject({ delayed_messages: 0, delayed_dropped_end: 3 });
  const told = ['b', 'c', 'd'].map((topic) => [topic, 'delayed_end', '']);
  expect(dropped.sort()).toEqual(told);
});

test.each(['the plugin', 'the configuration'])(
  'a reload of %s keeps what waits; new limits are for what comes then',
  async (what) => {
    const log = await start({ on_unload: 'drop' });
    const got = await reader('#');
    const client = await open();
    for (const n of [1, 2, 3]) await client.publishAsync(`$delayed/2/${n}`, 'kept', { qos: 1 });
    const next = options({ max_messages: 3, max_delay_s: 100, on_unload: 'drop' });
    if (what === 'the configuration') await broker.reload(next);
    else await (await broker.plugins()).reload('delayed-publish');
    if (what === 'the configuration') {
      await expect(client.publishAsync('$delayed/2/4', 'x', { qos: 1 })).rejects.toMatchObject({
        code: 0x97,
      });
      await expect(client.publishAsync('$delayed/101/a', 'x', { qos: 1 })).rejects.toMatchObject({
        code: 0x90,
      });
    }
    expect(await counts()).toMatchObject({ waiting: 3, dropped_at_end: 0 });
    await eventually(() => expect(got).toEqual(['1=kept 1', '2=kept 1', '3=kept 1']));
    await client.publishAsync('$delayed/1/5', 'then', { qos: 1 });
    await eventually(() => expect(got.at(-1)).toBe('5=then 1'));
    expect(await counts()).toMatchObject({ waiting: 0, published: 4, dropped_at_end: 0 });
    expect(log.filter(({ level }) => level === 'warn').map(({ text }) => text)).toEqual([]);
  },
);

test('what comes while it is reloaded is delayed too', async () => {
  await start({});
  const all = await reader('$delayed/#');
  const client = await open();
  const plugins = await broker.plugins();
  let isDone = false;
  const reloads = (async () => {
    for (let n = 0; n < 20; ++n) await plugins.reload('delayed-publish');
    isDone = true;
  })();
  let sent = 0;
  while (!isDone) {
    await client.publishAsync(`$delayed/1000/${sent}`, 'x', { qos: 1 });
    ++sent;
  }
  await reloads;
  expect(await counts()).toMatchObject({ waiting: sent, taken: sent });
  expect(all).toEqual([]);
});
