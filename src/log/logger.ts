/**
 * Log records: what passes the filter goes to the sink. The sink, with pino, is loaded behind the
 * first record, so that it does not delay the start: records wait until it is there.
 */

import type { Writable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import type { LogConfig } from '../config/options.js';
import type { LogLevelName } from '../native/contract.js';
import { type LogFilter, type LogSubject, parseFilter } from './filter.js';
import type { LogModule } from './modules.js';
import type { Sink } from './sink.js';

/** A notice is what an operator must see at any level: where the broker listens, that it stops. */
export type RecordLevel = LogLevelName | 'notice';

export interface LogRecord {
  readonly level: RecordLevel;
  /** The part of the broker that it is about. */
  readonly module: LogModule;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface LoggerOptions {
  /** [id], in every record. */
  readonly id: number;
  /** Without notices. */
  readonly quiet?: boolean | undefined;
  /** Over the configured filter's own level: -v. */
  readonly level?: LogLevelName | undefined;
  /** Instead of stderr. */
  readonly stream?: Writable | undefined;
}

const kMaxWaiting = 10_000;

export class Logger {
  readonly #options: LoggerOptions;
  #config: LogConfig;
  #filter: LogFilter;
  #sink: Sink | undefined;
  #loading: Promise<void> | undefined;
  #waiting: LogRecord[] = [];
  #lost = 0;

  /** Throws ST_LOG_FILTER where the configured filter is none. */
  constructor(config: LogConfig, options: LoggerOptions) {
    this.#config = config;
    this.#options = options;
    this.#filter = configuredFilter(config, options);
  }

  /** Whether records are written anywhere. */
  get isOpen(): boolean {
    return this.#config.to !== 'off';
  }

  get filter(): LogFilter {
    return this.#filter;
  }

  /** Until the next one, or a reload that changes log.level or log.filter. */
  setFilter(text: string): LogFilter {
    this.#filter = parseFilter(text, this.#config.level);
    return this.#filter;
  }

  /** Whether some record of this level and module may pass, wherever it goes. */
  mayPass(level: RecordLevel, module: LogModule): boolean {
    if (level !== 'notice') return this.#filter.mayPass(level, module);
    return this.#options.quiet !== true && !this.#filter.isOff(module);
  }

  passes(record: LogRecord): boolean {
    const { level, module, fields } = record;
    if (level === 'notice') return this.mayPass(level, module);
    // A million records a second of a level that nobody wants must not make a million objects.
    if (!this.#filter.mayPass(level, module)) return false;
    const { clientId, address, listener } = fields;
    const subject: LogSubject = { module, clientId, address, listener };
    return this.#filter.passes(level, subject);
  }

  write(record: LogRecord): void {
    if (!this.isOpen || !this.passes(record)) return;
    if (this.#sink !== undefined) {
      this.#sink.write(record);
      return;
    }
    if (this.#waiting.length < kMaxWaiting) this.#waiting.push(record);
    else this.#lost++;
    this.#loading ??= this.#load();
  }

  /** Takes over what has changed. Throws ST_LOG_FILTER, and then nothing has. */
  async reconfigure(config: LogConfig): Promise<void> {
    const before = this.#config;
    if (isDeepStrictEqual(before, config)) return;
    const isFilterChanged = before.level !== config.level || before.filter !== config.filter;
    if (isFilterChanged) this.#filter = configuredFilter(config, this.#options);
    this.#config = config;
    const places = ({ level: _, filter: __, ...rest }: LogConfig) => rest;
    if (isDeepStrictEqual(places(before), places(config))) return;
    await this.#loading;
    const old = this.#sink;
    this.#sink = undefined;
    this.#loading = old === undefined && !this.isOpen ? undefined : this.#load();
    await this.#loading;
    await old?.end();
  }

  /** The log file has been moved: the next record makes it anew. */
  reopen(): void {
    this.#sink?.reopen();
  }

  /** Waits until all records are written, where that is possible in a few seconds. */
  async flush(): Promise<void> {
    await this.#loading;
    await this.#sink?.flush();
  }

  async end(): Promise<void> {
    await this.#loading;
    const sink = this.#sink;
    this.#sink = undefined;
    this.#loading = undefined;
    await sink?.end();
  }

  async #load(): Promise<void> {
    if (this.isOpen) {
      const { openSink } = await import('./sink.js');
      this.#sink = await openSink(this.#config, this.#options.id, this.#options.stream);
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const record of waiting) this.#sink?.write(record);
    if (this.#lost > 0) {
      const text = `${this.#lost} log records were lost before the log was open`;
      this.#lost = 0;
      this.#sink?.write({ level: 'warn', module: 'log', text, fields: {} });
    }
  }
}

function configuredFilter(config: LogConfig, { level }: LoggerOptions): LogFilter {
  if (level === undefined) return parseFilter(config.filter, config.level);
  // Of two levels for everything the later one counts.
  return parseFilter(config.filter === '' ? level : `${config.filter},${level}`, config.level);
}
