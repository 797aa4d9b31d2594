import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadAddonFrom, packageVersion } from '../../../src/native/load.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'st-mqttd-load-'));

test('no addon: the text names platform, Node and the cures', () => {
  const empty = folder();
  let error: unknown;
  try {
    loadAddonFrom(empty);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'ST_ADDON_MISSING', cause: expect.any(Error) });
  const message = String(error);
  for (const word of [
    empty,
    `${process.platform}-${process.arch}`,
    process.versions.node,
    'npm rebuild st-mqttd',
    'g++',
    'python3',
  ]) {
    expect(message).toContain(word);
  }
  expect(message).not.toContain('\n');
});

test('an addon that the system refuses', () => {
  const broken = folder();
  mkdirSync(join(broken, 'build', 'Release'), { recursive: true });
  writeFileSync(join(broken, 'build', 'Release', 'st_mqttd.node'), 'not a library');
  expect(() => loadAddonFrom(broken)).toThrow(
    expect.objectContaining({
      code: 'ST_ADDON_UNLOADABLE',
      message: expect.stringContaining('npm rebuild st-mqttd'),
    }),
  );
});

test('the version is that of package.json', () => {
  expect(packageVersion()).toMatch(/^\d+\.\d+\.\d+/);
});
