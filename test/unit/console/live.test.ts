// The WebSocket behind the live page, and the routes that serve the page: over real sockets.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify from 'fastify';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ConsoleToken } from '../../../src/config/resolve.ts';
import { Console } from '../../../src/console/console.ts';
import { offeredToken, requestOf } from '../../../src/console/live.ts';
import type { FromBroker } from '../../../src/console/live-protocol.ts';
import { quantilesOf, Rates, tickOf } from '../../../src/console/live-rates.ts';
import { addPage } from '../../../src/console/ui-routes.ts';
import { FakeDeps } from './fake.ts';

const running: Console[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

async function open(tokens: ConsoleToken[] = []) {
  const deps = new FakeDeps();
  const console = new Console(deps, tokens);
  running.push(console);
  const [address] = await console.start([{ host: '127.0.0.1', port: 0 }]);
  return { deps, console, port: address?.port ?? 0 };
}

const kFinal = 0x80;
const kText = 1;
const kClose = 8;

/** A WebSocket client of its own: sees the answer to the upgrade, which Node's does not show. */
async function upgrade(port: number, headers: Readonly<Record<string, string>> = {}) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let bytes = Buffer.alloc(0);
  socket.on('error', () => undefined);
  const ended = once(socket, 'close');
  const sent = {
    Host: `127.0.0.1:${port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    ...headers,
  };
  const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /api/v1/live HTTP/1.1\r\n${lines.join('')}\r\n`);
  let wake = () => {};
  socket.on('data', (data) => {
    bytes = Buffer.concat([bytes, data]);
    wake();
  });
  const more = () =>
    new Promise<void>((done) => {
      wake = done;
    });
  while (bytes.indexOf('\r\n\r\n') < 0) await more();
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.subarray(0, end).toString();
  bytes = bytes.subarray(end + 4);
  const frame = async (): Promise<{ code: number; payload: Buffer }> => {
    for (;;) {
      const first = bytes[1] ?? 0;
      const start = first === 126 ? 4 : first === 127 ? 10 : 2;
      if (bytes.length >= start) {
        const length =
          first === 126
            ? bytes.readUInt16BE(2)
            : first === 127
              ? Number(bytes.readBigUInt64BE(2))
              : first;
        if (bytes.length >= start + length) {
          const code = (bytes[0] ?? 0) & 15;
          const payload = bytes.subarray(start, start + length);
          bytes = bytes.subarray(start + length);
          return { code, payload };
        }
      }
      await more();
    }
  };
  return {
    status: Number(head.split(' ')[1]),
    head,
    ended,
    destroy: () => socket.destroy(),
    /** The next frame of that type. */
    async next<T extends FromBroker['type']>(type: T): Promise<FromBroker & { type: T }> {
      for (;;) {
        const { code, payload } = await frame();
        if (code === kClose) throw new Error(`closed: ${payload.readUInt16BE(0)}`);
        const read = JSON.parse(payload.toString()) as FromBroker;
        if (read.type === type) return read as FromBroker & { type: T };
      }
    },
    async closeCode(): Promise<number> {
      for (;;) {
        const { code, payload } = await frame();
        if (code === kClose) return payload.readUInt16BE(0);
      }
    },
    send(value: unknown, opcode = kText) {
      const payload = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
      if (payload.length > 125) throw new Error('short frames only');
      // Masked with zeros: the payload stands as it is.
      socket.write(Buffer.from([kFinal | opcode, 0x80 | payload.length, 0, 0, 0, 0]));
      socket.write(payload);
    },
  };
}

const tokens: ConsoleToken[] = [
  { name: 'eve', role: 'read', token: 'read/token=' },
  { name: 'otto', role: 'operate', token: 'operate-token' },
];
const offer = (token: string) => ({
  'Sec-WebSocket-Protocol': `st-mqttd.live, bearer64.${Buffer.from(token).toString('base64url')}`,
});

describe('who may connect', () => {
  it('a token that is offered as a subprotocol, which is not what is selected', async () => {
    const { port } = await open(tokens);
    const page = await upgrade(port, offer('read/token='));
    expect(page.status).toBe(101);
    expect(page.head).toMatch(/^sec-websocket-protocol: st-mqttd\.live$/im);
    const hello = await page.next('hello');
    expect(hello.caller).toEqual({ name: 'eve', role: 'read' });
    expect(hello.broker).toMatchObject({ id: 3, version: '0.1.0' });
  });

  it('nobody without one, with a wrong one, or from a page of another origin', async () => {
    const { port, deps } = await open(tokens);
    expect((await upgrade(port)).status).toBe(401);
    expect((await upgrade(port, offer('wrong'))).status).toBe(401);
    const foreign = { ...offer('operate-token'), Origin: 'http://elsewhere.example' };
    expect((await upgrade(port, foreign)).status).toBe(403);
    expect(JSON.stringify([deps.logs, deps.audits])).not.toContain('operate-token');
  });

  it('without tokens who is on this machine, and no page that a browser has from elsewhere', async () => {
    const { port } = await open();
    const page = await upgrade(port);
    expect((await page.next('hello')).caller).toEqual({ name: 'loopback', role: 'admin' });
    expect((await upgrade(port, { Host: 'rebound.example' })).status).toBe(403);
  });

  it('finds the token among what is offered', () => {
    expect(offeredToken('st-mqttd.live, bearer.abc.def')).toBe('Bearer abc.def');
    expect(offeredToken('bearer64.w6Q')).toBe('Bearer ä');
    for (const none of [undefined, '', 'st-mqttd.live', 'bearer.', 'bearer']) {
      expect(offeredToken(none)).toBeUndefined();
    }
  });

  it('as many pages as are bounded; the next is told to wait', async () => {
    const { port } = await open();
    for (let at = 0; at < 32; at++) expect((await upgrade(port)).status).toBe(101);
    expect((await upgrade(port)).status).toBe(429);
  });
});

