// `npm run test:mutants [-- NAME…]`: for each STMQTT_MUTANT_<NAME> in native/ (a gate, barrier or
// invalidation that the name leaves out) a build in which at least one unit test must fail.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cmakeBuild } from './cmake.mjs';
import { root } from './native-sources.mjs';
import { ask, main, PlainError, runKeeping } from './run.mjs';
import { say, setUp } from './setup.mjs';
import { parseCounts, runSuites } from './suites.mjs';

function mutants() {
  const names = new Set();
  for (const entry of readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true })) {
    if (!/\.[ch]pp$/.test(entry.name)) continue;
    const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
    for (const [, name] of text.matchAll(/\bSTMQTT_MUTANT_([A-Z0-9_]+)/g)) names.add(name);
  }
  return [...names].sort();
}

async function survives(name) {
  // One folder for all: the sources without the name stay compiled only where flags are equal, so
  // each mutant compiles anew, but none leaves hundreds of megabytes behind.
  const folder = await cmakeBuild('mutant', { STMQTT_MUTANT: name, STMQTT_WERROR: 'OFF' });
  // A mutant may hang instead of failing a check: that is a failure too.
  const limit = ask('timeout', ['--version']) === undefined ? [] : ['timeout', '-k', '5', '300'];
  const [command, ...args] = [...limit, join(folder, 'unit_tests')];
  const { code, output } = await runKeeping(command, args);
  const counts = parseCounts(output);
  return code === 0 && counts !== undefined && counts.failed === 0;
}

await main(async () => {
  const all = mutants();
  const chosen = process.argv.slice(2);
  const unknown = chosen.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new PlainError(`no STMQTT_MUTANT_${unknown} in native/; there are: ${all.join(', ')}`);
  }
  await setUp({ addon: false, typeScript: false });
  const suites = (chosen.length === 0 ? all : chosen).map((name) => ({
    name,
    body: async () => {
      say(`compiling the mutant ${name}`);
      const lived = await survives(name);
      console.log(
        lived ? `FAIL  no test noticed that ${name} is left out` : `ok    ${name} was noticed`,
      );
      return { passed: lived ? 0 : 1, failed: lived ? 1 : 0, skipped: 0 };
    },
  }));
  if (suites.length === 0) throw new PlainError('there is no STMQTT_MUTANT_<NAME> in native/');
  return runSuites(suites);
});
