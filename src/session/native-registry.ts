/**
 * The registry over the native tables: each question is a query command, each answer a reply event.
 * Holds nothing but the questions that are under way.
 */
import { checkInstance, checkTable } from '../arguments.js';
import { fail } from '../errors.js';
import { serverDisconnects } from '../link/reason-codes.js';
import { checkFilter } from '../link/topics.js';
import type { NativeBroker } from '../native/addon.js';
import { type CommandWriter, isMqttText } from '../native/commands.js';
import type { CounterName } from '../native/contract.js';
import type { ReplyEvent } from '../native/events.js';
import { pageOf } from './pages.js';
import { type Question, Questions } from './questions.js';
import type {
  ClientDetail,
  ClientRow,
  DenialRow,
  LogRow,
  Page,
  PageRequest,
  Registry,
  RetainedRow,
  SubscribeRequest,
  SubscriptionRow,
  Totals,
} from './registry.js';
import {
  clientDetail,
  clientRows,
  denialRows,
  type ListenerNames,
  logDetail,
  logRows,
  type RetainedFind,
  retainedFinds,
  subscriptionRows,
} from './rows.js';

const kMaxRoutes = 10_000;
const kTableCounts = 6;
/** Options of the query log. */
const kDeleteLog = 1;

export interface RegistryParts {
  readonly writer: Pick<CommandWriter, 'query'>;
  readonly native: Pick<NativeBroker, 'tableCounts'>;
  readonly counters: () => Readonly<Record<CounterName, number>>;
  readonly nameOf: ListenerNames;
  /** I/O threads. */
  readonly threads: number;
}

