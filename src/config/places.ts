/**
 * Where parts of a configuration in effect stand. What is found to be wrong with one of them later,
 * when files are read and listeners opened, is then said like what is found while it is read: with
 * file, line, column and key, or with the variable or the flag.
 */
import { StMqttdError } from '../errors.js';
import { indexStep, keyOf, type TableNode, type TreeNode, whereOf } from './tree.js';

/** Not properties: a table that has only moved within its file is the same to a reload. */
const nodes = new WeakMap<object, TableNode>();
const lines = new WeakMap<object, string>();

/** The part stands in this table. */
export function placedIn<T extends object>(node: TableNode, part: T): T {
  nodes.set(part, node);
  return part;
}

/** A changed copy stands where the part stands that it was made of. */
export function placedLike<T extends object>(other: object, part: T): T {
  const node = nodes.get(other);
  return node === undefined ? part : placedIn(node, part);
}

/** The part stands in a line of a file of its own: "acl.conf:12". */
export function placedAt<T extends object>(line: string, part: T): T {
  lines.set(part, line);
  return part;
}

/**
 * "st-mqttd.toml:12:1: v4.1.tls.keypath"; a key that is not written has its table's place.
 * undefined = not of a configuration that was read.
 */
export function placeOf(part: object, key?: string): string | undefined {
  const node = nodes.get(part);
  if (node === undefined) return lines.get(part);
  const written = key === undefined ? undefined : node.children.get(key);
  if (written !== undefined) return `${whereOf(written)}: ${keyOf(written)}`;
  return `${whereOf(node)}: ${keyOf(node)}${key === undefined ? '' : ` ${key}`}`;
}

/** The place of something within the part, or of what is nearest around it; steps of a list are numbers. */
export function placeWithin(part: object, steps: readonly string[]): string | undefined {
  const node = nodes.get(part);
  if (node === undefined) return lines.get(part);
  let at: TreeNode = node;
  const rest = [...steps];
  for (let [step] = rest; step !== undefined && at.kind === 'table'; [step] = rest) {
    const child = at.children.get(step);
    if (child === undefined) break;
    at = child;
    rest.shift();
  }
  const { layer } = at.source;
  const list = rest.map((step) => (/^\d+$/.test(step) ? indexStep(Number(step)) : step));
  const path = [...at.source.path, ...list];
  return `${layer.locate(path)}: ${keyOf({ kind: 'value', source: { layer, path }, value: '' })}`;
}

/** The error with its place before it. What is no error of the operator's stays what it is. */
export function atPlace(error: unknown, part: object, key?: string): unknown {
  const place = placeOf(part, key);
  if (place === undefined || !(error instanceof StMqttdError)) return error;
  return new StMqttdError(
    error.code,
    `${place}: ${error.message}`,
    'cause' in error ? { cause: error.cause } : {},
  );
}
