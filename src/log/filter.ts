/**
 * The log filter, written as for Rust's EnvFilter: directives with commas between them, each
 * `LEVEL`, `MODULE`, `MODULE=LEVEL`, `[FIELD=VALUE,…]=LEVEL` or `MODULE[FIELD=VALUE,…]=LEVEL`.
 * Of the directives that fit a record the most specific one decides: more fields before fewer,
 * then one with a module before one without, then the later one.
 */
import { fail } from '../errors.js';
import type { NativeLiveOptions } from '../native/addon.js';
import { LogLevel, type LogLevelName, type NativeModuleName } from '../native/contract.js';
import { type LogModule, logModules, nativeModules, rumqttdTargets } from './modules.js';

/** What a record is judged by. */
export interface LogSubject {
  readonly module: LogModule;
  readonly clientId?: unknown;
  readonly address?: unknown;
  readonly listener?: unknown;
}

export type FilterField = 'client' | 'address' | 'listener';

interface Directive {
  /** undefined = every module; null = one that does not exist here. */
  readonly module: LogModule | undefined | null;
  readonly fields: readonly { readonly name: FilterField; readonly value: string }[];
  /** 0 = off, otherwise a LogLevel. */
  readonly level: number;
}

const kMaxBytes = 4096;
/** As many as the native half compares each of its records with. */
const kMaxNativeClients = 64;
const kFields: readonly FilterField[] = ['client', 'address', 'listener'];
const levels: Readonly<Record<string, number>> = { off: 0, ...LogLevel };
const kLevelNames = Object.keys(levels).join(', ');

export type NativeLogLevels = Required<
  Pick<NativeLiveOptions, 'log_level' | 'log_modules' | 'log_clients'>
>;

export class LogFilter {
  /** As it was written, with the level that it stands on. */
  readonly text: string;
  /** What an operator should know: targets that match nothing. */
  readonly warnings: readonly string[];
  readonly #directives: readonly Directive[];
  /** By module: what every record of it may have, whatever its fields say. */
  readonly #highest = new Map<LogModule, number>();

  constructor(text: string, directives: readonly Directive[], warnings: readonly string[]) {
    this.text = text;
    this.warnings = warnings;
    const weight = ({ module, fields }: Directive) =>
      fields.length * 2 + (module === undefined ? 0 : 1);
    // The most specific first, and of equals the later one.
    this.#directives = directives.toReversed().sort((a, b) => weight(b) - weight(a));
    for (const module of logModules) this.#highest.set(module, this.#highestOf(module, false));
  }

  /** Whether some record of this level and module passes, and may be worth making. */
  mayPass(level: LogLevelName, module: LogModule): boolean {
    return LogLevel[level] <= (this.#highest.get(module) ?? 0);
  }

  passes(level: LogLevelName, subject: LogSubject): boolean {
    return this.mayPass(level, subject.module) && LogLevel[level] <= this.#levelFor(subject);
  }

  /** Whether a module is turned off: its notices are too. */
  isOff(module: LogModule): boolean {
    return this.#highest.get(module) === 0;
  }

  /**
   * What the native half must send, so that nothing is missing here: levels for all clients, and
   * more for those that are named. It cannot tell by address or listener, so these count for all.
   */
  get native(): NativeLogLevels {
    const clients = new Map<string, number>();
    for (const { fields, level } of this.#directives) {
      const client = exactClient(fields);
      if (client !== undefined) clients.set(client, Math.max(level, clients.get(client) ?? 0));
    }
    const isNamed = clients.size <= kMaxNativeClients;
    // Most of what there is to say is about sessions: their level is the one for all.
    const log_level = this.#highestOf('session', isNamed);
    const log_modules: Partial<Record<NativeModuleName, number>> = {};
    for (const module of nativeModules) {
      const level = this.#highestOf(module, isNamed);
      if (level !== log_level) log_modules[module] = level;
    }
    return { log_level, log_modules, log_clients: isNamed ? [...clients] : [] };
  }

  /** `isNamed`: without what is about single clients. */
  #highestOf(module: LogModule, isNamed: boolean): number {
    let highest = 0;
    for (const directive of this.#directives) {
      if (directive.module !== undefined && directive.module !== module) continue;
      if (isNamed && exactClient(directive.fields) !== undefined) continue;
      highest = Math.max(highest, directive.level);
      // Everything less specific is covered by it.
      if (directive.fields.length === 0) break;
    }
    return highest;
  }

  #levelFor(subject: LogSubject): number {
    for (const directive of this.#directives) {
      const { module, fields, level } = directive;
      if (module !== undefined && module !== subject.module) continue;
      if (fields.every((field) => fits(field, subject))) return level;
    }
    return 0;
  }
}

/** The one Client Identifier that a directive is about. */
function exactClient(fields: Directive['fields']): string | undefined {
  const client = fields.find(({ name }) => name === 'client')?.value;
  return client?.endsWith('*') === true ? undefined : client;
}

function fits({ name, value }: { name: FilterField; value: string }, subject: LogSubject): boolean {
  if (name === 'address') return addressFits(value, subject.address);
  const found = name === 'client' ? subject.clientId : subject.listener;
  if (typeof found !== 'string') return false;
  return value.endsWith('*') ? found.startsWith(value.slice(0, -1)) : found === value;
}

