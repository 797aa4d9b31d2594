/**
 * The plugins that the host package names: "st-mqttd": { "plugins": { "NAME": { … } } } in the
 * package.json of the application, or of the working directory. They lie under every other layer.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fail, messageOf } from '../errors.js';
import { isTable, type Layer } from './tree.js';

const kKeys = ['module', 'default_startup', 'immutable', 'config'];

/** `starts`: folders whose nearest package.json is looked at; the first that names plugins counts. */
export function hostLayer(starts: readonly string[] = startFolders()): Layer | undefined {
  for (const start of starts) {
    const layer = layerOf(start);
    if (layer !== undefined) return layer;
  }
  return undefined;
}

function startFolders(): readonly string[] {
  const [, script] = process.argv;
  return script === undefined ? ['.'] : [dirname(resolve(script)), '.'];
}

function layerOf(start: string): Layer | undefined {
  const found = nearest(resolve(start));
  // Most have nothing to say: they are not even parsed.
  if (found === undefined || !found.text.includes('"st-mqttd"')) return undefined;
  const { file, text } = found;
  let host: unknown;
  try {
    host = JSON.parse(text);
  } catch (cause) {
    throw fail('ST_CONFIG_SYNTAX', { where: file, why: messageOf(cause) }, { cause });
  }
  const own = isTable(host) ? host['st-mqttd'] : undefined;
  const plugins = isTable(own) ? own.plugins : undefined;
  if (plugins === undefined) return undefined;
  const where = `${file}: st-mqttd.plugins`;
  if (!isTable(plugins)) {
    throw fail('ST_CONFIG_SYNTAX', { where, why: 'it is no object of plugins by their names' });
  }
  for (const [name, plugin] of Object.entries(plugins)) {
    const unknown = isTable(plugin) ? Object.keys(plugin).find((key) => !kKeys.includes(key)) : '';
    if (unknown === undefined) continue;
    const why = unknown === '' ? 'it is no object' : `"${unknown}" is none of ${kKeys.join(', ')}`;
    throw fail('ST_CONFIG_SYNTAX', { where: `${where}.${name}`, why });
  }
  return {
    name: file,
    root: { plugins },
    locate: () => file,
    nameOf: (path) => `st-mqttd.${path.join('.')}`,
    references: { folder: dirname(file), environment: process.env },
  };
}

function nearest(from: string): { readonly file: string; readonly text: string } | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    try {
      return { file, text: readFileSync(file, 'utf8') };
    } catch {
      if (dirname(folder) === folder) return undefined;
    }
  }
}
