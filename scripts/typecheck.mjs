// `npm run typecheck`: the sources as they are built, tests and benchmarks with them, and the
// console's page, which knows a browser and not Node.
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { main, run } from './run.mjs';

await main(async () => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  for (const project of [
    'tsconfig.json',
    'tsconfig.test.json',
    'src/console/ui/tsconfig.json',
    'test/ui/tsconfig.json',
  ]) {
    const code = await run(process.execPath, [tsc, '-p', project, '--noEmit'], { cwd: root });
    if (code !== 0) return code;
  }
  return 0;
});
