/**
 * Events on their way to one URL: a bounded queue, requests that take several of them, retries. What is
 * lost is counted and said. Nothing here knows what an event is.
 */
import type { HttpAnswer } from '../../../auth/http/client.js';
import { messageOf } from '../../../errors.js';

export interface OutboxOptions {
  readonly batchEvents: number;
  readonly batchWaitMs: number;
  readonly concurrency: number;
  readonly retryMaxElapsedMs: number;
  readonly retryFirstMs: number;
  readonly retryMultiplier: number;
  readonly capacity: number;
  readonly bytes: number;
  readonly onFull: 'drop_newest' | 'drop_oldest';
}

export interface OutboxDeps {
  /** Rejects where there is no answer. */
  readonly post: (body: string, signal: AbortSignal) => Promise<HttpAnswer>;
  readonly after: (fn: () => void, ms: number) => () => void;
  readonly now: () => number;
  readonly warn: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly info: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  /** 0 to 1: so that many do not come back at the same time. */
  readonly random: () => number;
}

export interface OutboxCounts {
  queued: number;
  sent: number;
  requests: number;
  retries: number;
  dropped_full: number;
  dropped_failed: number;
  dropped_at_stop: number;
}

/** Of dropped events, at most so often. */
const kSayEveryMs = 10_000;
const kMaxRetryMs = 60_000;

interface Batch {
  readonly events: readonly string[];
  readonly bytes: number;
  readonly since: number;
  waitMs: number;
}

export class Outbox {
  readonly counts: OutboxCounts = {
    ...{ queued: 0, sent: 0, requests: 0, retries: 0 },
    ...{ dropped_full: 0, dropped_failed: 0, dropped_at_stop: 0 },
  };
  readonly #options: OutboxOptions;
  readonly #deps: OutboxDeps;
  readonly #abort = new AbortController();
  /** From #first on. */
  #events: string[] = [];
  #first = 0;
  /** Of these, and of those that are being sent. */
  #bytes = 0;
  #sending = 0;
  #cancelWait: (() => void) | undefined;
  #mayWait = true;
  #isClosed = false;
  #isFailing = false;
  #saidAt = Number.NEGATIVE_INFINITY;
  #unsaid = 0;
  /** Of those that wait to be sent again: at once. */
  readonly #retryNow = new Set<() => void>();
  #emptied: (() => void) | undefined;

