/** For a plugin's module: the type of its configuration goes from the definition to the context. */
import type { Plugin } from './types.js';

/** Returns what it is given; a plugin's module exports it as `plugin` or as its default. */
export function definePlugin<C = unknown>(plugin: Plugin<C>): Plugin<C> {
  return plugin;
}
