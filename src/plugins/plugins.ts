/** The plugins of one run: what is loaded, in which order, and what was wrong. One change at a time. */
import { isDeepStrictEqual } from 'node:util';
import type { PluginConfig, PluginsConfig } from '../config/plugin-options.js';
import { fail, messageOf, StMqttdError } from '../errors.js';
import { checkedConfig } from './config.js';
import { type ContextDeps, OwnedContext } from './context.js';
import { findPlugin } from './find.js';
import { type Entries, entriesOf, entryOf } from './names.js';
import { shipped } from './shipped.js';
import type { Plugin, PluginEnd, PluginInfo } from './types.js';

export interface PluginsDeps extends ContextDeps {
  /** Reads the configuration anew. */
  readonly resolve: () => Promise<PluginsConfig | undefined>;
}

/** A plugin that runs. */
interface Loaded {
  readonly plugin: Plugin<never>;
  readonly entry: PluginConfig;
  readonly context: OwnedContext;
}

const isShipped = ({ name, module }: PluginConfig) => module === '' && Object.hasOwn(shipped, name);

/** For start(), and for what it has given to onReady. */
const kStartMs = 30_000;

export class Plugins {
  readonly #deps: PluginsDeps;
  #known: Entries;
  /** In the order in which they were started. */
  readonly #loaded = new Map<string, Loaded>();
  readonly #found = new Map<string, Plugin<never>>();
  readonly #errors = new Map<string, string>();
  #last: Promise<unknown> = Promise.resolve();
  #isReady = false;
  #isEnded = false;

  /** Throws ST_PLUGIN_UNKNOWN. */
  constructor(config: PluginsConfig | undefined, deps: PluginsDeps) {
    this.#deps = deps;
    this.#known = entriesOf(config);
  }

