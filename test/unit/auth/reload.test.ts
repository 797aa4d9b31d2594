// What a reload leaves as it is: failed logins, and all that providers have learnt whose tables stay.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { AuthGate } from '../../../src/auth/gate.ts';
import { formatCredential, makePbkdf2 } from '../../../src/auth/passwords/hashes.ts';
import { hashing } from '../../../src/auth/passwords/hashing.ts';
import { objectLayer } from '../../../src/config/layers.ts';
import type { ConfigTables } from '../../../src/config/options.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import type { VerdictCommand } from '../../../src/native/commands.ts';
import { eventually } from '../../harness/eventually.ts';
import { type Asked, requestOf } from './contexts.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-reload-'));
const undo: (() => void)[] = [];
afterEach(() => {
  for (const one of undo.splice(0).reverse()) one();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configOf = (tables: object) => resolveConfig([objectLayer(tables as ConfigTables)]).config;
const unified = { main: { name: 'main', listen: '127.0.0.1:0' } };
const withProviders = (...providers: object[]) => configOf({ unified, auth: { providers } });

function setUp() {
  const answers: VerdictCommand[] = [];
  const errors: unknown[] = [];
  const gate = new AuthGate({
    handler: undefined,
    methods: new Map(),
    write: () => undefined,
    onError: (error) => errors.push(error),
  });
  undo.push(() => gate.end());
  gate.connect({ answer: (verdict) => answers.push(verdict), ban: () => undefined });
  const reload = async (config: ReturnType<typeof configOf>) =>
    (await gate.prepare(config)).commit();
  const login = async (asked: Asked) => {
    const request = requestOf(asked);
    gate.judge(request, 'main');
    const mine = () => answers.find(({ connectionId }) => connectionId === request.connectionId);
    await eventually(() => expect(mine()).toBeDefined());
    return mine()?.reasonCode;
  };
  return { gate, reload, login, errors };
}

/** Answers everything with this; counts how often. */
async function serve(body: string) {
  let asked = 0;
  const server: Server = createServer((_, response) => {
    asked++;
    response.end(body);
  });
  undo.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, asked: () => asked };
}

const anna = { username: 'anna', password: 'word' };

test('addresses that have failed too often stay refused, whatever a reload changes', async () => {
  const { reload, login } = setUp();
  const failed_logins = { per_address: 2, window_s: 3600, ban_s: 0, delay_ms: 0 };
  const users = (password: string) => ({
    unified,
    auth: { failed_logins, providers: [{ kind: 'static', users: { anna: password } }] },
  });
  await reload(configOf(users('word')));
  expect(await login({ ...anna, password: 'a' })).toBe(0x86);
  await reload(configOf(users('other')));
  expect(await login({ ...anna, password: 'b' })).toBe(0x86);
  await reload(configOf(users('word')));
  expect(await login(anna)).toBe(0x8a);
  // Off and on again is no way around it, either.
  await reload(configOf({ unified }));
  await reload(configOf(users('word')));
  expect(await login(anna)).toBe(0x8a);
  expect(await login({ ...anna, address: '192.0.2.8:1' })).toBe(0);
});

describe('a provider', () => {
  test('whose table stays keeps its answers; one that changed begins anew', async () => {
    const { reload, login } = setUp();
    const { url, asked } = await serve(JSON.stringify({ result: 'allow' }));
    const http = (more: object = {}) => ({ kind: 'http', name: 'server', url, ...more });
    await reload(withProviders(http()));
    expect(await login(anna)).toBe(0);
    // Others come and go beside it, and on which listeners it is asked is not its own affair.
    await reload(withProviders({ kind: 'static', users: { bert: 'x' } }, http()));
    await reload(withProviders(http({ listeners: ['main'] })));
    expect([await login(anna), asked()]).toEqual([0, 1]);
    await reload(withProviders(http({ cache_ttl_s: 7 })));
    expect([await login(anna), asked()]).toEqual([0, 2]);
    await reload(withProviders(http()));
    expect([await login(anna), asked()]).toEqual([0, 3]);
  });

  test('a reload that does not take effect takes nothing from it, and leaves nothing of its own', async () => {
    const { gate, reload, login } = setUp();
    const { url, asked } = await serve(JSON.stringify({ result: 'allow' }));
    const http = { kind: 'http', url };
    await reload(withProviders(http));
    expect(await login(anna)).toBe(0);
    (await gate.prepare(withProviders(http))).discard();
    const wrong = { kind: 'password_file', path: join(folder, 'missing') };
    await expect(gate.prepare(withProviders(http, wrong))).rejects.toMatchObject({
      code: 'ST_AUTH_FILE',
    });
    expect([await login(anna), asked()]).toEqual([0, 1]);
    expect(await login({ ...anna, password: 'not known yet' })).toBe(0);
  });

  test('is stopped when the last chain that has it is', async () => {
    vi.useFakeTimers();
    try {
      const { gate } = setUp();
      const path = join(folder, 'stopped');
      writeFileSync(path, `anna:${formatCredential(await makePbkdf2(Buffer.from('word'), 10))}\n`);
      const left = vi.fn();
      const join_ = hashing.join.bind(hashing);
      const spy = vi.spyOn(hashing, 'join').mockImplementation((max) => {
        const leave = join_(max);
        return () => {
          left();
          leave();
        };
      });
      undo.push(() => spy.mockRestore());
      const file = withProviders({ kind: 'password_file', path });
      for (let times = 0; times < 3; times++) (await gate.prepare(file)).commit();
      vi.advanceTimersByTime(60_000);
      expect([spy.mock.calls.length, left.mock.calls.length]).toEqual([1, 0]);
      (await gate.prepare(configOf({ unified }))).commit();
      expect(left).not.toHaveBeenCalled();
      vi.advanceTimersByTime(60_000);
      expect(left).toHaveBeenCalledTimes(1);
      // Turned on again it is another one.
      (await gate.prepare(file)).commit();
      expect(spy).toHaveBeenCalledTimes(2);
      gate.end();
      expect(left).toHaveBeenCalledTimes(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test('passwords that were right need not be computed again; its file is read at once', async () => {
    const { gate, reload, login } = setUp();
    const path = join(folder, 'users');
    const line = async (password: string) =>
      `anna:${formatCredential(await makePbkdf2(Buffer.from(password), 1000))}\n`;
    writeFileSync(path, await line('word'));
    const file = withProviders({ kind: 'password_file', path });
    const run = vi.spyOn(hashing, 'run');
    undo.push(() => run.mockRestore());
    await reload(file);
    expect([await login(anna), run.mock.calls.length]).toEqual([0, 1]);
    await reload(file);
    expect([await login(anna), run.mock.calls.length]).toEqual([0, 1]);
    writeFileSync(path, await line('fresh'));
    await reload(file);
    expect(await login(anna)).toBe(0x86);
    expect(await login({ ...anna, password: 'fresh' })).toBe(0);
    // One that cannot be used is told, and what was there stays.
    writeFileSync(path, 'anna:plain\n');
    await expect(gate.prepare(file)).rejects.toThrow(`${path}:1: the password is not hashed`);
    expect(await login({ ...anna, password: 'fresh' })).toBe(0);
  });

  test('keys of a JWKS URL stay', async () => {
    const { reload, login } = setUp();
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256' };
    const { url, asked } = await serve(JSON.stringify({ keys: [key] }));
    const token = await new SignJWT({ sub: 'anna' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setExpirationTime('1h')
      .sign(privateKey);
    const jwt = (more: object = {}) =>
      withProviders({ kind: 'jwt', algorithms: ['ES256'], jwks_url: url, ...more });
    await reload(jwt());
    expect(await login({ password: token })).toBe(0);
    await reload(jwt());
    expect([await login({ password: token }), asked()]).toEqual([0, 1]);
    await reload(jwt({ leeway_s: 3 }));
    expect([await login({ password: token }), asked()]).toEqual([0, 2]);
  });
});
