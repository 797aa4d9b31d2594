// `npm run bench:storm [-- CLIENTS]`: a whole fleet comes back at once. The broker is alone on core 0 and
// has steady traffic on a plain listener; CLIENTS (default 10,000) connect by TLS at the same moment,
// with password and persistent session, as after a restart; then they are cut off and come back, to
// sessions that are there. Told are the time until all are back, and what the traffic's latency
// became meanwhile. Both generators share core 1, so what they take from each other is in it too.
// `-- --flood [COUNT]`: instead, COUNT (default 2000) TLS connections bring nothing, and come back
// whenever they are closed (peers/slow.mjs); honest clients connect by TLS meanwhile, one at a time.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../scripts/native-sources.mjs';
import { main, PlainError, which } from '../scripts/run.mjs';
import { startBroker } from './lib/brokers.mjs';
import { buildGenerator, generator } from './lib/build.mjs';

/** Of the listener: the others wait in the backlog, and whoever is in is served soon. */
const kMaxHandshakes = 8;
/** So long, because the clients are one process that says hello to all before it goes on with any. */
const kStormHandshakeMs = 60_000;
/** So short that each of a flood is closed, and comes back, several times. */
const kFloodHandshakeMs = 3000;
const kRate = 500;
const kBaselineS = 5;
const kStormS = 60;
const kFloodS = 10;
const kHonest = 100;
/** The traffic's p99 meanwhile, as a multiple of what it was. */
const kAllowed = 2;

await main(async () => {
  const args = process.argv.slice(2);
  const flood = args[0] === '--flood';
  const count = Number((flood ? args[1] : args[0]) ?? (flood ? 2000 : 10_000));
  if (!Number.isInteger(count) || count < 1) throw new PlainError('CLIENTS is a number');
  if (availableParallelism() < 2) throw new PlainError('It needs two cores.');
  await buildGenerator();
  const broker = await startBroker('st-mqttd+static', {
    cores: '0',
    transport: 'tls',
    ...(flood
      ? { handshakeTimeoutMs: kFloodHandshakeMs }
      : { maxHandshakes: kMaxHandshakes, handshakeTimeoutMs: kStormHandshakeMs }),
  });
  try {
    const before = await traffic(broker, kBaselineS).report;
    tell('before', before);
    const share = flood
      ? await flooded(broker, count, before)
      : await stormed(broker, count, before);
    console.log(`p99 grew to ${share.toFixed(2)} times; at most ${kAllowed} is wanted`);
    return share <= kAllowed ? 0 : 1;
  } finally {
    await broker.stop();
  }
});

async function stormed(broker, clients, before) {
  let worst = 0;
  let stolen = stolenMs();
  for (const title of ['all come, new sessions', 'all come back to their sessions']) {
    const [storm, during] = await meanwhile(
      broker,
      kStormS,
      () => storming(broker, clients).report,
    );
    worst = Math.max(worst, during.p99us / before.p99us);
    console.log(
      `${title}: ${clients} in ${storm.seconds.toFixed(2)} s (${Math.round(storm.perSecond)}/s, ${storm.brokerCpuUs.toFixed(0)} µs of CPU each)`,
    );
    tell('  meanwhile', during);
    const after = stolenMs();
    if (after > stolen)
      console.log(`  of a virtual machine: not run by its host for ${after - stolen} ms`);
    stolen = after;
  }
  return worst;
}

async function flooded(broker, count, before) {
  const quiet = await honest(broker).report;
  const [result, during] = await meanwhile(broker, 4 * kFloodS, async () => {
    const peers = slowPeers(broker, count);
    try {
      await peers.open;
      const until = Date.now() + kFloodS * 1000;
      const busy = await honest(broker).report;
      await sleep(Math.max(0, until - Date.now()));
      return { busy, ...(await peers.end()) };
    } finally {
      await peers.end();
    }
  });
  console.log(
    `${count} that bring nothing: ${result.came} came, ${result.closed} of them were closed after ${kFloodHandshakeMs / 1000} s`,
  );
  tell('  meanwhile', during);
  const ms = (us) => (us / 1000).toFixed(1);
  console.log(
    `  honest clients connect in ${ms(quiet.p50us)} ms, meanwhile in ${ms(result.busy.p50us)} ms (p99 ${ms(quiet.p99us)} and ${ms(result.busy.p99us)} ms)`,
  );
  return during.p99us / before.p99us;
}

/** All cores together, since the system's start; in ms, to 10. 0 where the system does not tell. */
function stolenMs() {
  if (!existsSync('/proc/stat')) return 0;
  const [cpu = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  return Number(cpu.split(/\s+/)[8] ?? 0) * 10;
}

/** What `body` resolves to, and the report of steady traffic while it ran. */
async function meanwhile(broker, seconds, body) {
  const steady = traffic(broker, seconds);
  // If `body` fails, that is the error: not that the traffic sees its broker go then.
  steady.report.catch(() => {});
  await sleep(1500);
  let result;
  try {
    result = await body();
  } finally {
    steady.stop();
  }
  const during = await steady.report;
  if (during.lost + during.doubled + during.disordered > 0) throw new Error('messages were lost');
  return [result, during];
}

function tell(title, { p50us, p99us, maxUs }) {
  const [p50, p99, max] = [p50us, p99us, maxUs].map((us) => Math.round(us).toLocaleString('en'));
  console.log(`${title}: p50 ${p50} µs, p99 ${p99} µs, longest ${max} µs`);
}

function credentialArgs({ credentials }) {
  return Object.entries(credentials).flatMap(([key, value]) => [`--${key}`, value]);
}

/** Steady traffic; `stop` ends it before its time. */
function traffic(broker, seconds) {
  const args = ['open', '--qos', 1, '--publishers', 2, '--rate', kRate, '--seconds', seconds];
  const where = ['--port', broker.plainPort, '--warmup', 0.5, '--sleep', 1];
  const child = start([...args, ...where, ...credentialArgs(broker)], which('chrt') !== undefined);
  return { report: child.report, stop: () => child.process.kill('SIGINT') };
}

function storming(broker, clients) {
  return connecting(broker, clients, ['--at-once', clients, '--expiry', 3600]);
}

function honest(broker) {
  return connecting(broker, kHonest, ['--at-once', 1]);
}

function connecting(broker, count, more) {
  const args = ['connect', '--count', count, '--batch', count, ...more];
  const how = ['--warmup-connects', 0, '--version', 5, '--transport', 'tls'];
  const where = ['--port', broker.port, '--pid', broker.pids.join(',')];
  return start([...args, ...how, ...where, ...credentialArgs(broker)], false);
}

function slowPeers({ port }, count) {
  const program = join(root, 'bench', 'peers', 'slow.mjs');
  const command = ['taskset', '-c', '1', process.execPath, program, String(port), String(count)];
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const exited = new Promise((done) => child.once('close', done));
  const open = new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => {
      output += data;
      if (output.startsWith('open\n')) resolve();
    });
    exited.then(() => reject(new PlainError('the slow peers did not come in')));
  });
  const end = async () => {
    child.kill('SIGTERM');
    await exited;
    return JSON.parse(output.slice(output.indexOf('{')) || '{}');
  };
  return { open, end };
}

/** `urgent`: runs before the other generator on their core, where the system allows it. */
function start(args, urgent) {
  const scheduled = urgent && process.getuid?.() === 0 ? ['chrt', '--fifo', '10'] : [];
  const command = ['taskset', '-c', '1', ...scheduled, generator, ...args.map(String)];
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const report = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(output));
      else reject(new PlainError(errors.trim() || `the generator ended with exit code ${code}`));
    });
  });
  return { process: child, report };
}
