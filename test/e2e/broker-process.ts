// The broker as its users run it: a process of its own, started from the command line. With
// STMQTTD_TEST_PORT set, tests talk to whatever listens there; those that need the process are skipped.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = resolve(import.meta.dirname, '../..');
const standInPort = process.env.STMQTTD_TEST_PORT;

/** True when the tests talk to some other broker: no process, no configuration. */
export const standIn = standInPort !== undefined;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface BrokerProcess {
  readonly host: string;
  readonly port: number;
  /** What the process has written to stderr so far. */
  errors(): string;
  signal(name: NodeJS.Signals): void;
  exited(): Promise<Exit>;
  /** SIGTERM, then the exit; SIGKILL after ten seconds. */
  stop(): Promise<Exit>;
}

function commandLine(): string[] {
  const given = process.env.STMQTTD_CMD;
  if (given !== undefined && given !== '') return given.split(' ');
  const program = join(root, 'dist', 'cli', 'main.js');
  if (!existsSync(program)) throw new Error(`${program} is missing: npm run build`);
  return [process.execPath, program];
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** True once something accepts connections there. */
export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host });
    const end = (result: boolean) => {
      socket.destroy();
      done(result);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** Starts the command line with these arguments and does not wait for it. */
export function launch(args: readonly string[]): {
  child: ChildProcess;
  errors(): string;
  exited: Promise<Exit>;
} {
  const [program, ...before] = commandLine();
  if (program === undefined) throw new Error('STMQTTD_CMD is empty');
  const child = spawn(program, [...before, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (data: string) => {
    text += data;
  });
  child.stdout?.resume();
  const exited = new Promise<Exit>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => done({ code, signal }));
  });
  return { child, errors: () => text, exited };
}

/**
 * Starts the broker on a free port of the loopback address and waits until it accepts connections.
 * `configuration` is TOML, without listeners of its own on TCP.
 */
export async function startProcess(configuration = ''): Promise<BrokerProcess> {
  if (standInPort !== undefined) {
    return {
      host: '127.0.0.1',
      port: Number(standInPort),
      errors: () => '',
      signal: () => {},
      exited: () => new Promise(() => {}),
      stop: async () => ({ code: 0, signal: null }),
    };
  }
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-e2e-'));
  const args = ['--listen', `127.0.0.1:${port}`];
  if (configuration !== '') {
    const file = join(folder, 'st-mqttd.toml');
    writeFileSync(file, configuration);
    args.push('--config', file);
  }
  const { child, errors, exited } = launch(args);
  const ended = exited.finally(() => rmSync(folder, { recursive: true, force: true }));
  const stop = async () => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.kill('SIGTERM');
    const exit = await ended;
    clearTimeout(timer);
    return exit;
  };
  const deadline = Date.now() + 15_000;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const exit = await stop();
      throw new Error(`the broker did not start (exit code ${exit.code}): ${errors()}`);
    }
    await sleep(20);
  }
  return {
    host: '127.0.0.1',
    port,
    errors,
    signal: (name) => child.kill(name),
    exited: () => ended,
    stop,
  };
}
