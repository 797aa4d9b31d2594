/** The commands that list: rows come from the console as they are written here. */
import type { Api, Json, JsonObject } from './api.js';
import { cell, jsonText, type Output } from './output.js';
import type { Parsed } from './parse.js';
import { usage } from './parse.js';
import { type Column, writeTable } from './table.js';

export interface Call {
  readonly api: Api;
  readonly output: Output;
  readonly args: readonly string[];
  readonly flags: Parsed['flags'];
}

type Row = JsonObject;

const column = (title: string, key: string): Column<Row> => ({
  title,
  of: (row) => cell(row[key]),
});
const numbers = (title: string, key: string): Column<Row> => ({
  ...column(title, key),
  align: 'right',
});
const versions: Readonly<Record<string, string>> = { 3: '3.1', 4: '3.1.1', 5: '5.0' };

/** Empty for the first, which nearly all are. */
const instanceColumn: Column<Row> = {
  title: 'INST',
  of: ({ instance }) => (instance === 0 ? '' : cell(instance)),
  align: 'right',
};

const clientColumns: readonly Column<Row>[] = [
  column('CLIENT', 'clientid'),
  instanceColumn,
  { title: 'STATE', of: ({ connected }) => (connected === true ? 'connected' : 'offline') },
  column('ADDRESS', 'address'),
  column('LISTENER', 'listener'),
  { title: 'MQTT', of: ({ proto_ver }) => versions[String(proto_ver)] ?? '' },
  column('USER', 'username'),
  {
    title: 'SINCE',
    of: (row) => timeText(row.connected === true ? row.connected_at : row.disconnected_at),
  },
  numbers('SUBS', 'subscriptions_cnt'),
  numbers('QUEUED', 'mqueue_len'),
  numbers('INFLIGHT', 'inflight'),
  numbers('DROPPED', 'dropped'),
];

const subscriptionColumns: readonly Column<Row>[] = [
  column('CLIENT', 'clientid'),
  instanceColumn,
  column('FILTER', 'topic'),
  numbers('QOS', 'qos'),
  column('SHARE', 'share'),
  {
    title: 'OPTIONS',
    of: ({ no_local, retain_as_published, retain_handling, subscription_id }) =>
      [
        no_local === true ? 'no-local' : '',
        retain_as_published === true ? 'retain-as-published' : '',
        retain_handling === 0 ? '' : `retain-handling=${cell(retain_handling)}`,
        subscription_id === null ? '' : `id=${cell(subscription_id)}`,
      ]
        .filter((text) => text !== '')
        .join(' '),
  },
];

const denialColumns: readonly Column<Row>[] = [
  { title: 'AT', of: ({ at }) => timeText(at) },
  column('CLIENT', 'clientid'),
  column('USER', 'username'),
  column('ACTION', 'action'),
  column('TOPIC', 'topic'),
  column('RULE', 'rule'),
];

const retainedColumns: readonly Column<Row>[] = [
  column('TOPIC', 'topic'),
  numbers('QOS', 'qos'),
  numbers('BYTES', 'payload_bytes'),
  column('FROM', 'clientid'),
  { title: 'EXPIRES', of: ({ expires_at }) => timeText(expires_at) },
  {
    title: 'PAYLOAD',
    of: ({ payload, encoding, truncated }) =>
      `${encoding === 'base64' ? 'base64:' : ''}${cell(payload)}${truncated === true ? '…' : ''}`,
  },
];

export function listClients(call: Call): Promise<void> {
  const query = whereQuery(call.args);
  const rows = call.api.rows('/api/v1/clients', { query, doing: 'listing clients' });
  return list(call, clientColumns, rows);
}

export function listSubscriptions(call: Call): Promise<void> {
  const { client } = call.flags;
  const instance = instanceOf(call);
  if (instance.instance !== undefined && client === undefined) {
    throw usage('--instance goes with --client');
  }
  const query = { ...whereQuery(call.args), ...instance };
  const path =
    typeof client === 'string'
      ? `/api/v1/clients/${encodeURIComponent(client)}/subscriptions`
      : '/api/v1/subscriptions';
  return list(
    call,
    subscriptionColumns,
    call.api.rows(path, { query, doing: 'listing subscriptions' }),
  );
}

export function listRetained(call: Call): Promise<void> {
  const [filter] = call.args;
  const query: Record<string, string> = filter === undefined ? {} : { filter };
  const rows = call.api.rows('/api/v1/retains', { query, doing: 'listing retained messages' });
  return list(call, retainedColumns, rows);
}

export function listDenials(call: Call): Promise<void> {
  const query = whereQuery(call.args);
  const rows = call.api.rows('/api/v1/denials', { query, doing: 'listing denials' });
  return list(call, denialColumns, rows);
}

export async function showRoutes({ api, output, args, flags }: Call): Promise<void> {
  const [topic = ''] = args;
  const answer = await api.json('/api/v1/routes', {
    query: { topic },
    doing: `looking for who gets "${topic}"`,
  });
  if (flags.json === true) {
    await output.write(`${jsonText(answer, 2)}\n`);
    return;
  }
  await writeTable(output, subscriptionColumns, rowsOf(answer.items));
  if (answer.truncated === true) await output.write('… and more\n');
}

/** Of an answer that is, or has, an array of objects. */
export function rowsOf(value: unknown): readonly Row[] {
  return Array.isArray(value) ? (value as readonly Row[]) : [];
}

export async function list(
  { output, flags }: Call,
  columns: readonly Column<Row>[],
  all: AsyncIterable<Row>,
): Promise<void> {
  const rows = upTo(all, limitOf(flags.limit));
  if (flags.json !== true) {
    await writeTable(output, columns, rows);
    return;
  }
  for await (const row of rows) await output.write(`${jsonText(row)}\n`);
}

async function* upTo<T>(rows: AsyncIterable<T>, limit: number): AsyncGenerator<T> {
  let left = limit;
  for await (const row of rows) {
    yield row;
    if (--left <= 0) return;
  }
}

/** Of --instance, as a parameter. */
export function instanceOf({ flags: { instance } }: Call): { readonly instance?: string } {
  if (instance === undefined) return {};
  if (/^\d{1,10}$/.test(String(instance))) return { instance: String(instance) };
  throw usage(`--instance is a number from 0, not ${instance}`);
}

function limitOf(text: string | true | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const limit = Number(text);
  if (!/^\d+$/.test(String(text)) || limit < 1)
    throw usage(`--limit is a number from 1, not ${text}`);
  return limit;
}

const prefixes: Readonly<Record<string, string>> = {
  '=': '',
  '~': '_like_',
  '>=': '_gte_',
  '<=': '_lte_',
};

/** KEY=VALUE, KEY~PART, KEY>=N, KEY<=N as the console's parameters; it knows the keys. */
export function whereQuery(args: readonly string[]): Record<string, string> {
  const query: Record<string, string> = {};
  for (const arg of args) {
    const [, key = '', operator = '', value = ''] = /^(\w+)(>=|<=|=|~)(.*)$/s.exec(arg) ?? [];
    const prefix = prefixes[operator];
    if (prefix === undefined) {
      throw usage(`"${arg}" is not KEY=VALUE, KEY~PART, KEY>=N or KEY<=N`);
    }
    if (Object.hasOwn(query, prefix + key)) throw usage(`${key} is there twice`);
    query[prefix + key] = value;
  }
  return query;
}

/** Milliseconds since 1970 as ISO 8601 in UTC, to the second. */
export function timeText(value: Json | undefined): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '';
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? '' : time.toISOString().replace(/\.\d+Z$/, 'Z');
}
