/** A value of the tree as its row wants it, and the words for one that is not so. */
import { fail } from '../errors.js';
import { absolutePath } from './paths.js';
import { type Expanded, expandReferences } from './references.js';
import { allowedText, checkValue, type Row } from './rows.js';
import { withoutUrlSecrets } from './shown.js';
import { keyOf, type TreeNode, whereOf } from './tree.js';

const kHidden = 'something else (not shown)';
const kSecretWords = /pass|secret|token|credential|psk|auth|header|key$|^config$/i;

/** Checked, and with what it refers to in its place. Throws where the row does not take it. */
export function rowValue(node: TreeNode, row: Row): unknown {
  const allowed = allowedText(row);
  if (node.kind === 'table') throw wrong(node, allowed);
  const { textual, references } = node.source.layer;
  const given: Expanded =
    references === undefined
      ? { kind: 'plain', value: node.value }
      : expandReferences(node.value, references);
  if (given.kind === 'missing') {
    throw fail('ST_CONFIG_REFERENCE', { where: whereOf(node), key: keyOf(node), why: given.why });
  }
  const isText = textual === true || given.kind === 'referred';
  const checked = checkValue(row, given.value, isText);
  if (checked !== 'refused') return placed(row, checked.value, references?.folder);
  // What a reference stands for may be a secret, whatever the row is.
  const mayHide = row.secret === true || (row.type === 'string' && row.shown !== undefined);
  const isHidden = mayHide || given.kind === 'referred';
  throw wrong(node, allowed, isHidden ? kHidden : undefined);
}

/** Paths with their folder. */
function placed(row: Row, value: unknown, folder: string | undefined): unknown {
  if (row.type === 'string' && row.path === true) return absolutePath(value as string, folder);
  if (row.type !== 'strings' || row.path !== true) return value;
  return (value as readonly string[]).map((one) => absolutePath(one, folder));
}

/** Where it came from, with its name there if it has another one. */
export function originOf(node: TreeNode, key: string): string {
  const { layer, path } = node.source;
  if (layer.nameOf !== undefined) return layer.nameOf(path);
  const written = path.at(-1) ?? key;
  return layer.textual === true || written === key
    ? whereOf(node)
    : `${whereOf(node)} (${written})`;
}

export function wrong(node: TreeNode, allowed: string, instead?: string): Error {
  const found =
    instead ??
    (node.kind === 'table'
      ? 'a table'
      : mayBeSecret(node.source.path)
        ? kHidden
        : describeValue(node.value));
  return fail('ST_CONFIG_VALUE', { where: whereOf(node), key: keyOf(node), found, allowed });
}

/** A password in the wrong place is one still. */
function mayBeSecret(path: readonly string[]): boolean {
  return path.at(-1) !== 'role' && path.some((step) => kSecretWords.test(step));
}

function describeValue(value: unknown): string {
  let text: string;
  try {
    // JSON has no NaN, infinity and bigint, and no circles (which YAML can draw).
    text =
      typeof value === 'object' || typeof value === 'string'
        ? withoutUrlSecrets(JSON.stringify(value))
        : String(value);
  } catch {
    text = 'a list of something else';
  }
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
