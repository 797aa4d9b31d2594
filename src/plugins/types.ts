/** What a plugin is, and what it is given. Nothing here runs. */
import type { Broker } from '../broker.js';
import type { BrokerHooks } from '../hooks/face.js';
import type { Link } from '../link/link.js';
import type { LinkOptions } from '../link/options.js';

/** As for the application, but owned by the plugin: unloading it removes them. */
export type PluginHooks = Pick<BrokerHooks, HookMethod>;
/** onPublish and its like. */
export type HookMethod = Exclude<Extract<keyof BrokerHooks, `on${string}`>, 'on' | 'once'>;

/** Why a plugin ends: it is unloaded, started again with another configuration, or the broker stops. */
export type PluginEnd = 'unload' | 'reload' | 'stop';

/** Its records have the target `plugin`, and the plugin's name as field `plugin`. */
export interface PluginLog {
  error(text: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(text: string, fields?: Readonly<Record<string, unknown>>): void;
  info(text: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(text: string, fields?: Readonly<Record<string, unknown>>): void;
}

/**
 * What a plugin works with. Hooks, links and timers made here end when it is unloaded; what their
 * functions throw is logged with the plugin's name.
 */
export interface PluginContext<C = unknown> extends PluginHooks {
  readonly name: string;
  /** `[plugins.NAME.config]`, as its schema allows it, with the schema's defaults. */
  readonly config: C;
  readonly log: PluginLog;
  /** Aborted when it is unloaded. */
  readonly signal: AbortSignal;
  /** For what it asks and does: metrics, registry, disconnectClient and others. */
  readonly broker: Pick<
    Broker,
    'id' | 'ready' | 'addresses' | 'metrics' | 'registry' | 'bans' | 'disconnectClient'
  >;
  /** A path of its configuration: a relative one begins at the folder of the configuration file. */
  path(text: string): string;
  /** What lists of plugins show: `read` is called for each; numbers that only grow, or are in force. */
  counts(read: () => Readonly<Record<string, number>>): void;
  /** A client inside this process; closed when it is unloaded. Not before onReady. */
  link(options?: LinkOptions): Promise<Link>;
  /** Calls `fn` when clients can come; at once if they can already. A start waits for its promise. */
  onReady(fn: () => void | Promise<void>): void;
  /** Calls `fn` when it is unloaded, reloaded or the broker stops, the latest first; it has 5 seconds. */
  onStop(fn: (why: PluginEnd) => void | Promise<void>): void;
  /** Returns what cancels it. */
  setTimeout(fn: () => void | Promise<void>, ms: number): () => void;
  setInterval(fn: () => void | Promise<void>, ms: number): () => void;
}

export interface Plugin<C = unknown> {
  /** One line, for lists. */
  readonly description?: string | undefined;
  readonly version?: string | undefined;
  /** JSON Schema (draft-07) of `[plugins.NAME.config]`; without it any table is taken. */
  readonly schema?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Checks what a schema cannot say. Throws where something is wrong; nothing may be started. An error
   * with `path`, as `['rules', '0', 'regex']`, is told with the place of that key.
   */
  check?(config: C): void;
  /** Registers hooks and what else it needs. What it throws, or rejects with, stops the start. */
  start(context: PluginContext<C>): void | Promise<void>;
}

export interface PluginInfo {
  readonly name: string;
  readonly state: 'loaded' | 'not loaded' | 'failed';
  /** "shipped", a file or a package. */
  readonly from: string;
  /** undefined = it says none, or has not been loaded yet. */
  readonly version: string | undefined;
  readonly description: string | undefined;
  /** Started with the broker. */
  readonly defaultStartup: boolean;
  readonly immutable: boolean;
  /** Its own numbers, while it is loaded; undefined = it tells none. */
  readonly counts: Readonly<Record<string, number>> | undefined;
  /** Why it failed. */
  readonly error: string | undefined;
}
