/** Answers a listing: a page, or all of it line by line. */
import { Readable } from 'node:stream';
import { type Fields, filterOf, type Query } from '../filter.js';
import type { Call } from '../route.js';
import type { Scanner, Source } from '../scan.js';

export type PageQuery = Query & {
  readonly cursor?: string;
  readonly limit: number;
};

export interface Listing<T> {
  readonly source: Source<T>;
  readonly fields: Fields<T>;
  /** Besides what the fields say. */
  readonly keeps?: ((row: T) => boolean) | undefined;
  readonly show: (row: T) => unknown;
}

export async function answerListing<T>(
  scanner: Scanner,
  {
    query,
    wantsLines,
    reply,
  }: Pick<Call<PageQuery, unknown, unknown>, 'query' | 'wantsLines' | 'reply'>,
  { source, fields, keeps, show }: Listing<T>,
): Promise<unknown> {
  const asked = filterOf(fields, query);
  const both =
    asked === undefined || keeps === undefined
      ? (asked ?? keeps)
      : (row: T) => keeps(row) && asked(row);
  const request = { cursor: query.cursor, limit: query.limit, keeps: both };
  if (wantsLines) {
    const all = { ...request, limit: Number.POSITIVE_INFINITY };
    void reply.type('application/x-ndjson');
    return reply.send(Readable.from(scanner.lines(source, all, show)));
  }
  const { items, next, scanned } = await scanner.shown(source, request, show);
  return { items, next: next ?? null, scanned };
}
