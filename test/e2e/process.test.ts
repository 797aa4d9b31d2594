// The broker as a process: how it starts, stops and fails. Needs the program itself.
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  accepts,
  type BrokerProcess,
  freePort,
  launch,
  standIn,
  startProcess,
} from './broker-process.js';
import { Client } from './mqttjs-client.js';

let running: BrokerProcess[] = [];
afterEach(async () => {
  await Promise.all(running.map((broker) => broker.stop()));
  running = [];
});

async function start(configuration?: string): Promise<BrokerProcess> {
  const broker = await startProcess(configuration);
  running.push(broker);
  return broker;
}

/** Runs to the end; a process that stays is a failure. */
async function runToEnd(args: string[]) {
  const { child, errors, exited } = launch(args);
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  const exit = await exited;
  clearTimeout(timer);
  return { ...exit, lines: errors().trimEnd().split('\n') };
}

describe.skipIf(standIn)('the broker as a process', () => {
  test.each([
    ['[::]', '0.0.0.0'],
    ['0.0.0.0', '[::]'],
  ])('%s and %s on one port, each for its own family', async (first, second) => {
    const port = await freePort();
    await start(`[unified.all]\nlisten = ["${first}:${port}", "${second}:${port}"]\n`);
    expect(await Promise.all([accepts(port, '127.0.0.1'), accepts(port, '::1')])).toEqual([
      true,
      true,
    ]);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s: clients are told, exit code 0', async (signal) => {
    const broker = await start();
    const [modern, old] = await Promise.all([
      Client.open(broker.port, 5),
      Client.open(broker.port, 4),
    ]);
    const reason = modern.disconnected();
    const closed = Promise.all([modern.closed(), old.closed()]);
    broker.signal(signal);
    expect(await reason).toBe(0x8b);
    await closed;
    expect(await broker.exited()).toEqual({ code: 0, signal: null });
    expect(await accepts(broker.port)).toBe(false);
  });

  test('what was published before SIGTERM is still delivered', async () => {
    const broker = await start();
    const [subscriber, publisher] = await Promise.all([
      Client.open(broker.port, 5),
      Client.open(broker.port, 5),
    ]);
    await subscriber.subscribe('last/words', 0);
    for (let i = 0; i < 100; i += 1) {
      publisher.mqtt.publish('last/words', `${i}`);
    }
    await publisher.publish('last/words', 'end', { qos: 1 });
    broker.signal('SIGTERM');
    const received = await subscriber.take(101);
    expect(received.at(-1)?.text).toBe('end');
    expect((await broker.exited()).code).toBe(0);
  });

  test('a busy port: one line that names it, exit code 1', async () => {
    const holder = createServer();
    await new Promise<void>((done) => holder.listen(0, '127.0.0.1', done));
    const address = holder.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    try {
      const { code, lines } = await runToEnd(['--listen', `127.0.0.1:${address.port}`]);
      expect(code).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain(`127.0.0.1:${address.port}`);
    } finally {
      await new Promise((done) => holder.close(done));
    }
  });

  test.each([
    ['a missing configuration file', ['--config', '/nonexistent/st-mqttd.toml']],
    ['an unknown option', ['--no-such-option']],
    ['an address that is none', ['--listen', 'nowhere']],
  ])('%s: one line, exit code 1', async (_, args) => {
    const { code, lines } = await runToEnd(args);
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
  });

  test('-V prints the version of package.json, -h the options', async () => {
    const version: unknown = JSON.parse(
      readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8'),
    ).version;
    for (const [flag, expected] of [
      ['-V', String(version)],
      ['-h', '--listen'],
    ] as const) {
      const { child, exited } = launch([flag]);
      let output = '';
      child.stdout?.setEncoding('utf8').on('data', (data: string) => {
        output += data;
      });
      expect((await exited).code).toBe(0);
      expect(output).toContain(expected);
    }
  });

  test('several addresses and a Unix socket, all the same broker', async () => {
    const second = await freePort();
    const path = join(tmpdir(), `st-mqttd-${randomBytes(4).toString('hex')}.sock`);
    const broker = await start(
      `[unified.more]\nlisten = ["127.0.0.1:${second}"]\nunix = "${path}"\nunix_mode = "0600"\n`,
    );
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const local = await Client.open(broker.port, 5, {
      // MQTT.js dials a path where it finds one in the options of net.connect.
      path,
      protocol: 'mqtt',
    });
    const [one, two] = await Promise.all([Client.open(broker.port, 4), Client.open(second, 5)]);
    for (const client of [local, one, two]) await client.subscribe('everywhere', 1);
    await local.publish('everywhere', 'hello', { qos: 1 });
    for (const client of [local, one, two]) expect((await client.next()).text).toBe('hello');
    await Promise.all([local, one, two].map((client) => client.close()));
    await broker.stop();
    expect(() => statSync(path)).toThrow();
  });

  test('bytes that are no MQTT end their own connection and nothing else', async () => {
    const broker = await start();
    const client = await Client.open(broker.port, 5);
    await client.subscribe('calm', 1);
    const { connect } = await import('node:net');
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const socket = connect({ port: broker.port, host: '127.0.0.1' });
        socket.on('error', () => {});
        const closed = new Promise((done) => socket.once('close', done));
        socket.resume();
        socket.write(i % 2 === 0 ? randomBytes(4096) : 'GET / HTTP/1.1\r\n\r\n');
        const timer = setTimeout(() => socket.destroy(), 15_000);
        await closed;
        clearTimeout(timer);
      }),
    );
    await client.publish('calm', 'still here', { qos: 1 });
    expect((await client.next()).text).toBe('still here');
    await client.close();
  });
});
