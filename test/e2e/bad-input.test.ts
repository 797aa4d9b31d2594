// What is wrong with files that the configuration names: at start and at check one line, with file,
// line, column and key, and exit 1; at a reload the same words, and what was there stays.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encryptedKey, issue, pkcs12, revocationList } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';
import { accepts, freePort, launch, standIn } from './broker-process.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-bad-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
const put = (name: string, content: string | Buffer) => {
  writeFileSync(path(name), content);
  return `"${path(name)}"`;
};

const kWrong = 'NOT-TO-BE-TOLD';
const ca = issue({ subject: { cn: 'CA' }, isCa: true });
const server = issue({ subject: { cn: 'server' }, by: ca });
const other = issue({ subject: { cn: 'other' }, by: ca });
const day = 86_400_000;
const old = issue({ subject: { cn: 'old' }, by: ca, notAfter: new Date(Date.now() - 1000) });
const early = issue({ subject: { cn: 'early' }, by: ca, notBefore: new Date(Date.now() + day) });
const file = {
  certificate: put('cert.pem', server.certificate),
  key: put('key.pem', server.key),
  otherKey: put('other.key', other.key),
  old: put('old.pem', old.certificate),
  oldKey: put('old.key', old.key),
  early: put('early.pem', early.certificate),
  earlyKey: put('early.key', early.key),
  encrypted: put('encrypted.key', encryptedKey(server, 'right')),
  pkcs12: put('id.p12', pkcs12(server, [], 'right')),
  ca: put('ca.pem', ca.certificate),
  oldCrl: put('old.crl', revocationList(ca, [], new Date(Date.now() - 1000))),
  acl: put('acl', 'user anna\ntopic read a/#\ntopic raed b/#\n'),
  users: put('users', `anna:$6$YWJj$YWJj${kWrong}\n`),
  plain: put('plain', `\nanna:${kWrong}\n`),
  none: `"${path('none')}"`,
};

interface Case {
  /** In place of the good pair. */
  readonly tls?: string;
  /** Behind the listener. */
  readonly rest?: string;
  /** The line that is meant begins so. */
  readonly line: string;
  readonly key: string;
  readonly says: string;
}
const pair = (certificate: string, key: string) => `certpath = ${certificate}\nkeypath = ${key}\n`;
const good = pair(file.certificate, file.key);
const provider = (kind: string, more: string) => `[[auth.providers]]\nkind = "${kind}"\n${more}\n`;
const http = (more: string) => provider('http', `url = "https://127.0.0.1:1/"\n${more}`);
const tlsKey = (key: string) => ({ line: key, key: `v5.1.tls.${key}` });
const authKey = (key: string) => ({ line: key, key: `auth.providers[0].${key}` });

