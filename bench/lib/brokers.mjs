// The brokers that are compared: how each is found, configured, started on a core and stopped.
// All keep everything in memory, log nothing, send without Nagle's delay and limit nothing that a row
// needs, so that what differs is the broker.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../../scripts/native-sources.mjs';
import { which } from '../../scripts/run.mjs';
import {
  certificate,
  credentials,
  passwordFile,
  rules,
  stMqttdAccess,
  withAccess,
} from './access.mjs';
import { relay } from './build.mjs';

const mimalloc = [
  '/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0',
  '/usr/lib/aarch64-linux-gnu/libmimalloc.so.2.0',
  '/usr/lib/libmimalloc.so.2',
].find((path) => existsSync(path));

const mosquitto = which('mosquitto', `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin`);

function ownCommand() {
  const given = process.env.STMQTTD_CMD;
  if (given !== undefined && given !== '') return given.split(' ');
  return [process.execPath, join(root, 'dist', 'cli', 'main.js')];
}

function stMqttd({ port, folder, ioThreads, secure }, more = []) {
  const file = join(folder, 'st-mqttd.toml');
  writeFileSync(
    file,
    [
      '[broker]',
      `io_threads = ${ioThreads}`,
      'max_connections = 30000',
      '[log]',
      'to = "off"',
      '[unified.bench]',
      'name = "bench"',
      `listen = "127.0.0.1:${port}"`,
      '[unified.bench.connections]',
      'connection_timeout_ms = 60000',
      ...secureListener(secure, folder),
      ...more,
      '',
    ].join('\n'),
  );
  return { command: [...ownCommand(), '--config', file] };
}

/** Beside the plain listener, by which the start is told. */
function secureListener(secure, folder) {
  if (secure === undefined) return [];
  const { transport, port, maxHandshakes, handshakeTimeoutMs } = secure;
  const kind = transport === 'websocket' ? 'ws' : 'unified';
  const lines = [`[${kind}.secure]`, `listen = "127.0.0.1:${port}"`];
  if (maxHandshakes !== undefined) lines.push(`max_handshakes = ${maxHandshakes}`);
  if (handshakeTimeoutMs !== undefined) lines.push(`handshake_timeout_ms = ${handshakeTimeoutMs}`);
  if (transport !== 'tls') return lines;
  const { certificateFile, keyFile } = certificate(folder);
  return [
    ...lines,
    `[${kind}.secure.tls]`,
    `certpath = "${certificateFile}"`,
    `keypath = "${keyFile}"`,
  ];
}

function mosquittoCommand({ port, folder, secure }, access) {
  const file = join(folder, 'mosquitto.conf');
  const lines = [
    'persistence false',
    'set_tcp_nodelay true',
    'max_inflight_messages 1000',
    'max_queued_messages 0',
    'max_connections -1',
    'log_dest none',
  ];
  // Otherwise it becomes somebody who may not read the benchmark's folder.
  if (process.getuid?.() === 0) lines.push('user root');
  const { lines: accessLines = ['allow_anonymous true'], ...rest } =
    access === undefined ? {} : { lines: [`password_file ${passwordFile(folder)}`], credentials };
  lines.push(...accessLines, `listener ${port} 127.0.0.1`);
  if (secure !== undefined) lines.push(`listener ${secure.port} 127.0.0.1`);
  if (secure?.transport === 'websocket') lines.push('protocol websockets');
  if (secure?.transport === 'tls') {
    const { certificateFile, keyFile } = certificate(folder);
    lines.push(`certfile ${certificateFile}`, `keyfile ${keyFile}`);
  }
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { command: [mosquitto, '-c', file], ...rest };
}

const builtMissing = () =>
  process.env.STMQTTD_CMD || existsSync(join(root, 'dist', 'cli', 'main.js'))
    ? undefined
    : 'not built: npm run build';

