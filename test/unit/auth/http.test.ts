// The http provider against servers that answer well, badly, late, too much, and not at all.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { HttpClient } from '../../../src/auth/http/client.ts';
import { HttpServer, type HttpServerOptions } from '../../../src/auth/providers/http.ts';
import { eventually } from '../../harness/eventually.ts';
import { type Asked, contextOf } from './contexts.ts';

type Serve = (body: string, request: IncomingMessage, response: ServerResponse) => void;

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const json = (value: unknown) => (_: string, __: IncomingMessage, response: ServerResponse) =>
  void response.end(JSON.stringify(value));

async function setUp(serve: Serve, options: Partial<HttpServerOptions> = {}, maxBytes = 10_000) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      asked.push(body);
      serve(body, request, response);
    });
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  let now = 0;
  const all: HttpServerOptions = {
    name: 'http',
    format: 'json',
    headers: { authorization: 'Bearer hunter2' },
    fields: {},
    timeoutMs: 5000,
    cacheTtlS: 60,
    negativeTtlS: 5,
    cacheMax: 100,
    maxConcurrent: 2,
    maxQueue: 2,
    ...options,
  };
  const client = new HttpClient({
    url: `http://127.0.0.1:${port}/check?key=hunter2`,
    timeoutMs: all.timeoutMs,
    maxSockets: all.maxConcurrent,
    maxBytes,
  });
  const provider = new HttpServer(all, client, () => now);
  const ask = async (context: Asked = {}) => provider.authenticate(contextOf(context));
  const pass = (seconds: number) => {
    now += seconds * 1000;
  };
  return { provider, ask, asked, pass, server };
}

const anna = { username: 'anna', password: 'word' };

describe('the question', () => {
  test('as JSON, with the headers of the configuration', async () => {
    let type: string | undefined;
    let secret: string | undefined;
    const { ask, asked } = await setUp((_, { headers }, response) => {
      type = headers['content-type'];
      secret = headers.authorization;
      response.writeHead(204).end();
    });
    expect(await ask(anna)).toMatchObject({ kind: 'allow' });
    expect(JSON.parse(asked[0] ?? '')).toEqual({
      client_id: 'client-1',
      username: 'anna',
      password: 'word',
      address: '192.0.2.7',
      listener: 'main',
      transport: 'tcp',
      protocol: '5.0',
      clean_start: true,
    });
    expect([type, secret]).toEqual(['application/json', 'Bearer hunter2']);
  });

  test('as a form; bytes that are no text in Base64', async () => {
    const { ask, asked } = await setUp(json({ result: 'ignore' }), { format: 'form' });
    await ask({ username: 'a&b=c', password: Buffer.from([0xff, 0]) });
    const form = new URLSearchParams(asked[0]);
    expect(form.get('username')).toBe('a&b=c');
    expect(form.get('password_base64')).toBe('/wA=');
    expect(form.get('password')).toBeNull();
  });

  test('with fields of the configuration, and no others', async () => {
    const fields = { clientid: '%c', user: '%u@%l', secret: '%P', rest: '100%% %r' };
    const { ask, asked } = await setUp(json({ result: 'ignore' }), { format: 'form', fields });
    await ask({ clientId: 'c', username: '%P', password: Buffer.from('word') });
    expect(asked).toEqual(['clientid=c&user=%25P%40main&secret=word&rest=100%25+5.0']);
    // Bytes that are no text could be taken for other ones.
    const binary = { username: 'u', password: Buffer.from([0xff, 0]) };
    expect(await ask(binary)).toMatchObject({ kind: 'deny' });
    expect(asked).toHaveLength(1);
  });
});

describe('an answer of one word', () => {
  test.each(['allow', 'deny', 'ignore'] as const)('%s', async (word) => {
    const { ask } = await setUp((_, __, response) => void response.end(`${word}\n`));
    expect(await ask()).toMatchObject({ kind: word });
  });

  test('anything else is none', async () => {
    const { ask } = await setUp((_, __, response) => void response.end('allowed'));
    await expect(ask()).rejects.toThrow('no JSON');
  });
});

