// The console on real sockets: addresses, limits, what is not HTTP, stopping.
import { once } from 'node:events';
import { Agent, get, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConsoleToken } from '../../../src/config/resolve.ts';
import { Console } from '../../../src/console/console.ts';
import { eventually } from '../../harness/eventually.ts';
import { client, FakeDeps } from './fake.ts';

const running: Console[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

async function open(listen = [{ host: '127.0.0.1', port: 0 }], tokens: ConsoleToken[] = []) {
  const deps = new FakeDeps();
  const console = new Console(deps, tokens);
  running.push(console);
  const addresses = await console.start(listen);
  return { deps, console, addresses, port: addresses[0]?.port ?? 0 };
}

async function read(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}
async function ask(port: number, path: string, headers = {}, host = '127.0.0.1') {
  const sent = get({ host, port, path, headers, agent: false });
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await read(response) };
}
/** Sends bytes, and reads until the server closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

describe('listening', () => {
  it('on several addresses, each of which knows itself', async () => {
    const { addresses, deps } = await open([
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.2', port: 0 },
      { host: '::1', port: 0 },
    ]);
    expect(addresses).toHaveLength(3);
    for (const { host, port, text } of addresses) {
      const { body } = await ask(port, '/', {}, host);
      expect(JSON.parse(body)).toEqual({ listen: text });
      expect(text).toBe(host === '::1' ? `[::1]:${port}` : `${host}:${port}`);
    }
    expect(deps.logs.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('beyond this machine without tokens: it warns, and guards', async () => {
    const { port, deps } = await open([{ host: '0.0.0.0', port: 0 }]);
    const warnings = deps.logs.filter(({ level }) => level === 'warn');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.text).toContain('has no tokens');
    expect((await ask(port, '/router')).status).toBe(200);
    expect((await ask(port, '/api/v1/clients')).status).toBe(401);
  });

  it('with tokens there is one thing to warn of: they go unencrypted', async () => {
    const token = { name: 'n', role: 'read', token: 'the-token' } as const;
    const { port, deps } = await open([{ host: '0.0.0.0', port: 0 }], [token]);
    const warnings = deps.logs.filter(({ level }) => level === 'warn').map(({ text }) => text);
    expect(warnings).toEqual([expect.stringMatching(/unencrypted; configure \[console\.tls\]/)]);
    expect((await ask(port, '/router')).status).toBe(401);
    const headers = { authorization: 'Bearer the-token' };
    expect((await ask(port, '/api/v1/clients', headers)).status).toBe(200);
    expect(JSON.stringify(deps.logs)).not.toContain('the-token');
  });

  it('an address in use is told, and nothing stays open', async () => {
    const { port } = await open();
    const second = new Console(new FakeDeps());
    const free = { host: '127.0.0.1', port: 0 };
    await expect(second.start([free, { host: '127.0.0.1', port }])).rejects.toMatchObject({
      code: 'ST_LISTEN',
    });
    await second.stop();
  });
});

describe('what is not a good request', () => {
  it('not HTTP at all: 400 as JSON', async () => {
    const { port, deps } = await open();
    for (const bytes of [
      '\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00',
      'GET\r\n\r\n',
      '\r\nx y z\r\n\r\n',
    ]) {
      const text = await raw(port, bytes);
      expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '').error.code).toBe('bad_request');
    }
    expect(deps.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('a header that is too large: 431', async () => {
    const { port } = await open();
    const text = await raw(
      port,
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('a body that is announced too large is not waited for', async () => {
    const { port } = await open();
    const head =
      'POST /api/v1/mqtt/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    const text = await raw(port, `${head}Connection: close\r\nContent-Length: 99999999\r\n\r\n{`);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('a request that ends within its body costs nothing', async () => {
    const { port, deps } = await open();
    const socket = connect(port, '127.0.0.1');
    const head =
      'POST /api/v1/mqtt/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    socket.write(`${head}Content-Length: 100\r\n\r\n{"topic":`);
    await new Promise((done) => setTimeout(done, 50));
    socket.destroy();
    await new Promise((done) => setTimeout(done, 50));
    expect((await ask(port, '/livez')).status).toBe(200);
    expect(deps.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

it('more than 256 connections are closed at once, and then there is room again', async () => {
  const { port } = await open();
  let closed = 0;
  const sockets = Array.from({ length: 270 }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('close', () => closed++);
    return socket;
  });
  await eventually(() => expect(closed).toBe(14));
  for (const socket of sockets) socket.destroy();
  await eventually(async () => expect((await ask(port, '/livez')).status).toBe(200));
});

describe('stopping', () => {
  it('ends streams with a line that says so, and closes idle connections', async () => {
    const { port, deps, console } = await open();
    deps.registry.clients = ({ cursor, limit }) => {
      const start = Number(cursor ?? 0);
      const items = Array.from({ length: limit }, (_, i) => client(`c${start + i}`));
      return Promise.resolve({ items, next: String(start + limit) });
    };
    const agent = new Agent({ keepAlive: true });
    const idle = get({ port, host: '127.0.0.1', path: '/livez', agent });
    const [first] = (await once(idle, 'response')) as [IncomingMessage];
    await read(first);
    const stream = request({
      port,
      host: '127.0.0.1',
      path: '/api/v1/clients',
      headers: { accept: 'application/x-ndjson' },
    });
    stream.end();
    const [response] = (await once(stream, 'response')) as [IncomingMessage];
    await once(response, 'data');
    const rest = read(response);
    const begun = performance.now();
    await console.stop();
    expect(performance.now() - begun).toBeLessThan(3000);
    const last = (await rest).trimEnd().split('\n').at(-1) ?? '';
    expect(JSON.parse(last).error.code).toBe('stopping');
    agent.destroy();
    await expect(ask(port, '/livez')).rejects.toThrow('ECONNREFUSED');
  });

  it('does not wait for a reader that has stopped reading', async () => {
    const { port, deps, console } = await open();
    deps.registry.clients = ({ limit }) =>
      Promise.resolve({ items: Array.from({ length: limit }, () => client('c')), next: 'x' });
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'GET /api/v1/clients HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n',
    );
    await once(socket, 'readable');
    socket.pause();
    await new Promise((done) => setTimeout(done, 100));
    const begun = performance.now();
    await console.stop();
    expect(performance.now() - begun).toBeLessThan(5000);
    socket.destroy();
  });

  it('twice is once, and it can start again on the same port', async () => {
    const { port, console, deps } = await open();
    await Promise.all([console.stop(), console.stop()]);
    await console.stop();
    expect(deps.connectListeners.size + deps.disconnectListeners.size).toBe(0);
    await console.start([{ host: '127.0.0.1', port }]);
    expect((await ask(port, '/readyz')).status).toBe(200);
    deps.ready = false;
    expect((await ask(port, '/readyz')).status).toBe(503);
    expect((await ask(port, '/livez')).status).toBe(200);
  });
});
