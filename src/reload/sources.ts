/** Where an embedded broker's configuration comes from, each time that it is read. */
import { readConfigFile } from '../config/files.js';
import { hostLayer } from '../config/host-package.js';
import { embeddingDefaults, objectLayer } from '../config/layers.js';
import type { ConfigTables } from '../config/options.js';
import { resolveConfig } from '../config/resolve.js';
import type { Layer } from '../config/tree.js';
import type { Resolve } from './reloader.js';

export function fromFile(file: string): Resolve {
  return async (extra) =>
    resolveConfig([...under(), await readConfigFile(file), ...extra], { file });
}

export function fromTables(tables: ConfigTables): Resolve {
  return async (extra) => resolveConfig([...under(), objectLayer(tables), ...extra]);
}

/** What an embedded broker's own options lie over. */
export function under(): readonly Layer[] {
  const host = hostLayer();
  return host === undefined ? [embeddingDefaults] : [embeddingDefaults, host];
}
