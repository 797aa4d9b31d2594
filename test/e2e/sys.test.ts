// $SYS over real sockets: every documented topic is there, and its value is what clients did.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import { kInternals } from '../../src/internal.js';
import { brokerTopics, loadTopics } from '../../src/sys/broker-topics.js';
import { Client, type ConnectOptions } from '../harness/client.js';

const kClient = '$SYS/brokers/7/clients';
const kSession = '$SYS/brokers/7/session';

interface Stand {
  readonly broker: Broker;
  connect(options?: ConnectOptions): Promise<Client>;
  open(options?: ConnectOptions): Promise<Client>;
}

const opened: { broker: Broker; clients: Client[] }[] = [];

async function start(options: BrokerOptions = {}): Promise<Stand> {
  const broker = new Broker({
    id: 7,
    mqtt: { sys_interval_s: 1 },
    unified: { test: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
    ...options,
  } as BrokerOptions);
  await broker.start();
  const clients: Client[] = [];
  opened.push({ broker, clients });
  const port = broker.addresses[0]?.port ?? 0;
  const address = { host: '127.0.0.1', port };
  const keep = async (made: Promise<Client>) => {
    const client = await made;
    clients.push(client);
    return client;
  };
  return {
    broker,
    connect: (o = {}) => keep(Client.connect(address, o)),
    open: (o = {}) => keep(Client.open(address, o)),
  };
}

afterEach(async () => {
  for (const { broker, clients } of opened.splice(0)) {
    for (const client of clients) client.close();
    await broker.stop({ timeoutMs: 200 });
  }
});

/** Reads what comes into `values`, until `done`. */
async function read(client: Client, values: Map<string, string>, done: () => boolean) {
  while (!done()) {
    const { topic, payload } = await client.receive();
    values.set(topic, payload.toString());
  }
}

const broker = (topic: string) => `$SYS/broker/${topic}`;

describe('$SYS/broker', () => {
  it('has every topic, with the numbers of what clients did', async () => {
    const s = await start();
    const values = new Map<string, string>();
    const watcher = await s.connect({ clientId: 'watcher' });
    await watcher.subscribe([{ filter: '$SYS/#', qos: 2 }]);

    // Three versions; a persistent session that has gone; a message to each QoS.
    const properties = { sessionExpiryInterval: 600 };
    const gone = await s.connect({ clientId: 'gone', properties });
    await gone.subscribe({ filter: 'kept/#', qos: 1 });
    await gone.disconnect();
    const v31 = await s.connect({ version: '3.1', clientId: 'v31' });
    const v311 = await s.connect({ version: '3.1.1', clientId: 'v311' });
    await v31.subscribe(['t/0', 't/1', 't/2']);
    await v311.subscribe('$share/g/shared');
    for (const qos of [0, 1, 2] as const) await v311.publish(`t/${qos}`, 'x', { qos });
    for (let i = 0; i < 3; i++) await v31.receive();
    await v311.publish('kept/1', 'waits', { qos: 1, retain: true });
    await v311.publish('nobody', 'x', { qos: 0 });
    await v311.publish('$SYS/mine', 'x', { qos: 1 });
    await v311.ping();

    const wanted = ['version', ...brokerTopics.keys(), ...loadTopics].map(broker);
    const isSettled = () =>
      wanted.every((topic) => values.has(topic)) &&
      values.get(broker('clients/connected')) === '3' &&
      values.get(broker('publish/messages/received')) === '5' &&
      // Ours are retained too, as mosquitto counts them.
      Number(values.get(broker('retained messages/count'))) > wanted.length;
    await read(watcher, values, isSettled);

    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const of = (topic: string) => values.get(broker(topic));
    expect(of('version')).toBe(`st-mqttd version ${version}`);
    expect(of('uptime')).toMatch(/^[1-9]\d* seconds$/);
    expect(of('clients/total')).toBe('4');
    expect(of('clients/active')).toBe('3');
    expect(of('clients/disconnected')).toBe('1');
    expect(of('clients/inactive')).toBe('1');
    expect(of('clients/expired')).toBe('0');
    expect(Number(of('clients/maximum'))).toBe(3);
    expect(of('publish/messages/dropped')).toBe('0');
    expect(of('subscriptions/count')).toBe('6');
    expect(of('shared_subscriptions/count')).toBe('1');
    for (const topic of ['heap/current', 'heap/maximum', 'store/messages/bytes'])
      expect(Number(of(topic)), topic).toBeGreaterThan(0);
    // These grow while the watcher reads: they cannot be ahead of the broker's own counters.
    const m = s.broker.metrics();
    for (const [topic, now] of [
      ['messages/received', m.packets_received],
      ['messages/sent', m.packets_sent],
      ['bytes/received', m.bytes_received],
      ['bytes/sent', m.bytes_sent],
      ['publish/messages/sent', m.publish_sent_qos0 + m.publish_sent_qos1 + m.publish_sent_qos2],
    ] as const) {
      expect(Number(of(topic)), topic).toBeGreaterThan(0);
      expect(Number(of(topic)), topic).toBeLessThanOrEqual(now);
    }
    expect(Number(of('load/connections/1min'))).toBeGreaterThan(0);
    expect(Number(of('load/publish/received/1min'))).toBeGreaterThan(0);
    expect(of('load/publish/dropped/15min')).toBe('0.00');
    expect(m.publish_refused_not_authorized).toBe(1);
    expect(m.publish_unmatched).toBe(1);
  }, 20_000);

  it('is retained, quiet where nothing changes, and gone when it is turned off', async () => {
    const s = await start();
    await sleep(1500);
    const late = await s.connect({ clientId: 'late' });
    await late.subscribe({ filter: '$SYS/broker/clients/connected', qos: 2 });
    const first = await late.receive();
    expect(first).toMatchObject({ retain: true, qos: 2 });
    expect(first.payload.toString()).toBe('0');
    expect((await late.receive()).payload.toString()).toBe('1');
    await late.wire.expectNothing(1500);
    await s.broker.reload({
      id: 7,
      mqtt: { sys_interval_s: 0 },
      unified: { test: { listen: '127.0.0.1:0' } },
    });
    expect((await late.receive()).payload.toString()).toBe('');
    const later = await s.connect();
    await later.subscribe('$SYS/#');
    await later.wire.expectNothing(300);
  }, 20_000);

  it('counts what was dropped at a bound', async () => {
    const s = await start({ mqtt: { sys_interval_s: 1, max_queued_messages: 2, max_inflight: 1 } });
    const properties = { sessionExpiryInterval: 600 };
    const slow = await s.connect({ clientId: 'slow', properties });
    await slow.subscribe({ filter: 'q', qos: 1 });
    await slow.disconnect();
    const client = await s.connect();
    await client.subscribe(broker('publish/messages/dropped'));
    for (let i = 0; i < 9; i++) await client.publish('q', 'x', { qos: 1 });
    const values = new Map<string, string>();
    await read(client, values, () => values.get(broker('publish/messages/dropped')) === '7');
  }, 20_000);
});

describe('$SYS/brokers', () => {
  it('names the node, and tells its stats and metrics', async () => {
    const s = await start();
    const values = new Map<string, string>();
    const client = await s.connect({ clientId: 'reader' });
    await client.subscribe({ filter: '$SYS/brokers/#', qos: 2 });
    await client.publish('nobody', 'x', { qos: 1 });
    const at = (topic: string) => values.get(`$SYS/brokers/7/${topic}`);
    const done = () => at('metrics')?.includes('"messages.publish":1') === true && values.size >= 6;
    await read(client, values, done);
    expect(values.get('$SYS/brokers')).toBe('7');
    expect(at('uptime')).toMatch(/^\d+ seconds$/);
    expect(at('sysdescr')).toContain('Node.js');
    expect(at('version')).toMatch(/^\d+\.\d+\.\d+/);
    expect(JSON.parse(at('stats') ?? '')).toMatchObject({
      'connections.count': 1,
      'sessions.count': 1,
      'subscriptions.count': 1,
      'subscriptions_shared.count': 0,
    });
    expect(JSON.parse(at('metrics') ?? '')).toMatchObject({
      'client.connect': 1,
      'client.connected': 1,
      'client.subscribe': 1,
      'messages.publish': 1,
      'messages.nonsubscribed': 1,
      'session.subscribed': 1,
      'events.left_out': 0,
    });
  }, 20_000);
});

describe('events', () => {
  async function watch(s: Stand) {
    const watcher = await s.connect({ clientId: 'watcher' });
    await watcher.subscribe([`${kClient}/#`, `${kSession}/#`]);
    return async () => {
      for (;;) {
        const { topic, payload, retain, qos } = await watcher.receive();
        expect({ retain, qos }).toEqual({ retain: false, qos: 0 });
        // Its own may still have been on the way when it subscribed.
        if (topic === `${kClient}/watcher/connected`) continue;
        return { topic, body: JSON.parse(payload.toString()) as Record<string, unknown> };
      }
    };
  }

  it('connected and disconnected, at once, with the cause', async () => {
    const s = await start({ mqtt: { sys_interval_s: 60 } });
    const next = await watch(s);
    const before = Date.now();
    const client = await s.connect({
      version: '3.1.1',
      clientId: 'dev-1',
      username: 'anna',
      password: 'x',
      keepAlive: 33,
    });
    const connected = await next();
    expect(connected.topic).toBe(`${kClient}/dev-1/connected`);
    expect(connected.body).toMatchObject({
      node: 7,
      clientid: 'dev-1',
      username: 'anna',
      listener: 'unified-test',
      keepalive: 33,
      proto_ver: 4,
      clean_session: true,
      session_present: false,
    });
    expect(connected.body.ipaddress).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(connected.body.connected_at).toBeGreaterThanOrEqual(before);
    expect(connected.body.time).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/);
    await client.disconnect();
    const disconnected = await next();
    expect(disconnected.topic).toBe(`${kClient}/dev-1/disconnected`);
    expect(disconnected.body).toMatchObject({
      clientid: 'dev-1',
      username: 'anna',
      cause: 'client_disconnect',
      reason_code: 0,
    });
    expect(disconnected.body.reason).not.toBe('');
  });

  it('a lost connection, a takeover, a refusal, a packet that is none', async () => {
    const s = await start({
      mqtt: { sys_interval_s: 60, allow_empty_client_id: false },
    });
    const next = await watch(s);
    const lost = await s.connect({ clientId: 'lost' });
    expect((await next()).topic).toBe(`${kClient}/lost/connected`);
    lost.close();
    const end = await next();
    expect(end.topic).toBe(`${kClient}/lost/disconnected`);
    expect(['peer_closed', 'socket_error']).toContain(end.body.cause);

    await s.connect({ clientId: 'twice' });
    await next();
    await s.connect({ clientId: 'twice' });
    const taken = [await next(), await next()];
    const over = taken.find(({ topic }) => topic === `${kClient}/twice/disconnected`);
    expect(over?.body).toMatchObject({ cause: 'taken_over', reason_code: 0x8e });
    expect(taken.some(({ topic }) => topic === `${kClient}/twice/connected`)).toBe(true);

    await s.open({ clientId: '' });
    const refused = await next();
    expect(refused.topic).toBe(`${kClient}//refused`);
    expect(refused.body).toMatchObject({
      clientid: '',
      listener: 'unified-test',
      proto_ver: 5,
      cause: 'refused',
      reason_code: 0x85,
    });

    const broken = await s.connect({ clientId: 'broken' });
    await next();
    broken.send(Buffer.from([0xf3, 0x00]));
    expect((await next()).body).toMatchObject({ clientid: 'broken', cause: 'malformed_packet' });
  });

  it('sessions that are kept: created and terminated', async () => {
    const s = await start({ mqtt: { sys_interval_s: 60 } });
    const next = await watch(s);
    const properties = { sessionExpiryInterval: 1 };
    const client = await s.connect({ clientId: 'kept', properties });
    const both = [await next(), await next()].map(({ topic }) => topic).sort();
    expect(both).toEqual([`${kClient}/kept/connected`, `${kSession}/kept/created`]);
    await client.disconnect();
    await next();
    const ended = await next();
    expect(ended.topic).toBe(`${kSession}/kept/terminated`);
    expect(ended.body).toMatchObject({ clientid: 'kept', cause: 'expired' });
  }, 15_000);

  it('a Client Identifier with / + # % is one level, and raw in the payload', async () => {
    const s = await start({ mqtt: { sys_interval_s: 60 } });
    const next = await watch(s);
    await s.connect({ clientId: 'a/b+c#d%2F温' });
    const { topic, body } = await next();
    expect(topic).toBe(`${kClient}/a%2Fb%2Bc%23d%252F温/connected`);
    expect(body.clientid).toBe('a/b+c#d%2F温');
  });

  it('cross to JavaScript for a reader even where neither log nor application wants them', async () => {
    const s = await start({ [kInternals]: { logsOnly: true } } as unknown as BrokerOptions);
    await (await s.connect({ clientId: 'unseen' })).disconnect();
    const next = await watch(s);
    await sleep(1200); // one interval: then it is known that somebody reads
    const before = s.broker.metrics().events_sent;
    await s.connect({ clientId: 'seen' });
    expect((await next()).topic).toBe(`${kClient}/seen/connected`);
    expect(s.broker.metrics().events_sent).toBeGreaterThan(before);
  }, 15_000);
});

describe('readers', () => {
  it('of an address that others reach are refused, unless the listener says otherwise', async () => {
    const s = await start({
      unified: {
        test: { listen: '0.0.0.0:0' },
        open: { listen: '0.0.0.0:0', connections: { sys_readers: 'all' } },
        local: { listen: '127.0.0.1:0' },
      },
    });
    const codes = await Promise.all(
      s.broker.addresses.map(async ({ port }) => {
        const client = await Client.connect({ host: '127.0.0.1', port });
        const { reasonCodes } = await client.subscribe(['$SYS/#', '#']);
        client.close();
        return reasonCodes;
      }),
    );
    expect(codes).toEqual([
      [0x87, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  it('a link of the process reads them, and may publish there', async () => {
    const s = await start();
    const link = await s.broker.link({ clientId: 'inside' });
    const subscription = link.subscribe('$SYS/#');
    await subscription.ready;
    const result = await link.publish('$SYS/plant/7', 'from inside', { qos: 1 });
    expect(result.reasonCode).toBe(0);
    for await (const message of subscription) {
      if (message.topic !== '$SYS/plant/7') continue;
      expect(message.payload.toString()).toBe('from inside');
      break;
    }
    await link.close();
  });
});
