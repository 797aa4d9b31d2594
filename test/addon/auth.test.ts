// Authentication from the configuration to the socket: real clients of a real broker.
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { formatCredential, makeScrypt } from '../../src/auth/passwords/hashes.ts';
import { Broker, type BrokerOptions } from '../../src/broker.ts';
import type { ConfigTables } from '../../src/config/options.ts';
import type { LogRecord } from '../../src/log/logger.ts';
import { eventually } from '../harness/eventually.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-login-'));
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const main = { unified: { main: { name: 'main', listen: '127.0.0.1:0' } } };
const providers = (...list: object[]) => ({ ...main, auth: { providers: list } });

async function start(tables: object, prepare: (broker: Broker) => void = () => undefined) {
  const broker = new Broker({ log: { to: 'off', level: 'trace' }, ...tables } as BrokerOptions);
  const records: LogRecord[] = [];
  broker.on('log', (record) => records.push(record));
  prepare(broker);
  undo.push(() => broker.stop({ timeoutMs: 0 }));
  await broker.start();
  const portOf = (listener: string) =>
    broker.addresses.find((address) => address.listener === listener)?.port ?? 0;
  const login = async (options: IClientOptions = {}, listener = 'main'): Promise<MqttClient> => {
    const client = await connectAsync({
      host: '127.0.0.1',
      port: portOf(listener),
      protocolVersion: 5,
      reconnectPeriod: 0,
      ...options,
    });
    undo.push(() => client.endAsync(true));
    return client;
  };
  /** The Reason Code of the refusal; 0 = it came in. */
  const codeOf = async (options: IClientOptions = {}, listener = 'main'): Promise<number> => {
    try {
      await (await login(options, listener)).endAsync(true);
      return 0;
    } catch (error) {
      return (error as { code?: number }).code ?? -1;
    }
  };
  return { broker, records, login, codeOf };
}

const anna = { username: 'anna', password: 'hunter2' };

