/**
 * Password hashes as they stand in a file: ours `$scrypt$ln=14,r=8,p=1$SALT$HASH`, mosquitto's
 * `$7$ITERATIONS$SALT$HASH` (PBKDF2) and `$6$SALT$HASH`, and SCRAM verifiers
 * `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`. Slow work is done on libuv's threads.
 */
import { createHash, pbkdf2, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { clientKey, type ScramHash, saltedPassword, serverKey, storedKey } from './scram-keys.js';

export type PasswordHash =
  | ({
      readonly kind: 'scrypt';
      readonly ln: number;
      readonly r: number;
      readonly p: number;
    } & Salted)
  | ({ readonly kind: 'pbkdf2'; readonly iterations: number } & Salted)
  | ({ readonly kind: 'sha512' } & Salted);

interface Salted {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

export interface ScramVerifier {
  readonly kind: 'scram';
  readonly hash: ScramHash;
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export type Credential = PasswordHash | ScramVerifier;

/** Bounds on what a file may ask for: a slip must not cost minutes or gigabytes for each client. */
const kMaxIterations = 10_000_000;
const kMaxScryptBytes = 1024 * 1024 * 1024;

export const kScryptLn = 14;
export const kPbkdf2Iterations = 210_000;
export const kScramIterations = 4096;

const derive = {
  pbkdf2: promisify(pbkdf2),
  scrypt: promisify<Buffer, Buffer, number, object, Buffer>(scrypt),
};

/** What a line's second part says; a text = why it says nothing. Never has a part of the line in it. */
export function parseCredential(text: string): Credential | string {
  if (text.startsWith('$scrypt$')) return parseScrypt(text);
  if (text.startsWith('$7$')) return parsePbkdf2(text);
  if (text.startsWith('$6$')) return parseSha512(text);
  if (text.startsWith('SCRAM-')) return parseScram(text);
  if (text.startsWith('$argon2')) {
    return 'Argon2 is not supported; set the password anew with st-mqttd passwd';
  }
  if (text.startsWith('$')) return 'the hash is of no known kind ($scrypt$, $7$, $6$, SCRAM-…)';
  return 'the password is not hashed; set it with st-mqttd passwd';
}

export function formatCredential(credential: Credential): string {
  const { salt } = credential;
  switch (credential.kind) {
    case 'scrypt': {
      const { ln, r, p, hash } = credential;
      return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`;
    }
    case 'pbkdf2':
      return `$7$${credential.iterations}$${base64(salt)}$${base64(credential.hash)}`;
    case 'sha512':
      return `$6$${base64(salt)}$${base64(credential.hash)}`;
    case 'scram': {
      const { hash, iterations, storedKey: stored, serverKey: server } = credential;
      return `${scramNames[hash]}$${iterations}:${base64(salt)}$${base64(stored)}:${base64(server)}`;
    }
  }
}

export async function makeScrypt(password: Buffer, ln = kScryptLn): Promise<PasswordHash> {
  const salt = randomBytes(16);
  const cost = { ln, r: 8, p: 1 };
  const hash = await scryptOf(password, salt, 32, cost);
  return { kind: 'scrypt', ...cost, salt, hash };
}

export async function makePbkdf2(
  password: Buffer,
  iterations = kPbkdf2Iterations,
): Promise<PasswordHash> {
  // As many bytes as mosquitto's.
  const salt = randomBytes(12);
  const hash = await derive.pbkdf2(password, salt, iterations, 64, 'sha512');
  return { kind: 'pbkdf2', iterations, salt, hash };
}

export async function makeScram(
  password: Buffer,
  hash: ScramHash,
  iterations = kScramIterations,
): Promise<ScramVerifier> {
  const salt = randomBytes(16);
  const salted = await saltedPassword(hash, password, salt, iterations);
  const stored = storedKey(hash, clientKey(hash, salted));
  return {
    kind: 'scram',
    hash,
    iterations,
    salt,
    storedKey: stored,
    serverKey: serverKey(hash, salted),
  };
}

export async function verifyPassword(credential: Credential, password: Buffer): Promise<boolean> {
  const { salt } = credential;
  switch (credential.kind) {
    case 'scrypt': {
      const { hash } = credential;
      return timingSafeEqual(await scryptOf(password, salt, hash.length, credential), hash);
    }
    case 'pbkdf2': {
      const { iterations, hash } = credential;
      const found = await derive.pbkdf2(password, salt, iterations, hash.length, 'sha512');
      return timingSafeEqual(found, hash);
    }
    case 'sha512': {
      const found = createHash('sha512').update(password).update(salt).digest();
      return timingSafeEqual(found, credential.hash);
    }
    case 'scram': {
      const { hash, iterations, storedKey: stored } = credential;
      const salted = await saltedPassword(hash, password, salt, iterations);
      return timingSafeEqual(storedKey(hash, clientKey(hash, salted)), stored);
    }
  }
}

interface ScryptCost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

const scryptBytes = ({ ln, r }: ScryptCost) => 128 * r * 2 ** ln;

function scryptOf(password: Buffer, salt: Buffer, bytes: number, cost: ScryptCost) {
  const { ln, r, p } = cost;
  const maxmem = 2 * scryptBytes(cost) + 1024 * 1024;
  return derive.scrypt(password, salt, bytes, { N: 2 ** ln, r, p, maxmem });
}

function parseScrypt(text: string): Credential | string {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([^$]*)\$([^$]*)$/.exec(text);
  if (match === null) return 'the hash is not of the form $scrypt$ln=N,r=N,p=N$SALT$HASH';
  const cost = { ln: Number(match[1]), r: Number(match[2]), p: Number(match[3]) };
  const { ln, r, p } = cost;
  if (ln < 1 || r < 1 || p < 1 || p > 16 || scryptBytes(cost) > kMaxScryptBytes) {
    return 'the cost of its scrypt is out of bounds (at most 1 GiB, p at most 16)';
  }
  return salted(match[4], match[5], 16, (parts) => ({ kind: 'scrypt', ...cost, ...parts }));
}

function parsePbkdf2(text: string): Credential | string {
  const match = /^\$7\$(\d{1,9})\$([^$]*)\$([^$]*)$/.exec(text);
  if (match === null) return 'the hash is not of the form $7$ITERATIONS$SALT$HASH';
  const iterations = Number(match[1]);
  if (iterations < 1 || iterations > kMaxIterations) return badIterations;
  return salted(match[2], match[3], 64, (parts) => ({ kind: 'pbkdf2', iterations, ...parts }));
}

function parseSha512(text: string): Credential | string {
  const match = /^\$6\$([^$]*)\$([^$]*)$/.exec(text);
  if (match === null) return 'the hash is not of the form $6$SALT$HASH';
  return salted(match[1], match[2], 64, (parts) => ({ kind: 'sha512', ...parts }));
}

const badIterations = `the iterations are not 1 to ${kMaxIterations}`;

function salted(
  saltText: string | undefined,
  hashText: string | undefined,
  minBytes: number,
  make: (parts: Salted) => PasswordHash,
): Credential | string {
  const salt = fromBase64(saltText ?? '');
  const hash = fromBase64(hashText ?? '');
  if (salt === undefined || salt.length === 0) return 'the salt is not Base64';
  if (hash === undefined || hash.length < minBytes || hash.length > 64) {
    return `the hash is not Base64 of ${minBytes} to 64 bytes`;
  }
  return make({ salt, hash });
}

export const scramNames: Readonly<Record<ScramHash, string>> = {
  sha256: 'SCRAM-SHA-256',
  sha512: 'SCRAM-SHA-512',
};

function parseScram(text: string): Credential | string {
  const match = /^SCRAM-SHA-(256|512)\$(\d{1,9}):([^$:]*)\$([^$:]*):([^$:]*)$/.exec(text);
  if (match === null) {
    return 'the verifier is not of the form SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY';
  }
  const hash: ScramHash = match[1] === '256' ? 'sha256' : 'sha512';
  const bytes = hash === 'sha256' ? 32 : 64;
  const iterations = Number(match[2]);
  // RFC 7677, 4: at least 4096.
  if (iterations < 4096 || iterations > kMaxIterations) {
    return `the iterations are not 4096 to ${kMaxIterations}`;
  }
  const salt = fromBase64(match[3] ?? '');
  const stored = fromBase64(match[4] ?? '');
  const server = fromBase64(match[5] ?? '');
  if (salt === undefined || salt.length === 0) return 'the salt is not Base64';
  if (stored?.length !== bytes || server?.length !== bytes) {
    return `its keys are not Base64 of ${bytes} bytes`;
  }
  return { kind: 'scram', hash, iterations, salt, storedKey: stored, serverKey: server };
}

const base64 = (bytes: Buffer) => bytes.toString('base64');
const unpadded = (bytes: Buffer) => base64(bytes).replace(/=+$/, '');

/** Strict: Buffer.from() skips what is no Base64. */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return unpadded(bytes) === text.replace(/={0,2}$/, '') ? bytes : undefined;
}
