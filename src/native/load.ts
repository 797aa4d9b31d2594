/** Finds and loads the addon: build/Release first, then prebuilds/, as node-gyp-build does. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { fail, messageOf, systemCode } from '../errors.js';
import type { NativeAddon } from './addon.js';

// The package's folder, from src/native and from dist/native alike.
const packageFolder = fileURLToPath(new URL('../../', import.meta.url));

let loaded: NativeAddon | undefined;

/** The addon of this thread, loaded on the first call. Throws ST_ADDON_… with the cure. */
export function loadAddon(): NativeAddon {
  loaded ??= loadAddonFrom(packageFolder);
  return loaded;
}

/** As loadAddon, from another folder and uncached: tests use it. */
export function loadAddonFrom(folder: string): NativeAddon {
  const require = createRequire(import.meta.url);
  const nodeGypBuild = require('node-gyp-build') as {
    (folder: string): unknown;
    resolve(folder: string): string;
  };
  const platform = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
  try {
    nodeGypBuild.resolve(folder);
  } catch (cause) {
    const why = messageOf(cause).split('\n')[0] ?? '';
    throw fail('ST_ADDON_MISSING', { folder, platform, why }, { cause });
  }
  let addon: NativeAddon;
  try {
    addon = nodeGypBuild(folder) as NativeAddon;
  } catch (cause) {
    const why = `${systemCode(cause) ?? 'error'}: ${messageOf(cause).split('\n')[0]}`;
    throw fail('ST_ADDON_UNLOADABLE', { folder, platform, why }, { cause });
  }
  const wanted = packageVersion();
  const found = typeof addon.version === 'function' ? addon.version() : 'unknown';
  if (found !== wanted) throw fail('ST_ADDON_VERSION', { found, wanted });
  return addon;
}

export function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