describe('the answer', () => {
  test('allows with all that it may say', async () => {
    const rules = [{ effect: 'deny', filters: ['x/#'] }];
    const { ask } = await setUp(
      json({
        result: 'allow',
        username: 'u',
        client_id: 'c',
        tenant: 't',
        device_id: 'd',
        role: 'service',
        groups: ['g'],
        rules,
        limits: { max_messages_per_s: 5, max_packet_size: 100 },
        expires_in: 10,
        max_session_expiry_s: 1,
        max_qos: 1,
        server_keep_alive_s: 30,
        allow_will: false,
      }),
    );
    expect(await ask()).toEqual({
      kind: 'allow',
      accept: {
        accept: true,
        username: 'u',
        clientId: 'c',
        tenant: 't',
        deviceId: 'd',
        role: 'service',
        groups: ['g'],
        rules: [{ effect: 'deny', actions: 'all', who: {}, filters: ['x/#'] }],
        limits: { maxMessagesPerSecond: 5, maxPacketSize: 100 },
        expiresIn: 10,
        maxSessionExpiry: 1,
        maxQos: 1,
        serverKeepAlive: 30,
        allowWill: false,
      },
    });
  });

  test.each([
    ['deny', 200, '{"result":"deny","reason":"locked"}', 'deny'],
    ['ignore', 200, '{"result":"ignore"}', 'ignore'],
    ['401', 401, '', 'deny'],
    ['403', 403, 'no', 'deny'],
    ['204', 204, '', 'allow'],
  ] as const)('%s', async (_, status, body, kind) => {
    const { ask } = await setUp((__, ___, response) => response.writeHead(status).end(body));
    expect((await ask()).kind).toBe(kind);
  });

  test.each([
    ['garbage', 200, 'hunter2 <html>', 'its answer is no JSON'],
    ['nothing', 200, '', 'its answer is no JSON'],
    ['a list', 200, '[]', 'its answer is no object'],
    ['no result', 200, '{"allow":true}', 'has no result'],
    ['a result of another kind', 200, '{"result":true}', 'has no result'],
    ['a misspelt restriction', 200, '{"result":"allow","max_qoss":0}', 'has 1 unknown keys'],
    ['a username of a number', 200, '{"result":"allow","username":7}', 'its username is no text'],
    ['rules that are none', 200, '{"result":"allow","rules":[{}]}', 'rule 1: filters'],
    ['limits that are none', 200, '{"result":"allow","limits":{"x":1}}', 'unknown keys'],
    ['a redirect', 302, '', 'its answer is 302'],
    ['404', 404, '', 'its answer is 404'],
    ['500', 500, '', 'its answer is 500'],
    ['ten megabytes', 200, 'x'.repeat(10_000_000), 'more than 10000 bytes'],
  ] as const)('%s is none', async (_, status, body, why) => {
    const { ask } = await setUp((__, request, response) =>
      response.writeHead(status, { location: `http://${request.headers.host}/other` }).end(body),
    );
    const error: Error = await ask(anna).then(
      () => new Error('allowed'),
      (thrown: Error) => thrown,
    );
    expect(error.message).toContain(why);
    expect(String(error.stack)).not.toContain('hunter2');
  });

  test.each<readonly [string, Serve, RegExp]>([
    ['stalls before its head', () => undefined, /no answer within 50 ms/],
    [
      'stalls within its body',
      (_, __, response) => void response.write('{"re'),
      /no answer within/,
    ],
    ['hangs up', (_, { socket }) => void socket.destroy(), /other side closed/],
    [
      'lies about its length',
      (_, __, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('{');
        response.socket?.end();
      },
      /other side closed/,
    ],
  ])('one that %s', async (which, serve, why) => {
    // Only who stalls is to be late, however loaded the machine is.
    const { ask } = await setUp(serve, which.startsWith('stalls') ? { timeoutMs: 50 } : {});
    await expect(ask()).rejects.toThrow(why);
  });

  test('one that drips: the time is that of the whole answer', async () => {
    const { ask } = await setUp(
      (_, __, response) => {
        const timer = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(timer));
      },
      { timeoutMs: 100 },
    );
    await expect(ask()).rejects.toThrow('no answer within 100 ms');
  });

  test('a redirect is not followed', async () => {
    const { ask, asked } = await setUp((_, { headers }, response) =>
      response.writeHead(307, { location: `http://${headers.host}/other` }).end(),
    );
    await expect(ask(anna)).rejects.toThrow('its answer is 307');
    expect(asked).toHaveLength(1);
  });

  test('nobody there', async () => {
    const { ask, server } = await setUp(json({ result: 'allow' }));
    await new Promise((done) => server.close(done));
    await expect(ask()).rejects.toThrow(/^http:\/\/127.0.0.1:\d+: ECONNREFUSED$/);
  });
});

