// `st-mqttd ctl` as its users run it: a process of its own, beside a broker with a console.
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { type BrokerProcess, freePort, launch, standIn, startProcess } from './broker-process.js';
import { Client } from './mqttjs-client.js';

let broker: BrokerProcess;
let url = '';

beforeAll(async () => {
  if (standIn) return;
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  broker = await startProcess(`[console]\nlisten = "127.0.0.1:${port}"\n`);
  // Its address is opened after those for clients.
  await eventually(async () => expect((await fetch(`${url}/livez`)).status).toBe(200));
});
afterAll(() => broker?.stop());

async function ctl(...args: string[]) {
  const { child, errors, exited } = launch(['ctl', ...args, '--url', url]);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const { code } = await exited;
  return { code, output: Buffer.concat(chunks).toString(), errors: errors() };
}

/** Each of its calls is a process. */
const kPatienceMs = 60_000;

describe.skipIf(standIn)('ctl', { timeout: kPatienceMs }, () => {
  test('lists plugins, and says why one is not loaded', async () => {
    const before = await ctl('plugins');
    expect(before).toMatchObject({ code: 0, errors: '' });
    expect(before.output).toMatch(/^topic-rewrite +not loaded +shipped/m);
    const load = await ctl('plugins', 'load', 'topic-rewrite');
    expect(load.code).toBe(1);
    expect(load.errors).toMatch(
      /^st-mqttd ctl: loading the plugin "topic-rewrite": .*property 'rules'.*\n$/,
    );
    expect((await ctl('plugins')).output).toMatch(/^topic-rewrite +failed +shipped .*'rules'/m);
    expect(await ctl('plugins', 'unload', 'none')).toMatchObject({ code: 1 });
  });

  test('sees clients, and closes a connection', async () => {
    const client = await Client.open(broker.port, 5, { clientId: 'seen', username: 'anna' });
    const { code, output, errors } = await ctl('clients', 'clientid=seen');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/^seen +connected +127\.0\.0\.1:\d+ +\S+ +5\.0 +anna /m);
    const detail = await ctl('clients', 'show', 'seen', '--json');
    expect(JSON.parse(detail.output)).toMatchObject({ clientid: 'seen', connected: true });
    const disconnected = client.disconnected();
    expect((await ctl('clients', 'kick', 'seen', '--reason', 'go')).output).toBe('closed\n');
    expect(await disconnected).toBe(0x98);
    expect(await ctl('clients', 'kick', 'seen')).toMatchObject({ code: 1, output: '' });
    await client.close();
  });

  test('publishes to subscribers', async () => {
    const client = await Client.open(broker.port, 5);
    await client.subscribe('ctl/#', 1);
    expect((await ctl('publish', 'ctl/a', 'said by ctl', '--qos', '1')).code).toBe(0);
    expect(await client.next()).toMatchObject({ topic: 'ctl/a', text: 'said by ctl' });
    expect((await ctl('publish', 'nobody/here', 'x')).output).toMatch(/^nobody\/here: 0x/);
    await client.close();
  });

  test('shows what there is: status, subscriptions, routes, retained messages', async () => {
    const client = await Client.open(broker.port, 5, { clientId: 'lister' });
    await client.subscribe('list/+/a', 1);
    await client.publish('list/x', 'kept\n', { qos: 1, retain: true });
    expect((await ctl('status')).output).toMatch(/^subscriptions\.count +1$/m);
    expect((await ctl('subscriptions')).output).toMatch(/^lister +list\/\+\/a +1$/m);
    expect((await ctl('routes', 'list/x/a')).output).toMatch(/^lister /m);
    expect((await ctl('retained', 'list/#')).output).toMatch(/^list\/x +1 +5 +lister +kept\\n$/m);
    expect((await ctl('retained', 'get', 'list/x')).output).toBe('kept\n');
    expect((await ctl('retained', 'delete', 'list/x')).code).toBe(0);
    expect((await ctl('retained', 'get', 'list/x')).code).toBe(1);
    expect((await ctl('metrics', 'retained_set')).output).toMatch(/^retained_set +\d+$/m);
    await client.close();
  });

  test('sets the log filter, and changes the configuration', async () => {
    expect((await ctl('log')).output).toBe('warn\n');
    expect((await ctl('log', 'set', 'debug')).code).toBe(0);
    expect((await ctl('log')).output).toBe('debug\n');
    expect((await ctl('config', 'set', 'mqtt.max_inflight=7')).output).toMatch(
      /mqtt\.max_inflight/,
    );
    expect((await ctl('config', 'mqtt.max_inflight')).output).toMatch(/^mqtt\.max_inflight +7 /m);
    const refused = await ctl('config', 'set', 'broker.io_threads=2');
    expect(refused.code).toBe(1);
    expect(refused.errors).toContain('broker.io_threads needs a restart');
  });

  test('traces the packets of a client', async () => {
    const started = await ctl('trace', 'start', '--client', 'watched', '--seconds', '50');
    expect(started.errors).toBe('');
    const number = /^ *(\d+) +watched /m.exec(started.output)?.[1] ?? '';
    const client = await Client.open(broker.port, 5, { clientId: 'watched' });
    await client.publish('traced/topic', 'shown', { qos: 1 });
    await eventually(() => expect(broker.errors()).toContain('traced/topic'));
    expect((await ctl('trace')).output).toMatch(/^ *\d+ +watched .* log /m);
    expect((await ctl('trace', 'stop', number)).output).toBe(`trace ${number} is stopped\n`);
    await eventually(async () => expect((await ctl('trace')).output).not.toContain('watched'));
    expect((await ctl('trace', 'start')).code).toBe(2);
    expect((await ctl('trace', 'stop', '77')).code).toBe(1);
    await client.close();
  });

  test('a reader that goes away ends it quietly', async () => {
    const clients = await Promise.all(
      Array.from({ length: 30 }, () => Client.open(broker.port, 5)),
    );
    const { child, errors, exited } = launch(['ctl', 'clients', '--json', '--url', url]);
    closeEarly(child);
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(errors()).toBe('');
    await Promise.all(clients.map((client) => client.close()));
  });

  test('exit codes: 1 without a console, 2 for what is no command', async () => {
    const { errors, exited } = launch(['ctl', 'status', '--url', 'http://127.0.0.1:9']);
    expect((await exited).code).toBe(1);
    expect(errors()).toMatch(
      /^st-mqttd ctl: cannot reach the console at http:\/\/127\.0\.0\.1:9: /,
    );
    expect((await ctl('clint')).code).toBe(2);
    const behind = launch(['-v', 'ctl']);
    expect((await behind.exited).code).toBe(1);
    expect(behind.errors()).toContain('ctl stands before its flags');
  });
});

function closeEarly(child: ChildProcess): void {
  child.stdout?.destroy();
}

test('it loads nothing of the broker', () => {
  const root = resolve(import.meta.dirname, '../../src');
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, type, from = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (type )?[^;]*?from '(\.[^']+)'/gm,
    )) {
      if (type === undefined) visit(join(dirname(file), from.replace(/\.js$/, '.ts')));
    }
  };
  visit(join(root, 'cli/ctl/main.ts'));
  const folders = new Set([...seen].map((file) => file.slice(root.length + 1).split('/')[0]));
  expect(seen.size).toBeGreaterThan(8);
  expect([...folders].sort()).toEqual(['cli', 'config', 'errors.ts', 'link']);
  const others = [...seen]
    .map((file) => file.slice(root.length + 1))
    .filter((f) => !f.startsWith('cli/ctl'));
  expect(others.sort()).toEqual([
    'config/shown.ts',
    'config/suggest.ts',
    'errors.ts',
    'link/reason-codes.ts',
  ]);
});
