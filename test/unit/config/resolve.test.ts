import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { embeddingDefaults, objectLayer } from '../../../src/config/layers.ts';
import { type ConfigTables, kDefaultIoThreads } from '../../../src/config/options.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { refusal, resolveText } from './resolving.ts';

const listener = '[unified.1]\nlisten = "127.0.0.1:1883"\n';
const reference = readFileSync(new URL('fixtures/rumqttd.toml', import.meta.url), 'utf8');

describe("ST-RMQTT's reference configuration", () => {
  test('runs as it is: a v4, a v5 and a ws listener with its limits', async () => {
    const { config } = await resolveText(reference);
    expect(config.id).toBe(0);
    expect(config.broker.max_connections).toBe(10_010);
    expect(config.mqtt.fair_packets_per_turn).toBe(200);
    expect(config.listeners[0]?.mqtt.fair_packets_per_turn).toBe(200);
    expect(config.console?.listen).toEqual([{ host: '0.0.0.0', port: 3030 }]);
    expect(config.prometheus).toEqual({
      listen: [{ host: '127.0.0.1', port: 9042 }],
      asked: 'listen',
      intervalS: 1,
    });
    expect(config.listeners).toHaveLength(3);
    expect(config.listeners).toMatchObject([
      {
        kind: 'v4',
        name: 'v4-1',
        listen: [{ host: '0.0.0.0', port: 1883 }],
        versions: ['3.1', '3.1.1'],
        mqtt: { max_packet_size: 20_480, max_inflight: 100, connection_timeout_ms: 60_000 },
      },
      { kind: 'v5', name: 'v5-1', listen: [{ host: '0.0.0.0', port: 1884 }], versions: ['5.0'] },
      {
        kind: 'ws',
        name: 'ws-1',
        listen: [{ host: '0.0.0.0', port: 8083 }],
        versions: ['3.1', '3.1.1', '5.0'],
        mqtt: { max_packet_size: 20_480, max_inflight: 500 },
        transport: 'websocket',
        ws: { path: '', allowedOrigins: [] },
        tls: undefined,
      },
    ]);
  });

  test('what is missing is said once each, with its line', async () => {
    const { warnings } = await resolveText(reference);
    expect(warnings).toEqual([
      'a.toml:3:1: router.id: has no effect, as in rumqttd',
      'a.toml:15:1: v4.1.next_connection_delay_ms: has no effect at 1, which would let in at most 1000 connections a second; 2 and more has',
    ]);
  });

  test('with its commented lines in: the unified listener and the bridge', async () => {
    const unified = reference
      .replaceAll(/^# (.*)$/gm, '$1')
      // Both listeners ask for port 1883, and one has passwords.
      .replace('listen = "0.0.0.0:1883"', 'listen = "0.0.0.0:1885"')
      .replace('[v4.1.connections.auth]\nuser1 = "password"\n', '')
      .replace('   # one port, every version', '')
      .replace(/ {3}# "sticky".*$/m, '');
    const { config, warnings } = await resolveText(unified);
    expect(config.listeners.map(({ kind, versions }) => [kind, versions])).toEqual([
      ['v4', ['3.1', '3.1.1']],
      ['v5', ['5.0']],
      ['unified', ['3.1', '3.1.1', '5.0']],
      ['ws', ['3.1', '3.1.1', '5.0']],
    ]);
    expect(warnings.filter((line) => line.includes('bridge'))).toHaveLength(1);
    expect(config.listeners.map(({ dynamicFilters }) => dynamicFilters)).toEqual([
      ...[true, false, true, false],
    ]);
    expect(config.customSegments).toEqual([
      { filter: '/office/+/devices/status', maxSegmentSize: 102_400, maxSegmentCount: 2 },
    ]);
  });

  test('logs: what a custom segment leaves out is that of [router]; memory bounds them', async () => {
    const { config, warnings } = await resolveText(
      `${listener}[broker]\nmax_memory_bytes = 8000000\n[router]\nmax_segment_count = 3\n` +
        `[router.custom_segment."a/#"]\nmax_segment_size = 2048\n`,
    );
    expect(warnings).toEqual([]);
    expect(config.customSegments).toEqual([
      { filter: 'a/#', maxSegmentSize: 2048, maxSegmentCount: 3 },
    ]);
    expect(config.device).toMatchObject({
      dynamicReplay: 'tail',
      maxDynamicFilters: 100_000,
      maxDynamicBytes: 1_000_000,
    });
    const least = await resolveText(`${listener}[broker]\nmax_memory_bytes = 80000\n`);
    expect(least.config.device.maxDynamicBytes).toBe(65_536);
    const none = await resolveText(`${listener}[broker]\nmax_memory_bytes = 0\n`);
    expect(none.config.device.maxDynamicBytes).toBe(268_435_456);
  });

  test.each([
    ['[router]\nmax_segment_size = 1023', 'max_segment_size'],
    ['[router]\nmax_segment_count = 0', 'max_segment_count'],
    ['[router]\ninitialized_filters = ["a/#/b"]', 'initialized_filters'],
    ['[router.custom_segment."a/b#"]\nmax_segment_count = 1', 'Topic Filter'],
    ['[router.custom_segment]\n"a" = 5', 'a table'],
    ['[router.custom_segment.a]\nmax_segment_count = 0', 'max_segment_count'],
    ['[device]\ndynamic_replay = "head"', 'dynamic_replay'],
    ['[device]\nmax_dynamic_bytes = 1000', 'max_dynamic_bytes'],
    ['[unified.1.connections]\ndynamic_filters = 1', 'dynamic_filters'],
  ])('logs: %j is told with its place', async (text, named) => {
    const error = await resolveText(`${listener}${text}\n`).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.message).toContain('a.toml:');
    expect(error?.message).toContain(named);
  });

  test('with its passwords in it', async () => {
    const { config, effective } = await resolveText(
      reference.replace('# [v4.1.connections.auth]\n# user1', '[v4.1.connections.auth]\nuser1'),
    );
    expect(config.listeners.map(({ users }) => users)).toEqual([
      [{ name: 'user1', password: 'password' }],
      [],
      [],
    ]);
    expect(effective).toContainEqual(
      expect.objectContaining({
        table: 'v4.1.connections.auth',
        key: 'user1',
        row: expect.objectContaining({ secret: true }),
      }),
    );
  });
});

describe('what asks for a closed port or for a disk stops the start', () => {
  const inConnections = (line: string) => `${listener}[unified.1.connections]\n${line}\n`;
  test.each([
    [`${listener}[persistence]\npath = "/var/lib/x"`, 3, '[persistence]'],
    [`${listener}[persistence]\n`, 3, '[persistence]'],
    [inConnections('verify_client_cert = "require"'), 4, 'verify_client_cert'],
    [inConnections('external_auth = "x"'), 4, 'external_auth'],
  ])('%j', async (text, line, key) => {
    const error = await refusal(text);
    expect(error.code).toBe('ST_CONFIG_UNSUPPORTED');
    expect(error.message).toContain(`a.toml:${line}:`);
    expect(error.message).toContain(key);
    expect(error.message).toMatch(/; refusing to start$/);
  });

  test.each([
    ['allow_anonymous = true'],
    ['proxy_protocol = "off"'],
    ['[unified.1.connections]\nvalidate_tenant_prefix = false\nduplicate_client_id = "takeover"'],
    ['[unified.1.connections]\nallow-duplicate-clientid = false\nduplicate_client_id = "allow"'],
    ['[unified.1.connections]\ndynamic_filters = false'],
    [
      '[device]\nme_topics = "off"\nme_patterns = ["v1/devices/me/claim", "v1/devices/me/x/{id}/#"]',
    ],
    ['[ws]'],
  ])('%j asks for nothing more than there is', async (text) => {
    const { warnings } = await resolveText(`${listener}${text}\n`);
    expect(warnings).toEqual([]);
  });

  test.each([
    ['[unified.1.tsl]\ncertpath = "x"', 'did you mean "tls"?'],
    ['[unified.1.connections.atuh]\nuser = "x"', 'did you mean "auth"?'],
    ['[persistance]\npath = "x"', 'did you mean "persistence"?'],
    ['[security]\n[unified.1.passwords]\na = "b"', 'about access by its name'],
    [
      '[unified.1.connections]\nallow-duplicate-clientid = true',
      'here it is duplicate_client_id = "allow"',
    ],
  ])('mistyped: %j', async (text, hint) => {
    const error = await refusal(`${listener}${text}\n`);
    expect(error.code).toBe('ST_CONFIG_UNSUPPORTED');
    expect(error.message).toContain(hint);
  });
});

describe('warnings', () => {
  test.each([
    [
      '[mqtt]\nmax_qso = 1',
      'a.toml:4:1: mqtt.max_qso: unknown key, left out; did you mean "max_qos"?',
    ],
    ['[mqt]\nmax_qos = 1', 'a.toml:3:1: [mqt]: unknown key, left out; did you mean "mqtt"?'],
    ['[unified.1.conections]\nmax_qos = 1', 'did you mean "connections"?'],
    ['[unified.1.connections]\nmax_payload_sise = 1', 'did you mean "max_payload_size"?'],
    ['[wombat]\nx = 1', 'a.toml:3:1: [wombat]: unknown key, left out'],
    ['[mqtt]\nconstructor = 1', 'a.toml:4:1: mqtt.constructor: unknown key, left out'],
    ['[unified.1.connections]\nthrottle_delay_ms = 1', 'has no effect, as in rumqttd'],
    ['[broker]\nnode_id = 1', 'not yet supported'],
    ['[quic.1]\nlisten = "0.0.0.0:1"', 'QUIC listeners; skipped'],
  ])('%j', async (text, warning) => {
    const { warnings } = await resolveText(`${listener}${text}\n`);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(warning);
  });

  test('a pause of 1 ms between connections has no effect, and that is said once', async () => {
    const line = 'next_connection_delay_ms = 1\n';
    const text = `${listener}${line}[v5.1]\nlisten = "127.0.0.1:1884"\n${line}`;
    const { config, warnings } = await resolveText(text);
    expect(config.listeners.map(({ acceptDelayMs }) => acceptDelayMs)).toEqual([0, 0]);
    expect(warnings).toEqual([
      'a.toml:6:1: v5.1.next_connection_delay_ms: has no effect at 1, which would let in at most 1000 connections a second; 2 and more has',
    ]);
    const { config: slow, warnings: none } = await resolveText(
      `${listener}next_connection_delay_ms = 2\nmax_connect_rate = 7\n`,
    );
    expect(slow.listeners[0]).toMatchObject({ acceptDelayMs: 2, maxConnectRate: 7 });
    expect(none).toEqual([]);
  });
});

describe('values that are not allowed name file, line, key, value and range', () => {
  test.each([
    ['[mqtt]\nmax_qos = 3', 'a.toml:4:1: mqtt.max_qos is 3; allowed: an integer from 0 to 2'],
    ['[mqtt]\nmax_qos = "1"', 'a.toml:4:1: mqtt.max_qos is "1"; allowed: an integer from 0 to 2'],
    ['[mqtt]\nmax_qos = 1.5', 'a.toml:4:1: mqtt.max_qos is 1.5;'],
    ['[mqtt]\nretain_available = "yes"', 'mqtt.retain_available is "yes"; allowed: true or false'],
    ['[mqtt]\nmax_inflight = [1]', 'a.toml:4:1: mqtt.max_inflight is [1];'],
    ['[mqtt.max_inflight]\nx = 1', 'a.toml:3:1: [mqtt.max_inflight] is a table;'],
    ['[mqtt]\naccept_versions = []', 'allowed: a list of "3.1", "3.1.1", "5.0", at least one'],
    ['[mqtt]\naccept_versions = ["5"]', 'mqtt.accept_versions is ["5"];'],
    ['[mqtt]\nduplicate_client_id = "both"', 'allowed: "takeover", "reject", "allow"'],
    ['[mqtt]\nqueue_overflow = "drop"', 'allowed: "drop_newest", "drop_oldest", "refuse"'],
    [
      '[router]\nshared_subscriptions_strategy = "round"',
      'allowed: "roundrobin", "random", "sticky"',
    ],
    [
      '[unified.1.connections]\nmax_payload_size = 5',
      'unified.1.connections.max_payload_size is 5;',
    ],
    [
      '[unified.2]\nlisten = "1883"',
      'a.toml:4:1: unified.2.listen is "1883"; allowed: "HOST:PORT"',
    ],
    ['[unified.2]\nlisten = "1.2.3.4:99999"', 'unified.2.listen is "1.2.3.4:99999"'],
    ['[unified.2]\nlisten = []', 'unified.2.listen is [];'],
    ['[unified.2]\nlisten = 1883', 'unified.2.listen is 1883;'],
    ['[unified.2]\nunix = ""', 'unified.2.unix is "";'],
    ['[unified.2]\nunix = "/tmp/x"\nunix_mode = "999"', 'allowed: octal digits as text, as "0660"'],
    ['[broker]\nio_threads = 0', 'broker.io_threads is 0; allowed: an integer from 1 to 64'],
    ['[log]\nlevel = "verbose"', 'log.level is "verbose"; allowed: "error", "warn", "info"'],
    ['[log]\nto = "disk"', 'log.to is "disk"; allowed: "off", "console", "file", "both"'],
  ])('%j', async (text, message) => {
    const error = await refusal(`${listener}${text}\n`);
    expect(error.code).toBe('ST_CONFIG_VALUE');
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
  });

  test.each([
    ['unified = 1', 'a.toml:1:1: unified is 1; allowed: a table'],
    ['[unified]\nx = 1', 'a.toml:2:1: unified.x is 1; allowed: a table, as [unified.1]'],
    ['mqtt = "x"', 'a.toml:1:1: mqtt is "x"; allowed: a table'],
    ['id = -1', 'a.toml:1:1: id is -1; allowed: an integer from 0 to 9007199254740991'],
  ])('%j', async (text, message) => {
    expect((await refusal(text)).message).toContain(message);
  });

  test('a listener without an address', async () => {
    const error = await refusal('[v4.1]\nname = "x"\n');
    expect(error.code).toBe('ST_CONFIG_MISSING');
    expect(error.message).toContain('a.toml:1:1: [v4.1] listen is missing; allowed: "HOST:PORT"');
  });

  test.each([['[mqtt]\nmax_qos = 1\n'], ['[ws]\n'], ['[unified]\n']])(
    'no listener at all: %j',
    async (text) => {
      expect((await refusal(text)).code).toBe('ST_CONFIG_NO_LISTENER');
    },
  );

  test.each([
    [
      '[unified.1.connections]\nmax_payload_size = 100\nmax_packet_size = 200',
      'a.toml:5:1: unified.1.connections.max_payload_size = 100 and unified.1.connections.max_packet_size = 200',
    ],
    ['[broker]\nmax_connections = 5\n[router]\nmax_connections = 6', 'a.toml:6:1: '],
    ['[broker]\noutbound_low_watermark_bytes = 2000000', 'a.toml:4:1: '],
    ['[mqtt]\nmax_keep_alive_s = 60\ndefault_keep_alive_s = 90', 'a.toml:5:1: '],
    ['[unified.2]\nlisten = "127.0.0.1:1883"', 'both ask for 127.0.0.1:1883'],
  ])('contradictions: %j', async (text, message) => {
    const error = await refusal(`${listener}${text}\n`);
    expect(error.code).toBe('ST_CONFIG_CONFLICT');
    expect(error.message).toContain(message);
  });
});

describe('layers', () => {
  test('defaults < file < environment < flags', async () => {
    const text = `id = 1\n${listener}[mqtt]\nmax_qos = 1\nmax_inflight = 10\n[log]\nlevel = "error"\n`;
    const env = {
      ST_MQTTD_MQTT__MAX_INFLIGHT: '20',
      ST_MQTTD_ID: '2',
      ST_MQTTD_LOG__LEVEL: 'info',
    };
    const flags = { id: '3', verbose: 2, listen: ['[::]:2000', 'unix:/tmp/a.sock'] };
    const { config, effective } = await resolveText(text, { env, flags });
    expect(config.id).toBe(3);
    expect(config.log.level).toBe('debug');
    const [first, second, third] = config.listeners;
    expect(first?.mqtt).toMatchObject({ max_qos: 1, max_inflight: 20, receive_maximum: 100 });
    expect(second).toMatchObject({ kind: 'unified', listen: [{ host: '::', port: 2000 }] });
    expect(third).toMatchObject({ listen: [], unix: { path: '/tmp/a.sock', mode: 0o660 } });
    const origin = (key: string) => effective.find((entry) => entry.key === key)?.origin;
    expect(origin('id')).toBe('--id');
    expect(origin('level')).toBe('-v');
    expect(origin('max_inflight')).toBe('ST_MQTTD_MQTT__MAX_INFLIGHT');
    expect(origin('receive_maximum')).toBeUndefined();
  });

  test('the environment reaches a listener whatever the case of its name', async () => {
    const { config } = await resolveText('[v5.Plant]\nlisten = "127.0.0.1:1"\n', {
      env: {
        ST_MQTTD_V5__PLANT__LISTEN: '127.0.0.1:2, [::1]:3',
        ST_MQTTD_V5__PLANT__CONNECTIONS__MAX_PAYLOAD_SIZE: '4096',
        ST_MQTTD_MQTT__RETAIN_AVAILABLE: 'false',
        ST_MQTTD_MQTT__ACCEPT_VERSIONS: '5.0,3.1.1',
      },
    });
    expect(config.listeners).toHaveLength(1);
    expect(config.listeners[0]).toMatchObject({
      name: 'v5-Plant',
      listen: [
        { host: '127.0.0.1', port: 2 },
        { host: '::1', port: 3 },
      ],
      mqtt: { max_packet_size: 4096, retain_available: false },
      versions: ['5.0'],
    });
  });

  test('a wrong value or an unknown name in the environment', async () => {
    const wrong = await refusal(listener, { env: { ST_MQTTD_MQTT__MAX_QOS: 'two' } });
    expect(wrong.message).toContain(
      'ST_MQTTD_MQTT__MAX_QOS: mqtt.max_qos is "two"; allowed: an integer',
    );
    const access = await refusal(listener, { env: { ST_MQTTD_AUTH__PROVIDERS: 'x' } });
    expect(access.message).toMatch(
      /^ST_MQTTD_AUTH__PROVIDERS: auth\.providers is .*; allowed: a list of tables/,
    );
    const env = {
      ST_MQTTD_MQTT__MAX_QSO: '1',
      ST_MQTTD_PREBUILD: '/x',
      // st-mqttd ctl's.
      ST_MQTTD_CONSOLE_URL: 'http://127.0.0.1:3030',
      ST_MQTTD_CONSOLE_TOKEN: 'x',
      OTHER: 'x',
    };
    const { warnings } = await resolveText(listener, { env });
    expect(warnings).toEqual([
      'ST_MQTTD_MQTT__MAX_QSO: mqtt.max_qso: unknown key, left out; did you mean "max_qos"?',
    ]);
  });

  test('a wrong --listen or --id names the flag', async () => {
    const error = await refusal(listener, { flags: { listen: ['nowhere'] } });
    expect(error.message).toContain(
      'the command line: --listen is "nowhere"; allowed: "HOST:PORT"',
    );
    expect((await refusal(listener, { flags: { id: 'x' } })).message).toContain('--id is "x"');
  });

  test('a listener overrides [mqtt], and [mqtt] the defaults', async () => {
    const { config } = await resolveText(`${listener}
[unified.1.connections]
max_inflight_count = 7
accept_versions = ["5.0"]
[mqtt]
max_inflight = 5
max_qos = 1
[v4.x]
listen = ["127.0.0.1:3", "localhost:4"]
[v4.x.connections]
accept_versions = ["3.1.1"]
`);
    const [v4, unified] = config.listeners;
    expect(v4).toMatchObject({ versions: ['3.1.1'], mqtt: { max_inflight: 5, max_qos: 1 } });
    expect(unified).toMatchObject({ versions: ['5.0'], mqtt: { max_inflight: 7, max_qos: 1 } });
  });
});

describe('without a file', () => {
  test('one listener on loopback; IPv6 may be missing', () => {
    const { config, warnings } = resolveConfig([]);
    expect(warnings).toEqual([]);
    expect(config.isLoopbackDefault).toBe(true);
    expect(config.broker.io_threads).toBe(kDefaultIoThreads);
    expect(config.broker.max_memory_bytes).toBeGreaterThan(1e6);
    expect(config.listeners).toMatchObject([
      {
        kind: 'unified',
        versions: ['3.1', '3.1.1', '5.0'],
        listen: [
          { host: '127.0.0.1', port: 1883 },
          { host: '::1', port: 1883, optional: true },
        ],
      },
    ]);
  });

  test('an embedding application: its log is off unless it asks; empty tables mean no listener', () => {
    const resolve = (options: ConfigTables) =>
      resolveConfig([embeddingDefaults, objectLayer(options)]).config;
    expect(resolve({}).log.to).toBe('off');
    expect(resolve({ log: { to: 'console' } }).log.to).toBe('console');
    expect(resolve({}).isLoopbackDefault).toBe(true);
    expect(resolve({ mqtt: { max_qos: 1 } }).listeners[0]?.mqtt.max_qos).toBe(1);
    expect(resolve({ unified: {} }).listeners).toEqual([]);
    expect(
      resolve({ unified: { a: { listen: 'localhost:0' } }, mqtt: undefined }).listeners,
    ).toHaveLength(1);
    expect(() => resolve({ unified: { a: { listen: 'nope' } } })).toThrow(
      'the options of new Broker(): unified.a.listen is "nope"; allowed: "HOST:PORT"',
    );
    const wild = { auth: { user: 'x' } } as ConfigTables;
    expect(() => resolve(wild)).toThrow('refusing to start');
  });
});
