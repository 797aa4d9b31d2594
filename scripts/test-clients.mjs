// `npm run test:clients [-- ARGUMENTS]`: real clients against the broker. Each test names the client
// it needs; one that is not on this machine is counted as skipped, with its cure.
import { main } from './run.mjs';
import { setUp } from './setup.mjs';
import { runSuites, runVitest } from './suites.mjs';

await main(async () => {
  await setUp();
  const args = process.argv.slice(2);
  return runSuites([{ name: 'clients', body: () => runVitest(['test/clients'], { args }) }]);
});
