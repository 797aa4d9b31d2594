/** `[console]`, `[prometheus]` and `[metrics]`. */
import type { ListenAddress } from './address.js';
import type { ConsoleConfig, ConsoleToken, PrometheusConfig, TlsConfig } from './broker-config.js';
import { placedIn } from './places.js';
import type { Reader } from './reader.js';
import { readTls } from './resolve-tls.js';
import {
  type ConsoleRole,
  consoleRows,
  meterRows,
  type PrometheusTable,
  prometheusRows,
  tokenRows,
} from './service-options.js';
import { quoteKey, type TableNode, type TreeNode } from './tree.js';
import { originOf, rowValue } from './values.js';

export function readConsole(reader: Reader, root: TableNode): ConsoleConfig | undefined {
  const node = reader.tableAt(root, 'console');
  if (node === undefined) return undefined;
  const { listen } = reader.rows('console', node, consoleRows, 'console');
  const tokens: ConsoleToken[] = [];
  for (const [name, token] of reader.tableAt(node, 'tokens')?.children ?? []) {
    tokens.push(readToken(reader, name, token));
  }
  const tls = readServiceTls(reader, 'console', node);
  return placedIn(node, { listen: listen as readonly ListenAddress[], tokens, tls });
}

function readServiceTls(reader: Reader, table: string, service: TableNode): TlsConfig | undefined {
  const read = readTls(reader, table, service);
  if (read !== undefined && read.tls.identity !== 'none') {
    const why = 'identity names MQTT clients by their certificates; nobody is named by it here';
    throw reader.conflict(read.node, 'identity', why);
  }
  return read?.tls;
}

/** NAME = { token, role }, or NAME = "token" for all roles. */
function readToken(reader: Reader, name: string, node: TreeNode): ConsoleToken {
  const table = `console.tokens.${quoteKey(name)}`;
  if (node.kind === 'value') {
    const token = rowValue(node, tokenRows.token) as string;
    const origin = originOf(node, name);
    reader.effective.push({ table, key: 'token', row: tokenRows.token, value: token, origin });
    return { name, role: 'admin', token };
  }
  const { role, token } = reader.rows(table, node, tokenRows, 'token');
  if (!node.children.has('token')) throw reader.missing(node, 'token', tokenRows.token);
  return { name, role: role as ConsoleRole, token: token as string };
}

export function readPrometheus(reader: Reader, root: TableNode): PrometheusConfig | undefined {
  const node = reader.tableAt(root, 'prometheus');
  if (node === undefined) return undefined;
  const rows = reader.rows('prometheus', node, prometheusRows, 'prometheus');
  const { listen, port, interval } = rows as unknown as PrometheusTable;
  // As in rumqttd, the deprecated port wins.
  const addresses = port === 0 ? listen : [{ host: '127.0.0.1', port }];
  const tls = readServiceTls(reader, 'prometheus', node);
  return placedIn<PrometheusConfig>(node, {
    listen: addresses,
    asked: port === 0 ? 'listen' : 'port',
    intervalS: interval,
    tls,
  });
}

/** Seconds between two readings of broker.meters(). */
export function readMeterInterval(reader: Reader, root: TableNode): number {
  const node = reader.tableAt(root, 'metrics');
  const inner = (key: string) => (node === undefined ? undefined : reader.tableAt(node, key));
  const { push_interval } = reader.rows('metrics.meters', inner('meters'), meterRows, 'meters');
  const alerts = inner('alerts');
  if (alerts !== undefined) reader.unserved(alerts, {}, 'alerts');
  if (node !== undefined) reader.unserved(node, {}, 'metrics');
  return push_interval as number;
}
