// Tokens: right ones of every algorithm, the tricks that are played with them, keys that change.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { compactVerify } from 'jose';
import { afterAll, describe, expect, test } from 'vitest';
import { fileKeys, fixedKeys } from '../../../src/auth/jwt/key-source.ts';
import { type KeysFor, keysOfFile, requireKeys, secretKey } from '../../../src/auth/jwt/keys.ts';
import { JwtTokens } from '../../../src/auth/providers/jwt.ts';
import { providerRows } from '../../../src/config/auth-options.ts';
import { issue } from '../../harness/certificates.js';
import { contextOf } from './contexts.ts';
import {
  base,
  ed,
  fileOf,
  hs,
  judge,
  kindOf,
  p256,
  p384,
  p521,
  part,
  pemOf,
  publicKey,
  rsa,
  secret,
  signature,
  small,
  tokenOf,
} from './tokens.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-jwt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const pairs: readonly (readonly [string, KeyObject | string, KeysFor])[] = [
  ...['HS256', 'HS384', 'HS512'].map((alg) => [alg, secret, secretKey(secret)] as const),
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map(
    (alg) => [alg, rsa.privateKey, publicKey(rsa.publicKey)] as const,
  ),
  ['ES256', p256.privateKey, publicKey(p256.publicKey)],
  ['ES384', p384.privateKey, publicKey(p384.publicKey)],
  ['ES512', p521.privateKey, publicKey(p521.publicKey)],
  ['EdDSA', ed.privateKey, publicKey(ed.publicKey)],
];

const all = pairs.map(([alg]) => alg);

