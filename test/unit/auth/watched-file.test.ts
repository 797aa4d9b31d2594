// What happens to a file while it is being read for the first time.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WatchedFile } from '../../../src/auth/watched-file.ts';
import { eventually } from '../../harness/eventually.ts';

test('a change between the first reading and the watching is not missed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-watched-'));
  const path = join(folder, 'file');
  writeFileSync(path, 'old');
  let readings = 0;
  const file = await WatchedFile.open({
    path,
    intervalMs: 3_600_000,
    onError: () => undefined,
    read: async () => {
      const text = await readFile(path, 'utf8');
      if (readings++ === 0) writeFileSync(path, 'newer');
      return text;
    },
  });
  try {
    await eventually(() => expect(file.value).toBe('newer'));
  } finally {
    file.stop();
    rmSync(folder, { recursive: true });
  }
});
