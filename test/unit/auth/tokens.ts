// Keys, and tokens that are signed by nothing of the code under test.
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { fixedKeys, type KeySource } from '../../../src/auth/jwt/key-source.ts';
import { type KeysFor, keysOfFile, secretKey } from '../../../src/auth/jwt/keys.ts';
import { type JwtOptions, JwtTokens } from '../../../src/auth/providers/jwt.ts';
import { contextOf } from './contexts.ts';

export const secret = 'a secret of more than thirty-two bytes, and of sixty-four ones too';
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
export const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
export const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
export const p521 = generateKeyPairSync('ec', { namedCurve: 'secp521r1' });
export const ed = generateKeyPairSync('ed25519');

export const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs as another program would: nothing of the code under test. */
export function signature(alg: string, data: string, key: KeyObject | string): Buffer {
  const hash = `sha${alg.slice(2)}`;
  if (typeof key === 'string') return createHmac(hash, key).update(data).digest();
  const bytes = Buffer.from(data);
  if (alg.startsWith('ES')) return sign(hash, bytes, { key, dsaEncoding: 'ieee-p1363' });
  if (alg.startsWith('PS')) {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return sign(hash, bytes, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
  }
  return alg === 'EdDSA' ? sign(null, bytes, key) : sign(hash, bytes, key);
}

export function tokenOf(
  alg: string,
  key: KeyObject | string,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): string {
  const body = { sub: 'anna', exp: 2000, ...claims };
  const data = `${part({ alg, typ: 'JWT', ...header })}.${part(body)}`;
  return `${data}.${signature(alg, data, key).toString('base64url')}`;
}

export const base: JwtOptions = {
  name: 'jwt',
  algorithms: ['HS256'],
  issuers: [],
  audiences: [],
  leewayS: 0,
  requireExpiry: true,
  token: 'password',
  usernameClaim: 'sub',
  clientIdClaim: '',
  groupsClaim: 'groups',
  aclClaim: 'acl',
  tenantClaim: 'tenant',
  deviceIdClaim: 'device_id',
  roleClaim: '',
};
export const hs = secretKey(secret);

/** It is second 1000 of 1970. */
export function judge(
  token: string,
  options: Partial<JwtOptions> = {},
  keys: KeysFor | KeySource = hs,
) {
  const source = typeof keys === 'function' ? fixedKeys(keys) : keys;
  const provider = new JwtTokens({ ...base, ...options }, source, () => 1_000_000);
  return provider.authenticate(contextOf({ username: 'x', password: token }));
}
export const kindOf = async (...args: Parameters<typeof judge>) => (await judge(...args)).kind;

export const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string;
export const publicKey = (key: KeyObject) => keysOfFile(Buffer.from(pemOf(key)));
export const fileOf = (value: unknown) => keysOfFile(Buffer.from(JSON.stringify(value)));