export class NativeRegistry implements Registry {
  readonly #parts: RegistryParts;
  readonly #questions: Questions;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#questions = new Questions(parts.writer);
  }

  /** From the router. */
  handle(reply: ReplyEvent): void {
    this.#questions.handle(reply);
  }

  /** The broker has stopped: nothing is answered any more. */
  end(): void {
    this.#questions.end();
  }

  /** Resolves when each of the I/O threads has answered. */
  async ping(threads: number): Promise<void> {
    await Promise.all(
      Array.from({ length: threads }, (_, thread) => this.#ask({ query: 'ping', thread })),
    );
  }

  clients(page: PageRequest): Promise<Page<ClientRow>> {
    return this.#page('listing clients', page, { query: 'clients' }, ({ rows }) =>
      clientRows(rows, this.#parts.nameOf),
    );
  }

  async client(clientId: string, instance?: number): Promise<ClientDetail | undefined> {
    const doing = 'reading a client';
    checkText(doing, 'clientId', clientId);
    checkInstance(doing, instance);
    const reply = await this.#ask({ query: 'client', clientId, instance });
    return reply.status === 'done' ? clientDetail(reply.rows, this.#parts.nameOf) : undefined;
  }

  async subscriptions(
    page: PageRequest & { readonly clientId?: string; readonly instance?: number | undefined },
  ): Promise<Page<SubscriptionRow>> {
    const doing = 'listing subscriptions';
    const { clientId, instance } = page;
    checkInstance(doing, instance);
    if (clientId !== undefined) {
      checkText(doing, 'clientId', clientId);
      // Nobody has an empty one, and native code would list all.
      if (clientId === '') return { items: [], next: undefined };
    }
    const question: Question = {
      query: 'subscriptions',
      ...(clientId === undefined ? {} : { clientId, instance }),
    };
    return this.#page(doing, page, question, ({ rows }) => subscriptionRows(rows));
  }

  async routes(topic: string): Promise<readonly SubscriptionRow[]> {
    checkTopic('reading routes', topic);
    const rows: SubscriptionRow[] = [];
    for (let thread = 0; thread < this.#parts.threads; thread++) {
      for (let cursor: Buffer | undefined; rows.length < kMaxRoutes; ) {
        const limit = kMaxRoutes - rows.length;
        const reply = await this.#ask({ query: 'routes', thread, text: topic, limit, cursor });
        if (reply.status !== 'done') break;
        for (const row of subscriptionRows(reply.rows)) rows.push(row);
        if (reply.cursor.length === 0) break;
        cursor = reply.cursor;
      }
    }
    return rows;
  }

  async retained(page: PageRequest & { readonly filter?: string }): Promise<Page<RetainedRow>> {
    const doing = 'listing retained messages';
    const { filter } = page;
    if (filter !== undefined) {
      checkFilter(filter, doing);
      if (filter.startsWith('$share/')) {
        const allowed = 'a Topic Filter without $share/';
        throw fail('ST_ARGUMENT', { doing, name: 'filter', found: `"${filter}"`, allowed });
      }
    }
    const question: Question = {
      query: 'retained',
      ...(filter === undefined ? {} : { text: filter }),
    };
    const { items, next } = await this.#page(doing, page, question, ({ rows, data }) =>
      retainedFinds(rows, data),
    );
    return { items: await this.#withPublishers(items), next };
  }

  async retainedMessage(topic: string): Promise<RetainedRow | undefined> {
    checkTopic('reading a retained message', topic);
    const reply = await this.#ask({ query: 'retained_message', text: topic });
    if (reply.status !== 'done') return undefined;
    const [row] = await this.#withPublishers(retainedFinds(reply.rows, reply.data));
    return row;
  }

  async deleteRetained(topic: string): Promise<boolean> {
    checkTopic('deleting a retained message', topic);
    return (await this.#ask({ query: 'retained_delete', text: topic })).status === 'done';
  }

  logs(page: PageRequest): Promise<Page<LogRow>> {
    return this.#page('listing logs', page, { query: 'logs' }, ({ rows }) => logRows(rows));
  }

  denials(page: PageRequest): Promise<Page<DenialRow>> {
    const doing = 'listing denials';
    return this.#page(doing, page, { query: 'denials' }, ({ rows }) => denialRows(rows));
  }

  async log(filter: string): Promise<LogRow | undefined> {
    checkFilter(filter, 'reading a log');
    const reply = await this.#ask({ query: 'log', text: filter });
    return reply.status === 'done' ? logDetail(reply.rows) : undefined;
  }

  async deleteLog(filter: string): Promise<boolean> {
    checkFilter(filter, 'deleting a log');
    const reply = await this.#ask({ query: 'log', text: filter, options: kDeleteLog });
    return reply.status === 'done';
  }

  async kick(
    clientId: string,
    reasonCode: number,
    reason: string,
    instance?: number,
  ): Promise<boolean> {
    const doing = 'disconnecting a client';
    checkText(doing, 'clientId', clientId);
    checkInstance(doing, instance);
    checkText(doing, 'reason', reason);
    if (!serverDisconnects.has(reasonCode)) {
      throw fail('ST_ARGUMENT', {
        doing,
        name: 'reasonCode',
        found: String(reasonCode),
        allowed: 'a Reason Code that a server may send in DISCONNECT, as 0x98',
      });
    }
    const reply = await this.#ask({ query: 'kick', clientId, instance, reasonCode, text: reason });
    return reply.status === 'done';
  }

  async endSession(clientId: string, instance?: number): Promise<boolean> {
    const doing = 'ending a session';
    checkText(doing, 'clientId', clientId);
    checkInstance(doing, instance);
    return (await this.#ask({ query: 'session_end', clientId, instance })).status === 'done';
  }

  async subscribe(clientId: string, request: SubscribeRequest): Promise<number | undefined> {
    const doing = 'subscribing for a client';
    checkTable(doing, 'request', request);
    const { instance } = request;
    checkInstance(doing, instance);
    const { filter, qos, noLocal = false, retainAsPublished = false, retainHandling = 0 } = request;
    checkText(doing, 'clientId', clientId);
    checkFilter(filter, doing);
    checkOption(doing, 'qos', qos);
    checkOption(doing, 'retainHandling', retainHandling);
    if (noLocal && filter.startsWith('$share/')) {
      // [MQTT-3.8.3-4]
      const allowed = 'false for a Shared Subscription';
      throw fail('ST_ARGUMENT', { doing, name: 'noLocal', found: 'true', allowed });
    }
    const options = qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | (retainHandling << 4);
    const reply = await this.#ask({
      query: 'subscribe',
      clientId,
      instance,
      text: filter,
      options,
    });
    return reply.status === 'done' ? reply.code : undefined;
  }

  async unsubscribe(
    clientId: string,
    filter: string,
    instance?: number,
  ): Promise<number | undefined> {
    const doing = 'unsubscribing for a client';
    checkInstance(doing, instance);
    checkText(doing, 'clientId', clientId);
    checkFilter(filter, doing);
    const reply = await this.#ask({ query: 'unsubscribe', clientId, instance, text: filter });
    return reply.status === 'done' ? reply.code : undefined;
  }

  totals(): Totals {
    const tables = new BigInt64Array(kTableCounts);
    this.#parts.native.tableCounts(tables);
    const [subscriptions, , trieNodes, retained, retainedBytes, filters] = Array.from(
      tables,
      Number,
    );
    const c = this.#parts.counters();
    // Counters are read one after the other while threads write them: never below nothing.
    const left = (came: number, went: number) => Math.max(0, came - went);
    return {
      sessions: left(c.sessions_created, c.sessions_ended),
      connected: left(
        c.clients_connected_v31 + c.clients_connected_v311 + c.clients_connected_v5,
        c.clients_disconnected_v31 + c.clients_disconnected_v311 + c.clients_disconnected_v5,
      ),
      subscriptions: subscriptions ?? 0,
      filters: filters ?? 0,
      trieNodes: trieNodes ?? 0,
      retained: retained ?? 0,
      retainedBytes: retainedBytes ?? 0,
    };
  }

  /** Asks each other thread once for the Client Identifiers of its sessions. */
  async #withPublishers(finds: readonly RetainedFind[]): Promise<RetainedRow[]> {
    const places = new Map<number, Set<string>>();
    const keyOf = (slot: number, generation: number) => `${slot}:${generation}`;
    for (const { publishedBy: by } of finds) {
      if (by === undefined) continue;
      const keys = places.get(by.thread) ?? new Set();
      places.set(by.thread, keys.add(keyOf(by.slot, by.generation)));
    }
    const names = new Map<string, string>();
    for (const [thread, keys] of places) {
      for (let rest = [...keys]; rest.length > 0; ) {
        const text = rest.slice(0, kNamesPerQuery).join(',');
        const found = JSON.parse(
          (await this.#ask({ query: 'names', thread, text })).rows,
        ) as string[];
        found.forEach((name, index) => {
          names.set(`${thread}/${rest[index]}`, name);
        });
        rest = rest.slice(kNamesPerQuery);
      }
    }
    return finds.map(({ row, publishedBy: by }) =>
      by === undefined
        ? row
        : { ...row, publisher: names.get(`${by.thread}/${keyOf(by.slot, by.generation)}`) ?? '' },
    );
  }

  #ask(question: Question): Promise<ReplyEvent> {
    return this.#questions.ask(question);
  }

  #page<T>(
    doing: string,
    page: PageRequest,
    question: Question,
    rowsOf: (reply: ReplyEvent) => readonly T[],
  ): Promise<Page<T>> {
    return pageOf(
      doing,
      page,
      (limit, cursor) => this.#ask({ ...question, limit, cursor }),
      rowsOf,
    );
  }
}

/** As many as native code answers at once. */
const kNamesPerQuery = 200;

function checkText(doing: string, name: string, value: unknown): void {
  if (isMqttText(value)) return;
  const allowed = 'text of at most 65535 bytes without U+0000';
  throw fail('ST_ARGUMENT', { doing, name, found: 'other', allowed });
}

function checkTopic(doing: string, topic: unknown): void {
  if (isMqttText(topic) && topic !== '' && !/[+#]/.test(topic)) return;
  const allowed = 'a Topic Name: 1 to 65535 bytes without +, # and U+0000';
  throw fail('ST_ARGUMENT', { doing, name: 'topic', found: 'other', allowed });
}

function checkOption(doing: string, name: string, value: number): void {
  if (value === 0 || value === 1 || value === 2) return;
  throw fail('ST_ARGUMENT', { doing, name, found: String(value), allowed: '0, 1 or 2' });
}
