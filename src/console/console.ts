/** The console: an HTTP API beside the broker. Loaded only where it is configured. */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { formatAddress, type ListenAddress } from '../config/address.js';
import type { ConsoleToken } from '../config/resolve.js';
import { listenFailure, resolveHost } from '../listener/listeners.js';
import { Access, type Door, isLoopback } from './access.js';
import type { ConsoleDeps } from './deps.js';
import { History } from './history.js';
import { internalProblem } from './problem.js';
import { allRoutes } from './routes/index.js';
import { Scanner } from './scan.js';
import { buildServer, type ConsoleServer } from './server.js';

/** Where it listens. */
export interface ConsoleAddress {
  readonly host: string;
  readonly port: number;
  readonly text: string;
}

/** HTTPS: of ServiceTls. */
export interface ServerMaker {
  createServer(options: ServerOptions, handler?: RequestListener): Server;
}

const kMaxConnections = 256;
const kHeadersTimeoutMs = 10_000;
const kRequestTimeoutMs = 30_000;
const kKeepAliveMs = 5000;
const kMaxHeaderBytes = 16 * 1024;
/** How long answers may take to end when it stops. */
const kStopMs = 1000;
const kNoDoor: Door = { text: '', host: '' };

export class Console {
  readonly #deps: ConsoleDeps;
  readonly #access: Access;
  readonly #doors = new WeakMap<object, Door>();
  readonly #tls: ServerMaker | undefined;
  #servers: Server[] = [];
  #built: ConsoleServer | undefined;
  #stopping = new AbortController();
  #unsubscribe: (() => void)[] = [];
  #stopped: Promise<void> | undefined;

  constructor(deps: ConsoleDeps, tokens: readonly ConsoleToken[] = [], tls?: ServerMaker) {
    this.#deps = deps;
    this.#tls = tls;
    this.#access = new Access(tokens);
  }

  /** After a reload: from the next request on. */
  replaceTokens(tokens: readonly ConsoleToken[]): void {
    this.#access.replaceTokens(tokens);
  }

  /** Resolves when all addresses are open; rejects, with nothing left open, if one cannot be. */
  async start(listen: readonly ListenAddress[]): Promise<readonly ConsoleAddress[]> {
    this.#stopped = undefined;
    this.#stopping = new AbortController();
    try {
      const access = this.#access;
      this.#built = await buildServer({
        deps: this.#deps,
        access,
        routes: this.#routes(),
        stopping: this.#stopping.signal,
        doorOf: (socket) => this.#doors.get(socket) ?? kNoDoor,
      });
      const addresses: ConsoleAddress[] = [];
      for (const address of listen) {
        // "[::]:3030" beside "0.0.0.0:3030": each takes its own family.
        const ipv6Only = listen.some((o) => o.host === '0.0.0.0' && o.port === address.port);
        addresses.push(...(await this.#open(address, ipv6Only)));
      }
      for (const address of addresses) this.#announce(address, access);
      return addresses;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Ends what is being sent, then closes. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    await Promise.all(this.#servers.splice(0).map(closeServer));
    await this.#built?.app.close();
    this.#built = undefined;
  }

  #routes() {
    const history = new History();
    this.#unsubscribe.push(
      this.#deps.onConnect((client) => history.connected(client)),
      this.#deps.onDisconnect((client) => history.disconnected(client)),
    );
    return allRoutes({
      deps: this.#deps,
      history,
      scanner: new Scanner(this.#stopping.signal, (error) =>
        internalProblem((record) => this.#deps.log(record), error, { route: 'a listing' }),
      ),
      openapi: () => this.#built?.app.swagger() ?? {},
    });
  }

  async #open(
    { host, port, optional }: ListenAddress,
    ipv6Only: boolean,
  ): Promise<readonly ConsoleAddress[]> {
    const opened: ConsoleAddress[] = [];
    let chosen = port;
    for (const one of await resolveHost({ host, port })) {
      try {
        const address = await this.#listen({ host: one, port: chosen, ipv6Only });
        // One name, several addresses: all have the port that the first one got.
        chosen = address.port;
        opened.push(address);
      } catch (error) {
        if (opened.length === 0 && optional !== true) {
          throw listenFailure(formatAddress(one, port), error);
        }
      }
    }
    return opened;
  }

  async #listen(at: {
    readonly host: string;
    readonly port: number;
    readonly ipv6Only: boolean;
  }): Promise<ConsoleAddress> {
    const tls = this.#tls;
    const make: ServerMaker['createServer'] = (...of) =>
      tls === undefined ? createServer(...of) : tls.createServer(...of);
    const server = make(
      {
        maxHeaderSize: kMaxHeaderBytes,
        headersTimeout: kHeadersTimeoutMs,
        requestTimeout: kRequestTimeoutMs,
        keepAliveTimeout: kKeepAliveMs,
        connectionsCheckingInterval: 2000,
      },
      this.#built?.handler,
    );
    server.maxConnections = kMaxConnections;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, () => {
        server.off('error', reject);
        resolve();
      });
    });
    // What goes wrong with one connection must not end the process.
    server.on('error', (error) => this.#log('warn', `console: ${error.message}`));
    server.on('clientError', answerBroken);
    server.on('upgrade', (...of) => void this.#built?.app.server.emit('upgrade', ...of));
    const bound = server.address() as AddressInfo;
    const door = { host: bound.address, text: formatAddress(bound.address, bound.port) };
    const comes = tls === undefined ? 'connection' : 'secureConnection';
    server.on(comes, (socket: Duplex) => void this.#doors.set(socket, door));
    this.#servers.push(server);
    return { host: bound.address, port: bound.port, text: door.text };
  }

  #announce({ host, text }: ConsoleAddress, { hasTokens }: Access): void {
    this.#log('notice', `console on ${this.#tls === undefined ? 'http' : 'https'}://${text}`);
    if (isLoopback(host)) return;
    if (hasTokens) {
      if (this.#tls === undefined) this.#log('warn', clearText(text));
      return;
    }
    this.#log(
      'warn',
      `the console on ${text} can be reached from other machines and has no tokens, so it serves ` +
        'only what rumqttd served for reading; configure [console.tokens]',
    );
  }

  #log(level: 'notice' | 'warn', text: string): void {
    this.#deps.log({ level, module: 'console', text, fields: {} });
  }
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), kStopMs);
  await closed;
  clearTimeout(timer);
}

const clearText = (text: string) =>
  `the console on ${text} can be reached from other machines, and its tokens go over the network ` +
  'unencrypted; configure [console.tls]';

/** A handshake that failed: there is nobody to answer in HTTP. */
const isOfTls = ({ code = '' }: NodeJS.ErrnoException) => /^ERR_(SSL|TLS)/.test(code);

/** What is not HTTP, or too slow or too large in its header. */
function answerBroken(error: NodeJS.ErrnoException, socket: Duplex) {
  if (error.code === 'ECONNRESET' || isOfTls(error) || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, code] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'too_large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'timeout']
        : ['400 Bad Request', 'bad_request'];
  const body = JSON.stringify({ error: { code, message: 'not a request that can be read' } });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nConnection: close\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
