/** What the $SYS topics need of the broker. */
import type { Metrics } from '../metrics/counters.js';
import type { NativeBroker } from '../native/addon.js';
import type { CommandWriter } from '../native/commands.js';

export interface SysDeps {
  /** The broker's number: {node} in the topics. */
  readonly node: number;
  /** Milliseconds on a clock that only goes forward; default performance.now(). */
  readonly nowMs?: () => number;
  readonly metrics: () => Metrics;
  readonly native: Pick<NativeBroker, 'reaches' | 'tableCounts'>;
  readonly writer: Pick<CommandWriter, 'publish'>;
  /** Whether events are wanted has changed: they may have to cross, or need not. */
  readonly watchedChanged: () => void;
  readonly onError: (error: unknown) => void;
}
