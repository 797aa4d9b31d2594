// The console of a real broker: what it says of real clients, and what it does to them.
import type { EventEmitter } from 'node:events';
import fc from 'fast-check';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import type { LogRecord } from '../../src/log/logger.js';
import { eventually } from '../harness/eventually.js';
import { anyRequest } from '../unit/console/requests.js';

interface Answer {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: JSON, whose shape the contract test checks.
  readonly json: any;
}

interface Stand {
  readonly broker: Broker;
  readonly port: number;
  readonly url: string;
  readonly logs: LogRecord[];
}

async function start(options: object = {}): Promise<Stand> {
  const broker = new Broker({
    id: 5,
    unified: { main: { name: 'main', listen: '127.0.0.1:0' } },
    console: { listen: '127.0.0.1:0' },
    ...options,
  } as BrokerOptions);
  const logs: LogRecord[] = [];
  broker.on('log', (record) => logs.push(record));
  await broker.start();
  const said = logs.find(({ text }) => text.startsWith('console on '));
  const url = said?.text.replace('console on ', '').replace('0.0.0.0', '127.0.0.1') ?? '';
  return { broker, logs, url, port: broker.addresses[0]?.port ?? 0 };
}

async function ask(
  url: string,
  method = 'GET',
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, text, json: isJson ? JSON.parse(text) : undefined };
}

/** mqtt.js types its events in a way that events.once() does not take. */
const once = (client: MqttClient, name: string): Promise<unknown[]> =>
  new Promise((resolve) => {
    (client as unknown as EventEmitter).once(name, (...values: unknown[]) => resolve(values));
  });

const clients: MqttClient[] = [];
async function open(port: number, options: IClientOptions): Promise<MqttClient> {
  const client = mqtt.connect({
    host: '127.0.0.1',
    port,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  clients.push(client);
  client.on('error', () => {});
  await once(client, 'connect');
  return client;
}
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
});

let stand: Stand;
const api = (path: string, method?: string, body?: unknown) =>
  ask(`${stand.url}/api/v1/${path}`, method, body);

beforeAll(async () => {
  stand = await start();
});
afterAll(async () => {
  await stand.broker.stop();
  expect(stand.logs.filter(({ text }) => text === 'console: internal error')).toEqual([]);
});

describe('clients', () => {
  it('are listed with what is true of them, and filtered', async () => {
    await open(stand.port, { clientId: 'plant/1', username: 'anna', keepalive: 33 });
    await open(stand.port, { clientId: 'plant/2', protocolVersion: 4, clean: false });
    const { json } = await api('clients?clientid=plant/*');
    const rows = json.items.toSorted((a: { clientid: string }, b: { clientid: string }) =>
      a.clientid.localeCompare(b.clientid),
    );
    expect(rows).toMatchObject([
      {
        node_id: 5,
        clientid: 'plant/1',
        username: 'anna',
        connected: true,
        listener: 'main',
        ip_address: '127.0.0.1',
        proto_ver: 5,
        keepalive: 33,
        expiry_interval: 0,
      },
      { clientid: 'plant/2', proto_ver: 4, clean_start: false },
    ]);
    expect(Math.abs(rows[0].connected_at - Date.now())).toBeLessThan(60_000);
    expect((await api('clients?proto_ver=4&clientid=plant/*')).json.items).toHaveLength(1);
    expect((await api('clients?username=anna')).json.items).toHaveLength(1);
    expect((await api('clients?cursor=nonsense')).json.error).toMatchObject({ field: 'cursor' });
  });

  it('are shown in detail', async () => {
    await open(stand.port, {
      clientId: 'willing',
      properties: { receiveMaximum: 7 },
      will: { topic: 'gone', payload: Buffer.from('bye'), qos: 1, retain: false },
    });
    const { json } = await api('clients/willing');
    expect(json.will).toMatchObject({ topic: 'gone', qos: 1, payload_bytes: 3 });
    expect(json.connection).toMatchObject({ receive_maximum: 7, paused_by: [] });
    expect((await api('clients/willing/online')).json.online).toBe(true);
    expect((await api('clients/nobody')).status).toBe(404);
  });

  it('are kicked, and told why', async () => {
    const client = await open(stand.port, { clientId: 'kicked' });
    const told = once(client, 'disconnect');
    const { status, json } = await api('clients/kicked?reason=maintenance', 'DELETE');
    expect([status, json]).toEqual([200, { clientid: 'kicked', kicked: true }]);
    const [packet] = (await told) as [
      { reasonCode: number; properties?: { reasonString: string } },
    ];
    expect(packet.reasonCode).toBe(0x98);
    expect(packet.properties?.reasonString).toBe('maintenance');
    expect((await api('clients/kicked', 'DELETE')).status).toBe(404);
    const audit = stand.logs.filter(({ module }) => module === 'audit');
    expect(audit.at(-1)?.fields).toMatchObject({
      who: 'loopback',
      action: 'clients.kick',
      target: 'kicked',
      result: 'not_found',
    });
  });

  it('a session that is offline is looked at without harm, and ended when it is asked for', async () => {
    const kept = {
      clientId: 'sleeper',
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    };
    const client = await open(stand.port, kept);
    await client.subscribeAsync('sleep/#', { qos: 1 });
    await client.endAsync();
    await eventually(async () => {
      expect((await api('clients/sleeper/online')).json.online).toBe(false);
    });
    const device = await ask(`${stand.url}/device/sleeper`);
    expect(device.json).toMatchObject({ connected: false, tracker: { status: null } });
    expect(device.json.events.map(({ event }: { event: string }) => event)).toEqual([
      'connect',
      'disconnect',
    ]);
    const again = await open(stand.port, kept);
    expect((await api('clients/sleeper/subscriptions')).json.items).toMatchObject([
      { topic: 'sleep/#', qos: 1 },
    ]);
    await again.endAsync();
    const listed = await api('clients/offlines?clientid=sleeper');
    expect(listed.json.items).toMatchObject([{ clientid: 'sleeper', connected: false }]);
    expect((await api('clients/offlines', 'DELETE')).status).toBe(400);
    expect((await api('clients/offlines?clientid=sleeper', 'DELETE')).json).toMatchObject({
      ended: 1,
      next: null,
    });
    expect((await api('clients/sleeper')).status).toBe(404);
  });
});

