// TLS, WebSocket, authentication, rules, limits and tenants as they are written in a file.
import { describe, expect, test } from 'vitest';
import { objectLayer } from '../../../src/config/layers.ts';
import { diffConfig } from '../../../src/config/reload.ts';
import { effectiveText, effectiveValues } from '../../../src/config/report.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { refusal, resolveText } from './resolving.ts';

const listener = '[unified.1]\nlisten = "127.0.0.1:1883"\n';
const tls = `${listener}[unified.1.tls]\ncertpath = "/c.pem"\nkeypath = "/k.pem"\n`;

describe('tls', () => {
  const tlsOf = async (lines: string) =>
    (await resolveText(`${tls}${lines}\n`)).config.listeners[0]?.tls;

  test('what it is without more', async () => {
    expect(await tlsOf('')).toEqual({
      certpath: '/c.pem',
      keypath: '/k.pem',
      keypass: '',
      pkcs12path: '',
      pkcs12pass: '',
      capath: '',
      crlpath: '',
      verify: 'none',
      identity: 'none',
      minVersion: '1.2',
      ciphers: '',
      ciphersuites: '',
      alpn: [],
      sni: [],
    });
  });

  test('capath alone means require, as in ST-RMQTT; and it can be said', async () => {
    expect(await tlsOf('capath = "/ca.pem"')).toMatchObject({ verify: 'require' });
    expect(await tlsOf('capath = "/ca.pem"\nverify_client_cert = "optional"')).toMatchObject({
      verify: 'optional',
    });
    expect(await tlsOf('capath = "/ca.pem"\nverify_client_cert = "none"')).toMatchObject({
      verify: 'none',
    });
  });

  test('certificates for names, and what else there is', async () => {
    const lines = [
      'min_version = "1.3"',
      'alpn = ["mqtt", "x-mqtt"]',
      'ciphersuites = "TLS_AES_128_GCM_SHA256"',
      '[[unified.1.tls.sni]]',
      'name = "Broker.example"',
      'certpath = "/b.pem"',
      'keypath = "/b.key"',
      'keypass = "hidden-hidden"',
      '[[unified.1.tls.sni]]',
      'name = "*.plant.example"',
      'certpath = "/p.pem"',
      'keypath = "/p.key"',
    ].join('\n');
    const resolution = await resolveText(`${tls}${lines}\n`);
    expect(resolution.config.listeners[0]?.tls).toMatchObject({
      minVersion: '1.3',
      alpn: ['mqtt', 'x-mqtt'],
      sni: [
        { name: 'broker.example', certpath: '/b.pem', keypass: 'hidden-hidden' },
        { name: '*.plant.example', keypath: '/p.key', keypass: '' },
      ],
    });
    const text = effectiveText(resolution);
    expect(text).not.toContain('hidden');
    expect(text.match(/^\[\[unified\.1\.tls\.sni\]\]$/gm)).toHaveLength(2);
    expect(JSON.stringify(effectiveValues(resolution))).not.toContain('hidden');
  });

  test.each([
    ['pkcs12path = "/p.p12"', ':6:1: pkcs12path and certpath with keypath are two certificates'],
    ['verify_client_cert = "require"', ':6:1: verify_client_cert = "require" needs capath'],
    ['identity = "cn"', ':6:1: identity = "cn" needs verified client certificates'],
    ['crlpath = "/crl"', ':6:1: crlpath says which client certificates are revoked, but none'],
    ['min_version = "1.1"', ':6:1: unified.1.tls.min_version is "1.1"; allowed: "1.2", "1.3"'],
    ['ciphers = "a b"', ':6:1: unified.1.tls.ciphers is "a b"; allowed: a list of OpenSSL'],
    ['certpaht = "/x"', ':6:1: unified.1.tls.certpaht: unknown, and about access by its name'],
    ['alpin = "mqtt"', 'did you mean "alpn"?; refusing to start'],
    ['[[unified.1.tls.sni]]\nname = "a"', ':6:1: [unified.1.tls.sni[0]] certpath is missing'],
    [
      '[[unified.1.tls.sni]]\nname = "a b"\n',
      ':7:1: unified.1.tls.sni[0].name is "a b"; allowed: a host name',
    ],
    ['sni = 5', ':6:1: unified.1.tls.sni is 5; allowed: a list of tables'],
    [
      '[unified.1.connections]\nverify_client_cert = "require"',
      'it belongs into the tls table of the listener',
    ],
  ])('%j', async (lines, message) => {
    expect((await refusal(`${tls}${lines}\n`)).message).toContain(message);
  });

  test('half a certificate', async () => {
    const text = `${listener}[unified.1.tls]\ncertpath = "/c.pem"\n`;
    expect((await refusal(text)).message).toContain(
      'a.toml:3:1: [unified.1.tls] keypath is missing; allowed: the path of a file',
    );
  });

  test('a relative path begins at the folder of the file', async () => {
    const { config } = await resolveText(
      `${listener}[unified.1.tls]\npkcs12path = "no/such.p12"\npkcs12pass = "x"\n`,
    );
    expect(config.listeners[0]?.tls?.pkcs12path).toMatch(/\/st-mqttd-config-\w+\/no\/such\.p12$/);
    const object = resolveConfig([
      objectLayer({
        unified: { a: { listen: '127.0.0.1:1', tls: { certpath: 'c.pem', keypath: '/k.pem' } } },
      }),
    ]);
    expect(object.config.listeners[0]?.tls?.certpath).toBe(`${process.cwd()}/c.pem`);
  });
});

