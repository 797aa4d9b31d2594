// auto-subscription on the real broker, with MQTT.js clients.
import mqtt from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import type { LogRecord } from '../../src/log/logger.js';
import { filterFor } from '../../src/plugins/builtin/auto-subscription/subscriber.js';
import { eventually } from '../harness/eventually.js';

const clients: mqtt.MqttClient[] = [];
let broker: Broker | undefined;
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker?.stop({ timeoutMs: 300 });
});

async function start(subscribes: object[], more: object = {}): Promise<LogRecord[]> {
  broker = new Broker({
    unified: { main: { listen: '127.0.0.1:0' } },
    plugins: { 'auto-subscription': { default_startup: true, config: { subscribes } } },
    ...more,
  } as BrokerOptions);
  const log: LogRecord[] = [];
  broker.on('log', (record) => log.push(record));
  await broker.start();
  return log;
}

async function open(options: mqtt.IClientOptions): Promise<[mqtt.MqttClient, string[]]> {
  const client = mqtt.connect(`mqtt://127.0.0.1:${broker?.addresses[0]?.port}`, {
    ...{ protocolVersion: 5, reconnectPeriod: 0, ...options },
  });
  clients.push(client);
  client.on('error', () => {});
  const got: string[] = [];
  client.on('message', (topic, payload, { retain, qos }) => {
    got.push(`${topic}=${payload}${retain ? ' retained' : ''} ${qos}`);
  });
  await new Promise((resolve) => client.once('connect', resolve));
  return [client, got];
}

async function filters(clientId: string): Promise<string[]> {
  const page = await broker?.registry.subscriptions({ clientId, limit: 100 });
  return (page?.items ?? []).map(({ filter, qos }) => `${filter} ${qos}`).sort();
}
const counts = async () =>
  (await broker?.plugins())?.list().find(({ name }) => name === 'auto-subscription')?.counts;
const publish = async (topic: string, payload: string, retain = false) => {
  const link = await broker?.link();
  await link?.publish(topic, payload, { qos: 1, retain });
  await link?.close();
};

test('with names, options and retained messages, and for 3.1.1 too', async () => {
  await start([
    { topic_filter: `to/$\{clientid}/#`, qos: 1, no_local: true },
    { topic_filter: 'of/%u', qos: 2, retain_as_published: true },
    { topic_filter: 'quiet', retain_handling: 2 },
  ]);
  for (const topic of ['to/a/old', 'quiet', 'to/b/old']) await publish(topic, 'kept', true);
  const [a, got] = await open({ clientId: 'a', username: 'u' });
  await eventually(async () =>
    expect(await filters('a')).toEqual(['of/u 2', 'quiet 0', 'to/a/# 1']),
  );
  const { items } = (await broker?.registry.subscriptions({ clientId: 'a', limit: 9 })) ?? {};
  expect(items?.find(({ filter }) => filter === 'to/a/#')).toMatchObject({ noLocal: true });
  await eventually(() => expect(got).toEqual(['to/a/old=kept retained 1']));
  await a.publishAsync('to/a/self', 'x', { qos: 1 });
  await publish('of/u', 'now', true);
  await eventually(() => expect(got.at(-1)).toBe('of/u=now retained 1'));
  expect(got.length).toBe(2);
  await a.unsubscribeAsync('to/a/#');
  expect(await filters('a')).toEqual(['of/u 2', 'quiet 0']);

  const [, old] = await open({ clientId: 'b', protocolVersion: 4 });
  await eventually(() => expect(old).toEqual(['to/b/old=kept retained 1']));
  await eventually(async () => expect(await counts()).toMatchObject({ unfit: 1, subscribed: 5 }));
  expect(await filters('b')).toEqual(['quiet 0', 'to/b/# 1']);
});

test('a resumed session keeps what it has; what it lacks is made', async () => {
  await start([{ topic_filter: 'x', qos: 1 }, { topic_filter: 'y' }]);
  await publish('x', 'kept', true);
  const options = { clientId: 'a', clean: false, properties: { sessionExpiryInterval: 100 } };
  const [first, got] = await open(options);
  await eventually(async () => expect(await filters('a')).toEqual(['x 1', 'y 0']));
  await eventually(() => expect(got.length).toBe(1));
  await first.unsubscribeAsync('y');
  await first.endAsync();
  const [, again] = await open(options);
  await eventually(async () => expect(await counts()).toMatchObject({ had: 1, subscribed: 3 }));
  expect(await filters('a')).toEqual(['x 1', 'y 0']);
  await publish('x', 'new');
  await eventually(() => expect(again).toEqual(['x=new 1']));
});

test('only where access rules allow, and only within the device; said and counted', async () => {
  const log = await start(
    [
      { topic_filter: 'secret/#' },
      { topic_filter: 'v1/devices/me/rpc/request/+' },
      { topic_filter: `x/$\{clientid}` },
    ],
    { acl: { default: 'allow', rules: [{ effect: 'deny', filters: ['secret/#'] }] } },
  );
  await open({ clientId: 'pump' });
  await eventually(async () => expect(await counts()).toMatchObject({ refused: 1, subscribed: 2 }));
  expect(log.map(({ text, fields }) => [text, fields])).toContainEqual([
    'auto-subscription: "secret/#": refused',
    expect.objectContaining({ clientId: 'pump', reasonCode: 0x87 }),
  ]);
  const inner = await broker?.registry.routes('v1/devices/pump/rpc/request/1');
  expect(inner?.map(({ clientId }) => clientId)).toEqual(['pump']);
  await open({ clientId: 'a/#' });
  await eventually(async () => expect(await counts()).toMatchObject({ unfit: 1 }));
  expect(await filters('a/#')).not.toContain('x/a/# 0');
  // Links are not clients of it.
  const link = await broker?.link({ clientId: 'own' });
  await publish('y', '');
  expect(await filters('own')).toEqual([]);
  await link?.close();
});

test('names in filters', () => {
  const u = { clientId: 'c', username: 'u' };
  expect(filterFor(`a/$\{clientid}/%u/$\{username}%c`, u)).toBe('a/c/u/uc');
  expect(filterFor('a', { clientId: 'a/b', username: undefined })).toBe('a');
  for (const name of ['a/b', '+', '#', ''])
    expect(filterFor('%c', { clientId: name, username: 'u' })).toBeUndefined();
  expect(filterFor('%u', { clientId: 'c', username: undefined })).toBeUndefined();
  // What a name says is not looked at again.
  expect(filterFor('%c', { clientId: '%u', username: 'u' })).toBe('%u');
});
