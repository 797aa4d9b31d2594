/**
 * HTTPS of the console and the exporter: the same tables and files as those of listeners, in Node's
 * module https. Loaded only where one of them has a `tls` table.
 */
import type { RequestListener, ServerOptions } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { TlsConfig } from '../config/access-config.js';
import type { LogRecord } from '../log/logger.js';
import type { TlsEngine } from './engine.js';
import type { FileWatchTimes } from './file-watch.js';
import { type NodeContext, nodeContext, useContext } from './node/context.js';
import { checkTls, TlsContexts, type TlsListener } from './tls-contexts.js';

const kHandshakeTimeoutMs = 10_000;

/** Makes the servers of one service, and gives them new certificates when their files change. */
export class ServiceTls {
  readonly #name: string;
  readonly #contexts: TlsContexts;
  readonly #made = new Map<number, NodeContext>();
  readonly #servers = new Map<number, Server>();
  #next = 1;
  #current: NodeContext;

  /** Throws ST_TLS_…. */
  constructor(
    name: string,
    tls: TlsConfig,
    write: (record: LogRecord) => void,
    watchTimes?: FileWatchTimes,
  ) {
    this.#name = name;
    const engine: TlsEngine = {
      tlsContext: (options) => {
        this.#made.set(this.#next, nodeContext(options));
        return this.#next++;
      },
      setTls: (id, made) => {
        this.#current = this.#made.get(made) ?? this.#current;
        const server = this.#servers.get(id);
        if (server !== undefined) useContext(server, this.#current);
      },
      releaseTls: (made) => void this.#made.delete(made),
      place: (made) => ({ tls: made, tls_outside: false }),
    };
    const times = watchTimes === undefined ? {} : { watchTimes };
    this.#contexts = new TlsContexts({ engine, write, ...times });
    const place = this.#contexts.placeOf(name, listenerOf(name, tls));
    const made = this.#made.get(place.tls);
    if (made === undefined) throw new Error('no context was made');
    this.#current = made;
  }

  createServer(options: ServerOptions, handler?: RequestListener): Server {
    const { server: tls, verify } = this.#current;
    const server = createServer(
      {
        ...options,
        ...tls,
        handshakeTimeout: kHandshakeTimeoutMs,
        // By what is in force then.
        SNICallback: (name, done) => this.#current.server.SNICallback?.(name, done),
        rejectUnauthorized: verify === 'require',
      },
      handler,
    );
    useContext(server, this.#current);
    server.prependListener('secureConnection', (socket: TLSSocket) => {
      // Optional: none is fine, one that is not valid is not.
      const isShown = socket.getPeerX509Certificate() !== undefined;
      if (verify === 'optional' && isShown && !socket.authorized) socket.destroy();
    });
    const id = this.#servers.size + 1;
    this.#servers.set(id, server);
    this.#contexts.bind(this.#name, id);
    return server;
  }

  /** SIGHUP: reads the files again. What is wrong is logged, and nothing changes then. */
  reload(): void {
    this.#contexts.reload('the configuration was reloaded');
  }

  async stop(): Promise<void> {
    await this.#contexts.stop();
  }
}

/** Throws ST_TLS_… for what a start would end with. */
export function checkServiceTls(name: string, tls: TlsConfig): void {
  checkTls(listenerOf(name, tls), (options) => void nodeContext(options));
}

const listenerOf = (name: string, tls: TlsConfig): TlsListener => ({
  name,
  tls,
  transport: 'websocket',
});
