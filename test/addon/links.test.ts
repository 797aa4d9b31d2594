// In-process links on the real broker: what they promise, and what they do to each other and to the
// clients on sockets.
import { afterEach, describe, expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { type Internals, kInternals } from '../../src/internal.js';
import type { Link } from '../../src/link/link.js';
import type { Message } from '../../src/link/message.js';
import type { LinkOptions } from '../../src/link/options.js';
import type { Subscription } from '../../src/link/subscription.js';

let brokers: Broker[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 500 })));
  brokers = [];
});

async function start(options: ConfigTables = {}, internals: Internals = {}): Promise<Broker> {
  const broker = new Broker({
    unified: {},
    ...options,
    [kInternals]: { placement: 'round-robin', ...internals },
  } as BrokerOptions);
  brokers.push(broker);
  await broker.start();
  return broker;
}

async function take(subscription: Subscription, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  const iterator = subscription[Symbol.asyncIterator]();
  while (messages.length < count) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    messages.push(value);
  }
  return messages;
}
const text = (messages: readonly Message[]) => messages.map(({ payload }) => payload.toString());

/** With one I/O thread, and with publisher and subscriber apart. */
describe.each([1, 3])('%i I/O threads', (io_threads) => {
  const threads = { broker: { io_threads } };
  const pair = async (options: ConfigTables = {}, a: LinkOptions = {}, b: LinkOptions = {}) => {
    const broker = await start({ ...options, ...threads });
    const links = [await broker.link(a), await broker.link(b)] as const;
    return { broker, publisher: links[0], subscriber: links[1] };
  };

  test.each([0, 1, 2] as const)('QoS %i: each message once and in order', async (qos) => {
    const { publisher, subscriber } = await pair();
    const subscription = subscriber.subscribe('a/+', { qos });
    expect(await subscription.ready).toEqual([{ filter: 'a/+', qos }]);
    const count = 3000;
    const sent = Array.from({ length: count }, (_, i) => publisher.publish('a/b', `${i}`, { qos }));
    const messages = await take(subscription, count);
    expect(text(messages)).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
    expect(messages.every((m) => m.topic === 'a/b' && m.qos === qos && !m.duplicate)).toBe(true);
    for (const result of await Promise.all(sent)) expect(result).toEqual({ reasonCode: 0 });
  });

  test('properties, retain and payloads of any size go through', async () => {
    const { publisher, subscriber } = await pair();
    const subscription = subscriber.subscribe('#', { qos: 2, retainAsPublished: true });
    await subscription.ready;
    const payload = Buffer.alloc(2_000_000, 7);
    const properties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 100,
      contentType: 'text/plain',
      responseTopic: 'r',
      correlationData: Buffer.from('c'),
      userProperties: [
        ['a', '1'],
        ['a', '2'],
      ],
    } as const;
    await publisher.publish('x', payload, { qos: 2, retain: true, properties });
    await publisher.publish('x', '', { qos: 1 });
    const [big, empty] = await take(subscription, 2);
    expect(big?.payload.equals(payload)).toBe(true);
    expect(big).toMatchObject({ retain: true, qos: 2 });
    expect(big?.properties).toMatchObject({
      ...properties,
      messageExpiryInterval: expect.any(Number),
    });
    expect(empty).toMatchObject({ retain: false, qos: 1 });
    expect(empty?.payload).toHaveLength(0);
    const late = subscriber.subscribe('x', { qos: 1 });
    expect((await take(late, 1))[0]).toMatchObject({ topic: 'x', retain: true });
  });

  test('nobody subscribed: 0x10', async () => {
    const { publisher } = await pair();
    expect(await publisher.publish('nobody', 'x', { qos: 1 })).toEqual({ reasonCode: 0x10 });
    expect(await publisher.publish('nobody', 'x', { qos: 2 })).toEqual({ reasonCode: 0x10 });
    expect(await publisher.publish('nobody', 'x')).toEqual({ reasonCode: 0 });
  });

  test('a consumer that publishes inside its loop is never stuck behind what it has not read', async () => {
    const { publisher, subscriber } = await pair({}, {}, { bufferBytes: 4096 });
    const subscription = subscriber.subscribe('in', { qos: 0 });
    const answers = publisher.subscribe('out', { qos: 1 });
    await Promise.all([subscription.ready, answers.ready]);
    const body = Buffer.alloc(600);
    const sent = (async () => {
      for (let i = 0; i < 300; i++) await publisher.publish('in', body);
    })();
    let seen = 0;
    const loop = (async () => {
      for await (const { payload } of subscription) {
        await subscriber.publish('out', payload, { qos: 2 });
        if (++seen === 100) break;
      }
    })();
    await Promise.all([sent, loop, take(answers, 100)]);
    expect(seen).toBe(100);
  });

  test('backpressure: what is not consumed is not acknowledged', async () => {
    const { broker, publisher, subscriber } = await pair({}, {}, { receiveMaximum: 5 });
    const subscription = subscriber.subscribe('q', { qos: 1 });
    await subscription.ready;
    const sent = Array.from({ length: 50 }, (_, i) => publisher.publish('q', `${i}`, { qos: 1 }));
    await Promise.all(sent);
    await new Promise((done) => setTimeout(done, 100));
    expect(broker.metrics().publish_sent_qos1).toBe(5);
    expect(text(await take(subscription, 50))).toEqual(
      Array.from({ length: 50 }, (_, i) => `${i}`),
    );
  });

  test('manual acknowledgement holds the window until ack()', async () => {
    const { publisher, subscriber } = await pair({}, {}, { receiveMaximum: 2 });
    const subscription = subscriber.subscribe('q', { qos: 2, manualAck: true });
    await subscription.ready;
    for (let i = 0; i < 4; i++) await publisher.publish('q', `${i}`, { qos: 2 });
    const iterator = subscription[Symbol.asyncIterator]();
    const first = await iterator.next();
    await iterator.next();
    const third = iterator.next();
    const early = await Promise.race([third, new Promise((done) => setTimeout(done, 100, 'none'))]);
    expect(early).toBe('none');
    (first.value as Message).ack();
    (first.value as Message).ack();
    expect(((await third).value as Message).payload.toString()).toBe('2');
  });

  test('overlapping subscriptions of one link each get the message; each Subscription once', async () => {
    const { publisher, subscriber } = await pair();
    const all = subscriber.subscribe('#', { qos: 1 });
    const some = subscriber.subscribe(['a/b', 'a/+'], { qos: 1 });
    const other = subscriber.subscribe('c');
    await Promise.all([all.ready, some.ready, other.ready]);
    await publisher.publish('a/b', '1', { qos: 1 });
    await publisher.publish('a/c', '2', { qos: 1 });
    await publisher.publish('c', '3', { qos: 1 });
    const fromAll = text(await take(all, 3));
    expect(fromAll).toEqual(['1', '2', '3']);
    const fromSome = text(await take(some, 2));
    expect([...new Set(fromSome)]).toEqual(['1', '2']);
    expect(text(await take(other, 1))).toEqual(['3']);
  });

  test('without Subscription Identifiers the topic decides', async () => {
    const { publisher, subscriber } = await pair({ mqtt: { subscription_identifiers: false } });
    const one = subscriber.subscribe('a/#');
    const two = subscriber.subscribe('$share/g/b/+');
    await Promise.all([one.ready, two.ready]);
    await publisher.publish('a', '1');
    await publisher.publish('b/x', '2');
    expect(text(await take(one, 1))).toEqual(['1']);
    expect(text(await take(two, 1))).toEqual(['2']);
  });

  test('a session that outlives its link: queued messages come with the next subscribe', async () => {
    const broker = await start(threads);
    const options = { clientId: 'svc', cleanStart: false, sessionExpiry: 60 } as const;
    const first = await broker.link(options);
    expect(first.sessionPresent).toBe(false);
    await first.subscribe('orders/#', { qos: 2 }).ready;
    await first.subscribe('other/+', { qos: 1 }).ready;
    await first.close();
    const publisher = await broker.link();
    await publisher.publish('orders/1', 'a', { qos: 2 });
    await publisher.publish('other/1', 'b', { qos: 1 });
    await publisher.publish('orders/2', 'c', { qos: 1 });
    const second = await broker.link(options);
    expect(second.sessionPresent).toBe(true);
    const other = second.subscribe('other/+', { qos: 1 });
    const orders = second.subscribe('orders/#', { qos: 2 });
    expect(text(await take(orders, 2))).toEqual(['a', 'c']);
    expect(text(await take(other, 1))).toEqual(['b']);
    await publisher.publish('orders/3', 'd', { qos: 2 });
    expect(text(await take(orders, 1))).toEqual(['d']);
  });
});

