// package.json and the lock file agree with what set-up and packaging promise.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

interface Locked {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
};
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>;
};

// `npm ci` refuses a lock file in which a package for another platform is missing, and npm writes
// such a file when the registry it asked had none.
test('the lock file has every optional dependency', () => {
  const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {}).filter((name) => {
      const nested = `${path}/node_modules/${name}`;
      return ![nested, `node_modules/${name}`].some((entry) => lock.packages[entry]?.version);
    }),
  );
  expect(missing).toEqual([]);
});

test('every script names a file that exists', () => {
  for (const command of Object.values(manifest.scripts)) {
    const file = /^node (\S+\.mjs)/.exec(command)?.[1];
    if (file !== undefined) expect(readFileSync(join(root, file), 'utf8')).not.toBe('');
  }
});

test('the package carries all that its install script imports', () => {
  const carried = new Set(manifest.files);
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, name] of readFileSync(join(root, file), 'utf8').matchAll(/ from '\.\/(.+)'/g)) {
      visit(`scripts/${name}`);
    }
  };
  visit('scripts/install.mjs');
  expect([...seen].filter((file) => !carried.has(file))).toEqual([]);
});
