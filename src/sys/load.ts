/**
 * Load averages as mosquitto computes them: what happens per minute, averaged exponentially over 1,
 * 5 and 15 minutes. Pure; takes the time.
 */
const kMinuteMs = 60_000;
/** The topics' last level, and the time constant in minutes. */
export const windows = [
  ['1min', 1],
  ['5min', 5],
  ['15min', 15],
] as const;

export type WindowName = (typeof windows)[number][0];
export type Averages = Readonly<Record<WindowName, number>>;

export class LoadAverage {
  #total: number;
  #atMs: number;
  readonly #values: Record<WindowName, number> = { '1min': 0, '5min': 0, '15min': 0 };

  constructor(total: number, nowMs: number) {
    this.#total = total;
    this.#atMs = nowMs;
  }

  /** `total` has grown to this by now. */
  update(total: number, nowMs: number): Averages {
    const elapsedMs = nowMs - this.#atMs;
    if (elapsedMs > 0) {
      const perMinute = ((total - this.#total) * kMinuteMs) / elapsedMs;
      for (const [name, minutes] of windows) {
        const kept = Math.exp(-elapsedMs / (minutes * kMinuteMs));
        this.#values[name] = perMinute + kept * (this.#values[name] - perMinute);
      }
      this.#total = total;
      this.#atMs = nowMs;
    }
    return this.#values;
  }
}
