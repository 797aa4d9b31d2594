/** The command line's flags, one row each: parsed without loading yargs, which knows them for --help. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../config/suggest.js';
import { fail, messageOf } from '../errors.js';

interface Flag {
  readonly short?: string;
  readonly takes?: string;
  readonly multiple?: boolean;
  readonly help: string;
}

export const flags = {
  config: {
    short: 'c',
    takes: 'FILE',
    help: 'configuration file: TOML (YAML, JSON by its ending)',
  },
  listen: {
    takes: 'HOST:PORT',
    multiple: true,
    help: 'listen there for every version of MQTT; repeatable; also unix:PATH',
  },
  id: { takes: 'N', help: "this broker's number" },
  check: { help: 'print the configuration in effect, with the origin of each value, and exit' },
  verbose: {
    short: 'v',
    multiple: true,
    help: 'log more: -v info, -vv debug, -vvv trace (without: warnings)',
  },
  quiet: { short: 'q', help: 'no start-up messages' },
  help: { short: 'h', help: 'print this' },
  version: { short: 'V', help: 'print the version' },
} as const satisfies Record<string, Flag>;

export const commands = {
  'generate-config': 'print a configuration file with all defaults',
} as const;

export interface CommandLine {
  readonly command: keyof typeof commands | undefined;
  readonly config: string | undefined;
  readonly listen: readonly string[];
  readonly id: string | undefined;
  readonly check: boolean;
  readonly verbose: number;
  readonly quiet: boolean;
  readonly help: boolean;
  readonly version: boolean;
}

type Values = Readonly<Record<string, unknown>>;

export function parseCommandLine(args: readonly string[]): CommandLine {
  const { values, positionals } = parse(args);
  const [command, ...more] = positionals;
  const isCommand = command !== undefined && Object.hasOwn(commands, command);
  const unknown = command === undefined || isCommand ? more[0] : command;
  if (unknown !== undefined) {
    const meant = nearest(unknown, Object.keys(commands));
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    throw fail('ST_USAGE', { why: `there is no command "${unknown}"${hint}` });
  }
  const text = (name: string) => values[name] as string | undefined;
  const many = (name: string) => (values[name] ?? []) as readonly string[];
  return {
    command: command as keyof typeof commands | undefined,
    config: text('config') ?? text('f'),
    listen: many('listen'),
    id: text('id'),
    check: values.check === true,
    verbose: many('verbose').length,
    quiet: values.quiet === true,
    help: values.help === true,
    version: values.version === true,
  };
}

function parse(args: readonly string[]): { values: Values; positionals: readonly string[] } {
  // -f is what rmqttd calls -c.
  const options: NonNullable<ParseArgsConfig['options']> = { f: { type: 'string', short: 'f' } };
  for (const [name, flag] of Object.entries<Flag>(flags)) {
    options[name] = {
      type: flag.takes === undefined ? 'boolean' : 'string',
      multiple: flag.multiple === true,
      ...(flag.short === undefined ? {} : { short: flag.short }),
    };
  }
  try {
    return parseArgs({ args: [...args], allowPositionals: true, strict: true, options });
  } catch (cause) {
    throw fail('ST_USAGE', { why: explain(args, messageOf(cause)) }, { cause });
  }
}

/** parseArgs' text says how to write the parse; the reader wants to know which flag was meant. */
function explain(args: readonly string[], message: string): string {
  const [first = message] = message.split(/\. |\n/);
  const unknown = /^Unknown option '--?([^']+)'/.exec(first)?.[1];
  if (unknown === undefined) return first;
  const written = args.find((arg) => arg.replace(/^--?/, '').split('=')[0] === unknown);
  const meant = nearest(unknown, Object.keys(flags));
  const hint = meant === undefined ? '' : `; did you mean --${meant}?`;
  return `there is no flag ${written?.split('=')[0] ?? unknown}${hint}`;
}