describe('a token', () => {
  test('there is a test of each algorithm', () => {
    expect(all).toHaveLength(13);
    // One more that is configurable would be missing above.
    const { allowed } = providerRows.jwt.algorithms;
    expect(allowed).toBe(all.map((name) => `"${name}"`).join(', '));
  });

  test.each(pairs)(
    'of %s is accepted, and not when a bit of it is another',
    async (alg, key, ours) => {
      const token = tokenOf(alg, key);
      expect(await kindOf(token, { algorithms: [alg] }, ours)).toBe('allow');
      const [head = '', body = '', tail = ''] = token.split('.');
      const bytes = Buffer.from(tail, 'base64url');
      bytes[3] = (bytes[3] ?? 0) ^ 1;
      const bent = `${head}.${body}.${bytes.toString('base64url')}`;
      expect(await kindOf(bent, { algorithms: [alg] }, ours)).toBe('ignore');
      const other = `${head}.${part({ sub: 'root', exp: 2000 })}.${tail}`;
      expect(await kindOf(other, { algorithms: [alg] }, ours)).toBe('ignore');
      // Not where it is not allowed, whatever keys there are.
      const elsewhere = all.filter((one) => one !== alg);
      expect(await kindOf(token, { algorithms: elsewhere }, ours)).toBe('ignore');
    },
  );

  // RFC 7515, A.1, and RFC 8037, A.4: signed by neither us nor this test.
  test('the vectors of the standards', async () => {
    const a1 =
      'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
    const k =
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
    const options = { issuers: ['joe'], usernameClaim: 'iss' };
    expect(await judge(a1, options, fileOf({ kty: 'oct', k }))).toMatchObject({
      kind: 'allow',
      accept: { username: 'joe', expiresIn: 1300819380 - 1000 },
    });
    expect(await kindOf(a1, options, fileOf({ kty: 'oct', k: k.replace('A', 'B') }))).toBe(
      'ignore',
    );

    const okp = fileOf({
      kty: 'OKP',
      crv: 'Ed25519',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    });
    // Its payload is no JSON, so it is no token: its key and signature, by jose.
    const [key = new Uint8Array()] = await okp({ alg: 'EdDSA' });
    const head = 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc';
    const tail =
      'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg';
    const { payload } = await compactVerify(`${head}.${tail}`, key);
    expect(Buffer.from(payload).toString()).toBe('Example of Ed25519 signing');
  });

  test('alg none, in any writing, even where it is allowed by mistake', async () => {
    for (const alg of ['none', 'None', 'NONE', '', '__proto__', 'constructor', 'hs256']) {
      const unsigned = `${part({ alg })}.${part({ sub: 'root', exp: 2000 })}.`;
      expect(await kindOf(unsigned, { algorithms: [alg, 'HS256'] })).toBe('ignore');
      expect(await kindOf(`${unsigned}AAAA`, { algorithms: [alg, 'HS256'] })).toBe('ignore');
    }
  });

  test('a public key is no secret: HS256 signed with the text of the PEM', async () => {
    const pem = pemOf(rsa.publicKey);
    const forged = [pem, pem.trim(), `${pem}\n`].map((text) => tokenOf('HS256', text));
    const both = { algorithms: ['HS256', 'RS256'] };
    for (const token of forged) {
      expect(await kindOf(token, both, publicKey(rsa.publicKey))).toBe('ignore');
      const jwk = rsa.publicKey.export({ format: 'jwk' });
      expect(await kindOf(token, both, fileOf(jwk))).toBe('ignore');
    }
  });

  test('keys that are too short, or of another curve, verify nothing', async () => {
    expect(await kindOf(tokenOf('HS256', 'short'), {}, secretKey('short'))).toBe('ignore');
    const rs = { algorithms: ['RS256', 'ES256', 'ES384'] };
    expect(await kindOf(tokenOf('RS256', small.privateKey), rs, publicKey(small.publicKey))).toBe(
      'ignore',
    );
    const data = `${part({ alg: 'ES256' })}.${part({ sub: 'a', exp: 2000 })}`;
    const tail = sign('sha256', Buffer.from(data), {
      key: p384.privateKey,
      dsaEncoding: 'ieee-p1363',
    });
    const mixed = `${data}.${tail.toString('base64url')}`;
    expect(await kindOf(mixed, rs, publicKey(p384.publicKey))).toBe('ignore');
  });

  test('what its header offers is not used', async () => {
    const jwk = p256.publicKey.export({ format: 'jwk' });
    const own = tokenOf(
      'ES256',
      p256.privateKey,
      {},
      { jwk, jku: 'http://127.0.0.1:1/', x5u: 'x' },
    );
    expect(await kindOf(own, { algorithms: ['ES256'] }, publicKey(p384.publicKey))).toBe('ignore');
    for (const crit of [['b64'], ['exp'], ['unknown'], [], 'unknown', [7], null, {}]) {
      const header = { crit, b64: false, exp: 2000, unknown: 1 };
      expect(await kindOf(tokenOf('HS256', secret, {}, header))).toBe('ignore');
    }
  });

  test.each([
    ['expired', { exp: 999 }, {}, 'deny'],
    ['expired this second', { exp: 1000 }, {}, 'deny'],
    ['within the leeway', { exp: 995 }, { leewayS: 10 }, 'allow'],
    ['without exp', { exp: undefined }, {}, 'deny'],
    ['without exp where it may be', { exp: undefined }, { requireExpiry: false }, 'allow'],
    ['exp as text', { exp: '2000' }, {}, 'deny'],
    ['exp of no size', { exp: 1e308 }, {}, 'allow'],
    ['not valid yet', { nbf: 1001 }, {}, 'deny'],
    ['not valid yet, within the leeway', { nbf: 1005 }, { leewayS: 10 }, 'allow'],
    ['nbf of no size', { nbf: 1e308 }, {}, 'deny'],
    ['iat as text', { iat: '1' }, {}, 'deny'],
    ['nbf as a list', { nbf: [1] }, {}, 'deny'],
    ['for us', { aud: ['x', 'mqtt'] }, { audiences: ['mqtt'] }, 'allow'],
    ['for another', { aud: 'other' }, { audiences: ['mqtt'] }, 'deny'],
    ['for nobody', {}, { audiences: ['mqtt'] }, 'deny'],
    ['of our issuer', { iss: 'idp' }, { issuers: ['idp'] }, 'allow'],
    ['of another issuer', { iss: 'evil' }, { issuers: ['idp'] }, 'ignore'],
    ['of no issuer', {}, { issuers: ['idp'] }, 'ignore'],
    ['of this client', { cid: 'client-1' }, { clientIdClaim: 'cid' }, 'allow'],
    ['of another client', { cid: 'client-2' }, { clientIdClaim: 'cid' }, 'deny'],
    ['of no client', {}, { clientIdClaim: 'cid' }, 'deny'],
    ['of nobody', { sub: undefined }, {}, 'deny'],
    ['of a number', { sub: 7 }, {}, 'deny'],
    ['of the empty user', { sub: '' }, {}, 'deny'],
    ['of a user with NUL', { sub: 'a\0b' }, {}, 'deny'],
    ['groups that are none', { groups: [1] }, {}, 'deny'],
    ['a tenant that is none', { tenant: {} }, {}, 'deny'],
    ['an acl that is none', { acl: [{ filters: 'a' }] }, {}, 'deny'],
    ['an acl with a misspelt key', { acl: [{ efect: 'deny', filters: ['a'] }] }, {}, 'deny'],
    ['a role that is none', { role: 'root' }, { roleClaim: 'role' }, 'deny'],
  ] as const)('%s', async (_, claims, options, kind) => {
    expect(await kindOf(tokenOf('HS256', secret, claims), options)).toBe(kind);
  });

  test('says who it is, what is allowed, and for how long', async () => {
    const token = tokenOf('HS256', secret, {
      realm: { roles: ['a', 'b'] },
      'my.tenant': 'acme',
      device_id: 'dev-1',
      kind: 'service',
      acl: [{ effect: 'deny', actions: 'publish', filters: ['x/#'], qos: 1, retain: false }],
    });
    const options = { groupsClaim: 'realm.roles', tenantClaim: 'my.tenant', roleClaim: 'kind' };
    expect(await judge(token, options)).toMatchObject({
      kind: 'allow',
      accept: {
        username: 'anna',
        expiresIn: 1000,
        groups: ['a', 'b'],
        tenant: 'acme',
        deviceId: 'dev-1',
        role: 'service',
        rules: [{ effect: 'deny', actions: 'publish', filters: ['x/#'], qos: 1, retain: false }],
      },
    });
    expect(await judge(tokenOf('HS256', secret, { groups: 'read write' }))).toMatchObject({
      accept: { groups: ['read', 'write'] },
    });
  });

  test('an exp beyond numbers is no time', async () => {
    const head = part({ alg: 'HS256' });
    for (const exp of ['1e400', '-1e400']) {
      const body = Buffer.from(`{"sub":"anna","exp":${exp}}`).toString('base64url');
      const tail = signature('HS256', `${head}.${body}`, secret).toString('base64url');
      expect(await kindOf(`${head}.${body}.${tail}`)).toBe('deny');
    }
  });

  test('in the username', async () => {
    const provider = new JwtTokens({ ...base, token: 'username' }, fixedKeys(hs), () => 1_000_000);
    const username = tokenOf('HS256', secret);
    expect(await provider.authenticate(contextOf({ username }))).toMatchObject({
      accept: { username: 'anna' },
    });
  });

  test('a password that is none is left to the next; so is a huge one', async () => {
    expect(await kindOf('word')).toBe('ignore');
    expect(await kindOf('a.b.c')).toBe('ignore');
    expect(await kindOf(`${part([])}.${part({})}.AAAA`)).toBe('ignore');
    const huge = tokenOf('HS256', secret, { more: 'x'.repeat(40_000) });
    expect(await kindOf(huge)).toBe('ignore');
    const deep = `{"sub":${'['.repeat(8000)}${']'.repeat(8000)}}`;
    const data = `${part({ alg: 'HS256' })}.${Buffer.from(deep).toString('base64url')}`;
    const tail = signature('HS256', data, secret).toString('base64url');
    expect(await kindOf(`${data}.${tail}`)).not.toBe('allow');
  });

  test('anything at all is judged without throwing, and never allowed', async () => {
    const dotted = fc.array(fc.base64String({ maxLength: 40 }), { maxLength: 4 });
    const header = fc.record({ alg: fc.constantFrom('HS256', 'none', 'RS256') });
    const made = fc
      .tuple(fc.oneof(header, fc.jsonValue()), fc.jsonValue(), fc.string())
      .map(([head, body, tail]) => `${part(head)}.${part(body)}.${tail}`);
    const text = fc.oneof(
      fc.string(),
      made,
      dotted.map((parts) => parts.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        expect(await kindOf(token)).not.toBe('allow');
      }),
      { numRuns: 500 },
    );
  });
});

