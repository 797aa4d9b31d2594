import { defineConfig } from 'vitest/config';

// Every suite is a folder under test/; `npm test` names the folders it runs (scripts/test.mjs).
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The addon holds threads and per-environment state: a process per file keeps a crash from
    // taking other files' results with it.
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
