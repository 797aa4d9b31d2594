/** For a plugin's module: the type of its configuration goes from the definition to the context. */
import type { Plugin } from './types.js';

/** Returns what it is given; a plugin's module exports it as `plugin` or as its default. */
export function definePlugin<C = unknown>(plugin: Plugin<C>): Plugin<C> {
  return plugin;
}

/** For check(): what is wrong with the key at `path` of the configuration. */
export class WrongConfig extends Error {
  readonly path: readonly string[];

  constructor(path: readonly string[], why: string, options?: ErrorOptions) {
    super(why, options);
    this.path = path;
  }
}
