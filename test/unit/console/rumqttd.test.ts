// ST-RMQTT's routes: its shapes, with what is true here.

import { beforeEach, describe, expect, it } from 'vitest';
import type { Metrics } from '../../../src/metrics/counters.ts';
import { sections } from '../../../src/metrics/families.ts';
import { client, type Harness, harness, logRow, offline, subscription } from './fake.ts';

let it_: Harness;
beforeEach(async () => {
  it_ = await harness();
});
const get = async (url: string) => (await it_.app.inject({ url })).json();

describe('totals and configuration', () => {
  it('GET / tells where the console listens, and sends a browser to the page', async () => {
    expect(await get('/')).toEqual({ listen: '127.0.0.1:3030' });
    const browser = await it_.app.inject({ url: '/', headers: { accept: 'text/html,*/*' } });
    expect([browser.statusCode, browser.headers.location]).toEqual([302, 'ui/']);
  });

  it('GET /config has the [router] keys', async () => {
    expect(await get('/config')).toMatchObject({
      max_connections: 100_000,
      shared_subscriptions_strategy: 'roundrobin',
    });
  });

  it('GET /router counts', async () => {
    it_.deps.registry.rows = [client('a'), client('b', offline)];
    it_.deps.registry.subs = [subscription('a', 'x')];
    // Different numbers, so that a counter too many or too few shows.
    const counters = Object.fromEntries(
      Object.keys(it_.deps.metrics()).map((name, i) => [name, 2 ** (i % 40) + i]),
    ) as Metrics;
    it_.deps.metrics = () => counters;
    const gauge = (name: string) => {
      const family = sections[0]?.families.find((one) => one.name === `metrics_router_${name}`);
      const read = family?.type === 'gauge' ? family.read({ counters } as never) : [];
      return read[0]?.value;
    };
    const first = await get('/router');
    expect(first).toMatchObject({
      router_id: 3,
      total_connections: 1,
      total_subscriptions: 1,
      total_publishes: gauge('total_publishes'),
      failed_publishes: gauge('failed_publishes'),
    });
    expect((await get('/router')).sequence).toBe(first.sequence + 1);
    expect(Math.abs(first.timestamp - Date.now())).toBeLessThan(60_000);
  });
});

describe('GET /device/:id', () => {
  const tracker = async (id: string) => (await get(`/device/${id}`)).tracker;

  it('tells subscriptions and the last ten connection events', async () => {
    it_.deps.registry.rows = [client('a')];
    it_.deps.registry.subs = [subscription('a', 'x/+'), subscription('a', '$share/g/y')];
    for (let i = 0; i < 7; i++) {
      it_.history.connected({ clientId: 'a', address: `10.0.0.${i}:1` } as never);
      it_.history.disconnected({
        clientId: 'a',
        address: `10.0.0.${i}:1`,
        cause: 'peer_closed',
      } as never);
    }
    const device = await get('/device/a');
    expect(device.tracker.data_requests).toEqual([
      { filter: 'x/+', qos: 1, group: null },
      { filter: '$share/g/y', qos: 1, group: 'g' },
    ]);
    expect(device.events).toHaveLength(10);
    expect(device.events[0]).toMatchObject({ event: 'connect', address: '10.0.0.2:1' });
    expect(device.events[9]).toMatchObject({ event: 'disconnect', cause: 'peer_closed' });
  });

  it('tells whether it waits, and for what', async () => {
    const { rows, details } = it_.deps.registry;
    const connection = {
      receiveMaximum: 10,
      maximumPacketSize: 1,
      topicAliasMaximum: 0,
      outboundBytes: 0,
      pausedBy: [],
      transport: 'tcp' as const,
    };
    rows.push(
      client('caughtup'),
      client('ready', { queuedMessages: 1 }),
      client('sending'),
      client('full', { inFlight: 10, queuedMessages: 5 }),
      client('window', { inFlight: 100 }),
      client('busy', { queuedMessages: 5 }),
      client('off', { ...offline, queuedMessages: 5 }),
    );
    details.set('sending', { connection: { ...connection, outboundBytes: 10 } });
    details.set('full', { connection });
    details.set('busy', { connection: { ...connection, outboundBytes: 2_000_000 } });
    expect((await tracker('caughtup')).status).toEqual({ Paused: 'Caughtup' });
    expect((await tracker('ready')).status).toBe('Ready');
    expect((await tracker('sending')).status).toBe('Ready');
    expect((await tracker('full')).status).toEqual({ Paused: 'InflightFull' });
    expect((await tracker('window')).status).toEqual({ Paused: 'InflightFull' });
    expect((await tracker('busy')).status).toEqual({ Paused: 'Busy' });
    expect((await tracker('off')).status).toBeNull();
  });

  it('of an offline client deletes nothing', async () => {
    it_.deps.registry.rows = [client('off', offline)];
    for (let i = 0; i < 3; i++) expect((await get('/device/off')).connected).toBe(false);
    expect(it_.deps.registry.ended).toEqual([]);
    expect(it_.deps.registry.rows).toHaveLength(1);
    expect((await it_.app.inject({ url: '/device/nobody' })).statusCode).toBe(404);
  });
});

