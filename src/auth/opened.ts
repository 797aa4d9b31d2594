/**
 * What one table of auth.providers makes: something that is asked, or methods, not both. Chains of
 * configurations that have the same table share it, with all that it has learnt: it ends with the
 * last of them. Thread: JavaScript's.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ProviderConfig } from '../config/broker-config.js';
import { placedLike } from '../config/places.js';
import type { EnhancedMethod } from './enhanced.js';
import type { ClientTls } from './http/tls-files.js';
import type { AuthProvider } from './provider.js';

export interface Made {
  readonly provider: AuthProvider | undefined;
  readonly methods: ReadonlyMap<string, EnhancedMethod>;
  /** What its connections show and trust. */
  readonly tls: ClientTls;
  /** Reads its file now. Rejects, and changes nothing, where that cannot be used. */
  renew(): Promise<void>;
  stop(): void;
}

interface Shared extends Made {
  /** Whose place it tells when something goes wrong later. */
  readonly placed: ProviderConfig;
  holders: number;
}

/** A chain's hold on it. */
export class Opened {
  readonly config: ProviderConfig;
  readonly #shared: Shared;
  #isHeld = true;

  static make(config: ProviderConfig, made: Made): Opened {
    const { provider, methods, tls } = made;
    const renew = () => made.renew();
    const stop = () => made.stop();
    const shared = { provider, methods, tls, renew, stop, placed: config, holders: 0 };
    return new Opened(config, shared);
  }

  private constructor(config: ProviderConfig, shared: Shared) {
    this.config = config;
    this.#shared = shared;
    shared.holders++;
  }

  get provider(): AuthProvider | undefined {
    return this.#shared.provider;
  }

  get methods(): ReadonlyMap<string, EnhancedMethod> {
    return this.#shared.methods;
  }

  /** Whether the other table asks for just this; on which listeners does not matter. */
  fits(config: ProviderConfig): boolean {
    return this.#shared.holders > 0 && isDeepStrictEqual(core(this.config), core(config));
  }

  /** Whether it was made with these. */
  hasTls(tls: ClientTls): boolean {
    return isDeepStrictEqual(this.#shared.tls, tls);
  }

  /** A hold of one more chain, for the same table where it stands now. */
  share(config: ProviderConfig): Opened {
    placedLike(config, this.#shared.placed);
    return new Opened(config, this.#shared);
  }

  renew(): Promise<void> {
    return this.#shared.renew();
  }

  stop(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#shared.holders--;
    if (this.#shared.holders === 0) this.#shared.stop();
  }
}

function core(config: ProviderConfig): object {
  return { ...config, listeners: [], where: '' };
}
