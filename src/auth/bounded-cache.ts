/**
 * Answers for a while, at most so many: the oldest goes first. Keys are keyed digests, so that what
 * was asked (a password, a token) is not held. Thread: JavaScript's.
 */
import { createHmac, randomBytes } from 'node:crypto';

interface Kept<T> {
  readonly value: T;
  readonly until: number;
}

export class BoundedCache<T> {
  readonly #key = randomBytes(32);
  readonly #max: number;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept<T>>();

  constructor(max: number, now: () => number = () => performance.now()) {
    this.#max = max;
    this.#now = now;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** A key for these parts; none of them can be read from it. */
  keyOf(...parts: readonly (string | Buffer | undefined)[]): string {
    const digest = createHmac('sha256', this.#key);
    for (const part of parts) {
      // Lengths in between: ("ab", "c") is not ("a", "bc"), and nothing is not ''.
      const bytes = part === undefined ? undefined : Buffer.from(part);
      digest.update(`${bytes?.length ?? 'none'}:`);
      if (bytes !== undefined) digest.update(bytes);
    }
    return digest.digest('base64');
  }

  get(key: string): T | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (kept.until > this.#now()) return kept.value;
    this.#kept.delete(key);
    return undefined;
  }

  set(key: string, value: T, ttlMs: number): void {
    if (ttlMs <= 0 || this.#max <= 0) return;
    this.#kept.delete(key);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < this.#max) break;
      this.#kept.delete(oldest);
    }
    this.#kept.set(key, { value, until: this.#now() + ttlMs });
  }

  clear(): void {
    this.#kept.clear();
  }
}
