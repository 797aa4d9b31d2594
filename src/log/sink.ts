/** Records through pino to stderr, a file, or both. Loaded behind the first record. */
import type { Writable } from 'node:stream';
import { pino } from 'pino';
import type { LogConfig } from '../config/options.js';
import { messageOf } from '../errors.js';
import { ConsoleOutput } from './console-output.js';
import { LineWriter } from './line-writer.js';
import type { LogRecord } from './logger.js';
import { timeFormat } from './time.js';

export interface Sink {
  write(record: LogRecord): void;
  /** The file, if there is one, has been moved. */
  reopen(): void;
  flush(): Promise<void>;
  end(): Promise<void>;
}

type Format = (line: string) => string;

/** One place that lines go to, in the form that is wanted there. */
interface Place {
  readonly format: Format | undefined;
  readonly writer: Pick<LineWriter, 'write' | 'flush' | 'end'>;
}

/** `stream`: instead of stderr. */
export async function openSink(
  config: LogConfig,
  id: number,
  stream: Writable | undefined,
): Promise<Sink> {
  const places: Place[] = [];
  const records = recordLines(config, id);
  const add = (place: Place) => places.push(place);
  const writeTo = (place: Place, line: string) =>
    place.writer.write(place.format === undefined ? line : place.format(line));
  const own = (text: string) => records.line({ level: 'warn', module: 'log', text, fields: {} });
  const lost = (count: number) =>
    own(`${count} log records were dropped: they came faster than they could be written`);

  if (config.to === 'console' || config.to === 'both') {
    const terminal = stream === undefined && process.stderr.isTTY === true;
    const pretty = config.format === 'pretty' || (config.format === 'auto' && terminal);
    const format = pretty ? await prettyFormat(terminal) : undefined;
    const writer: Place['writer'] =
      stream === undefined
        ? new LineWriter(new ConsoleOutput(), {
            onDropped: (count) => writeTo(place, lost(count)),
            // stderr is where it would be said.
            onFailure: () => {},
          })
        : streamWriter(stream);
    const place = { format, writer };
    add(place);
  }

  let reopen = () => {};
  if (config.to === 'file' || config.to === 'both') {
    const { FileOutput } = await import('./file-output.js');
    // Where the file fails, stderr hears of it, also where no records go there.
    const complain = (text: string) => {
      const line = own(text);
      if (config.to === 'both' && places[0] !== undefined) writeTo(places[0], line);
      else if (stream === undefined) process.stderr.write(line);
      else stream.write(line);
    };
    const output = new FileOutput(config, (error) =>
      complain(`the log file ${output.path} cannot be put away, and grows: ${messageOf(error)}`),
    );
    const writer = new LineWriter(output, {
      onDropped: (count) => writeTo(place, lost(count)),
      onFailure: (error, dropped) =>
        complain(
          `the log file ${output.path} cannot be written: ${messageOf(error)}; ` +
            `${dropped} records are lost so far, and it is tried again`,
        ),
      onRecovery: () => complain(`the log file ${output.path} is written again`),
    });
    const format = config.format === 'pretty' ? await prettyFormat(false) : undefined;
    const place = { format, writer };
    add(place);
    reopen = () => output.reopen();
  }

  return {
    write: (record) => {
      const line = records.line(record);
      for (const place of places) writeTo(place, line);
    },
    reopen,
    flush: async () => {
      await Promise.all(places.map(({ writer }) => writer.flush()));
    },
    end: async () => {
      await Promise.all(places.map(({ writer }) => writer.end()));
    },
  };
}

/** pino makes the line; what is done with it is ours. */
function recordLines(config: LogConfig, id: number): { line(record: LogRecord): string } {
  const time = timeFormat(config.timezone);
  let last = '';
  const logger = pino(
    {
      // Levels are compared before: see Logger.write().
      level: 'trace',
      base: { broker: id },
      timestamp: () => `,"time":"${time(Date.now())}"`,
      formatters: { level: (label: string) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err },
    },
    {
      write: (line: string) => {
        last = line;
      },
    },
  );
  return {
    line: ({ level, module, text, fields }) => {
      logger[level === 'notice' ? 'info' : level]({ module, ...fields }, text);
      return last;
    },
  };
}

async function prettyFormat(isTerminal: boolean): Promise<Format> {
  const { prettyFactory } = await import('pino-pretty');
  const format = prettyFactory({
    colorize: isTerminal && process.env.NO_COLOR === undefined,
    singleLine: true,
    ignore: 'broker',
    translateTime: false,
    // The day is the terminal's own business; the hour is of the zone that is configured.
    customPrettifiers: { time: (value) => `[${String(value).slice(11, 23)}]` },
  });
  return (line) => format(line) ?? line;
}

function streamWriter(stream: Writable): Place['writer'] {
  return {
    write: (line) => void stream.write(line),
    flush: async () => {},
    end: async () => {},
  };
}
