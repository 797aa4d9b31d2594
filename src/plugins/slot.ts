/** The plugins' place in a run: what is behind it is loaded with the first that is started or looked at. */
import type { BrokerConfig } from '../config/broker-config.js';
import type { PluginsConfig } from '../config/plugin-options.js';
import type { Plugins, PluginsDeps } from './plugins.js';

export class PluginSlot {
  readonly #deps: PluginsDeps;
  #config: PluginsConfig | undefined;
  #made: Promise<Plugins> | undefined;

  constructor(config: PluginsConfig | undefined, deps: PluginsDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  get(): Promise<Plugins> {
    this.#made ??= this.#make();
    return this.#made;
  }

  /** Starts those that are started with the broker, before it has clients. */
  async begin(): Promise<void> {
    if (this.#config !== undefined) await (await this.get()).begin();
  }

  /** Clients can come. */
  async ready(): Promise<void> {
    await (await this.#made)?.ready();
  }

  async stop(): Promise<void> {
    await (await this.#made?.catch(() => undefined))?.end();
  }

  async prepare({ plugins }: BrokerConfig): Promise<void> {
    await (await this.#made)?.prepare(plugins);
  }

  async apply({ plugins }: BrokerConfig): Promise<void> {
    this.#config = plugins;
    // One that could not be made has nothing to take over.
    const made = await this.#made?.catch(() => undefined);
    await made?.apply(plugins);
  }

  async #make(): Promise<Plugins> {
    const { Plugins } = await import('./plugins.js');
    return new Plugins(this.#config, this.#deps);
  }
}
