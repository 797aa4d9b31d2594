/** What only shipped plugins are given: steps of the native half. */
import type { NativeDelayOptions } from '../native/addon.js';
import type { PluginContext } from './types.js';

export const kDelay = Symbol('delay');
export const kInForce = Symbol('inForce');

export interface OwnPluginContext<C = unknown> extends PluginContext<C> {
  /** Delays messages from now on, or no more. */
  readonly [kDelay]: (options: NativeDelayOptions) => void;
  /** All I/O threads know what was said so far. Not before the broker has started. */
  readonly [kInForce]: () => Promise<void>;
}

/** The context of a shipped plugin has more than others see. */
export function ownContext<C>(context: PluginContext<C>): OwnPluginContext<C> {
  return context as OwnPluginContext<C>;
}
