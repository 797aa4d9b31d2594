/** What applications call with, checked at run time: JavaScript has no types. */
import { fail } from './errors.js';

/** ST_ARGUMENT. */
export function wrongArgument(doing: string, name: string, found: unknown, allowed: string): Error {
  return fail('ST_ARGUMENT', { doing, name, found: shown(found), allowed });
}

export function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function checkTable(doing: string, name: string, value: unknown): void {
  if (!isTable(value)) throw wrongArgument(doing, name, value, 'an object');
}

export function checkFunction(doing: string, name: string, value: unknown): void {
  if (typeof value !== 'function') throw wrongArgument(doing, name, value, 'a function');
}

export function checkString(doing: string, name: string, value: unknown): void {
  if (typeof value !== 'string') throw wrongArgument(doing, name, value, 'text');
}

const kMaxInstance = 0xfffffffe;

/** Which connection of a Client Identifier; undefined = not one certain. */
export function checkInstance(doing: string, instance: unknown): void {
  if (instance === undefined) return;
  if (Number.isInteger(instance) && (instance as number) >= 0) {
    if ((instance as number) <= kMaxInstance) return;
  }
  const allowed = `a whole number from 0 (the first) to ${kMaxInstance}`;
  throw wrongArgument(doing, 'instance', instance, allowed);
}

const kMaxTimeoutMs = 0x7fffffff;

/** Of stop(). */
export function timeoutOf(doing: string, options: unknown): number | undefined {
  checkTable(doing, 'options', options);
  const { timeoutMs } = options as { readonly timeoutMs?: unknown };
  if (timeoutMs === undefined) return undefined;
  if (Number.isInteger(timeoutMs) && (timeoutMs as number) >= 0) {
    return Math.min(timeoutMs as number, kMaxTimeoutMs);
  }
  throw wrongArgument(doing, 'timeoutMs', timeoutMs, 'a whole number of milliseconds');
}

/** The file of `{ config }`; undefined = the options are the configuration itself. */
export function configFileOf(options: unknown): string | undefined {
  const doing = 'making a broker';
  const either = 'the tables of a configuration, or { config: FILE }';
  if (!isTable(options)) throw wrongArgument(doing, 'options', options, either);
  const tables = options as Readonly<Record<string, unknown>>;
  const { config } = tables;
  if (config === undefined) return undefined;
  if (typeof config !== 'string' || config === '') {
    throw wrongArgument(doing, 'config', config, 'the path of a file');
  }
  const beside = Object.keys(tables).find((key) => key !== 'config' && tables[key] !== undefined);
  if (beside === undefined) return config;
  throw fail('ST_ARGUMENT', {
    doing,
    name: 'options',
    found: `config and ${beside}`,
    allowed: either,
  });
}

/** Short, and of one line: it may be anything. */
function shown(found: unknown): string {
  switch (typeof found) {
    case 'string':
      return JSON.stringify(found.length > 40 ? `${found.slice(0, 40)}…` : found);
    case 'object':
      return found === null ? 'null' : Array.isArray(found) ? 'a list' : 'an object';
    case 'function':
      return 'a function';
    default:
      return String(found);
  }
}
