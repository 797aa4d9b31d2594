/**
 * Passwords are computed on libuv's threads, which are the process's and read files and resolve
 * names, too: one bound for all password files, the largest max_concurrent among them. Each has a
 * queue of its own before this one, so none keeps the others from their turn.
 */
import { Slots } from '../slots.js';

export class Hashing {
  readonly #slots = new Slots(1, Number.POSITIVE_INFINITY);
  readonly #members = new Map<symbol, number>();

  get waiting(): number {
    return this.#slots.waiting;
  }

  /** Of one file that is in use; call what is returned when it is no longer. */
  join(maxConcurrent: number): () => void {
    const member = Symbol();
    this.#members.set(member, maxConcurrent);
    this.#bound();
    return () => {
      this.#members.delete(member);
      this.#bound();
    };
  }

  run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#slots.run(signal, work);
  }

  #bound(): void {
    this.#slots.max = Math.max(1, ...this.#members.values());
  }
}

export const hashing = new Hashing();
