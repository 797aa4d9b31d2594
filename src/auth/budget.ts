/** So many a second are told; of those beyond, how many they were, when the second is over. */
export class Budget {
  readonly #perSecond: number;
  readonly #tellRest: (count: number) => void;
  #start = Number.NEGATIVE_INFINITY;
  #used = 0;
  #rest = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(perSecond: number, tellRest: (count: number) => void) {
    this.#perSecond = perSecond;
    this.#tellRest = tellRest;
  }

  /** `now` in ms. */
  mayTell(now: number): boolean {
    if (now - this.#start >= 1000) {
      this.#start = now;
      this.#used = 0;
    }
    this.#used++;
    if (this.#used <= this.#perSecond) return true;
    this.#rest++;
    this.#timer ??= setTimeout(() => this.end(), 1000).unref();
    return false;
  }

  /** Tells what has not been told yet. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#rest > 0) this.#tellRest(this.#rest);
    this.#rest = 0;
  }
}
