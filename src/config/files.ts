/** Reads a configuration file: TOML, or YAML or JSON by its name's ending. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fail, messageOf } from '../errors.js';
import { readFailure } from './read-failure.js';
import type { Environment } from './references.js';
import { type Position, TomlPositions } from './toml-positions.js';
import { indexStep, isTable, type Layer } from './tree.js';

export async function readConfigFile(
  file: string,
  environment: Environment = process.env,
): Promise<Layer> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw fail('ST_CONFIG_READ', { file, why: readFailure(cause) }, { cause });
  }
  // A byte order mark is an editor's, not a key's.
  if (text.startsWith('\ufeff')) text = text.slice(1);
  const layer = await parseConfigText(file, text);
  return { ...layer, references: { folder: dirname(file), environment } };
}

/** `file` says by its ending what the text is, and stands in messages. */
export function parseConfigText(file: string, text: string): Promise<Layer> {
  return /\.(ya?ml|json)$/i.test(file) ? parseYaml(file, text) : parseToml(file, text);
}

async function parseToml(file: string, text: string): Promise<Layer> {
  const { parse, TomlError } = await import('smol-toml');
  let root: Readonly<Record<string, unknown>>;
  try {
    root = parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw unreadable(file, 'TOML', cause);
    const why = firstLine(cause.message).replace(/^Invalid TOML document: /, '');
    const where = `${file}:${cause.line}:${cause.column}`;
    throw fail('ST_CONFIG_SYNTAX', { where, why: `not valid TOML: ${why}` }, { cause });
  }
  let positions: TomlPositions | undefined;
  return fileLayer(file, root, (path) => {
    positions ??= new TomlPositions(text);
    return positions.find(path);
  });
}

/** JSON is read as YAML, which it is a part of: so its positions are known too. */
async function parseYaml(file: string, text: string): Promise<Layer> {
  const { isAlias, isMap, isNode, isSeq, LineCounter, parseDocument } = await import('yaml');
  const kind = /\.json$/i.test(file) ? 'JSON' : 'YAML';
  const lineCounter = new LineCounter();
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'error' });
  } catch (cause) {
    throw unreadable(file, kind, cause);
  }
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    const why = `not valid ${kind}: ${firstLine(error.message)}`;
    throw fail('ST_CONFIG_SYNTAX', { where: `${file}:${line}:${col}`, why }, { cause: error });
  }
  let root: unknown;
  try {
    root = document.toJS() ?? {};
  } catch (cause) {
    // An alias of nothing, or too many of them.
    throw unreadable(file, kind, cause);
  }
  if (!isTable(root)) {
    const why = 'the document is not a table of keys';
    throw fail('ST_CONFIG_SYNTAX', { where: `${file}:1:1`, why });
  }
  return fileLayer(file, root, (path) => {
    let node: unknown = document.contents;
    let position: Position | undefined;
    for (const step of path) {
      if (isAlias(node)) node = node.resolve(document);
      if (isSeq(node)) {
        const index = node.items.findIndex((_, at) => indexStep(at) === step);
        node = node.items[index];
        if (isNode(node) && node.range) {
          const { line, col } = lineCounter.linePos(node.range[0]);
          position = { line, column: col };
        }
        continue;
      }
      if (!isMap(node)) break;
      const pair = node.items.find((item) => String(item.key) === step);
      if (pair === undefined) break;
      const key = pair.key as { range?: readonly number[] | null };
      const [offset] = key.range ?? [];
      if (offset !== undefined) {
        const { line, col } = lineCounter.linePos(offset);
        position = { line, column: col };
      }
      node = pair.value;
    }
    return position;
  });
}

function fileLayer(
  file: string,
  root: Readonly<Record<string, unknown>>,
  find: (path: readonly string[]) => Position | undefined,
): Layer {
  return {
    name: file,
    root,
    locate: (path) => {
      const at = find(path);
      return at === undefined ? file : `${file}:${at.line}:${at.column}`;
    },
  };
}

/** What a parser throws without saying where: it ran out of stack in thousands of brackets, say. */
function unreadable(file: string, kind: string, cause: unknown): Error {
  const why = `not valid ${kind}: ${firstLine(messageOf(cause))}`;
  return fail('ST_CONFIG_SYNTAX', { where: `${file}:1:1`, why }, { cause });
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