describe('subscriptions and messages', () => {
  it('a publish of the console reaches who has subscribed, and routes say so before', async () => {
    const client = await open(stand.port, { clientId: 'reader' });
    await client.subscribeAsync('line/+/set', { qos: 1 });
    const routes = await api('routes?topic=line/4/set');
    expect(routes.json.items).toMatchObject([{ clientid: 'reader', topic: 'line/+/set' }]);
    const came = once(client, 'message');
    const { json } = await api('mqtt/publish', 'POST', {
      topic: 'line/4/set',
      payload: Buffer.from([0, 255]).toString('base64'),
      encoding: 'base64',
      qos: 1,
      properties: { content_type: 'x/y', user_properties: [['k', 'v']] },
    });
    expect(json).toMatchObject({ ok: true, results: [{ reason_code: 0 }] });
    const [topic, payload, packet] = (await came) as [string, Buffer, mqtt.IPublishPacket];
    expect([topic, payload]).toEqual(['line/4/set', Buffer.from([0, 255])]);
    expect(packet.properties).toMatchObject({ contentType: 'x/y', userProperties: { k: 'v' } });
    const nobody = await api('mqtt/publish', 'POST', { topic: 'no/one', payload: '', qos: 1 });
    expect(nobody.json.results[0].reason_code).toBe(0x10);
    const borrowed = { topic: 'line/4/set', payload: '', clientid: 'reader' };
    expect((await api('mqtt/publish', 'POST', borrowed)).status).toBe(409);
    expect(client.connected).toBe(true);
    const named = { topic: 'line/4/set', payload: '', clientid: 'a-name', qos: 1 };
    expect((await api('mqtt/publish', 'POST', named)).json.ok).toBe(true);
  });

  it('a client is subscribed and unsubscribed on its behalf', async () => {
    const client = await open(stand.port, { clientId: 'led' });
    const { json } = await api('mqtt/subscribe', 'POST', {
      clientid: 'led',
      topics: ['a/1', 'b/#'],
      qos: 1,
    });
    expect(json.results.map((one: { reason_code: number }) => one.reason_code)).toEqual([1, 1]);
    const came = once(client, 'message');
    await api('mqtt/publish', 'POST', { topic: 'b/x', payload: 'hello', qos: 1 });
    expect(String((await came)[1])).toBe('hello');
    expect((await ask(`${stand.url}/subscriptions/b.%23`)).json.clients).toEqual(['led']);
    await eventually(async () => {
      expect((await ask(`${stand.url}/waiters/b.%23`)).json).toHaveLength(1);
    });
    const gone = await api('mqtt/unsubscribe', 'POST', { clientid: 'led', topics: 'b/#,c' });
    expect(gone.json.results.map((one: { reason_code: number }) => one.reason_code)).toEqual([
      0, 17,
    ]);
    expect((await ask(`${stand.url}/subscriptions`)).json['b/#']).toBeUndefined();
    expect((await ask(`${stand.url}/subscriptions`)).json['a/1']).toEqual(['led']);
  });

  it('retained messages are listed, read and deleted', async () => {
    const client = await open(stand.port, { clientId: 'keeper' });
    for (const name of ['kept/1', 'kept/2', 'other']) {
      await client.publishAsync(name, `value of ${name}`, { qos: 1, retain: true });
    }
    const { json } = await api('retains?filter=kept/%23');
    expect(json.items).toMatchObject([
      { topic: 'kept/1', payload: 'value of kept/1', qos: 1 },
      { topic: 'kept/2' },
    ]);
    expect((await api('retains/message?topic=other')).json.payload).toBe('value of other');
    expect((await api('retains?topic=kept/1', 'DELETE')).json.deleted).toBe(true);
    expect((await api('retains?filter=kept/%23')).json.items).toHaveLength(1);
    expect((await api('retains?topic=kept/1', 'DELETE')).status).toBe(404);
  });

  it('numbers agree with what was done', async () => {
    const before = (await api('metrics/sum')).json.metrics;
    const client = await open(stand.port, { clientId: 'counter' });
    for (let i = 0; i < 10; i++) await client.publishAsync('count/me', 'x', { qos: 1 });
    const after = (await api('metrics/sum')).json.metrics;
    expect(after.publish_received_qos1 - before.publish_received_qos1).toBe(10);
    const { stats } = (await api('stats/sum')).json;
    const online = (await api('clients?connected=true&limit=1000')).json.items.length;
    expect(stats['connections.count']).toBe(online);
    const router = (await ask(`${stand.url}/router`)).json;
    expect(router.total_connections).toBe(online);
    const scraped = await api('metrics/prometheus');
    expect(scraped.text).toContain(`metrics_router_total_connections ${online}\n`);
  });
});

