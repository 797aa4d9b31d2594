/** What waits for AbortSignals: one listener for each signal, of however many calls it is. */

export class Signals {
  readonly #signals = new Map<
    AbortSignal,
    { readonly calls: Set<() => void>; readonly on: () => void }
  >();

  /** Calls once when it is aborted, unless the returned function was called before. */
  add(signal: AbortSignal, abort: () => void): () => void {
    let known = this.#signals.get(signal);
    if (known === undefined) {
      const calls = new Set<() => void>();
      const on = () => {
        this.#signals.delete(signal);
        for (const call of calls) call();
      };
      known = { calls, on };
      this.#signals.set(signal, known);
      signal.addEventListener('abort', on, { once: true });
    }
    const { calls, on } = known;
    calls.add(abort);
    return () => {
      calls.delete(abort);
      if (calls.size > 0) return;
      signal.removeEventListener('abort', on);
      this.#signals.delete(signal);
    };
  }
}