describe('the end of a link', () => {
  test('close(): its Will is not published; with withWill it is', async () => {
    const broker = await start();
    const watcher = await broker.link();
    const wills = watcher.subscribe('will/#');
    await wills.ready;
    const will = { topic: 'will/a', payload: 'gone', properties: { contentType: 't' } };
    await (await broker.link({ will })).close();
    const loud = await broker.link({ will: { ...will, topic: 'will/b' } });
    await loud.close({ withWill: true });
    const [message] = await take(wills, 1);
    expect(message).toMatchObject({ topic: 'will/b', properties: { contentType: 't' } });
  });

  test('what is waited for is rejected, what is iterated ends', async () => {
    const broker = await start();
    const link = await broker.link({ receiveMaximum: 1 });
    const subscription = link.subscribe('a', { qos: 1 });
    await subscription.ready;
    const reading = (async () => {
      const seen: string[] = [];
      for await (const { payload } of subscription) seen.push(payload.toString());
      return seen;
    })();
    await link.publish('a', '1', { qos: 1 });
    const closing = link.close();
    await expect(link.publish('a', '2', { qos: 1 })).rejects.toMatchObject({
      code: 'ST_LINK_CLOSED',
    });
    expect(() => link.subscribe('b')).toThrow(expect.objectContaining({ code: 'ST_LINK_CLOSED' }));
    await closing;
    expect(await link.closed).toMatchObject({ reason: '' });
    await reading;
    expect(link.isOpen).toBe(false);
    await link.close();
  });

  test('taken over by a newer one: iterating throws, with the cause', async () => {
    const broker = await start();
    const older = await broker.link({ clientId: 'same' });
    const subscription = older.subscribe('a');
    await subscription.ready;
    const reading = take(subscription, 1);
    const failed = expect(reading).rejects.toMatchObject({
      code: 'ST_LINK_CLOSED',
      message: expect.stringContaining('taken over'),
    });
    const newer = await broker.link({ clientId: 'same' });
    await failed;
    expect(await older.closed).toMatchObject({ cause: 'taken_over', reasonCode: 0x8e });
    expect(newer.isOpen).toBe(true);
  });

  test('broker.stop(): iterators end after what has come, publishes are rejected', async () => {
    const broker = await start();
    const link = await broker.link();
    const subscription = link.subscribe('a');
    await subscription.ready;
    await link.publish('a', '1');
    const stopped = broker.stop();
    const seen: string[] = [];
    for await (const { payload } of subscription) seen.push(payload.toString());
    await stopped;
    expect(seen).toEqual(['1']);
    expect(await link.closed).toMatchObject({ cause: 'shutting_down', reasonCode: 0x8b });
    await expect(link.publish('a', '2')).rejects.toMatchObject({ code: 'ST_LINK_CLOSED' });
    await expect(broker.link()).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
  });

  test('disconnectClient() with a Reason Code', async () => {
    const broker = await start();
    const link = await broker.link({ clientId: 'bad' });
    broker.disconnectClient('bad', { reasonCode: 0x97 });
    expect(await link.closed).toMatchObject({ cause: 'administrative', reasonCode: 0x97 });
  });

  test('closing a subscription unsubscribes; breaking out of its loop too', async () => {
    const broker = await start();
    const link = await broker.link();
    const subscription = link.subscribe(['a', 'b'], { qos: 1 });
    await subscription.ready;
    await link.publish('a', '1', { qos: 1 });
    for await (const _ of subscription) break;
    expect(await link.publish('a', '2', { qos: 1 })).toEqual({ reasonCode: 0x10 });
    const again = link.subscribe('a');
    await again.ready;
    await link.unsubscribe('a');
    expect(await take(again, 1)).toEqual([]);
    expect(broker.metrics().subscriptions_removed).toBe(3);
  });
});

