// `npm run fuzz [-- NAME… --seconds N]`: builds every program of test/fuzz/ with clang's libFuzzer and
// runs each on its seeds (test/fuzz/corpus/NAME) and what earlier runs found (build/fuzz/corpus/NAME).
import { existsSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cmakeBuild } from './cmake.mjs';
import { nativeSources, root } from './native-sources.mjs';
import { main, PlainError, run, which } from './run.mjs';
import { say, setUp } from './setup.mjs';
import { runSuites } from './suites.mjs';

function findClang() {
  const found = [process.env.FUZZ_CXX, 'clang++-14', 'clang++'].find(
    (name) => name !== undefined && which(name) !== undefined,
  );
  if (found === undefined) {
    throw new PlainError(
      'The fuzzers need clang with libFuzzer. Cure: apt-get install clang-14 libclang-rt-14-dev, or name yours: FUZZ_CXX=clang++-18',
    );
  }
  return found;
}

async function fuzz(folder, name, seconds) {
  const found = join(root, 'build', 'fuzz', 'corpus', name);
  const artifacts = join(root, 'build', 'fuzz', 'artifacts', name);
  mkdirSync(found, { recursive: true });
  mkdirSync(artifacts, { recursive: true });
  const seeds = join(root, 'test', 'fuzz', 'corpus', name);
  const dictionary = join(root, 'test', 'fuzz', `${name}.dict`);
  const code = await run(join(folder, name), [
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${artifacts}/`,
    '-timeout=10',
    '-rss_limit_mb=2048',
    '-print_final_stats=1',
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
    found,
    ...(existsSync(seeds) ? [seeds] : []),
  ]);
  if (code !== 0) console.log(`FAIL  ${name}: exit code ${code}; the input lies in ${artifacts}`);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '60' } },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new PlainError(`--seconds '${values.seconds}' is not a whole number above 0`);
  }
  const all = nativeSources('fuzz').map((path) => basename(path, '.cpp'));
  if (all.length === 0) throw new PlainError('there is no fuzz program in test/fuzz/');
  const unknown = positionals.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new PlainError(`no fuzz program '${unknown}'; there are ${all.join(', ')}`);
  }
  await setUp({ addon: false, typeScript: false });
  const clang = findClang();
  say(`compiling the fuzzers with ${clang}`);
  const folder = await cmakeBuild('fuzz/cmake', {
    STMQTT_FUZZ: 'ON',
    STMQTT_TESTS: 'OFF',
    CMAKE_CXX_COMPILER: clang,
  });
  return runSuites(
    (positionals.length === 0 ? all : positionals).map((name) => ({
      name: `fuzz ${name} (${seconds} s)`,
      body: () => fuzz(folder, name, seconds),
    })),
  );
});