  constructor(options: OutboxOptions, deps: OutboxDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  add(event: string): void {
    const { capacity, bytes: bound, onFull, batchEvents, batchWaitMs, concurrency } = this.#options;
    if (this.#isClosed) {
      this.counts.dropped_at_stop++;
      return;
    }
    const bytes = Buffer.byteLength(event);
    const isFull = () => this.counts.queued >= capacity || this.#bytes + bytes > bound;
    const mayFit = onFull === 'drop_oldest' && bytes <= bound;
    while (isFull() && mayFit && this.#waiting > 0) {
      this.#bytes -= Buffer.byteLength(this.#shift());
      this.counts.queued--;
      this.#dropped();
    }
    if (isFull()) {
      this.#dropped();
      return;
    }
    this.#events.push(event);
    this.#bytes += bytes;
    this.counts.queued++;
    if (this.#sending >= concurrency) return;
    if (this.#waiting >= batchEvents || batchWaitMs === 0 || !this.#mayWait) this.#pump();
    else this.#cancelWait ??= this.#deps.after(() => this.#pump(), batchWaitMs);
  }

  /** Sends what waits, for so long at most; what is left then is dropped, and said. */
  async close(withinMs: number): Promise<void> {
    this.#mayWait = false;
    for (const retry of [...this.#retryNow]) retry();
    this.#pump();
    if (this.counts.queued > 0 && withinMs > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#deps.after(resolve, withinMs);
        this.#emptied = () => {
          cancel();
          resolve();
        };
      });
    }
    this.#isClosed = true;
    this.#cancelWait?.();
    const left = this.counts.queued;
    this.#events = [];
    this.#first = 0;
    this.#abort.abort();
    for (const retry of [...this.#retryNow]) retry();
    if (left === 0) return;
    this.counts.dropped_at_stop += left;
    this.counts.queued = 0;
    this.#deps.warn('events were dropped at the end: they could not be sent in time', { left });
  }

  get #waiting(): number {
    return this.#events.length - this.#first;
  }

  #shift(): string {
    const event = this.#events[this.#first] as string;
    this.#events[this.#first++] = '';
    if (this.#first >= 1024 && this.#first * 2 >= this.#events.length) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    return event;
  }

  #pump(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    const { concurrency, batchEvents } = this.#options;
    while (!this.#isClosed && this.#sending < concurrency && this.#waiting > 0) {
      const events: string[] = [];
      let bytes = 0;
      while (events.length < batchEvents && this.#waiting > 0) {
        const event = this.#shift();
        bytes += Buffer.byteLength(event);
        events.push(event);
      }
      this.#sending++;
      const waitMs = this.#options.retryFirstMs;
      void this.#send({ events, bytes, since: this.#deps.now(), waitMs });
    }
  }

  async #send(batch: Batch): Promise<void> {
    const { events, bytes } = batch;
    // As rmqttd has it: one event is an object. Several are a list.
    const body = this.#options.batchEvents === 1 ? (events[0] as string) : `[${events.join(',')}]`;
    while (!(await this.#try(batch, body))) {
      this.counts.retries++;
      await this.#pause(batch);
      if (this.#isClosed) break;
    }
    this.#sending--;
    if (this.#isClosed) return;
    this.#bytes -= bytes;
    this.counts.queued -= events.length;
    if (this.counts.queued === 0) this.#emptied?.();
    this.#pump();
  }

  /** Whether that is the end of it: taken, or given up. */
  async #try({ events, since }: Batch, body: string): Promise<boolean> {
    this.counts.requests++;
    let why: string;
    let mayRetry = true;
    try {
      const { status } = await this.#deps.post(body, this.#abort.signal);
      if (status >= 200 && status < 300) {
        if (this.#isClosed) return true;
        this.counts.sent += events.length;
        if (this.#isFailing) this.#deps.info('events are taken again', {});
        this.#isFailing = false;
        return true;
      }
      why = `its answer is ${status}`;
      mayRetry = status >= 500 || [408, 425, 429].includes(status);
    } catch (error) {
      why = messageOf(error);
    }
    if (this.#isClosed) return true;
    const isOver = this.#deps.now() - since >= this.#options.retryMaxElapsedMs;
    if (mayRetry && !isOver) {
      if (!this.#isFailing)
        this.#deps.warn('events could not be sent; they are sent again', { why });
      this.#isFailing = true;
      return false;
    }
    this.counts.dropped_failed += events.length;
    this.#isFailing = true;
    const then = mayRetry ? 'for too long' : 'and are not to be sent again';
    this.#deps.warn(`events could not be sent ${then}: dropped`, { why, events: events.length });
    return true;
  }

  #pause(batch: Batch): Promise<void> {
    const { retryMultiplier, retryMaxElapsedMs } = this.#options;
    const left = batch.since + retryMaxElapsedMs - this.#deps.now();
    const ms = Math.min(batch.waitMs * (0.5 + this.#deps.random() / 2), Math.max(left, 1));
    batch.waitMs = Math.min(batch.waitMs * retryMultiplier, kMaxRetryMs);
    return new Promise((resolve) => {
      const go = () => {
        this.#retryNow.delete(go);
        cancel();
        resolve();
      };
      const cancel = this.#deps.after(go, ms);
      this.#retryNow.add(go);
    });
  }

  #dropped(): void {
    this.counts.dropped_full++;
    this.#unsaid++;
    const now = this.#deps.now();
    if (now - this.#saidAt < kSayEveryMs) return;
    this.#saidAt = now;
    const dropped = this.#unsaid;
    this.#unsaid = 0;
    this.#deps.warn('the queue is full: events were dropped', { dropped });
  }
}
