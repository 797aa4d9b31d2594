/** Opens the configured listeners: names to addresses, and failures to words that help. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { formatAddress, type ListenAddress } from '../config/address.js';
import type { BrokerConfig, ListenerConfig, ListenerKind } from '../config/resolve.js';
import { fail, messageOf, systemCode } from '../errors.js';
import type { NativeBroker } from '../native/addon.js';
import { nativeListenSpec } from '../native/options.js';

/** Where the broker listens. */
export interface BoundAddress {
  /** The listener's name. */
  readonly listener: string;
  readonly kind: ListenerKind;
  /** An IP address, or the path of a Unix socket. */
  readonly host: string;
  /** 0 = a Unix socket. */
  readonly port: number;
  /** "127.0.0.1:1883", "[::1]:1883", "unix:/run/mqtt.sock". */
  readonly text: string;
}

/** Of an address that this machine does not have. */
const absent = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

export class Listeners {
  readonly #native: Pick<NativeBroker, 'listen'>;
  readonly #config: BrokerConfig;
  readonly #bound: BoundAddress[] = [];
  /** By the native half's listener id. */
  readonly #names = new Map<number, string>();

  constructor(native: Pick<NativeBroker, 'listen'>, config: BrokerConfig) {
    this.#native = native;
    this.#config = config;
  }

  get bound(): readonly BoundAddress[] {
    return this.#bound;
  }

  nameOf(listenerId: number): string {
    return this.#names.get(listenerId) ?? '';
  }

  /** Opens all of them, in order. Throws at the first that cannot be opened. */
  async open(): Promise<void> {
    for (const listener of this.#config.listeners) {
      for (const address of listener.listen) await this.#openAddress(listener, address);
      if (listener.unix !== undefined) this.#openUnix(listener, listener.unix);
    }
  }

  async #openAddress(listener: ListenerConfig, address: ListenAddress): Promise<void> {
    const hosts = await resolveHost(address);
    let opened = 0;
    let failure: unknown;
    // A name may have several addresses; "any port" means the same one for all of them.
    let { port } = address;
    for (const host of hosts) {
      try {
        port = this.#listen(listener, host, port);
        opened++;
      } catch (error) {
        const portOfFirst = opened > 0 && address.port === 0 && systemCode(error) === 'EADDRINUSE';
        const isAbsent = absent.has(systemCode(error) ?? '');
        if (!portOfFirst && !isAbsent)
          throw listenFailure(formatAddress(host, address.port), error);
        failure = error;
      }
    }
    if (opened === 0 && address.optional !== true) {
      throw listenFailure(formatAddress(address.host, address.port), failure);
    }
  }

  #listen(listener: ListenerConfig, host: string, port: number): number {
    const ipv6Only = host === '::' && this.#hasIpv4Wildcard(port);
    const bound = this.#native.listen(nativeListenSpec(listener, { host, port, ipv6Only }));
    this.#names.set(bound.id, listener.name);
    this.#bound.push({
      listener: listener.name,
      kind: listener.kind,
      host: bound.address,
      port: bound.port,
      text: formatAddress(bound.address, bound.port),
    });
    return bound.port;
  }

  /** "[::]:1883" beside "0.0.0.0:1883": each takes its own family, in whatever order they stand. */
  #hasIpv4Wildcard(port: number): boolean {
    return this.#config.listeners.some(({ listen }) =>
      listen.some((other) => other.host === '0.0.0.0' && other.port === port),
    );
  }

  #openUnix(listener: ListenerConfig, unix: { path: string; mode: number }): void {
    const { path } = unix;
    try {
      const bound = this.#native.listen(nativeListenSpec(listener, unix));
      this.#names.set(bound.id, listener.name);
    } catch (error) {
      throw listenFailure(`unix:${path}`, error);
    }
    this.#bound.push({
      listener: listener.name,
      kind: listener.kind,
      host: path,
      port: 0,
      text: `unix:${path}`,
    });
  }
}

/** The addresses of a host name, each once; an address is its own. */
async function resolveHost({ host, port }: ListenAddress): Promise<readonly string[]> {
  // An address with a zone ("fe80::1%eth0") is one for the system, not for isIP.
  if (isIP(host) !== 0 || host.includes('%')) return [host];
  try {
    const found = await lookup(host, { all: true, verbatim: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (cause) {
    const why = systemCode(cause) ?? messageOf(cause);
    throw fail('ST_RESOLVE', { address: formatAddress(host, port), why }, { cause });
  }
}

/** The error of an address that cannot be listened on, in words that help. */
export function listenFailure(address: string, cause: unknown): Error {
  const [why, next] = explain(systemCode(cause), cause);
  return fail('ST_LISTEN', { address, why, next }, { cause });
}

function explain(code: string | undefined, cause: unknown): readonly [why: string, next: string] {
  switch (code) {
    case 'EADDRINUSE':
      return ['the address is in use', 'stop the program that has it, or choose another port'];
    case 'EACCES':
    case 'EPERM':
      return ['this user may not', 'choose a port from 1024 up, or another path, or another user'];
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return ['this machine has no such address', 'choose one that it has, or 0.0.0.0 for all'];
    case 'ENOENT':
      return ["the socket's folder does not exist", 'make it'];
    case 'EMFILE':
    case 'ENFILE':
      return ['too many files are open', 'raise the limit (ulimit -n)'];
    default:
      return [
        code === undefined ? messageOf(cause) : `${code}: ${messageOf(cause)}`,
        'see the cause',
      ];
  }
}
