/** The command line of `st-mqttd passwd`, which takes mosquitto_passwd's forms too. */
import { parseArgs } from 'node:util';
import { fail, messageOf } from '../errors.js';

export const passwdActions = ['add', 'delete', 'verify', 'list'] as const;
export type PasswdAction = (typeof passwdActions)[number];
export type PasswdHash = 'scrypt' | 'mosquitto' | 'scram';

export interface PasswdLine {
  readonly file: string;
  readonly action: PasswdAction;
  /** '' with list. */
  readonly user: string;
  /** Of -b; else it is asked for. */
  readonly password: string | undefined;
  readonly hash: PasswdHash;
  /** scrypt: log2 of N; others: iterations. undefined = the default. */
  readonly cost: number | undefined;
  /** The file must not be there yet. */
  readonly create: boolean;
}

export const passwdHelp = `st-mqttd passwd FILE [add] USER       set a user's password, asked for or from stdin
st-mqttd passwd FILE delete USER      remove a user
st-mqttd passwd FILE verify USER      whether a password is the user's: exit code 0 or 1
st-mqttd passwd FILE list             the users and how their passwords are kept

  -b             the password is the last argument (others on this machine may see it)
  -c             the file must not be there yet
  -D             delete, as mosquitto_passwd writes it: st-mqttd passwd -D FILE USER
  --mosquitto    keep it as mosquitto does ($7$, PBKDF2-SHA512) instead of with scrypt
  --scram        keep verifiers for SCRAM-SHA-256 and SCRAM-SHA-512 (plain logins work too)
  --cost N       scrypt: log2 of N, 10 to 20 (14); else iterations (210000; SCRAM 4096)
`;

/** undefined = --help. */
export function parsePasswd(args: readonly string[]): PasswdLine | undefined {
  const { values, positionals } = parse(args);
  if (values.help === true) return undefined;
  const [file, ...rest] = positionals;
  if (file === undefined) throw usage('it wants a file: st-mqttd passwd FILE USER');
  const named = passwdActions.find((action) => action === rest[0]);
  const more = named === undefined ? rest : rest.slice(1);
  if (values.D === true && named !== undefined && named !== 'delete') {
    throw usage(`-D deletes, and ${named} does not`);
  }
  const action = values.D === true ? 'delete' : (named ?? 'add');
  const wantsUser = action !== 'list';
  const wantsPassword = values.b === true;
  if (wantsPassword && action !== 'add' && action !== 'verify') {
    throw usage(`-b goes with add and verify`);
  }
  const [user = '', password] = more;
  const wanted = Number(wantsUser) + Number(wantsPassword);
  if (wantsUser && more.length < 1) throw usage(`${action} wants a user`);
  if (wantsPassword && more.length < 2) throw usage('-b wants the password behind the user');
  if (more.length > wanted) throw usage(`${more.length - wanted} arguments too many`);
  if (values.mosquitto === true && values.scram === true) {
    throw usage('--mosquitto and --scram exclude each other');
  }
  const hash = values.mosquitto === true ? 'mosquitto' : values.scram === true ? 'scram' : 'scrypt';
  return {
    file,
    action,
    user,
    password: wantsPassword ? password : undefined,
    hash,
    cost: values.cost === undefined ? undefined : costOf(hash, values.cost),
    create: values.c === true,
  };
}

const costs: Readonly<Record<PasswdHash, readonly [number, number]>> = {
  scrypt: [10, 20],
  mosquitto: [1000, 10_000_000],
  scram: [4096, 10_000_000],
};

function costOf(hash: PasswdHash, text: string): number {
  const [low, high] = costs[hash];
  const cost = /^\d{1,8}$/.test(text) ? Number(text) : -1;
  if (cost < low || cost > high) throw usage(`--cost is ${text}; allowed: ${low} to ${high}`);
  return cost;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      strict: true,
      options: {
        b: { type: 'boolean', short: 'b' },
        c: { type: 'boolean', short: 'c' },
        D: { type: 'boolean', short: 'D' },
        mosquitto: { type: 'boolean' },
        scram: { type: 'boolean' },
        cost: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (cause) {
    // Only the first sentence: the rest is advice about writing "--", and never an argument's value.
    const why = (messageOf(cause).split(/\. |\n/)[0] ?? '').replaceAll(/\p{Cc}/gu, ' ');
    throw fail('ST_USAGE', { why: `passwd: ${why}` }, { cause });
  }
}

function usage(why: string): Error {
  return fail('ST_USAGE', { why: `passwd: ${why}` });
}
