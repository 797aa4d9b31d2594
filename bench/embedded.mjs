// `npm run bench:embedded [-- ROW…] [--quick] [--rounds N] [--seconds S] [--write]`: st-mqttd and aedes,
// both embedded in a Node process; see bench/README.md.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../scripts/native-sources.mjs';
import { ask, main, PlainError, run } from '../scripts/run.mjs';
import { measureRound } from './embedded/measure.mjs';
import {
  faultsOf,
  noiseText,
  rowText,
  sectionText,
  splitResults,
  summarize,
} from './embedded/report.mjs';
import { chooseRows, rows } from './embedded/rows.mjs';
import { buildGenerator } from './lib/build.mjs';

const help = `npm run bench:embedded [-- ROW… --quick --rounds N --seconds S --write --list]
  ROW        rows by name or beginning (link, hook-1, …); all without any
  --quick    one round of 0.3 s each: to see that it works, not to compare
  --rounds   fresh brokers per row (5), --seconds measured in each (3)
  --write    writes bench/results/ and its section of bench/RESULTS.md; needs all rows at full length`;

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      write: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const positive = (name, otherwise) => {
    const value = Number(values[name] ?? otherwise);
    if (!(value > 0)) throw new PlainError(`--${name} ${values[name]}: not a number above 0`);
    return value;
  };
  if (values.write && (positionals.length > 0 || values.quick)) {
    throw new PlainError('--write needs all rows at full length');
  }
  return {
    ...values,
    chosen: chooseRows(positionals),
    rounds: positive('rounds', values.quick ? 1 : 5),
    seconds: positive('seconds', values.quick ? 0.3 : 3),
    warmup: values.quick ? 0.1 : 1,
  };
}

async function measureRow(row, options) {
  const names = row.brokers ?? ['st-mqttd', 'aedes'];
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const name of names) {
      console.error(`bench: ${row.id}: ${name}, round ${round + 1} of ${options.rounds}`);
      const report = await measureRound(row, name, options).catch(({ message }) => ({
        error: message,
      }));
      results[name].push(report);
    }
  }
  return results;
}

async function write(record) {
  const folder = join(root, 'bench', 'results');
  if (!existsSync(folder)) mkdirSync(folder);
  const file = join(folder, `embedded-${record.date.replace(/[:.]/g, '-')}.json`);
  writeFileSync(file, `${JSON.stringify(record, null, 1)}\n`);
  const results = join(root, 'bench', 'RESULTS.md');
  const { main: others } = splitResults(existsSync(results) ? readFileSync(results, 'utf8') : '');
  const section = sectionText({ ...record, date: record.date.slice(0, 10) });
  writeFileSync(results, `${others.trimEnd()}\n\n${section}`.trimStart());
  // The file is committed, and the linter wants its tables as the formatter sets them.
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  await run(process.execPath, [biome, 'format', '--write', results]);
  console.log(`written: ${file}, ${results}`);
}

await main(async () => {
  let options;
  try {
    options = readOptions();
  } catch (error) {
    throw new PlainError(`${error.message}\n\n${help}`);
  }
  if (options.help || options.list) {
    console.log(options.help ? help : rows.map(({ id, title }) => `${id}: ${title}`).join('\n'));
    return 0;
  }
  if (!existsSync(join(root, 'dist', 'index.js'))) throw new PlainError('not built: npm run build');
  if (availableParallelism() < 2) {
    throw new PlainError('It needs two cores: one for the broker, one for its clients.');
  }
  if (options.chosen.some(({ kind }) => kind === 'load')) await buildGenerator();
  const summaries = [];
  const raw = {};
  for (const row of options.chosen) {
    raw[row.id] = await measureRow(options.quick ? { ...row, ...row.quick } : row, options);
    const summary = summarize(row, raw[row.id]);
    summaries.push(summary);
    console.log(rowText(summary));
  }
  const load = { average: loadavg()[0], cores: availableParallelism() };
  if (options.write) {
    const date = new Date().toISOString();
    const machine = `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} cores`;
    const commit = ask('git', ['rev-parse', '--short', 'HEAD'], { cwd: root });
    const { rounds, seconds } = options;
    await write({ date, machine, commit, options: { rounds, seconds }, load, summaries, raw });
  }
  const faulty = summaries.filter((summary) => faultsOf(summary) > 0).length;
  const noise = noiseText(load);
  if (noise !== '') console.log(`\n${noise}`);
  console.log(`\n${summaries.length} rows; ${faulty} with faults of st-mqttd`);
  // Speed is judged by readers; lost, doubled or disordered messages and crashes are failures.
  return faulty === 0 ? 0 : 1;
});
