/**
 * The registry over the native tables: each question is a query command, each answer a reply event.
 * Holds nothing but the questions that are under way.
 */
import { fail } from '../errors.js';
import { serverDisconnects } from '../link/reason-codes.js';
import { type CommandWriter, isMqttText, type QueryCommand } from '../native/commands.js';
import { kMaxCursorBytes } from '../native/contract.js';
import type { ReplyEvent } from '../native/events.js';
import type { ClientDetail, ClientRow, Page, PageRequest, Registry } from './registry.js';
import { clientDetail, clientRows, type ListenerNames } from './rows.js';

/** More wait here: so the replies that wait to be read are bounded. */
const kUnderWay = 8;
const kMaxLimit = 1000;
/** A page that finds little (most slots are empty) ends after so many queries, with a cursor. */
const kQueriesPerPage = 16;

type Question = Omit<QueryCommand, 'queryId'>;

interface Asked {
  readonly question: Question;
  readonly resolve: (reply: ReplyEvent) => void;
  readonly reject: (error: Error) => void;
}

export interface RegistryParts {
  readonly writer: Pick<CommandWriter, 'query'>;
  readonly nameOf: ListenerNames;
}

export class NativeRegistry implements Pick<Registry, 'clients' | 'client' | 'kick'> {
  readonly #parts: RegistryParts;
  readonly #underWay = new Map<number, Asked>();
  readonly #waiting: Asked[] = [];
  #lastId = 0;
  #ended = false;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
  }

  clients(page: PageRequest): Promise<Page<ClientRow>> {
    return this.#page('listing clients', page, { query: 'clients' }, ({ rows }) =>
      clientRows(rows, this.#parts.nameOf),
    );
  }

  async client(clientId: string): Promise<ClientDetail | undefined> {
    checkText('reading a client', 'clientId', clientId);
    const reply = await this.#ask({ query: 'client', clientId });
    return reply.status === 'done' ? clientDetail(reply.rows, this.#parts.nameOf) : undefined;
  }

  async kick(clientId: string, reasonCode: number, reason: string): Promise<boolean> {
    const doing = 'disconnecting a client';
    checkText(doing, 'clientId', clientId);
    checkText(doing, 'reason', reason);
    if (!serverDisconnects.has(reasonCode)) {
      throw fail('ST_ARGUMENT', {
        doing,
        name: 'reasonCode',
        found: String(reasonCode),
        allowed: 'a Reason Code that a server may send in DISCONNECT, as 0x98',
      });
    }
    const reply = await this.#ask({ query: 'kick', clientId, reasonCode, text: reason });
    return reply.status === 'done';
  }

  /** From the router. */
  handle(reply: ReplyEvent): void {
    const asked = this.#underWay.get(reply.queryId);
    if (asked === undefined) return;
    this.#underWay.delete(reply.queryId);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#send(next);
    asked.resolve(reply);
  }

  /** The broker has stopped: nothing is answered any more. */
  end(): void {
    this.#ended = true;
    const unanswered = [...this.#underWay.values(), ...this.#waiting];
    this.#underWay.clear();
    this.#waiting.length = 0;
    for (const { reject } of unanswered) reject(stopped());
  }

  #ask(question: Question): Promise<ReplyEvent> {
    if (this.#ended) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      const asked = { question, resolve, reject };
      if (this.#underWay.size < kUnderWay) this.#send(asked);
      else this.#waiting.push(asked);
    });
  }

  #send(asked: Asked): void {
    const queryId = ++this.#lastId;
    this.#underWay.set(queryId, asked);
    this.#parts.writer.query({ ...asked.question, queryId });
  }

  /** As many rows as were asked for, if there are: a query's own bounds are smaller. */
  async #page<T>(
    doing: string,
    page: PageRequest,
    question: Question,
    rowsOf: (reply: ReplyEvent) => readonly T[],
  ): Promise<Page<T>> {
    const { limit } = page;
    if (!Number.isInteger(limit) || limit < 1 || limit > kMaxLimit) {
      const allowed = `a whole number from 1 to ${kMaxLimit}`;
      throw fail('ST_ARGUMENT', { doing, name: 'limit', found: String(limit), allowed });
    }
    let cursor = cursorBytes(doing, page.cursor);
    const items: T[] = [];
    for (let queries = 0; queries < kQueriesPerPage && items.length < limit; queries++) {
      const reply = await this.#ask({ ...question, limit: limit - items.length, cursor });
      if (reply.status === 'bad_cursor') throw badCursor(doing, page.cursor);
      if (reply.status === 'not_found') return { items, next: undefined };
      for (const row of rowsOf(reply)) items.push(row);
      if (reply.cursor.length === 0) return { items, next: undefined };
      cursor = reply.cursor;
    }
    return { items, next: cursor?.toString('base64url') };
  }
}

function cursorBytes(doing: string, cursor: string | undefined): Buffer | undefined {
  if (cursor === undefined) return undefined;
  const bytes = Buffer.from(String(cursor), 'base64url');
  // Node skips what is not base64url: only what it would write itself is a cursor.
  const ours = bytes.length > 0 && bytes.length <= kMaxCursorBytes;
  if (!ours || bytes.toString('base64url') !== cursor) throw badCursor(doing, cursor);
  return bytes;
}

function badCursor(doing: string, cursor: string | undefined): Error {
  const found = `"${String(cursor).slice(0, 80)}"`;
  const allowed = 'what the page before gave as next, for the same listing';
  return fail('ST_ARGUMENT', { doing, name: 'cursor', found, allowed });
}

function checkText(doing: string, name: string, value: unknown): void {
  if (isMqttText(value)) return;
  const allowed = 'text of at most 65535 bytes without U+0000';
  throw fail('ST_ARGUMENT', { doing, name, found: 'other', allowed });
}

function stopped(): Error {
  return fail('ST_BROKER_STATE', {
    doing: 'asking the registry',
    state: 'stopped',
    next: 'await start() first',
  });
}
