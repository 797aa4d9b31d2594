/**
 * Reads tables of a merged configuration by their rows: every value checked, every key either an
 * option, a known key that this version answers for, or warned about. Keeps what `check` prints.
 */
import { fail } from '../errors.js';
import { aliases } from './options.js';
import { allowedText, defaultOf, type Row, type Rows } from './rows.js';
import { nearest } from './suggest.js';
import { keyOf, listOf, quoteKey, type TableNode, type TreeNode, whereOf } from './tree.js';
import { deadKeys, isAboutAccess, type Scope, unsupported } from './unsupported.js';
import { originOf, rowValue, wrong } from './values.js';

/** One line of `--check`. */
export interface EffectiveEntry {
  /** "v4.1.connections", "acl.rules[0]". */
  readonly table: string;
  readonly key: string;
  readonly row: Row;
  readonly value: unknown;
  /** undefined = the default. */
  readonly origin: string | undefined;
}

/** Tables within a table, which are read by themselves. */
const tablesIn: Partial<Record<Scope, readonly string[]>> = {
  top: [
    ...['broker', 'router', 'mqtt', 'log', 'v4', 'v5', 'unified', 'ws', 'console', 'prometheus'],
    ...['auth', 'acl', 'limits', 'tenants', 'device', 'plugins', 'metrics'],
  ],
  console: ['tokens', 'tls'],
  prometheus: ['tls'],
  listener: ['connections', 'auth', 'tls'],
  connections: ['auth'],
  tls: ['sni'],
  auth: ['providers', 'failed_logins'],
  static: ['users'],
  http: ['headers', 'fields'],
  acl: ['rules'],
  limits: ['flapping'],
  metrics: ['meters', 'alerts'],
  router: ['custom_segment'],
  plugin: ['config'],
};

export class Reader {
  readonly warnings: string[] = [];
  readonly effective: EffectiveEntry[] = [];
  readonly #warned = new Set<unknown>();

  /** The table of this key; undefined where there is none. */
  tableAt(parent: TableNode, key: string): TableNode | undefined {
    const node = parent.children.get(key);
    if (node === undefined || node.kind === 'table') return node;
    // `mqtt:` with nothing behind it, in YAML.
    if (node.value === null) return undefined;
    throw wrong(node, 'a table');
  }

  /** The tables of a list of them, as [[acl.rules]]; none where the key is not there. */
  tablesAt(parent: TableNode, key: string): readonly TableNode[] {
    const node = parent.children.get(key);
    if (node === undefined || (node.kind === 'value' && node.value === null)) return [];
    const list = listOf(node);
    if (list === undefined) throw wrong(node, `a list of tables, as [${keyOf(node)}]`);
    return list;
  }

  /** A table whose keys are names of the user's, each with a value of this row. */
  named(table: string, parent: TableNode, key: string, row: Row): ReadonlyMap<string, unknown> {
    const values = new Map<string, unknown>();
    for (const [name, node] of this.tableAt(parent, key)?.children ?? []) {
      const value = rowValue(node, row);
      values.set(name, value);
      const origin = originOf(node, name);
      this.effective.push({ table: `${table}.${key}`, key: quoteKey(name), row, value, origin });
    }
    return values;
  }

