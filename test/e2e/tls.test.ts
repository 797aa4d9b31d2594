// TLS of a real process: what is wrong with its files at start, at check and at a reload.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, expect, test } from 'vitest';
import { issue } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';
import { accepts, freePort, launch } from './broker-process.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const put = (name: string, text: string) => writeFileSync(path(name), text);

const root = issue({ subject: { cn: 'Root' }, isCa: true });
const serverNamed = (cn: string) => issue({ subject: { cn }, by: root, names: ['localhost'] });

let running: ReturnType<typeof launch>[] = [];
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ exited }) => exited));
  running = [];
});
function start(...args: readonly string[]) {
  const program = launch(args);
  running.push(program);
  return program;
}
function configuration(port: number): string {
  put(
    'st-mqttd.toml',
    `[v5.1]\nlisten = "127.0.0.1:${port}"\n[v5.1.tls]\ncertpath = "${path('cert.pem')}"\nkeypath = "${path('key.pem')}"\n`,
  );
  return path('st-mqttd.toml');
}
async function open(port: number): Promise<TLSSocket> {
  const options = {
    ca: root.certificate,
    servername: 'localhost',
    checkServerIdentity: () => undefined,
  };
  const socket = connect({ port, host: '127.0.0.1', ...options });
  await once(socket, 'secureConnect');
  return socket;
}

test('a wrong key and an expired certificate: one line with the file, exit 1, at check too', async () => {
  const port = await freePort();
  const file = configuration(port);
  const server = serverNamed('server');
  const old = issue({ subject: { cn: 'old' }, notAfter: new Date(Date.now() - 1000) });
  const cases = [
    [server.certificate, old.key, `the key ${path('key.pem')} does not belong to the certificate`],
    [old.certificate, old.key, `the certificate ${path('cert.pem')} has expired`],
    [`\n${server.certificate.slice(0, 200)}`, server.key, 'CERTIFICATE 1 (line 2) cannot be read'],
  ] as const;
  for (const [certificate, key, why] of cases) {
    put('cert.pem', certificate);
    put('key.pem', key);
    for (const args of [
      ['-c', file],
      ['check', '-c', file],
    ]) {
      const program = start(...args);
      expect((await program.exited).code).toBe(1);
      const lines = program.errors().trimEnd().split('\n');
      expect(lines.filter((line) => line.includes(why))).toHaveLength(1);
      expect(program.errors()).not.toContain('PRIVATE KEY-----\nM');
    }
  }
  expect(await accepts(port)).toBe(false);
});

test('SIGHUP: a right file is taken, a wrong one is said; who is connected stays', async () => {
  const port = await freePort();
  const file = configuration(port);
  const use = ({ certificate, key }: ReturnType<typeof serverNamed>) => {
    put('cert.pem', certificate);
    put('key.pem', key);
  };
  use(serverNamed('first'));
  const program = start('-c', file);
  await eventually(async () => expect(await accepts(port)).toBe(true));
  const live = await open(port);
  expect(live.getPeerCertificate().subject.CN).toBe('first');
  use(serverNamed('second'));
  program.child.kill('SIGHUP');
  await eventually(async () => {
    const socket = await open(port);
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    expect(CN).toBe('second');
  });
  put('key.pem', 'nothing');
  program.child.kill('SIGHUP');
  await eventually(() =>
    expect(program.errors()).toMatch(
      /key\.pem has no PRIVATE KEY in PEM form.*nothing was changed/,
    ),
  );
  const after = await open(port);
  expect(after.getPeerCertificate().subject.CN).toBe('second');
  live.write(Buffer.from('100d00044d5154540502003c000000', 'hex'));
  const [answer] = (await once(live, 'data')) as [Buffer];
  expect(answer[0]).toBe(0x20);
  live.destroy();
  after.destroy();
});