const cases: Readonly<Record<string, Case>> = {
  'a key of another certificate': {
    ...{ tls: pair(file.certificate, file.otherKey), ...tlsKey('keypath') },
    says: `listener "v5-1": the key ${path('other.key')} does not belong to the certificate; `,
  },
  'a certificate that has expired': {
    ...{ tls: pair(file.old, file.oldKey), ...tlsKey('certpath') },
    says: `the certificate ${path('old.pem')} has expired; `,
  },
  'a certificate that is not valid yet': {
    ...{ tls: pair(file.early, file.earlyKey), ...tlsKey('certpath') },
    says: `the certificate ${path('early.pem')} is not valid yet`,
  },
  'a key that cannot be read': {
    ...{ tls: pair(file.certificate, file.none), ...tlsKey('keypath') },
    says: `the key ${path('none')} cannot be read: there is no such file`,
  },
  'a certificate that is none': {
    ...{ tls: pair(file.key, file.key), ...tlsKey('certpath') },
    says: `the certificate ${path('key.pem')} has no CERTIFICATE in PEM form`,
  },
  'a wrong passphrase': {
    tls: `${pair(file.certificate, file.encrypted)}keypass = "${kWrong}"\n`,
    ...tlsKey('keypass'),
    says: `the passphrase of ${path('encrypted.key')} `,
  },
  'no passphrase': {
    tls: pair(file.certificate, file.encrypted),
    ...{ line: '[v5.1.tls]', key: '[v5.1.tls] keypass' },
    says: `the passphrase of ${path('encrypted.key')} is missing`,
  },
  'a wrong password of PKCS#12': {
    tls: `pkcs12path = ${file.pkcs12}\npkcs12pass = "${kWrong}"\n`,
    ...tlsKey('pkcs12pass'),
    says: `the passphrase of ${path('id.p12')} `,
  },
  'a CA file without a certificate': {
    ...{ tls: `${good}capath = ${file.key}\n`, ...tlsKey('capath') },
    says: `the CA file ${path('key.pem')} has no CERTIFICATE in PEM form`,
  },
  'a CRL that has expired': {
    tls: `${good}capath = ${file.ca}\ncrlpath = ${file.oldCrl}\n`,
    ...tlsKey('crlpath'),
    says: `the CRL ${path('old.crl')} X509 CRL 1 (line 1): has expired`,
  },
  'an unknown cipher among known ones': {
    tls: `${good}ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:AES-NONE"\n`,
    ...tlsKey('ciphers'),
    says: 'has "AES-NONE", which OpenSSL does not know; see `openssl ciphers -v` for the names',
  },
  'an unknown ciphersuite': {
    ...{ tls: `${good}ciphersuites = "TLS_NONE"\n`, ...tlsKey('ciphersuites') },
    says: '"TLS_NONE" has "TLS_NONE", which OpenSSL does not know',
  },
  'a wrong key of a name': {
    tls: `${good}sni = [\n  { name = "a.example", ${pair(file.certificate, file.otherKey).trim().replace('\n', ', ')} },\n]\n`,
    ...{ line: 'keypath', key: 'v5.1.tls.sni[0].keypath' },
    says: `the key ${path('other.key')} does not belong to the certificate`,
  },
  'a bad line of rules': {
    ...{ rest: `[acl]\nfiles = [${file.acl}]\n`, line: 'files', key: 'acl.files' },
    says: `${path('acl')}:3:1: "raed" is none of read, write, readwrite, deny`,
  },
  'a file of rules that is not there': {
    ...{ rest: `[acl]\nfiles = [${file.none}]\n`, line: 'files', key: 'acl.files' },
    says: `${path('none')}: there is no such file`,
  },
  'a bad hash in a password file': {
    ...{ rest: provider('password_file', `path = ${file.users}`), ...authKey('path') },
    says: `${path('users')}:1: the hash is not Base64`,
  },
  'a plain password in a file of SCRAM': {
    ...{ rest: provider('scram', `path = ${file.plain}`), ...authKey('path') },
    says: `${path('plain')}:2: the password is not hashed`,
  },
  'a private key for tokens': {
    rest: provider('jwt', `algorithms = ["ES256"]\nkey_path = ${file.key}`),
    ...authKey('key_path'),
    says: `jwt "jwt": ${path('key.pem')}: it is a private key; the broker wants the public one`,
  },
  'a secret that is too short for its algorithm': {
    rest: provider('jwt', `algorithms = ["HS512"]\nsecret = "${kWrong}-and-more"`),
    ...authKey('secret'),
    says: 'jwt "jwt": no key fits HS512 (it wants 64 bytes or more)',
  },
  'CAs of a JWKS that are none': {
    rest: provider(
      'jwt',
      `algorithms = ["ES256"]\njwks_url = "https://127.0.0.1:1/"\nca_path = ${file.key}`,
    ),
    ...authKey('ca_path'),
    says: `jwt "jwt": ${path('key.pem')} has no CERTIFICATE in PEM form`,
  },
  'an HTTP server that is shown a certificate with another key': {
    rest: http(`cert_path = ${file.certificate}\nkey_path = ${file.otherKey}`),
    ...authKey('key_path'),
    says: `http "http": ${path('other.key')} does not belong to the certificate`,
  },
  'an HTTP server that is shown an expired certificate': {
    rest: http(`cert_path = ${file.old}\nkey_path = ${file.oldKey}`),
    ...authKey('cert_path'),
    says: `http "http": ${path('old.pem')} has expired`,
  },
  'a handler that nobody has given': {
    ...{ rest: provider('handler', ''), ...authKey('kind') },
    says: 'handler "handler": the application has not called broker.authenticate()',
  },
};

const text = (port: number, { tls = good, rest = '' }: Pick<Case, 'tls' | 'rest'> = {}) =>
  `[v5.1]\nlisten = "127.0.0.1:${port}"\n[v5.1.tls]\n${tls}${rest}`;

/** "FILE:LINE:COLUMN: KEY: ", as editors count. */
function placeIn(name: string, content: string, { line, key }: Case): string {
  const lines = content.split('\n');
  // The last one: `keypath` of a name stands behind that of the listener.
  const row = lines.findLastIndex((one) => new RegExp(`(^|[ {])${escaped(line)}`).test(one));
  const column = (lines[row] ?? '').indexOf(line);
  return `${path(name)}:${row + 1}:${column + 1}: ${key}: `;
}
const escaped = (literal: string) => literal.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

let running: ReturnType<typeof launch>[] = [];
async function end() {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ exited }) => exited));
  running = [];
}
function start(...args: readonly string[]) {
  const program = launch(args);
  running.push(program);
  return program;
}

