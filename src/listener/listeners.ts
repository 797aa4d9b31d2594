/** Opens the configured listeners: names to addresses, and failures to words that help. */
import { lookup } from 'node:dns/promises';
import { type AddressInfo, isIP } from 'node:net';
import { formatAddress, type ListenAddress } from '../config/address.js';
import { atPlace } from '../config/places.js';
import type { ListenerChange } from '../config/reload.js';
import type { ListenerConfig, ListenerKind } from '../config/resolve.js';
import { fail, messageOf, StMqttdError, systemCode } from '../errors.js';
import type { NativeAdmission, NativeBroker } from '../native/addon.js';
import { listenerLimits, nativeChannelSpec, nativeListenSpec } from '../native/options.js';
import type { TlsPlace } from '../tls/engine.js';
import type { PreparedTls, TlsContexts, TlsListener } from '../tls/tls-contexts.js';

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

/** As a verdict sees it; TLS and WebSocket over a Unix socket too. */
export type ListenerTransport = 'tcp' | 'unix' | 'tls' | 'ws' | 'wss';

/** A listening socket in numbers. */
export interface ListenerSample {
  /** The listener's name. */
  readonly name: string;
  readonly transport: ListenerTransport;
  /** Open now. */
  readonly connections: number;
}

/** In the form of net.Server.address(). */
export function socketAddress(bound: BoundAddress | undefined): AddressInfo | string | null {
  if (bound === undefined) return null;
  const { host, port } = bound;
  if (port === 0) return host;
  return { address: host, family: host.includes(':') ? 'IPv6' : 'IPv4', port };
}

/** What a change of the configuration does to listening sockets. */
export interface ListenerChanges {
  readonly listenersAdded: readonly ListenerConfig[];
  readonly listenersRemoved: readonly ListenerConfig[];
  readonly listenersChanged: readonly ListenerChange[];
}

/** One listening socket. */
interface Entry {
  /** The native half's. */
  readonly id: number;
  /** Of the configuration, as it was when it was opened or last changed. */
  listener: ListenerConfig;
  /** The address as it is configured: of a host name several are bound. */
  readonly asked: string;
  readonly bound: BoundAddress;
}

type Native = Pick<
  NativeBroker,
  | 'listen'
  | 'unlisten'
  | 'setLimits'
  | 'setAdmission'
  | 'setChannels'
  | 'setHandshakeTimeout'
  | 'listenerConnections'
>;

/** Loads what TLS listeners need; called where there is one. */
export type LoadTls = () => Promise<TlsContexts>;

/** undefined = a Unix socket. */
const hostOf = ({ host, port }: BoundAddress) => (port === 0 ? undefined : host);

/** Of an address that this machine does not have. */
const absent = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);
const unixText = (path: string) => `unix:${path}`;

export class Listeners {
  readonly #native: Native;
  /** All that are configured: addresses depend on each other. */
  #configured: readonly ListenerConfig[];
  #entries: Entry[] = [];
  /** By the native half's listener id; of closed ones too, for their connections stay. */
  readonly #names = new Map<number, string>();
  readonly #transports = new Map<number, ListenerTransport>();
  readonly #loadTls: LoadTls;
  /** Once a listener has TLS. */
  #tls: TlsContexts | undefined;

  constructor(native: Native, configured: readonly ListenerConfig[], loadTls: LoadTls) {
    this.#native = native;
    this.#configured = configured;
    this.#loadTls = loadTls;
  }

  get bound(): readonly BoundAddress[] {
    return this.#entries.map(({ bound }) => bound);
  }

  /** Of listeners that are closed too, while their connections stay. */
  samples(): readonly ListenerSample[] {
    const open = new Map(this.#entries.map(({ id, bound }) => [id, bound]));
    return [...this.#names].flatMap(([id, name]) => {
      const bound = open.get(id);
      const connections = this.#native.listenerConnections(id);
      if (bound === undefined && connections === 0) return [];
      const transport = this.#transports.get(id) ?? 'tcp';
      return [{ name, transport, connections }];
    });
  }

  nameOf(listenerId: number): string {
    return this.#names.get(listenerId) ?? '';
  }

