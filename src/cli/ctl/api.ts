/** The console's HTTP API, as its client: one answer, or a listing row by row. */
import { withoutUrlSecrets } from '../../config/shown.js';
import { fail, messageOf, systemCode } from '../../errors.js';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export interface ApiOptions {
  readonly url: string;
  /** '' = none. Never in a text of ours. */
  readonly token: string;
  /** Another than the runtime's: tls.ts. */
  readonly fetch?: typeof fetch | undefined;
}

interface Request {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly accept?: string;
  /** Beginning of the error's text: 'listing clients'. */
  readonly doing: string;
}

/** To the first byte of an answer. */
const kTimeoutMs = 30_000;
/** Longer than any row: a Topic Name, a Client Identifier and a preview. */
const kMaxLine = 4 * 1024 * 1024;
const kLines = 'application/x-ndjson';

export class Api {
  readonly #base: URL;
  readonly #token: string;
  readonly #request: typeof fetch;

  constructor({ url, token, fetch: request = fetch }: ApiOptions) {
    this.#base = baseUrl(url);
    this.#token = token;
    this.#request = request;
  }

  async json(path: string, request: Request): Promise<JsonObject> {
    const response = await this.#fetch(path, request);
    const text = await this.#text(response);
    const value = parse(text);
    if (value === undefined || value === null || typeof value !== 'object') {
      throw this.#notConsole('its answer is not JSON');
    }
    return value as JsonObject;
  }

  async text(path: string, request: Request): Promise<string> {
    return this.#text(await this.#fetch(path, { accept: 'text/plain', ...request }));
  }

  /** A row at a time; what is read ahead is one chunk of the socket. */
  async *rows(path: string, request: Request): AsyncGenerator<JsonObject> {
    const response = await this.#fetch(path, { ...request, accept: kLines });
    if (response.headers.get('content-type')?.startsWith(kLines) !== true) {
      throw this.#notConsole('its listing is not one line per row');
    }
    for await (const line of this.#lines(response)) {
      const row = parse(line);
      if (row === undefined || row === null || typeof row !== 'object' || Array.isArray(row)) {
        throw this.#notConsole('a row is not JSON');
      }
      const object = row as JsonObject;
      const keys = Object.keys(object);
      if (keys.length === 1 && keys[0] === 'error') {
        throw refused(request.doing, problemText(object) ?? 'the console broke off');
      }
      if (keys.length === 1 && keys[0] === 'next') return;
      yield object;
    }
    throw refused(request.doing, 'the console broke off; run it again');
  }

  async #fetch(path: string, request: Request): Promise<Response> {
    const { method = 'GET', query = {}, body, accept = 'application/json', doing } = request;
    const url = new URL(`${this.#base.pathname.replace(/\/$/, '')}${path}`, this.#base);
    for (const [key, value] of Object.entries(query)) url.searchParams.append(key, value);
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), kTimeoutMs);
    try {
      const response = await this.#request(url, {
        method,
        redirect: 'error',
        signal: abort.signal,
        headers: {
          accept,
          ...(this.#token === '' ? {} : { authorization: `Bearer ${this.#token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (response.ok) return response;
      throw await this.#refusal(doing, response);
    } catch (error) {
      if (abort.signal.aborted) throw this.#unreachable(`no answer in ${kTimeoutMs / 1000} s`);
      if (!(error instanceof TypeError)) throw error;
      throw this.#unreachable(systemCode(error.cause) ?? messageOf(error.cause ?? error));
    } finally {
      clearTimeout(timer);
    }
  }

  async #refusal(doing: string, response: Response): Promise<Error> {
    const { status } = response;
    const told = problemText(parse(await this.#text(response)));
    if (status === 401) {
      const why =
        this.#token === ''
          ? 'the console wants a token; give one with --token file:PATH or ST_MQTTD_CONSOLE_TOKEN'
          : 'the console does not know this token; see [console.tokens] in its configuration';
      return refused(doing, why);
    }
    if (told !== undefined) return refused(doing, told);
    return this.#notConsole(`status ${status}`);
  }

  /** A connection that ends within an answer is no defect of ours. */
  async #text(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      throw this.#unreachable(systemCode((error as Error).cause) ?? messageOf(error));
    }
  }

  async *#lines(response: Response): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for await (const chunk of response.body ?? []) {
        rest += decoder.decode(chunk as Uint8Array, { stream: true });
        const lines = rest.split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > kMaxLine) throw this.#notConsole('a row is too long');
        yield* lines;
      }
    } catch (error) {
      // undici's own: the peer went away.
      if (!(error instanceof TypeError)) throw error;
      throw this.#unreachable(systemCode(error.cause) ?? messageOf(error));
    }
    if (rest !== '') yield rest;
  }

  #unreachable(why: string): Error {
    return fail('ST_CTL_UNREACHABLE', { url: this.#shown, why });
  }

  #notConsole(why: string): Error {
    return fail('ST_CTL_ANSWER', { url: this.#shown, why });
  }

  get #shown(): string {
    return this.#base.href.replace(/\/$/, '');
  }
}

export function refused(doing: string, why: string): Error {
  return fail('ST_CTL_REFUSED', { doing, why });
}

function baseUrl(text: string): URL {
  const allowed = 'http://HOST:PORT or https://HOST:PORT';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw fail('ST_CTL_USAGE', {
      why: `--url: "${withoutUrlSecrets(text)}" is not a URL; it is ${allowed}`,
    });
  }
  if (url.username !== '' || url.password !== '') {
    // Not the URL: it has a password.
    throw fail('ST_CTL_USAGE', { why: '--url has a user or a password in it; use --token' });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw fail('ST_CTL_USAGE', { why: `--url: ${url.protocol} is not known; it is ${allowed}` });
  }
  url.search = '';
  url.hash = '';
  return url;
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** The console's {"error": {"message": …}}. */
function problemText(value: Json | undefined): string | undefined {
  const { error } = (value ?? {}) as { error?: { message?: unknown } };
  return typeof error?.message === 'string' ? error.message : undefined;
}
