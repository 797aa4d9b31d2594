/**
 * Signed tokens instead of passwords. A token that no key of ours has signed is left to the next
 * provider; one of ours that is expired, or for another audience or client, is refused.
 */

import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { JwtProvider } from '../../config/access-config.js';
import { messageOf } from '../../errors.js';
import { isMqttText } from '../../native/commands.js';
import type { AuthContext } from '../context.js';
import type { KeySource } from '../jwt/key-source.js';
import type { TokenHeader } from '../jwt/keys.js';
import { type AuthProvider, allow, type Decision, deny, ignore } from '../provider.js';
import { readRules } from '../verdict-rules.js';

/** Before anything of it is decoded. */
const kMaxTokenChars = 32 * 1024;

/** What of the configuration is about tokens, not about where keys come from. */
export type JwtOptions = Omit<
  JwtProvider,
  'kind' | 'listeners' | 'where' | 'secret' | 'keyPath' | 'caPath' | `jwks${string}`
>;

export class JwtTokens implements AuthProvider {
  readonly name: string;
  readonly #options: JwtOptions;
  readonly #keys: KeySource;
  readonly #now: () => number;

  /** `now` in ms since 1970. */
  constructor(options: JwtOptions, keys: KeySource, now: () => number = Date.now) {
    this.name = options.name;
    this.#options = options;
    this.#keys = keys;
    this.#now = now;
  }

  authenticate(context: AuthContext): Decision | Promise<Decision> {
    const { algorithms, issuers, token: where } = this.#options;
    const token = where === 'password' ? context.password?.toString('latin1') : context.username;
    if (token === undefined || token.length > kMaxTokenChars) return ignore;
    const said = read(token);
    if (said === undefined || !algorithms.includes(said.header.alg)) return ignore;
    // What is of somebody else asks no server for keys.
    if (issuers.length > 0 && !issuers.some((issuer) => issuer === said.issuer)) return ignore;
    return this.#judge(token, said.header, context);
  }

  stop(): void {
    this.#keys.stop();
  }

  async #judge(token: string, header: TokenHeader, context: AuthContext): Promise<Decision> {
    const { algorithms, issuers, audiences, leewayS, requireExpiry } = this.#options;
    const now = this.#now();
    for (const key of await this.#keys.keysFor(header)) {
      let claims: JWTPayload;
      try {
        const verified = await jwtVerify(token, key, {
          algorithms: [...algorithms],
          clockTolerance: leewayS,
          currentDate: new Date(now),
          requiredClaims: requireExpiry ? ['exp'] : [],
          ...(issuers.length > 0 ? { issuer: [...issuers] } : {}),
          ...(audiences.length > 0 ? { audience: [...audiences] } : {}),
        });
        claims = verified.payload;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal.kind === 'ignore') continue;
        return refusal;
      }
      return this.#signed(claims, Math.floor(now / 1000), context);
    }
    return ignore;
  }

  #signed(claims: JWTPayload, now: number, { clientId }: AuthContext): Decision {
    const options = this.#options;
    const { exp } = claims;
    // 1e400 is a number, for a parser of JSON.
    if (exp !== undefined && !Number.isFinite(exp)) {
      return deny('not_authorized', 'the token: its exp is no time');
    }
    const left = exp === undefined ? undefined : Math.floor(exp + options.leewayS - now);
    // Less than a second is none: 0 would be "at once" for a verdict.
    if (left !== undefined && left <= 0) return deny('expired', 'the token is expired');
    const bound = claimOf(claims, options.clientIdClaim);
    if (options.clientIdClaim !== '' && bound !== clientId) {
      return deny('not_authorized', 'the token is for another Client Identifier');
    }
    const username = text(claimOf(claims, options.usernameClaim));
    if (username === undefined) {
      return deny('not_authorized', `the token has no claim ${options.usernameClaim}`);
    }
    try {
      const acl = claimOf(claims, options.aclClaim);
      return allow({
        username,
        // As far away as a verdict can say; a year or a century, it is not now.
        expiresIn: left === undefined ? undefined : Math.min(left, 0x7fffffff),
        groups: groupsOf(claimOf(claims, options.groupsClaim)),
        rules: acl === undefined ? undefined : readRules(acl),
        tenant: optional(claims, options.tenantClaim),
        deviceId: optional(claims, options.deviceIdClaim),
        role: roleOf(claimOf(claims, options.roleClaim)),
      });
    } catch (cause) {
      return deny('not_authorized', `the token's claims: ${messageOf(cause)}`);
    }
  }
}

/** What it says of itself, unchecked; undefined = it is no such token. */
function read(token: string): { header: TokenHeader; issuer: unknown } | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    if (alg === undefined || (kid !== undefined && typeof kid !== 'string')) return undefined;
    return { header: { alg, kid }, issuer: decodeJwt(token).iss };
  } catch {
    return undefined;
  }
}

/** Claims are looked at when the signature was right: only then a token is one of ours. */
function refusalOf(error: unknown): Decision {
  if (error instanceof errors.JWTExpired) return deny('expired', 'the token is expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    // Names the claim, and not what stands in it.
    return error.claim === 'iss' ? ignore : deny('not_authorized', `the token: ${error.message}`);
  }
  // TypeError: a key that is not for this algorithm, or too short.
  if (error instanceof errors.JOSEError || error instanceof TypeError) return ignore;
  throw error;
}

function text(value: unknown): string | undefined {
  return isMqttText(value) && value !== '' ? value : undefined;
}

/** A claim that is there but is nothing of its kind must not be taken for none. */
function optional(claims: JWTPayload, name: string): string | undefined {
  const value = claimOf(claims, name);
  if (value === undefined) return undefined;
  const found = text(value);
  if (found === undefined) throw new TypeError(`${name} is no text`);
  return found;
}

/** A list, or as scopes are written: "a b". */
function groupsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const list: unknown = typeof value === 'string' ? value.split(/\s+/).filter(Boolean) : value;
  if (!Array.isArray(list) || !list.every((group) => text(group) !== undefined)) {
    throw new TypeError('the groups are no list of names');
  }
  return list as readonly string[];
}

function roleOf(value: unknown): 'device' | 'service' | undefined {
  if (value === undefined || value === 'device' || value === 'service') return value;
  throw new TypeError('the role is neither device nor service');
}

/** By its name, or by its path: "realm_access.roles". */
function claimOf(claims: JWTPayload, name: string): unknown {
  if (name === '') return undefined;
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}
