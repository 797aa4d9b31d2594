/**
 * The configuration of `st-mqttd`, from all its layers:
 * /etc/st-mqttd/st-mqttd.* < /etc/st-mqttd.* < ./st-mqttd.* < -c FILE… < ST_MQTTD_* < flags.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fail } from '../errors.js';
import { readConfigFile } from './files.js';
import { hostLayer } from './host-package.js';
import { environmentLayer, type Flags, flagLayer } from './layers.js';
import type { Environment } from './references.js';
import { type Resolution, resolveConfig } from './resolve.js';
import { isTable, type Layer } from './tree.js';

export interface Sources {
  /** Named on the command line, in this order: a later one lies over an earlier one. */
  readonly files: readonly string[];
  readonly flags: Flags;
  readonly environment?: Environment;
  /** On top of all: what the console has changed. */
  readonly extra?: readonly Layer[];
  /** Where files are looked for that nobody named; tests have their own. */
  readonly places?: { readonly etc: string; readonly here: string };
}

const kBaseName = 'st-mqttd';
const kListenerTables = ['v4', 'v5', 'unified', 'ws', 'quic'] as const;
const kEndings = ['toml', 'yaml', 'yml', 'json'] as const;

/** Reads everything anew at each call, so a reload calls it again. */
export async function loadConfig(sources: Sources): Promise<Resolution> {
  const { files, flags, environment = process.env, extra = [] } = sources;
  const { etc, here } = sources.places ?? { etc: '/etc', here: '.' };
  const found = [join(etc, kBaseName), etc, here].flatMap(fileIn);
  const read = async (names: readonly string[]) => {
    const layers: Layer[] = [];
    for (const file of names) layers.push(await readConfigFile(file, environment));
    return layers;
  };
  const named = await read(files);
  const notes: string[] = [];
  const kept = (await read(found)).map((layer) => withoutOtherListeners(layer, named, notes));
  const host = hostLayer();
  const layers = [...(host === undefined ? [] : [host]), ...kept, ...named];
  for (const layer of [environmentLayer(environment), flagLayer(flags), ...extra]) {
    if (layer !== undefined) layers.push(layer);
  }
  const given = files.at(-1);
  const last = found.at(-1);
  const resolution = resolveConfig(layers, {
    ...(given === undefined ? {} : { file: given }),
    ...(last === undefined ? {} : { found: last }),
  });
  return { ...resolution, warnings: [...notes, ...resolution.warnings] };
}

/**
 * Who names a file with listeners wants those: one that happens to be in /etc, as that of a
 * container's image, must not open more ports beside them. What both files have is one listener.
 */
function withoutOtherListeners(layer: Layer, named: readonly Layer[], notes: string[]): Layer {
  const wanted = new Set(named.flatMap(({ root }) => listenersOf(root)));
  const last = named.findLast(({ root }) => listenersOf(root).length > 0);
  if (last === undefined) return layer;
  const others = listenersOf(layer.root).filter((table) => !wanted.has(table));
  if (others.length === 0) return layer;
  const root: Record<string, unknown> = { ...layer.root };
  for (const kind of kListenerTables) {
    const table = root[kind];
    if (!isTable(table)) continue;
    root[kind] = Object.fromEntries(
      Object.entries(table).filter(([key]) => wanted.has(`${kind}.${key}`)),
    );
  }
  const tables = others.map((table) => `[${table}]`).join(', ');
  notes.push(`${layer.name}: ${tables}: left out, because ${last.name} has listeners of its own`);
  return { ...layer, root };
}

function listenersOf(root: Layer['root']): readonly string[] {
  return kListenerTables.flatMap((kind) => {
    const table = root[kind];
    return isTable(table) ? Object.keys(table).map((key) => `${kind}.${key}`) : [];
  });
}

/** The configuration file of a folder. Two of them would leave open which one counts. */
function fileIn(folder: string): readonly string[] {
  const present = kEndings
    .map((ending) => join(folder, `${kBaseName}.${ending}`))
    .filter((file) => existsSync(file));
  const [first, second] = present;
  if (first !== undefined && second !== undefined) {
    const why = `there is ${second} too, and both would be the configuration; keep one of them`;
    throw fail('ST_CONFIG_CONFLICT', { where: first, why });
  }
  return present;
}
