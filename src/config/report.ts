/** The configuration in effect as text, and where each value came from. */
import { formatAddress, type ListenAddress } from './address.js';
import { listenerRows } from './options.js';
import type { EffectiveEntry, Resolution } from './resolve.js';
import { isComputed, type Row } from './rows.js';
import { hidden, shownValue } from './shown.js';

const kCommentColumn = 44;

/** For `--check`: valid TOML again, each line with its origin. */
export function effectiveText({ config, effective }: Resolution): string {
  const lines: string[] = [];
  let table = '';
  for (const entry of effective) {
    if (!isWorthALine(entry)) continue;
    if (entry.table !== table) {
      lines.push('', headerOf(entry.table));
      table = entry.table;
    }
    const assignment = `${entry.key} = ${shownToml(entry.row, entry.value)}`;
    lines.push(withComment(assignment, entry.origin ?? 'default'));
  }
  if (config.isLoopbackDefault) {
    const listen = config.listeners.flatMap((listener) => listener.listen);
    const text = `listen = ${tomlValue(listenerRows.listen, listen)}`;
    lines.push('', '[unified.loopback]', withComment(text, 'default: loopback only'));
  }
  return `${lines.join('\n').trim()}\n`;
}

/** "acl.rules[0]" is [[acl.rules]]. */
function headerOf(table: string): string {
  const name = table.replaceAll(/\[\d+\](?=\.|$)/g, '');
  return /\[\d+\]$/.test(table) ? `[[${name}]]` : `[${name}]`;
}

export interface EffectiveValue {
  /** With its table: "v4.1.listen". */
  readonly key: string;
  /** As it is written in a file; "(secret)" where it is one. */
  readonly value: unknown;
  readonly origin: string;
}

/** For `check --json`: every value in effect, also what a listener inherits. */
export function effectiveValues({ config, effective }: Resolution): readonly EffectiveValue[] {
  const values = effective
    .filter(({ row, value }) => !isUnset(row, value))
    .map(({ table, key, row, value, origin }) => ({
      key: table === '' ? key : `${table}.${key}`,
      value: shownWritten(row, value),
      origin: origin ?? 'default',
    }));
  if (!config.isLoopbackDefault) return values;
  const listen = config.listeners.flatMap((listener) => listener.listen);
  const value = writtenValue(listenerRows.listen, listen);
  return [...values, { key: 'unified.loopback.listen', value, origin: 'default: loopback only' }];
}

/** A listener's missing address or path: no value that could be written. */
function isUnset(row: Row, value: unknown): boolean {
  if (row.type === 'addresses') return (value as readonly unknown[]).length === 0;
  if (value === undefined) return true;
  return value === '' && row.type === 'string' && (row.secret === true || isOptional(row));
}

/** What a listener inherits or leaves unset says nothing new. */
function isWorthALine({ table, row, value, origin }: EffectiveEntry): boolean {
  if (origin !== undefined) return true;
  if (isUnset(row, value)) return false;
  return row === listenerRows.name || !/^(v4|v5|unified|ws)\.|\[\d+\]$/.test(table);
}

/** Whether its default is no value that could be written: it is there or it is not. */
export function isOptional(row: Row): boolean {
  if (isComputed(row.default)) return row.default.value() === undefined;
  if (row.type === 'addresses') return row.default.length === 0;
  return row.type === 'string' && row.default === '' && row.check?.('') === false;
}

/** A row's default in words. */
export function defaultText(row: Row): string {
  if (isComputed(row.default)) return row.default.text;
  return isOptional(row) ? 'none' : tomlValue(row, row.default);
}

export function tomlValue(row: Row, value: unknown): string {
  return JSON.stringify(writtenValue(row, value)).replaceAll('","', '", "');
}

/** As it is written in a file, without what must not be shown. */
function shownWritten(row: Row, value: unknown): unknown {
  return row.secret === true ? hidden : writtenValue(row, shownValue(row, value));
}

function shownToml(row: Row, value: unknown): string {
  return row.secret === true ? JSON.stringify(hidden) : tomlValue(row, shownValue(row, value));
}

/** A value as it is written in a file. */
export function writtenValue(row: Row, value: unknown): unknown {
  switch (row.type) {
    case 'addresses': {
      const texts = (value as readonly ListenAddress[]).map((a) => formatAddress(a.host, a.port));
      return texts.length === 1 ? texts[0] : texts;
    }
    case 'mode':
      return `0${(value as number).toString(8)}`;
    case 'string':
      return (value as string).replaceAll('${', () => '$${');
    default:
      return value;
  }
}

function withComment(text: string, comment: string): string {
  return `${text.padEnd(kCommentColumn)} # ${comment}`;
}
