/**
 * Enhanced authentication of MQTT 5.0 (4.12): an exchange of AUTH packets, written as a function that
 * asks and gets answers. An exchange lives as long as its verdict may take, whatever the client does.
 */
import { type AuthContext, within } from './context.js';
import type { Decision } from './provider.js';
import type { AuthVerdict } from './verdict.js';

/** What an own method is given: broker.authenticateWith(). */
export interface AuthExchange {
  /** The Authentication Method. */
  readonly method: string;
  /** What came with CONNECT, or with the AUTH packet that starts a re-authentication. */
  readonly data: Buffer;
  /** Who connects; undefined at a re-authentication, which cannot change who it is. */
  readonly client: AuthContext | undefined;
  /** Aborted when the verdict would come too late, or the broker stops. */
  readonly signal: AbortSignal;
  /** Sends AUTH with these data; resolves with what the client answers. */
  challenge(data: Buffer): Promise<Buffer>;
}
/** Accept may carry `authData`: it goes out with CONNACK, or with the last AUTH. */
export type AuthMethodHandler = (exchange: AuthExchange) => AuthVerdict | Promise<AuthVerdict>;

export interface EnhancedMethod {
  /** Of the provider, for the log. */
  readonly name: string;
  run(exchange: AuthExchange): Promise<Decision>;
}

interface Waiting {
  readonly resolve: (data: Buffer) => void;
}

export interface ExchangeStart {
  readonly connectionId: bigint;
  readonly method: string;
  readonly data: Buffer;
  readonly client: AuthContext | undefined;
  readonly signal: AbortSignal;
}

/** Who has been asked and has not answered yet. */
export class Exchanges {
  readonly #challenge: (connectionId: bigint, data: Buffer) => void;
  readonly #waiting = new Map<bigint, Waiting>();

  constructor(challenge: (connectionId: bigint, data: Buffer) => void) {
    this.#challenge = challenge;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  async run(method: EnhancedMethod, start: ExchangeStart): Promise<Decision> {
    const { connectionId, signal } = start;
    const exchange: AuthExchange = {
      method: start.method,
      data: start.data,
      client: start.client,
      signal,
      challenge: (data) => this.#ask(connectionId, data, signal),
    };
    try {
      return await within(signal, method.run(exchange));
    } finally {
      this.#waiting.delete(connectionId);
    }
  }

  /** Whether somebody waited for this. */
  answer(connectionId: bigint, data: Buffer): boolean {
    const waiting = this.#waiting.get(connectionId);
    if (waiting === undefined) return false;
    this.#waiting.delete(connectionId);
    waiting.resolve(data);
    return true;
  }

  #ask(connectionId: bigint, data: Buffer, signal: AbortSignal): Promise<Buffer> {
    if (this.#waiting.has(connectionId)) {
      return Promise.reject(new Error('challenge() again before the client has answered'));
    }
    if (signal.aborted) return Promise.reject(signal.reason);
    const answer = new Promise<Buffer>((resolve) => {
      this.#waiting.set(connectionId, { resolve });
    });
    this.#challenge(connectionId, data);
    return within(signal, answer);
  }
}
