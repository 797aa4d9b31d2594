// The environment ends while everything runs: worker threads are terminated at any moment, processes
// exit, exceptions are not caught. Threads and sockets must go with it, and nothing may crash.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { connectPacket, publishPacket, subscription } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { eventually } from '../harness/eventually.js';
import { inUse } from './raw-native.js';

const entry = resolve(import.meta.dirname, '../../dist/index.js');
const program = resolve(import.meta.dirname, 'programs/busy-broker.mjs');
const built = existsSync(entry);
const linux = process.platform === 'linux';
/** Instrumented code is slow, and each worker thread costs it much. */
const slow = process.env.ST_MQTTD_SANITIZED !== undefined;
/** More of them by ST_MQTTD_ROUNDS: what is rare shows in hundreds. */
const rounds = Number(process.env.ST_MQTTD_ROUNDS ?? (slow ? 5 : 15));

interface Options {
  io_threads?: number;
  brokers?: number;
  links?: number;
  end?: string;
  afterMs?: number;
}

let sockets: Socket[] = [];
let children: ChildProcess[] = [];
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const child of children) child.kill('SIGKILL');
  sockets = [];
  children = [];
});

/** A client that floods and never reads its messages; its socket may end as it likes. */
function flood(port: number, clientId: string): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  sockets.push(socket);
  const burst = Buffer.concat(
    [0, 1, 2].map((qos) =>
      encode(
        publishPacket('busy/flood', 'x'.repeat(100), {
          qos: qos as 0 | 1 | 2,
          ...(qos > 0 ? { packetId: qos } : {}),
        }),
        '5.0',
      ),
    ),
  );
  socket.on('connect', () => {
    socket.write(encode(connectPacket({ clientId }), '5.0'));
    const subscriptions = [subscription({ filter: 'busy/#', qos: 1 })];
    socket.write(encode({ type: 'SUBSCRIBE', packetId: 9, subscriptions, properties: {} }, '5.0'));
  });
  socket.on('data', () => {
    if (!socket.destroyed) socket.write(burst);
  });
  socket.on('error', () => {});
  return new Promise((done) => socket.once('close', () => done()));
}

async function startWorker(options: Options) {
  const worker = new Worker(program, { workerData: { entry, ...options } });
  const exited = new Promise<number>((done) => worker.once('exit', done));
  const { ports } = await new Promise<{ ports: number[] }>((done, fail) => {
    worker.once('message', done);
    worker.on('error', fail);
  });
  return { worker, ports, exited };
}

async function expectNothingLeft(before: ReturnType<typeof inUse>): Promise<void> {
  await eventually(() => {
    expect(inUse().threads).toBe(before.threads);
    expect(inUse().descriptors).toBeLessThanOrEqual(before.descriptors);
  });
}

describe.skipIf(!built || !linux)('worker threads (npm run build)', () => {
  test('terminated at any moment, with sockets and links in full traffic', async () => {
    // The first of all loads what stays.
    await (await startWorker({})).worker.terminate();
    const before = inUse();
    for (let round = 0; round < rounds; round++) {
      const { worker, ports } = await startWorker({
        io_threads: 1 + (round % 3),
        brokers: 1 + (round % 2),
      });
      const ended = ports.flatMap((port) => [flood(port, 'a'), flood(port, 'busy0')]);
      await sleep(Math.random() * 40);
      await worker.terminate();
      await Promise.all(ended);
    }
    await expectNothingLeft(before);
  }, 600_000);

  test('terminated before it is ready, while it starts, and while it blocks', async () => {
    const before = inUse();
    for (let round = 0; round < rounds; round++) {
      const end = round % 3 === 0 ? 'block' : 'exit while stopping';
      const worker = new Worker(program, {
        workerData: { entry, io_threads: 2, end, afterMs: 5 },
      });
      worker.on('error', () => {});
      await sleep((Math.random() * (slow ? 800 : 150)) | 0);
      await worker.terminate();
    }
    await expectNothingLeft(before);
  }, 600_000);

  test('many at once, ending in any order by themselves', async () => {
    const before = inUse();
    const started = await Promise.all(
      Array.from({ length: slow ? 3 : 6 }, (_, n) =>
        startWorker({ io_threads: 2, end: n % 2 === 0 ? 'exit' : 'throw', afterMs: 30 + n * 10 }),
      ),
    );
    const endings = started.map(({ exited }) => exited);
    const floods = started.flatMap(({ ports }) => ports.map((port) => flood(port, 'a')));
    expect(await Promise.all(endings)).toEqual(started.map((_, n) => (n % 2 === 0 ? 7 : 1)));
    await Promise.all(floods);
    await expectNothingLeft(before);
  }, 600_000);
});

describe.skipIf(!built)('processes (npm run build)', () => {
  async function run(options: Options, withClients = true) {
    const child = spawn(process.execPath, [program, JSON.stringify({ entry, ...options })], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<{ code: number | null; signal: string | null }>((done) =>
      child.once('close', (code, signal) => done({ code, signal })),
    );
    const { ports } = await new Promise<{ ports: number[] }>((done) =>
      child.stdout
        .setEncoding('utf8')
        .once('data', (text: string) => done(JSON.parse(text) as { ports: number[] })),
    );
    const floods = withClients ? ports.flatMap((port) => [flood(port, 'a'), flood(port, 'b')]) : [];
    return { child, ended, floods, stderr: () => stderr };
  }

  test.each([
    ['exit', 7],
    ['exit in an event', 7],
    ['exit while judging', 7],
    ['exit while stopping', 7],
    ['throw', 1],
    ['throw in an event', 1],
  ])(
    '%s: the code is the program’s, nothing crashes, the sockets end',
    async (end, code) => {
      for (let round = 0; round < (slow ? 1 : 2); round++) {
        const { ended, floods, stderr } = await run({
          io_threads: 1 + (round % 3),
          brokers: 2,
          end,
          afterMs: 20 + Math.random() * 30,
        });
        expect({ ...(await ended), stderr: stderr() }).toEqual({
          code,
          signal: null,
          stderr: code === 1 ? expect.stringMatching(/nobody catches this|from a listener/) : '',
        });
        await Promise.all(floods);
      }
    },
    60_000,
  );

  test('a broker keeps its process alive, as a server does; a signal ends it', async () => {
    const { child, ended, floods } = await run({ end: 'abandon', links: 0 });
    await sleep(300);
    expect(child.exitCode).toBeNull();
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: null, signal: 'SIGTERM' });
    await Promise.all(floods);
  });
});
