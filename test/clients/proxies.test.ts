// nginx and HAProxy in front of the broker, configured by the very words of docs/WEBSOCKET.md: clients
// come through, and the broker sees their addresses and not the proxy's.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { freePort } from '../e2e/broker-process.js';
import { issue } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';
import { connectOrFail } from '../harness/mqtt-connect.js';
import { which } from './programs.js';

const document = readFileSync(new URL('../../docs/WEBSOCKET.md', import.meta.url), 'utf8');
/** The block of a section, with its words replaced: each must be there. */
function example(section: string, words: Readonly<Record<string, string>>): string {
  const [, block] =
    new RegExp(`### ${section}\\n[^]*?\`\`\`\\w*\\n([^]*?)\`\`\``).exec(document) ?? [];
  let text = block ?? '';
  for (const [word, replacement] of Object.entries(words)) {
    expect(text).toContain(word);
    text = text.replace(word, replacement);
  }
  return text;
}

/** Not the proxy's own. */
const kHome = '127.0.0.77';
let undo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const step of undo.reverse()) await step();
  undo = [];
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'st-mqttd-proxies-'));
  undo.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function brokerAt(tables: ConfigTables): Promise<Broker> {
  const broker = new Broker({ ...tables, log: { to: 'off' } } as ConfigTables);
  undo.push(() => broker.stop({ timeoutMs: 300 }));
  await broker.start();
  return broker;
}

/** Resolves once the proxy accepts at `port`. */
async function proxy(command: string, args: readonly string[], port: number): Promise<void> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  undo.push(() => {
    child.kill('SIGTERM');
    return ended;
  });
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(said);
    await new Promise<void>((resolve, reject) => {
      const socket = dial(port, '127.0.0.1', () => {
        socket.destroy();
        resolve();
      }).once('error', reject);
    });
  });
}

async function expectThrough(broker: Broker, client: MqttClient): Promise<void> {
  undo.push(() => client.endAsync(true));
  const detail = await broker.registry.client('behind');
  expect(detail?.address).toMatch(new RegExp(`^${kHome.replaceAll('.', '\\.')}:\\d+$`));
  const got = new Promise((resolve) =>
    client.once('message', (_, payload) => resolve(`${payload}`)),
  );
  await client.subscribeAsync('t', { qos: 1 });
  await client.publishAsync('t', 'through', { qos: 1 });
  expect(await got).toBe('through');
}

describe.skipIf(which('nginx') === undefined)('nginx (apt-get install nginx-light)', () => {
  test('MQTT over WebSocket, with X-Forwarded-For', async () => {
    const [inside, outside] = [await freePort(), await freePort()];
    const broker = await brokerAt({
      ws: { web: { listen: `127.0.0.1:${inside}`, trusted_proxies: ['127.0.0.1'] } },
    });
    const at = folder();
    const location = example('nginx', { '127.0.0.1:8083': `127.0.0.1:${inside}` });
    const file = join(at, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off; pid ${at}/pid; error_log stderr; worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path ${at}; proxy_temp_path ${at}; fastcgi_temp_path ${at};
  uwsgi_temp_path ${at}; scgi_temp_path ${at};
  server { listen 127.0.0.1:${outside};
${location}
  }
}
`,
    );
    await proxy(which('nginx') ?? '', ['-p', at, '-c', file], outside);
    const client = await connectOrFail(`ws://127.0.0.1:${outside}/mqtt`, {
      clientId: 'behind',
      wsOptions: { localAddress: kHome },
    });
    await expectThrough(broker, client);
  });
});

describe.skipIf(which('haproxy') === undefined)('HAProxy (apt-get install haproxy)', () => {
  test('TLS as it is, behind PROXY protocol 2, with health checks', async () => {
    const [inside, outside] = [await freePort(), await freePort()];
    const at = folder();
    const { certificate, key } = issue({ subject: { cn: 'localhost' }, names: ['localhost'] });
    const files = { certpath: join(at, 'server.pem'), keypath: join(at, 'server.key') };
    writeFileSync(files.certpath, certificate);
    writeFileSync(files.keypath, key, { mode: 0o600 });
    const broker = await brokerAt({
      unified: {
        behind: {
          listen: `127.0.0.1:${inside}`,
          proxy_protocol: 'v2',
          trusted_proxies: ['127.0.0.1'],
          tls: files,
        },
      },
    });
    const sections = example('HAProxy', {
      ':8883': `127.0.0.1:${outside}`,
      '10.0.0.11:8883': `127.0.0.1:${inside}`,
      check: 'check inter 100ms',
    });
    const file = join(at, 'haproxy.cfg');
    writeFileSync(file, `defaults\n    timeout connect 5s\n${sections}`);
    await proxy(which('haproxy') ?? '', ['-db', '-f', file], outside);
    const options = {
      clientId: 'behind',
      localAddress: kHome,
      ca: certificate,
      servername: 'localhost',
    };
    const client = await connectOrFail(`mqtts://127.0.0.1:${outside}`, options);
    await expectThrough(broker, client);
  });
});
