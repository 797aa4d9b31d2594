/** A password file: a line `user:hash` each, as mosquitto's; several where a user has SCRAM too. */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readFailure } from '../../config/read-failure.js';
import { fail, systemCode } from '../../errors.js';
import { type Credential, formatCredential, parseCredential } from './hashes.js';

const kMaxBytes = 64 * 1024 * 1024;

export interface Entry {
  readonly user: string;
  readonly credential: Credential;
  readonly line: number;
}

/** By user; each user has a credential of each kind at most once. */
export type Users = ReadonlyMap<string, readonly Entry[]>;

/** Throws ST_AUTH_FILE with file and line; what stands in the line is never told. */
export function parsePasswords(text: string, file: string): Users {
  const users = new Map<string, Entry[]>();
  for (const [index, raw] of text.split('\n').entries()) {
    const content = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (content.trim() === '' || content.startsWith('#')) continue;
    const line = index + 1;
    const wrong = (why: string) => fail('ST_AUTH_FILE', { where: `${file}:${line}`, why });
    const colon = content.indexOf(':');
    if (colon < 0) throw wrong('a line is USER:HASH');
    const user = content.slice(0, colon);
    const bad = unfitUser(user);
    if (bad !== undefined) throw wrong(bad);
    const credential = parseCredential(content.slice(colon + 1).trimEnd());
    if (typeof credential === 'string') throw wrong(credential);
    const entries = users.get(user);
    const same = entries?.find((one) => kindOf(one.credential) === kindOf(credential));
    if (same !== undefined) throw wrong(`the user has such a hash already, in line ${same.line}`);
    const entry = { user, credential, line };
    if (entries === undefined) users.set(user, [entry]);
    else entries.push(entry);
  }
  return users;
}

/** Why this can be no user of a password file; undefined = it can. */
export function unfitUser(user: string): string | undefined {
  if (user === '') return 'the user is empty';
  if (Buffer.byteLength(user) > 65_535) return 'the user has more than 65535 bytes';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x1f\x7f:\ufffd]/.test(user)) {
    return 'the user has a colon, a control character or bytes that are no UTF-8';
  }
  return undefined;
}

function kindOf(credential: Credential): string {
  return credential.kind === 'scram' ? credential.hash : 'password';
}

export async function readPasswords(file: string): Promise<Users> {
  return parsePasswords(await readText(file), file);
}

/** '' where there is none. */
export async function readTextIfThere(file: string): Promise<string> {
  try {
    await stat(file);
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return '';
  }
  return readText(file);
}

async function readText(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    const { size } = await stat(file);
    if (size > kMaxBytes) throw new Error(`it has more than ${kMaxBytes} bytes`);
    bytes = await readFile(file);
  } catch (cause) {
    throw fail('ST_AUTH_FILE', { where: file, why: readFailure(cause) }, { cause });
  }
  return bytes.toString('utf8');
}

/** The text with `credentials` as the user's only ones; none = without the user. */
export function withUser(text: string, user: string, credentials: readonly Credential[]): string {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const added = credentials.map((credential) => `${user}:${formatCredential(credential)}`);
  const at = lines.findIndex((line) => line.startsWith(`${user}:`));
  const others = (part: readonly string[]) => part.filter((line) => !line.startsWith(`${user}:`));
  const result =
    at < 0
      ? [...lines, ...added]
      : [...others(lines.slice(0, at)), ...added, ...others(lines.slice(at))];
  return result.length === 0 ? '' : `${result.join('\n')}\n`;
}

/**
 * All of it or nothing, however the machine stops: a new file is synced, then takes the name. It is
 * its owner's alone; whose the old one was, the new one is, so that the broker can still read it.
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const fresh = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(fresh, 'wx', 0o600);
    try {
      const old = await stat(file).catch(() => undefined);
      if (old !== undefined && (old.uid !== process.getuid?.() || old.gid !== process.getgid?.())) {
        await handle.chown(old.uid, old.gid);
      }
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (cause) {
    await rm(fresh, { force: true });
    throw fail('ST_AUTH_FILE', { where: file, why: `writing: ${readFailure(cause)}` }, { cause });
  }
}
