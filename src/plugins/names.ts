/** Which plugins there are, and which of them are started with the broker. */
import { placeOf } from '../config/places.js';
import type { PluginConfig, PluginsConfig } from '../config/plugin-options.js';
import { fail } from '../errors.js';
import { shipped } from './shipped.js';

const kRmqtt = 'rmqtt-';

export interface Entries {
  /** By name: those with tables, then those that are shipped. */
  readonly entries: ReadonlyMap<string, PluginConfig>;
  /** In the order of their start. */
  readonly started: readonly PluginConfig[];
}

/** Throws ST_PLUGIN_UNKNOWN for a name that nothing stands behind. */
export function entriesOf(config: PluginsConfig | undefined): Entries {
  const entries = new Map<string, PluginConfig>();
  for (const entry of config?.tables ?? []) entries.set(entry.name, entry);
  for (const name of Object.keys(shipped)) {
    if (!entries.has(name)) entries.set(name, bare(name));
  }
  const always = [...entries.values()].filter((one) => one.defaultStartup || one.immutable);
  const named = (config?.startups ?? []).map((name) => entryOf(entries, name, place(config)));
  return { entries, started: [...new Set([...always, ...named])] };
}

/** rmqttd's name for a plugin that is shipped here will do. */
export function entryOf(
  entries: ReadonlyMap<string, PluginConfig>,
  name: string,
  where?: string,
): PluginConfig {
  const found =
    entries.get(name) ??
    (name.startsWith(kRmqtt) ? entries.get(name.slice(kRmqtt.length)) : undefined);
  if (found !== undefined) return found;
  throw fail('ST_PLUGIN_UNKNOWN', { where, name, known: [...entries.keys()].join(', ') });
}

function place(config: PluginsConfig | undefined): string | undefined {
  return config === undefined ? undefined : placeOf(config, 'default_startups');
}

function bare(name: string): PluginConfig {
  return {
    ...{ name, module: '', folder: undefined, config: {}, isTextual: false },
    ...{ defaultStartup: false, immutable: false },
  };
}
