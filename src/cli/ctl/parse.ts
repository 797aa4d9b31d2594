/** The arguments of `st-mqttd ctl` to a command, checked against its row. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../../config/suggest.js';
import { fail, messageOf } from '../../errors.js';
import {
  type CommandName,
  type CommandRow,
  commandRows,
  commonFlags,
  type FlagName,
  type FlagRow,
  flagRows,
} from './commands.js';

export interface Parsed {
  readonly command: CommandName;
  readonly args: readonly string[];
  readonly flags: Readonly<Partial<Record<FlagName, string | true>>>;
}

const rows: readonly (readonly [CommandName, CommandRow])[] = Object.entries(commandRows) as [
  CommandName,
  CommandRow,
][];

/** 'help' where that is asked for. Throws ST_CTL_USAGE. */
export function parseCtl(given: readonly string[]): Parsed | 'help' {
  const { values, positionals } = parseFlags(given);
  if (values.help === true || (given.length === 0 && positionals.length === 0)) return 'help';
  const [name, row, args] = findCommand(positionals);
  for (const flag of Object.keys(values) as FlagName[]) {
    if (!commonFlags.includes(flag) && !row.flags.includes(flag)) {
      throw usage(`--${flag} does not go with ${row.words.join(' ')}`);
    }
  }
  const [least, most] = row.count;
  if (args.length < least || args.length > most) {
    throw usage(`it is: ${[...row.words, row.takes].join(' ').trim()}`);
  }
  return { command: name, args, flags: values };
}

export function usage(why: string): Error {
  return fail('ST_CTL_USAGE', { why });
}

function parseFlags(given: readonly string[]): {
  values: Partial<Record<FlagName, string | true>>;
  positionals: readonly string[];
} {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const [name, { takes }] of Object.entries<FlagRow>(flagRows)) {
    options[name] = {
      type: takes === undefined ? 'boolean' : 'string',
      ...(name === 'help' ? { short: 'h' } : {}),
    };
  }
  try {
    const { values, positionals } = parseArgs({
      args: [...given],
      allowPositionals: true,
      strict: true,
      options,
    });
    return { values: values as Partial<Record<FlagName, string | true>>, positionals };
  } catch (error) {
    // The text of parseArgs names the flag, never its value.
    const [first = ''] = messageOf(error).split(/\. |\n/);
    const unknown = /^Unknown option '--?([^'=]+)/.exec(first)?.[1];
    if (unknown === undefined) throw usage(first);
    const meant = nearest(unknown, Object.keys(flagRows));
    throw usage(
      `there is no flag --${unknown}${meant === undefined ? '' : `; did you mean --${meant}?`}`,
    );
  }
}

function findCommand(
  positionals: readonly string[],
): readonly [CommandName, CommandRow, readonly string[]] {
  const [first = '', second = ''] = positionals;
  const family = rows.filter(([, { words }]) => words[0] === first);
  if (family.length === 0) {
    const meant = nearest(first, [...new Set(rows.map(([, { words }]) => words[0]))]);
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    throw usage(first === '' ? 'no command is given' : `there is no command "${first}"${hint}`);
  }
  const exact = family.find(([, { words }]) => words[1] === second || words.length === 1);
  if (exact !== undefined) {
    const [name, row] = exact;
    return [name, row, positionals.slice(row.words.length)];
  }
  const bare = family.find(([, { isDefault }]) => isDefault === true);
  // "clients lst" is no filter; "clients connected=true" is.
  const fits = second === '' || /[=~<>/+#.]/.test(second);
  if (bare === undefined || !fits) {
    const others = family.map(([, { words }]) => words[1] ?? '');
    throw usage(`there is no "${first} ${second}"; there are ${others.join(', ')}`);
  }
  const [name, row] = bare;
  return [name, row, positionals.slice(1)];
}
