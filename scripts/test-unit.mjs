// `npm run test:unit [-- ARGUMENTS]`: TypeScript unit tests; arguments go to vitest.
import { main } from './run.mjs';
import { setUp } from './setup.mjs';
import { countsText, runVitest } from './suites.mjs';

await main(async () => {
  await setUp({ typeScript: false });
  const counts = await runVitest(['test/unit'], { args: process.argv.slice(2) });
  console.log(countsText(counts));
  return counts.failed === 0 ? 0 : 1;
});
