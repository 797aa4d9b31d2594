/**
 * One client of a listener whose TLS is Node's: its socket, TLS on it, and the stream to the native
 * half, which has admitted it, knows its address, and closes the stream when its time is up.
 * The records on the stream: native/io/outside_tls.hpp.
 */
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { NodeContext } from './context.js';
import {
  explainHandshake,
  failureCauses,
  type HandshakeFailure,
  noCertificate,
  notTls,
  refusedCertificate,
} from './failure.js';
import { proxyHeaderBytes } from './proxy.js';

const kBegun = 1;
const kOpen = 2;
const kFailed = 3;
/** How long a client may take to read our last bytes and close its side. */
const kLingerMs = 1000;

export interface OutsideDescriptors {
  readonly socket: number;
  readonly stream: number;
  /** A PROXY header comes first, and is for the native half. */
  readonly proxyFirst: boolean;
}

export class OutsideSocket {
  readonly #socket: Socket;
  readonly #stream: Socket;
  readonly #verify: NodeContext['verify'];
  /** Gives the socket to the tls.Server of its listener. */
  readonly #accept: (socket: Socket) => void;
  #secure: TLSSocket | undefined;
  #linger: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #onClose: () => void;

  constructor(
    { socket, stream, proxyFirst }: OutsideDescriptors,
    verify: NodeContext['verify'],
    accept: (socket: Socket) => void,
    onClose: () => void,
  ) {
    this.#stream = new Socket({ fd: stream, allowHalfOpen: true });
    this.#socket = new Socket({ fd: socket, allowHalfOpen: true });
    this.#verify = verify;
    this.#accept = accept;
    this.#onClose = onClose;
    this.#stream.on('error', () => this.#streamGone());
    this.#stream.once('close', () => this.#streamGone());
    this.#stream.once('end', () => this.#streamEnded());
    // The native half says nothing before the handshake is done; but it closes what takes too long.
    this.#stream.resume();
    this.#socket.on('error', () => this.destroy());
    this.#socket.once('close', () => this.destroy());
    this.#socket.once('end', () => {
      if (this.#secure === undefined) this.destroy();
    });
    if (proxyFirst) this.#forwardProxyHeader();
    else this.#awaitFirst();
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** The handshake is done. */
  secured(secure: TLSSocket): void {
    secure.on('error', () => this.destroy());
    secure.once('close', () => this.destroy());
    if (this.#closed) {
      secure.destroy();
      return;
    }
    this.#secure = secure;
    const certificate = secure.getPeerX509Certificate();
    if (this.#verify !== 'none' && !secure.authorized) {
      // Without one, "authorized" is false as well.
      if (certificate !== undefined) {
        this.refused(refusedCertificate(String(secure.authorizationError)));
        return;
      }
      if (this.#verify === 'require') {
        this.refused(noCertificate);
        return;
      }
    }
    const isVerified = this.#verify !== 'none' && secure.authorized;
    const der = isVerified ? certificate?.raw : undefined;
    this.#tell(kOpen, secure.isSessionReused() ? 1 : 0, der);
    this.#stream.pause();
    secure.pipe(this.#stream);
    this.#stream.pipe(secure);
  }

  failed(error: NodeJS.ErrnoException): void {
    this.refused(explainHandshake(error));
  }

  refused({ cause, text }: HandshakeFailure): void {
    if (this.#closed) return;
    this.#tell(kFailed, failureCauses.indexOf(cause), Buffer.from(text));
    this.#stream.end();
    this.destroy();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#linger);
    this.#secure?.destroy();
    this.#socket.destroy();
    // What was told last is still written.
    if (this.#stream.writableEnded || this.#secure === undefined) this.#stream.destroySoon();
    else this.#stream.destroy();
    this.#onClose();
  }

  #forwardProxyHeader(): void {
    let kept: Buffer = Buffer.alloc(0);
    const look = () => {
      const chunk: Buffer | null = this.#socket.read();
      if (chunk === null || this.#closed) return;
      kept = Buffer.concat([kept, chunk]);
      const bytes = proxyHeaderBytes(kept);
      if (bytes === undefined) return;
      this.#socket.off('readable', look);
      this.#stream.write(kept.subarray(0, bytes));
      if (bytes < kept.length) this.#socket.unshift(kept.subarray(bytes));
      this.#awaitFirst();
    };
    this.#socket.on('readable', look);
  }

  #awaitFirst(): void {
    const look = () => {
      const chunk: Buffer | null = this.#socket.read();
      if (chunk === null || this.#closed) return;
      this.#socket.off('readable', look);
      this.#tell(kBegun, 0);
      const failure = notTls(chunk[0]);
      if (failure !== undefined) return this.refused(failure);
      this.#socket.unshift(chunk);
      this.#accept(this.#socket);
    };
    this.#socket.on('readable', look);
    look();
  }

  /** The native half is done with it: it has said all, or given it up. */
  #streamEnded(): void {
    const secure = this.#secure;
    if (secure === undefined || this.#closed) {
      this.destroy();
      return;
    }
    secure.unpipe(this.#stream);
    this.#stream.end();
    secure.end();
    // What the client still sends must not become a reset, which would take our last bytes from it.
    secure.resume();
    this.#linger = setTimeout(() => this.destroy(), kLingerMs);
  }

  #streamGone(): void {
    if (this.#linger === undefined) this.destroy();
  }

  #tell(kind: number, number: number, body: Buffer = Buffer.alloc(0)): void {
    const head = Buffer.alloc(8);
    head[0] = kind;
    head[1] = number;
    head.writeUInt32LE(body.length, 4);
    this.#stream.write(Buffer.concat([head, body]));
  }
}
