/**
 * One request, one answer, bounded in time and bytes, by undici. Follows no redirect: credentials go
 * where the configuration says and nowhere else. Errors name the origin and never the rest of the URL.
 */
import { createSecureContext } from 'node:tls';
import { Agent, errors, request } from 'undici';
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
  readonly body: Buffer;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of who keeps the time himself; without it timeoutMs is kept here. */
  readonly signal?: AbortSignal;
}

const kKeepAliveMs = 10_000;

export class HttpClient {
  readonly url: string;
  readonly origin: string;
  readonly #options: HttpClientOptions;
  readonly #agent: Agent;

  /** Throws where the CA, the certificate or the key cannot be used. */
  constructor(options: HttpClientOptions) {
    const { protocol, origin } = new URL(options.url);
    const { timeoutMs, maxSockets, maxBytes, ca, cert, key } = options;
    this.url = options.url;
    this.origin = origin;
    this.#options = options;
    const tls =
      protocol === 'https:'
        ? {
            secureContext: createSecureContext({
              minVersion: 'TLSv1.2',
              ...(ca === undefined ? {} : { ca }),
              ...(cert === undefined ? {} : { cert }),
              ...(key === undefined ? {} : { key }),
            }),
          }
        : {};
    this.#agent = new Agent({
      connections: maxSockets,
      keepAliveTimeout: kKeepAliveMs,
      maxResponseSize: maxBytes,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connect: { timeout: timeoutMs, ...tls },
    });
  }

  async send({ method, headers, body, signal: given }: HttpRequest): Promise<HttpAnswer> {
    // undici's own times are of one step each; this one is of them all.
    const signal = given ?? AbortSignal.timeout(this.#options.timeoutMs);
    try {
      const answer = await request(this.url, {
        dispatcher: this.#agent,
        method,
        headers,
        body: body ?? null,
        signal,
      });
      const bytes = Buffer.from(await answer.body.arrayBuffer());
      return { status: answer.statusCode, body: bytes };
    } catch (cause) {
      throw new Error(`${this.origin}: ${this.#why(cause, signal)}`, { cause });
    }
  }

  stop(): void {
    // Whoever still waits is told by his own request.
    this.#agent.destroy().catch(() => undefined);
  }

  #why(cause: unknown, signal: AbortSignal): string {
    const { timeoutMs, maxBytes } = this.#options;
    const isLate =
      signal.aborted ||
      cause instanceof errors.ConnectTimeoutError ||
      cause instanceof errors.HeadersTimeoutError ||
      cause instanceof errors.BodyTimeoutError;
    if (isLate) return `no answer within ${timeoutMs} ms`;
    if (cause instanceof errors.ResponseExceededMaxSizeError) {
      return `its answer has more than ${maxBytes} bytes`;
    }
    // The codes of undici say less than its texts.
    return cause instanceof errors.UndiciError
      ? cause.message
      : (systemCode(cause) ?? messageOf(cause));
  }
}