describe('subscriptions', () => {
  beforeEach(() => {
    it_.deps.registry.rows = [client('a'), client('b', { queuedMessages: 3 })];
    it_.deps.registry.subs = [
      subscription('a', 'x/+/y'),
      subscription('b', 'x/+/y'),
      subscription('a', 'x/#'),
      subscription('b', '$share/g/x/y'),
      subscription('b', '__proto__'),
      subscription('b', '#'),
    ];
  });

  it('GET /subscriptions is a map of filters', async () => {
    const { body, headers } = await it_.app.inject({ url: '/subscriptions' });
    expect(body).toBe(
      '{"x/+/y":["a","b"],"x/#":["a"],"$share/g/x/y":["b"],"__proto__":["b"],"#":["b"]}',
    );
    expect(headers.link).toBeUndefined();
  });

  it('a Link header leads on where there are more', async () => {
    const found: string[] = [];
    let url: string | undefined = '/subscriptions?limit=2';
    while (url !== undefined) {
      const response: { headers: object; body: string } = await it_.app.inject({ url });
      const { headers, body } = response as { headers: { link?: string }; body: string };
      found.push(...Object.keys(JSON.parse(body)));
      url = /^<(.+)>; rel="next"$/.exec(String(headers.link))?.[1];
    }
    expect(found).toEqual(['x/+/y', 'x/#', '$share/g/x/y', '__proto__', '#']);
  });

  it.each([
    ['x.+.y', ['a', 'b']],
    ['x%2F%2B%2Fy', ['a', 'b']],
    ['x.%23', ['a']],
    ['$share.g.x.y', ['b']],
    ['%23', ['b']],
    ['x.y', []],
  ])('GET /subscriptions/%s: a dot stands for a slash', async (filter, clients) => {
    expect(await get(`/subscriptions/${filter}`)).toMatchObject({
      clients,
      count: 0,
      total_size: 0,
    });
  });

  it('GET /subscriptions/:filter counts what its log has got', async () => {
    it_.deps.registry.logRows = [logRow('x/y', { appended: 7, appendedBytes: 700 })];
    expect(await get('/subscriptions/x.y')).toMatchObject({ count: 7, total_size: 700 });
  });

  it('GET /waiters/:filter tells who has got everything', async () => {
    expect(await get('/waiters/x.+.y')).toEqual([['a', { filter: 'x/+/y', qos: 1, group: null }]]);
    expect(await get('/waiters/none')).toEqual([]);
  });

  it('GET /readyqueue tells the connections that messages wait for', async () => {
    it_.deps.registry.rows = [
      client('a', { connectionId: '1' }),
      client('b', { connectionId: '2', queuedMessages: 1 }),
      client('c', { ...offline, queuedMessages: 9 }),
    ];
    expect(await get('/readyqueue')).toEqual(['2']);
  });
});

describe('POST /logs', () => {
  const post = (payload: string, type?: string) =>
    it_.app.inject({
      method: 'POST',
      url: '/logs',
      payload,
      ...(type === undefined ? {} : { headers: { 'content-type': type } }),
    });

  it.each([undefined, 'text/plain', 'application/x-www-form-urlencoded', 'application/json'])(
    'sets the filter and echoes it, as %s',
    async (type) => {
      const response = await post('info,auth=debug', type);
      expect([response.statusCode, response.body]).toEqual([200, 'info,auth=debug']);
      expect(it_.deps.filter).toBe('info,auth=debug');
    },
  );

  it('takes the directives of rumqttd', async () => {
    expect((await post('rumqttd::router=debug')).statusCode).toBe(200);
  });

  it.each(['', ' ', 'info,,', 'session[client=', 'x=loud'])('refuses %j', async (text) => {
    const response = await post(text);
    expect(response.statusCode).toBe(400);
    expect(response.json().error.code).toBe('bad_request');
    expect(it_.deps.filter).toBe('warn');
  });
});

it('the history is bounded', () => {
  for (let i = 0; i < 5000; i++) {
    it_.history.connected({ clientId: `c${i}`, address: 'x' } as never);
    // Seen all the time, so it stays.
    it_.history.connected({ clientId: 'busy', address: 'x' } as never);
  }
  expect(it_.history.of('c0')).toEqual([]);
  expect(it_.history.of('c4999')).toHaveLength(1);
  expect(it_.history.of('busy')).toHaveLength(10);
});
