/**
 * A configuration that is being written from another broker's file: what has a counterpart, notes on
 * what has none, and what is about access, which keeps the result from starting until it is seen to.
 */
import { aclRows, ruleRows } from './acl-options.js';
import { webSocketRows } from './listener-options.js';
import { brokerRows, listenerRows, logRows, mqttTableRows, topRows } from './options.js';
import { checkValue, type Rows } from './rows.js';
import { withoutUrlSecrets } from './shown.js';
import { tlsRows } from './tls-options.js';
import { indexStep, quoteKey } from './tree.js';

/** Tables that are written as they are: their rows come with the version that serves them. */
const rowsOf: Readonly<Record<string, Rows>> = {
  '': topRows,
  mqtt: mqttTableRows,
  broker: brokerRows,
  log: logRows,
  acl: aclRows,
  'acl.rules': ruleRows,
  listener: { ...listenerRows, ...webSocketRows },
  tls: tlsRows,
  connections: mqttTableRows,
};

/** What one option of the source is here. */
export type Rule = (value: string, to: Target) => void;

/** What a rule may do with its option. */
export interface Target {
  set(table: readonly string[], key: string, value: unknown): void;
  note(why: string): void;
  unhandled(why: string): void;
  /** The value as a number; others are an error with their place. */
  number(): number;
  /** Of this import: for options whose lines add up. */
  readonly seen: Set<string>;
}

interface Line {
  readonly key: string;
  readonly text: string;
  readonly comment: string;
}

export class Draft {
  readonly #title: string;
  readonly #unhandled: string[] = [];
  readonly #notes: string[] = [];
  /** By table, in the order of their first use; '' is the top. */
  readonly #tables = new Map<string, Line[]>();

  /** How many there are of each list of tables. */
  readonly #elements = new Map<string, number>();

  constructor(title: string) {
    this.#title = title;
  }

  /** `from`: place and words of the source, for the comment. A number is brought into its range. */
  set(path: readonly string[], key: string, value: unknown, from: string): void {
    const rows = rowsOf[kindOf(path)];
    const row = rows === undefined || !Object.hasOwn(rows, key) ? undefined : rows[key];
    let taken = value;
    let comment = from;
    if (row?.type === 'integer' && typeof value === 'number') {
      taken = Math.min(Math.max(Math.trunc(value), row.min), row.max);
      if (taken !== value) comment = `${from}: ${value} is not possible here`;
    }
    if (row !== undefined && checkValue(row, taken, false) === 'refused') {
      this.note(
        path,
        `${from}: ${withoutUrlSecrets(JSON.stringify(value))} is not possible here; left out`,
      );
      return;
    }
    const lines = this.#linesOf(path);
    // As in the source, the last one counts; two keys of one name would not be TOML.
    const before = lines.findIndex((other) => other.key === key);
    const [replaced] = before < 0 ? [] : lines.splice(before, 1);
    if (replaced !== undefined) comment = `${replaced.comment}; ${comment}`;
    comment = oneLine(comment);
    lines.push({ key, text: `${key} = ${tomlText(taken)}   # ${comment}`, comment });
  }

  /** A new one of a list of tables, as [[auth.providers]]: the path to set its keys by. */
  element(list: readonly string[]): readonly string[] {
    const name = list.join('.');
    const index = this.#elements.get(name) ?? 0;
    this.#elements.set(name, index + 1);
    return [...list, indexStep(index)];
  }

  /** A comment in a table: something without a counterpart. */
  note(path: readonly string[], text: string): void {
    if (path.length === 0) this.#notes.push(oneLine(text));
    else this.#linesOf(path).push({ key: '', text: `# ${oneLine(text)}`, comment: '' });
  }

  /** About access: the result does not start while this is in it. */
  unhandled(text: string): void {
    this.#unhandled.push(oneLine(text));
  }

  text(): string {
    const lines = [
      `# ${this.#title}`,
      '# What the source left out has the default of st-mqttd: see them with `st-mqttd check -c FILE`.',
    ];
    if (this.#unhandled.length > 0) {
      lines.push(
        '',
        '# The source asks for this about access, and the lines below do not do it. st-mqttd refuses to',
        '# start while an entry is left: see to each of them, then delete it.',
        'unhandled = [',
        ...this.#unhandled.map((entry) => `  ${JSON.stringify(entry)},`),
        ']',
      );
    }
    if (this.#notes.length > 0) {
      lines.push('', '# Without a counterpart here:', ...this.#notes.map((note) => `# ${note}`));
    }
    const top = this.#tables.get('') ?? [];
    if (top.length > 0) lines.push('', ...top.map(({ text }) => text));
    for (const [header, table] of this.#tables) {
      if (header !== '') lines.push('', headerLine(header), ...table.map(({ text }) => text));
    }
    return `${lines.join('\n')}\n`;
  }

  #linesOf(path: readonly string[]): Line[] {
    const header = path.map((step) => (isIndex(step) ? step : quoteKey(step))).join('.');
    let lines = this.#tables.get(header);
    if (lines === undefined) {
      lines = [];
      this.#tables.set(header, lines);
    }
    return lines;
  }
}

const isIndex = (step: string) => /^\[\d+\]$/.test(step);

/** "acl.rules.[0]" is [[acl.rules]], and what is in it belongs to the last one that has begun. */
function headerLine(header: string): string {
  const name = header.replaceAll(/\.\[\d+\](?=\.|$)/g, '');
  return /\.\[\d+\]$/.test(header) ? `[[${name}]]` : `[${name}]`;
}

function kindOf(path: readonly string[]): string {
  if (path.some(isIndex)) return path.filter((step) => !isIndex(step)).join('.');
  if (path.length <= 1) return path[0] ?? '';
  return path.length === 2 ? 'listener' : (path[2] ?? '');
}

function tomlText(value: unknown): string {
  const literal = typeof value === 'string' ? value.replaceAll('${', () => '$${') : value;
  return JSON.stringify(literal).replaceAll('","', '", "').replaceAll('\x7f', '\\u007f');
}

/** A comment ends with its line, whatever the source has in it. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}
