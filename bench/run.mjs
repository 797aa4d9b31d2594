// `npm run bench [-- ROW…] [--quick] [--rounds N] [--seconds S] [--brokers a,b] [--mqtt 3|4|5] [--write]`
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../scripts/native-sources.mjs';
import { ask, PlainError, run } from '../scripts/run.mjs';
import { splitResults } from './embedded/report.mjs';
import { brokers } from './lib/brokers.mjs';
import { buildGenerator } from './lib/build.mjs';
import { checkGenerator, measureRow } from './lib/measure.mjs';
import { resultsText, rowText, summarize } from './lib/report.mjs';
import { chooseRows, rows } from './lib/rows.mjs';

const help = `npm run bench [-- ROW… --quick --rounds N --seconds S --brokers a,b --mqtt 3|4|5 --write --list]
  ROW        rows by name or beginning (pipe, open, pipe-q0-64, …); all without any
  --quick    one round of 1.5 s each: to see that it works, not to compare
  --rounds   fresh brokers per row (5), --seconds measured in each (5)
  --brokers  of ${Object.keys(brokers).join(', ')}
  --write    writes bench/RESULTS.md, which needs a run of all rows`;

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      brokers: { type: 'string' },
      mqtt: { type: 'string', default: '4' },
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
  if (!['3', '4', '5'].includes(values.mqtt)) {
    throw new PlainError(`--mqtt ${values.mqtt}: 3 (3.1), 4 (3.1.1) or 5`);
  }
  const names = values.brokers?.split(',');
  const unknown = names?.find((name) => brokers[name] === undefined);
  if (unknown !== undefined) {
    throw new PlainError(`no broker '${unknown}'; there are ${Object.keys(brokers).join(', ')}`);
  }
  if (values.write && (positionals.length > 0 || values.quick || names !== undefined)) {
    throw new PlainError('--write needs all rows and brokers at full length');
  }
  return {
    ...values,
    names,
    positionals,
    rounds: positive('rounds', values.quick ? 1 : 5),
    seconds: positive('seconds', values.quick ? 1.5 : 5),
    warmup: values.quick ? 0.5 : 1,
    version: Number(values.mqtt),
  };
}

function namesFor(row, present) {
  if (row.kind === 'threads') return present.includes('st-mqttd') ? ['1', '2'] : [];
  const wanted =
    row.brokers ??
    ['st-mqttd', 'mosquitto', 'aedes', 'relay'].filter((name) => name !== 'relay' || row.floor);
  return wanted.filter((name) => present.includes(name) && (name !== 'relay' || row.floor));
}

/** Runs the rows of the command line; resolves to the exit code. */
export async function bench() {
  let options;
  let chosen;
  try {
    options = readOptions();
    chosen = chooseRows(options.positionals);
  } catch (error) {
    throw new PlainError(`${error.message}\n\n${help}`);
  }
  if (options.help || options.list) {
    console.log(options.help ? help : rows.map(({ id, title }) => `${id}: ${title}`).join('\n'));
    return 0;
  }
  if (availableParallelism() < 2) {
    throw new PlainError(
      'The benchmark needs two cores: one for the broker, one for the generator.',
    );
  }
  await buildGenerator();
  const skipped = [];
  const present = (options.names ?? Object.keys(brokers)).filter((name) => {
    const { missing: look, versions = [3, 4, 5] } = brokers[name];
    const missing = versions.includes(options.version) ? look() : 'does not speak that version';
    if (missing !== undefined) skipped.push(`${name} (${missing})`);
    return missing === undefined;
  });
  for (const broker of skipped) console.log(`skipped: ${broker}`);
  console.error('bench: checking that the generator notices loss, doubling and disorder');
  await checkGenerator();

  const summaries = [];
  const raw = {};
  let faulty = 0;
  for (const row of chosen) {
    const names = namesFor(row, present);
    if (names.length === 0) {
      console.log(`\n${row.title} [${row.id}]\n  skipped: none of its brokers is here`);
      skipped.push(`row ${row.id}`);
      continue;
    }
    raw[row.id] = await measureRow(row, names, options, (text) => console.error(`bench: ${text}`));
    const summary = summarize(row, raw[row.id]);
    summaries.push(summary);
    console.log(rowText(summary));
    const own = summary.kind === 'threads' ? summary.brokers : [summary.brokers['st-mqttd']];
    for (const broker of Object.values(own)) {
      if (broker === undefined) continue;
      if (broker.errors.length + broker.lost + broker.doubled + broker.disordered > 0) faulty += 1;
    }
  }

  const folder = join(root, 'bench', 'results');
  if (!existsSync(folder)) mkdirSync(folder);
  const date = new Date().toISOString();
  const machine = `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} cores`;
  const commit = ask('git', ['rev-parse', '--short', 'HEAD'], { cwd: root });
  const file = join(folder, `${date.replace(/[:.]/g, '-')}.json`);
  const record = { date, machine, commit, options, skipped, summaries, raw };
  writeFileSync(file, `${JSON.stringify(record, null, 1)}\n`);
  console.log(`\nwritten: ${file}`);
  if (options.write) {
    const text = resultsText({ machine, date: date.slice(0, 10), options, skipped, summaries });
    const results = join(root, 'bench', 'RESULTS.md');
    const { section } = splitResults(existsSync(results) ? readFileSync(results, 'utf8') : '');
    writeFileSync(results, section === '' ? text : `${text}\n${section}`);
    // The file is committed, and the linter wants its tables as the formatter sets them.
    const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
    await run(process.execPath, [biome, 'format', '--write', results]);
    console.log(`written: ${results}`);
  }
  const verdicts = summaries.flatMap((summary) => summary.verdicts);
  const count = (met) => verdicts.filter((verdict) => verdict.met === met).length;
  console.log(
    `\n${count(true)} targets met, ${count(false)} missed; ${faulty} rows with faults of st-mqttd; ${skipped.length} skipped`,
  );
  // Speed is judged by readers; lost, doubled or disordered messages and crashes are failures.
  return faulty === 0 ? 0 : 1;
}