export const brokers = {
  'st-mqttd': { missing: builtMissing, command: stMqttd },
  'st-mqttd+mimalloc': {
    missing: () =>
      builtMissing() ??
      (mimalloc === undefined
        ? 'libmimalloc is missing: apt-get install libmimalloc2.0'
        : undefined),
    command: (how) => ({ ...stMqttd(how), env: { LD_PRELOAD: mimalloc } }),
  },
  'st-mqttd+console': {
    missing: builtMissing,
    command: (how) =>
      stMqttd(how, [
        '[console]',
        'listen = "127.0.0.1:0"',
        '[prometheus]',
        'listen = "127.0.0.1:0"',
      ]),
  },
  ...Object.fromEntries(
    stMqttdAccess.map((access) => [
      `st-mqttd+${access}`,
      {
        missing: builtMissing,
        command: async (how) => {
          const { lines, ...rest } = await withAccess(access, how);
          return { ...stMqttd(how, lines), ...rest };
        },
      },
    ]),
  ),
  'st-mqttd+rules': {
    missing: builtMissing,
    command: (how) => stMqttd(how, rules()),
  },
  'mosquitto+passwords': {
    missing: () => brokers.mosquitto.missing(),
    command: (how) => mosquittoCommand(how, 'passwords'),
  },
  mosquitto: {
    missing: () =>
      mosquitto === undefined ? 'not installed: apt-get install mosquitto' : undefined,
    command: (how) => mosquittoCommand(how),
  },
  aedes: {
    // MQTT 3.1 and 3.1.1 only.
    versions: [3, 4],
    missing() {
      try {
        createRequire(join(root, 'package.json')).resolve('aedes');
        return undefined;
      } catch {
        return 'not installed: npm ci';
      }
    },
    command: ({ port }) => ({
      command: [process.execPath, join(root, 'bench', 'peers', 'aedes.mjs'), String(port)],
    }),
  },
  relay: {
    missing: () => undefined,
    command: ({ port, shape }) => ({ command: [relay, shape ?? 'pipe', String(port)] }),
  },
};

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const connectPacket = Buffer.from('\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01p', 'latin1');

/** Resolves to true when a CONNECT to the port is answered by a CONNACK, a refusal too. */
export function answers(port) {
  return new Promise((resolve) => {
    const socket = dial({ port, host: '127.0.0.1' });
    const end = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(2000, () => end(false));
    socket.once('connect', () => socket.write(connectPacket));
    socket.once('data', (data) => end(data[0] === 0x20));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}

/** A process and its descendants: a broker may be started through a wrapper. */
function family(pid) {
  let children = [];
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  } catch {
    // Gone, or a kernel without this file: then it stands alone.
  }
  return [pid, ...children.filter(Boolean).flatMap((child) => family(Number(child)))];
}

/**
 * Starts a broker alone on `cores` and waits until it answers.
 * `shape` is the relay's; `ioThreads`, `maxHandshakes` and `handshakeTimeoutMs` are st-mqttd's. With a
 * `transport` there is a second listener, and `port` of the result is its.
 */
export async function startBroker(
  name,
  { cores, shape, ioThreads = 1, transport, maxHandshakes, handshakeTimeoutMs },
) {
  const port = await freePort();
  const secure =
    transport === undefined
      ? undefined
      : { transport, port: await freePort(), maxHandshakes, handshakeTimeoutMs };
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-bench-'));
  const how = { port, folder, shape, ioThreads, secure };
  const { command, env = {}, credentials: known, end } = await brokers[name].command(how);
  const began = process.hrtime.bigint();
  const child = spawn('taskset', ['-c', cores, ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  child.stderr.on('data', (data) => {
    if (said.length < 4000) said += data;
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await exited;
      clearTimeout(timer);
    }
    await end?.();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const deadline = Date.now() + 20_000; !(await answers(port)); await sleep(1)) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`${name} did not start: ${command.join(' ')}\n${said}`);
    }
  }
  const startMs = Number(process.hrtime.bigint() - began) / 1e6;
  const served = secure?.port ?? port;
  return {
    name,
    port: served,
    plainPort: port,
    credentials: known,
    pids: family(child.pid),
    startMs,
    stop,
  };
}