describe('listeners', () => {
  test('ws: path and origins', async () => {
    const { config } = await resolveText(
      '[ws.a]\nlisten = "0.0.0.0:80"\npath = "/mqtt"\nallowed_origins = "https://app.example"\n',
    );
    expect(config.listeners).toMatchObject([
      {
        kind: 'ws',
        name: 'ws-a',
        transport: 'websocket',
        ws: { path: '/mqtt', allowedOrigins: ['https://app.example'] },
      },
    ]);
  });

  test.each([
    ['[ws.1]\nlisten = "0.0.0.0:80"\npath = "mqtt"', 'ws.1.path is "mqtt"; allowed: a path'],
    ['[ws.1]\nlisten = "0.0.0.0:80"\nallowed_origins = ["*"]', 'allowed: origins, as "https:'],
    [
      '[v4.1]\nlisten = "0.0.0.0:80"\ntrusted_proxies = ["10.0.0.0/33"]',
      'a.toml:3:1: v4.1.trusted_proxies is ["10.0.0.0/33"]; allowed: addresses or networks',
    ],
    [
      '[v4.1]\nlisten = "0.0.0.0:80"\nproxy_protocol = "v2"',
      'a.toml:3:1: proxy_protocol = "v2" needs trusted_proxies',
    ],
    ['[v4.1]\nlisten = "0.0.0.0:80"\npath = "/x"', 'a.toml:3:1: v4.1.path: unknown key'],
    ['[v4.1]\nlisten = "0.0.0.0:80"\n[v4.1.auth]\n', 'names no user, so nobody could come in'],
    ['[v4.1]\nlisten = "0.0.0.0:80"\n[v4.1.auth.a]\nb = 1', 'v4.1.auth.a] is a table; allowed'],
    [
      '[v4.1]\nlisten = "0.0.0.0:80"\n[v4.1.connections]\nvalidate_tenant_prefix = true',
      'a.toml:4:1: validate_tenant_prefix needs client certificates',
    ],
  ])('%j', async (text, message) => {
    if (message.endsWith('unknown key')) {
      expect((await resolveText(`${text}\n`)).warnings[0]).toContain(message);
    } else {
      expect((await refusal(`${text}\n`)).message).toContain(message);
    }
  });

  test('validate_tenant_prefix implies required client certificates', async () => {
    const tenant = '[unified.1.connections]\nvalidate_tenant_prefix = true\n';
    const { config } = await resolveText(`${tls}capath = "/ca.pem"\n${tenant}`);
    expect(config.listeners[0]).toMatchObject({
      validateTenantPrefix: true,
      tls: { verify: 'require' },
    });
    const error = await refusal(
      `${tls}capath = "/ca.pem"\nverify_client_cert = "optional"\n${tenant}`,
    );
    expect(error.message).toContain('a.toml:7:1: verify_client_cert = "optional" leaves clients');
  });

  test('users of both tables; a password is a secret wherever it is shown', async () => {
    const text = `${listener}[unified.1.auth]\nalice = "hidden-1"\n[unified.1.connections.auth]\nbob = "hidden-2"\n`;
    const resolution = await resolveText(text);
    expect(resolution.config.listeners[0]?.users).toEqual([
      { name: 'alice', password: 'hidden-1' },
      { name: 'bob', password: 'hidden-2' },
    ]);
    const shown = effectiveText(resolution) + JSON.stringify(effectiveValues(resolution));
    expect(shown).toContain('alice = "(secret)"');
    expect(shown).not.toContain('hidden');
    const after = await resolveText(text.replace('hidden-2', 'hidden-3'));
    const plan = JSON.stringify(diffConfig(resolution, after).live);
    expect(plan).toContain('unified.1.connections.auth.bob');
    expect(plan).not.toContain('hidden');
  });
});

