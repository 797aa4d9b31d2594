/**
 * The TLS contexts of all listeners: made from files, replaced when these change or on SIGHUP.
 * Connections that are there keep what they began with. A file that is wrong leaves everything of its
 * listener as it was, and says so.
 */
import { createHash } from 'node:crypto';
import type { TlsConfig } from '../config/access-config.js';
import { messageOf } from '../errors.js';
import type { LogRecord } from '../log/logger.js';
import type { NativeTlsOptions } from '../native/addon.js';
import type { TlsEngine, TlsPlace } from './engine.js';
import { FileWatch, type FileWatchTimes } from './file-watch.js';
import {
  filesOf,
  isTlsFailure,
  readTlsFiles,
  type TlsTransport,
  tlsFailure,
} from './identity-files.js';

export interface TlsContextsParts {
  readonly engine: TlsEngine;
  readonly write: (record: LogRecord) => void;
  readonly watchTimes?: FileWatchTimes;
}

/** What of a listener concerns TLS. */
export interface TlsListener {
  readonly name: string;
  readonly tls: TlsConfig;
  readonly transport: TlsTransport;
}

export interface PreparedTls {
  /** Whether it says something else than what is there, in the table or in one of its files. */
  readonly isChanged: boolean;
  readonly take: () => void;
  readonly drop: () => void;
}

interface Entry {
  listener: TlsListener;
  /** The native half's number. */
  context: number;
  /** Of everything that made the context. */
  digest: string;
  readonly sockets: Set<number>;
}

export class TlsContexts {
  readonly #engine: TlsEngine;
  readonly #write: (record: LogRecord) => void;
  readonly #watch: FileWatch;
  readonly #entries = new Map<string, Entry>();

  constructor({ engine, write, watchTimes }: TlsContextsParts) {
    this.#engine = engine;
    this.#write = write;
    this.#watch = new FileWatch(() => this.reload('a file has changed'), watchTimes);
  }

  /**
   * For a NativeListenSpec, the same for all sockets of a listener. `key` names the listener through
   * reloads (its table). Throws ST_TLS_….
   */
  placeOf(key: string, listener: TlsListener): TlsPlace {
    return this.#engine.place(this.#contextOf(key, listener));
  }

  #contextOf(key: string, listener: TlsListener): number {
    const entry = this.#entries.get(key);
    if (entry !== undefined) return entry.context;
    const { context, digest } = this.#make(listener, readFiles(listener));
    this.#entries.set(key, { listener, context, digest, sockets: new Set() });
    this.#watchAll();
    return context;
  }

  /** A listening socket has the context; a reload gives it the next one. */
  bind(key: string, listenerId: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.sockets.add(listenerId);
    this.#engine.bound?.(listenerId, entry.context);
  }

  /** It is closed; the last one takes the context with it. */
  unbind(key: string, listenerId: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#engine.forget?.(listenerId);
    entry.sockets.delete(listenerId);
    if (entry.sockets.size > 0) return;
    this.#engine.releaseTls(entry.context);
    this.#entries.delete(key);
    this.#watchAll();
  }

  /** Those of listeners that could not be opened. */
  dropUnused(): void {
    for (const [key, { context, sockets }] of this.#entries) {
      if (sockets.size > 0) continue;
      this.#engine.releaseTls(context);
      this.#entries.delete(key);
    }
    this.#watchAll();
  }

  /**
   * For another configuration: makes what it says, and changes nothing yet. Throws ST_TLS_…. One of
   * the two that it returns must be called.
   */
  prepare(key: string, listener: TlsListener): PreparedTls {
    const files = readFiles(listener);
    // The same again would only make clients forget the sessions that they could resume.
    if (this.#entries.get(key)?.digest === digestOf(files)) return unchanged;
    const next = this.#make(listener, files);
    return {
      isChanged: true,
      take: () => {
        const entry = this.#entries.get(key);
        if (entry === undefined) return this.#engine.releaseTls(next.context);
        entry.listener = listener;
        this.#replace(entry, next);
        this.#watchAll();
      },
      drop: () => this.#engine.releaseTls(next.context),
    };
  }

  /** Reads all files again. Never throws: what is wrong is logged, and its listener stays as it was. */
  reload(why: string): void {
    for (const entry of this.#entries.values()) {
      const { name } = entry.listener;
      try {
        const files = readFiles(entry.listener);
        if (digestOf(files) === entry.digest) continue;
        this.#replace(entry, this.#make(entry.listener, files));
        this.#log('info', `TLS of listener "${name}" read anew: ${why}`, name);
      } catch (error) {
        this.#log('error', `${messageOf(error)}; new connections get what was there before`, name);
      }
    }
    this.#watchAll();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    for (const { context } of this.#entries.values()) this.#engine.releaseTls(context);
    this.#entries.clear();
    await this.#engine.stop?.();
  }

  #make(listener: TlsListener, files: NativeTlsOptions): Made {
    const context = makeContext(listener, files, (options) => this.#engine.tlsContext(options));
    return { context, digest: digestOf(files) };
  }

  #replace(entry: Entry, next: Made): void {
    const before = entry.context;
    entry.context = next.context;
    entry.digest = next.digest;
    for (const id of entry.sockets) this.#engine.setTls(id, entry.context);
    this.#engine.releaseTls(before);
  }

  #watchAll(): void {
    this.#watch.set([...this.#entries.values()].flatMap(({ listener }) => filesOf(listener.tls)));
  }

  #log(level: 'info' | 'error', text: string, listener: string): void {
    this.#write({ level, module: 'listener', text, fields: { listener } });
  }
}

/** Reads and checks, for `check` and before a change. Throws ST_TLS_…. */
export function checkTls(listener: TlsListener, check: (options: NativeTlsOptions) => void): void {
  makeContext(listener, readFiles(listener), check);
}

type Made = Pick<Entry, 'context' | 'digest'>;

const unchanged: PreparedTls = { isChanged: false, take: () => {}, drop: () => {} };

const readFiles = ({ name, tls, transport }: TlsListener): NativeTlsOptions =>
  readTlsFiles(name, tls, transport);

/** Of what the files hold, and of what the table says. Nothing can be read from it. */
function digestOf(options: NativeTlsOptions): string {
  return createHash('sha256').update(JSON.stringify(options)).digest('base64');
}

function makeContext<T>(
  { name, tls }: TlsListener,
  options: NativeTlsOptions,
  make: (options: NativeTlsOptions) => T,
): T {
  try {
    return make(options);
  } catch (cause) {
    throw isTlsFailure(cause) ? tlsFailure(name, tls, cause) : cause;
  }
}
