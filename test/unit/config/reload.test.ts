// What a changed configuration touches.
import { describe, expect, test } from 'vitest';
import {
  brokerRows,
  listenerRows,
  logRows,
  mqttRows,
  routerRows,
} from '../../../src/config/options.ts';
import { diffConfig } from '../../../src/config/reload.ts';
import type { Rows } from '../../../src/config/rows.ts';
import { resolveText } from './resolving.ts';

const listener = '[unified.1]\nlisten = "127.0.0.1:1883"\n';
const diff = async (before: string, after: string) =>
  diffConfig(await resolveText(before), await resolveText(after));
const nothing = {
  live: [],
  newConnections: [],
  restart: [],
  listenersAdded: [],
  listenersRemoved: [],
  listenersChanged: [],
};

/** A value of a row that is not its default. */
function another(rows: Rows, key: string): string {
  const row = rows[key];
  switch (row?.type) {
    case 'integer':
      return String(row.default === row.max ? row.min : row.max);
    case 'boolean':
      return String(!row.default);
    case 'enum':
      return JSON.stringify(row.values.find((value) => value !== row.default));
    case 'versions':
      return '["5.0"]';
    case 'string':
      return key === 'timezone' ? '"Europe/Vienna"' : '"other"';
    case 'strings':
      return '["other"]';
    default:
      throw new Error(`${key}: no value for it`);
  }
}

describe('each value by the rule of its row', () => {
  const lists = { live: 'live', 'new-connections': 'newConnections', restart: 'restart' } as const;
  const cases = Object.entries({
    mqtt: mqttRows,
    broker: brokerRows,
    router: routerRows,
    log: logRows,
  }).flatMap(([table, rows]) =>
    Object.entries(rows as Rows).map(([key, row]) => ({ table, key, row, rows: rows as Rows })),
  );
  test.each(cases)('$table.$key', async ({ table, key, row, rows }) => {
    const value = key === 'outbound_low_watermark_bytes' ? '5' : another(rows, key);
    const plan = await diff(listener, `${listener}[${table}]\n${key} = ${value}\n`);
    const { [lists[row.reload]]: found } = plan;
    expect(found).toContainEqual(expect.objectContaining({ key: `${table}.${key}` }));
    const others = Object.values(lists).filter((list) => list !== lists[row.reload]);
    for (const list of others) {
      expect(plan[list].filter((change) => change.key === `${table}.${key}`)).toEqual([]);
    }
  });

  test('nothing changed', async () => {
    expect(await diff(listener, `# another text\n${listener}`)).toEqual(nothing);
  });

  test('from and to; a value that a listener inherits is its own change', async () => {
    const plan = await diff(listener, `${listener}[mqtt]\nmax_qos = 1\n`);
    expect(plan.newConnections).toEqual([
      { key: 'mqtt.max_qos', from: 2, to: 1 },
      { key: 'unified.1.connections.max_qos', from: 2, to: 1 },
    ]);
    expect(plan.listenersChanged).toMatchObject([
      { limits: true, reopen: false, opened: [], closed: [] },
    ]);
  });

  test('a secret is not told', async () => {
    const tokens = (token: string) => `${listener}[console.tokens]\nops = "${token}"\n`;
    const plan = await diff(tokens('first-first'), tokens('second-second'));
    const all = [...plan.live, ...plan.newConnections, ...plan.restart];
    expect(all).toEqual([{ key: 'console.tokens.ops.token', from: '(secret)', to: '(secret)' }]);
  });

  test('a service that comes or goes waits for a restart, whatever its keys are', async () => {
    const console = `${listener}[console.tokens]\nops = "long-enough"\n`;
    const comes = await diff(listener, console);
    expect(comes.restart).toEqual([
      { key: 'console.listen', from: undefined, to: [{ host: '127.0.0.1', port: 3030 }] },
      { key: 'console.tokens.ops.token', from: undefined, to: '(secret)' },
    ]);
    const goes = await diff(`${listener}[prometheus]\n`, listener);
    expect(goes.restart.map(({ key }) => key)).toEqual([
      'prometheus.listen',
      'prometheus.port',
      'prometheus.interval',
    ]);
    expect([...comes.live, ...goes.live]).toEqual([]);
    // One more token of a console that is there.
    const more = await diff(console, `${console}eve = "long-enough"\n`);
    expect(more.live.map(({ key }) => key)).toEqual(['console.tokens.eve.token']);
  });
});

