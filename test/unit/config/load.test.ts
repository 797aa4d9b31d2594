// The layers of the program's configuration: files nobody named, files of the command line,
// environment, flags.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Flags } from '../../../src/config/layers.ts';
import { loadConfig } from '../../../src/config/load.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'st-mqttd-layers-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface Given {
  files?: Record<string, string>;
  named?: string[];
  env?: Record<string, string>;
  flags?: Partial<Flags>;
}

/** Places under `root`: etc/st-mqttd/, etc/ and here/. */
function load({ files = {}, named = [], env = {}, flags = {} }: Given) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return loadConfig({
    files: named.map((name) => join(root, name)),
    flags: { listen: [], verbose: 0, ...flags },
    environment: env,
    places: { etc: join(root, 'etc'), here: join(root, 'here') },
  });
}
const qos = (value: number) => `[mqtt]\nmax_inflight = ${value}\n`;
const listener = '[unified.1]\nlisten = "127.0.0.1:1883"\n';

describe('each layer lies over the one before it', () => {
  const layers: [string, Given][] = [
    ['etc/st-mqttd/st-mqttd.toml', { files: { 'etc/st-mqttd/st-mqttd.toml': qos(1) } }],
    ['etc/st-mqttd.yaml', { files: { 'etc/st-mqttd.yaml': 'mqtt:\n  max_inflight: 2\n' } }],
    ['here/st-mqttd.json', { files: { 'here/st-mqttd.json': '{"mqtt": {"max_inflight": 3}}' } }],
    ['a.toml', { files: { 'a.toml': `${qos(4)}${listener}` }, named: ['a.toml'] }],
    ['b.yml', { files: { 'b.yml': 'mqtt: {max_inflight: 5}' }, named: ['b.yml'] }],
    ['ST_MQTTD_MQTT__MAX_INFLIGHT', { env: { ST_MQTTD_MQTT__MAX_INFLIGHT: '6' } }],
  ];
  const together = (given: [string, Given][]): Given => ({
    files: Object.assign({}, ...given.map(([, { files }]) => files)) as Record<string, string>,
    named: given.flatMap(([, { named = [] }]) => named),
    env: Object.assign({}, ...given.map(([, { env }]) => env)) as Record<string, string>,
    flags: { listen: ['127.0.0.1:2000'] },
  });
  test.each(layers.map(([name], index) => [name, index] as const))('%s', async (name, index) => {
    const { config, effective } = await load(together(layers.slice(0, index + 1)));
    expect(config.mqtt.max_inflight).toBe(index + 1);
    const entry = effective.find(({ table, key }) => table === 'mqtt' && key === 'max_inflight');
    expect(entry?.origin).toContain(name);
  });

  test('flags lie over the environment', async () => {
    const env = { ST_MQTTD_ID: '6', ST_MQTTD_LOG__LEVEL: 'error' };
    const { config } = await load({ env, flags: { id: '7', verbose: 3 } });
    expect([config.id, config.log.level]).toEqual([7, 'trace']);
  });

  test('tables of several files are one: listeners add up', async () => {
    const { config } = await load({
      files: {
        'etc/st-mqttd.toml': listener,
        'here/st-mqttd.toml':
          '[unified.1]\nmax_connections = 5\n[v5.2]\nlisten = "127.0.0.1:1884"\n',
      },
      flags: { listen: ['127.0.0.1:1885'] },
    });
    expect(config.listeners.map(({ table, maxConnections }) => [table, maxConnections])).toEqual([
      ['v5.2', 0],
      ['unified.1', 5],
      ['unified.listen-1', 0],
    ]);
  });
});

describe('files', () => {
  test('two of one layer with different endings', async () => {
    const files = { 'etc/st-mqttd.toml': '', 'etc/st-mqttd.yaml': '' };
    await expect(load({ files })).rejects.toMatchObject({
      code: 'ST_CONFIG_CONFLICT',
      message:
        `${root}/etc/st-mqttd.toml: there is ${root}/etc/st-mqttd.yaml too, ` +
        'and both would be the configuration; keep one of them',
    });
  });

  test('a named one that is missing', async () => {
    await expect(load({ named: ['none.toml'] })).rejects.toMatchObject({ code: 'ST_CONFIG_READ' });
  });

  test('without any file: loopback', async () => {
    expect((await load({})).config.isLoopbackDefault).toBe(true);
  });

  test('a file nobody named may leave the listeners out: loopback then', async () => {
    const { config } = await load({ files: { 'etc/st-mqttd.toml': '[log]\nlevel = "info"\n' } });
    expect(config.isLoopbackDefault).toBe(true);
    expect(config.log.level).toBe('info');
  });

  test('but if it has a listener, that is the only one', async () => {
    const { config } = await load({ files: { 'etc/st-mqttd.toml': listener } });
    expect(config.isLoopbackDefault).toBe(false);
    expect(config.listeners).toHaveLength(1);
  });

  test('a named one with listeners leaves no other ports open', async () => {
    const files = {
      'etc/st-mqttd/st-mqttd.toml':
        '[v4.1]\nlisten = "0.0.0.0:1883"\nmax_connections = 7\n[v5.1]\nlisten = "0.0.0.0:1884"\n[log]\nlevel = "info"\n',
      'a.toml': '[v4.1]\nlisten = "127.0.0.1:1883"\n',
      'b.toml': '[log]\nlevel = "debug"\n',
    };
    const { config, warnings } = await load({ files, named: ['a.toml', 'b.toml'] });
    expect(config.listeners).toMatchObject([
      { table: 'v4.1', listen: [{ host: '127.0.0.1', port: 1883 }], maxConnections: 7 },
    ]);
    expect(config.log.level).toBe('debug');
    expect(warnings).toEqual([
      `${root}/etc/st-mqttd/st-mqttd.toml: [v5.1]: left out, because ${root}/a.toml has listeners of its own`,
    ]);
    // One without listeners leaves them as they are, and so do flags.
    const other = await load({ files, named: ['b.toml'], flags: { listen: ['127.0.0.1:9'] } });
    expect(other.config.listeners.map(({ table }) => table)).toEqual([
      'v4.1',
      'v5.1',
      'unified.listen-1',
    ]);
    expect(other.warnings).toEqual([]);
  });

  test.each([
    [{ files: { 'here/st-mqttd.toml': '[unified]\n' } }],
    [{ files: { 'here/st-mqttd.toml': '[ws]\n' } }],
    [{ files: { 'a.toml': '[log]\n' }, named: ['a.toml'] }],
    [{ files: { 'etc/st-mqttd.toml': '', 'a.toml': '[log]\n' }, named: ['a.toml'] }],
  ])('no listener at all: %j', async (given) => {
    await expect(load(given)).rejects.toMatchObject({ code: 'ST_CONFIG_NO_LISTENER' });
  });
});

describe("rmqttd's flags", () => {
  test.each([
    [{ grpcAddresses: ['1@a:1'] }, '--node-grpc-addrs: the clustered mode is not there yet'],
    [{ raftPeers: ['1@a:1'] }, '--raft-peer-addrs: the clustered mode is not there yet'],
    [{ raftLeader: '1' }, '--raft-leader-id: the clustered mode is not there yet'],
  ])('%j', async (flags, message) => {
    await expect(load({ flags })).rejects.toMatchObject({
      code: 'ST_CONFIG_UNSUPPORTED',
      message: expect.stringContaining(`the command line: ${message}`),
    });
  });

  test('an empty list of plugins asks for nothing', async () => {
    expect((await load({ flags: { startups: [''] } })).warnings).toEqual([]);
  });
});
