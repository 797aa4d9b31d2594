// `npm run test:tsan [-- FILTER…]`: the C++ unit tests, the engine's with several threads among them,
// under ThreadSanitizer, in a program without Node: there it sees every thread.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cmakeBuild } from './cmake.mjs';
import { root } from './native-sources.mjs';
import { ask, main } from './run.mjs';
import { say, setUp } from './setup.mjs';
import { runNativeTests, runSuites } from './suites.mjs';

await main(async () => {
  await setUp({ addon: false, typeScript: false });
  say('compiling with ThreadSanitizer');
  const folder = await cmakeBuild('tsan', { STMQTT_SANITIZE: 'thread' });
  const program = join(folder, 'unit_tests');
  // TSan's shadow memory needs a fixed layout; newer kernels randomize more than it can take.
  const fixedLayout = ask('setarch', ['-R', 'true']) !== undefined;
  if (!fixedLayout) say("'setarch -R' does not work here; if TSan fails to start, that is why");
  const command = fixedLayout ? ['setarch', '-R', program] : [program];
  const suppressions = join(root, 'test', 'native', 'tsan.supp');
  const options = ['halt_on_error=0', 'second_deadlock_stack=1', 'exitcode=66'];
  if (existsSync(suppressions)) options.push(`suppressions=${suppressions}`);
  return runSuites([
    {
      name: 'native (TSan)',
      body: () =>
        runNativeTests(command[0], [...command.slice(1), ...process.argv.slice(2)], {
          env: { ...process.env, TSAN_OPTIONS: options.join(':') },
        }),
    },
  ]);
});
