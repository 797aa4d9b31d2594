/** Keys of tokens: a secret, a PEM file, a JWK or JWK Set (RFC 7517). */
import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { algorithms } from './algorithms.js';

export interface TokenKey {
  readonly kid: string | undefined;
  /** Of a JWK that says so: only this one. */
  readonly alg: string | undefined;
  readonly key: KeyObject;
}

const kMaxKeys = 256;

export function secretKey(secret: string): TokenKey {
  return { kid: undefined, alg: undefined, key: createSecretKey(Buffer.from(secret)) };
}

/** A public key or a certificate in PEM, a JWK, a JWK Set. Throws where it is none. */
export function keysOfFile(bytes: Buffer): TokenKey[] {
  const text = bytes.toString('utf8').trim();
  if (text.startsWith('{')) return keysOfJson(text, 'secrets too');
  if (text.includes('PRIVATE KEY')) {
    throw new Error('it is a private key; the broker wants the public one');
  }
  return [{ kid: undefined, alg: undefined, key: createPublicKey(text) }];
}

/** Keys that are not for signatures, or of kinds that are not served, are left out. */
export function keysOfJson(text: string, which: 'secrets too' | 'public only'): TokenKey[] {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    // What the parser says would quote the text, which may have secrets.
    throw new Error('it is no JSON');
  }
  if (typeof root !== 'object' || root === null) throw new Error('it is no JWK Set');
  const list: unknown = 'keys' in root ? root.keys : [root];
  if (!Array.isArray(list)) throw new Error('its "keys" is no list');
  if (list.length > kMaxKeys) throw new Error(`it has more than ${kMaxKeys} keys`);
  return list.flatMap((jwk: unknown) => {
    const key = keyOf(jwk, which);
    return key === undefined ? [] : [key];
  });
}

function keyOf(value: unknown, which: 'secrets too' | 'public only'): TokenKey | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kid, alg, use, kty, k } = value as Readonly<Record<string, unknown>>;
  if (use !== undefined && use !== 'sig') return undefined;
  const names = {
    kid: typeof kid === 'string' ? kid : undefined,
    alg: typeof alg === 'string' ? alg : undefined,
  };
  if (kty === 'oct') {
    // What a server publishes is no secret.
    if (which === 'public only' || typeof k !== 'string') return undefined;
    return { ...names, key: createSecretKey(Buffer.from(k, 'base64url')) };
  }
  try {
    const key = createPublicKey({ key: value as JsonWebKey, format: 'jwk' });
    return Object.values(algorithms).some(({ fits }) => fits(key)) ? { ...names, key } : undefined;
  } catch {
    return undefined;
  }
}