describe('[[auth.providers]]', () => {
  const providers = async (text: string) =>
    (await resolveText(`${listener}${text}\n`)).config.auth?.providers;

  test('each kind, with its defaults; names are made of kinds', async () => {
    const text = [
      '[[auth.providers]]\nkind = "static"\n[auth.providers.users]\nalice = "x"',
      '[[auth.providers]]\nkind = "password_file"\npath = "/p"',
      '[[auth.providers]]\nkind = "certificate"',
      '[[auth.providers]]\nkind = "jwt"\nalgorithms = "ES256"\nkey_path = "/k"',
      '[[auth.providers]]\nkind = "jwt"\nalgorithms = ["RS256", "EdDSA"]\njwks_url = "https://a/b"',
      '[[auth.providers]]\nkind = "http"\nurl = "http://127.0.0.1:1/"\n[auth.providers.headers]\nauthorization = "Bearer x"',
      '[[auth.providers]]\nkind = "scram"\npath = "/s"\nlisteners = ["unified-1"]',
      '[[auth.providers]]\nkind = "handler"\nname = "mine"',
    ].join('\n');
    const all = await providers(text);
    expect(all?.map(({ name }) => name)).toEqual([
      ...['static', 'password_file', 'certificate', 'jwt', 'jwt-2', 'http', 'scram', 'mine'],
    ]);
    expect(all).toMatchObject([
      { users: [{ name: 'alice', password: 'x' }], listeners: [] },
      { path: '/p', cacheTtlS: 300, cacheMax: 10_000, maxConcurrent: 2 },
      { username: 'cn' },
      {
        algorithms: ['ES256'],
        keyPath: '/k',
        secret: undefined,
        jwksUrl: undefined,
        leewayS: 30,
        requireExpiry: true,
        usernameClaim: 'sub',
        clientIdClaim: '',
      },
      { algorithms: ['RS256', 'EdDSA'], jwksUrl: 'https://a/b', jwksCacheS: 600 },
      {
        url: 'http://127.0.0.1:1/',
        format: 'json',
        headers: { authorization: 'Bearer x' },
        timeoutMs: 3000,
        caPath: undefined,
      },
      { path: '/s', listeners: ['unified-1'], methods: ['SCRAM-SHA-256', 'SCRAM-SHA-512'] },
      { kind: 'handler' },
    ]);
    expect(all?.[1]?.where).toMatch(/a\.toml:7:1$|:7:1$/);
  });

  test.each([
    ['[auth]\nproviders = "jwt"', ':4:1: auth.providers is something else (not shown); allowed:'],
    ['[[auth.providers]]\n', ':3:1: [auth.providers[0]] kind is missing; allowed: "static"'],
    ['[[auth.providers]]\nkind = "ldap"', ':4:1: auth.providers[0].kind is'],
    [
      '[[auth.providers]]\nkind = "jwt"\nkey_path = "/k"',
      '[auth.providers[0]] algorithms is missing',
    ],
    ['[[auth.providers]]\nkind = "jwt"\nalgorithms = "none"', ':5:1: auth.providers[0].algorithms'],
    ['[[auth.providers]]\nkind = "jwt"\nalgorithms = "ES256"', 'this one has none'],
    [
      '[[auth.providers]]\nkind = "jwt"\nalgorithms = "HS256"\nkey_path = "/k"',
      ':5:1: HS256 does not go with key_path',
    ],
    [
      '[[auth.providers]]\nkind = "jwt"\nalgorithms = "ES256"\nsecret = "0123456789abcdef"',
      ':5:1: ES256 does not go with secret',
    ],
    [
      '[[auth.providers]]\nkind = "jwt"\nalgorithms = "ES256"\nkey_path = "/k"\njwks_url = "http://x"',
      'this one has key_path and jwks_url',
    ],
    ['[[auth.providers]]\nkind = "http"', '[auth.providers[0]] url is missing'],
    ['[[auth.providers]]\nkind = "http"\nurl = "ftp://x"', ':5:1: auth.providers[0].url is'],
    [
      '[[auth.providers]]\nkind = "http"\nurl = "http://x"\ncert_path = "/c"',
      'cert_path needs key_path beside it',
    ],
    ['[[auth.providers]]\nkind = "password_file"', '[auth.providers[0]] path is missing'],
    ['[[auth.providers]]\nkind = "certificate"\nusernam = "dn"', 'did you mean "username"?'],
    [
      '[[auth.providers]]\nkind = "handler"\n[[auth.providers]]\nkind = "handler"\nlisteners = "x"',
      ':7:1: [auth.providers[1]] listeners: there is no listener "x"',
    ],
    [
      '[[auth.providers]]\nkind = "handler"\nname = "a"\n[[auth.providers]]\nkind = "handler"\nname = "a"',
      ':8:1: there are two providers of the name "a"',
    ],
    ['[auth.failed_logins]\nwindow_s = 0', ':4:1: auth.failed_logins.window_s is'],
  ])('%j', async (text, message) => {
    expect((await refusal(`${listener}${text}\n`)).message).toContain(message);
  });

  test('in YAML and JSON each has its place too', async () => {
    const yaml =
      'unified: {a: {listen: "127.0.0.1:1"}}\nauth:\n  providers:\n    - kind: handler\n    - kind: jwt\n';
    expect((await refusal(yaml, { name: 'a.yaml' })).message).toMatch(
      /^a\.yaml:5:7: \[auth\.providers\[1\]\] algorithms is missing/,
    );
    const json = '{"auth": {"providers": [\n{"kind": "x"}]}}';
    expect((await refusal(json, { name: 'a.json' })).message).toMatch(/^a\.json:2:2: auth\.prov/);
  });
});

