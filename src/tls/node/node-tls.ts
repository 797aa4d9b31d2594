/**
 * TLS of listeners in Node's module tls, for runtimes without an OpenSSL 3 that the native half could
 * use. Sockets come from the native half, accepted and admitted; it gets the plain bytes.
 * Everything here runs on JavaScript's thread.
 */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { NativeBroker, NativeTlsOptions } from '../../native/addon.js';
import type { TlsEngine, TlsPlace } from '../engine.js';
import { type NodeContext, nodeContext, useContext } from './context.js';
import { OutsideSocket } from './outside-socket.js';

type Native = Pick<NativeBroker, 'takeOutside'>;

/** What those who came with it have in common; it never listens itself. */
interface Served {
  readonly server: Server;
  readonly verify: NodeContext['verify'];
}

/** Clients may take this long to read the last bytes when the broker stops. */
const kStopMs = 1000;

export class NodeTls implements TlsEngine {
  readonly #native: Native;
  readonly #contexts = new Map<number, Served>();
  readonly #listeners = new Map<number, Served>();
  readonly #open = new Map<Socket, OutsideSocket>();
  #next = 1;
  #stopped: (() => void) | undefined;

  constructor(native: Native) {
    this.#native = native;
  }

  /** Throws as the native half does. */
  static check(options: NativeTlsOptions): void {
    nodeContext(options);
  }

  tlsContext(options: NativeTlsOptions): number {
    const context = nodeContext(options);
    const { verify } = context;
    const server = createServer(context.server);
    useContext(server, context);
    server.on('secureConnection', (secure) => this.#of(secure)?.secured(secure));
    server.on('tlsClientError', (error, secure) => this.#of(secure)?.failed(error));
    this.#contexts.set(this.#next, { server, verify });
    return this.#next++;
  }

  /** For connections of this listener that come from now on. */
  setTls(listenerId: number, tls: number): void {
    const served = this.#contexts.get(tls);
    if (served === undefined) throw new RangeError('setTls: there is no such context');
    this.#listeners.set(listenerId, served);
  }

  releaseTls(tls: number): void {
    this.#contexts.delete(tls);
  }

  place(_tls: number): TlsPlace {
    return { tls: 0, tls_outside: true };
  }

  bound(listenerId: number, tls: number): void {
    this.setTls(listenerId, tls);
  }

  /** Its socket is closed; connections stay. */
  forget(listenerId: number): void {
    this.#listeners.delete(listenerId);
  }

  /** Takes what the native half has accepted; it calls when there is something. */
  readonly take = (): void => {
    const numbers = this.#native.takeOutside();
    for (let at = 0; at + 3 < numbers.length; at += 4) {
      const [listener = 0, socket = -1, stream = -1, proxy] = numbers.slice(at, at + 4);
      this.#begin(listener, { socket, stream, proxyFirst: proxy === 1 });
    }
  };

  /** After the native half has stopped. Resolves when the last bytes are with the clients. */
  async stop(): Promise<void> {
    this.#listeners.clear();
    this.#contexts.clear();
    if (this.#open.size === 0) return;
    const timer = setTimeout(() => {
      for (const each of [...this.#open.values()]) each.destroy();
    }, kStopMs);
    await new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    clearTimeout(timer);
  }

  #begin(
    listener: number,
    descriptors: { readonly socket: number; readonly stream: number; readonly proxyFirst: boolean },
  ): void {
    const served = this.#listeners.get(listener);
    if (served === undefined) {
      closeSync(descriptors.socket);
      closeSync(descriptors.stream);
      return;
    }
    const { server, verify } = served;
    const outside: OutsideSocket = new OutsideSocket(
      descriptors,
      verify,
      (socket) => void server.emit('connection', socket),
      () => this.#closed(outside),
    );
    this.#open.set(outside.socket, outside);
  }

  #closed(outside: OutsideSocket): void {
    this.#open.delete(outside.socket);
    if (this.#open.size === 0) this.#stopped?.();
  }

  /** tls.Server does not say for which of the sockets that it was given. */
  #of(secure: TLSSocket): OutsideSocket | undefined {
    const { _parent: socket } = secure as { _parent?: Socket };
    const found = socket === undefined ? undefined : this.#open.get(socket);
    if (found === undefined) secure.destroy();
    return found;
  }
}
