/**
 * Signed tokens instead of passwords. A token that no key of ours has signed is left to the next
 * provider; one of ours that is expired, or for another audience or client, is refused.
 */

import { messageOf } from '../../errors.js';
import { isMqttText } from '../../native/commands.js';
import type { AuthContext } from '../context.js';
import type { KeySource } from '../jwt/key-source.js';
import type { TokenKey } from '../jwt/keys.js';
import {
  candidates,
  checkClaims,
  claimOf,
  isSigned,
  parseToken,
  type Token,
} from '../jwt/token.js';
import { type AuthProvider, allow, type Decision, deny, ignore } from '../provider.js';
import { readRules } from '../verdict-rules.js';

/** Of claims, '' = none is read. */
export interface JwtOptions {
  readonly name: string;
  readonly algorithms: readonly string[];
  /** Empty = any, as with audiences. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly leewayS: number;
  readonly requireExpiry: boolean;
  readonly token: 'password' | 'username';
  readonly usernameClaim: string;
  /** Must be the Client Identifier. */
  readonly clientIdClaim: string;
  readonly groupsClaim: string;
  readonly aclClaim: string;
  readonly tenantClaim: string;
  readonly deviceIdClaim: string;
  readonly roleClaim: string;
}

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
    const text = where === 'password' ? context.password?.toString('latin1') : context.username;
    const token = text === undefined ? undefined : parseToken(text);
    if (token === undefined || !algorithms.includes(token.alg)) return ignore;
    const { iss } = token.claims;
    if (issuers.length > 0 && !(typeof iss === 'string' && issuers.includes(iss))) return ignore;
    const keys = this.#keys.keys();
    if (keys instanceof Promise) return keys.then((these) => this.#judge(token, these, context));
    return this.#judge(token, keys, context);
  }

  stop(): void {
    this.#keys.stop();
  }

  #judge(token: Token, keys: readonly TokenKey[], context: AuthContext) {
    if (isSigned(token, keys)) return this.#signed(token, context);
    // Keys are replaced now and then: one that is not known may be a new one.
    const isKnown = token.kid !== undefined && keys.some(({ kid }) => kid === token.kid);
    if (isKnown || (token.kid === undefined && candidates(token, keys).length > 0)) return ignore;
    return this.#keys
      .newer()
      .then((newer) =>
        newer !== undefined && isSigned(token, newer) ? this.#signed(token, context) : ignore,
      );
  }

  #signed({ claims }: Token, { clientId }: AuthContext): Decision {
    const options = this.#options;
    const check = checkClaims(claims, options, this.#now() / 1000);
    if (check.kind === 'expired') return deny('expired', 'the token is expired');
    if (check.kind === 'invalid') return deny('not_authorized', `the token: ${check.why}`);
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
        expiresIn: check.expiresIn,
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

function text(value: unknown): string | undefined {
  return isMqttText(value) && value !== '' ? value : undefined;
}

/** A claim that is there but is nothing of its kind must not be taken for none. */
function optional(claims: Token['claims'], name: string): string | undefined {
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
