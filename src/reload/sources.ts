/** Where an embedded broker's configuration comes from, each time that it is read. */
import { readConfigFile } from '../config/files.js';
import { embeddingDefaults, objectLayer } from '../config/layers.js';
import type { ConfigTables } from '../config/options.js';
import { resolveConfig } from '../config/resolve.js';
import type { Resolve } from './reloader.js';

export function fromFile(file: string): Resolve {
  return async (extra) =>
    resolveConfig([embeddingDefaults, await readConfigFile(file), ...extra], { file });
}

export function fromTables(tables: ConfigTables): Resolve {
  return async (extra) => resolveConfig([embeddingDefaults, objectLayer(tables), ...extra]);
}
