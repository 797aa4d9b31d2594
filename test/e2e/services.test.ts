// Console and exporter as parts of a real process: started where configured, told of reloads, up
// while the broker drains; and nothing of them, nor of files, loaded where they are not.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { accepts, freePort, launch, standIn } from './broker-process.js';
import { Client } from './mqttjs-client.js';
import { Programs, readText } from './programs.js';

const programs = new Programs();
afterEach(() => programs.endAll());
afterAll(() => programs.remove());

const root = join(import.meta.dirname, '../..');
const kToken = 'a-token-of-the-test';

async function ask(port: number, path: string, options: RequestInit & { token?: string } = {}) {
  const { token = kToken, ...init } = options;
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  });
  return { status: answer.status, text: await answer.text() };
}

interface Ports {
  readonly mqtt: number;
  readonly console: number;
  readonly prometheus: number;
}
async function ports(): Promise<Ports> {
  return { mqtt: await freePort(), console: await freePort(), prometheus: await freePort() };
}
const configuration = (at: Ports, token = kToken, more = '') => `
${more}
[unified.a]
listen = "127.0.0.1:${at.mqtt}"
[console]
listen = "127.0.0.1:${at.console}"
[console.tokens]
ops = "${token}"
[prometheus]
listen = "127.0.0.1:${at.prometheus}"
`;

describe.skipIf(standIn)('services beside the broker', () => {
  test('serve, and take over what a reload changes', async () => {
    const at = await ports();
    const program = await programs.start(configuration(at), at.mqtt);
    expect((await ask(at.console, '/readyz')).status).toBe(200);
    expect((await ask(at.prometheus, '/metrics')).text).toContain('metrics_router_total_publishes');
    program.configure(configuration(at, 'another-token-of-it'));
    const { msg } = await program.reload();
    expect(msg).toBe('configuration reloaded: in effect: console.tokens.ops.token');
    expect((await ask(at.console, '/api/v1')).status).toBe(401);
    expect((await ask(at.console, '/api/v1', { token: 'another-token-of-it' })).status).toBe(200);
    expect(program.errors()).not.toMatch(/token-of/);
  });

  test('POST /logs changes what is logged, at once; an invalid filter changes nothing', async () => {
    const at = await ports();
    const program = await programs.start(configuration(at), at.mqtt);
    const heard = () => program.log().filter(({ module }) => module === 'session');
    await (await Client.open(at.mqtt, 5)).close();
    const logs = (body: string) => ask(at.console, '/logs', { method: 'POST', body });
    expect((await logs('warn,[client=dev-1]=debug')).status).toBe(200);
    expect((await logs('warn,session=loud')).status).toBe(400);
    for (const clientId of ['dev-2', 'dev-1']) {
      await (await Client.open(at.mqtt, 5, { clientId })).close();
    }
    await eventually(() =>
      expect(heard().map(({ msg }) => msg)).toEqual(
        expect.arrayContaining(['client connected', 'client disconnected']),
      ),
    );
    // Debug records of the native half among them, and of nobody else.
    expect(heard().some(({ level }) => level === 'debug')).toBe(true);
    for (const { clientId } of heard()) expect(clientId).toBe('dev-1');
    expect(program.log().some(({ module }) => module === 'audit')).toBe(true);
  });

  test('a change by the console lies over the file, also after a reload', async () => {
    const at = await ports();
    const program = await programs.start(configuration(at), at.mqtt);
    const patched = await ask(at.console, '/api/v1/config', {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ mqtt: { max_qos: 1 } }),
    });
    expect(patched.status).toBe(200);
    program.configure(configuration(at, kToken, '[mqtt]\nmax_qos = 0\nmax_topic_levels = 5\n'));
    await program.reload();
    const client = await Client.open(at.mqtt, 5);
    expect(client.connack?.properties?.maximumQoS).toBe(1);
    await client.close();
  });

  test('the console says "not ready" while the broker drains, and that it lives', async () => {
    const at = await ports();
    const program = await programs.start(configuration(at), at.mqtt);
    // A peer that reads nothing, with much to read: the drain has something to wait for.
    const stuck = connect(at.mqtt, '127.0.0.1');
    stuck.on('error', () => {});
    stuck.pause();
    stuck.write(Buffer.from('101200044d5154540502003c000005737475636b', 'hex'));
    stuck.write(Buffer.from('820700010000016100', 'hex'));
    await sleep(100);
    const publisher = await Client.open(at.mqtt, 5);
    for (let i = 0; i < 40; i++) await publisher.publish('a', Buffer.alloc(500_000), { qos: 1 });
    program.child.kill('SIGTERM');
    await eventually(async () => expect((await ask(at.console, '/readyz')).status).toBe(503));
    expect((await ask(at.console, '/livez')).status).toBe(200);
    expect(await accepts(at.mqtt)).toBe(false);
    stuck.destroy();
    expect((await program.exited).code).toBe(0);
    expect(await accepts(at.console)).toBe(false);
  });

  test.each(['console', 'prometheus'] as const)(
    'a busy port of the %s: exit code 1, nothing stays',
    async (which) => {
      const at = await ports();
      const holder = await programs.start(
        `[unified.x]\nlisten = "127.0.0.1:${at[which]}"\n`,
        at[which],
      );
      const file = join(programs.folder, `busy-${which}.toml`);
      writeFileSync(file, configuration(at));
      const { errors, exited } = launch(['-c', file]);
      expect((await exited).code).toBe(1);
      expect(errors()).toContain(`cannot listen on 127.0.0.1:${at[which]}: the address is in use`);
      expect(await accepts(at.mqtt)).toBe(false);
      expect(holder.child.exitCode).toBeNull();
    },
  );

  test('what was logged is written though the process ends by an uncaught exception', async () => {
    const [port, dir] = [await freePort(), join(programs.folder, 'crash')];
    const text = `
      import { Broker } from ${JSON.stringify(join(root, 'dist/index.js'))};
      const broker = new Broker({
        unified: { a: { listen: '127.0.0.1:${port}' } },
        log: { to: 'both', dir: ${JSON.stringify(dir)}, level: 'info' },
      });
      await broker.start();
      await new Promise((done) => setTimeout(done, 500));
      await Promise.all(Array.from({ length: 50 }, (_, i) => broker.link({ clientId: 'link-' + i })));
      throw new Error('of the application');
    `;
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    for (const log of [stderr, readText(join(dir, 'st-mqttd.log'))]) {
      for (let i = 0; i < 50; i++) expect(log).toContain(`"clientId":"link-${i}"`);
    }
    expect(stderr).toContain('of the application');
  });

  test('a plain start loads nothing of them', async () => {
    const port = await freePort();
    const text = `
      import { Broker } from ${JSON.stringify(join(root, 'dist/index.js'))};
      const broker = new Broker({ unified: { a: { listen: '127.0.0.1:${port}' } } });
      await broker.start();
      await broker.stop();
    `;
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
      env: { ...process.env, NODE_DEBUG: 'esm,module' },
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    expect(status, stderr.slice(-2000)).toBe(0);
    expect(stderr).toContain('dist/broker.js');
    for (const name of ['fastify', 'prom-client', 'pino', 'yaml', 'file-output', 'systemd.js']) {
      expect(stderr, name).not.toMatch(new RegExp(`(node_modules|dist)/\\S*${name}`));
    }
  });
});
