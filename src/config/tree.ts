/** Layers of configuration laid over each other; each value remembers the layer it came from. */
import { isDeepStrictEqual } from 'node:util';
import { fail } from '../errors.js';
import { aliases } from './options.js';
import type { References } from './references.js';

export interface Layer {
  /** What it is in messages: a file's name, "the environment", "the command line". */
  readonly name: string;
  readonly root: Readonly<Record<string, unknown>>;
  /** Where a key of it stands: "rumqttd.toml:12", "ST_MQTTD_MQTT__MAX_QOS". */
  locate(path: readonly string[]): string;
  /** What a key is called there, where it is not its path: "--listen". */
  nameOf?(path: readonly string[]): string;
  /** Values are text, and keys have no case (environment). */
  readonly textual?: boolean;
  /** Its values may be "file:PATH" and "${NAME}". */
  readonly references?: References;
}

/** Deeper tables than any option has: what a YAML alias of its own table makes without end. */
const kMaxDepth = 16;

interface Source {
  readonly layer: Layer;
  /** The path as it is written there. */
  readonly path: readonly string[];
}
export interface TableNode {
  readonly kind: 'table';
  source: Source;
  readonly children: Map<string, TreeNode>;
}
export interface ValueNode {
  readonly kind: 'value';
  readonly source: Source;
  readonly value: unknown;
}
export type TreeNode = TableNode | ValueNode;

export function whereOf(node: TreeNode): string {
  return node.source.layer.locate(node.source.path);
}
/** The key as it is written, with its tables: `mqtt.max_qos`, `[v4.1.tls]`. */
export function keyOf(node: TreeNode): string {
  const { layer, path } = node.source;
  if (layer.nameOf !== undefined) return layer.nameOf(path);
  const key = path.reduce((before, step) => {
    if (kIndex.test(step)) return `${before}${step}`;
    return before === '' ? quoteKey(step) : `${before}.${quoteKey(step)}`;
  }, '');
  return node.kind === 'table' ? `[${key}]` : key;
}

/** A step of a path into a list. */
export const indexStep = (index: number): string => `[${index}]`;
const kIndex = /^\[\d+\]$/;

/** Each table of a list of them; undefined where it is something else. */
export function listOf(node: TreeNode): readonly TableNode[] | undefined {
  if (node.kind === 'table' || !Array.isArray(node.value)) return undefined;
  const elements: readonly unknown[] = node.value;
  const { layer, path } = node.source;
  const tables: TableNode[] = [];
  for (const [index, element] of elements.entries()) {
    if (!isTable(element)) return undefined;
    const at = [...path, indexStep(index)];
    const root: TableNode = { kind: 'table', source: { layer, path: at }, children: new Map() };
    const source = { layer, path: at };
    // Before its keys, so that its place is its own.
    tables.push(descend(root, at, source));
    lay(root, layer, element, at);
  }
  return tables;
}

export function quoteKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
}

/** Lays the layers over each other, the last one on top; aliases become the names they stand for. */
export function mergeLayers(layers: readonly Layer[]): TableNode {
  const [first = { name: 'defaults', root: {}, locate: () => 'defaults' }] = layers;
  const root: TableNode = {
    kind: 'table',
    source: { layer: first, path: [] },
    children: new Map(),
  };
  for (const layer of layers) lay(root, layer, layer.root, []);
  return root;
}

function lay(
  root: TableNode,
  layer: Layer,
  table: Readonly<Record<string, unknown>>,
  path: readonly string[],
): void {
  for (const [key, value] of Object.entries(table)) {
    if (value === undefined) continue;
    const written = [...path, key];
    if (written.length > kMaxDepth) {
      const why = `its tables are more than ${kMaxDepth} deep`;
      throw fail('ST_CONFIG_SYNTAX', { where: layer.locate(written), why });
    }
    const source = { layer, path: written };
    if (isTable(value)) {
      const node = descend(root, written, source);
      node.source = source;
      lay(root, layer, value, written);
      continue;
    }
    const named = withoutAlias(written);
    const parent = descend(root, named.slice(0, -1), source);
    const name = findKey(parent, named.at(-1) ?? key, layer);
    const before = parent.children.get(name);
    if (before?.kind === 'value' && before.source.layer === layer) {
      refuseTwice(before, { kind: 'value', source, value });
    }
    parent.children.set(name, { kind: 'value', source, value });
  }
}

/** An option and its alias in one layer must not contradict each other. */
function refuseTwice(first: ValueNode, second: ValueNode): void {
  if (isDeepStrictEqual(first.value, second.value)) return;
  throw fail('ST_CONFIG_CONFLICT', {
    where: whereOf(second),
    why:
      `${keyOf(first)} = ${String(first.value)} and ${keyOf(second)} = ${String(second.value)} ` +
      'set the same option to different values; keep one',
  });
}

function descend(root: TableNode, path: readonly string[], source: Source): TableNode {
  let at = root;
  for (const step of path) {
    const key = findKey(at, step, source.layer);
    const found = at.children.get(key);
    if (found?.kind === 'table') {
      at = found;
      continue;
    }
    const made: TableNode = { kind: 'table', source, children: new Map() };
    at.children.set(key, made);
    at = made;
  }
  return at;
}

/** A textual layer's keys have no case: they take that of the key they lie over. */
function findKey(table: TableNode, key: string, layer: Layer): string {
  if (layer.textual !== true || table.children.has(key)) return key;
  for (const known of table.children.keys()) if (known.toLowerCase() === key) return known;
  return key;
}

function withoutAlias(path: readonly string[]): readonly string[] {
  const table = path.at(-2);
  const key = path.at(-1);
  if (table === 'connections' && path.length === 4) {
    const name = named(aliases.connections as Readonly<Record<string, string>>, key);
    return name === undefined ? path : [...path.slice(0, -1), name];
  }
  if (table === 'router' && path.length === 2) {
    return named(aliases.router as Readonly<Record<string, readonly string[]>>, key) ?? path;
  }
  return path;
}

/** Keys come from outside: "__proto__" and "constructor" are keys like any other. */
function named<T>(all: Readonly<Record<string, T>>, key = ''): T | undefined {
  return Object.hasOwn(all, key) ? all[key] : undefined;
}

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
