/** At most so many pieces of slow work at once, and so many waiting: the rest is refused. */
export class Slots {
  #max: number;
  readonly #maxWaiting: number;
  #running = 0;
  readonly #waiting = new Set<() => void>();

  constructor(max: number, maxWaiting: number) {
    this.#max = max;
    this.#maxWaiting = maxWaiting;
  }

  /** Fewer than are running: they finish first. */
  set max(max: number) {
    this.#max = max;
    for (const start of this.#waiting) {
      if (this.#running >= max) return;
      this.#running++;
      this.#waiting.delete(start);
      start();
    }
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Rejects where too many wait already, or with the signal's reason while it waits. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#max) this.#running++;
    else await this.#wait(signal);
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#maxWaiting) {
      return Promise.reject(new Error(`${this.#waiting.size} wait already`));
    }
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#waiting.delete(start);
        reject(signal.reason);
      };
      const start = () => {
        signal.removeEventListener('abort', stop);
        resolve();
      };
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      signal.addEventListener('abort', stop, { once: true });
      this.#waiting.add(start);
    });
  }

  /** The slot goes to who waits longest. */
  #next(): void {
    const [start] = this.#waiting;
    if (start === undefined || this.#running > this.#max) {
      this.#running--;
      return;
    }
    this.#waiting.delete(start);
    start();
  }
}