describe('keys', () => {
  const countOf = async (keys: KeysFor, alg: string, kid?: string) =>
    (await keys({ alg, kid })).length;

  test('of a file: PEM, JWK, JWK Set; a private key is refused', async () => {
    const { certificate } = issue({ subject: { cn: 'idp' } });
    expect(await countOf(publicKey(rsa.publicKey), 'PS512', 'any')).toBe(1);
    expect(await countOf(publicKey(rsa.publicKey), 'ES256')).toBe(0);
    const withText = `Certificate:\n    Data:\n${certificate}`;
    expect(await countOf(keysOfFile(Buffer.from(withText)), 'ES256')).toBe(1);
    const jwk = {
      ...p256.publicKey.export({ format: 'jwk' }),
      kid: 'k1',
      use: 'sig',
      alg: 'ES256',
    };
    expect(await countOf(fileOf(jwk), 'ES256', 'k1')).toBe(1);
    expect(await countOf(fileOf(jwk), 'ES256', 'k2')).toBe(0);
    const { kid: _, ...nameless } = jwk;
    expect(await countOf(fileOf(nameless), 'ES256', 'any')).toBe(1);
    const other = { ...ed.publicKey.export({ format: 'jwk' }), use: 'enc' };
    const bad = { kty: 'RSA', n: '!', e: 'AQAB' };
    const set = fileOf({ keys: [jwk, other, bad, 7, null] });
    expect(await countOf(set, 'ES256')).toBe(1);
    expect(await countOf(set, 'EdDSA')).toBe(0);
    await expect(requireKeys(set, ['RS256'])).rejects.toThrow('no key fits RS256');
    const secretPem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    expect(() => keysOfFile(Buffer.from(secretPem))).toThrow('it is a private key');
    const secretJwk = p256.privateKey.export({ format: 'jwk' });
    expect(() => fileOf({ keys: [secretJwk] })).toThrow('it is a private key');
    expect(() => keysOfFile(Buffer.from('{"a":"hunter2'))).toThrow(/^it is no JSON$/);
    expect(() => keysOfFile(Buffer.from('hunter2'))).toThrow(/^it is neither PEM/);
    expect(() => fileOf({ keys: [] })).toThrow('no key for signatures');
    expect(() => fileOf({ keys: Array(257).fill(jwk) })).toThrow('more than 256 keys');
  });

  test('one for each algorithm, and none too short (RFC 7518, 3.2)', async () => {
    const bytes = (count: number) => secretKey('x'.repeat(count));
    await expect(requireKeys(bytes(31), ['HS256'])).rejects.toThrow('no key fits HS256');
    await requireKeys(bytes(32), ['HS256']);
    await expect(requireKeys(bytes(47), ['HS256', 'HS384'])).rejects.toThrow('it wants 48 bytes');
    await expect(requireKeys(bytes(63), ['HS512'])).rejects.toThrow('it wants 64 bytes');
    await requireKeys(bytes(64), ['HS256', 'HS384', 'HS512']);
    const k = Buffer.alloc(31).toString('base64url');
    await expect(requireKeys(fileOf({ kty: 'oct', k }), ['HS256'])).rejects.toThrow('HS256');
    const rs = ['RS256'];
    await expect(requireKeys(publicKey(small.publicKey), rs)).rejects.toThrow('2048 bits');
    await requireKeys(publicKey(rsa.publicKey), rs);
    await expect(requireKeys(publicKey(rsa.publicKey), ['none'])).rejects.toThrow('none');
  });

  test('the kid chooses among them, and nothing but the named algorithm', async () => {
    const jwk = (kid: string, alg: string, { publicKey: key }: { publicKey: KeyObject }) => ({
      ...key.export({ format: 'jwk' }),
      kid,
      alg,
    });
    const keys = fileOf({ keys: [jwk('a', 'ES256', p256), jwk('b', 'RS512', rsa)] });
    const options = { algorithms: ['ES256', 'RS256', 'RS512'] };
    const of = (alg: string, key: KeyObject, kid: string) =>
      kindOf(tokenOf(alg, key, {}, { kid }), options, keys);
    expect(await of('ES256', p256.privateKey, 'a')).toBe('allow');
    expect(await of('ES256', p256.privateKey, 'b')).toBe('ignore');
    expect(await of('RS512', rsa.privateKey, 'b')).toBe('allow');
    expect(await of('RS256', rsa.privateKey, 'b')).toBe('ignore');
  });

  test('without a kid each that fits is tried, secrets too', async () => {
    const another = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const keys = [another, p256].map(({ publicKey: key }) => key.export({ format: 'jwk' }));
    const oct = ['a'.repeat(32), secret].map((text, at) => ({
      kty: 'oct',
      kid: `s${at}`,
      k: Buffer.from(text).toString('base64url'),
    }));
    const set = fileOf({ keys: [...keys, ...oct] });
    const both = { algorithms: ['ES256', 'HS256'] };
    expect(await kindOf(tokenOf('ES256', p256.privateKey), both, set)).toBe('allow');
    expect(await kindOf(tokenOf('HS256', secret), both, set)).toBe('allow');
    expect(await kindOf(tokenOf('HS256', secret, {}, { kid: 's1' }), both, set)).toBe('allow');
    expect(await kindOf(tokenOf('HS256', secret, {}, { kid: 's0' }), both, set)).toBe('ignore');
    expect(await kindOf(tokenOf('ES256', p256.privateKey, { exp: 9 }), both, set)).toBe('deny');
  });

  test('of a file', async () => {
    const path = join(folder, 'key.pem');
    writeFileSync(path, pemOf(p256.publicKey));
    const none = () => undefined;
    const source = await fileKeys(path, ['ES256'], none);
    const options = { algorithms: ['ES256'] };
    expect(await kindOf(tokenOf('ES256', p256.privateKey), options, source)).toBe('allow');
    source.stop();
    await expect(fileKeys(path, ['ES384'], none)).rejects.toThrow('no key fits ES384');
    await expect(fileKeys(join(folder, 'none'), ['ES256'], none)).rejects.toThrow('ENOENT');
  });
});
