/**
 * Who may do what. With tokens, a token decides; without tokens, where the request came in: on
 * loopback everything is allowed, elsewhere only ST-RMQTT's routes that read. Browsers are kept
 * out where a page of another origin makes them ask: their user did not.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ConsoleToken } from '../config/resolve.js';
import type { ConsoleRole } from '../config/service-options.js';
import { Problem } from './problem.js';
import type { Caller } from './route.js';

/** Where a request came in. */
export interface Door {
  /** As it is shown: "127.0.0.1:3030". */
  readonly text: string;
  /** The bound address, without the port. */
  readonly host: string;
}

export interface Presented {
  readonly door: Door;
  /** The peer's. */
  readonly address: string;
  readonly authorization: string | undefined;
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

const ranks: Readonly<Record<ConsoleRole, number>> = { read: 1, operate: 2, admin: 3 };
const kNobody = 'nobody';
const kHint = 'send "Authorization: Bearer TOKEN"; tokens are in [console.tokens]';

export class Access {
  #tokens: readonly {
    readonly name: string;
    readonly role: ConsoleRole;
    readonly hash: Buffer;
  }[] = [];

  #replaced: () => void = () => undefined;

  constructor(tokens: readonly ConsoleToken[]) {
    this.replaceTokens(tokens);
  }

  /** From the next request on. */
  replaceTokens(tokens: readonly ConsoleToken[]): void {
    const before = this.#tokens;
    this.#tokens = tokens.map(({ name, role, token }) => ({ name, role, hash: digest(token) }));
    if (!isDeepStrictEqual(before, this.#tokens)) this.#replaced();
  }

  /** What lasts longer than a request was allowed by tokens that may be gone. */
  onReplaced(listener: () => void): void {
    this.#replaced = listener;
  }

  get hasTokens(): boolean {
    return this.#tokens.length > 0;
  }

  /** Who this is; never throws for want of a token, but for a wrong one. */
  identify({ door, address, authorization }: Presented): Caller {
    if (!this.hasTokens) {
      return isLoopback(door.host)
        ? { name: 'loopback', role: 'admin', address }
        : { name: kNobody, role: undefined, address };
    }
    if (authorization === undefined) return { name: kNobody, role: undefined, address };
    const [, token] = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization) ?? [];
    if (token === undefined) throw new Problem('unauthorized', `not a Bearer token: ${kHint}`);
    return this.byToken(token, address);
  }

  byToken(token: string, address: string): Caller {
    const hash = digest(token);
    // All are compared, in a time that does not tell which one is near.
    let found: { readonly name: string; readonly role: ConsoleRole } | undefined;
    for (const known of this.#tokens) if (timingSafeEqual(known.hash, hash)) found = known;
    if (found === undefined) throw new Problem('unauthorized', 'this token is not known here');
    return { name: found.name, role: found.role, address };
  }

  /** Throws if this caller may not. */
  authorize(caller: Caller, needs: ConsoleRole | 'open', isPublicRead: boolean): void {
    if (needs === 'open') return;
    if (caller.role === undefined) {
      if (isPublicRead && !this.hasTokens) return;
      throw new Problem(
        'unauthorized',
        this.hasTokens
          ? `a token is needed: ${kHint}`
          : 'the console listens beyond this machine and has no tokens, so it serves only what ' +
              'rumqttd served for reading; configure [console.tokens], or listen on 127.0.0.1',
      );
    }
    if (ranks[caller.role] < ranks[needs]) {
      throw new Problem('forbidden', `"${caller.name}" has the role ${caller.role}, not ${needs}`);
    }
  }

  /** What a browser was made to send by a page from elsewhere. */
  refuseForeignPages({ door, host, origin }: Presented): void {
    const asked = hostOf(host);
    if (origin !== undefined && (asked === undefined || originHost(origin) !== asked.host)) {
      throw new Problem('forbidden', 'requests of pages from another origin are not served');
    }
    // A name that was made to point here (DNS rebinding) must not get what loopback gets.
    if (this.hasTokens || !isLoopback(door.host)) return;
    if (asked !== undefined && (isLoopback(asked.name) || asked.name === door.host)) return;
    throw new Problem(
      'forbidden',
      'without tokens the console answers only to the names localhost, 127.0.0.1 and [::1]',
    );
  }
}

/** "localhost", 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '::1' ||
    /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
  );
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Host header, normalised: lower case, without the scheme's own port. */
function hostOf(header: string | undefined): { host: string; name: string } | undefined {
  if (header === undefined || /[/?#@\\\s]/.test(header)) return undefined;
  const url = parse(`http://${header}`);
  if (url === undefined) return undefined;
  return { host: url.host, name: url.hostname.replace(/^\[|\]$/g, '') };
}

function originHost(origin: string): string | undefined {
  const url = parse(origin);
  if (url?.protocol === 'http:') return url.host;
  // A proxy with TLS before us: its Host header has no port, or 443.
  return url?.protocol === 'https:' ? url.host : undefined;
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
