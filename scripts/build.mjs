// `npm run build [-- addon|typescript|unit-tests]`: compiles what is stale.
import { main, PlainError } from './run.mjs';
import { buildUnitTests, setUp } from './setup.mjs';

await main(async () => {
  const parts = process.argv.slice(2);
  const known = ['addon', 'typescript', 'unit-tests'];
  const unknown = parts.find((part) => !known.includes(part));
  if (unknown !== undefined) {
    throw new PlainError(`npm run build: no part '${unknown}'; there are ${known.join(', ')}`);
  }
  const all = parts.length === 0;
  await setUp({
    addon: all || parts.includes('addon'),
    typeScript: all || parts.includes('typescript'),
  });
  if (parts.includes('unit-tests')) await buildUnitTests();
});