  /** Every row's value: the configured one or the default. Then all keys that are no rows. */
  rows(
    table: string,
    node: TableNode | undefined,
    rows: Rows,
    scope: Scope,
    defaults: Readonly<Record<string, unknown>> = {},
  ): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [key, row] of Object.entries(rows)) {
      const found = node?.children.get(key);
      const value =
        found === undefined
          ? key in defaults
            ? defaults[key]
            : defaultOf(row)
          : rowValue(found, row);
      values[key] = value;
      const origin = found === undefined ? undefined : originOf(found, key);
      this.effective.push({ table, key, row, value, origin });
    }
    if (node !== undefined) this.unserved(node, rows, scope);
    return values;
  }

  /** The table must say this. */
  missing(node: TableNode, key: string, row: Row): Error {
    const allowed = allowedText(row);
    return fail('ST_CONFIG_MISSING', {
      where: whereOf(node),
      key: `${keyOf(node)} ${key}`,
      allowed,
    });
  }

  /** What the table says in two places that do not go together; `key` is where it stands. */
  conflict(node: TableNode, key: string, why: string): Error {
    const where = whereOf(node.children.get(key) ?? node);
    return fail('ST_CONFIG_CONFLICT', { where, why });
  }

  /** Says it once, however many places ask for it. */
  warn(once: unknown, text: string): void {
    if (this.#warned.has(once)) return;
    this.#warned.add(once);
    this.warnings.push(text);
  }

  /** Keys that are not options of this table: refused, or warned about once. */
  unserved(table: TableNode, rows: Rows, scope: Scope): void {
    for (const [key, node] of table.children) {
      if (Object.hasOwn(rows, key) || tablesIn[scope]?.includes(key) === true) continue;
      const known = Object.hasOwn(unsupported[scope], key) ? unsupported[scope][key] : undefined;
      if (known !== undefined) {
        if (node.kind === 'value' && known.harmless?.(node.value) === true) continue;
        if (known.answer === 'refuse') {
          throw fail('ST_CONFIG_UNSUPPORTED', {
            where: whereOf(node),
            key: keyOf(node),
            why: known.text,
          });
        }
        // `[quic]` with nothing in it asks for nothing.
        if (scope === 'top' && isEmpty(node)) continue;
        this.warn(known.text, `${whereOf(node)}: ${keyOf(node)}: ${known.text}`);
      } else if (deadKeys.has(key)) {
        this.warn(key, `${whereOf(node)}: ${keyOf(node)}: has no effect, as in rumqttd`);
      } else {
        this.#unknown(node, key, scope, rows);
      }
    }
  }

  #unknown(node: TreeNode, key: string, scope: Scope, rows: Rows): void {
    const candidates = [
      ...Object.keys(rows),
      ...Object.keys(unsupported[scope]),
      ...(tablesIn[scope] ?? []),
      ...(scope === 'connections' ? Object.keys(aliases.connections) : []),
    ];
    const meant = nearest(key, candidates);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    // A mistyped `tsl` or `atuh` must not open the port that the file wants closed.
    if (isAboutAccess(key) || (meant !== undefined && closes(scope, meant))) {
      throw fail('ST_CONFIG_UNSUPPORTED', {
        where: whereOf(node),
        key: keyOf(node),
        why: `unknown, and about access by its name${hint}`,
      });
    }
    this.warnings.push(`${whereOf(node)}: ${keyOf(node)}: unknown key, left out${hint}`);
  }
}

/** Whether leaving out this key would leave something open. */
function closes(scope: Scope, key: string): boolean {
  const isRefused =
    Object.hasOwn(unsupported[scope], key) && unsupported[scope][key]?.answer === 'refuse';
  return isRefused || closingScopes.has(scope) || isAboutAccess(key) || closingKeys.has(key);
}
/** All of their keys say who may do what. */
const closingScopes: ReadonlySet<Scope> = new Set<Scope>([
  ...(['tls', 'sni', 'auth', 'failed_logins', 'static', 'password_file', 'certificate'] as const),
  ...(['jwt', 'http', 'scram', 'handler', 'acl', 'rule', 'tenants', 'limits', 'flapping'] as const),
  ...(['plugins', 'plugin'] as const),
]);
const closingKeys: ReadonlySet<string> = new Set([
  ...[
    'limits',
    'proxy_protocol',
    'trusted_proxies',
    'allowed_origins',
    'device_id_from',
    'me_topics',
  ],
]);

/** A table without keys, or in YAML a key with nothing behind it. */
function isEmpty(node: TreeNode): boolean {
  return node.kind === 'table' ? node.children.size === 0 : node.value === null;
}
