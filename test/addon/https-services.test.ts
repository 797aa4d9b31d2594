// The console and the exporter over HTTPS: who gets in, the live page's WebSocket, other files while
// they run, and tables that are wrong.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import { ctl } from '../../src/cli/ctl/main.js';
import { checkFiles } from '../../src/composition/check.js';
import type { ConfigTables } from '../../src/config/options.js';
import { issue } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-https-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const root = issue({ subject: { cn: 'Root' }, isCa: true });
const serverNamed = (cn: string) => issue({ subject: { cn }, by: root, names: ['localhost'] });
const first = serverNamed('first');
const operator = issue({ subject: { cn: 'operator' }, by: root });
const stranger = issue({ subject: { cn: 'stranger' } });
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const put = ({ certificate, key }: { certificate: string; key: string }) => ({
  certpath: file('server.pem', certificate),
  keypath: file('server.key', key),
});

let broker: Broker | undefined;
afterEach(async () => {
  await broker?.stop({ timeoutMs: 100 });
  broker = undefined;
});
async function start(tables: ConfigTables): Promise<{ texts: string[]; port: number }> {
  broker = new Broker({ log: { to: 'off', level: 'info' }, ...tables });
  const texts: string[] = [];
  broker.on('log', ({ text }) => texts.push(text));
  await broker.start();
  const port = Number(/https:\/\/127\.0\.0\.1:(\d+)/.exec(texts.join('\n'))?.[1]);
  return { texts, port };
}
interface Answer {
  readonly status: number;
  readonly text: string;
  readonly cn: string;
}
function get(port: number, path: string, over: object = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { port, path, host: 'localhost', family: 4, ca: root.certificate, agent: false, ...over },
      (response) => {
        const chunks: Buffer[] = [];
        const { CN } = (response.socket as TLSSocket).getPeerCertificate().subject;
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            text: String(Buffer.concat(chunks)),
            cn: String(CN),
          }),
        );
      },
    );
    asked.on('error', reject).end();
  });
}

test('the console answers over HTTPS, tokens hold, and plain HTTP does not get in', async () => {
  const { port } = await start({
    console: { listen: '127.0.0.1:0', tls: put(first), tokens: { ops: 'a-long-token' } },
  });
  const headers = { authorization: 'Bearer a-long-token' };
  expect(await get(port, '/api/v1/clients', { headers })).toMatchObject({ status: 200 });
  expect(await get(port, '/api/v1/clients')).toMatchObject({ status: 401 });
  const plain = connectPlain(port, '127.0.0.1');
  plain.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const seen: Buffer[] = [];
  plain.on('data', (bytes: Buffer) => seen.push(bytes));
  plain.on('error', () => undefined);
  await once(plain, 'close');
  expect(String(Buffer.concat(seen))).not.toContain('HTTP/1.1');
});