/** "10.0.0.1" is every port of it; "10.0.0.1:52110" is one connection. */
function addressFits(value: string, address: unknown): boolean {
  if (typeof address !== 'string') return false;
  if (address === value) return true;
  const host = address.slice(0, Math.max(address.lastIndexOf(':'), 0));
  return host === value || host === `[${value}]`;
}

/**
 * Throws ST_LOG_FILTER with the place. `base`: the level of what no directive is about. `where`:
 * where the configuration has it.
 */
export function parseFilter(
  text: string,
  base: LogLevelName | 'off' = 'error',
  where?: string,
): LogFilter {
  const parser = new Parser(text, where);
  const directives = parser.parse();
  const hasBase = directives.some((d) => d.module === undefined && d.fields.length === 0);
  const written = text.trim();
  const whole = hasBase ? written : written === '' ? base : `${base},${written}`;
  const standing: Directive = { module: undefined, fields: [], level: levels[base] ?? 0 };
  return new LogFilter(whole, hasBase ? directives : [standing, ...directives], parser.warnings);
}

class Parser {
  readonly #text: string;
  #at = 0;
  readonly warnings: string[] = [];
  readonly #where: string | undefined;

  constructor(text: string, where: string | undefined) {
    this.#text = text;
    this.#where = where;
  }

  parse(): Directive[] {
    if (Buffer.byteLength(this.#text) > kMaxBytes) this.#refuse(0, `at most ${kMaxBytes} bytes`);
    const directives: Directive[] = [];
    this.#skipSpace();
    if (this.#at === this.#text.length) return directives;
    for (;;) {
      directives.push(this.#directive());
      this.#skipSpace();
      if (this.#at === this.#text.length) return directives;
      this.#expect(',', 'a comma, or the end');
      this.#skipSpace();
    }
  }

  #directive(): Directive {
    const start = this.#at;
    const name = this.#take(/[\w:.-]+/y);
    const fields = this.#peek() === '[' ? this.#fields() : [];
    if (name === '' && fields.length === 0) {
      this.#refuse(start, `a level (${kLevelNames}), a module or [client=…]`);
    }
    if (this.#peek() === '=') {
      this.#at++;
      return { module: this.#module(name, start), fields, level: this.#level() };
    }
    const level = fields.length === 0 ? levelOf(name) : undefined;
    if (level !== undefined) return { module: undefined, fields, level };
    // As in EnvFilter: a target alone is all of its records.
    return { module: this.#module(name, start), fields, level: LogLevel.trace };
  }

  #level(): number {
    const start = this.#at;
    const level = levelOf(this.#take(/[\w-]+/y));
    return level ?? this.#refuse(start, `one of ${kLevelNames}`);
  }

  #module(name: string, start: number): LogModule | undefined | null {
    if (name === '') return undefined;
    const key = name.toLowerCase();
    if ((logModules as readonly string[]).includes(key)) return key as LogModule;
    const known = Object.hasOwn(rumqttdTargets, key) ? rumqttdTargets[key] : undefined;
    if (known !== undefined) return known === 'all' ? undefined : known;
    this.warnings.push(
      `the log filter's target "${name}" (character ${start + 1}) matches nothing; ` +
        `targets are ${logModules.join(', ')}`,
    );
    return null;
  }

  #fields(): Directive['fields'] {
    const fields: { name: FilterField; value: string }[] = [];
    this.#at++;
    // EnvFilter's own form has a span and braces: [{client=x}].
    const isBraced = this.#peek() === '{';
    if (isBraced) this.#at++;
    for (;;) {
      this.#skipSpace();
      const start = this.#at;
      const name = this.#take(/\w+/y) as FilterField;
      if (!kFields.includes(name)) this.#refuse(start, `one of ${kFields.join(', ')}`);
      this.#expect('=', `"=" behind ${name}`);
      fields.push({ name, value: this.#value() });
      this.#skipSpace();
      if (this.#peek() !== ',') break;
      this.#at++;
    }
    if (isBraced) this.#expect('}', 'a comma or "}"');
    this.#expect(']', 'a comma or "]"');
    return fields;
  }

  #value(): string {
    const start = this.#at;
    if (this.#peek() !== '"') {
      const value = this.#take(/[^\],}"]+/y).trim();
      return value === '' ? this.#refuse(start, 'a value') : value;
    }
    const quoted = this.#take(/"(?:[^"\\]|\\.)*"/y);
    if (quoted === '') this.#refuse(start, 'a quote at the end of the value too');
    return quoted.slice(1, -1).replace(/\\(.)/g, '$1');
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #skipSpace(): void {
    this.#take(/\s+/y);
  }

  #expect(character: string, allowed: string): void {
    if (this.#peek() !== character) this.#refuse(this.#at, allowed);
    this.#at++;
  }

  #refuse(at: number, allowed: string): never {
    const found =
      at < this.#text.length ? JSON.stringify(this.#text.slice(at, at + 20)) : 'the end';
    throw fail('ST_LOG_FILTER', { where: this.#where, place: at + 1, found, allowed });
  }
}

function levelOf(text: string): number | undefined {
  const key = text.toLowerCase();
  return Object.hasOwn(levels, key) ? levels[key] : undefined;
}
