/** `check`: every plugin that is named is found, and its configuration checked; nothing is started. */
import type { PluginsConfig } from '../config/plugin-options.js';
import { checkedConfig } from './config.js';
import { findPlugin } from './find.js';
import { entriesOf } from './names.js';

/** Rejects with the error that the start would end with. */
export async function checkPlugins(config: PluginsConfig): Promise<void> {
  const { started, entries } = entriesOf(config);
  for (const entry of new Set([...started, ...entries.values()])) {
    // Those that are only shipped are nobody's yet.
    if (!started.includes(entry) && !config.tables.some(({ name }) => name === entry.name))
      continue;
    checkedConfig(await findPlugin(entry), entry);
  }
}
