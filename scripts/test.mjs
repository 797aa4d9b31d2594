// `npm test [-- SUITE…]`: sets up like `npm start`, then runs every suite that needs no more than
// Node, a C++ compiler and python3. Ends with one line: N passed, N failed[, N skipped].
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { main, PlainError } from './run.mjs';
import { buildUnitTests, setUp } from './setup.mjs';
import { runCheck, runNativeTestsAgain, runSuites, runVitest } from './suites.mjs';

const tool = (...path) => join(root, 'node_modules', ...path);
const tsc = tool('typescript', 'bin', 'tsc');
const pageTypes = join('src', 'console', 'ui');

const suites = [
  { name: 'native', body: async () => runNativeTestsAgain(await buildUnitTests()) },
  { name: 'unit', body: () => runVitest(['test/unit']) },
  { name: 'layers', body: () => runVitest(['test/layers']) },
  {
    name: 'conformance',
    body: () => runVitest(['test/harness', 'test/conformance'], { again: true }),
  },
  { name: 'addon', body: () => runVitest(['test/addon'], { again: true }) },
  { name: 'e2e', body: () => runVitest(['test/e2e'], { again: true }) },
  {
    name: 'package',
    body: () =>
      runVitest(['test/package'], { env: { ST_MQTTD_PACKAGE_TEST: 'host' }, again: true }),
  },
  { name: 'types', body: () => runCheck(process.execPath, [tsc, '-p', 'tsconfig.test.json']) },
  // What knows a browser, and not Node; and its tests, which know both.
  { name: 'types of the page', body: () => runCheck(process.execPath, [tsc, '-p', pageTypes]) },
  { name: 'types of its tests', body: () => runCheck(process.execPath, [tsc, '-p', 'test/ui']) },
  {
    name: 'lint',
    body: () =>
      runCheck(process.execPath, [tool('@biomejs', 'biome', 'bin', 'biome'), 'check', '.']),
  },
];

await main(async () => {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !suites.some((suite) => suite.name === name));
  if (unknown !== undefined) {
    const known = suites.map((suite) => suite.name).join(', ');
    throw new PlainError(`npm test: no suite '${unknown}'; there are ${known}`);
  }
  await setUp();
  return runSuites(suites.filter(({ name }) => names.length === 0 || names.includes(name)));
});