describe('listeners', () => {
  test('added and removed', async () => {
    const other = '[v5.a]\nlisten = "127.0.0.1:1884"\n';
    const added = await diff(listener, listener + other);
    expect(added.listenersAdded.map(({ table }) => table)).toEqual(['v5.a']);
    const removed = await diff(listener + other, listener);
    expect(removed.listenersRemoved.map(({ table }) => table)).toEqual(['v5.a']);
    for (const plan of [added, removed]) {
      expect(plan.listenersChanged).toEqual([]);
      expect([...plan.live, ...plan.newConnections, ...plan.restart]).toEqual([]);
    }
  });

  test('addresses opened and closed; those that stay are not touched', async () => {
    const at = (...ports: number[]) =>
      `[v4.1]\nlisten = ${JSON.stringify(ports.map((port) => `127.0.0.1:${port}`))}\n`;
    const { listenersChanged } = await diff(at(1, 2), at(2, 3));
    expect(listenersChanged).toMatchObject([
      {
        opened: [{ host: '127.0.0.1', port: 3 }],
        closed: [{ host: '127.0.0.1', port: 1 }],
        reopen: false,
        limits: false,
        unixOpened: undefined,
      },
    ]);
  });

  test.each([
    ['name = "other"', { reopen: true, limits: false }],
    ['max_connect_rate = 5', { reopen: true, limits: false }],
    ['next_connection_delay_ms = 5', { reopen: true, limits: false }],
    ['max_connections = 5', { reopen: false, limits: true }],
    ['role = "service"', { reopen: false, limits: true, tls: false }],
    ['max_handshakes = 5', { reopen: true, limits: false }],
    ['proxy_protocol = "v2"\ntrusted_proxies = "10.0.0.0/8"', { reopen: true }],
    ['[unified.1.tls]\ncertpath = "/c"\nkeypath = "/k"', { reopen: true, tls: false }],
    ['[unified.1.auth]\nalice = "x"', { reopen: false, limits: true, tls: false }],
    ['[unified.1.connections]\nmax_inflight = 5', { reopen: false, limits: true }],
    ['[unified.1.connections]\naccept_versions = ["5.0"]', { reopen: true }],
    ['unix = "/tmp/a"', { reopen: false, unixOpened: '/tmp/a', unixClosed: undefined }],
  ])('%s', async (line, expected) => {
    const { listenersChanged } = await diff(listener, `${listener}${line}\n`);
    expect(listenersChanged).toHaveLength(1);
    expect(listenersChanged[0]).toMatchObject(expected);
  });

  test('TLS that stays TLS needs no other socket; its keys are told', async () => {
    const tls = (lines: string) =>
      `${listener}[unified.1.tls]\ncertpath = "/c"\nkeypath = "/k"\n${lines}`;
    const plan = await diff(tls(''), tls('min_version = "1.3"\n'));
    expect(plan.listenersChanged).toMatchObject([{ reopen: false, limits: false, tls: true }]);
    expect(plan.newConnections).toEqual([
      { key: 'unified.1.tls.min_version', from: '1.2', to: '1.3' },
    ]);
  });

  test('a table that comes or goes is told key by key; one of a listener that goes is not', async () => {
    const comes = await diff(listener, `${listener}[unified.1.auth]\nalice = "x"\n`);
    expect(comes.live).toEqual([{ key: 'unified.1.auth.alice', from: undefined, to: '(secret)' }]);
    const other = '[ws.1]\nlisten = "127.0.0.1:1"\n[ws.1.auth]\nalice = "x"\n';
    const goes = await diff(`${listener}${other}`, listener);
    expect([...goes.live, ...goes.newConnections, ...goes.restart]).toEqual([]);
    expect(goes.listenersRemoved.map(({ name }) => name)).toEqual(['ws-1']);
  });

  test('the mode of a socket that stays', async () => {
    const unix = (mode: string) => `[v4.1]\nunix = "/tmp/a"\nunix_mode = "${mode}"\n`;
    const { listenersChanged } = await diff(unix('0600'), unix('0660'));
    expect(listenersChanged).toMatchObject([{ reopen: true, unixOpened: undefined }]);
  });

  test('the same address under another table is one closed and one opened', async () => {
    const plan = await diff(listener, '[v5.1]\nlisten = "127.0.0.1:1883"\n');
    expect(plan.listenersRemoved.map(({ table }) => table)).toEqual(['unified.1']);
    expect(plan.listenersAdded.map(({ table }) => table)).toEqual(['v5.1']);
  });

  test('every row of a listener is new-connections: none needs a restart', () => {
    for (const row of Object.values(listenerRows)) expect(row.reload).toBe('new-connections');
  });
});
