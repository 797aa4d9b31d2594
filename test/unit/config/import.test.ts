// Another broker's configuration as ours: what has a counterpart is in force, nothing is left out
// silently, and where the source had a closed port the result does not start.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { importedText } from '../../../src/config/import.ts';
import { fixture, folder, isShut, kUnhandled, mosquitto, seenTo, write } from './importing.ts';
import { refusal, resolveText } from './resolving.ts';

describe('mosquitto.conf', () => {
  test('a realistic one: what has a counterpart', async () => {
    const text = await importedText(fixture('mosquitto.conf'));
    const tables = parse(text) as Record<string, Record<string, unknown>>;
    expect(tables.mqtt).toEqual({
      max_inflight: 20,
      max_queued_messages: 4294967295,
      max_queued_bytes: 1024,
      max_packet_size: 262144 + 65549,
      max_keep_alive_s: 600,
      allow_zero_keep_alive: false,
      max_session_expiry_s: 14 * 86400,
      allow_empty_client_id: false,
      retain_available: true,
      sys_interval_s: 30,
    });
    expect(tables.broker).toEqual({ max_memory_bytes: 500_000_000 });
    expect(tables.log).toEqual({
      dir: '/var/log/mosquitto',
      file: 'mosquitto.log',
      to: 'both',
      level: 'info',
    });
    expect(tables.persistence).toEqual({
      durability: 'batch',
      path: '/var/lib/mosquitto/st-mqttd',
    });
    expect(tables.unified).toEqual({
      1: {
        listen: '192.168.10.1:1883',
        allow_anonymous: true,
        max_connections: 500,
        connections: { max_qos: 1, accept_versions: ['3.1', '3.1.1'] },
      },
      2: {
        listen: ['0.0.0.0:8883', '[::]:8883'],
        allow_anonymous: false,
        tls: {
          certpath: '/etc/mosquitto/certs/server.crt',
          keypath: '/etc/mosquitto/certs/server.key',
          capath: '/etc/mosquitto/ca_certificates/ca.crt',
          verify_client_cert: 'require',
          identity: 'cn',
          min_version: '1.2',
        },
      },
      4: { unix: '/run/mosquitto.sock', allow_anonymous: false },
    });
    expect(tables.ws).toEqual({ 3: { listen: '0.0.0.0:8083', allow_anonymous: false } });
    expect(tables.unhandled).toEqual([
      expect.stringMatching(/:57 frobnicate 5: unknown/),
      expect.stringMatching(/:56 mount_point plant\//),
      expect.stringMatching(/:46 acl_file .*: its rules are about unified-2 alone.*no such file/),
    ]);
    expect(tables.auth).toEqual({
      providers: [
        { kind: 'password_file', path: '/etc/mosquitto/passwd', listeners: ['unified-2'] },
      ],
    });
  });

  test('no line of it is left out, but for what holds a secret', async () => {
    const file = fixture('mosquitto.conf');
    const text = await importedText(file);
    for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
      const [name = ''] = line.split(' ');
      if (name === '' || name.startsWith('#')) continue;
      // Said by the listener as a whole.
      if (/^(per_listener_settings|allow_anonymous|protocol|socket_domain)$/.test(name)) continue;
      if (line === 'max_connections -1') continue;
      expect(text).toMatch(new RegExp(`mosquitto\\.conf:${index + 1}[: ]`));
    }
    expect(text).not.toMatch(/hunter2|0badcafe/);
  });

  test('it does not start until each thing about access is seen to; then it does', async () => {
    const text = await importedText(fixture('mosquitto.conf'));
    const error = await refusal(text);
    expect(error.code).toBe('ST_CONFIG_UNSUPPORTED');
    const { config } = await resolveText(seenTo(text));
    expect(config.listeners).toHaveLength(4);
    // Each of them alone is enough to keep it from starting.
    for (const entry of ['allow_anonymous = false', '[unified.2.tls]', '[persistence]']) {
      expect(text).toContain(entry);
    }
    expect(config.listeners.map(({ allowAnonymous }) => allowAnonymous)).toEqual([
      ...[true, false, false, false],
    ]);
    expect((await refusal(text.replace(kUnhandled, ''))).code).toBe('ST_CONFIG_UNSUPPORTED');
  });

  test.each([
    ['listener 1883\n', true],
    ['port 1883\n', true],
    ['port 1883\nallow_anonymous true\n', false],
    ['listener 1883\nallow_anonymous false\n', true],
    ['allow_anonymous true\nlistener 1883\n', false],
    ['bind_address 10.0.0.1\n', true],
    ['', false],
    ['# nothing\n', false],
    ['allow_anonymous false\n', true],
    ['per_listener_settings true\nallow_anonymous true\nlistener 1883\n', true],
    ['per_listener_settings true\nport 1\nallow_anonymous true\nlistener 2\n', true],
    ['per_listener_settings true\nallow_anonymous false\n', true],
    ['per_listener_settings true\nlistener 1883\nallow_anonymous true\n', false],
    ['allow_anonymous true\nlistener 1883\nprotocol http_api\n', true],
    ['per_listener_settings true\nlistener 1\nallow_anonymous true\nlistener 2\n', true],
    ['allow_anonymous true\nlistener 1883\npassword_file /x\n', false],
    ['listener 1883\npassword_file /x\nacl_file /y\n', true],
    ['allow_anonymous true\nlistener 1883\nauth_opt_key secret-secret\n', true],
  ])('%j stays closed: %s', async (source, isClosed) => {
    const text = await mosquitto(source);
    expect(text).not.toContain('secret-secret');
    expect(await isShut(text)).toBe(isClosed);
  });

  test('passwords and rules are ours, of all listeners or of their own', async () => {
    const both = await mosquitto(
      'allow_anonymous false\npassword_file /p w\nacl_file /acl\nlistener 1\nlistener 2\n',
    );
    const { config } = await resolveText(both);
    expect(config.auth?.providers).toMatchObject([
      { kind: 'password_file', path: '/p w', listeners: [] },
    ]);
    expect(config.acl).toMatchObject({ files: ['/acl'], default: 'deny', narrow: true });
    const each = await mosquitto(
      'per_listener_settings true\nlistener 1\npassword_file /a\nlistener 2\nprotocol websockets\npassword_file /b\n',
    );
    expect((await resolveText(each)).config.auth?.providers).toMatchObject([
      { path: '/a', listeners: ['unified-1'], name: 'password_file' },
      { path: '/b', listeners: ['ws-2'], name: 'password_file-2' },
    ]);
  });

  test('TLS and WebSocket are ours', async () => {
    const { config } = await resolveText(
      await mosquitto(
        'allow_anonymous true\nlistener 8884\nprotocol websockets\nwebsockets_origin https://a.example\ncertfile /c\nkeyfile /k\ncafile /ca\nrequire_certificate true\nuse_subject_as_username true\ncrlfile /crl\ntls_version tlsv1.1\nciphers ECDHE\nciphers_tls1.3 TLS_AES_128_GCM_SHA256\n',
      ),
    );
    expect(config.listeners).toMatchObject([
      {
        kind: 'ws',
        ws: { allowedOrigins: ['https://a.example'] },
        tls: {
          certpath: '/c',
          keypath: '/k',
          capath: '/ca',
          crlpath: '/crl',
          verify: 'require',
          identity: 'dn',
          minVersion: '1.2',
          ciphers: 'ECDHE',
          ciphersuites: 'TLS_AES_128_GCM_SHA256',
        },
      },
    ]);
  });

  test('without a listener, this machine only, as mosquitto 2', async () => {
    const { config } = await resolveText(await mosquitto('max_inflight_messages 0\n'));
    expect(config.listeners[0]?.listen).toEqual([
      { host: '127.0.0.1', port: 1883 },
      { host: '::1', port: 1883 },
    ]);
    expect(config.mqtt.max_inflight).toBe(65535);
  });

  test('include_dir, in the order of names', async () => {
    const inner = join(folder, 'conf.d');
    mkdirSync(inner);
    writeFileSync(join(inner, 'b.conf'), 'max_qos 1\n');
    writeFileSync(join(inner, 'a.conf'), 'max_qos 0\nsys_interval 7\n');
    writeFileSync(join(inner, 'c.txt'), 'max_qos 2\n');
    // max_qos is a listener's option, and there is none.
    const { config } = await resolveText(await mosquitto(`include_dir ${inner}\n`));
    expect(config.sysIntervalS).toBe(7);
    expect(config.mqtt.max_qos).toBe(1);
  });

  test.each([
    ['listener 99999\n', /:1: port is "99999"; allowed: a port/],
    ['max_inflight_messages many\n', /:1: max_inflight_messages is "many"; allowed: an integer/],
    ['include_dir /nowhere/at/all\n', /:1: include_dir \/nowhere\/at\/all: there is no such file/],
  ])('%j', async (source, message) => {
    await expect(mosquitto(source)).rejects.toThrow(message);
  });

  test('any text at all is imported, or refused with its place', async () => {
    const names = fc.constantFrom(
      'listener',
      'port',
      'max_connections',
      'log_dest',
      'log_type',
      'persistent_client_expiration',
      'connection',
      'max_qos',
      'cafile',
      'unknown',
    );
    const values = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom('0', '1883', '-1', 'true'),
    );
    const lines = fc.array(fc.tuple(names, values).map(([name, value]) => `${name} ${value}`));
    await fc.assert(
      fc.asyncProperty(lines, async (source) => {
        let text: string;
        try {
          text = await mosquitto(source.join('\n'));
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^ST_CONFIG_/) });
          return;
        }
        parse(text);
      }),
      { numRuns: 200 },
    );
  });
});

describe("ST-RMQTT's own", () => {
  test('is taken as it is, with what is not served above it', async () => {
    const file = fixture('rumqttd.toml');
    const text = await importedText(file);
    expect(text).toContain(readFileSync(file, 'utf8'));
    const { config } = await resolveText(text);
    expect(config.listeners).toHaveLength(3);
  });

  test('one that does not start says why, and still does not', async () => {
    const source = '[v4.1]\nlisten = "0.0.0.0:1883"\n[persistence]\npath = "/var/lib/x"\n';
    const text = await importedText(write(source, 'toml'));
    expect(text).toMatch(/^# .*in memory only/m);
    expect((await refusal(text)).code).toBe('ST_CONFIG_UNSUPPORTED');
  });
});

test('whose file it is follows from it', async () => {
  await expect(importedText(write('x = 1\n', 'toml'))).rejects.toMatchObject({ code: 'ST_USAGE' });
  await expect(importedText(join(folder, 'none.conf'))).rejects.toMatchObject({
    code: 'ST_CONFIG_READ',
  });
});