describe('a thousand clients', () => {
  it('are paged and streamed without one missing or twice', async () => {
    const links = [];
    for (let i = 0; i < 1000; i++) links.push(stand.broker.link({ clientId: `many-${i}` }));
    const opened = await Promise.all(links);
    const wanted = Array.from({ length: 1000 }, (_, i) => `many-${i}`).toSorted();
    const paged: string[] = [];
    let cursor = '';
    do {
      const { json } = await api(`clients?clientid=many-*&limit=77${cursor}`);
      for (const { clientid } of json.items) paged.push(clientid);
      cursor = json.next === null ? '' : `&cursor=${encodeURIComponent(json.next)}`;
    } while (cursor !== '');
    expect(paged.toSorted()).toEqual(wanted);
    const { text } = await ask(`${stand.url}/api/v1/clients?clientid=many-*`, 'GET', undefined, {
      accept: 'application/x-ndjson',
    });
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.pop()).toEqual({ next: null });
    expect(lines.map(({ clientid }) => clientid).toSorted()).toEqual(wanted);
    await Promise.all(opened.map((link) => link.close()));
  });
});

describe('configuration and log', () => {
  it('a key that takes effect while it runs is changed, and told with its origin', async () => {
    const { status, json } = await api('config', 'PATCH', { mqtt: { max_inflight: 42 } });
    expect([status, json.new_connections]).toEqual([
      200,
      expect.arrayContaining([expect.objectContaining({ key: 'mqtt.max_inflight', to: 42 })]),
    ]);
    const { entries } = (await api('config?changed=true')).json;
    const entry = entries.find(({ key }: { key: string }) => key === 'mqtt.max_inflight');
    expect(entry).toMatchObject({ value: 42, origin: expect.stringContaining('console') });
    expect((await api('config', 'PATCH', { mqtt: { max_inflight: -1 } })).status).toBe(400);
    expect((await api('config', 'PATCH', { broker: { io_threads: 3 } })).status).toBe(400);
    expect((await api('reload', 'POST')).json.live).toEqual([]);
  });

  it('the log filter is set by both routes', async () => {
    expect((await api('log/filter', 'PUT', { filter: 'info,auth=debug' })).json.filter).toContain(
      'auth=debug',
    );
    const echoed = await ask(`${stand.url}/logs`, 'POST', 'error');
    expect([echoed.status, echoed.text]).toEqual([200, 'error']);
    expect(stand.broker.logFilter).toBe('error');
    expect((await ask(`${stand.url}/logs`, 'POST', 'x=loud')).status).toBe(400);
  });
});

