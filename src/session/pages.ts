/** Pages of listings: cursors as text, and as many rows as were asked for. */
import { checkTable } from '../arguments.js';
import { fail } from '../errors.js';
import { kMaxCursorBytes } from '../native/contract.js';
import type { ReplyEvent } from '../native/events.js';
import type { Page, PageRequest } from './registry.js';

const kMaxLimit = 1000;
/** A page that finds little (most slots are empty) ends after so many queries, with a cursor. */
const kQueriesPerPage = 16;

/** Asks until the page is full: a query's own bounds are smaller. */
export async function pageOf<T>(
  doing: string,
  page: PageRequest,
  ask: (limit: number, cursor: Buffer | undefined) => Promise<ReplyEvent>,
  rowsOf: (reply: ReplyEvent) => readonly T[],
): Promise<Page<T>> {
  checkTable(doing, 'page', page);
  const { limit } = page;
  if (!Number.isInteger(limit) || limit < 1 || limit > kMaxLimit) {
    const allowed = `a whole number from 1 to ${kMaxLimit}`;
    throw fail('ST_ARGUMENT', { doing, name: 'limit', found: String(limit), allowed });
  }
  let cursor = decode(doing, page.cursor);
  const items: T[] = [];
  for (let queries = 0; queries < kQueriesPerPage && items.length < limit; queries++) {
    const reply = await ask(limit - items.length, cursor);
    if (reply.status === 'bad_cursor') throw badCursor(doing, page.cursor);
    if (reply.status === 'not_found') return { items, next: undefined };
    for (const row of rowsOf(reply)) items.push(row);
    if (reply.cursor.length === 0) return { items, next: undefined };
    cursor = reply.cursor;
  }
  return { items, next: cursor?.toString('base64url') };
}

function decode(doing: string, cursor: string | undefined): Buffer | undefined {
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
