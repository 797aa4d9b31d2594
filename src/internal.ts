/**
 * What this package's own command line and tests may ask of a Broker and an application may not:
 * not exported by index.ts, and under a symbol, so that no configuration can reach it.
 */
import type { Writable } from 'node:stream';
import type { Resolution } from './config/resolve.js';
import type { NativeAddon, NativeStoreOptions, Placement } from './native/addon.js';
import type { LogLevelName } from './native/contract.js';
import type { Resolve } from './reload/reloader.js';

export const kInternals: unique symbol = Symbol('st-mqttd internals');

export interface Internals {
  /** Instead of the one that is installed. */
  readonly addon?: NativeAddon;
  readonly store?: NativeStoreOptions;
  readonly placement?: Placement;
  /** The command line's: resolved from file, environment and flags. */
  readonly resolution?: Resolution;
  /** Reads them anew, for a reload. */
  readonly resolve?: Resolve;
  /** Nobody listens to events: only those that are logged need to cross. */
  readonly logsOnly?: boolean;
  /** Without notices in the log. */
  readonly quiet?: boolean;
  /** Over the level of the configured log filter: -v. */
  readonly logLevel?: LogLevelName | undefined;
  /** Where log records go instead of stderr. */
  readonly logStream?: Writable;
}
