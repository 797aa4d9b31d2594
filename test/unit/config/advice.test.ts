// What check says of a configuration that it accepts.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { adviceOn } from '../../../src/config/advice.ts';
import { resolveText } from './resolving.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-advice-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const advice = async (text: string) => adviceOn(await resolveText(`${text}\n`));
const open = '[unified.1]\nlisten = "0.0.0.0:1883"\n';
const local = '[unified.1]\nlisten = ["127.0.0.1:1883", "[::1]:1883", "localhost:1"]\n';
const users = '[unified.1.auth]\nalice = "x"\n';
const tls = '[unified.1.tls]\ncertpath = "/c"\nkeypath = "/k"\n';
const provider = (lines: string) => `[[auth.providers]]\n${lines}\n`;
const jwt = (lines: string) => provider(`kind = "jwt"\nalgorithms = "ES256"\n${lines}`);

describe('passwords in the clear', () => {
  test.each([
    [`${open}${users}`, /:2:1: passwords \(the auth table\) come to listener "unified-1" unencr/],
    [`${open}${provider('kind = "password_file"\npath = "/p"')}`, /passwords \(password_file\)/],
    [`${open}${provider('kind = "handler"\nname = "mine"')}`, /passwords \(mine\)/],
    [
      `${open}${provider('kind = "http"\nurl = "http://10.0.0.1/"\nlisteners = "unified-1"')}`,
      /passwords \(http\)/,
    ],
  ])('%j', async (text, expected) => {
    expect((await advice(text)).filter((line) => expected.test(line))).toHaveLength(1);
  });

  test.each([
    [`${open}`],
    [`${open}${users}${tls}`],
    [`${local}${users}`],
    [`${open}proxy_protocol = "v2"\ntrusted_proxies = "10.0.0.1"\n${users}`],
    [`${open}${provider('kind = "certificate"')}`],
    [`${open}${provider('kind = "scram"\npath = "/p"')}`],
  ])('not of %j', async (text) => expect(await advice(text)).toEqual([]));
});

test.each([
  [provider('kind = "http"\nurl = "http://auth.example/"'), ['passwords go over the network']],
  [provider('kind = "http"\nurl = "https://auth.example/"'), []],
  [provider('kind = "http"\nurl = "http://127.0.0.1:80/"'), []],
  [provider('kind = "http"\nurl = "http://[::1]:80/"'), []],
  [jwt('jwks_url = "http://auth.example/"'), ['keys that are trusted come over']],
  ['[device]\ndevice_id_from = "client_id"', ['nothing binds the Client Identifier']],
  [`${jwt('key_path = "/k"')}[device]\ndevice_id_from = "client_id"`, ['nothing binds']],
  [`${jwt('key_path = "/k"\nclient_id_claim = "cid"')}[device]\ndevice_id_from = "client_id"`, []],
  ['[device]\ndevice_id_from = "username"', []],
  [`${tls}capath = "/ca"\nverify_client_cert = "none"`, ['client certificates are not asked for']],
  [`${tls}capath = "/ca"`, []],
  ['[acl]\nnarrow = true', ['is not told that it gets less']],
  ['[acl]\ndefault = "allow"\n[[acl.rules]]\neffect = "allow"', ['nothing is denied']],
  ['[acl]\ndefault = "allow"\n[[acl.rules]]\neffect = "deny"', []],
])('%j', async (text, expected) => {
  const found = await advice(`${local}${text}`);
  expect(found).toHaveLength(expected.length);
  for (const [index, part] of expected.entries()) expect(found[index]).toContain(part);
});

describe('device ids and me topics', () => {
  const guarded = (name: string) =>
    `[unified.${name}]\nlisten = "0.0.0.0:188${name}"\n[unified.${name}.tls]\ncertpath = "/c"\nkeypath = "/k"\n[unified.${name}.auth]\nalice = "x"\n`;
  test('a file of ST-RMQTT is told of the key that restores its me topics, once', async () => {
    const file = '[v4.1]\nlisten = "127.0.0.1:1"\n[v5.1]\nlisten = "127.0.0.1:2"\n';
    expect(await advice(file)).toEqual([
      expect.stringMatching(/me_topics = "shared" in \[device\]/),
    ]);
    for (const mode of ['scoped', 'shared', 'off']) {
      expect(await advice(`${file}[device]\nme_topics = "${mode}"`)).toEqual([]);
    }
  });
  test('an open listener beside guarded ones', async () => {
    const said = /:2:1: nobody is asked on listener "unified-1": its clients are the devices/;
    expect(await advice(`${open}${guarded('2')}`)).toEqual([expect.stringMatching(said)]);
    expect(await advice(`${open}role = "device"\n${guarded('2')}`)).toEqual([]);
    expect(await advice(`${local}${guarded('2')}`)).toEqual([]);
    const verdict = '[device]\ndevice_id_from = "verdict"\n';
    expect(await advice(`${open}${guarded('2')}${verdict}`)).toEqual([]);
  });
});

test('files with secrets that any user may read or change', async () => {
  const file = join(folder, 'key.pem');
  writeFileSync(file, 'x');
  const text = `${local}[unified.1.tls]\ncertpath = "/c"\nkeypath = "${file}"\n`;
  chmodSync(file, 0o644);
  expect(await advice(text)).toEqual([
    `${file}: any user of this machine may read it; chmod 0640 or less`,
  ]);
  chmodSync(file, 0o646);
  expect((await advice(text))[0]).toContain('may change it');
  chmodSync(file, 0o640);
  expect(await advice(text)).toEqual([]);
});