describe('economy', () => {
  test('who is known is not asked about again, for a while', async () => {
    const { ask, asked, pass } = await setUp(json({ result: 'allow', expires_in: 30 }));
    expect(await ask(anna)).toMatchObject({ accept: { expiresIn: 30 } });
    pass(10);
    // The port of a client that comes again is another one; its time runs on.
    expect(await ask({ ...anna, address: '192.0.2.7:1' })).toMatchObject({
      accept: { expiresIn: 20 },
    });
    expect(asked).toHaveLength(1);
    pass(20);
    await ask(anna);
    expect(asked).toHaveLength(2);
    await ask({ ...anna, password: 'other' });
    await ask({ ...anna, clientId: 'other' });
    await ask({ ...anna, address: '192.0.2.8:1' });
    expect(asked).toHaveLength(5);
  });

  test('a denial is remembered for less, a failure not at all', async () => {
    let status = 403;
    const { ask, asked, pass } = await setUp((_, __, response) => response.writeHead(status).end());
    await ask(anna);
    pass(4);
    await ask(anna);
    expect(asked).toHaveLength(1);
    pass(1);
    status = 500;
    await expect(ask(anna)).rejects.toThrow('500');
    await expect(ask(anna)).rejects.toThrow('500');
    expect(asked).toHaveLength(3);
  });

  test('a flood of wrong passwords does not drive out who is known', async () => {
    const { ask, asked } = await setUp(
      (body, _, response) => response.writeHead(body.includes('"word"') ? 204 : 403).end(),
      { cacheMax: 2 },
    );
    await ask(anna);
    for (const password of ['a', 'b', 'c']) await ask({ ...anna, password });
    expect(asked).toHaveLength(4);
    expect(await ask(anna)).toMatchObject({ kind: 'allow' });
    // Denials have a bound too: of the three the first is forgotten.
    await ask({ ...anna, password: 'c' });
    expect(asked).toHaveLength(4);
    await ask({ ...anna, password: 'a' });
    expect(asked).toHaveLength(5);
  });

  test('a connection serves the next question too', async () => {
    const ports = new Set<number | undefined>();
    const { ask, asked } = await setUp(
      (_, { socket }, response) => {
        ports.add(socket.remotePort);
        response.end('{"result":"allow"}');
      },
      { maxConcurrent: 1 },
    );
    for (const clientId of ['a', 'b', 'c']) await ask({ clientId });
    expect([asked.length, ports.size]).toEqual([3, 1]);
  });

  test('equal questions share a request; so many run, so many wait, the rest is refused', async () => {
    const waiting: ServerResponse[] = [];
    const { ask, asked } = await setUp((_, __, response) => void waiting.push(response));
    const same = [ask(anna), ask(anna), ask(anna)];
    await eventually(() => expect(waiting).toHaveLength(1));
    const others = [1, 2, 3].map((n) => ask({ clientId: `c${n}` }));
    await eventually(() => expect(waiting).toHaveLength(2));
    await expect(ask({ clientId: 'c4' })).rejects.toThrow('2 wait already');
    expect(asked).toHaveLength(2);
    const answerAll = async (count: number) => {
      await eventually(() => expect(waiting.length).toBeGreaterThanOrEqual(count));
      for (const response of waiting.splice(0)) response.end('{"result":"allow"}');
    };
    await answerAll(2);
    await answerAll(2);
    const kinds = (await Promise.all([...same, ...others])).map(({ kind }) => kind);
    expect(kinds).toEqual(Array(6).fill('allow'));
    expect(asked).toHaveLength(4);
  });

  test('who waits too long for a turn is refused', async () => {
    const { ask } = await setUp(() => undefined, { maxConcurrent: 1, timeoutMs: 80 });
    const first = ask({ clientId: 'a' });
    const second = ask({ clientId: 'b' });
    await expect(first).rejects.toThrow('no answer within');
    await expect(second).rejects.toThrow(/no (turn|answer) within/);
  });
});
