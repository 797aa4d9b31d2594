/**
 * GET /api/v1/live, a WebSocket: rates each second, the log's tail, values of topics. Everything
 * that is sent is bounded: a page that does not read gets gaps, and the broker keeps no backlog.
 *
 * A browser cannot send an Authorization header with it, so the token may come as an offered
 * subprotocol: `bearer.TOKEN`, or `bearer64.` and the token in base64url.
 */
import { randomBytes } from 'node:crypto';
import websocket from '@fastify/websocket';
import type { FastifyInstance } from 'fastify';
import { messageOf, StMqttdError } from '../errors.js';
import type { Link } from '../link/link.js';
import type { Access } from './access.js';
import type { ConsoleDeps } from './deps.js';
import { tailLog } from './live-log.js';
import type { FromBroker, LiveProtocol, ToBroker } from './live-protocol.js';
import { Rates } from './live-rates.js';
import { Watch } from './live-watch.js';
import { Problem } from './problem.js';
import type { Caller } from './route.js';
import { checkTopicFilter } from './routes/topics.js';

const kProtocol: LiveProtocol = 'st-mqttd.live';
const kPath = '/api/v1/live';
const kMaxPages = 32;
const kMaxWatches = 8;
const kMaxFrame = 128 * 1024;
/** What may wait in a socket before log lines and values are left out. */
const kMaxBuffered = 1024 * 1024;
const kPingMs = 15_000;
const kLeaveMs = 500;
const kRequestsPerSecond = 20;

/** Of `ws`, what is used here. */
interface Socket {
  readonly bufferedAmount: number;
  send(text: string): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown;
  on(event: 'close' | 'pong', listener: () => void): unknown;
}

/** The token that a page offers as a subprotocol, as an Authorization header's value. */
export function offeredToken(header: string | undefined): string | undefined {
  for (const offered of (header ?? '').split(',')) {
    const [kind = '', token] = splitOnce(offered.trim(), '.');
    if (token === undefined || token === '') continue;
    if (kind === 'bearer') return `Bearer ${token}`;
    if (kind === 'bearer64') return `Bearer ${Buffer.from(token, 'base64url').toString()}`;
  }
  return undefined;
}

export interface LiveSetup {
  readonly deps: ConsoleDeps;
  readonly access: Pick<Access, 'authorize' | 'onReplaced'>;
  readonly stopping: AbortSignal;
}

export async function addLive(app: FastifyInstance, setup: LiveSetup): Promise<void> {
  const { deps, access, stopping } = setup;
  await app.register(websocket, {
    options: {
      maxPayload: kMaxFrame,
      perMessageDeflate: false,
      // Never the token: what is selected stands in the answer.
      handleProtocols: (offered: Set<string>) => (offered.has(kProtocol) ? kProtocol : false),
    },
    errorHandler: (_error, socket) => socket.terminate(),
  });
  const rates = new Rates(deps);
  const pages = new Set<Page>();
  // An HTTP server does not count upgraded connections as its own, and waits for them all the same.
  stopping.addEventListener('abort', () => {
    for (const page of pages) page.leave(1001, 'the broker is stopping');
  });
  access.onReplaced(() => {
    // Who may still come connects again with the token that it has.
    for (const page of pages) page.leave(1012, 'the tokens have changed');
  });
  await app.register(async (scope) => {
    scope.route({
      method: 'GET',
      url: kPath,
      exposeHeadRoute: false,
      schema: { hide: true } as object,
      onRequest: async (request) => {
        access.authorize(request.caller ?? nobody, 'read', false);
        if (pages.size >= kMaxPages) {
          throw new Problem('too_many', `${kMaxPages} live pages are open already`);
        }
      },
      handler: () => {
        throw new Problem('bad_request', 'this is a WebSocket: see docs/CONSOLE.md');
      },
      wsHandler: (socket, request) => {
        const page = new Page(socket, request.caller ?? nobody, { deps, access, rates });
        pages.add(page);
        socket.on('close', () => pages.delete(page));
      },
    });
  });
}

const nobody: Caller = { name: 'nobody', role: undefined, address: '' };

interface Shared {
  readonly deps: ConsoleDeps;
  readonly access: Pick<Access, 'authorize'>;
  readonly rates: Rates;
}

/** One connection. */
class Page {
  readonly #socket: Socket;
  readonly #caller: Caller;
  readonly #shared: Shared;
  readonly #watches = new Map<number, Watch>();
  readonly #cleanups: (() => void)[] = [];
  #link: Promise<Link> | undefined;
  #endLogs: (() => void) | undefined;
  #closed = false;
  #alive = true;
  #second = 0;
  #requests = 0;

