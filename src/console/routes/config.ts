/** The configuration with its origins, changes to it, reload, and the log filter. */
import { formatAddress, type ListenAddress } from '../../config/address.js';
import type { EffectiveEntry } from '../../config/resolve.js';
import { shownValue } from '../../config/shown.js';
import type { ReloadReport } from '../../reload/report.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { anyValue, byName, flag, input, list, orNull, record, text } from '../schema.js';
import type { Context } from './context.js';

const entrySchema = record({
  key: text('With its table: "mqtt.max_qos".'),
  value: anyValue('As it is in force; "(secret)" for passwords and tokens.'),
  origin: orNull(text('Where it was said: file and line, variable, flag; null = the default.')),
  reload: text('When a change takes effect.', { enum: ['live', 'new-connections', 'restart'] }),
  help: text('What it does.'),
});

const changes = list(
  record({ key: text('With its table.'), from: anyValue('Before.'), to: anyValue('Now.') }),
  'Changed keys.',
);
const names = (what: string) => list(text('A listener.'), what);
const reportSchema = record(
  {
    live: { ...changes, description: 'In effect at once.' },
    new_connections: { ...changes, description: 'In effect for connections from now on.' },
    restart: { ...changes, description: 'Not in effect before a restart.' },
    listeners_added: names('Opened.'),
    listeners_removed: names('Closed.'),
    listeners_changed: names('Changed.'),
    reread: list(
      text('As "acl.files", "certificates of v4-1".'),
      'Files that say something else than before.',
    ),
    warnings: list(text('A warning.'), 'What an operator should know.'),
  },
  'What changed.',
);
const filterSchema = { filter: text('A log filter, as "info,auth=debug".', { maxLength: 4096 }) };

export function configRoutes({ deps }: Context): readonly Route[] {
  return [
    route<{ query: { readonly changed: boolean } }>({
      method: 'GET',
      url: '/api/v1/config',
      name: 'config.get',
      summary: 'The configuration in force, each key with its origin',
      tag: 'config',
      role: 'read',
      query: input({ changed: flag('Only what is not the default.', { default: false }) }),
      answers: {
        200: record({
          entries: list(entrySchema, 'Keys.'),
          warnings: list(text('A warning.'), 'What was said when it was read.'),
        }),
      },
      handle: ({ query }) => {
        const { effective, warnings } = deps.resolution();
        const entries = query.changed
          ? effective.filter(({ origin }) => origin !== undefined)
          : effective;
        return { entries: entries.map(showEntry), warnings };
      },
    }),
    route<{ body: Readonly<Record<string, Readonly<Record<string, unknown>>>> }>({
      method: 'PATCH',
      url: '/api/v1/config',
      name: 'config.patch',
      summary: 'Changes keys that take effect while the broker runs, until it starts again',
      tag: 'config',
      role: 'admin',
      body: {
        ...byName(byName({}, 'Keys of the table, with their values.'), 'Tables by name.'),
      },
      answers: { 200: reportSchema },
      target: ({ body }) => keysOf(body).join(' '),
      handle: async ({ body }) => {
        const keys = keysOf(body);
        if (keys.length === 0) throw new Problem('bad_request', 'body: no key is named', 'body');
        refuseFixed(keys, deps.resolution().effective);
        return showReport(await deps.patchConfig(body));
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/reload',
      name: 'config.reload',
      summary: 'Reads the configuration again: all of it is applied, or nothing',
      tag: 'config',
      role: 'admin',
      answers: { 200: reportSchema },
      handle: async () => showReport(await deps.reload()),
    }),
    route({
      method: 'GET',
      url: '/api/v1/log/filter',
      name: 'log.get_filter',
      summary: 'The log filter in force',
      tag: 'log',
      role: 'read',
      answers: { 200: record(filterSchema) },
      handle: () => ({ filter: deps.logFilter() }),
    }),
    route<{ body: { readonly filter: string } }>({
      method: 'PUT',
      url: '/api/v1/log/filter',
      name: 'log.set_filter',
      summary: 'Sets the log filter, until the broker starts again',
      tag: 'log',
      role: 'operate',
      body: input(filterSchema, ['filter']),
      answers: { 200: record(filterSchema) },
      target: ({ body }) => body.filter,
      handle: ({ body }) => {
        deps.setLogFilter(body.filter);
        return { filter: deps.logFilter() };
      },
    }),
  ];
}

function showEntry({ table, key, row, value, origin }: EffectiveEntry): unknown {
  return {
    key: nameOf({ table, key }),
    value: row.type === 'addresses' ? addresses(value) : (shownValue(row, value) ?? null),
    origin: origin ?? null,
    reload: row.reload,
    help: row.help,
  };
}

const addresses = (value: unknown) =>
  (value as readonly ListenAddress[]).map(({ host, port }) => formatAddress(host, port));

const nameOf = ({ table, key }: { readonly table: string; readonly key: string }) =>
  table === '' ? key : `${table}.${key}`;

function keysOf(tables: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(tables).flatMap(([table, keys]) =>
    Object.keys(keys as object).map((key) => nameOf({ table, key })),
  );
}

/** What would need a restart is refused before anything is applied. */
function refuseFixed(keys: readonly string[], effective: readonly EffectiveEntry[]): void {
  const rows = new Map(effective.map((entry) => [nameOf(entry), entry.row]));
  for (const key of keys) {
    const row = rows.get(key);
    if (row === undefined) throw new Problem('bad_request', `body: ${key} is not a key`, key);
    if (row.reload === 'restart') {
      throw new Problem('bad_request', `body: ${key} needs a restart`, key);
    }
  }
}

function showReport(report: ReloadReport): unknown {
  return {
    live: report.live,
    new_connections: report.newConnections,
    restart: report.restart,
    listeners_added: report.listenersAdded,
    listeners_removed: report.listenersRemoved,
    listeners_changed: report.listenersChanged,
    reread: report.reread,
    warnings: report.warnings,
  };
}
