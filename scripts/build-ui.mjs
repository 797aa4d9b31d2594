// `npm run build:ui`: the console's live page, src/console/ui, into dist/ui by vite. Everything that
// it needs is in there: its page policy allows nothing from elsewhere.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './native-sources.mjs';
import { main } from './run.mjs';

export const pageFile = join(root, 'dist', 'ui', 'index.html');
export const pageInputs = [
  'src/console/ui',
  'src/console/live-protocol.ts',
  'scripts/build-ui.mjs',
  'tsconfig.base.json',
  'package-lock.json',
];

/** What is bundled, whose licences ask for their notice. */
const bundled = ['preact', 'uplot'];

export async function buildPage() {
  const { build } = await import('vite');
  const outDir = join(root, 'dist', 'ui');
  await build({
    configFile: false,
    root: join(root, 'src', 'console', 'ui'),
    // Relative: a proxy may put a prefix before /ui/.
    base: './',
    logLevel: 'error',
    build: {
      outDir,
      emptyOutDir: true,
      target: ['chrome123', 'firefox120', 'safari17.5'],
      // Nothing becomes a data: URL: the page's policy refuses them.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
  const notices = bundled.map((name) => {
    const licence = readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8').trim();
    return `${name}\n\n${licence}\n`;
  });
  writeFileSync(join(outDir, 'LICENSES.txt'), notices.join('\n'));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    await buildPage();
  });
}