  constructor(socket: Socket, caller: Caller, shared: Shared) {
    this.#socket = socket;
    this.#caller = caller;
    this.#shared = shared;
    socket.on('message', (data, isBinary) => void this.#receive(data, isBinary));
    socket.on('pong', () => {
      this.#alive = true;
    });
    socket.on('close', () => this.#end());
    const { deps, rates } = shared;
    const { id, version, startedAt, listeners } = deps.brokerInfo();
    // Authorized: it has a role.
    const { name, role = 'read' } = caller;
    this.#cleanups.push(rates.listen((tick) => this.#send({ type: 'tick', tick })));
    const timer = setInterval(() => this.#ping(), kPingMs).unref();
    this.#cleanups.push(() => clearInterval(timer));
    this.#send({
      type: 'hello',
      broker: { id, version, startedAt, listeners },
      caller: { name, role },
      history: rates.history,
    });
  }

  leave(code: number, reason: string): void {
    this.#socket.close(code, reason);
    // Who does not answer the closing must not hold up the broker's end.
    setTimeout(() => this.#socket.terminate(), kLeaveMs).unref();
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endLogs?.();
    for (const cleanup of this.#cleanups) cleanup();
    for (const watch of this.#watches.values()) void watch.end();
    this.#watches.clear();
    this.#link?.then(
      (link) => link.close(),
      () => undefined,
    );
  }

  #ping(): void {
    if (!this.#alive) {
      this.#socket.terminate();
      return;
    }
    this.#alive = false;
    this.#socket.ping();
  }

  /** Whether it was sent: not to a page that does not read. */
  #send(frame: FromBroker): boolean {
    if (this.#closed || this.#socket.bufferedAmount > kMaxBuffered) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  async #receive(data: Buffer, isBinary: boolean): Promise<void> {
    const second = Math.floor(Date.now() / 1000);
    this.#requests = second === this.#second ? this.#requests + 1 : 1;
    this.#second = second;
    if (this.#requests > kRequestsPerSecond) {
      this.leave(1008, `more than ${kRequestsPerSecond} requests a second`);
      return;
    }
    const asked = isBinary ? undefined : requestOf(data.toString());
    if (asked === undefined) {
      this.leave(1007, 'not a request of this protocol');
      return;
    }
    const id = 'id' in asked ? { id: asked.id } : {};
    try {
      await this.#answer(asked);
    } catch (error) {
      const code =
        error instanceof Problem || error instanceof StMqttdError ? error.code : 'internal';
      const message = code === 'internal' ? 'an internal error' : messageOf(error);
      this.#send({ type: 'error', ...id, code, message });
    }
  }

  async #answer(asked: ToBroker): Promise<void> {
    switch (asked.type) {
      case 'logs':
        this.#endLogs?.();
        this.#endLogs = asked.on
          ? tailLog(this.#shared.deps, (records, lost) =>
              this.#send({ type: 'logs', records, lost }),
            )
          : undefined;
        return;
      case 'watch':
        return this.#watch(asked);
      case 'unwatch': {
        const watch = this.#watches.get(asked.id);
        this.#watches.delete(asked.id);
        await watch?.end();
      }
    }
  }

  async #watch({ id, filter, mode }: ToBroker & { type: 'watch' }): Promise<void> {
    const { deps, access } = this.#shared;
    access.authorize(this.#caller, 'operate', false);
    checkTopicFilter(filter, 'filter');
    if (this.#watches.has(id)) throw new Problem('conflict', `${id} watches already`, 'id');
    if (this.#watches.size >= kMaxWatches) {
      throw new Problem('too_many', `${kMaxWatches} filters are watched already`);
    }
    const link = await this.#opened();
    if (this.#closed || this.#watches.has(id)) return;
    const gone = (error: unknown) => {
      this.#watches.delete(id);
      this.#send({ type: 'error', id, code: 'watch_ended', message: messageOf(error) });
    };
    let unsent = 0;
    const watch = new Watch({
      link,
      filter,
      mode,
      report: (values, lost) => {
        unsent += lost;
        if (this.#send({ type: 'values', id, values, lost: unsent })) unsent = 0;
        else for (const { count } of values) unsent += count;
      },
      failed: gone,
    });
    this.#watches.set(id, watch);
    const { name: who, address } = this.#caller;
    const audited = { who, address, action: 'live.watch', target: filter };
    try {
      await watch.ready;
    } catch (error) {
      this.#watches.delete(id);
      deps.audit({ ...audited, result: 'refused' });
      throw error;
    }
    deps.audit({ ...audited, result: 'ok' });
    this.#send({ type: 'watching', id, filter });
  }

  /** One link for all that this page watches; a new one where it has ended. */
  async #opened(): Promise<Link> {
    this.#link ??= this.#shared.deps.openLink({
      clientId: `st-mqttd-console-${randomBytes(4).toString('hex')}`,
      bufferBytes: 1024 * 1024,
    });
    const opening = this.#link;
    try {
      const link = await opening;
      void link.closed.then(() => {
        if (this.#link === opening) this.#link = undefined;
      });
      return link;
    } catch (error) {
      if (this.#link === opening) this.#link = undefined;
      throw error;
    }
  }
}

/** undefined = not one. */
export function requestOf(text: string): ToBroker | undefined {
  let asked: unknown;
  try {
    asked = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof asked !== 'object' || asked === null) return undefined;
  const { type, id, filter, mode, on } = asked as Record<string, unknown>;
  if (type === 'logs' && typeof on === 'boolean') return { type, on };
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) return undefined;
  if (type === 'unwatch') return { type, id };
  if (type !== 'watch' || typeof filter !== 'string') return undefined;
  return mode === 'latest' || mode === 'each' ? { type, id, filter, mode } : undefined;
}

function splitOnce(text: string, at: string): [string, string | undefined] {
  const index = text.indexOf(at);
  return index < 0 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}