describe('[acl], [limits], [tenants], [device]', () => {
  test('rules in their order; auto denies as soon as there is one', async () => {
    const { config } = await resolveText(
      `${listener}[acl]\nnarrow = true\n[[acl.rules]]\neffect = "allow"\nusers = "plant*"\nfilters = ["a/%u/#", "b"]\nqos = 1\n[[acl.rules]]\neffect = "deny"\nactions = "publish"\nretain = false\naddresses = ["unix", "10.0.0.0/8"]\nname = "no office"\n`,
    );
    expect(config.acl).toMatchObject({
      default: 'deny',
      narrow: true,
      v3Denied: 'drop',
      rules: [
        { effect: 'allow', actions: 'all', users: ['plant*'], filters: ['a/%u/#', 'b'], qos: 1 },
        {
          effect: 'deny',
          actions: 'publish',
          filters: ['#'],
          retain: false,
          addresses: ['unix', '10.0.0.0/8'],
          name: 'no office',
        },
      ],
    });
    const without = await resolveText(`${listener}[acl]\nv3_denied = "disconnect"\n`);
    expect(without.config.acl).toMatchObject({ default: 'allow', v3Denied: 'disconnect' });
    expect((await resolveText(listener)).config.acl).toBeUndefined();
  });

  test.each([
    ['[[acl.rules]]\nusers = "a"', ':3:1: [acl.rules[0]] effect is missing'],
    [
      '[[acl.rules]]\neffect = "permit"',
      'acl.rules[0].effect is "permit"; allowed: "allow", "deny"',
    ],
    [
      '[[acl.rules]]\neffect = "deny"\nfilters = ["a/#/b"]',
      ':5:1: acl.rules[0].filters is ["a/#/b"]',
    ],
    ['[[acl.rules]]\neffect = "deny"\nusers = []', ':5:1: acl.rules[0] users is an empty list'],
    ['[[acl.rules]]\neffect = "deny"\naddresses = "10.1"', 'acl.rules[0].addresses is "10.1"'],
    ['[[acl.rules]]\neffect = "deny"\nuser = "a"', 'did you mean "users"?; refusing to start'],
    ['[acl]\nrules = [1]', ':4:1: acl.rules is [1]; allowed: a list of tables'],
    ['[acl.rules]\neffect = "deny"', 'is a table; allowed: a list of tables'],
    ['[acl]\nfile = "x"', 'did you mean "files"?; refusing to start'],
    ['[tenants]\nfrom = ["hair"]', ':4:1: tenants.from is ["hair"]; allowed: "verdict"'],
    ['[device]\ndevice_id_from = "x"', ':4:1: device.device_id_from is "x"'],
    ['[limits]\naccepts_per_turn = 0', ':4:1: limits.accepts_per_turn is 0'],
    ['[limits]\nmax_connections_per_tenent = 5', 'did you mean "max_connections_per_tenant"?; ref'],
    ['[limits.flapping]\ncuont = 5', 'did you mean "count"?; refusing'],
  ])('%j', async (text, message) => {
    expect((await refusal(`${listener}${text}\n`)).message).toContain(message);
  });

  test('a table of tenants means enforced; without one there are none', async () => {
    const mode = async (text: string) =>
      (await resolveText(`${listener}${text}\n`)).config.tenants.mode;
    expect(await mode('')).toBe('off');
    expect(await mode('[tenants]\nfrom = ["username_prefix"]')).toBe('enforced');
    expect(await mode('[tenants]\nmode = "transparent"')).toBe('transparent');
  });

  test('limits', async () => {
    const { config } = await resolveText(
      `${listener}max_handshakes = 5\n[unified.1.connections]\nmax_messages_per_s = 7\n[limits.flapping]\ncount = 3\n`,
    );
    expect(config.listeners[0]).toMatchObject({
      maxHandshakes: 5,
      mqtt: { max_messages_per_s: 7, on_rate_exceeded: 'pause' },
    });
    expect(config.limits).toEqual({
      acceptsPerTurn: 64,
      maxConnectionsPerTenant: 0,
      messagesPerSPerTenant: 0,
      bytesPerSPerTenant: 0,
      flapping: { count: 3, windowS: 60, banS: 300 },
    });
  });
});
