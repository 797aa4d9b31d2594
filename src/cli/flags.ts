/** The command line's flags, one row each: parsed without loading yargs, which knows them for --help. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../config/suggest.js';
import { fail, messageOf } from '../errors.js';

interface Flag {
  readonly short?: string;
  readonly takes?: string;
  readonly multiple?: boolean;
  /** May have several values behind it, or none: they end at the next flag. */
  readonly list?: boolean;
  readonly help: string;
}

export const flags = {
  config: {
    short: 'c',
    takes: 'FILE',
    multiple: true,
    help: 'configuration file: TOML (YAML, JSON by its ending); also -f; repeatable, a later one wins',
  },
  listen: {
    takes: 'HOST:PORT',
    multiple: true,
    help: 'listen there for every version of MQTT; repeatable; also unix:PATH',
  },
  id: { takes: 'N', help: "this broker's number" },
  'plugins-default-startups': {
    takes: 'NAME…',
    multiple: true,
    list: true,
    help: "the plugins to start instead of the file's list",
  },
  'node-grpc-addrs': {
    takes: 'ID@HOST:PORT…',
    multiple: true,
    list: true,
    help: "rmqttd's: the nodes of a cluster (not there yet)",
  },
  'raft-peer-addrs': {
    takes: 'ID@HOST:PORT…',
    multiple: true,
    list: true,
    help: "rmqttd's: the peers of a cluster (not there yet)",
  },
  'raft-leader-id': { takes: 'N', help: "rmqttd's: the leader of a cluster (not there yet)" },
  check: { help: 'print the configuration in effect, with the origin of each value, and exit' },
  verbose: {
    short: 'v',
    multiple: true,
    help: 'log more: -v info, -vv debug, -vvv trace (without: warnings)',
  },
  json: { help: 'with check: as JSON' },
  format: { takes: 'toml|yaml|json', help: 'with generate-config: of what it prints' },
  from: {
    takes: 'rmqtt|mosquitto|st-rmqtt',
    help: "with import: whose file it is (else by the file's name and tables)",
  },
  output: { short: 'o', takes: 'FILE', help: 'with import: a new file instead of stdout' },
  quiet: { short: 'q', help: 'no start-up messages' },
  help: { short: 'h', help: 'print this' },
  version: { short: 'V', help: 'print the version' },
} as const satisfies Record<string, Flag>;

export const commands = {
  check: 'print the configuration in effect, with the origin of each value',
  'generate-config': 'print a configuration file with all defaults',
  import: "print another broker's configuration as ours: st-mqttd import FILE",
  passwd: 'keep a file of users and passwords: st-mqttd passwd --help',
  ctl: 'look at a running broker and operate it: st-mqttd ctl --help',
} as const;

type Command = keyof typeof commands;

/** Flags that mean something to one command only. */
const commandOf: Readonly<Record<string, Command>> = {
  json: 'check',
  format: 'generate-config',
  from: 'import',
  output: 'import',
};

export interface CommandLine {
  readonly command: Command | undefined;
  /** What stands behind the command: the file to import. */
  readonly operand: string | undefined;
  readonly config: readonly string[];
  readonly listen: readonly string[];
  readonly id: string | undefined;
  readonly startups: readonly string[] | undefined;
  readonly grpcAddresses: readonly string[] | undefined;
  readonly raftPeers: readonly string[] | undefined;
  readonly raftLeader: string | undefined;
  readonly json: boolean;
  readonly format: string | undefined;
  readonly from: string | undefined;
  readonly output: string | undefined;
  readonly verbose: number;
  readonly quiet: boolean;
  readonly help: boolean;
  readonly version: boolean;
}

type Values = Readonly<Record<string, unknown>>;

export function parseCommandLine(args: readonly string[]): CommandLine {
  const { values, positionals } = parse(withLists(args));
  const [first, ...more] = positionals;
  const isCommand = first !== undefined && Object.hasOwn(commands, first);
  const hasOperand = first === 'import';
  const unknown = first !== undefined && !isCommand ? first : more[hasOperand ? 1 : 0];
  if (unknown !== undefined) {
    const meant = nearest(unknown, Object.keys(commands));
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    throw fail('ST_USAGE', { why: `there is no command ${JSON.stringify(unknown)}${hint}` });
  }
  const named = first as Command | undefined;
  // --check is the same as the command, for those who put it behind the line that they start with.
  const command = named ?? (values.check === true ? 'check' : undefined);
  refuseElsewhere(values, command);
  const text = (name: string) => values[name] as string | undefined;
  const list = (name: string) => values[name] as readonly string[] | undefined;
  return {
    command,
    operand: hasOperand ? more[0] : undefined,
    config: [...(list('config') ?? []), ...(list('f') ?? [])],
    listen: list('listen') ?? [],
    id: text('id'),
    startups: list('plugins-default-startups'),
    grpcAddresses: list('node-grpc-addrs'),
    raftPeers: list('raft-peer-addrs'),
    raftLeader: text('raft-leader-id'),
    json: values.json === true,
    format: text('format'),
    from: text('from'),
    output: text('output'),
    verbose: list('verbose')?.length ?? 0,
    quiet: values.quiet === true,
    help: values.help === true,
    version: values.version === true,
  };
}

function refuseElsewhere(values: Values, command: Command | undefined): void {
  for (const [name, owner] of Object.entries(commandOf)) {
    if (values[name] === undefined || command === owner) continue;
    throw fail('ST_USAGE', { why: `--${name} goes with the command ${owner}` });
  }
}

/** "--list a b" becomes "--list=a --list=b". */
function withLists(args: readonly string[]): readonly string[] {
  const given: string[] = [];
  let list: string | undefined;
  for (const [index, arg] of args.entries()) {
    if (!arg.startsWith('-')) {
      given.push(list === undefined ? arg : `${list}=${arg}`);
      continue;
    }
    // Values behind "--" are no flags' values.
    if (arg === '--') return [...given, ...args.slice(index)];
    const flag = (flags as Readonly<Record<string, Flag>>)[arg.replace(/^--/, '')];
    list = arg.startsWith('--') && flag?.list === true ? arg : undefined;
    const next = args[index + 1];
    if (list === undefined) given.push(arg);
    else if (next === undefined || next.startsWith('-')) given.push(`${list}=`);
  }
  return given;
}

function parse(args: readonly string[]): { values: Values; positionals: readonly string[] } {
  // -f is what rmqttd calls -c.
  const options: NonNullable<ParseArgsConfig['options']> = {
    f: { type: 'string', short: 'f', multiple: true },
  };
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
    throw fail(
      'ST_USAGE',
      { why: explain(args, messageOf(cause)).replaceAll(/\p{Cc}/gu, ' ') },
      { cause },
    );
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
