/**
 * A server that is asked over HTTP. Equal questions share one request, answers are remembered for a
 * while, so many requests run at once and so many wait. Whatever goes wrong refuses with 0x88.
 */

import type { HttpProvider } from '../../config/access-config.js';
import { messageOf } from '../../errors.js';
import { BoundedCache } from '../bounded-cache.js';
import type { AuthContext } from '../context.js';
import { decisionOfAnswer } from '../http/answer.js';
import type { HttpClient } from '../http/client.js';
import { type AuthProvider, allow, type Decision, deny } from '../provider.js';
import { Slots } from '../slots.js';

/** What of the configuration is not about the connection itself. */
export type HttpServerOptions = Omit<
  HttpProvider,
  'kind' | 'listeners' | 'where' | 'url' | 'caPath' | 'certPath' | 'keyPath'
>;

interface Known {
  readonly decision: Decision;
  /** When it was given, ms: what expires later has less time by then. */
  readonly at: number;
}

export class HttpServer implements AuthProvider {
  readonly name: string;
  readonly #options: HttpServerOptions;
  readonly #client: HttpClient;
  readonly #slots: Slots;
  /** Whom it lets in, and all others: a flood of wrong passwords must not drive the former out. */
  readonly #allowed: BoundedCache<Known>;
  readonly #others: BoundedCache<Known>;
  readonly #asking = new Map<string, Promise<Decision>>();
  readonly #now: () => number;

  constructor(
    options: HttpServerOptions,
    client: HttpClient,
    now: () => number = () => performance.now(),
  ) {
    this.name = options.name;
    this.#options = options;
    this.#client = client;
    this.#now = now;
    this.#slots = new Slots(options.maxConcurrent, options.maxQueue);
    this.#allowed = new BoundedCache(options.cacheMax, now);
    this.#others = new BoundedCache(options.cacheMax, now);
  }

  authenticate(context: AuthContext): Decision | Promise<Decision> {
    const { fields } = this.#options;
    const isOwn = Object.keys(fields).length > 0;
    const question = isOwn ? ownQuestion(fields, context) : questionOf(context);
    if (question === undefined) return deny('bad_credentials');
    const key = this.#allowed.keyOf(JSON.stringify(question));
    const known = this.#allowed.get(key) ?? this.#others.get(key);
    if (known !== undefined) return aged(known, this.#now());
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    // Not with this client's signal: others may wait for the same answer.
    const answer = this.#ask(key, question).finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  stop(): void {
    this.#client.stop();
    this.#allowed.clear();
    this.#others.clear();
  }

  async #ask(key: string, question: Question): Promise<Decision> {
    const { format, headers, timeoutMs, cacheTtlS, negativeTtlS } = this.#options;
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new Error(`no turn within ${timeoutMs} ms: too many wait`)),
      timeoutMs,
    ).unref();
    const decision = await this.#slots
      .run(late.signal, async () => {
        clearTimeout(timer);
        const type = format === 'json' ? 'application/json' : 'application/x-www-form-urlencoded';
        const answer = await this.#client.send({
          method: 'POST',
          headers: { accept: 'application/json', ...headers, 'content-type': type },
          body: format === 'json' ? JSON.stringify(question) : formOf(question),
        });
        try {
          return decisionOfAnswer(answer);
        } catch (cause) {
          throw new Error(`${this.#client.origin}: ${messageOf(cause)}`, { cause });
        }
      })
      .finally(() => clearTimeout(timer));
    const known = { decision, at: this.#now() };
    if (decision.kind === 'allow') {
      const ttl = Math.min(cacheTtlS, decision.accept.expiresIn ?? cacheTtlS);
      this.#allowed.set(key, known, ttl * 1000);
    } else {
      this.#others.set(key, known, negativeTtlS * 1000);
    }
    return decision;
  }
}

function aged({ decision, at }: Known, now: number): Decision {
  if (decision.kind !== 'allow' || decision.accept.expiresIn === undefined) return decision;
  const left = Math.max(0, decision.accept.expiresIn - Math.ceil((now - at) / 1000));
  return allow({ ...decision.accept, expiresIn: left });
}

type Question = Readonly<Record<string, string | boolean>>;

/** Without the client's port, so that who comes again is who was known. */
function questionOf(context: AuthContext): Question {
  const { clientId, username, password, address, certificate } = context;
  return {
    client_id: clientId,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : passwordOf(password)),
    address: address.replace(/:\d+$/, ''),
    listener: context.listener,
    transport: context.transport,
    protocol: context.protocolVersion,
    clean_start: context.cleanStart,
    ...(certificate === undefined
      ? {}
      : {
          certificate_cn: certificate.cn ?? '',
          certificate_dn: certificate.dn,
          certificate_sha256: certificate.x509.fingerprint256,
        }),
  };
}

/** undefined = the password is no text: a field could not tell it from another one. */
function ownQuestion(
  fields: Readonly<Record<string, string>>,
  { clientId, username = '', password, address, listener, protocolVersion }: AuthContext,
): Question | undefined {
  const given = password ?? Buffer.alloc(0);
  const values: Readonly<Record<string, string>> = {
    '%c': clientId,
    '%u': username,
    '%P': given.toString('utf8'),
    '%a': address.replace(/:\d+$/, ''),
    '%r': protocolVersion,
    '%l': listener,
    '%%': '%',
  };
  const filled = Object.entries(fields).map(
    ([name, text]) => [name, text.replaceAll(/%./g, (one) => values[one] ?? one)] as const,
  );
  const asksForIt = Object.values(fields).some((text) => /(^|[^%])(%%)*%P/.test(text));
  if (asksForIt && !Buffer.from(given.toString('utf8')).equals(given)) return undefined;
  return Object.fromEntries(filled);
}

/** Bytes that are no text go in Base64, under another name. */
function passwordOf(password: Buffer): Question {
  const text = password.toString('utf8');
  return Buffer.from(text).equals(password)
    ? { password: text }
    : { password_base64: password.toString('base64') };
}

function formOf(question: Question): string {
  const form = new URLSearchParams();
  for (const [key, value] of Object.entries(question)) form.set(key, String(value));
  return form.toString();
}
