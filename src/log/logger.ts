/**
 * Log records to stderr, through pino. pino is loaded behind the first record, so that it does not
 * delay the start: records wait until it is there.
 */
import type { Writable } from 'node:stream';
import type { LogConfig } from '../config/options.js';
import type { LogLevelName } from '../native/contract.js';

/** A notice is what an operator must see at any level: where the broker listens, that it stops. */
export type RecordLevel = LogLevelName | 'notice';

export interface LogRecord {
  readonly level: RecordLevel;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

type Write = (record: LogRecord) => void;
interface Sink {
  readonly write: Write;
  readonly flush: () => void;
}

const ranks: Readonly<Record<RecordLevel, number>> = {
  notice: 0,
  error: 1,
  warn: 2,
  info: 3,
  debug: 4,
  trace: 5,
};
const kMaxWaiting = 10_000;
const kStderr = 2;

export class Logger {
  readonly #config: LogConfig;
  readonly #id: number;
  readonly #quiet: boolean;
  readonly #stream: Writable | undefined;
  #sink: Sink | undefined;
  #loading: Promise<void> | undefined;
  #waiting: LogRecord[] = [];
  #lost = 0;

  /** `quiet`: without notices. `stream`: instead of stderr. */
  constructor(config: LogConfig, id: number, quiet = false, stream?: Writable) {
    this.#config = config;
    this.#id = id;
    this.#quiet = quiet;
    this.#stream = stream;
  }

  /** Whether records are written anywhere. */
  get isOpen(): boolean {
    return this.#config.to !== 'off';
  }

  /** Whether a record of this level is important enough, wherever it goes. */
  allows(level: RecordLevel): boolean {
    return level === 'notice' ? !this.#quiet : ranks[level] <= ranks[this.#config.level];
  }

  write(record: LogRecord): void {
    if (!this.isOpen || !this.allows(record.level)) return;
    if (this.#sink !== undefined) {
      this.#sink.write(record);
      return;
    }
    if (this.#waiting.length < kMaxWaiting) this.#waiting.push(record);
    else this.#lost++;
    this.#loading ??= this.#load();
  }

  /** Waits until all records are written. */
  async flush(): Promise<void> {
    await this.#loading;
    this.#sink?.flush();
  }

  async #load(): Promise<void> {
    const sink = await openSink(this.#config, this.#id, this.#stream);
    this.#sink = sink;
    for (const record of this.#waiting) sink.write(record);
    this.#waiting = [];
    if (this.#lost > 0) {
      const text = `${this.#lost} log records were lost before the log was open`;
      sink.write({ level: 'warn', text, fields: {} });
    }
  }
}

async function openSink(
  config: LogConfig,
  id: number,
  stream: Writable | undefined,
): Promise<Sink> {
  const { pino } = await import('pino');
  const terminal = stream === undefined && process.stderr.isTTY === true;
  const pretty = config.format === 'pretty' || (config.format === 'auto' && terminal);
  const options = {
    // Levels are compared before: see Logger.keeps().
    level: 'trace',
    base: { broker: id },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: pino.stdSerializers.err },
  };
  const file = stream === undefined ? pino.destination({ dest: kStderr, sync: false }) : undefined;
  if (file !== undefined) process.once('exit', () => flushQuietly(file));
  const flush = () => {
    if (file !== undefined) flushQuietly(file);
  };
  let logger: import('pino').Logger;
  if (pretty) {
    const { prettyFactory } = await import('pino-pretty');
    const colorize = terminal && process.env.NO_COLOR === undefined;
    const format = prettyFactory({
      colorize,
      singleLine: true,
      ignore: 'broker',
      translateTime: 'SYS:HH:MM:ss.l',
    });
    const to = file ?? (stream as Writable);
    logger = pino(options, { write: (line: string) => void to.write(format(line) ?? line) });
  } else {
    logger = pino(options, file ?? (stream as Writable));
  }
  return {
    flush,
    write: ({ level, text, fields }) => logger[level === 'notice' ? 'info' : level](fields, text),
  };
}

/** stderr may be gone (a closed pipe): that must not end the broker, nor hide why it ends. */
function flushQuietly(file: { flushSync(): void }): void {
  try {
    file.flushSync();
  } catch {
    // Nowhere left to say so.
  }
}
