/**
 * A stream of values for one reader: what `meters()` and `alerts()` return. What nobody reads is
 * kept up to a bound; beyond it the oldest is left out and counted.
 */
import { checkTable } from '../arguments.js';
import { fail } from '../errors.js';

export interface FeedOptions {
  /** How many values are kept for a reader that is behind, 1 to 100000; then the oldest goes. */
  readonly buffer?: number | undefined;
  /** Ends the stream when it is aborted: who reads gets its reason thrown. */
  readonly signal?: AbortSignal | undefined;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

const kMaxBuffer = 100_000;

/** A value is there. */
export let put: <T>(feed: Feed<T>, value: T) => void;
/** Nothing more comes: what is kept can still be read. */
export let endFeed: (feed: Feed<unknown>) => void;

export class Feed<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.#finish({ error: this.#signal?.reason, keep: false });
  /** Told once, when the feed has ended, whoever ended it. */
  readonly #released: () => void;
  #ring: (T | undefined)[] = [];
  #first = 0;
  #count = 0;
  #missed = 0;
  #waiters: Waiter<T>[] = [];
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  /** Made by the broker. */
  constructor(options: Required<FeedOptions>, released: () => void) {
    this.#capacity = options.buffer ?? kMaxBuffer;
    this.#released = released;
    this.#signal = options.signal;
    if (this.#signal?.aborted === true) this.#onAbort();
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** How many values were left out, because this reader was behind. */
  get missed(): number {
    return this.#missed;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#count > 0) {
      const value = this.#ring[this.#first] as T;
      this.#ring[this.#first] = undefined;
      this.#first = (this.#first + 1) % this.#capacity;
      this.#count--;
      return Promise.resolve({ done: false, value });
    }
    if (this.#ended) {
      const failure = this.#failure;
      this.#failure = undefined;
      return failure === undefined
        ? Promise.resolve({ done: true, value: undefined })
        : Promise.reject(failure.error);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Ends it: what is kept is given up. `break` in a `for await` does it too. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#finish({ keep: false });
    return { done: true, value: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#finish({ keep: false });
  }

  static {
    put = (feed, value) => feed.#put(value);
    endFeed = (feed) => feed.#finish({ keep: true });
  }

  #put(value: T): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value });
      return;
    }
    if (this.#count === this.#capacity) {
      this.#first = (this.#first + 1) % this.#capacity;
      this.#count--;
      this.#missed++;
    }
    this.#ring[(this.#first + this.#count) % this.#capacity] = value;
    this.#count++;
  }

  #finish(how: { readonly keep: boolean; readonly error?: unknown }): void {
    if (!how.keep) {
      this.#ring = [];
      this.#count = 0;
    }
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    if ('error' in how) this.#failure = { error: how.error };
    this.#released();
    for (const waiter of this.#waiters.splice(0)) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure === undefined) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(failure.error);
    }
  }
}

/** Options with their default; throws ST_ARGUMENT. */
export function checkFeedOptions(
  doing: string,
  options: FeedOptions,
  defaultBuffer: number,
): Required<FeedOptions> {
  checkTable(doing, 'options', options);
  const { buffer, signal } = options;
  const kept = buffer ?? defaultBuffer;
  if (!Number.isInteger(kept) || kept < 1 || kept > kMaxBuffer) {
    const allowed = `a whole number from 1 to ${kMaxBuffer}`;
    throw fail('ST_ARGUMENT', { doing, name: 'buffer', found: String(buffer), allowed });
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    const allowed = 'an AbortSignal';
    throw fail('ST_ARGUMENT', { doing, name: 'signal', found: typeof signal, allowed });
  }
  return { buffer: kept, signal };
}