  /** Opens all of them, in order. Throws at the first that cannot be opened. */
  async open(): Promise<void> {
    await this.#prepareTls(this.#configured);
    for (const listener of this.#configured) this.#entries.push(...(await this.#openAll(listener)));
  }

  /** Of all that are open, by name: whether CONNECTs come to TypeScript. Until then all do. */
  admit(admissionOf: (listener: string) => NativeAdmission): void {
    for (const { id, listener } of this.#entries) {
      this.#native.setAdmission(id, admissionOf(listener.name));
    }
  }

  /**
   * Opens what is new, changes what stays, closes what is gone. Where something cannot be opened
   * it throws, and everything is as it was. Connections of closed listeners stay. Certificates of
   * all listeners are read anew; resolves to the names of those where they have changed.
   */
  async change(
    changes: ListenerChanges,
    configured: readonly ListenerConfig[],
  ): Promise<readonly string[]> {
    const before = this.#configured;
    this.#configured = configured;
    const opened: Entry[] = [];
    const closed = this.#closedBy(changes);
    const reopened: Entry[] = [];
    const prepared: (PreparedTls & { readonly name: string })[] = [];
    try {
      await this.#prepareTls(configured);
      for (const listener of configured) {
        const next = tlsOf(listener);
        if (next === undefined || !this.#entriesOf(listener).some(hasTls)) continue;
        const made = this.#tls?.prepare(listener.table, next);
        if (made !== undefined) prepared.push({ ...made, name: listener.name });
      }
      for (const listener of changes.listenersAdded)
        opened.push(...(await this.#openAll(listener)));
      for (const { after, opened: addresses, unixOpened } of changes.listenersChanged) {
        for (const address of addresses) opened.push(...(await this.#openAddress(after, address)));
        if (unixOpened !== undefined) opened.push(this.#openUnix(after));
      }
      // Last, because it closes before it opens: everything else can be opened by now.
      for (const change of changes.listenersChanged) {
        if (!change.reopen) continue;
        for (const entry of this.#entriesOf(change.before)) {
          if (closed.has(entry)) continue;
          this.#close(entry);
          reopened.push(entry);
          opened.push(this.#openAgain(entry, change.after));
        }
      }
    } catch (error) {
      for (const each of prepared) each.drop();
      for (const entry of opened) this.#close(entry);
      this.#configured = before;
      for (const entry of reopened) this.#restore(entry);
      this.#tls?.dropUnused();
      throw error;
    }
    for (const entry of closed) this.#close(entry);
    for (const each of prepared) each.take();
    const gone = new Set([...closed, ...reopened]);
    this.#entries = [...this.#entries.filter((entry) => !gone.has(entry)), ...opened];
    for (const { after } of changes.listenersChanged) {
      for (const entry of this.#entriesOf(after)) {
        entry.listener = after;
        this.#native.setLimits(entry.id, listenerLimits(after, hostOf(entry.bound)));
        this.#native.setChannels(entry.id, nativeChannelSpec(after));
      }
    }
    return prepared.filter(({ isChanged }) => isChanged).map(({ name }) => name);
  }

  /** After the native half has stopped. */
  async stop(): Promise<void> {
    await this.#tls?.stop();
  }

  async #prepareTls(listeners: readonly ListenerConfig[]): Promise<void> {
    if (listeners.some(({ tls }) => tls !== undefined)) this.#tls ??= await this.#loadTls();
  }

  #close({ id, listener }: Pick<Entry, 'id' | 'listener'>): void {
    this.#native.unlisten(id);
    this.#tls?.unbind(listener.table, id);
  }

  #entriesOf({ table }: ListenerConfig): Entry[] {
    return this.#entries.filter(({ listener }) => listener.table === table);
  }

  #closedBy({ listenersRemoved, listenersChanged }: ListenerChanges): Set<Entry> {
    const closed = new Set(listenersRemoved.flatMap((listener) => this.#entriesOf(listener)));
    for (const change of listenersChanged) {
      const gone = new Set(change.closed.map(({ host, port }) => formatAddress(host, port)));
      if (change.unixClosed !== undefined) gone.add(unixText(change.unixClosed));
      for (const entry of this.#entriesOf(change.before)) {
        if (gone.has(entry.asked)) closed.add(entry);
      }
    }
    return closed;
  }

  /** All addresses of a listener, or none. */
  async #openAll(listener: ListenerConfig): Promise<Entry[]> {
    const opened: Entry[] = [];
    try {
      for (const address of listener.listen) {
        opened.push(...(await this.#openAddress(listener, address)));
      }
      if (listener.unix !== undefined) opened.push(this.#openUnix(listener));
    } catch (error) {
      for (const entry of opened) this.#close(entry);
      this.#tls?.dropUnused();
      throw error;
    }
    return opened;
  }

  async #openAddress(listener: ListenerConfig, address: ListenAddress): Promise<Entry[]> {
    const hosts = await resolveHost(address, listener);
    const asked = formatAddress(address.host, address.port);
    const opened: Entry[] = [];
    let failure: unknown;
    // A name may have several addresses; "any port" means the same one for all of them.
    let { port } = address;
    for (const host of hosts) {
      try {
        const entry = this.#listen(listener, asked, host, port);
        opened.push(entry);
        port = entry.bound.port;
      } catch (error) {
        const portOfFirst =
          opened.length > 0 && address.port === 0 && systemCode(error) === 'EADDRINUSE';
        const isAbsent = absent.has(systemCode(error) ?? '');
        if (!portOfFirst && !isAbsent) {
          for (const entry of opened) this.#close(entry);
          throw listenFailure(formatAddress(host, address.port), error, listener);
        }
        failure = error;
      }
    }
    if (opened.length === 0 && address.optional !== true) {
      throw listenFailure(asked, failure, listener);
    }
    return opened;
  }

  #listen(listener: ListenerConfig, asked: string, host: string, port: number): Entry {
    const ipv6Only = host === '::' && this.#hasIpv4Wildcard(port);
    const tls = this.#placeOf(listener);
    const bound = this.#native.listen(nativeListenSpec(listener, { host, port, ipv6Only }, tls));
    const text = formatAddress(bound.address, bound.port);
    return this.#entry(listener, asked, bound.id, bound.address, bound.port, text);
  }

  /** "[::]:1883" beside "0.0.0.0:1883": each takes its own family, in whatever order they stand. */
  #hasIpv4Wildcard(port: number): boolean {
    return this.#configured.some(({ listen }) =>
      listen.some((other) => other.host === '0.0.0.0' && other.port === port),
    );
  }

  #openUnix(listener: ListenerConfig): Entry {
    const { path, mode } = listener.unix ?? { path: '', mode: 0 };
    try {
      const tls = this.#placeOf(listener);
      const bound = this.#native.listen(nativeListenSpec(listener, { path, mode }, tls));
      return this.#entry(listener, unixText(path), bound.id, path, 0, unixText(path));
    } catch (error) {
      throw listenFailure(unixText(path), error, listener, 'unix');
    }
  }

  #entry(
    listener: ListenerConfig,
    asked: string,
    id: number,
    host: string,
    port: number,
    text: string,
  ): Entry {
    const { name, kind } = listener;
    this.#names.set(id, name);
    this.#transports.set(id, transportOf(listener, port === 0 ? 'unix' : 'tcp'));
    if (listener.tls !== undefined) this.#tls?.bind(listener.table, id);
    return { id, listener, asked, bound: { listener: name, kind, host, port, text } };
  }

  #placeOf(listener: ListenerConfig): TlsPlace | undefined {
    const tls = tlsOf(listener);
    return tls === undefined ? undefined : this.#tls?.placeOf(listener.table, tls);
  }

  /** The same address, with what its listener says now. */
  #openAgain({ bound, asked }: Entry, listener: ListenerConfig): Entry {
    if (bound.port === 0) return this.#openUnix(listener);
    try {
      return this.#listen(listener, asked, bound.host, bound.port);
    } catch (error) {
      throw listenFailure(bound.text, error, listener);
    }
  }

