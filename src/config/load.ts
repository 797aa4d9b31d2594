/**
 * The configuration of `st-mqttd`, from all its layers:
 * /etc/st-mqttd/st-mqttd.* < /etc/st-mqttd.* < ./st-mqttd.* < -c FILE… < ST_MQTTD_* < flags.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fail } from '../errors.js';
import { readConfigFile } from './files.js';
import { environmentLayer, type Flags, flagLayer } from './layers.js';
import type { Environment } from './references.js';
import { type Resolution, resolveConfig } from './resolve.js';
import type { Layer } from './tree.js';

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
const kEndings = ['toml', 'yaml', 'yml', 'json'] as const;

/** Reads everything anew at each call, so a reload calls it again. */
export async function loadConfig(sources: Sources): Promise<Resolution> {
  const { files, flags, environment = process.env, extra = [] } = sources;
  const { etc, here } = sources.places ?? { etc: '/etc', here: '.' };
  const found = [join(etc, kBaseName), etc, here].flatMap(fileIn);
  const layers: Layer[] = [];
  for (const file of [...found, ...files]) layers.push(await readConfigFile(file, environment));
  for (const layer of [environmentLayer(environment), flagLayer(flags), ...extra]) {
    if (layer !== undefined) layers.push(layer);
  }
  const given = files.at(-1);
  const last = found.at(-1);
  return resolveConfig(layers, {
    ...(given === undefined ? {} : { file: given }),
    ...(last === undefined ? {} : { found: last }),
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