test('the live WebSocket over HTTPS', async () => {
  const { port } = await start({ console: { listen: '127.0.0.1:0', tls: put(first) } });
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: root.certificate,
  });
  await once(socket, 'secureConnect');
  socket.write(
    `GET /api/v1/live HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Origin: https://localhost:${port}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(String(answer)).toMatch(/^HTTP\/1\.1 101 /);
  socket.destroy();
});

test('certificates of clients: required, and others’ refused; also where they are optional', async () => {
  const capath = file('ca.pem', root.certificate);
  const shown = { cert: operator.certificate, key: operator.key };
  const forged = { cert: stranger.certificate, key: stranger.key };
  for (const verify_client_cert of ['require', 'optional'] as const) {
    const { port } = await start({
      prometheus: { listen: '127.0.0.1:0', tls: { ...put(first), capath, verify_client_cert } },
    });
    expect((await get(port, '/metrics', shown)).text).toContain('st_mqttd_');
    await expect(get(port, '/metrics', forged)).rejects.toThrow();
    if (verify_client_cert === 'require') await expect(get(port, '/metrics')).rejects.toThrow();
    else expect((await get(port, '/metrics')).status).toBe(200);
    await broker?.stop({ timeoutMs: 100 });
  }
});

test('other files are taken, at once or by a reload; wrong ones change nothing', async () => {
  const tables = { console: { listen: '127.0.0.1:0', tls: put(first) } };
  const { port, texts } = await start(tables);
  expect((await get(port, '/')).cn).toBe('first');
  put(serverNamed('second'));
  await eventually(async () => expect((await get(port, '/')).cn).toBe('second'));
  put(serverNamed('third'));
  await broker?.reload({ log: { to: 'off', level: 'info' }, ...tables });
  expect((await get(port, '/')).cn).toBe('third');
  const other = { listen: '127.0.0.1:0', tls: { ...tables.console.tls, keypath: '/none' } };
  file('server.key', 'nothing');
  const refused = /server\.key has no PRIVATE KEY in PEM form.*nothing was changed/;
  await expect(
    broker?.reload({ log: { to: 'off', level: 'debug' }, ...tables }),
  ).rejects.toMatchObject({ code: 'ST_TLS_ITEM' });
  expect(texts.join('\n')).toMatch(refused);
  expect((await get(port, '/')).cn).toBe('third');
  put(serverNamed('fourth'));
  await expect(
    broker?.reload({ log: { to: 'off', level: 'info' }, console: other }),
  ).rejects.toMatchObject({ code: 'ST_TLS_READ', message: expect.stringContaining('/none') });
});

test('what is wrong with a table ends the start, and the check', async () => {
  const tls = { ...put(first), keypath: file('other.key', stranger.key) };
  for (const service of ['console', 'prometheus'] as const) {
    const tables = { [service]: { listen: '127.0.0.1:0', tls } } as ConfigTables;
    const wrong = { code: 'ST_TLS_ITEM', message: expect.stringContaining('other.key does not') };
    await expect(start(tables)).rejects.toMatchObject(wrong);
    const { config } = new Broker(tables).config;
    await expect(checkFiles(config)).rejects.toMatchObject(wrong);
    const named = { ...put(first), capath: file('ca.pem', root.certificate), identity: 'cn' };
    expect(() => new Broker({ [service]: { tls: named } } as ConfigTables)).toThrow(/identity/);
  }
});

test('a console with tokens in clear beyond this machine is warned of', async () => {
  const tokens = { ops: 'a-long-token' };
  const { texts } = await start({ console: { listen: '0.0.0.0:0', tokens } });
  expect(texts.join('\n')).toMatch(/unencrypted; configure \[console\.tls\]/);
});

test('ctl reaches a console with certificates: --ca, --cert, --key, --insecure', async () => {
  const caFile = file('ctl-ca.pem', root.certificate);
  const { port } = await start({
    console: {
      listen: '127.0.0.1:0',
      tls: { ...put(first), capath: caFile, verify_client_cert: 'require' },
    },
  });
  const run = async (...flags: string[]) => {
    let output = '';
    let complaints = '';
    const write = async (text: string) => {
      output += text;
    };
    const code = await ctl(['clients', '--url', `https://localhost:${port}`, ...flags], {
      environment: {},
      output: { width: undefined, write, writeBytes: async () => undefined },
      complain: (text) => {
        complaints += text;
      },
    });
    return { code, output, complaints };
  };
  const cert = file('ctl.pem', operator.certificate);
  const key = file('ctl.key', operator.key);
  const both = file('ctl-both.pem', operator.certificate + operator.key);
  const done = { code: 0, complaints: '' };
  expect(await run('--ca', caFile, '--cert', cert, '--key', key)).toMatchObject(done);
  expect(await run('--ca', caFile, '--cert', both)).toMatchObject(done);
  expect(await run('--insecure', '--cert', both)).toMatchObject(done);
  // Without a certificate, with one of a stranger, and without trust in the console's.
  for (const flags of [
    ['--ca', caFile],
    ['--ca', caFile, '--cert', file('stranger.pem', stranger.certificate + stranger.key)],
    ['--cert', both],
    ['--ca', file('other.pem', stranger.certificate), '--cert', both],
  ]) {
    expect(await run(...flags)).toMatchObject({ code: 1, output: '' });
  }
  for (const flags of [
    ['--key', key],
    ['--ca', join(folder, 'absent.pem')],
    ['--cert', cert, '--key', file('wrong.key', stranger.key)],
    ['--cert', key],
  ]) {
    const outcome = await run(...flags);
    expect(outcome).toMatchObject({ code: 2, output: '' });
    expect(outcome.complaints).toMatch(/^st-mqttd ctl: .*--(key|ca|cert)/);
  }
});
