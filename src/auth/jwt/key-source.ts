/** Where the keys of tokens come from: fixed, from a file that may change, from a JWKS URL. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../errors.js';
import type { HttpClient } from '../http/client.js';
import { WatchedFile } from '../watched-file.js';
import { keysOfFile, keysOfJson, type TokenKey } from './keys.js';

export interface KeySource {
  /** Those that are known; at once where possible. */
  keys(): readonly TokenKey[] | Promise<readonly TokenKey[]>;
  /** Those that are known without asking anybody; undefined = nobody was asked yet. */
  known(): readonly TokenKey[] | undefined;
  /** For a token that none of those fits: newer ones, if it may be asked again now. */
  newer(): Promise<readonly TokenKey[] | undefined>;
  stop(): void;
}

export function fixedKeys(keys: readonly TokenKey[]): KeySource {
  return {
    keys: () => keys,
    known: () => keys,
    newer: async () => undefined,
    stop: () => undefined,
  };
}

/** Rejects where the file cannot be used. */
export async function fileKeys(
  path: string,
  onError: (error: unknown) => void,
): Promise<KeySource> {
  const read = async () => {
    const keys = keysOfFile(await readFile(path));
    if (keys.length === 0) throw new Error('it has no key for signatures');
    return keys;
  };
  const file = await WatchedFile.open<readonly TokenKey[]>({ path, read, onError });
  return {
    keys: () => file.value,
    known: () => file.value,
    newer: async () => undefined,
    stop: () => file.stop(),
  };
}

export interface JwksOptions {
  readonly cacheS: number;
  readonly cooldownS: number;
  readonly onError: (error: unknown) => void;
  /** ms; for tests. */
  readonly now?: () => number;
}

/** One request at a time, whoever waits; keys that were good stay in use where it fails. */
export class JwksKeys implements KeySource {
  readonly #client: HttpClient;
  readonly #options: JwksOptions;
  readonly #now: () => number;
  #keys: readonly TokenKey[] | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<readonly TokenKey[]> | undefined;

  constructor(client: HttpClient, options: JwksOptions) {
    this.#client = client;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  keys(): readonly TokenKey[] | Promise<readonly TokenKey[]> {
    const { cacheS } = this.#options;
    if (this.#keys === undefined) {
      // A server that is down is not asked by every client that comes.
      if (this.#asking === undefined && !this.#mayAsk()) {
        return Promise.reject(new Error(`${this.#client.origin}: the keys could not be read`));
      }
      return this.#ask();
    }
    if (this.#now() - this.#fetchedAt >= cacheS * 1000 && this.#mayAsk()) {
      // In the background: those that are here are still good.
      this.#ask().catch(this.#options.onError);
    }
    return this.#keys;
  }

  known(): readonly TokenKey[] | undefined {
    return this.#keys;
  }

  async newer(): Promise<readonly TokenKey[] | undefined> {
    if (this.#asking !== undefined) return this.#asking;
    return this.#mayAsk() ? this.#ask() : undefined;
  }

  stop(): void {
    this.#client.stop();
  }

  #mayAsk(): boolean {
    return this.#now() - this.#askedAt >= this.#options.cooldownS * 1000;
  }

  #ask(): Promise<readonly TokenKey[]> {
    this.#askedAt = this.#now();
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<readonly TokenKey[]> {
    const headers = { accept: 'application/jwk-set+json, application/json' };
    const { status, body } = await this.#client.send({ method: 'GET', headers });
    if (status !== 200) throw new Error(`${this.#client.origin}: its answer is ${status}`);
    let keys: readonly TokenKey[];
    try {
      keys = keysOfJson(body.toString('utf8'), 'public only');
    } catch (cause) {
      throw new Error(`${this.#client.origin}: no JWK Set: ${messageOf(cause)}`, { cause });
    }
    if (keys.length === 0) throw new Error(`${this.#client.origin}: no key for signatures`);
    this.#keys = keys;
    this.#fetchedAt = this.#now();
    return keys;
  }
}