describe('anything at all', () => {
  it('is answered without an internal error, and the broker goes on', async () => {
    const open = await start({ log: { to: 'off' } });
    const links = [];
    for (const clientId of ['dev-1', 'a/b', 'ä€😀']) {
      const link = await open.broker.link({ clientId, sessionExpiry: 60 });
      await link.subscribe(['#', `$share/g/${clientId}`]).ready;
      links.push(link);
    }
    try {
      await fc.assert(
        fc.asyncProperty(anyRequest, async ({ method, url, body }) => {
          const sent = method === 'GET' ? undefined : body;
          const { status, text } = await ask(open.url + url, method, sent);
          expect(status, `${method} ${url} ${sent}: ${text}`).toBeLessThan(500);
        }),
        { numRuns: 500 },
      );
      expect(open.logs.filter(({ text }) => text === 'console: internal error')).toEqual([]);
      expect((await ask(`${open.url}/api/v1/health/check`)).json.status).toBe('ok');
    } finally {
      await open.broker.stop();
    }
  }, 60_000);
});

describe('access', () => {
  it('beyond this machine without tokens only ST-RMQTT’s reading routes are served', async () => {
    const open = await start({ console: { listen: '0.0.0.0:0' } });
    try {
      expect(open.logs.some(({ text }) => text.includes('has no tokens'))).toBe(true);
      for (const path of ['/', '/config', '/router', '/subscriptions', '/readyqueue', '/readyz']) {
        expect((await ask(open.url + path)).status, path).toBe(200);
      }
      expect((await ask(`${open.url}/logs`, 'POST', 'info')).status).toBe(401);
      for (const path of ['/api/v1', '/api/v1/clients', '/api/v1/config', '/openapi.json']) {
        expect((await ask(open.url + path)).status, path).toBe(401);
      }
    } finally {
      await open.broker.stop();
    }
  });

  it('tokens are exchanged by a reload, from the next request on', async () => {
    const tables = (token: string) => ({
      unified: { main: { listen: '127.0.0.1:0' } },
      console: { listen: '127.0.0.1:0', tokens: { boss: token } },
    });
    const guarded = await start(tables('the-first-token'));
    try {
      const status = async (token: string) => {
        const headers = { authorization: `Bearer ${token}` };
        return (await ask(`${guarded.url}/api/v1/stats`, 'GET', undefined, headers)).status;
      };
      expect([await status('the-first-token'), await status('the-second-token')]).toEqual([
        200, 401,
      ]);
      await guarded.broker.reload(tables('the-second-token') as never);
      expect([await status('the-first-token'), await status('the-second-token')]).toEqual([
        401, 200,
      ]);
    } finally {
      await guarded.broker.stop();
    }
  });

  it('tokens and passwords are nowhere to be read', async () => {
    const secret = 'a-token-nobody-may-see';
    const guarded = await start({
      console: { listen: '127.0.0.1:0', tokens: { boss: { token: secret, role: 'admin' } } },
      log: { level: 'trace' },
    });
    try {
      const headers = { authorization: `Bearer ${secret}` };
      expect((await ask(`${guarded.url}/config`)).status).toBe(401);
      let read = '';
      for (const path of ['/config', '/api/v1/config', '/api/v1/brokers', '/openapi.json']) {
        const answer = await ask(guarded.url + path, 'GET', undefined, headers);
        expect(answer.status, path).toBe(200);
        read += answer.text;
      }
      read += (await ask(`${guarded.url}/api/v1/reload`, 'POST', undefined, headers)).text;
      read += (await ask(`${guarded.url}/api/v1/reload?${secret}=1`, 'POST', undefined, {})).text;
      expect(read).toContain('(secret)');
      expect(read).not.toContain(secret);
      expect(JSON.stringify(guarded.logs)).not.toContain(secret);
    } finally {
      await guarded.broker.stop();
    }
  });
});

describe('start and stop', () => {
  it('readyz is 503 from the beginning of a stop, and the console closes behind the broker', async () => {
    const { broker, url, port } = await start({ broker: { drain_timeout_ms: 2000 } });
    const stuck = await open(port, { clientId: 'stuck' });
    await stuck.subscribeAsync('s');
    expect((await ask(`${url}/readyz`)).status).toBe(200);
    const stopping = broker.stop();
    expect((await ask(`${url}/readyz`).catch(() => ({ status: 503 }))).status).toBe(503);
    await stopping;
    await expect(ask(`${url}/livez`)).rejects.toThrow();
  });

  it('a console that cannot listen fails the start, and nothing stays open', async () => {
    const address = new URL(stand.url).host;
    const broker = new Broker({
      unified: { one: { listen: '127.0.0.1:0' } },
      console: { listen: address },
      log: { to: 'off' },
    } as BrokerOptions);
    await expect(broker.start()).rejects.toMatchObject({ code: 'ST_LISTEN' });
    expect(broker.addresses).toEqual([]);
  });
});
