/** The algorithms of RFC 7518 and RFC 8037 that are served, and which key fits which. */
import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';

export interface Algorithm {
  readonly fits: (key: KeyObject) => boolean;
  readonly verify: (key: KeyObject, data: Buffer, signature: Buffer) => boolean;
}

function hmac(hash: string, bytes: number): Algorithm {
  return {
    // RFC 7518, 3.2: a key at least as long as the hash.
    fits: (key) => key.type === 'secret' && (key.symmetricKeySize ?? 0) >= bytes,
    verify: (key, data, signature) => {
      const found = createHmac(hash, key).update(data).digest();
      return found.length === signature.length && timingSafeEqual(found, signature);
    },
  };
}

const isRsa = (key: KeyObject) =>
  key.type === 'public' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;

function rsa(hash: string): Algorithm {
  return {
    fits: (key) => isRsa(key) && key.asymmetricKeyType === 'rsa',
    verify: (key, data, signature) =>
      verify(hash, data, { key, padding: constants.RSA_PKCS1_PADDING }, signature),
  };
}

function pss(hash: string, saltLength: number): Algorithm {
  return {
    fits: (key) =>
      isRsa(key) && (key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'rsa-pss'),
    verify: (key, data, signature) =>
      verify(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature),
  };
}

function ecdsa(hash: string, namedCurve: string): Algorithm {
  return {
    fits: (key) =>
      key.type === 'public' &&
      key.asymmetricKeyType === 'ec' &&
      key.asymmetricKeyDetails?.namedCurve === namedCurve,
    verify: (key, data, signature) =>
      verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  };
}

export const algorithms: Readonly<Record<string, Algorithm>> = {
  HS256: hmac('sha256', 32),
  HS384: hmac('sha384', 48),
  HS512: hmac('sha512', 64),
  RS256: rsa('sha256'),
  RS384: rsa('sha384'),
  RS512: rsa('sha512'),
  PS256: pss('sha256', 32),
  PS384: pss('sha384', 48),
  PS512: pss('sha512', 64),
  ES256: ecdsa('sha256', 'prime256v1'),
  ES384: ecdsa('sha384', 'secp384r1'),
  ES512: ecdsa('sha512', 'secp521r1'),
  EdDSA: {
    fits: (key) =>
      key.type === 'public' &&
      (key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ed448'),
    verify: (key, data, signature) => verify(null, data, key, signature),
  },
};

/** Not by the index alone: "constructor" is no algorithm. */
export function algorithmOf(name: string): Algorithm | undefined {
  return Object.hasOwn(algorithms, name) ? algorithms[name] : undefined;
}
