/** Reads a configuration file: TOML, or YAML or JSON by its name's ending. */
import { readFileSync } from 'node:fs';
import { fail, messageOf, systemCode } from '../errors.js';
import { TomlLines } from './toml-lines.js';
import { isTable, type Layer } from './tree.js';

export async function readConfigFile(file: string): Promise<Layer> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw fail('ST_CONFIG_READ', { file, why: readFailure(cause) }, { cause });
  }
  // A byte order mark is an editor's, not a key's.
  if (text.startsWith('\ufeff')) text = text.slice(1);
  return /\.(ya?ml|json)$/i.test(file) ? parseYaml(file, text) : parseToml(file, text);
}

function readFailure(cause: unknown): string {
  switch (systemCode(cause)) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
      return 'this user may not read it';
    case 'EISDIR':
      return 'it is a folder; name a file in it';
    default:
      return messageOf(cause);
  }
}

async function parseToml(file: string, text: string): Promise<Layer> {
  const { parse, TomlError } = await import('smol-toml');
  let root: Readonly<Record<string, unknown>>;
  try {
    root = parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const why = (cause.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '');
    const where = `${file}:${cause.line}:${cause.column}`;
    throw fail('ST_CONFIG_SYNTAX', { where, why: `not valid TOML: ${why}` }, { cause });
  }
  let lines: TomlLines | undefined;
  return {
    name: file,
    root,
    locate: (path) => {
      lines ??= new TomlLines(text);
      const line = lines.find(path);
      return line === undefined ? file : `${file}:${line}`;
    },
  };
}

/** JSON is read as YAML, which it is a part of: so its lines are known too. */
async function parseYaml(file: string, text: string): Promise<Layer> {
  const { isMap, LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    const kind = /\.json$/i.test(file) ? 'JSON' : 'YAML';
    const why = `not valid ${kind}: ${error.message}`;
    throw fail('ST_CONFIG_SYNTAX', { where: `${file}:${line}:${col}`, why }, { cause: error });
  }
  const root: unknown = document.toJS() ?? {};
  if (!isTable(root)) {
    throw fail('ST_CONFIG_SYNTAX', {
      where: `${file}:1`,
      why: 'the document is not a table of keys',
    });
  }
  const locate = (path: readonly string[]): string => {
    let node: unknown = document.contents;
    let line: number | undefined;
    for (const step of path) {
      if (!isMap(node)) break;
      const pair = node.items.find((item) => String(item.key) === step);
      if (pair === undefined) break;
      const key = pair.key as { range?: readonly number[] | null };
      const [offset] = key.range ?? [];
      if (offset !== undefined) line = lineCounter.linePos(offset).line;
      node = pair.value;
    }
    return line === undefined ? file : `${file}:${line}`;
  };
  return { name: file, root, locate };
}