describe('what it says', () => {
  it('a tick each second, and the last ones to who comes later', async () => {
    const { port } = await open();
    const page = await upgrade(port);
    expect((await page.next('hello')).history).toEqual([]);
    const { tick } = await page.next('tick');
    expect(tick.latency).toBeNull();
    expect(tick.now).toMatchObject({ connected: 0, drops: {} });
    const later = await upgrade(port);
    expect((await later.next('hello')).history).toHaveLength(1);
  });

  it('log records while they are asked for, with fields that JSON has no form for', async () => {
    const { port, deps } = await open();
    const page = await upgrade(port);
    await page.next('hello');
    expect(deps.logListeners.size).toBe(0);
    page.send({ type: 'logs', on: true });
    await expect.poll(() => deps.logListeners.size).toBe(1);
    const circle: unknown[] = [8n];
    circle.push(circle);
    const fields = {
      n: 7n,
      err: new Error('told'),
      circle,
      deep: { n: 9n },
      long: 'x'.repeat(1e5),
    };
    for (const say of deps.logListeners) {
      for (let at = 0; at < 1000; at++) say({ level: 'info', module: 'auth', text: 'x', fields });
    }
    const { records, lost } = await page.next('logs');
    expect(records[0]).toMatchObject({
      level: 'info',
      fields: { n: '7', err: 'told', deep: '{"n":"9"}' },
    });
    expect(JSON.stringify(records[0]).length).toBeLessThan(3000);
    expect(records.length + lost).toBe(1000);
    expect(records.length).toBeLessThanOrEqual(200);
    page.send({ type: 'logs', on: false });
    await expect.poll(() => deps.logListeners.size).toBe(0);
  });

  it('payloads only to who may operate', async () => {
    const { port, deps } = await open(tokens);
    const page = await upgrade(port, offer('read/token='));
    page.send({ type: 'watch', id: 1, filter: '#', mode: 'latest' });
    expect(await page.next('error')).toMatchObject({ id: 1, code: 'forbidden' });
    const other = await upgrade(port, offer('operate-token'));
    other.send({ type: 'watch', id: 2, filter: 'a/#/b', mode: 'latest' });
    expect(await other.next('error')).toMatchObject({ id: 2, code: 'bad_request' });
    // The fake broker has no links: the page is not told why.
    other.send({ type: 'watch', id: 3, filter: '#', mode: 'each' });
    expect(await other.next('error')).toMatchObject({ id: 3, code: 'internal' });
    expect(JSON.stringify(deps.audits)).not.toContain('token');
  });
});

describe('bad input', () => {
  it.each([
    ['not JSON', 'x', 1007],
    ['no object', '7', 1007],
    ['unknown', '{"type":"else"}', 1007],
    ['no filter', '{"type":"watch","id":1,"mode":"each"}', 1007],
  ])('%s closes the connection', async (_name, text, code) => {
    const { port } = await open();
    const page = await upgrade(port);
    page.send(text);
    expect(await page.closeCode()).toBe(code);
  });

  it('binary frames and too many requests close it', async () => {
    const { port } = await open();
    const binary = await upgrade(port);
    binary.send('{}', 2);
    expect(await binary.closeCode()).toBe(1007);
    const hasty = await upgrade(port);
    for (let at = 0; at < 60; at++) hasty.send({ type: 'unwatch', id: at });
    expect(await hasty.closeCode()).toBe(1008);
  });

  it('takes nothing but what the protocol has', () => {
    const watch = { type: 'watch', id: 1, filter: '#', mode: 'each' };
    expect(requestOf(JSON.stringify({ ...watch, more: 1 }))).toEqual(watch);
    for (const bad of [{ ...watch, id: 1.5 }, { ...watch, mode: 'x' }, { type: 'logs' }, null]) {
      expect(requestOf(JSON.stringify(bad))).toBeUndefined();
    }
  });
});

