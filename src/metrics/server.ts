/** GET / and GET /metrics, on node:http: what a scraper needs, and nothing else. */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { formatAddress, type ListenAddress } from '../config/address.js';
import { listenFailure } from '../listener/listeners.js';
import type { Format } from './exposition.js';

export interface ExporterServerDeps {
  text(format: Format): Promise<string>;
  contentType(format: Format): string;
  onError(error: unknown): void;
  /** HTTPS instead. */
  readonly tls?: ServerMaker | undefined;
}

/** Of ServiceTls. */
export interface ServerMaker {
  createServer(
    options: ServerOptions,
    handler: (request: IncomingMessage, response: ServerResponse) => void,
  ): Server;
}

/** A scraper needs one connection; more than this many at once is something else. */
const kMaxConnections = 64;
const kRequestTimeoutMs = 10_000;

export class ExporterServer {
  readonly #deps: ExporterServerDeps;
  readonly #servers: Server[] = [];
  readonly #addresses: string[] = [];

  constructor(deps: ExporterServerDeps) {
    this.#deps = deps;
  }

  /** "127.0.0.1:9042" */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  async listen(addresses: readonly ListenAddress[]): Promise<void> {
    for (const address of addresses) await this.#listen(address);
  }

  async close(): Promise<void> {
    const closed = this.#servers.map(
      (server) => new Promise<void>((done) => server.close(() => done())),
    );
    for (const server of this.#servers) server.closeAllConnections();
    this.#servers.length = 0;
    this.#addresses.length = 0;
    await Promise.all(closed);
  }

  async #listen({ host, port, optional }: ListenAddress): Promise<void> {
    const { tls } = this.#deps;
    const make: ServerMaker['createServer'] = (...of) =>
      tls === undefined ? createServer(...of) : tls.createServer(...of);
    const server = make(
      { requestTimeout: kRequestTimeoutMs, headersTimeout: kRequestTimeoutMs },
      (request, response) => void this.#answer(request, response),
    );
    server.maxConnections = kMaxConnections;
    try {
      await new Promise<void>((done, failed) => {
        server.once('error', failed);
        server.listen({ host, port }, done);
      });
    } catch (error) {
      if (optional === true) return;
      throw listenFailure(formatAddress(host, port), error);
    }
    server.on('error', (error) => this.#deps.onError(error));
    this.#servers.push(server);
    const bound = server.address();
    if (bound !== null && typeof bound === 'object') {
      this.#addresses.push(formatAddress(bound.address, bound.port));
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0];
    if (path !== '/' && path !== '/metrics') {
      end(response, 404, 'not found; the metrics are at /metrics\n');
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      end(response, 405, 'only GET\n');
      return;
    }
    const format: Format = wantsOpenMetrics(request.headers.accept) ? 'openmetrics' : 'prometheus';
    try {
      const text = await this.#deps.text(format);
      end(response, 200, text, this.#deps.contentType(format));
    } catch (error) {
      this.#deps.onError(error);
      end(response, 500, 'the metrics could not be read; the log says why\n');
    }
  }
}

function end(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}

/** Prometheus offers both with weights; OpenMetrics is given where it is named and not refused. */
function wantsOpenMetrics(accept: string | undefined): boolean {
  for (const offer of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = offer.split(';').map((part) => part.trim().toLowerCase());
    if (type !== 'application/openmetrics-text') continue;
    return !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  }
  return false;
}
