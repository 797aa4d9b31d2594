/** The native half's counters as an object. */
import type { NativeBroker } from '../native/addon.js';
import { type CounterName, counterNames } from '../native/contract.js';

export type Metrics = Readonly<Record<CounterName, number>>;

export class Counters {
  readonly #numbers = new BigInt64Array(counterNames.length);

  /** Reads them anew. */
  read(native: Pick<NativeBroker, 'counters'>): Metrics {
    native.counters(this.#numbers);
    return this.last();
  }

  /** As they were when they were last read: zero before that. */
  last(): Metrics {
    const metrics = {} as Record<CounterName, number>;
    for (const [index, name] of counterNames.entries()) {
      metrics[name] = Number(this.#numbers[index] ?? 0n);
    }
    return metrics;
  }
}