describe('the end', () => {
  it('pages of tokens that have changed are closed, and of those that have not stay', async () => {
    const { port, console } = await open(tokens);
    const page = await upgrade(port, offer('operate-token'));
    await page.next('hello');
    console.replaceTokens([...tokens]);
    await page.next('tick');
    console.replaceTokens(tokens.slice(0, 1));
    expect(await page.closeCode()).toBe(1012);
    expect((await upgrade(port, offer('operate-token'))).status).toBe(401);
  });

  it('numbers that cannot be read are told once, and end nothing', async () => {
    const { port, deps } = await open();
    const page = await upgrade(port);
    await page.next('tick');
    deps.failWith = new Error('no numbers');
    await new Promise((done) => setTimeout(done, 2500));
    deps.failWith = undefined;
    await page.next('tick');
    expect(deps.logs.filter(({ text }) => text.includes('no numbers'))).toHaveLength(1);
  });

  it('the console stops at once, though a page does not answer', async () => {
    const { port, console } = await open();
    const page = await upgrade(port);
    await page.next('hello');
    const began = Date.now();
    await console.stop();
    expect(Date.now() - began).toBeLessThan(2000);
    expect(await page.closeCode()).toBe(1001);
    await page.ended;
  });

  it('without a page there is no timer, and no history', () => {
    vi.useFakeTimers();
    try {
      const rates = new Rates(new FakeDeps());
      const ends = [rates.listen(() => undefined), rates.listen(() => undefined)];
      vi.advanceTimersByTime(3000);
      expect([vi.getTimerCount(), rates.history.length]).toEqual([1, 3]);
      for (const end of ends) end();
      expect([vi.getTimerCount(), rates.history.length]).toEqual([0, 0]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('a connection that was refused is closed, and holds up nothing', async () => {
    const { port, console } = await open(tokens);
    const refused = await upgrade(port);
    await refused.ended;
    const began = Date.now();
    await console.stop();
    expect(Date.now() - began).toBeLessThan(900);
  });
});

describe('numbers', () => {
  it('quantiles are of what came between two readings', () => {
    const bounds = [0.001, 0.01];
    const before = { bounds, counts: [5, 0, 0], sum: 0 };
    expect(quantilesOf(before, before)).toBeNull();
    const after = { bounds, counts: [5, 100, 0], sum: 0 };
    const { p50 = 0, p99 = 0, count } = quantilesOf(before, after) ?? {};
    expect(p50).toBeCloseTo(0.0055, 6);
    expect(p99).toBeCloseTo(0.00991, 6);
    expect(count).toBe(100);
    // Above the last bound it is only known that it is above.
    expect(quantilesOf(before, { bounds, counts: [5, 0, 3], sum: 0 })?.p50).toBe(0.01);
  });

  it('rates are per second, of the time that has passed', () => {
    const deps = new FakeDeps();
    const latency = deps.latency();
    const counters = deps.metrics();
    const later = {
      ...counters,
      publish_received_qos0: 30,
      publish_received_qos2: 10,
      bytes_sent: 5000,
      dropped_expired: 2,
      dropped_queue_bytes: 4,
    };
    const tick = tickOf(
      { t: 1000, counters, latency },
      { t: 3000, counters: later, latency },
      undefined as never,
    );
    expect(tick).toMatchObject({ messagesIn: 20, messagesOut: 0, bytesOut: 2500, drops: 3 });
    // Counters of threads that are read one after the other may seem to go back.
    const back = { ...counters, bytes_sent: -5 };
    const none = tickOf(
      { t: 0, counters, latency },
      { t: 1000, counters: back, latency },
      tick.now,
    );
    expect(none.bytesOut).toBe(0);
  });
});

describe('the page', () => {
  async function serving(files: Readonly<Record<string, string>>) {
    const root = mkdtempSync(join(tmpdir(), 'st-mqttd-ui-'));
    mkdirSync(join(root, 'assets'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
    const app = fastify();
    await addPage(app, root);
    const get = (url: string) => app.inject({ url });
    return { get, end: () => rmSync(root, { recursive: true, force: true }) };
  }

  it('is served with a strict policy; what has a hash in its name may be kept', async () => {
    const { get, end } = await serving({ 'index.html': '<p>', 'assets/a-x1.js': '1' });
    const page = await get('/ui/');
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'self';/);
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(page.headers['cache-control']).toBe('no-cache');
    const asset = await get('/ui/assets/a-x1.js');
    expect(asset.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect(asset.headers['content-type']).toMatch(/javascript/);
    const short = await get('/ui');
    expect([short.statusCode, short.headers.location]).toEqual([302, 'ui/']);
    end();
  });

  it('gives away nothing else: no listing, no dotfile, nothing above it', async () => {
    const { get, end } = await serving({ 'index.html': '<p>', '.hidden': 'x' });
    for (const path of [
      'assets/',
      'assets',
      '.hidden',
      '../package.json',
      '..%2fpackage.json',
      '%2e%2e/package.json',
      '..%5cpackage.json',
      'assets/%00',
      'none.js',
    ]) {
      const { statusCode, headers } = await get(`/ui/${path}`);
      expect([400, 403, 404], path).toContain(statusCode);
      expect(headers['cache-control'] ?? '', path).not.toContain('immutable');
    }
    end();
  });

  it('says so where it was not built', async () => {
    const { get, end } = await serving({});
    const { statusCode, body } = await get('/ui/');
    expect([statusCode, body]).toEqual([404, expect.stringContaining('npm run build:ui')]);
    end();
  });
});
