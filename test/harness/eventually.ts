import { vi } from 'vitest';

/**
 * Waits until `check` no longer throws. Ten seconds: what is awaited follows from events, and a
 * machine that stalls is no reason to fail. (vi.waitFor alone gives up after one.)
 */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 10_000, interval: 20 });
}
