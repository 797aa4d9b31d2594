// MQTT.js in a real browser, over ws and wss: it connects, publishes and receives; a page of another
// origin is kept out.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Broker } from '../../src/broker.js';
import { issue } from '../harness/certificates.js';
import { Client, unique } from '../harness/client.js';
import { chromiumPath } from './browser.ts';

const script = readFileSync(
  new URL('../../node_modules/mqtt/dist/mqtt.min.js', import.meta.url),
  'utf8',
);

/** What the page does; `mqtt` is the script's. */
interface Attempt {
  readonly url: string;
  readonly version: number;
  readonly topic: string;
  readonly payload: string;
}

describe.skipIf(chromiumPath === '')('MQTT.js in a browser', () => {
  let pages: Server;
  let browser: Browser;
  let page: Page;
  let broker: Broker;
  let folder: string;
  const port = (listener: string) => {
    const bound = broker.addresses.find((each) => each.listener === listener);
    if (bound === undefined) throw new Error(`no listener ${listener}`);
    return bound.port;
  };

  beforeAll(async () => {
    pages = createServer((request, answer) => {
      const isScript = request.url === '/mqtt.js';
      answer.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
      answer.end(isScript ? script : '<!doctype html><script src="/mqtt.js"></script>');
    });
    await new Promise<void>((done) => pages.listen(0, '127.0.0.1', done));
    const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    folder = mkdtempSync(join(tmpdir(), 'st-mqttd-'));
    const server = issue({ subject: { cn: 'localhost' }, names: ['localhost'] });
    const [certpath, keypath] = [join(folder, 'server.pem'), join(folder, 'server.key')];
    writeFileSync(certpath, server.certificate);
    writeFileSync(keypath, server.key);
    broker = new Broker({
      log: { to: 'off' },
      broker: { io_threads: 2 },
      unified: { tcp: { listen: '127.0.0.1:0' } },
      ws: {
        plain: { listen: '127.0.0.1:0', path: '/mqtt', allowed_origins: [origin] },
        secure: { listen: '127.0.0.1:0', tls: { certpath, keypath } },
        other: { listen: '127.0.0.1:0', allowed_origins: ['https://elsewhere.example'] },
      },
    });
    await broker.start();
    browser = await chromium.launch({
      executablePath: chromiumPath,
      // Our certificate is nobody's; as root, in containers, chromium's own sandbox does not start.
      args: ['--no-sandbox', '--ignore-certificate-errors'],
    });
    page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    await page.goto(origin);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await broker?.stop({ timeoutMs: 500 });
    pages?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Connects, subscribes, publishes, and gives back what came: its own, and `answer`'s. */
  const exchange = (attempt: Attempt): Promise<string[]> =>
    page.evaluate(async ({ url, version, topic, payload }) => {
      const library = (globalThis as unknown as { mqtt: typeof import('mqtt') }).mqtt;
      const client = library.connect(url, {
        protocolVersion: version as 4 | 5,
        reconnectPeriod: 0,
        connectTimeout: 10_000,
      });
      const received: string[] = [];
      try {
        await new Promise<void>((done, failed) => {
          client.once('connect', () => done());
          client.once('error', failed);
          client.once('close', () => failed(new Error('closed before CONNACK')));
        });
        await client.subscribeAsync(`${topic}/to`, { qos: 1 });
        const both = new Promise<void>((done) => {
          client.on('message', (_topic, message) => {
            received.push(message.toString());
            if (received.length === 2) done();
          });
        });
        await client.publishAsync(`${topic}/to`, 'its own', { qos: 1 });
        await client.publishAsync(`${topic}/from`, payload, { qos: 2 });
        await both;
      } finally {
        client.end(true);
      }
      return received;
    }, attempt);

  it.each([
    ['ws', 4],
    ['ws', 5],
    ['wss', 4],
    ['wss', 5],
  ] as const)('%s, protocol level %i: connects, publishes, receives', async (scheme, version) => {
    const at = port(scheme === 'ws' ? 'ws-plain' : 'ws-secure');
    const topic = unique('browser');
    const peer = await Client.connect({ host: '127.0.0.1', port: port('unified-tcp') });
    await peer.subscribe({ filter: `${topic}/from`, qos: 2 });
    const host = scheme === 'ws' ? '127.0.0.1' : 'localhost';
    const payload = 'large '.repeat(30_000);
    const exchanged = exchange({ url: `${scheme}://${host}:${at}/mqtt`, version, topic, payload });
    expect((await peer.receive()).payload.toString()).toBe(payload);
    await peer.publish(`${topic}/to`, 'from the peer', { qos: 1 });
    expect(await exchanged).toEqual(['its own', 'from the peer']);
    peer.close();
  });

  it('a page of an origin that is not allowed does not connect', async () => {
    const url = `ws://127.0.0.1:${port('ws-other')}/mqtt`;
    const attempt = exchange({ url, version: 5, topic: unique('t'), payload: '' });
    await expect(attempt).rejects.toThrow(/closed before CONNACK|rror/);
    expect(broker.metrics().websocket_refused_origin).toBe(1);
  });
});
