// Writes test/vectors/vectors.txt, the twin of test/vectors/*.json for readers without a JSON parser.
// `--check` writes nothing and fails when the twin is stale. Format: test/vectors/README.md.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'test', 'vectors');
const twin = join(folder, 'vectors.txt');

/** The whole text of vectors.txt, from the JSON files in alphabetical order. */
export function renderVectors() {
  const lines = [
    '# version|direction|type|valid|reason (hex)|packet (hex)|name; generated, do not edit',
  ];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()) {
    for (const v of JSON.parse(readFileSync(join(folder, file), 'utf8'))) {
      const reason = (v.reason ?? 0).toString(16).padStart(2, '0');
      const packet = v.hex.replaceAll(' ', '');
      lines.push(
        [v.version, v.direction, v.type, v.valid ? 1 : 0, reason, packet, v.name].join('|'),
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = renderVectors();
  if (!process.argv.includes('--check')) {
    writeFileSync(twin, text);
  } else if (readFileSync(twin, 'utf8') !== text) {
    console.error('test/vectors/vectors.txt is stale: run `node scripts/vectors.mjs`');
    process.exitCode = 1;
  }
}
