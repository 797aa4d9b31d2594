// `npm start -- [ARGUMENTS]`: sets up what is missing or stale, then is the broker itself: same
// process, so signals and exit code are the broker's own.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './native-sources.mjs';
import { main, PlainError } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  await setUp();
  const program = join(root, 'dist', 'cli', 'main.js');
  if (!existsSync(program))
    throw new PlainError(`${program} is missing although the build succeeded`);
  process.argv.splice(1, 1, program);
  await import(pathToFileURL(program).href);
  return process.exitCode;
});