describe.skipIf(standIn)('at start and at check', () => {
  afterEach(end);

  test.each(Object.entries(cases))('%s', { timeout: 30_000 }, async (_, wrong) => {
    const port = await freePort();
    const content = text(port, wrong);
    put('start.toml', content);
    const wanted = `st-mqttd: ${placeIn('start.toml', content, wrong)}`;
    for (const args of [
      ['-vvv', '-c', path('start.toml')],
      ['check', '-c', path('start.toml')],
    ]) {
      const program = start(...args);
      expect((await program.exited).code).toBe(1);
      const lines = program.errors().trimEnd().split('\n');
      const told = lines.filter((line) => line.startsWith('st-mqttd: '));
      expect(told).toHaveLength(1);
      expect(told[0]?.startsWith(wanted), `${told[0]}\nbegins with\n${wanted}`).toBe(true);
      expect(told[0]).toContain(wrong.says);
      expect(program.errors()).not.toContain(kWrong);
      if (args[0] === 'check') expect(lines).toHaveLength(1);
    }
    expect(await accepts(port)).toBe(false);
  });

  test('what comes from the environment has the name of the variable', async () => {
    const port = await freePort();
    put('env.toml', text(port));
    process.env.ST_MQTTD_V5__1__TLS__KEYPATH = path('none');
    try {
      const program = start('check', '-c', path('env.toml'));
      expect((await program.exited).code).toBe(1);
      expect(program.errors()).toMatch(
        /^st-mqttd: ST_MQTTD_V5__1__TLS__KEYPATH: v5\.1\.tls\.keypath: .*there is no such file\n$/,
      );
    } finally {
      delete process.env.ST_MQTTD_V5__1__TLS__KEYPATH;
    }
  });

  test('an address that is in use has its line; one of the command line its flag', async () => {
    const port = await freePort();
    put('taken.toml', text(port));
    const first = start('-c', path('taken.toml'));
    await eventually(async () => expect(await accepts(port)).toBe(true));
    const second = start('-c', path('taken.toml'));
    expect((await second.exited).code).toBe(1);
    const says = `cannot listen on 127.0.0.1:${port}: the address is in use; `;
    const place = `${path('taken.toml')}:2:1: v5.1.listen`;
    expect(second.errors()).toContain(`st-mqttd: ${place}: ${says}`);
    const third = start('--listen', `127.0.0.1:${port}`);
    expect((await third.exited).code).toBe(1);
    expect(third.errors()).toContain(`st-mqttd: the command line: --listen: ${says}`);
    expect(first.child.exitCode).toBeNull();
  });

  test.each([
    ['console', 'listen'],
    ['prometheus', 'listen'],
    ['prometheus', 'port'],
  ])('an address of [%s] that is in use has the line of its %s', async (service, key) => {
    const port = await freePort();
    put('held.toml', text(port));
    start('-c', path('held.toml'));
    await eventually(async () => expect(await accepts(port)).toBe(true));
    const value = key === 'port' ? `${port}` : `"127.0.0.1:${port}"`;
    const content = `${text(await freePort())}[${service}]\n${key} = ${value}\n`;
    put('service.toml', content);
    const second = start('-c', path('service.toml'));
    expect((await second.exited).code).toBe(1);
    const row = content.split('\n').length - 1;
    const place = `${path('service.toml')}:${row}:1: ${service}.${key}`;
    const says = `cannot listen on 127.0.0.1:${port}: the address is in use; `;
    expect(second.errors()).toContain(`st-mqttd: ${place}: ${says}`);
  });
});

describe.skipIf(standIn)('at a reload', () => {
  let port: number;
  let program: ReturnType<typeof launch>;
  beforeAll(async () => {
    port = await freePort();
    put('reload.toml', text(port));
    program = start('-vvv', '-c', path('reload.toml'));
    await eventually(async () => expect(await accepts(port)).toBe(true));
  });
  afterAll(end);

  test.each(Object.entries(cases))('%s', async (_, wrong) => {
    const content = text(port, wrong);
    put('reload.toml', content);
    const before = program.errors().length;
    program.child.kill('SIGHUP');
    const place = placeIn('reload.toml', content, wrong);
    await eventually(() => {
      const told = program.errors().slice(before);
      expect(told).toContain('nothing was changed');
    });
    // In JSON, as the log writes it.
    const told = JSON.stringify(`reloading the configuration: ${place}`).slice(1, -1);
    expect(program.errors().slice(before)).toContain(told);
    expect(program.errors().slice(before)).toContain(JSON.stringify(wrong.says).slice(1, -1));
    expect(program.errors()).not.toContain(kWrong);
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subject.CN).toBe('server');
    // A CONNECT of MQTT 5.0 is accepted: no provider of the wrong configuration is asked.
    socket.write(Buffer.from('100d00044d5154540502003c000000', 'hex'));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect([answer[0], answer[3]]).toEqual([0x20, 0]);
    socket.destroy();
  });
});
