/** From a plugin's name to its definition: shipped, a file, or a package. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PluginConfig } from '../config/plugin-options.js';
import { fail, messageOf } from '../errors.js';
import { shipped } from './shipped.js';
import type { Plugin } from './types.js';

/** Rejects with ST_PLUGIN_LOAD. */
export async function findPlugin({ name, module, folder }: PluginConfig): Promise<Plugin<never>> {
  const own = module === '' && Object.hasOwn(shipped, name) ? shipped[name] : undefined;
  if (own !== undefined) return own();
  const wanted = module === '' ? name : module;
  const refuse = (why: string, cause?: unknown) =>
    fail('ST_PLUGIN_LOAD', { name, module: wanted, why }, cause === undefined ? {} : { cause });
  const file = isAbsolute(wanted) ? fileOf(wanted) : packageFile(wanted, folder);
  if (file === undefined) throw refuse('there is no such package; npm install it beside st-mqttd');
  if (!existsSync(file)) throw refuse('there is no such file');
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = (await import(pathToFileURL(file).href)) as typeof exported;
  } catch (cause) {
    throw refuse(messageOf(cause), cause);
  }
  const plugin = exported.plugin ?? exported.default;
  if (!isPlugin(plugin)) {
    throw refuse('it exports no plugin: `export const plugin = definePlugin({ start() {} })`');
  }
  return plugin;
}

/** A folder with a package.json is a package. */
function fileOf(path: string): string {
  return existsSync(join(path, 'package.json')) ? join(path, entryOf(path)) : path;
}

function isPlugin(value: unknown): value is Plugin<never> {
  return typeof value === 'object' && value !== null && 'start' in value && isFunction(value.start);
}

const isFunction = (value: unknown): boolean => typeof value === 'function';

/** As Node looks for it from the folder of the configuration, then from the working directory. */
function packageFile(name: string, folder: string | undefined): string | undefined {
  for (const start of new Set([resolve(folder ?? '.'), process.cwd(), import.meta.dirname])) {
    for (let at = start; ; at = dirname(at)) {
      const home = join(at, 'node_modules', name);
      if (existsSync(join(home, 'package.json'))) return join(home, entryOf(home));
      if (dirname(at) === at) break;
    }
  }
  return undefined;
}

function entryOf(home: string): string {
  const { exports: all, main } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    readonly exports?: unknown;
    readonly main?: unknown;
  };
  const entry = target(all) ?? (typeof main === 'string' ? main : undefined);
  return entry ?? 'index.js';
}

/** Of `exports`: what `import` gets. */
function target(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null) return undefined;
  for (const [key, value] of Object.entries(exports)) {
    if (!['.', 'node', 'import', 'default'].includes(key)) continue;
    const found = target(value);
    if (found !== undefined) return found;
  }
  return undefined;
}
