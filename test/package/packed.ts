// What the package tests share: packing, machines that lack things, and a broker in a process.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { connectAsync } from 'mqtt';

const execute = promisify(execFile);

export const root = resolve(import.meta.dirname, '../..');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** Both streams, for the reader of a failure. */
  readonly output: string;
}

export async function runIn(
  folder: string,
  env: NodeJS.ProcessEnv,
  command: string,
  ...args: readonly string[]
): Promise<Outcome> {
  try {
    const { stdout, stderr } = await execute(command, args, { cwd: folder, env, maxBuffer: 1e8 });
    return { code: 0, stdout, output: stdout + stderr };
  } catch (error) {
    const failed = error as { code?: number | string; stdout?: string; stderr?: string };
    if (typeof failed.code !== 'number') throw error;
    const stdout = failed.stdout ?? '';
    return { code: failed.code, stdout, output: stdout + (failed.stderr ?? '') };
  }
}

/** Runs a command that must succeed, for its standard output. */
export async function mustRun(
  folder: string,
  env: NodeJS.ProcessEnv,
  command: string,
  ...args: readonly string[]
): Promise<string> {
  const { code, stdout, output } = await runIn(folder, env, command, ...args);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`);
  return stdout;
}

const made: string[] = [];

export function emptyFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `st-mqttd-package-${name}-`));
  made.push(folder);
  return folder;
}

export async function removeFolders(): Promise<void> {
  await Promise.all(made.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
}

async function which(program: string): Promise<string | undefined> {
  const { code, stdout } = await runIn(root, process.env, 'sh', '-c', `command -v ${program}`);
  return code === 0 ? stdout.trim() : undefined;
}

const compilers = ['g++', 'c++', 'gcc', 'cc', 'make', 'python3'];

/**
 * The environment of a new machine: an empty HOME, and a PATH with nothing but Node, npm, a shell
 * and what else is named. npm's download cache alone is shared, to be kind to the registry.
 */
export async function newMachine(
  options: { readonly bareNode?: boolean; readonly compilers?: boolean } = {},
): Promise<NodeJS.ProcessEnv> {
  const folder = emptyFolder('machine');
  const bin = join(folder, 'bin');
  const home = join(folder, 'home');
  mkdirSync(bin);
  mkdirSync(home);
  // A copy has no headers beside it, a link has those of the Node it leads to.
  if (options.bareNode === true) copyFileSync(process.execPath, join(bin, 'node'));
  else symlinkSync(process.execPath, join(bin, 'node'));
  for (const program of ['npm', 'npx', 'sh', 'env']) {
    const path = await which(program);
    if (path === undefined) throw new Error(`${program} is not on PATH`);
    symlinkSync(path, join(bin, program));
  }
  // A compiler calls its parts by way of PATH: with compilers, the usual folders are there.
  const path = options.compilers === true ? [bin, '/usr/bin', '/bin'] : [bin];
  return { PATH: path.join(delimiter), HOME: home, ...(await networkSettings()) };
}

/** How this machine reaches the registry; npm would look for it in HOME and beside Node. */
async function networkSettings(): Promise<NodeJS.ProcessEnv> {
  const names = ['cache', 'registry', 'cafile', 'proxy', 'https-proxy', 'noproxy'];
  const json = await mustRun(root, process.env, 'npm', 'config', 'list', '--json');
  const settings = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const env: NodeJS.ProcessEnv = {
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
  };
  for (const name of names) {
    const value = settings[name];
    if (typeof value === 'string' && value !== '') {
      env[`npm_config_${name.replaceAll('-', '_')}`] = value;
    }
  }
  const certificates = process.env.NODE_EXTRA_CA_CERTS;
  return certificates === undefined ? env : { ...env, NODE_EXTRA_CA_CERTS: certificates };
}

export async function hasCompilers(): Promise<boolean> {
  const found = await Promise.all(['g++', 'make', 'python3'].map((program) => which(program)));
  return found.every((path) => path !== undefined);
}

/** Makes sure that a machine without compilers really has none. */
export async function foundCompilers(machine: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of compilers) {
    const { code } = await runIn(root, machine, 'sh', '-c', `command -v ${name}`);
    if (code === 0) found.push(name);
  }
  return found;
}

export async function pack(kind: 'host' | 'release'): Promise<string> {
  const folder = emptyFolder('tarball');
  const env = { ...process.env };
  delete env.ST_MQTTD_PACK;
  if (kind === 'host') env.ST_MQTTD_PACK = 'host';
  const output = await mustRun(root, env, 'npm', 'pack', '--pack-destination', folder);
  const name = output
    .trim()
    .split('\n')
    .find((line) => /^st-mqttd-.*\.tgz$/.test(line));
  if (name === undefined) throw new Error(`npm pack named no tarball:\n${output}`);
  return join(folder, name);
}

export async function install(
  tarball: string,
  machine: NodeJS.ProcessEnv,
  ...options: readonly string[]
): Promise<string> {
  const folder = emptyFolder('install');
  await mustRun(folder, machine, 'npm', 'init', '-y');
  await mustRun(folder, machine, 'npm', 'install', '--no-audit', '--no-fund', ...options, tarball);
  return folder;
}

/** Loads the installed addon the way the package does, and asks its version. */
export function addonVersion(
  folder: string,
  machine: NodeJS.ProcessEnv,
  command: readonly string[] = ['node'],
): Promise<string> {
  const [program = 'node', ...before] = command;
  const script = `require('node-gyp-build')('./node_modules/st-mqttd').version()`;
  return mustRun(folder, machine, program, ...before, '-p', script);
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
}

export interface Running {
  readonly port: number;
  /** Asks it to stop and resolves to what it printed. */
  stop(): Promise<string>;
}

/** Starts a broker and waits until it accepts MQTT. */
export async function startBroker(
  folder: string,
  env: NodeJS.ProcessEnv,
  command: string,
  ...args: readonly string[]
): Promise<Running> {
  const port = await freePort();
  // A process group of its own: npx puts a shell between us and the broker.
  const child: ChildProcess = spawn(command, [...args, '--listen', `127.0.0.1:${port}`], {
    cwd: folder,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout?.on('data', (text) => {
    output += String(text);
  });
  child.stderr?.on('data', (text) => {
    output += String(text);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  const signal = (name: NodeJS.Signals) => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, name);
  };
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      const client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
        reconnectPeriod: 0,
        connectTimeout: 2000,
      });
      await client.endAsync();
      break;
    } catch (cause) {
      if (child.exitCode !== null || Date.now() > deadline) {
        signal('SIGKILL');
        throw new Error(`the broker did not start:\n${output}`, { cause });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return {
    port,
    async stop() {
      signal('SIGTERM');
      const timer = setTimeout(() => signal('SIGKILL'), 20_000);
      await ended;
      clearTimeout(timer);
      return output;
    },
  };
}

/** Publishes one message at QoS 1 and returns what a subscriber received. */
export async function publishAndReceive(port: number): Promise<string> {
  const url = `mqtt://127.0.0.1:${port}`;
  const subscriber = await connectAsync(url, { protocolVersion: 5 });
  const publisher = await connectAsync(url, { protocolVersion: 4 });
  try {
    await subscriber.subscribeAsync('hall/+/temperature', { qos: 1 });
    const received = new Promise<string>((resolve) => {
      subscriber.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`));
    });
    await publisher.publishAsync('hall/4/temperature', '21.5', { qos: 1 });
    return await received;
  } finally {
    await Promise.all([subscriber.endAsync(), publisher.endAsync()]);
  }
}
