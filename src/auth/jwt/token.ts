/**
 * Signed tokens (RFC 7519 in the compact form of RFC 7515), checked. The algorithm is one of those
 * allowed, and the key is of that algorithm's kind: what a token says of itself chooses neither.
 */
import { algorithmOf } from './algorithms.js';
import type { TokenKey } from './keys.js';

export interface Token {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

const kMaxTokenChars = 32 * 1024;

/** undefined = this is no such token. */
export function parseToken(text: string): Token | undefined {
  if (text.length > kMaxTokenChars) return undefined;
  const match = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/.exec(text);
  const [, head = '', body = '', tail = ''] = match ?? [];
  const header = object(head);
  const claims = object(body);
  if (header === undefined || claims === undefined) return undefined;
  const { alg, kid, crit } = header;
  // RFC 7515, 4.1.11: what must be understood, and is not.
  if (typeof alg !== 'string' || crit !== undefined) return undefined;
  if (kid !== undefined && typeof kid !== 'string') return undefined;
  const signature = Buffer.from(tail, 'base64url');
  return { alg, kid, claims, signed: Buffer.from(`${head}.${body}`), signature };
}

function object(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Those that this token may have been signed with. */
export function candidates({ alg, kid }: Token, keys: readonly TokenKey[]): TokenKey[] {
  return keys.filter(
    (one) =>
      (kid === undefined || one.kid === undefined || one.kid === kid) &&
      (one.alg === undefined || one.alg === alg) &&
      algorithmOf(alg)?.fits(one.key) === true,
  );
}

export function isSigned(token: Token, keys: readonly TokenKey[]): boolean {
  const algorithm = algorithmOf(token.alg);
  if (algorithm === undefined) return false;
  return candidates(token, keys).some(({ key }) => {
    try {
      return algorithm.verify(key, token.signed, token.signature);
    } catch {
      // A signature that cannot even be read.
      return false;
    }
  });
}

export interface ClaimRules {
  /** Empty = any. */
  readonly audiences: readonly string[];
  readonly leewayS: number;
  readonly requireExpiry: boolean;
}

export type ClaimCheck =
  /** Seconds until it is over; undefined = never. */
  | { readonly kind: 'valid'; readonly expiresIn: number | undefined }
  | { readonly kind: 'expired' }
  | { readonly kind: 'invalid'; readonly why: string };

/** `now` in seconds since 1970. */
export function checkClaims(claims: Token['claims'], rules: ClaimRules, now: number): ClaimCheck {
  const { exp, nbf, aud } = claims;
  const invalid = (why: string): ClaimCheck => ({ kind: 'invalid', why });
  if (exp !== undefined && !isTime(exp)) return invalid('its exp is no time');
  if (nbf !== undefined && !isTime(nbf)) return invalid('its nbf is no time');
  if (exp === undefined && rules.requireExpiry) return invalid('it has no exp');
  if (isTime(nbf) && nbf - rules.leewayS > now) return invalid('it is not valid yet');
  if (rules.audiences.length > 0) {
    const given: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
    if (!given.some((one) => typeof one === 'string' && rules.audiences.includes(one))) {
      return invalid('it is for another audience');
    }
  }
  if (!isTime(exp)) return { kind: 'valid', expiresIn: undefined };
  const left = Math.floor(exp + rules.leewayS - now);
  // As far away as a verdict can say; a year or a century, it is not now.
  return left <= 0 ? { kind: 'expired' } : { kind: 'valid', expiresIn: Math.min(left, 0x7fffffff) };
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** By its name, or by its path: "realm_access.roles". */
export function claimOf(claims: Token['claims'], name: string): unknown {
  if (name === '') return undefined;
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}
