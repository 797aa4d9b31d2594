/**
 * Pages of a registry's listing, filtered: a bounded number of rows is looked at for one request,
 * and the event loop gets its turn between two native pages.
 */
import { setImmediate } from 'node:timers/promises';
import type { Page, PageRequest } from '../session/registry.js';
import { Problem, problemOf } from './problem.js';

export type Source<T> = (page: PageRequest) => Promise<Page<T>>;

export interface ScanRequest<T> {
  readonly cursor?: string | undefined;
  readonly limit: number;
  /** undefined = all. */
  readonly keeps?: ((row: T) => boolean) | undefined;
}

export interface Scanned<T> {
  readonly items: T[];
  readonly next: string | undefined;
  readonly scanned: number;
}

/** Rows of one native page: what is decoded without a pause. */
const kNativePage = 250;
const kMaxScanned = 20_000;
/** What a native page costs besides its rows, in rows: so that empty pages are bounded too. */
const kPageCost = 10;
const kMaxAtOnce = 4;
const kMaxWaiting = 64;
const kMaxStreams = 8;

/** Of one console: bounds how many listings are worked on at once. */
export class Scanner {
  #running = 0;
  #streams = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #stopping: AbortSignal;
  readonly #internal: (error: unknown) => Problem;

  /** `internal`: logs a defect within a stream, and is what its reader is told. */
  constructor(stopping: AbortSignal, internal: (error: unknown) => Problem) {
    this.#stopping = stopping;
    this.#internal = internal;
  }

  /** Up to `limit` rows that `keeps` likes. */
  page<T>(source: Source<T>, request: ScanRequest<T>): Promise<Scanned<T>> {
    return this.shown(source, request, (row) => row);
  }

  /** The same, each row as `show` makes it: a native page at a time, as all else. */
  async shown<T, R>(
    source: Source<T>,
    { cursor, limit, keeps }: ScanRequest<T>,
    show: (row: T) => R,
  ): Promise<Scanned<R>> {
    await this.#enter();
    try {
      const items: R[] = [];
      let scanned = 0;
      let work = 0;
      let next = cursor;
      let rows = kNativePage;
      for (;;) {
        const room = limit - items.length;
        const asked = keeps === undefined ? Math.min(rows, room) : rows;
        const page = await source({ cursor: next, limit: asked });
        work += page.items.length + kPageCost;
        const kept = keeps === undefined ? page.items : page.items.filter(keeps);
        if (kept.length > room) {
          // The page must end with the last row that has room, or the next one would miss some.
          rows = page.items.indexOf(kept[room - 1] as T) + 1;
        } else {
          rows = kNativePage;
          for (const row of kept) items.push(show(row));
          scanned += page.items.length;
          next = page.next;
          if (next === undefined || items.length === limit || work >= kMaxScanned) break;
        }
        await setImmediate();
        if (this.#stopping.aborted) throw stopped();
      }
      return { items, next, scanned };
    } finally {
      this.#leave();
    }
  }

  /** A JSON object per line, to the end of the listing or `limit` rows; then {"next": …}. */
  lines<T>(
    source: Source<T>,
    { cursor, limit, keeps }: ScanRequest<T>,
    show: (row: T) => unknown,
  ): AsyncGenerator<string> {
    if (this.#streams >= kMaxStreams) {
      throw new Problem('too_many', `${kMaxStreams} listings are being read already`);
    }
    return this.#lines(source, { cursor, limit, keeps }, show);
  }

  async *#lines<T>(
    source: Source<T>,
    { cursor, limit, keeps }: ScanRequest<T>,
    show: (row: T) => unknown,
  ): AsyncGenerator<string> {
    // Here and not before: a stream that nobody begins to read ends without `finally`.
    this.#streams++;
    try {
      let next = cursor;
      let left = limit;
      for (;;) {
        const page = await this.page(source, {
          cursor: next,
          limit: Math.min(left, kNativePage),
          keeps,
        });
        next = page.next;
        left -= page.items.length;
        let text = '';
        for (const row of page.items) text += `${JSON.stringify(show(row))}\n`;
        // Never empty: the reader sees that we are at work.
        if (text !== '') yield text;
        if (next === undefined || left === 0) break;
        await setImmediate();
        if (this.#stopping.aborted) throw stopped();
      }
      yield `${JSON.stringify({ next: next ?? null })}\n`;
    } catch (error) {
      const problem = problemOf(error) ?? this.#internal(error);
      yield `${JSON.stringify(problem.body())}\n`;
    } finally {
      this.#streams--;
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < kMaxAtOnce) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= kMaxWaiting) {
      throw new Problem('too_many', 'too many listings are waiting already');
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    // Whoever waits takes this place.
    if (next === undefined) this.#running--;
    else next();
  }
}

function stopped(): Problem {
  return new Problem('stopping', 'the broker is stopping');
}
