/**
 * One request, one answer, bounded in time and bytes. Follows no redirect: credentials go where the
 * configuration says and nowhere else. Errors name the origin and never the rest of the URL.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { messageOf, systemCode } from '../../errors.js';

export interface HttpClientOptions {
  readonly url: string;
  readonly timeoutMs: number;
  readonly maxSockets: number;
  readonly maxBytes: number;
  /** PEM. */
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #url: URL;
  readonly #agent: HttpAgent;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    const { maxSockets, ca, cert, key } = options;
    const shared = { keepAlive: true, keepAliveMsecs: 10_000, maxSockets };
    this.#agent =
      this.#url.protocol === 'https:'
        ? new HttpsAgent({
            ...shared,
            minVersion: 'TLSv1.2',
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined ? {} : { cert }),
            ...(key === undefined ? {} : { key }),
          })
        : new HttpAgent(shared);
  }

  get origin(): string {
    return this.#url.origin;
  }

  send({ method, headers, body = '' }: HttpRequest): Promise<HttpAnswer> {
    const { timeoutMs } = this.#options;
    const make = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const fail = (why: string, cause?: unknown) => {
        clearTimeout(timer);
        reject(new Error(`${this.origin}: ${why}`, cause === undefined ? {} : { cause }));
      };
      const request = make(this.#url, {
        method,
        agent: this.#agent,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      });
      const timer = setTimeout(() => {
        fail(`no answer within ${timeoutMs} ms`);
        request.destroy();
      }, timeoutMs);
      request.on('error', (cause) => fail(systemCode(cause) ?? messageOf(cause), cause));
      request.on('response', (response) => {
        this.#read(response).then(
          (bytes) => {
            clearTimeout(timer);
            const contentType = response.headers['content-type'] ?? '';
            resolve({ status: response.statusCode ?? 0, contentType, body: bytes });
          },
          (cause) => {
            fail(messageOf(cause), cause);
            request.destroy();
          },
        );
      });
      request.end(body);
    });
  }

  stop(): void {
    this.#agent.destroy();
  }

  async #read(response: IncomingMessage): Promise<Buffer> {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of response) {
      parts.push(part as Buffer);
      bytes += (part as Buffer).length;
      if (bytes > this.#options.maxBytes) {
        throw new Error(`its answer has more than ${this.#options.maxBytes} bytes`);
      }
    }
    return Buffer.concat(parts);
  }
}
