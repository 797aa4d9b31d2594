// `npm run bench:storm [-- CLIENTS]`: a whole fleet comes back at once. The broker is alone on core 0 and
// has steady traffic on a plain listener; CLIENTS (default 10,000) connect by TLS at the same moment,
// with password and persistent session, as after a restart; then they are cut off and come back, to
// sessions that are there. Told are the time until all are back, and what the traffic's latency
// became meanwhile. Both generators share core 1, so what they take from each other is in it too.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { main, PlainError, which } from '../scripts/run.mjs';
import { startBroker } from './lib/brokers.mjs';
import { buildGenerator, generator } from './lib/build.mjs';

/** Of the listener: the others wait in the backlog, and whoever is in is served soon. */
const kMaxHandshakes = 8;
const kRate = 500;
const kBaselineS = 5;
const kStormS = 60;
/** The traffic's p99 while the storm lasts, as a multiple of what it was. */
const kAllowed = 2;

await main(async () => {
  const clients = Number(process.argv[2] ?? 10_000);
  if (!Number.isInteger(clients) || clients < 1) throw new PlainError('CLIENTS is a number');
  if (availableParallelism() < 2) throw new PlainError('It needs two cores.');
  await buildGenerator();
  const broker = await startBroker('st-mqttd+static', {
    cores: '0',
    transport: 'tls',
    maxHandshakes: kMaxHandshakes,
  });
  try {
    const before = await traffic(broker, kBaselineS).report;
    tell('before', before);
    let worst = 0;
    for (const title of ['all come, new sessions', 'all come back to their sessions']) {
      const steady = traffic(broker, kStormS);
      await sleep(1500);
      const storm = await storming(broker, clients);
      steady.stop();
      const during = await steady.report;
      const share = during.p99us / before.p99us;
      worst = Math.max(worst, share);
      console.log(
        `${title}: ${clients} in ${storm.seconds.toFixed(2)} s (${Math.round(storm.perSecond)}/s, ${storm.brokerCpuUs.toFixed(0)} µs of CPU each)`,
      );
      tell('  meanwhile', during);
      if (during.lost + during.doubled + during.disordered > 0)
        throw new Error('messages were lost');
    }
    console.log(`p99 grew to ${worst.toFixed(2)} times; at most ${kAllowed} is wanted`);
    return worst <= kAllowed ? 0 : 1;
  } finally {
    await broker.stop();
  }
});

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
  const args = ['connect', '--count', clients, '--at-once', clients, '--batch', clients];
  const how = ['--warmup-connects', 0, '--expiry', 3600, '--version', 5, '--transport', 'tls'];
  const where = ['--port', broker.port, '--pid', broker.pids.join(',')];
  return start([...args, ...how, ...where, ...credentialArgs(broker)], false).report;
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
