/** `st-mqttd passwd`: keeps the file of the providers password_file and scram. */
import { realpath } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import {
  parsePasswords,
  readTextIfThere,
  replaceFile,
  unfitUser,
  withUser,
} from '../auth/passwords/file.js';
import {
  type Credential,
  makePbkdf2,
  makeScram,
  makeScrypt,
  scramNames,
  verifyPassword,
} from '../auth/passwords/hashes.js';
import { fail } from '../errors.js';
import { askPassword, type Terminal } from './ask-password.js';
import { type PasswdLine, parsePasswd, passwdHelp } from './passwd-args.js';

export interface PasswdSurroundings {
  readonly input: Readable & Partial<Terminal>;
  readonly output: Writable;
  /** Prompts: not where output may go to a file. */
  readonly prompt: Writable;
}

/** Resolves with the exit code. */
export async function passwd(
  args: readonly string[],
  surroundings: PasswdSurroundings = {
    input: process.stdin,
    output: process.stdout,
    prompt: process.stderr,
  },
): Promise<number> {
  const line = parsePasswd(args);
  const { output } = surroundings;
  if (line === undefined) {
    output.write(passwdHelp);
    return 0;
  }
  switch (line.action) {
    case 'add':
      await add(line, surroundings);
      return 0;
    case 'delete':
      await remove(line);
      return 0;
    case 'verify':
      return verify(line, surroundings);
    case 'list':
      await list(line, output);
      return 0;
  }
}

async function add(line: PasswdLine, surroundings: PasswdSurroundings): Promise<void> {
  const { file, user } = line;
  const bad = unfitUser(user);
  if (bad !== undefined) throw fail('ST_USAGE', { why: `passwd: ${bad}` });
  const text = await readTextIfThere(file);
  if (line.create && (await exists(file))) {
    throw fail('ST_AUTH_FILE', {
      where: file,
      why: 'it is there already; leave -c out to add to it',
    });
  }
  // What is wrong in it would be kept, and found at the next start.
  parsePasswords(text, file);
  const password = await passwordOf(line, surroundings, 'twice');
  if (password.length === 0) throw fail('ST_USAGE', { why: 'passwd: the password is empty' });
  const credentials = await credentialsOf(line, password);
  await replaceFile(await target(file), withUser(text, user, credentials));
}

async function remove({ file, user }: PasswdLine): Promise<void> {
  const text = await readTextIfThere(file);
  requireUser(text, file, user);
  await replaceFile(await target(file), withUser(text, user, []));
}

async function verify(line: PasswdLine, surroundings: PasswdSurroundings): Promise<number> {
  const { file, user } = line;
  const entries = requireUser(await readTextIfThere(file), file, user);
  const password = await passwordOf(line, surroundings, 'once');
  for (const { credential } of entries) {
    if (!(await verifyPassword(credential, password))) {
      surroundings.output.write(`wrong: this is not the password of ${user}\n`);
      return 1;
    }
  }
  surroundings.output.write(`right: this is the password of ${user}\n`);
  return 0;
}

async function list({ file }: PasswdLine, output: Writable): Promise<void> {
  if (!(await exists(file))) throw missing(file);
  for (const [user, entries] of parsePasswords(await readTextIfThere(file), file)) {
    output.write(`${user}\t${entries.map(({ credential }) => nameOf(credential)).join(', ')}\n`);
  }
}

function requireUser(text: string, file: string, user: string) {
  const entries = parsePasswords(text, file).get(user);
  if (entries !== undefined) return entries;
  throw fail('ST_AUTH_FILE', { where: file, why: `there is no user ${JSON.stringify(user)}` });
}

const missing = (file: string) =>
  fail('ST_AUTH_FILE', { where: file, why: 'there is no such file' });

function nameOf(credential: Credential): string {
  if (credential.kind === 'scram') return scramNames[credential.hash];
  return { scrypt: 'scrypt', pbkdf2: '$7$', sha512: '$6$' }[credential.kind];
}

async function credentialsOf({ hash, cost }: PasswdLine, password: Buffer): Promise<Credential[]> {
  switch (hash) {
    case 'scrypt':
      return [await makeScrypt(password, cost)];
    case 'mosquitto':
      return [await makePbkdf2(password, cost)];
    case 'scram':
      return [await makeScram(password, 'sha256', cost), await makeScram(password, 'sha512', cost)];
  }
}

async function passwordOf(
  { password, user }: PasswdLine,
  { input, prompt }: PasswdSurroundings,
  times: 'once' | 'twice',
): Promise<Buffer> {
  if (password !== undefined) return Buffer.from(password);
  return askPassword({ input, prompt, text: `Password of ${user}: `, times });
}

async function exists(file: string): Promise<boolean> {
  return realpath(file).then(
    () => true,
    () => false,
  );
}

/** The file behind a symbolic link: the link stays. */
function target(file: string): Promise<string> {
  return realpath(file).catch(() => file);
}