  /** Opens again what was closed for a change that failed. */
  #restore(entry: Entry): void {
    try {
      this.#entries[this.#entries.indexOf(entry)] = this.#openAgain(entry, entry.listener);
    } catch {
      // Somebody was quicker: it is lost, and the error that is thrown says which address.
      this.#entries = this.#entries.filter((other) => other !== entry);
    }
  }
}

function transportOf(
  { transport, tls }: ListenerConfig,
  socket: 'tcp' | 'unix',
): ListenerTransport {
  if (transport === 'websocket') return tls === undefined ? 'ws' : 'wss';
  return tls === undefined ? socket : 'tls';
}

const hasTls = ({ listener }: Entry): boolean => listener.tls !== undefined;

function tlsOf({ name, tls, transport }: ListenerConfig): TlsListener | undefined {
  return tls === undefined ? undefined : { name, tls, transport };
}

/** The addresses of a host name, each once; an address is its own. */
export async function resolveHost(
  { host, port }: ListenAddress,
  asker: object = {},
): Promise<readonly string[]> {
  // An address with a zone ("fe80::1%eth0") is one for the system, not for isIP.
  if (isIP(host) !== 0 || host.includes('%')) return [host];
  try {
    const found = await lookup(host, { all: true, verbatim: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (cause) {
    const why = systemCode(cause) ?? messageOf(cause);
    const error = fail('ST_RESOLVE', { address: formatAddress(host, port), why }, { cause });
    throw atPlace(error, asker, 'listen');
  }
}

/** The error of an address that cannot be listened on, in words that help. `asker`: whose it is. */
export function listenFailure(
  address: string,
  cause: unknown,
  asker: object = {},
  key: 'listen' | 'unix' = 'listen',
): unknown {
  if (cause instanceof StMqttdError) return cause;
  const [why, next] = explain(systemCode(cause), cause);
  return atPlace(fail('ST_LISTEN', { address, why, next }, { cause }), asker, key);
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
