/**
 * What this package's own command line and tests may ask of a Broker and an application may not:
 * not exported by index.ts, and under a symbol, so that no configuration can reach it.
 */
import type { Writable } from 'node:stream';
import type { Resolution } from './config/resolve.js';
import type { NativeAddon, NativeStoreOptions, Placement } from './native/addon.js';

export const kInternals: unique symbol = Symbol('st-mqttd internals');

export interface Internals {
  /** Instead of the one that is installed. */
  readonly addon?: NativeAddon;
  readonly store?: NativeStoreOptions;
  readonly placement?: Placement;
  /** The command line's: resolved from file, environment and flags. */
  readonly resolution?: Resolution;
  /** Nobody listens to events: only those that are logged need to cross. */
  readonly logsOnly?: boolean;
  /** Without notices in the log. */
  readonly quiet?: boolean;
  /** Where log records go instead of stderr. */
  readonly logStream?: Writable;
}
