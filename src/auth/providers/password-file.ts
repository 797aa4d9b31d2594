/**
 * Users of a password file. Hashes are slow on purpose: they are computed on libuv's threads, few
 * at once, and what was right is remembered for a while under a keyed digest.
 */
import { BoundedCache } from '../bounded-cache.js';
import type { AuthContext } from '../context.js';
import { readPasswords, type Users } from '../passwords/file.js';
import {
  type Credential,
  formatCredential,
  makeScrypt,
  verifyPassword,
} from '../passwords/hashes.js';
import { hashing } from '../passwords/hashing.js';
import { type AuthProvider, allow, type Decision, deny, ignore } from '../provider.js';
import { Slots } from '../slots.js';
import { WatchedFile } from '../watched-file.js';

export interface PasswordFileOptions {
  readonly name: string;
  readonly path: string;
  /** 0 = nothing is remembered. */
  readonly cacheTtlS: number;
  readonly cacheMax: number;
  readonly maxConcurrent: number;
}

/** More than this wait for their verdict's time to be over anyway. */
const kMaxWaiting = 20_000;

export class PasswordFile implements AuthProvider {
  readonly name: string;
  readonly #options: PasswordFileOptions;
  readonly #file: WatchedFile<Users>;
  readonly #slots: Slots;
  readonly #verified: BoundedCache<true>;
  readonly #leave: () => void;
  /** An unknown user costs what a known one costs. */
  #nobody: Credential;

  /** Rejects with ST_AUTH_FILE. */
  static async open(
    options: PasswordFileOptions,
    onError: (error: unknown) => void,
    watch: { readonly intervalMs?: number } = {},
  ): Promise<PasswordFile> {
    let provider: PasswordFile | undefined;
    const file = await WatchedFile.open<Users>({
      path: options.path,
      read: readPasswords,
      onError,
      onChange: (users) => provider?.replaceNobody(users),
      ...watch,
    });
    const nobody = await makeScrypt(Buffer.from('nobody'), 10);
    provider = new PasswordFile(options, file, nobody);
    provider.replaceNobody(file.value);
    return provider;
  }

  private constructor(options: PasswordFileOptions, file: WatchedFile<Users>, nobody: Credential) {
    this.name = options.name;
    this.#options = options;
    this.#file = file;
    this.#nobody = nobody;
    this.#slots = new Slots(options.maxConcurrent, kMaxWaiting);
    this.#verified = new BoundedCache(options.cacheMax);
    this.#leave = hashing.join(options.maxConcurrent);
  }

  authenticate(context: AuthContext): Decision | Promise<Decision> {
    const { username, password } = context;
    if (username === undefined) return ignore;
    const credential = plainOf(this.#file.value, username);
    if (password === undefined) return credential === undefined ? ignore : deny('bad_credentials');
    const asked = credential ?? this.#nobody;
    // The stored hash is part of the key: a changed file makes what was remembered worthless.
    const key = this.#verified.keyOf(username, formatCredential(asked), password);
    if (this.#verified.get(key) === true) return allow({ username });
    const { signal } = context;
    const isRight = this.#slots.run(signal, () =>
      hashing.run(signal, () => verifyPassword(asked, password)),
    );
    return isRight.then((right) => {
      // Hashes are slow: by now the file may say something else of this user, or nothing.
      if (!isSame(credential, plainOf(this.#file.value, username))) {
        return this.authenticate(context);
      }
      if (credential === undefined) return ignore;
      if (!right) return deny('bad_credentials');
      this.#verified.set(key, true, this.#options.cacheTtlS * 1000);
      return allow({ username });
    });
  }

  /** What most users have is what an unknown one is compared with. */
  private replaceNobody(users: Users): void {
    const [first] = users.values();
    const credential = first?.[0]?.credential;
    if (credential !== undefined) this.#nobody = unmatched(credential);
  }

  /** Rejects with ST_AUTH_FILE; then nothing has changed. */
  renew(): Promise<void> {
    return this.#file.renew();
  }

  stop(): void {
    this.#leave();
    this.#file.stop();
    this.#verified.clear();
  }
}

/** A SCRAM verifier judges a plain password too, where there is nothing else. */
function plainOf(users: Users, username: string): Credential | undefined {
  const entries = users.get(username);
  const plain = entries?.find(({ credential }) => credential.kind !== 'scram') ?? entries?.[0];
  return plain?.credential;
}

/** A file that is read again has other objects that say the same. */
function isSame(a: Credential | undefined, b: Credential | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || formatCredential(a) === formatCredential(b);
}

/** As slow as `credential`, and nobody's. */
function unmatched(credential: Credential): Credential {
  const other = (bytes: Buffer) => Buffer.alloc(bytes.length, 0xa5);
  return credential.kind === 'scram'
    ? { ...credential, salt: other(credential.salt), storedKey: other(credential.storedKey) }
    : { ...credential, salt: other(credential.salt), hash: other(credential.hash) };
}
