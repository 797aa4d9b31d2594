// Writes docs/OPTIONS.md from the option table (src/config/). `npm run build` first.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { main, PlainError } from './run.mjs';

await main(async () => {
  let markdown;
  try {
    ({ optionsMarkdown: markdown } = await import('../dist/config/markdown.js'));
  } catch (error) {
    throw new PlainError(
      `the option table is not built (${error.message}); run npm run build first`,
    );
  }
  writeFileSync(join(root, 'docs', 'OPTIONS.md'), markdown());
});
