// Chains as the configuration asks for them: who judges whom, what is refused at the start.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { buildAuth } from '../../../src/auth/build.ts';
import { openWarning } from '../../../src/auth/open-warning.ts';
import type { AuthHandler } from '../../../src/auth/verdict.ts';
import { objectLayer } from '../../../src/config/layers.ts';
import type { ConfigTables } from '../../../src/config/options.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { contextOf } from './contexts.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-build-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configOf = (tables: object) => resolveConfig([objectLayer(tables as ConfigTables)]).config;
const open = { unified: { main: { name: 'main', listen: '127.0.0.1:1883' } } };
const guarded = {
  unified: {
    main: { name: 'main', listen: '127.0.0.1:1883', connections: { auth: { anna: 'word' } } },
    other: { name: 'other', listen: '127.0.0.1:1884' },
  },
};
const providers = (...list: object[]) => ({ ...open, auth: { providers: list } });

async function build(tables: object, handler?: AuthHandler) {
  const warnings: string[] = [];
  const deps = { handler, methods: new Map(), onError: () => undefined };
  const chain = await buildAuth(configOf(tables), {
    ...deps,
    warn: (text) => warnings.push(text),
  });
  const kind = async (listener: string, username?: string, password?: string) => {
    const asked = {
      listener,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
    return (await chain.judge(contextOf(asked))).kind;
  };
  return { chain, warnings, kind };
}

describe('a configuration', () => {
  test('without any of it lets everybody in', async () => {
    const { chain, kind } = await build(open);
    expect(chain.needed).toBe(false);
    expect(await kind('main')).toBe('allow');
  });

  test('an auth table counts for its listener, and ends anonymity there', async () => {
    const { chain, kind } = await build(guarded);
    expect(chain.needed).toBe(true);
    expect(await kind('main', 'anna', 'word')).toBe('allow');
    expect(await kind('main', 'anna', 'x')).toBe('deny');
    expect(await kind('main')).toBe('deny');
    expect(await kind('other')).toBe('allow');
    expect(await kind('nowhere')).toBe('deny');
  });

  test('a handler replaces the table; where there are providers it comes first, or where it is placed', async () => {
    const onlyBert: AuthHandler = ({ username }) => (username === 'bert' ? true : 'ignore');
    const alone = await build(guarded, onlyBert);
    expect(await alone.kind('main', 'bert')).toBe('allow');
    expect(await alone.kind('main', 'anna', 'word')).toBe('deny');
    expect(await alone.kind('other', 'bert')).toBe('allow');

    const staticUsers = { kind: 'static', users: { bert: 'static' } };
    const before = await build({ ...guarded, auth: { providers: [staticUsers] } }, onlyBert);
    expect(await before.kind('main', 'bert')).toBe('allow');
    expect(await before.kind('main', 'anna', 'word')).toBe('allow');

    const placed = { ...guarded, auth: { providers: [staticUsers, { kind: 'handler' }] } };
    const behind = await build(placed, onlyBert);
    expect(await behind.kind('main', 'bert', 'x')).toBe('deny');
    expect(await behind.kind('main', 'bert', 'static')).toBe('allow');
  });

  test('providers of some listeners only', async () => {
    const one = { kind: 'static', users: { bert: 'x' }, listeners: ['other'] };
    const { kind } = await build({ ...guarded, auth: { providers: [one] } });
    expect(await kind('other', 'bert', 'x')).toBe('allow');
    expect(await kind('other')).toBe('deny');
    expect(await kind('main', 'bert', 'x')).toBe('deny');
  });

  test('allow_anonymous where it is said', async () => {
    const tables = structuredClone(guarded) as {
      unified: { main: Record<string, unknown>; other: Record<string, unknown> };
    };
    tables.unified.main.allow_anonymous = true;
    tables.unified.other.allow_anonymous = false;
    const { kind } = await build(tables);
    expect(await kind('main')).toBe('allow');
    expect(await kind('main', 'anna', 'x')).toBe('deny');
    expect(await kind('other')).toBe('deny');
  });
});

describe('what is wrong with a provider is told at the start', () => {
  const pem = join(folder, 'key.pem');
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(pem, publicKey.export({ type: 'spki', format: 'pem' }));
  const privatePem = join(folder, 'private.pem');
  writeFileSync(privatePem, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const users = join(folder, 'users');
  writeFileSync(users, '\nanna:hunter2\n');
  const jwt = (keys: object) => ({ kind: 'jwt', algorithms: ['HS256'], ...keys });

  test.each([
    [[{ kind: 'handler' }], 'handler "handler": the application has not called'],
    [[{ kind: 'password_file', path: join(folder, 'none') }], 'none: there is no such file'],
    [[{ kind: 'password_file', path: users }], `${users}:2: the password is not hashed`],
    [[{ kind: 'scram', path: users }], `${users}:2: the password is not hashed`],
    [[jwt({ secret: 'hunter2 and a few more' })], 'jwt "jwt": no key fits HS256'],
    [[jwt({ algorithms: ['RS256', 'ES256'], key_path: pem })], 'no key fits ES256'],
    [[jwt({ algorithms: ['RS256'], key_path: privatePem })], 'it is a private key'],
    [
      [jwt({ algorithms: ['RS256'], key_path: join(folder, 'none') })],
      'none: there is no such file',
    ],
    [[jwt({ jwks_url: 'https://127.0.0.1:1/keys' })], 'HS… cannot be used with it'],
    [[{ kind: 'http', url: 'http://user:hunter2@127.0.0.1/' }], 'without user and password'],
    [[jwt({ secret: 'hunter2'.repeat(5), algorithms: ['HS384'] })], 'it wants 48 bytes or more'],
    [
      [{ kind: 'http', url: 'https://127.0.0.1/', cert_path: pem, key_path: privatePem }],
      `http "http": ${pem} has no CERTIFICATE in PEM form`,
    ],
    [
      [{ kind: 'http', url: 'https://127.0.0.1/', ca_path: join(folder, 'none') }],
      'none: there is no such file',
    ],
  ])('%j', async (list, why) => {
    const error = await build(providers(...list)).then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    );
    expect(error).toMatchObject({ name: 'StMqttdError' });
    expect(error?.message).toContain(why);
    expect(error?.message).not.toContain('hunter2');
  });

  test('what goes over a network in the clear is warned about', async () => {
    const url = 'http://auth.example:8080/check?key=hunter2';
    const { chain, warnings } = await build(providers({ kind: 'http', url }));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('uses http://auth.example:8080 without TLS');
    expect(warnings[0]).not.toContain('hunter2');
    chain.stop();
  });
});

describe('the warning of an open broker', () => {
  const at = (listen: string, more: object = {}) =>
    configOf({ unified: { main: { name: 'main', listen, ...more } } });

  test('where strangers reach it and nobody is asked who he is', () => {
    expect(openWarning(at('0.0.0.0:1883'), false)).toContain('ANYONE WHO REACHES 0.0.0.0:1883');
    expect(openWarning(at('[::]:1883'), false)).toContain('[::]:1883');
    expect(openWarning(at('plant.example:1883'), false)).toContain('plant.example:1883');
    const proxied = { proxy_protocol: 'v2', trusted_proxies: ['127.0.0.1/32'] };
    expect(openWarning(at('127.0.0.1:1883', proxied), false)).toContain('127.0.0.1:1883');
  });

  test('nowhere else', () => {
    const users = { connections: { auth: { a: 'b' } } };
    const silent = [
      at('127.0.0.1:1883'),
      at('[::1]:1883'),
      at('localhost:1883'),
      at('0.0.0.0:1883', users),
      at('0.0.0.0:1883', { allow_anonymous: true }),
      at('0.0.0.0:1883', { allow_anonymous: false }),
      configOf({
        unified: { main: { name: 'main', listen: '0.0.0.0:1883' } },
        auth: { providers: [{ kind: 'static', users: { a: 'b' } }] },
      }),
    ];
    expect(silent.map((config) => openWarning(config, false))).toEqual(silent.map(() => undefined));
    expect(openWarning(at('0.0.0.0:1883'), true)).toBeUndefined();
  });
});
