// Runs rows: fresh brokers in turn (A B A B …), each alone on one core, the generator on another.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker } from './brokers.mjs';
import { generator } from './build.mjs';
import { startTamper } from './tamper.mjs';

const brokerCore = '0';
const generatorCore = '1';

/** Runs the generator; resolves to its report. */
function generate(args, core) {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', core, generator, ...args.map(String)], {
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
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(output));
      else reject(new Error(errors.trim() || `the generator ended with exit code ${code}`));
    });
  });
}

async function loadRound(row, name, options) {
  const { transport } = row;
  const broker = await startBroker(name, { cores: brokerCore, shape: row.floor, transport });
  try {
    const args = options.quick && row.quickArgs !== undefined ? row.quickArgs : row.args;
    const timing =
      row.timed === false ? [] : ['--seconds', options.seconds, '--warmup', options.warmup];
    return await generate(
      [
        ...args,
        ...timing,
        '--port',
        broker.port,
        '--pid',
        broker.pids.join(','),
        '--version',
        name === 'relay' ? 4 : options.version,
        ...(transport === undefined ? [] : ['--transport', transport]),
        ...Object.entries(broker.credentials ?? {}).flatMap(([key, value]) => [`--${key}`, value]),
      ],
      generatorCore,
    );
  } finally {
    await broker.stop();
  }
}

function rssMib(pids) {
  let kib = 0;
  for (const pid of pids) {
    const line = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    kib += Number(line?.[1] ?? 0);
  }
  return kib / 1024;
}

function nodeStartMs() {
  const began = process.hrtime.bigint();
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', brokerCore, process.execPath, '-e', '0'], {
      stdio: 'ignore',
    });
    child.once('error', reject);
    child.once('close', () => resolve(Number(process.hrtime.bigint() - began) / 1e6));
  });
}

async function processRound(name) {
  const nodeMs = await nodeStartMs();
  const broker = await startBroker(name, { cores: brokerCore });
  try {
    await sleep(2000);
    const beyond = broker.startMs - nodeMs;
    return { rssMib: rssMib(broker.pids), startMs: broker.startMs, startBeyondNodeMs: beyond };
  } finally {
    await broker.stop();
  }
}

/**
 * One and two I/O threads under the same load. With three cores or more the rates are compared; with
 * two, generator and broker would share one, so the gain is derived from the CPU time per message:
 * two threads that cost 1.2 times as much CPU as one could carry 2 / 1.2 times the load.
 * Where a row is about pairs that share a thread, it runs a second time with one more connection
 * between subscribers and publishers, which puts each pair's ends apart; the cheaper run is the shared.
 */
async function threadsRound(row, ioThreads, options) {
  const enough = availableParallelism() >= 3;
  // An open loop's generator spins: on two cores it needs one for itself.
  const alone = row.p99AtMost !== undefined;
  const cores = enough ? ['0,1', '2'] : alone ? [brokerCore, generatorCore] : ['0-1', '0-1'];
  const broker = await startBroker('st-mqttd', { cores: cores[0], ioThreads });
  try {
    const timing = ['--seconds', options.seconds, '--warmup', options.warmup];
    const where = ['--port', broker.port, '--pid', broker.pids.join(',')];
    const reports = [];
    for (const spare of row.pairs && ioThreads > 1 ? [0, 1] : [0]) {
      const args = [...row.args, ...timing, ...where, '--version', options.version];
      reports.push(await generate([...args, '--spare', spare], cores[1]));
    }
    reports.sort((a, b) => a.brokerCpuUs - b.brokerCpuUs);
    const [report, apart] = reports;
    const faults = ['lost', 'doubled', 'disordered'].map((name) => [
      name,
      reports.reduce((sum, one) => sum + one[name], 0),
    ]);
    return {
      ...report,
      ...Object.fromEntries(faults),
      apartCpuUs: apart?.brokerCpuUs,
      capacity: enough ? report.perSecond : ioThreads / report.brokerCpuUs,
    };
  } finally {
    await broker.stop();
  }
}

/** { broker: [report of each round, or { error }] } of one row. */
export async function measureRow(row, names, options, progress) {
  const results = Object.fromEntries(names.map((name) => [name, []]));
  const rounds = Math.min(options.rounds, row.rounds ?? options.rounds);
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      progress(`${row.id}: ${name}, round ${round + 1} of ${rounds}`);
      let report;
      try {
        if (row.kind === 'threads') report = await threadsRound(row, Number(name), options);
        else if (row.kind === 'process') report = await processRound(name);
        else report = await loadRound(row, name, options);
      } catch (error) {
        report = { error: error.message };
      }
      results[name].push(report);
    }
  }
  return results;
}

/** Damages what the relay delivers and demands that the generator says so; throws otherwise. */
export async function checkGenerator() {
  const expected = {
    none: { lost: false, doubled: false, disordered: false },
    drop: { lost: true, doubled: false, disordered: false },
    double: { lost: false, doubled: true, disordered: false },
    swap: { lost: false, doubled: false, disordered: true },
  };
  const relay = await startBroker('relay', { cores: brokerCore, shape: 'pipe' });
  try {
    for (const [damage, findings] of Object.entries(expected)) {
      const tamper = await startTamper(relay.port, damage);
      try {
        const args = ['pipe', '--publishers', 2, '--port', tamper.port, '--seconds', 1];
        const report = await generate([...args, '--warmup', 0], generatorCore);
        for (const [name, wanted] of Object.entries(findings)) {
          if (report[name] > 0 !== wanted) {
            throw new Error(`the generator does not tell '${damage}': ${JSON.stringify(report)}`);
          }
        }
      } finally {
        await tamper.stop();
      }
    }
  } finally {
    await relay.stop();
  }
}
