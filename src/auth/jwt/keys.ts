/** Keys of tokens, by jose: a secret, a PEM file, a JWK or JWK Set (RFC 7517). */
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  importJWK,
  importSPKI,
  importX509,
  type JWK,
} from 'jose';

export type TokenKey = CryptoKey | Uint8Array;

/** What a token says of its key; `kid` is whatever stands there. */
export interface TokenHeader {
  readonly alg: string;
  readonly kid?: string | undefined;
}

/** Those that may have signed such a token; none is no error. */
export type KeysFor = (header: TokenHeader) => Promise<readonly TokenKey[]>;

const kMaxKeys = 256;
const kPrivate = 'it is a private key; the broker wants the public one';
/** RFC 7518, 3.2: at least as long as the hash. jose takes shorter ones too. */
const secretBytes: ReadonlyMap<string, number> = new Map([
  ['HS256', 32],
  ['HS384', 48],
  ['HS512', 64],
]);

export function secretKey(secret: string): KeysFor {
  const bytes = Buffer.from(secret);
  return async ({ alg }) => (isLongEnough(alg, bytes) ? [bytes] : []);
}

/** A public key or a certificate in PEM, a JWK, a JWK Set. Throws where it is none. */
export function keysOfFile(bytes: Buffer): KeysFor {
  const text = bytes.toString('utf8').trim();
  if (text.startsWith('{')) return keysOfJson(text);
  if (text.includes('PRIVATE KEY')) throw new Error(kPrivate);
  // What stands before it, as openssl writes it, is a comment.
  const pem = text.slice(Math.max(0, text.indexOf('-----BEGIN ')));
  if (pem.startsWith('-----BEGIN CERTIFICATE-----')) {
    return once(({ alg }) => importX509(pem, alg));
  }
  if (pem.startsWith('-----BEGIN PUBLIC KEY-----')) return once(({ alg }) => importSPKI(pem, alg));
  throw new Error('it is neither PEM (PUBLIC KEY, CERTIFICATE) nor JSON (JWK, JWK Set)');
}

/** Rejects unless each algorithm has a key, so that a start says what no token could. */
export async function requireKeys(keys: KeysFor, algorithms: readonly string[]): Promise<void> {
  for (const alg of algorithms) {
    const found = await keys({ alg });
    if (found.some(isStrong)) continue;
    const wanted = secretBytes.get(alg);
    const rule = wanted === undefined ? 'RSA wants 2048 bits' : `it wants ${wanted} bytes`;
    throw new Error(`no key fits ${alg} (${rule} or more)`);
  }
}

/** The list, or one key, of a text. Throws where it is none, and never quotes it. */
export function jwksOf(text: string): { keys: JWK[] } {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    // What the parser says would quote the text, which may have secrets.
    throw new Error('it is no JSON');
  }
  if (typeof root !== 'object' || root === null) throw new Error('it is no JWK Set');
  const keys: unknown = 'keys' in root ? root.keys : [root];
  if (!Array.isArray(keys)) throw new Error('its "keys" is no list');
  if (keys.length === 0) throw new Error('it has no key for signatures');
  if (keys.length > kMaxKeys) throw new Error(`it has more than ${kMaxKeys} keys`);
  const isKey = (one: unknown) => typeof one === 'object' && one !== null && !Array.isArray(one);
  // One that is no key is skipped, as RFC 7517, 5, asks for those that are not understood.
  return { keys: keys.filter(isKey) as JWK[] };
}

function keysOfJson(text: string): KeysFor {
  const jwks = jwksOf(text);
  if (jwks.keys.some(({ d }) => d !== undefined)) throw new Error(kPrivate);
  const [only] = jwks.keys;
  // A key that is alone and has no name serves every name, as one in PEM does.
  const isNameless = jwks.keys.length === 1 && only?.kid === undefined;
  const secrets = jwks.keys.filter(({ kty }) => kty === 'oct');
  const local = createLocalJWKSet(jwks);
  return async (header) => {
    const { alg, kid } = isNameless ? { alg: header.alg, kid: undefined } : header;
    if (secretBytes.has(alg)) return secretsFor(secrets, alg, kid);
    return matching(() => local(kid === undefined ? { alg } : { alg, kid })).catch(() => []);
  };
}

/** jose's sets are of public keys only; in a file of the operator secrets may stand too. */
async function secretsFor(secrets: readonly JWK[], alg: string, kid: string | undefined) {
  const fit = secrets.filter(
    (jwk) =>
      (kid === undefined || jwk.kid === kid) &&
      (jwk.alg === undefined || jwk.alg === alg) &&
      (jwk.use === undefined || jwk.use === 'sig'),
  );
  const keys = await Promise.all(fit.map((jwk) => importJWK(jwk, alg).catch(() => undefined)));
  return keys.filter(
    (key): key is Uint8Array => key instanceof Uint8Array && isLongEnough(alg, key),
  );
}

/** One key, or jose's way to say that there are several or none. */
export async function matching(find: () => Promise<CryptoKey>): Promise<TokenKey[]> {
  try {
    return [await find()];
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return [];
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    const keys: TokenKey[] = [];
    for await (const key of error) keys.push(key);
    return keys;
  }
}

/** Imported once for each algorithm; for those that it is not made for there is none. */
function once(load: (header: TokenHeader) => Promise<CryptoKey>): KeysFor {
  const loaded = new Map<string, Promise<readonly TokenKey[]>>();
  return (header) => {
    const known = loaded.get(header.alg);
    if (known !== undefined) return known;
    const keys = load(header).then(
      (key) => [key],
      () => [],
    );
    loaded.set(header.alg, keys);
    return keys;
  };
}

function isLongEnough(alg: string, bytes: Uint8Array): boolean {
  return bytes.length >= (secretBytes.get(alg) ?? Number.POSITIVE_INFINITY);
}

function isStrong(key: TokenKey): boolean {
  if (key instanceof Uint8Array) return true;
  const { modulusLength = 2048 } = key.algorithm as { readonly modulusLength?: number };
  return modulusLength >= 2048;
}
