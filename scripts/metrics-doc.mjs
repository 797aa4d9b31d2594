// Writes docs/METRICS.md from the table of metrics (src/metrics/). `npm run build` first.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { main, PlainError } from './run.mjs';

await main(async () => {
  let markdown;
  try {
    ({ metricsMarkdown: markdown } = await import('../dist/metrics/markdown.js'));
  } catch (error) {
    throw new PlainError(
      `the table of metrics is not built (${error.message}); run npm run build first`,
    );
  }
  writeFileSync(join(root, 'docs', 'METRICS.md'), markdown());
});
