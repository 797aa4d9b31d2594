// Broker.registry: subscriptions, routes of a topic, and retained messages, page by page.
import { afterEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker.js';
import type { SubscriptionRow } from '../../src/session/registry.js';
import { Client, unique } from '../harness/client.js';
import type { Address } from '../harness/wire.js';
import { everyPage, start as started } from './registry-start.js';

let broker: Broker;
let address: Address;
afterEach(() => broker?.stop({ timeoutMs: 100 }));

async function start(io_threads: number, mqtt: Record<string, unknown> = {}): Promise<void> {
  ({ broker, address } = await started(io_threads, mqtt));
}

const everySubscription = (limit: number, clientId?: string) =>
  everyPage(limit, (page) =>
    broker.registry.subscriptions(clientId === undefined ? page : { ...page, clientId }),
  );
const everyRetained = (limit: number, filter?: string) =>
  everyPage(limit, (page) =>
    broker.registry.retained(filter === undefined ? page : { ...page, filter }),
  );
const texts = (rows: readonly SubscriptionRow[]) =>
  rows.map(({ clientId, filter }) => `${clientId} ${filter}`).sort();

describe.each([1, 3])('subscriptions, %i I/O threads', (io_threads) => {
  test('of one and of all, with every option', async () => {
    await start(io_threads);
    const one = await Client.connect(address, { clientId: 'one' });
    const two = await Client.connect(address, { clientId: 'two' });
    await one.subscribe(
      { filter: 'a/+/"c"', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
      { subscriptionIdentifier: [77] },
    );
    await one.subscribe({ filter: '$share/gr/b/#', qos: 1 });
    await two.subscribe('a/+/"c"');
    const plain = {
      instance: 0,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      subscriptionId: undefined,
      group: undefined,
    };
    const ofOne = await everySubscription(1, 'one');
    expect(ofOne).toHaveLength(2);
    expect(ofOne).toEqual(
      expect.arrayContaining([
        {
          clientId: 'one',
          instance: 0,
          filter: 'a/+/"c"',
          qos: 2,
          noLocal: true,
          retainAsPublished: true,
          retainHandling: 2,
          subscriptionId: 77,
          group: undefined,
        },
        { ...plain, clientId: 'one', filter: '$share/gr/b/#', qos: 1, group: 'gr' },
      ]),
    );
    expect(texts(await everySubscription(1))).toEqual([
      'one $share/gr/b/#',
      'one a/+/"c"',
      'two a/+/"c"',
    ]);
    expect(broker.registry.totals()).toEqual({
      sessions: 2,
      connected: 2,
      subscriptions: 3,
      filters: 2,
      trieNodes: 5,
      retained: 0,
      retainedBytes: 0,
    });
  });

  test('what stands throughout is listed once, while others come and go', async () => {
    await start(io_threads);
    const clients = await Promise.all(Array.from({ length: 6 }, () => Client.connect(address)));
    const stay = new Set<string>();
    for (const client of clients) {
      await client.subscribe(Array.from({ length: 20 }, (_, n) => `t/${n}/${client.clientId}`));
      for (let n = 0; n < 20; n += 2) stay.add(`${client.clientId} t/${n}/${client.clientId}`);
    }
    let round = 0;
    const rows = await everyPage(
      7,
      (page) => broker.registry.subscriptions(page),
      async () => {
        const n = (round++ * 2 + 1) % 20;
        for (const client of clients) {
          await client.unsubscribe(`t/${n}/${client.clientId}`);
          await client.subscribe([`new/${round}/a`, `new/${round}/b`]);
        }
      },
    );
    expect(texts(rows).filter((text) => stay.has(text))).toEqual([...stay].sort());
  });

  test('ten thousand of one session', async () => {
    await start(io_threads);
    const client = await Client.connect(address);
    for (let n = 0; n < 10_000; n += 1000) {
      await client.subscribe(Array.from({ length: 1000 }, (_, i) => `many/${n + i}`));
    }
    for (const rows of [
      await everySubscription(1000),
      await everySubscription(999, client.clientId),
    ]) {
      expect(new Set(texts(rows)).size).toBe(10_000);
      expect(rows).toHaveLength(10_000);
    }
  });
});

test('nobody has no subscriptions, and another listing is no cursor', async () => {
  await start(1);
  expect(await everySubscription(5, 'nobody')).toEqual([]);
  expect(await everySubscription(5, '')).toEqual([]);
  await Client.connect(address);
  await Client.connect(address);
  const { next } = await broker.registry.clients({ limit: 1 });
  await expect(broker.registry.subscriptions({ limit: 1, cursor: next })).rejects.toMatchObject({
    code: 'ST_ARGUMENT',
  });
});

describe.each([1, 3])('routes, %i I/O threads', (io_threads) => {
  test('everybody who would get it, of groups all members', async () => {
    await start(io_threads);
    const clients = await Promise.all(
      ['a', 'b', 'c', 'd'].map((clientId) => Client.connect(address, { clientId })),
    );
    const [a, b, c, d] = clients as [Client, Client, Client, Client];
    await a.subscribe([{ filter: 'x/#', qos: 1 }, 'x/+', 'other']);
    await b.subscribe({ filter: 'x/y', qos: 2 });
    for (const member of [b, c, d]) await member.subscribe('$share/g/x/y');
    await d.subscribe('$share/h/+/y');
    const rows = await broker.registry.routes('x/y');
    expect(texts(rows)).toEqual([
      'a x/#',
      'a x/+',
      'b $share/g/x/y',
      'b x/y',
      'c $share/g/x/y',
      'd $share/g/x/y',
      'd $share/h/+/y',
    ]);
    expect(rows.find(({ filter }) => filter === 'x/y')).toMatchObject({ qos: 2, group: undefined });
    expect(rows.find(({ filter }) => filter === '$share/h/+/y')).toMatchObject({ group: 'h' });
    expect(await broker.registry.routes('nobody/here')).toEqual([]);
    await expect(broker.registry.routes('a/+')).rejects.toMatchObject({ code: 'ST_ARGUMENT' });
  });

  test('more than one query has room for', async () => {
    await start(io_threads);
    const clients = await Promise.all(Array.from({ length: 90 }, () => Client.connect(address)));
    for (const client of clients) {
      await client.subscribe(['#', '+/#', 'r/#', 'r/+', 'r/s', '$share/g/r/s', '$share/g/#']);
    }
    const rows = await broker.registry.routes('r/s');
    expect(rows).toHaveLength(90 * 7);
    expect(new Set(texts(rows)).size).toBe(90 * 7);
  });
});

describe.each([1, 3])('retained, %i I/O threads', (io_threads) => {
  test('by topic in byte order, with payload, expiry and publisher', async () => {
    await start(io_threads);
    const publishers = await Promise.all(Array.from({ length: 3 }, () => Client.connect(address)));
    const payload = Buffer.from([0, 255, 128, 34, 92]);
    const before = Date.now();
    for (const [index, client] of publishers.entries()) {
      await client.publish(`t/${index}`, payload, {
        qos: 1,
        retain: true,
        properties: { messageExpiryInterval: 100 },
      });
    }
    await publishers[0]?.publish('a', 'plain', { qos: 1, retain: true });
    const rows = await everyRetained(1);
    expect(rows.map(({ topic }) => topic)).toEqual(['a', 't/0', 't/1', 't/2']);
    expect(rows.map(({ publisher }) => publisher)).toEqual(
      [publishers[0], ...publishers].map((client) => client?.clientId),
    );
    expect(rows[0]).toMatchObject({ qos: 1, expiresAt: undefined });
    expect(rows[1]?.payload).toEqual(payload);
    expect(rows[1]?.expiresAt).toBeGreaterThan(before + 98_000);
    expect(rows[1]?.expiresAt).toBeLessThan(Date.now() + 102_000);
    expect(rows.map(({ sequence }) => sequence)).toEqual([4, 1, 2, 3]);
    expect(await everyRetained(2, 't/+')).toEqual(rows.slice(1));
    expect(await broker.registry.retainedMessage('t/1')).toEqual(rows[2]);
    expect(await broker.registry.retainedMessage('t/9')).toBeUndefined();
    await publishers[2]?.disconnect();
    expect((await broker.registry.retainedMessage('t/2'))?.publisher).toBe('');
    expect(broker.registry.totals()).toMatchObject({ retained: 4 });
  });

  test('a deleted one is gone, and subscribers are not told', async () => {
    await start(io_threads);
    const client = await Client.connect(address);
    await client.subscribe('d/#');
    await client.publish('d/1', 'x', { qos: 1, retain: true });
    await client.receive();
    expect(await broker.registry.deleteRetained('d/1')).toBe(true);
    expect(await broker.registry.deleteRetained('d/1')).toBe(false);
    await client.publish('d/end', 'end');
    expect((await client.receive()).topic).toBe('d/end');
    expect(await everyRetained(10)).toEqual([]);
  });
});

test('pages of retained messages are bounded in bytes, and none is passed over', async () => {
  await start(2);
  const client = await Client.connect(address, { clientId: unique() });
  const wanted: string[] = [];
  for (let n = 0; n < 400; n++) {
    const topic = `p/${String(n).padStart(4, '0')}`;
    wanted.push(topic);
    await client.publish(topic, Buffer.alloc(n % 7 === 0 ? 70_000 : 10), { qos: 0, retain: true });
  }
  await client.ping();
  const rows = await everyRetained(1000);
  expect(rows.map(({ topic }) => topic)).toEqual(wanted);
  expect(rows.map(({ payload }) => payload.length)).toEqual(
    wanted.map((_, n) => (n % 7 === 0 ? 70_000 : 10)),
  );
});

test.each(['a/#/b', '', '$share/g/a', 'a\0'])(
  '%j is no filter for retained ones',
  async (filter) => {
    await start(1);
    await expect(broker.registry.retained({ limit: 1, filter })).rejects.toMatchObject({
      code: 'ST_ARGUMENT',
    });
  },
);
