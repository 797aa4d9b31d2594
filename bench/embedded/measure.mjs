// One row, one broker, one round: starts the processes, tells them what to do, and ends them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from '../../scripts/native-sources.mjs';
import { generator } from '../lib/build.mjs';

const kStartMs = 20_000;
const folder = join(root, 'bench', 'embedded');

/** A process of this folder that answers each command with a message. */
class Worker {
  #child;
  #said = '';

  constructor(file, cores) {
    const command = [process.execPath, join(folder, file)];
    const [program, ...args] = cores === undefined ? command : ['taskset', '-c', cores, ...command];
    this.#child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child.stderr.on('data', (data) => {
      if (this.#said.length < 4000) this.#said += data;
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** What the process says next. */
  async #answer() {
    const gone = new AbortController();
    try {
      const answer = once(this.#child, 'message', { signal: gone.signal });
      const exit = once(this.#child, 'exit', { signal: gone.signal }).then(([code]) => {
        throw new Error(this.#said.trim() || `the process ended with exit code ${code}`);
      });
      return (await Promise.race([answer, exit]))[0];
    } finally {
      gone.abort();
    }
  }

  started() {
    return this.#answer();
  }

  ask(command, values = {}) {
    this.#child.send({ command, ...values });
    return this.#answer();
  }

  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), kStartMs);
    await ended;
    clearTimeout(timer);
  }
}

/**
 * The report of one round. Where clients have sockets, the broker's process is alone on core 0 and
 * they are on core 1; where all is in one process it may use both.
 */
export async function measureRound(row, broker, options) {
  const isAlone = row.kind === 'load' || row.peer !== undefined;
  const server = new Worker('serve.mjs', isAlone ? '0' : undefined);
  const peer = row.peer === undefined ? undefined : new Worker('peer.mjs', '1');
  try {
    await Promise.all([server.started(), peer?.started()]);
    const { port, pacePort } = await server.ask('open', { row, broker });
    if (row.kind === 'load') return await loadRound(row, server, port, options);
    await peer?.ask('open', { row, port, pacePort });
    const [report] = await Promise.all([server.ask('run', options), peer?.ask('run')]);
    const faults = row.kind === 'write' ? {} : await drain(row, server, peer);
    return { ...figures(report), ...faults };
  } finally {
    await peer?.stop();
    await server.stop();
  }
}

async function drain(row, server, peer) {
  const { published } = row.publishes ? await server.ask('published') : await peer.ask('stop');
  const faults = await server.ask('drain', { published });
  // Only who takes the messages sees these.
  return row.peer === 'receivers' ? { ...faults, ...(await peer.ask('counts')) } : faults;
}

function figures({ delivered, seconds, cpuUs }) {
  return {
    perSecond: delivered / seconds,
    brokerCpuUs: cpuUs / delivered,
    brokerBusy: cpuUs / 1e6 / seconds,
  };
}

async function loadRound(row, server, port, { seconds, warmup }) {
  const report = await generate([
    ...row.load,
    ...['--port', port, '--pid', server.pid, '--seconds', seconds, '--warmup', warmup],
  ]);
  return { ...report, ...(await server.ask('hooked')) };
}

async function generate(args) {
  const child = spawn('taskset', ['-c', '1', generator, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(errors.trim() || `the generator ended with exit code ${code}`);
  return JSON.parse(output);
}
