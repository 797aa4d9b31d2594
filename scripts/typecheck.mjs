// `npm run typecheck`: the sources as they are built, and tests and benchmarks with them.
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { main, run } from './run.mjs';

await main(async () => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  for (const project of ['tsconfig.json', 'tsconfig.test.json']) {
    const code = await run(process.execPath, [tsc, '-p', project, '--noEmit'], { cwd: root });
    if (code !== 0) return code;
  }
  return 0;
});
