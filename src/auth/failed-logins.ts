/**
 * Failed logins by address, in a window that starts with the first: who has too many is banned for a
 * while, or refused until the window ends where nobody is banned. Bounded: the oldest address is
 * forgotten first. Addresses of IPv6 count by /64, which is what one subscriber has. Pure; takes now.
 */
import { isIPv6 } from 'node:net';

export interface FailedLoginLimits {
  /** In the window; 0 = no limit. */
  readonly perAddress: number;
  readonly windowS: number;
  /** 0 = refused until the window ends, without a ban. */
  readonly banS: number;
  /** How long the answer to a refused login waits. */
  readonly delayMs: number;
}

interface Window {
  failures: number;
  /** ms: then it is forgotten. */
  until: number;
}

const kMaxAddresses = 16_384;

export class FailedLogins {
  #limits: FailedLoginLimits;
  readonly #windows = new Map<string, Window>();

  constructor(limits: FailedLoginLimits) {
    this.#limits = limits;
  }

  get limits(): FailedLoginLimits {
    return this.#limits;
  }

  set limits(limits: FailedLoginLimits) {
    this.#limits = limits;
  }

  get addresses(): number {
    return this.#windows.size;
  }

  /** Whether it may not even try. */
  isLimited(network: string | undefined, now: number): boolean {
    const { perAddress } = this.#limits;
    if (network === undefined || perAddress === 0) return false;
    const window = this.#current(network, now);
    return window !== undefined && window.failures >= perAddress;
  }

  /** Whether this one was the last that was allowed. */
  failed(network: string | undefined, now: number): boolean {
    const { perAddress } = this.#limits;
    if (network === undefined || perAddress === 0) return false;
    const { windowS, banS } = this.#limits;
    const window = this.#current(network, now) ?? this.#open(network, now + windowS * 1000);
    window.failures++;
    if (window.failures !== perAddress) return false;
    if (banS > 0) window.until = now + banS * 1000;
    return true;
  }

  #open(network: string, until: number): Window {
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size < kMaxAddresses) break;
      this.#windows.delete(oldest);
    }
    const window = { failures: 0, until };
    this.#windows.set(network, window);
    return window;
  }

  #current(network: string, now: number): Window | undefined {
    const window = this.#windows.get(network);
    if (window === undefined || now < window.until) return window;
    this.#windows.delete(network);
    return undefined;
  }
}

/**
 * "192.0.2.7:1883" → "192.0.2.7", "[2001:db8::1]:1883" → "2001:db8::/64". undefined: not limited,
 * because it may stand for many: a Unix socket, or this machine, where a proxy may be.
 */
export function networkOf(address: string): string | undefined {
  const host = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/:\d+$/, '');
  const [plain = ''] = host.split('%');
  if (isIPv6(plain)) {
    const groups = expand(plain);
    const mapped = mappedIPv4(groups);
    if (mapped !== undefined) return networkOf(mapped);
    if (groups.slice(0, 7).every((group) => group === 0) && groups[7] === 1) return undefined;
    const prefix = groups.slice(0, 4).map((group) => group.toString(16));
    return `${prefix.join(':')}::/64`;
  }
  return /^\d+\.\d+\.\d+\.\d+$/.test(plain) && !plain.startsWith('127.') ? plain : undefined;
}

/** Its eight groups. */
function expand(address: string): number[] {
  const v4 = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const [, a, b, c, d] = (v4 ?? []).map(Number);
  const text =
    v4 === null
      ? address
      : address.slice(0, v4.index) +
        [(a ?? 0) * 256 + (b ?? 0), (c ?? 0) * 256 + (d ?? 0)].map((n) => n.toString(16)).join(':');
  const [head = '', tail] = text.split('::');
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function mappedIPv4(groups: readonly number[]): string | undefined {
  const [g5, g6, g7] = groups.slice(5);
  if (groups.slice(0, 5).some((group) => group !== 0) || g5 !== 0xffff) return undefined;
  const of = (group = 0) => `${group >> 8}.${group & 255}`;
  return `${of(g6)}.${of(g7)}`;
}
