// Passwords, passphrases, tokens and hashes of a configuration, right or wrong, and those that clients
// send: in no log (at trace), no error, not in what check prints, the console answers and ctl shows.
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { encryptedKey, issue } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';
import { accepts, freePort, launch, standIn } from './broker-process.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-secrets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const put = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

let number = 0;
const secrets: string[] = [];
/** Long enough for HS256, and a word of its own. */
function secret(): string {
  const made = `5ecret${number++}-of-these-tests-0123456789abcdef`;
  secrets.push(made);
  return made;
}
function expectNone(text: string, what: string) {
  for (const one of secrets) expect(text.includes(one), `${what} has ${one}`).toBe(false);
}

let running: ReturnType<typeof launch>[] = [];
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ exited }) => exited));
  running = [];
});
function start(...args: readonly string[]) {
  const program = launch(args);
  running.push(program);
  const chunks: Buffer[] = [];
  program.child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { ...program, output: () => Buffer.concat(chunks).toString() };
}
async function runToEnd(...args: readonly string[]) {
  const program = start(...args);
  const { code } = await program.exited;
  return { code, all: program.output() + program.errors() };
}

const server = issue({ subject: { cn: 'localhost' } });

/** As RFC 7519 has it, for HS256. */
function token(key: string, payload: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256' })}.${part(payload)}`;
  const made = `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  secrets.push(made, made.split('.')[2] ?? '');
  return made;
}

/** Nobody knows its key: the keys are asked for. */
function esToken(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const made = `${part({ alg: 'ES256', kid: 'none' })}.${part({ sub: 'x', exp: 9_999_999_999 })}.AAAA`;
  secrets.push(made);
  return made;
}

describe.skipIf(standIn)('secrets', { timeout: 60_000 }, () => {
  test('of a broker that runs, at trace', async () => {
    const asked: string[] = [];
    const answers = createServer((request, response) => {
      asked.push(request.headers.authorization ?? '', request.url ?? '');
      response.writeHead(500).end(`no: ${secret()}`);
    });
    await once(answers.listen(0, '127.0.0.1'), 'listening');
    const answersPort = (answers.address() as AddressInfo).port;
    const [port, tlsPort, console] = [await freePort(), await freePort(), await freePort()];
    const metrics = await freePort();
    const keypass = secret();
    const key = put('encrypted.key', encryptedKey(server, keypass));
    const [admin, jwtKey, header] = [secret(), secret(), secret()];
    const hash = `${Buffer.from(secret()).toString('base64')}`;
    secrets.push(hash);
    const users = put('users', `hashed:$6$YWJj$${Buffer.alloc(64, hash).toString('base64')}\n`);
    secrets.push(Buffer.alloc(64, hash).toString('base64'));
    const passphrase = put('passphrase', `${keypass}\n`);
    const file = put(
      'st-mqttd.toml',
      `[log]
level = "trace"
[unified.plain]
listen = "127.0.0.1:${port}"
[unified.plain.auth]
anna = "${secret()}"
[unified.secure]
listen = "127.0.0.1:${tlsPort}"
[unified.secure.tls]
certpath = "${put('cert.pem', server.certificate)}"
keypath = "${key}"
keypass = "file:${passphrase}"
[console]
listen = "127.0.0.1:${console}"
[console.tokens]
ops = "${admin}"
[[auth.providers]]
kind = "static"
[auth.providers.users]
bert = "${secret()}"
[[auth.providers]]
kind = "password_file"
path = "${users}"
[[auth.providers]]
kind = "jwt"
algorithms = ["HS256"]
secret = "${jwtKey}"
[[auth.providers]]
kind = "jwt"
algorithms = ["ES256"]
jwks_url = "http://127.0.0.1:${answersPort}/keys?key=${secret()}"
jwks_cooldown_s = 0
[[auth.providers]]
kind = "http"
url = "http://127.0.0.1:${answersPort}/auth?key=${secret()}"
timeout_ms = 2000
[auth.providers.headers]
Authorization = "Bearer ${header}"
[auth.providers.fields]
key = "${secret()}"
user = "%u"
[prometheus]
listen = "127.0.0.1:${metrics}"
[plugins.web-hook]
default_startup = true
[plugins.web-hook.config]
urls = ["http://127.0.0.1:${answersPort}/told?key=${secret()}", "http://127.0.0.1:1/?key=${secret()}"]
headers = { X-Key = "${secret()}" }
retry_max_elapsed_ms = 0
rule.client_connected = [{ action = "connected" }]
`,
    );
    const program = start('-vvv', '-c', file);
    await eventually(async () => expect(await accepts(tlsPort)).toBe(true));
    const login = async (username: string, password: string) => {
      const options = { username, password, reconnectPeriod: 0, protocolVersion: 5 } as const;
      return (await connectAsync(`mqtt://127.0.0.1:${port}`, options)).endAsync();
    };
    const exp = Math.floor(Date.now() / 1000);
    for (const [username, password] of [
      ['anna', secret()],
      ['bert', secret()],
      ['hashed', secret()],
      ['stranger', secret()],
      ['old', token(jwtKey, { sub: 'old', exp: exp - 3600 })],
      ['forged', token(secret(), { sub: 'forged', exp: exp + 3600 })],
    ] as const) {
      await expect(login(username, password)).rejects.toThrow();
    }
    await login('carl', token(jwtKey, { sub: 'carl', exp: exp + 3600 }));
    // The one that asks is asked, with its header; what it answers is no verdict.
    expect(asked).toContain(`Bearer ${header}`);
    await eventually(() => expect(program.errors()).toContain('http'));
    await expect(login('keyed', esToken())).rejects.toThrow();
    for (const path of ['/auth?key=', '/keys?key=', '/told?key=']) {
      await eventually(() => expect(asked.some((one) => one.startsWith(path))).toBe(true));
    }
    await eventually(() => expect(program.errors()).toContain('http://127.0.0.1:1: events could'));
    const scraped = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    expect(scraped).toContain('st_mqttd_start_time_seconds');
    expectNone(scraped, 'metrics');

    const url = `http://127.0.0.1:${console}`;
    const ask = async (path: string, init: RequestInit = {}) => {
      const headers = { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
      const answer = await fetch(`${url}${path}`, { ...init, headers });
      return { status: answer.status, text: await answer.text() };
    };
    const shown = await ask('/api/v1/config');
    expect(shown.text).toContain('auth.providers[4].headers.Authorization');
    expect(shown.text).toContain(`http://127.0.0.1:${answersPort}/auth?(secret)`);
    expectNone(shown.text, 'the console');
    const plugins = await ask('/api/v1/plugins');
    expect(plugins.text).toContain('dropped_failed');
    expectNone(plugins.text, 'the plugins');
    const patch = (body: object) =>
      ask('/api/v1/config', { method: 'PATCH', body: JSON.stringify(body) });
    for (const body of [
      { auth: { providers: [{ kind: 'static', users: { x: [secret()] } }] } },
      { console: { tokens: { ops: [secret()] } } },
      { unified: { plain: { auth: { anna: [secret()] } } } },
    ]) {
      const { status, text } = await patch(body);
      expect(status).toBeGreaterThanOrEqual(400);
      expectNone(text, 'an answer to PATCH');
    }
    const ctl = await runToEnd('ctl', 'config', '--url', url, '--token', admin);
    expect(ctl).toMatchObject({ code: 0, all: expect.stringContaining('(secret)') });
    expectNone(ctl.all, 'ctl');
    put('passphrase', secret());
    const { status, text } = await ask('/api/v1/reload', { method: 'POST' });
    expect(status).toBe(422);
    expect(text).toContain('unified.secure.tls.keypass');
    expectNone(text, 'the answer to a reload');
    program.child.kill('SIGTERM');
    await program.exited;
    expectNone(program.output() + program.errors(), 'the log');
    put('passphrase', keypass);
    for (const args of [['check'], ['check', '--json']]) {
      const check = await runToEnd(...args, '-c', file);
      expect(check.code).toBe(0);
      expect(check.all).toContain('(secret)');
      expectNone(check.all, args.join(' '));
    }
    answers.close();
  });

  test.each([
    ['a list', (one: string) => `[unified.1.auth]\nanna = ["${one}"]\n`],
    ['a table', (one: string) => `[unified.1.auth.anna]\npassword = "${one}"\n`],
    ['a passphrase', (one: string) => `[unified.1.tls]\nkeypass = ["${one}"]\n`],
    [
      'a header',
      (one: string) =>
        `[[auth.providers]]\nkind = "http"\nurl = "http://127.0.0.1/"\nheaders = "Authorization: ${one}"\n`,
    ],
    [
      'a header’s value',
      (one: string) =>
        `[[auth.providers]]\nkind = "http"\nurl = "http://127.0.0.1/"\nheaders = { Authorization = ["${one}"] }\n`,
    ],
    [
      'a URL',
      (one: string) => `[[auth.providers]]\nkind = "http"\nurl = "http://anna:${one}@127.0.0.1/"\n`,
    ],
    [
      'another URL',
      (one: string) =>
        `[[auth.providers]]\nkind = "jwt"\nalgorithms = "ES256"\njwks_url = "https://anna:${one}@127.0.0.1/"\n`,
    ],
    [
      'a secret of tokens',
      (one: string) =>
        `[[auth.providers]]\nkind = "jwt"\nalgorithms = "HS256"\nsecret = { value = "${one}" }\n`,
    ],
    [
      'one that is too short',
      (one: string) =>
        `[[auth.providers]]\nkind = "jwt"\nalgorithms = "HS512"\nsecret = "${one}"\n`,
    ],
    [
      'a mistyped key',
      (one: string) =>
        `[[auth.providers]]\nkind = "jwt"\nalgorithms = "HS256"\nsecrte = "${one}"\n`,
    ],
    ['a token', (one: string) => `[console.tokens]\nops = ["${one}"]\n`],
    [
      'a token with a wrong role',
      (one: string) => `[console.tokens.ops]\nrole = "${one}"\ntoken = 1\n`,
    ],
    ['what looks like a variable', (one: string) => `[unified.1.auth]\nanna = "x$\{${one}"\n`],
    ['no TOML', (one: string) => `[unified.1.auth]\nanna = "${one}\n`],
    ['no TOML either', (one: string) => `[unified.1.auth]\nanna = ${one}\n`],
    ['twice', (one: string) => `[unified.1.auth]\nanna = "${one}"\nanna = "${one}"\n`],
    [
      'a hash',
      (one: string) =>
        `[[auth.providers]]\nkind = "password_file"\npath = "${put('bad', `anna:${one}\n`)}"\n`,
    ],
    [
      'no colon',
      (one: string) =>
        `[[auth.providers]]\nkind = "password_file"\npath = "${put('bad', `${one}\n`)}"\n`,
    ],
  ])('wrong in the configuration: %s', async (_, write) => {
    const one = secret();
    const text = `[unified.1]\nlisten = "127.0.0.1:0"\n${write(one)}`;
    const file = put('wrong.toml', text);
    for (const args of [
      ['-vvv', '-c', file],
      ['check', '-c', file],
    ]) {
      const { code, all } = await runToEnd(...args);
      expect(code).toBe(1);
      expect(all).toMatch(/^st-mqttd: .*wrong\.toml:\d+:\d+: /m);
      expectNone(all, args.join(' '));
    }
  });

  test.each([
    ['a list', (one: string) => `unified: { a: { auth: { anna: [${one}] } } }`],
    ['no YAML', (one: string) => `unified: { a: { auth: { anna: "${one} } } }`],
    ['no YAML either', (one: string) => `unified:\n  a:\n    auth:\n      anna: ${one}: x\n`],
  ])('in YAML: %s', async (_, write) => {
    const { code, all } = await runToEnd('check', '-c', put('wrong.yaml', write(secret())));
    expect(code).toBe(1);
    expect(all).toMatch(/^st-mqttd: .*wrong\.yaml:\d+:\d+: /m);
    expectNone(all, 'check');
  });
});
