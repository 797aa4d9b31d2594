// dynamic_replay = "backlog" with MQTT.js and a link: what was published before anybody had subscribed
// comes to the first who does, in order, and then what is published from there on.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import { Client, type Version } from './mqttjs-client.js';

const broker = new Broker({
  unified: { all: { listen: '127.0.0.1:0', connections: { dynamic_filters: true } } },
  broker: { io_threads: 3 },
  device: { dynamic_replay: 'backlog' },
  log: { to: 'off' },
});
const clients: Client[] = [];
beforeAll(() => broker.start());
afterEach(() => Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true))));
afterAll(() => broker.stop({ timeoutMs: 0 }));

async function open(version: Version, clientId: string): Promise<Client> {
  const client = await Client.open(broker.addresses[0]?.port ?? 0, version, { clientId });
  clients.push(client);
  return client;
}
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => `${from + at}`);
async function take(client: Client, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) texts.push((await client.next()).text);
  return texts;
}

describe.each([4, 5] as const)('MQTT version %i', (version) => {
  test('the first subscriber gets the log, then live messages; the next one does not', async () => {
    const topic = `backlog/${version}`;
    const publisher = await open(version, 'publisher');
    for (const text of numbers(1, 500)) await publisher.mqtt.publishAsync(topic, text, { qos: 1 });
    // The last may still be on its way to the log: it was acknowledged by the thread that took it.
    await expect.poll(() => broker.registry.log(topic)).toMatchObject({ messages: 500 });
    const first = await open(version, 'first');
    // Published while the log is on its way.
    const publishing = (async () => {
      for (const text of numbers(501, 1000)) {
        await publisher.mqtt.publishAsync(topic, text, { qos: 1 });
      }
    })();
    await first.subscribe(`backlog/+`, 1);
    expect(await take(first, 1000)).toEqual(numbers(1, 1000));
    await publishing;
    await expect.poll(() => broker.registry.log(topic)).toBeUndefined();
    const second = await open(version, 'second');
    await second.subscribe(topic, 1);
    await publisher.mqtt.publishAsync(topic, 'live', { qos: 1 });
    expect(await take(first, 1)).toEqual(['live']);
    expect(await take(second, 1)).toEqual(['live']);
  });

  test('a log is made again when no subscriber is left', async () => {
    const topic = `again/${version}`;
    const publisher = await open(version, 'publisher');
    const link = await broker.link();
    for (const round of ['1', '2']) {
      await publisher.mqtt.publishAsync(topic, round, { qos: 1 });
      const subscription = link.subscribe(topic, { qos: 1 });
      const { value } = await subscription[Symbol.asyncIterator]().next();
      expect(value?.payload.toString()).toBe(round);
      await subscription.close();
    }
    await link.close();
  });
});
