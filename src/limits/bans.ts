/**
 * Who is kept out: clients, users, addresses and networks. The table is native, and bounded; it lives
 * as long as the broker runs.
 */
import { checkString, checkTable } from '../arguments.js';
import { fail } from '../errors.js';
import type { NativeBan, NativeBanKind, NativeBanRow, NativeBroker } from '../native/addon.js';

export type BanKind = NativeBanKind;

export interface BanOptions {
  /** A Client Identifier (behind its tenant, as "acme.dev-1"), a username, or an address. */
  readonly kind: BanKind;
  /** Of an address: "192.0.2.7", "10.0.0.0/8", "2001:db8::/32". */
  readonly value: string;
  /** How long; undefined = until it is taken back, or the broker stops. */
  readonly seconds?: number | undefined;
  /** For those who look at the list. */
  readonly reason?: string | undefined;
}

export interface BanInfo {
  readonly kind: BanKind;
  readonly value: string;
  readonly reason: string;
  /** Who said so: somebody, or [limits.flapping]. */
  readonly source: 'admin' | 'flapping';
  /** Milliseconds since 1970; undefined = never. */
  readonly expiresAt: number | undefined;
}

export interface BanPage {
  readonly items: readonly BanInfo[];
  /** For the next call; undefined = that was the last page. */
  readonly next: string | undefined;
}

export const kMaxBanValue = 1024;
const kMaxReason = 256;
const kMaxSeconds = 0xffffffff;

export class Bans {
  readonly #native: Pick<NativeBroker, 'ban' | 'unban' | 'bans'>;

  constructor(native: Pick<NativeBroker, 'ban' | 'unban' | 'bans'>) {
    this.#native = native;
  }

  /**
   * From now on: refused at CONNECT with 0x8A, or, an address, as soon as it connects. Who is
   * connected is disconnected with 0x98. Throws ST_ARGUMENT.
   */
  add(options: BanOptions): void {
    checkTable('banning', 'options', options);
    const { kind, value, seconds, reason = '' } = options;
    for (const [name, text] of Object.entries({ kind, value, reason })) {
      checkString('banning', name, text);
    }
    if (kind !== 'client' && kind !== 'user' && kind !== 'address') {
      throw wrong('kind', kind, '"client", "user" or "address"');
    }
    if (value === '' || Buffer.byteLength(value) > kMaxBanValue) {
      throw wrong('value', value.slice(0, 40), `text of 1 to ${kMaxBanValue} bytes`);
    }
    if (Buffer.byteLength(reason) > kMaxReason) {
      throw wrong('reason', reason.slice(0, 40), `text of at most ${kMaxReason} bytes`);
    }
    if (
      seconds !== undefined &&
      !(Number.isInteger(seconds) && seconds > 0 && seconds <= kMaxSeconds)
    ) {
      throw wrong('seconds', String(seconds), `a whole number from 1 to ${kMaxSeconds}`);
    }
    const ban: NativeBan = { kind, value, seconds: seconds ?? 0, reason };
    try {
      this.#native.ban(ban);
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== 'ST_NATIVE_BAN') throw cause;
      const allowed = kind === 'address' ? 'an address, or a network' : 'room';
      throw wrong('value', value, `${allowed}; at most 65536 bans`);
    }
  }

  /** False: there is none. */
  remove({ kind, value }: Pick<BanOptions, 'kind' | 'value'>): boolean {
    return this.#native.unban({ kind, value });
  }

  list({ cursor, limit }: { cursor?: string | undefined; limit: number }): BanPage {
    const from = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString();
    const page = this.#native.bans(from, limit);
    return {
      items: page.rows.map(infoOf),
      next: page.cursor === '' ? undefined : Buffer.from(page.cursor).toString('base64url'),
    };
  }
}

function infoOf({ kind, value, reason, source, expires_s }: NativeBanRow): BanInfo {
  const expiresAt = expires_s === null ? undefined : Date.now() + expires_s * 1000;
  return { kind, value, reason, source, expiresAt };
}

function wrong(name: string, found: string, allowed: string): Error {
  return fail('ST_ARGUMENT', { doing: 'banning', name, found, allowed });
}