  /** All that there are, loaded or not. */
  list(): readonly PluginInfo[] {
    const { entries } = this.#known;
    const gone = [...this.#loaded.values()].map(({ entry }) => entry);
    const all = new Map([...gone.map((entry) => [entry.name, entry] as const), ...entries]);
    return [...all.values()].map((entry) => this.#info(entry));
  }

  #info(entry: PluginConfig): PluginInfo {
    const { name, module, immutable } = entry;
    const found = this.#found.get(name);
    const error = this.#errors.get(name);
    return {
      name,
      state: this.#loaded.has(name) ? 'loaded' : error === undefined ? 'not loaded' : 'failed',
      from: isShipped(entry) ? 'shipped' : module || name,
      version: found?.version,
      description: found?.description,
      defaultStartup: this.#known.started.includes(entry),
      immutable,
      counts: this.#loaded.get(name)?.context.counts,
      error,
    };
  }

  /** Loads and starts it. Rejects with ST_PLUGIN_UNKNOWN, _LOAD, _CONFIG, _START, _STATE. */
  load(name: string): Promise<PluginInfo> {
    return this.#inTurn(async () => {
      const entry = entryOf(this.#known.entries, name);
      if (this.#loaded.has(entry.name)) throw this.#state(entry, 'loading it', 'it is loaded');
      await this.#start(entry);
      return this.#told(entry, 'loaded');
    });
  }

  /** Ends it: its hooks, links and timers are gone when this resolves. Rejects with ST_PLUGIN_STATE. */
  unload(name: string): Promise<PluginInfo> {
    return this.#inTurn(async () => {
      const { entry } = this.#mustBeLoaded(name, 'unloading it');
      if (entry.immutable) throw this.#state(entry, 'unloading it', 'it is immutable');
      await this.#end(entry.name, 'unload');
      return this.#told(entry, 'unloaded');
    });
  }

  /**
   * Reads its configuration anew, and starts it again with that. Where that is refused it goes on as
   * it is; where it does not start, it is started as it was.
   */
  reload(name: string): Promise<PluginInfo> {
    return this.#inTurn(async () => {
      const { entry } = this.#mustBeLoaded(name, 'reloading it');
      const next = entriesOf(await this.#deps.resolve()).entries.get(entry.name);
      if (next === undefined) {
        throw this.#state(entry, 'reloading it', 'the configuration does not name it any more');
      }
      await this.#again(next);
      return this.#told(entry, 'reloaded');
    });
  }

  /** Those that are started with the broker. Rejects with what the first one fails with. */
  begin(): Promise<void> {
    return this.#inTurn(async () => {
      for (const entry of this.#known.started) await this.#start(entry);
    });
  }

  ready(): Promise<void> {
    return this.#inTurn(async () => {
      this.#isReady = true;
      for (const { entry, context } of this.#loaded.values()) {
        await this.#within(entry, () => context.ready());
      }
    });
  }

  /** Rejects where the new configuration of one that is loaded is refused. */
  async prepare(config: PluginsConfig | undefined): Promise<void> {
    const { entries } = entriesOf(config);
    for (const { plugin, entry } of this.#loaded.values()) {
      const next = entries.get(entry.name);
      if (next !== undefined && this.#differs(entry, next)) checkedConfig(plugin, next);
    }
  }

  /** Starts those again whose configuration has changed. What is not loaded stays so. */
  async apply(config: PluginsConfig | undefined): Promise<void> {
    this.#known = entriesOf(config);
    for (const { entry } of [...this.#loaded.values()]) {
      const next = this.#known.entries.get(entry.name);
      if (next === undefined || !this.#differs(entry, next)) continue;
      await this.#inTurn(() => this.#again(next)).catch((error: unknown) => {
        this.#deps.say('error', messageOf(error), { plugin: entry.name, err: error });
      });
    }
  }

  /** The last one first. */
  end(): Promise<void> {
    return this.#inTurn(async () => {
      this.#isEnded = true;
      for (const name of [...this.#loaded.keys()].reverse()) await this.#end(name, 'stop');
    });
  }

  async #start(entry: PluginConfig): Promise<void> {
    const { name } = entry;
    if (this.#isEnded) throw this.#state(entry, 'loading it', 'the broker stops');
    const { broker } = this.#deps;
    const context = new OwnedContext(entry, this.#deps, isShipped(entry));
    try {
      const plugin = this.#found.get(name) ?? (await context.run(() => findPlugin(entry)));
      this.#found.set(name, plugin);
      const config = checkedConfig(plugin, entry);
      await this.#within(entry, async () => {
        await context.run(() => plugin.start(context.face(config)));
        await broker.hooksReady();
        if (this.#isReady) await context.ready();
      });
      this.#loaded.set(name, { plugin, entry, context });
      this.#errors.delete(name);
    } catch (error) {
      await context.dispose(this.#isEnded ? 'stop' : 'unload');
      this.#errors.set(name, messageOf(error));
      throw error;
    }
  }

  async #end(name: string, why: PluginEnd): Promise<void> {
    const loaded = this.#loaded.get(name);
    this.#loaded.delete(name);
    await loaded?.context.dispose(why);
    if (!this.#isEnded) await this.#deps.broker.hooksReady();
  }

  async #again(next: PluginConfig): Promise<void> {
    const { name } = next;
    const before = this.#loaded.get(name);
    if (before === undefined) return;
    checkedConfig(before.plugin, next);
    await this.#end(name, 'reload');
    try {
      await this.#start(next);
    } catch (error) {
      await this.#start(before.entry);
      throw error;
    }
  }

  async #within({ name }: PluginConfig, run: () => Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const why = `it has not started within ${kStartMs / 1000} s`;
      timer = setTimeout(() => reject(fail('ST_PLUGIN_START', { name, why })), kStartMs);
    });
    try {
      await Promise.race([run(), late]);
    } catch (cause) {
      if (cause instanceof StMqttdError && cause.code === 'ST_PLUGIN_START') throw cause;
      throw fail('ST_PLUGIN_START', { name, why: messageOf(cause) }, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  #differs(before: PluginConfig, next: PluginConfig): boolean {
    return !isDeepStrictEqual(before.config, next.config);
  }

  #mustBeLoaded(name: string, doing: string): Loaded {
    const own = this.#loaded.get(name);
    if (own !== undefined) return own;
    const entry = entryOf(this.#known.entries, name);
    const loaded = this.#loaded.get(entry.name);
    if (loaded === undefined) throw this.#state(entry, doing, 'it is not loaded');
    return loaded;
  }

  #told(entry: PluginConfig, what: string): PluginInfo {
    const { name } = entry;
    this.#deps.say('notice', `plugin "${name}" is ${what}`, { plugin: name });
    return this.#info(entry);
  }

  #state({ name }: PluginConfig, doing: string, why: string): Error {
    return fail('ST_PLUGIN_STATE', { name, doing, why });
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#last.then(run);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