describe('a broker with', () => {
  test('an auth table: who is in it comes in, on that listener', async () => {
    const { codeOf, login, broker } = await start({
      unified: {
        main: { name: 'main', listen: '127.0.0.1:0', connections: { auth: { anna: 'hunter2' } } },
        open: { name: 'open', listen: '127.0.0.1:0' },
      },
    });
    expect(await codeOf(anna)).toBe(0);
    expect(await codeOf({ ...anna, password: 'x' })).toBe(0x86);
    expect(await codeOf({ username: 'bert', password: 'hunter2' })).toBe(0x86);
    expect(await codeOf()).toBe(0x87);
    expect(await codeOf({ ...anna, protocolVersion: 4 })).toBe(0);
    expect(await codeOf({ protocolVersion: 4 })).toBe(5);
    expect(await codeOf({ ...anna, password: 'x', protocolVersion: 4 })).toBe(4);
    expect(await codeOf({}, 'open')).toBe(0);
    // Where nobody is asked, nobody is anna: neither her session nor her name is to be had.
    await login({
      ...anna,
      clientId: 'annas',
      clean: false,
      properties: { sessionExpiryInterval: 60 },
    });
    expect(await codeOf({ username: 'anna', clientId: 'annas' }, 'open')).toBe(0x87);
    const connected = new Promise<string | undefined>((done) =>
      broker.once('connect', ({ username }) => done(username)),
    );
    await login({ username: 'anna', clientId: 'x' }, 'open');
    expect((await connected) ?? '').toBe('');
  });

  test('a password file, changed while it runs', async () => {
    const path = join(folder, 'users');
    const line = async (user: string, password: string) =>
      `${user}:${formatCredential(await makeScrypt(Buffer.from(password), 10))}\n`;
    writeFileSync(path, await line('anna', 'hunter2'));
    const { codeOf } = await start(providers({ kind: 'password_file', path }));
    expect(await codeOf(anna)).toBe(0);
    expect(await codeOf({ ...anna, password: 'x' })).toBe(0x86);
    writeFileSync(path, (await line('anna', 'hunter2')) + (await line('bert', 'x')));
    await eventually(async () => expect(await codeOf({ username: 'bert', password: 'x' })).toBe(0));
  });

  test('tokens: who they are for, and until when', async () => {
    const secret = 'hunter2 and more than thirty bytes';
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const tokenOf = (claims: object) => {
      const data = `${part({ alg: 'HS256' })}.${part(claims)}`;
      return `${data}.${createHmac('sha256', secret).update(data).digest('base64url')}`;
    };
    const { codeOf, login, broker } = await start(
      providers({
        kind: 'jwt',
        algorithms: ['HS256'],
        secret,
        leeway_s: 0,
        client_id_claim: 'cid',
      }),
    );
    const now = Math.floor(Date.now() / 1000);
    const of = (claims: object) => ({
      username: 'ignored',
      password: tokenOf({ sub: 'anna', cid: 'c1', exp: now + 600, ...claims }),
      clientId: 'c1',
    });
    const connected = new Promise<string | undefined>((done) =>
      broker.once('connect', ({ username }) => done(username)),
    );
    expect(await codeOf(of({}))).toBe(0);
    expect(await connected).toBe('anna');
    expect(await codeOf({ ...of({}), clientId: 'c2' })).toBe(0x87);
    expect(await codeOf(of({ exp: now - 1 }))).toBe(0x87);
    expect(await codeOf({ ...anna, clientId: 'c1' })).toBe(0x86);
    // Its expiry ends the connection.
    const client = await login(of({ exp: Math.floor(Date.now() / 1000) + 2 }));
    const ended = new Promise<string>((done) =>
      broker.once('disconnect', ({ cause }) => done(cause)),
    );
    await new Promise((done) => client.once('close', () => done(undefined)));
    expect(await ended).toBe('credentials_expired');
  });

  test('rules that come with a verdict', async () => {
    const { login } = await start(main, (broker) =>
      broker.authenticate(({ clientId }) => ({
        accept: true,
        username: 'anna',
        groups: ['pumps'],
        rules: [
          { actions: 'publish', filters: ['plant/%u/#'], qos: 1 },
          { actions: 'subscribe', filters: [`plant/${clientId}/#`] },
          { effect: 'deny', filters: ['#'] },
        ],
      })),
    );
    const client = await login({ clientId: 'c1' });
    const codeOfPublish = (topic: string, qos: 1 | 2 = 1) =>
      client.publishAsync(topic, 'x', { qos }).then(
        () => 0,
        (error: { code?: number }) => error.code,
      );
    expect(await codeOfPublish('plant/bert/x')).toBe(0x87);
    expect([0, 0x10]).toContain(await codeOfPublish('plant/anna/x'));
    expect(await codeOfPublish('plant/anna/x', 2)).toBe(0x87);
    const granted = await client.subscribeAsync('plant/c1/#', { qos: 1 });
    expect(granted.map(({ qos }) => qos)).toEqual([1]);
    await expect(client.subscribeAsync('plant/#')).rejects.toThrow('Not authorized');
  });

  test('a server that is asked', async () => {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (data: Buffer) => {
        body += String(data);
      });
      request.on('end', () => {
        const { password } = JSON.parse(body) as { password?: string };
        if (password === 'broken') response.writeHead(500).end();
        else if (password === 'hunter2') response.end('{"result":"allow","username":"annie"}');
        else response.writeHead(403).end();
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    undo.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const { codeOf, records } = await start(
      providers({ kind: 'http', url: `http://127.0.0.1:${port}/login` }),
    );
    expect(await codeOf(anna)).toBe(0);
    expect(await codeOf({ ...anna, password: 'x' })).toBe(0x86);
    expect(await codeOf({ ...anna, password: 'broken' })).toBe(0x88);
    expect(records.filter(({ level }) => level === 'error').map(({ text }) => text)).toEqual([
      expect.stringMatching(
        /by http: http:\/\/127.0.0.1:\d+: its answer is 500; refused with 0x88/,
      ),
    ]);
  });

  test('a chain: each in turn, and the application where it is placed', async () => {
    const users = { kind: 'static', users: { anna: 'hunter2' } };
    const { codeOf } = await start(providers(users, { kind: 'handler' }), (broker) =>
      broker.authenticate(({ username }) => (username === 'bert' ? true : 'ignore')),
    );
    expect(await codeOf(anna)).toBe(0);
    expect(await codeOf({ ...anna, password: 'x' })).toBe(0x86);
    expect(await codeOf({ username: 'bert', password: 'any' })).toBe(0);
    expect(await codeOf({ username: 'carl', password: 'any' })).toBe(0x86);
  });
});

test('the session of one user is nothing to another, whatever Client Identifier he gives', async () => {
  const users = { kind: 'static', users: { anna: 'hunter2', bert: 'other' } };
  const { codeOf, login } = await start(providers(users));
  const properties = { sessionExpiryInterval: 600 };
  const session = { clientId: 'pump-7', clean: false, properties };
  const first = await login({ ...anna, ...session });
  let isOpen = true;
  first.once('close', () => {
    isOpen = false;
  });
  const bert = { username: 'bert', password: 'other' };
  expect(await codeOf({ ...bert, clientId: 'pump-7' })).toBe(0x87);
  expect(await codeOf({ ...bert, clientId: 'pump-7', clean: true })).toBe(0x87);
  expect(isOpen).toBe(true);
  await first.endAsync();
  expect(await codeOf({ ...bert, ...session })).toBe(0x87);
});

describe('while it runs, a reload', () => {
  test('turns authentication on, changes it, and turns it off', async () => {
    const { broker, codeOf } = await start(main);
    const tables = (options: object) => ({ log: { to: 'off' }, ...options }) as ConfigTables;
    expect(await codeOf()).toBe(0);
    await broker.reload(tables(providers({ kind: 'static', users: { anna: 'hunter2' } })));
    await eventually(async () => expect(await codeOf()).toBe(0x87));
    expect(await codeOf(anna)).toBe(0);
    await broker.reload(tables(providers({ kind: 'static', users: { anna: 'changed' } })));
    await eventually(async () => expect(await codeOf(anna)).toBe(0x86));
    await broker.reload(tables(main));
    await eventually(async () => expect(await codeOf()).toBe(0));
  });

  test('that is wrong changes nothing', async () => {
    const good = providers({ kind: 'static', users: { anna: 'hunter2' } });
    const { broker, codeOf } = await start(good);
    const path = join(folder, 'wrong');
    writeFileSync(path, 'anna:hunter2\n');
    const wrong = { log: { to: 'off' }, ...providers({ kind: 'password_file', path }) };
    await expect(broker.reload(wrong as ConfigTables)).rejects.toThrow(`${path}:1:`);
    expect(await codeOf(anna)).toBe(0);
    expect(await codeOf()).toBe(0x87);
  });
});

test('no record of any level has a password, a hash or a token', async () => {
  const path = join(folder, 'secret-users');
  const hash = formatCredential(await makeScrypt(Buffer.from('hunter2'), 10));
  writeFileSync(path, `carl:${hash}\n`);
  const secret = 'hunter2 hunter2 hunter2 hunter2 hunter2';
  const { broker, codeOf, records } = await start(
    providers(
      { kind: 'static', users: { anna: 'hunter2' } },
      { kind: 'password_file', path },
      { kind: 'jwt', algorithms: ['HS256'], secret },
      { kind: 'http', url: 'http://127.0.0.1:1/x?key=hunter2', headers: { 'x-key': 'hunter2' } },
    ),
  );
  await codeOf(anna);
  await codeOf({ username: 'carl', password: 'hunter2' });
  await codeOf({ username: 'carl', password: 'hunter2x' });
  await codeOf({ username: 'dora', password: 'hunter2' });
  await codeOf({
    username: 'dora',
    password: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2',
  });
  await broker.reload();
  expect(records.length).toBeGreaterThan(5);
  const text = JSON.stringify(records, (_, value: unknown) =>
    value instanceof Error ? { ...value, message: value.message, stack: value.stack } : value,
  );
  expect(text).not.toContain('hunter2');
  expect(text).not.toContain('eyJhbGci');
  expect(text).not.toContain(hash.slice(-20));
});

test("a session of somebody without a username is not nobody's", async () => {
  const { login, codeOf } = await start(
    {
      unified: {
        main: { name: 'main', listen: '127.0.0.1:0' },
        open: { name: 'open', listen: '127.0.0.1:0' },
      },
      auth: { providers: [{ kind: 'handler', listeners: ['main'] }] },
    },
    (broker) => broker.authenticate(() => true),
  );
  const known = await login({ clientId: 'mine' });
  expect(await codeOf({ clientId: 'mine' }, 'open')).toBe(0x87);
  expect(known.connected).toBe(true);
  expect(await codeOf({ clientId: 'mine' })).toBe(0);
  expect(await codeOf({ clientId: 'another' }, 'open')).toBe(0);
});
