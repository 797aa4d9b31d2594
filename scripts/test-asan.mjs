// `npm run test:asan`: the unit tests, then the addon inside Node, under AddressSanitizer and
// UndefinedBehaviorSanitizer.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cmakeBuild } from './cmake.mjs';
import { ask, main } from './run.mjs';
import { say, setUp } from './setup.mjs';
import { runNativeTests, runSuites, runVitest, skipped } from './suites.mjs';

const undefinedOptions = 'print_stacktrace=1:halt_on_error=1';

/** node-gyp-build looks for build/Release in the folder that ST_MQTTD_PREBUILD names. */
function linkAddon(folder) {
  const packageFolder = join(folder, 'package');
  const release = join(packageFolder, 'build', 'Release');
  mkdirSync(release, { recursive: true });
  const link = join(release, 'st_mqttd.node');
  rmSync(link, { force: true });
  symlinkSync(join(folder, 'Release', 'st_mqttd.node'), link);
  return packageFolder;
}

await main(async () => {
  await setUp();
  say('compiling with AddressSanitizer and UndefinedBehaviorSanitizer');
  const folder = await cmakeBuild('asan', { STMQTT_SANITIZE: 'address', STMQTT_ADDON: 'ON' });
  const library = ask('g++', ['-print-file-name=libasan.so']);
  const addon = () => {
    if (library === undefined || !library.startsWith('/')) {
      return skipped('addon under ASan', 'g++ has no libasan.so: apt-get install libgcc-12-dev');
    }
    return runVitest(['test/addon', 'test/conformance'], {
      // Only processes with the library loaded first can load the instrumented addon.
      env: {
        LD_PRELOAD: library,
        // Node itself leaks by design: what matters is the unit tests' own leak check above.
        ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
        UBSAN_OPTIONS: undefinedOptions,
        ST_MQTTD_PREBUILD: linkAddon(folder),
        ST_MQTTD_SANITIZED: 'address',
      },
      args: ['--testTimeout=120000', '--hookTimeout=120000', '--maxWorkers=1'],
    });
  };
  return runSuites([
    {
      name: 'native (ASan, UBSan)',
      body: () =>
        runNativeTests(join(folder, 'unit_tests'), process.argv.slice(2), {
          env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=1', UBSAN_OPTIONS: undefinedOptions },
        }),
    },
    { name: 'addon (ASan, UBSan)', body: addon },
  ]);
});
