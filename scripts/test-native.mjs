// `npm run test:native [-- FILTER…]`: the C++ unit tests; arguments go to the test program.
import { main, run } from './run.mjs';
import { buildUnitTests, setUp } from './setup.mjs';

await main(async () => {
  await setUp({ addon: false, typeScript: false });
  return run(await buildUnitTests(), process.argv.slice(2));
});
