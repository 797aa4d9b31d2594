/** Where the keys of tokens come from: fixed, from a file that may change, from a JWKS URL. */
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, createRemoteJWKSet, customFetch } from 'jose';
import { messageOf } from '../../errors.js';
import type { HttpClient } from '../http/client.js';
import { WatchedFile } from '../watched-file.js';
import {
  jwksOf,
  type KeysFor,
  keysOfFile,
  matching,
  requireKeys,
  type TokenHeader,
  type TokenKey,
} from './keys.js';

export interface KeySource {
  /** Rejects where they cannot be had: the client is then refused with 0x88. */
  keysFor(header: TokenHeader): Promise<readonly TokenKey[]>;
  /** Reads the file that they are in now. Rejects, and changes nothing, where it cannot be used. */
  renew(): Promise<void>;
  stop(): void;
}

export function fixedKeys(keysFor: KeysFor): KeySource {
  return { keysFor, renew: () => Promise.resolve(), stop: () => undefined };
}

/** Rejects where the file cannot be used, or has no key for one of these algorithms. */
export async function fileKeys(
  path: string,
  algorithms: readonly string[],
  onError: (error: unknown) => void,
): Promise<KeySource> {
  const read = async () => {
    const keys = keysOfFile(await readFile(path));
    await requireKeys(keys, algorithms);
    return keys;
  };
  const file = await WatchedFile.open<KeysFor>({ path, read, onError });
  return {
    keysFor: (header) => file.value(header),
    renew: () => file.renew(),
    stop: () => file.stop(),
  };
}

export interface JwksOptions {
  readonly cacheS: number;
  readonly cooldownS: number;
  readonly timeoutMs: number;
  readonly onError: (error: unknown) => void;
  /** ms; for tests. */
  readonly now?: () => number;
}

class JwksFailure extends Error {
  readonly isCoolingDown: boolean;

  constructor(why: string, options: ErrorOptions & { readonly isCoolingDown?: boolean } = {}) {
    super(why, options);
    this.isCoolingDown = options.isCoolingDown ?? false;
  }
}

/**
 * jose keeps the set, looks keys up, and asks again for one that it does not know. Two rules are
 * ours: keys that were good stay in use where asking fails, and a server that is down is not asked
 * by every client that comes.
 */
export class JwksKeys implements KeySource {
  readonly #client: HttpClient;
  readonly #options: JwksOptions;
  readonly #now: () => number;
  readonly #set: ReturnType<typeof createRemoteJWKSet>;
  #fetchedAt: number | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(client: HttpClient, options: JwksOptions) {
    this.#client = client;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#set = createRemoteJWKSet(new URL(client.url), {
      // When they are old is seen below: jose would refuse everybody while the server is down.
      cacheMaxAge: Number.POSITIVE_INFINITY,
      cooldownDuration: options.cooldownS * 1000,
      timeoutDuration: options.timeoutMs,
      [customFetch]: (_, { signal }) => this.#fetch(signal),
    });
  }

  async keysFor({ alg, kid }: TokenHeader): Promise<readonly TokenKey[]> {
    const fetchedAt = this.#fetchedAt ?? Number.POSITIVE_INFINITY;
    if (this.#now() - fetchedAt >= this.#options.cacheS * 1000 && this.#mayAsk()) {
      // In the background: those that are here are still good.
      this.#set.reload().catch(this.#options.onError);
    }
    let failure: unknown;
    try {
      return await matching(() => this.#set(kid === undefined ? { alg } : { alg, kid }));
    } catch (error) {
      failure = error;
    }
    // Only what asking has thrown is a failure. The rest is a key that is of no use.
    if (!(failure instanceof JwksFailure)) return [];
    if (failure.isCoolingDown && this.#fetchedAt !== undefined) return [];
    throw failure;
  }

  /** They are asked for when they are old, or when one is missing. */
  renew(): Promise<void> {
    return Promise.resolve();
  }

  stop(): void {
    this.#client.stop();
  }

  #mayAsk(): boolean {
    return this.#now() - this.#askedAt >= this.#options.cooldownS * 1000;
  }
  async #fetch(signal: AbortSignal): Promise<Response> {
    const { origin } = this.#client;
    if (!this.#mayAsk()) {
      throw new JwksFailure(`${origin}: the keys could not be read`, { isCoolingDown: true });
    }
    this.#askedAt = this.#now();
    const headers = { accept: 'application/jwk-set+json, application/json' };
    try {
      const { status, body } = await this.#client.send({ method: 'GET', headers, signal });
      if (status !== 200) throw new Error(`${origin}: its answer is ${status}`);
      const set = setOf(body, origin);
      this.#fetchedAt = this.#now();
      return Response.json(set);
    } catch (cause) {
      throw new JwksFailure(messageOf(cause), { cause });
    }
  }
}

/** Checked before jose takes it in place of the keys that are there. */
function setOf(body: Buffer, origin: string): ReturnType<typeof jwksOf> {
  try {
    const set = jwksOf(body.toString('utf8'));
    createLocalJWKSet(set);
    return set;
  } catch (cause) {
    throw new Error(`${origin}: no JWK Set: ${messageOf(cause)}`, { cause });
  }
}