describe('refusals', () => {
  test('a Client Identifier that is too long', async () => {
    const broker = await start({ mqtt: { max_client_id_bytes: 30 } });
    await expect(broker.link({ clientId: 'x'.repeat(31) })).rejects.toMatchObject({
      code: 'ST_LINK_REFUSED',
      reasonCode: 0x85,
    });
  });

  test('what the broker does not offer is refused before it is sent', async () => {
    const mqtt = {
      max_qos: 1,
      retain_available: false,
      shared_subscriptions: false,
      wildcard_subscriptions: false,
    };
    const broker = await start({ mqtt });
    const link = await broker.link();
    await expect(link.publish('a', 'x', { qos: 2 })).rejects.toMatchObject({
      code: 'ST_LINK_CAPABILITY',
    });
    await expect(link.publish('a', 'x', { retain: true })).rejects.toMatchObject({
      code: 'ST_LINK_CAPABILITY',
    });
    for (const filter of ['$share/g/x', 'a/+', '#']) {
      expect(() => link.subscribe(filter)).toThrow(
        expect.objectContaining({ code: 'ST_LINK_CAPABILITY' }),
      );
    }
    await link.subscribe('a', { qos: 2 }).ready;
  });

  test('a filter that the broker refuses ends the subscription with its reason', async () => {
    const broker = await start({ mqtt: { max_topic_levels: 2 } });
    const link = await broker.link();
    const subscription = link.subscribe(['fine', 'a/b/c']);
    await expect(take(subscription, 1)).rejects.toMatchObject({
      code: 'ST_LINK_SUBSCRIBE_REFUSED',
      reasonCode: 0x8f,
    });
    await expect(subscription.ready).rejects.toMatchObject({ code: 'ST_LINK_SUBSCRIBE_REFUSED' });
    expect(await link.publish('fine', 'x', { qos: 1 })).toEqual({ reasonCode: 0x10 });
  });

  test.each([[''], ['a/+'], ['#'], ['a\0b'], ['x'.repeat(65_536)]])('topic %j', async (topic) => {
    const link = await (await start()).link();
    await expect(link.publish(topic.slice(0, 65_536), 'x')).rejects.toMatchObject({
      code: 'ST_ARGUMENT',
    });
  });

  test('filters that no broker may take, or that the link has already', async () => {
    const link = await (await start()).link();
    for (const filter of ['', 'a/#/b', 'a+', '#a', 'a\0']) {
      expect(() => link.subscribe(filter)).toThrow(
        expect.objectContaining({ code: 'ST_ARGUMENT' }),
      );
    }
    const first = link.subscribe('a');
    expect(() => link.subscribe(['b', 'a'])).toThrow(
      expect.objectContaining({ code: 'ST_LINK_FILTER_IN_USE' }),
    );
    expect(() => link.subscribe(['b', 'b'])).toThrow();
    await first.close();
    await link.subscribe(['b', 'a']).ready;
  });
});

test('handlers: forEach is served in order, waits for promises, and ends with what it throws', async () => {
  const broker = await start();
  const link: Link = await broker.link();
  const subscription = link.subscribe('a', { qos: 1 });
  await subscription.ready;
  const seen: string[] = [];
  let inside = 0;
  const done = subscription.forEach(async ({ payload }) => {
    expect(++inside).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    inside--;
    seen.push(payload.toString());
    if (payload.toString() === '9') throw new Error('enough');
  });
  const failed = expect(done).rejects.toThrow('enough');
  for (let i = 0; i < 10; i++) await link.publish('a', `${i}`, { qos: 1 });
  await failed;
  expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
});
