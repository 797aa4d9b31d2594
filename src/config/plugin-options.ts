/** `[plugins]`, and the tables of single plugins in it. What a plugin's own `config` may be, its schema says. */
import { fail } from '../errors.js';
import { absolutePath } from './paths.js';
import { placedIn } from './places.js';
import type { Reader } from './reader.js';
import { expandReferences } from './references.js';
import { boolean, string, strings, type WrittenTable } from './rows.js';
import { isTable, keyOf, type TableNode, type TreeNode, whereOf } from './tree.js';
import { originOf, wrong } from './values.js';

export const pluginsRows = {
  default_startups: strings({
    default: [],
    allowed: 'names of plugins',
    check: (value) => value === '' || isPluginName(value),
    reload: 'restart',
    flag: '--plugins-default-startups',
    help: 'Plugins that are started with the broker, in this order.',
  }),
  dir: string({
    default: '',
    allowed: 'the path of a folder',
    check: (value) => !/\p{Cc}/u.test(value),
    reload: 'restart',
    help: 'A folder with plugins: NAME.mjs, NAME.js, NAME.cjs or a folder NAME with a package.json is the plugin NAME. A relative path begins at the folder of the configuration file.',
  }),
} as const;

export const pluginRows = {
  module: string({
    default: '',
    allowed:
      'the path of a JavaScript module that begins with "." or "/", or the name of a package',
    check: (value) => value !== '' && !/\p{Cc}/u.test(value),
    reload: 'restart',
    help: 'What has the plugin: a file (a relative path begins at the folder of the configuration file) or a package. Default: the plugin of that name that is shipped, or the package of that name.',
  }),
  default_startup: boolean({
    default: false,
    reload: 'restart',
    help: 'Started with the broker, whatever default_startups says.',
  }),
  immutable: boolean({
    default: false,
    reload: 'restart',
    help: 'Started with the broker, and cannot be unloaded.',
  }),
} as const;

/** Whatever is in it may be a secret: nothing of it is shown. */
const configRow = string({
  default: '',
  secret: true,
  reload: 'live',
  help: "The plugin's own configuration, a table.",
});

export interface PluginConfig {
  readonly name: string;
  /** The absolute path of a file, or a package's name; '' = the shipped one, or the package `name`. */
  readonly module: string;
  /** Where the search for a package begins; undefined = in the working directory. */
  readonly folder: string | undefined;
  readonly defaultStartup: boolean;
  readonly immutable: boolean;
  /** As it was written, with references in their places; its schema has not been asked. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Some of its values came as text, from the environment. */
  readonly isTextual: boolean;
}

export interface PluginsConfig {
  /** The absolute path of a folder with plugins; undefined = none. */
  readonly dir: string | undefined;
  /** In this order. */
  readonly startups: readonly string[];
  /** Those that have a table, in its order. */
  readonly tables: readonly PluginConfig[];
}

type PluginTable = WrittenTable<typeof pluginRows> & {
  readonly config?: Readonly<Record<string, unknown>> | undefined;
};
/** `[plugins]` as it is written. */
export type PluginsOptions = WrittenTable<typeof pluginsRows> &
  Readonly<Record<string, PluginTable | string | readonly string[] | undefined>>;

/** A package's name, with its scope; no path. */
export function isPluginName(text: string): boolean {
  return /^(@[a-z0-9][\w.-]{0,99}\/)?[a-z0-9][\w.-]{0,99}$/i.test(text);
}

/** undefined = no plugin is named anywhere. */
export function readPlugins(reader: Reader, root: TableNode): PluginsConfig | undefined {
  const node = reader.tableAt(root, 'plugins');
  if (node === undefined) return undefined;
  const entries = [...node.children];
  const values = new Map(entries.filter(([, child]) => child.kind === 'value'));
  const own: TableNode = { kind: 'table', source: node.source, children: values };
  const { default_startups, dir: written } = reader.rows('plugins', own, pluginsRows, 'plugins');
  const base = (node.children.get('dir') ?? node).source.layer.references?.folder;
  const dir = written === '' ? undefined : absolutePath(written as string, base);
  const startups = (default_startups as readonly string[]).filter((name) => name !== '');
  const tables = entries.flatMap(([name, child]) =>
    child.kind === 'table' ? [readPlugin(reader, name, child, startups)] : [],
  );
  if (tables.length + startups.length === 0 && dir === undefined) return undefined;
  return placedIn(node, { dir, startups, tables });
}

function readPlugin(
  reader: Reader,
  name: string,
  node: TableNode,
  startups: readonly string[],
): PluginConfig {
  if (!isPluginName(name)) throw wrong(node, 'a name as "my-plugin" or "@scope/my-plugin"');
  const table = `plugins.${/^[\w-]+$/.test(name) ? name : JSON.stringify(name)}`;
  const rows = reader.rows(table, node, pluginRows, 'plugin');
  const { default_startup, immutable } = rows;
  const written = reader.tableAt(node, 'config');
  const config = (written === undefined ? {} : plainOf(written)) as PluginConfig['config'];
  if (written !== undefined) {
    const origin = originOf(written, 'config');
    reader.effective.push({ table, key: 'config', row: configRow, value: config, origin });
  }
  const isStarted = default_startup === true || immutable === true || startups.includes(name);
  if (!isStarted && !node.children.has('default_startup')) {
    const what = `${whereOf(node)}: ${keyOf(node)}`;
    const how = `name it in plugins.default_startups, or say default_startup = true or false here`;
    reader.warn(what, `${what}: the plugin is not started; ${how}`);
  }
  const place = node.children.get('module') ?? node;
  const folder = place.source.layer.references?.folder;
  const module = rows.module as string;
  return placedIn(node, {
    name,
    module: /^[./]/.test(module) ? absolutePath(module, folder) : module,
    folder,
    defaultStartup: default_startup as boolean,
    immutable: immutable as boolean,
    config,
    isTextual: written !== undefined && hasText(written),
  });
}

function hasText(node: TreeNode): boolean {
  if (node.kind === 'table') return [...node.children.values()].some(hasText);
  return node.source.layer.textual === true;
}

/** In rules of plugins, as rmqttd writes them: of the client that it is about. */
const kClientNames: ReadonlySet<string> = new Set(['clientid', 'username']);

/** The table as an object. */
function plainOf(node: TreeNode): unknown {
  if (node.kind === 'table') {
    return Object.fromEntries([...node.children].map(([key, child]) => [key, plainOf(child)]));
  }
  const { references } = node.source.layer;
  const expand = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(expand);
    if (isTable(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, expand(one)]));
    }
    if (references === undefined) return value;
    const given = expandReferences(value, { ...references, kept: kClientNames });
    if (given.kind !== 'missing') return given.value;
    const { why } = given;
    throw fail('ST_CONFIG_REFERENCE', { where: whereOf(node), key: keyOf(node), why });
  };
  return expand(node.value);
}
