// `npm run test:mutants [-- NAME…]`: for each STMQTT_MUTANT_<NAME> in native/ (a gate, barrier or
// invalidation that the name leaves out) a unit test program in which at least one test must fail.
// Everything is compiled once; a mutant compiles only the sources that mention it, themselves or in
// a header, and is linked with the others' objects.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { nativeSources, root } from './native-sources.mjs';
import { ask, main, PlainError, run, runLogged, which } from './run.mjs';
import { say } from './setup.mjs';
import { parseCounts, runSuites } from './suites.mjs';

const folder = join(root, 'build', 'mutants');
const [compiler, ...before] = (process.env.CXX ?? 'g++').split(' ');
const flags = ['-std=c++20', '-O1', '-fno-exceptions', '-fno-rtti', '-pthread'];
const includes = [`-I${join(root, 'native')}`, `-I${join(root, 'test', 'native')}`];

/** Mutants by name, each with the files that mention it. */
function mutants() {
  const found = new Map();
  for (const entry of readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true })) {
    if (!/\.[ch]pp$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    for (const [, name] of readFileSync(path, 'utf8').matchAll(/\bSTMQTT_MUTANT_([A-Z0-9_]+)/g)) {
      found.set(name, (found.get(name) ?? new Set()).add(path));
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Runs `body` on all items, on as many processors as there are. */
async function inParallel(items, body) {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await body(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

const objectOf = (name, source) => join(folder, name, source.replace(/\.cpp$/, '.o'));

/** The files that an object was compiled from, as the compiler noted them; undefined without it. */
function inputsOf(object) {
  const notes = object.replace(/\.o$/, '.d');
  if (!existsSync(object) || !existsSync(notes)) return undefined;
  const text = readFileSync(notes, 'utf8').replace(/\\\n/g, ' ');
  return text
    .slice(text.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map((path) => resolve(root, path)); // ccache may write relative ones
}

function isFresh(object) {
  const made = existsSync(object) ? statSync(object).mtimeMs : 0;
  const inputs = inputsOf(object);
  return inputs?.every((path) => existsSync(path) && statSync(path).mtimeMs < made) ?? false;
}

async function compile(name, source, defines) {
  const object = objectOf(name, source);
  mkdirSync(dirname(object), { recursive: true });
  await runLogged(
    compiler,
    [...before, ...flags, ...defines, ...includes, '-MMD', '-c', join(root, source), '-o', object],
    { log: `${object}.log`, doing: `Compiling ${source} (${name})` },
  );
}

/** Links and runs; resolves to the titles of the tests that failed, or what else went wrong. */
async function failures(name, objects) {
  const program = join(folder, name, 'unit_tests');
  await runLogged(compiler, [...before, ...flags, ...objects, '-ldl', '-o', program], {
    log: `${program}.log`,
    doing: `Linking the tests (${name})`,
  });
  // Those that know most come first; the engine's, which wait for real time, only if need be.
  const soon = ['native/route_', 'native/session_', 'native/model'];
  const titles = await failuresOf(program, soon);
  return titles.length > 0 ? titles : failuresOf(program, []);
}

async function failuresOf(program, filters) {
  // A mutant may hang instead of failing a check: that is a failure too.
  const limit = ask('timeout', ['--version']) === undefined ? [] : ['timeout', '-k', '5', '300'];
  const [command, ...args] = [...limit, program, ...filters];
  const output = openSync(`${program}.out`, 'w');
  const code = await run(command, args, {
    stdio: ['ignore', output, output],
    env: { ...process.env, STMQTT_STOP_AT_FAILURE: '1' },
  });
  closeSync(output);
  const text = readFileSync(`${program}.out`, 'utf8');
  const titles = [...text.matchAll(/^FAIL {2}(.*) \(.*\)$/gm)].map(([, title]) => title);
  if (titles.length > 0) return titles;
  if (code !== 0) return [/^crashed in test: .*/m.exec(text)?.[0] ?? `exit code ${code}`];
  if (parseCounts(text) === undefined) return ['the program gave no result'];
  return [];
}

await main(async () => {
  const all = mutants();
  const chosen = process.argv.slice(2);
  const unknown = chosen.find((name) => !all.has(name));
  if (unknown !== undefined) {
    const names = [...all.keys()].join(', ');
    throw new PlainError(`no STMQTT_MUTANT_${unknown} in native/; there are: ${names}`);
  }
  if (all.size === 0) throw new PlainError('there is no STMQTT_MUTANT_<NAME> in native/');
  if (which(compiler) === undefined) {
    throw new PlainError(`'${compiler}' is missing: on Debian or Ubuntu, apt-get install g++`);
  }

  const sources = [...nativeSources('core'), ...nativeSources('tests')];
  const stale = sources.filter((source) => !isFresh(objectOf('none', source)));
  say(`compiling the unit tests without a mutant (${stale.length} of ${sources.length} files)`);
  await inParallel(stale, (source) => compile('none', source, []));
  const objects = sources.map((source) => objectOf('none', source));

  say('running them');
  const already = await failures('none', objects);
  if (already.length > 0) {
    throw new PlainError(
      `A test that fails anyway notices nothing; without a mutant: ${already.join('; ')}`,
    );
  }
  const noticed = async (name) => {
    const mentions = all.get(name);
    const affected = sources.filter((source) =>
      inputsOf(objectOf('none', source)).some((path) => mentions.has(path)),
    );
    say(`compiling the mutant ${name} (${affected.length} files)`);
    try {
      const define = `-DSTMQTT_MUTANT_${name}=1`;
      await inParallel(affected, (source) => compile(name, source, [define]));
      const noticedBy = await failures(
        name,
        sources.map((source) => objectOf(affected.includes(source) ? name : 'none', source)),
      );
      if (noticedBy.length === 0) {
        console.log(`FAIL  no test noticed that ${name} is left out`);
        return { passed: 0, failed: 1, skipped: 0 };
      }
      console.log(`ok    ${name} was noticed: ${noticedBy.slice(0, 3).join('; ')}`);
      return { passed: 1, failed: 0, skipped: 0 };
    } finally {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  };
  const names = chosen.length === 0 ? [...all.keys()] : chosen;
  return runSuites(names.map((name) => ({ name, body: () => noticed(name) })));
});
