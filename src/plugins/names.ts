/** Which plugins there are, and which of them are started with the broker. */
import { existsSync, readdirSync } from 'node:fs';
import { join, parse } from 'node:path';
import { placedLike, placeOf } from '../config/places.js';
import { isPluginName, type PluginConfig, type PluginsConfig } from '../config/plugin-options.js';
import { readFailure } from '../config/read-failure.js';
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
  const files = filesOf(config);
  for (const entry of config?.tables ?? []) {
    const file = entry.module === '' ? files.get(entry.name) : undefined;
    entries.set(
      entry.name,
      file === undefined ? entry : placedLike(entry, { ...entry, module: file }),
    );
  }
  for (const [name, module] of files) {
    if (!entries.has(name)) entries.set(name, { ...bare(name), module });
  }
  for (const name of Object.keys(shipped)) {
    if (!entries.has(name)) entries.set(name, bare(name));
  }
  const always = [...entries.values()].filter((one) => one.defaultStartup || one.immutable);
  const named = (config?.startups ?? []).map((name) => entryOf(entries, name, place(config)));
  return { entries, started: [...new Set([...always, ...named])] };
}

/** Of plugins.dir, by name. What is shipped has its name for itself. Throws ST_PLUGIN_LOAD. */
function filesOf(config: PluginsConfig | undefined): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (config?.dir === undefined) return found;
  const { dir } = config;
  try {
    for (const file of readdirSync(dir, { withFileTypes: true })) {
      const { name, ext } = parse(file.name);
      const fits = file.isDirectory()
        ? existsSync(join(dir, file.name, 'package.json'))
        : /^\.[mc]?js$/.test(ext);
      const plugin = file.isDirectory() ? file.name : name;
      if (!fits || !isPluginName(plugin) || Object.hasOwn(shipped, plugin)) continue;
      const before = found.get(plugin);
      const module = join(dir, file.name);
      if (before === undefined) found.set(plugin, module);
      else throw new Error(`${before} and ${module} are both the plugin "${plugin}"`);
    }
  } catch (cause) {
    const why = cause instanceof Error && !('code' in cause) ? cause.message : readFailure(cause);
    const where = placeOf(config, 'dir');
    throw fail('ST_PLUGIN_DIR', { where, dir, why }, { cause });
  }
  return found;
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
