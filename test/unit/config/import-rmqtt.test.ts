// An rmqtt.toml as ours, with the plugins that decide about access.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { importedText } from '../../../src/config/import.ts';
import { fixture, folder, isShut, rmqtt, seenTo } from './importing.ts';
import { refusal, resolveText } from './resolving.ts';

const withoutAcl = (text: string) => text.replace(/^ {2}"rmqttd starts its plugin.*\n/m, '');

describe('rmqtt.toml', () => {
  test('a realistic one: what has a counterpart', async () => {
    const text = await importedText(fixture('rmqtt.toml'));
    const tables = parse(text) as Record<string, unknown>;
    expect(tables).toEqual({
      unhandled: [
        expect.stringMatching(
          /plugin rmqtt-acl by itself; its file .*rmqtt-acl\.toml is not there/,
        ),
        expect.stringMatching(
          /plugin rmqtt-auth-http; its file .*rmqtt-auth-http\.toml is not there/,
        ),
        expect.stringContaining('plugin rmqtt-session-storage keeps on disk'),
        expect.stringContaining('name the proxies there'),
      ],
      id: 3,
      log: { to: 'both', level: 'info', dir: '/var/log/rmqtt', file: 'rmqtt.log' },
      unified: {
        external: {
          listen: '0.0.0.0:1883',
          allow_anonymous: true,
          max_handshakes: 500,
          max_connections: 1_024_000,
          connections: {
            connection_timeout_ms: 30_000,
            max_packet_size: 1_048_576,
            max_inflight: 16,
            max_queued_messages: 1000,
            max_client_id_bytes: 65_535,
            max_qos: 2,
            max_topic_levels: 32_768,
            retain_available: true,
            max_session_expiry_s: 9000,
            max_message_expiry_s: 300,
            max_subscriptions: 4_294_967_295,
            shared_subscriptions: true,
          },
        },
        'external-tls': {
          listen: '0.0.0.0:8883',
          allow_anonymous: false,
          tls: {
            certpath: '/etc/rmqtt/cert.pem',
            keypath: '/etc/rmqtt/key.pem',
            verify_client_cert: 'require',
            capath: '/etc/rmqtt/ca.pem',
          },
        },
      },
      ws: { external: { listen: '0.0.0.0:8080', allow_anonymous: true, proxy_protocol: 'any' } },
    });
    for (const key of [
      'task = ',
      'rpc = ',
      'node.busy = ',
      'mqtt.delayed_publish_max = 100000: of [plugins.delayed-publish], if',
      'mqueue_rate_limit = "1000,1s": no counterpart',
      'listener.tcp.internal: not enabled',
      'plugin rmqtt-retainer is not there yet',
    ]) {
      expect(text).toContain(key);
    }
    expect((await refusal(text)).code).toBe('ST_CONFIG_UNSUPPORTED');
    const { config } = await resolveText(seenTo(text));
    expect(config.listeners.map(({ name }) => name)).toEqual([
      'unified-external',
      'unified-external-tls',
      'ws-external',
    ]);
  });

  test.each([
    ['', true],
    ['[listener.tcp.a]\naddr = "1.2.3.4:5"\n', true],
    ['[listener.tcp.a]\naddr = "1.2.3.4:5"\nallow_anonymous = true\n', false],
    [
      '[listener.tcp.a]\nallow_anonymous = true\n[plugins]\ndefault_startups = ["rmqtt-auth-http"]\n',
      true,
    ],
    ['[listener.tcp.a]\nallow_anonymous = true\nnew_auth_thing = 5\n', true],
    ['[listener.tls.a]\nallow_anonymous = true\ncert = "a"\nkey = "b"\n', false],
    ['[listener.tls.a]\nallow_anonymous = true\n', true],
  ])('%j stays closed: %s', async (source, isClosed) => {
    const text = await rmqtt(source);
    expect((await refusal(text)).code).toBe('ST_CONFIG_UNSUPPORTED');
    // Its rules of access are a file of their own, which is not read: that is always to be seen to.
    const rest = withoutAcl(text);
    expect(await isShut(rest.replace(/^unhandled = \[\n\]\n/m, ''))).toBe(isClosed);
  });

  test.each([
    ['handshake_timeout = "1m 5s"', 'connection_timeout_ms = 65000'],
    ['handshake_timeout = "soon"', 'not a number with a unit; left out'],
    ['max_packet_size = "512KB"', 'max_packet_size = 524288'],
    ['max_packet_size = "0"', 'max_packet_size = 268435460'],
    ['max_packet_size = "1"', 'max_packet_size = 64   # '],
    ['max_inflight = 0', '0 is not possible here'],
    ['max_qos_allowed = "two"', '"two" is not possible here; left out'],
  ])('%s', async (line, expected) => {
    const text = await rmqtt(`[listener.tcp.a]\nallow_anonymous = true\n${line}\n`);
    expect(text).toContain(expected);
    await resolveText(withoutAcl(text));
  });
});

describe('plugins of rmqttd', () => {
  const withPlugins = async (files: Record<string, string>, names: readonly string[] = []) => {
    const at = mkdtempSync(join(folder, 'rmqtt-'));
    mkdirSync(join(at, 'plugins'));
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(at, 'plugins', `${name}.toml`), text);
    }
    const file = join(at, 'rmqtt.toml');
    const startups = JSON.stringify(names);
    writeFileSync(
      file,
      `[listener.tcp.a]\nallow_anonymous = true\n[plugins]\ndir = "plugins"\ndefault_startups = ${startups}\n`,
    );
    return importedText(file, 'rmqtt');
  };

  test('rules in their order; the last one for all is the default', async () => {
    const text = await withPlugins({
      'rmqtt-acl': `disconnect_if_pub_rejected = true
rules = [
    ["allow", { user = "dashboard" }, "subscribe", ["$SYS/#"]],
    ["allow", { ipaddr = "127.0.0.1" }, "pubsub", ["$SYS/#", "#"]],
    ["deny", "all", "subscribe", ["$SYS/#"]],
    ["allow", { clientid = "c" }],
    ["deny", "all"]
]`,
    });
    expect(text).not.toContain('unhandled');
    const { config } = await resolveText(text);
    expect(config.acl).toMatchObject({
      default: 'deny',
      v3Denied: 'disconnect',
      rules: [
        { effect: 'allow', actions: 'subscribe', users: ['dashboard'], filters: ['$SYS/#'] },
        { effect: 'allow', actions: 'all', addresses: ['127.0.0.1'], filters: ['$SYS/#', '#'] },
        { effect: 'deny', actions: 'subscribe', users: [], filters: ['$SYS/#'] },
        { effect: 'allow', actions: 'all', clients: ['c'], filters: ['#', '$SYS/#'] },
      ],
    });
  });

  test.each([
    ['["deny", "all", "subscribe", [{ eq = "#" }]]'],
    ['["allow", { user = "a", password = "hidden" }, "pubsub", ["#"]]'],
    ['["allow", "all", "connect"]'],
    ['"allow"'],
    ['["permit", "all"]'],
  ])('what has no counterpart keeps it from starting: %s', async (rule) => {
    const text = await withPlugins({ 'rmqtt-acl': `rules = [${rule}, ["allow", "all"]]` });
    expect((await refusal(text)).code).toBe('ST_CONFIG_UNSUPPORTED');
    expect(text).not.toContain('hidden');
  });

  test('a server that is asked: what it cannot be asked here keeps it from starting', async () => {
    const acl = { 'rmqtt-acl': 'rules = [["allow", "all"]]' };
    const auth = (text: string) =>
      withPlugins({ ...acl, 'rmqtt-auth-http': text }, ['rmqtt-auth-http']);
    const url = 'http_auth_req.url = "http://127.0.0.1:9090/mqtt/auth"\n';
    const good = await auth(
      `${url}http_timeout = "1m"\nhttp_headers.accept = "*/*"\nhttp_auth_req.headers.content-type = "application/json"\nhttp_auth_req.params = { clientid = "%c", ip = "%a" }\n`,
    );
    const { config } = await resolveText(good);
    expect(config.auth?.providers).toMatchObject([
      {
        ...{ kind: 'http', url: 'http://127.0.0.1:9090/mqtt/auth', format: 'json' },
        ...{ timeoutMs: 60_000, cacheTtlS: 0, negativeTtlS: 0 },
        ...{ headers: { accept: '*/*' }, fields: { clientid: '%c', ip: '%a' } },
      },
    ]);
    for (const [text, why] of [
      ['', 'http_auth_req has no url'],
      ['http_auth_req = "http://a:hidden@b/"', 'has a user, a password or a key in it'],
      ['http_auth_req = "http://b/?token=hidden"', 'has a user, a password or a key in it'],
      [`${url}http_auth_req.params = { api_key = "hidden" }`, 'params.api_key (not copied)'],
      [`${url}http_auth_req.method = "get"`, 'it is asked by POST here'],
      [`${url}http_headers.Authorization = "hidden"`, 'the header Authorization (not copied)'],
      [`${url}http_auth_req.params = { m = "%m" }`, 'http_auth_req.params.m = "%m"'],
      [`${url}http_acl_req.url = "http://a/"`, 'each publish and subscription is asked about'],
    ] as const) {
      const shut = await auth(text);
      expect(shut).toMatch(/^unhandled = \[$/m);
      expect(shut).toContain(why.replaceAll('"', '\\"'));
      expect(shut).not.toContain('hidden');
      expect((await refusal(shut)).code).toBe('ST_CONFIG_UNSUPPORTED');
    }
  });

  test('tokens', async () => {
    const acl = { 'rmqtt-acl': 'rules = [["allow", "all"]]' };
    const key = await withPlugins(
      {
        ...acl,
        'rmqtt-auth-jwt': `from = "username"\nencrypt = "public-key"\npublic_key = "/k.pem"\nvalidate_claims.exp = true\nvalidate_claims.iss = ["a", "b"]\nvalidate_claims.clientid = "$\{clientid}"\n`,
      },
      ['rmqtt-auth-jwt'],
    );
    const { config } = await resolveText(key.replace(/^unhandled = \[[^\]]*\]\n/m, ''));
    expect(config.auth?.providers).toMatchObject([
      { kind: 'jwt', token: 'username', keyPath: '/k.pem', issuers: ['a', 'b'] },
    ]);
    const secret = await withPlugins(
      { ...acl, 'rmqtt-auth-jwt': 'hmac_secret = "hidden-hidden-hidden"\n' },
      ['rmqtt-auth-jwt'],
    );
    expect(secret).not.toContain('hidden');
    expect((await refusal(secret)).code).toBe('ST_CONFIG_UNSUPPORTED');
  });
});
