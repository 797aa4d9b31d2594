// The one list of native sources. binding.gyp and CMakeLists.txt both ask it, so that neither can
// forget a file. Usage: node scripts/native-sources.mjs core|addon|tests|fuzz|bench
// prints paths relative to the repository's root, one per line, sorted; `has-tests` prints true or
// false.
import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** The native folders in the order of their dependencies; addon/ stands last and is apart. */
export const coreFolders = [
  'base',
  'contract',
  'wire',
  'stream',
  'route',
  'session',
  'io',
  'store',
  'engine',
];

const folders = {
  core: coreFolders.map((name) => `native/${name}`),
  addon: ['native/addon'],
  tests: ['test/native'],
  fuzz: ['test/fuzz'],
  bench: ['bench/native'],
};

function walk(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.name.endsWith('.cpp') ? [path] : [];
  });
}

export function nativeSources(kind) {
  const chosen = folders[kind];
  if (chosen === undefined) {
    throw new Error(
      `no such list of sources: '${kind}' (known: ${Object.keys(folders).join(', ')})`,
    );
  }
  return chosen
    .flatMap((folder) => walk(join(root, folder)))
    .map((path) => relative(root, path).split(sep).join('/'))
    .sort();
}

// The real path, because builds for other machines run this through a link (scripts/prebuild.mjs).
if (realpathSync(process.argv[1] ?? '.') === fileURLToPath(import.meta.url)) {
  const kind = process.argv[2] ?? '';
  if (kind === 'has-tests') {
    console.log(nativeSources('tests').length > 0);
  } else {
    for (const path of nativeSources(kind)) console.log(path);
  }
}
