/**
 * A listing as applications read it: `for await`, or page by page, filtered or not. Rows are asked
 * for as they are read, and none is kept: a million of them cost no memory.
 */
import { checkTable } from '../arguments.js';
import { fail } from '../errors.js';
import { globOf } from './glob.js';
import type { Page } from './registry.js';

export interface NumberRange {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

type Criterion<V> = V extends string
  ? string
  : V extends boolean
    ? boolean
    : V extends number
      ? number | NumberRange
      : never;

/**
 * Which rows: a function, or values by field, all of which must fit. Text may have `*` for any
 * characters; a number may be a range, and `'never'` is above every number.
 */
export type RowFilter<Row> =
  | ((row: Row) => boolean)
  | { readonly [K in keyof Row]?: Criterion<Row[K]> | undefined };

export interface ListingPage {
  /** `next` of the page before; undefined = from the beginning. */
  readonly cursor?: string | undefined;
  /** How many rows at most, 1 to 1000; default 100. */
  readonly limit?: number | undefined;
}

export type ListingSource<Row> = (page: {
  readonly cursor?: string | undefined;
  readonly limit: number;
}) => Promise<Page<Row>>;

type Test<Row> = (row: Row) => boolean;

const kDefaultLimit = 100;
const kMaxLimit = 1000;
/** Rows that are asked for at once: what is decoded without a pause. */
const kNativePage = 250;
/** A page of a filtered listing ends after so many rows looked at, with a cursor. */
const kMaxScanned = 20_000;
/** What a native page costs besides its rows, in rows: so that empty ones are bounded too. */
const kPageCost = 10;

export class Listing<Row> implements AsyncIterable<Row> {
  readonly #doing: string;
  readonly #source: ListingSource<Row>;
  readonly #fields: readonly string[];
  readonly #keeps: Test<Row> | undefined;

  /** Made by the broker. */
  constructor(
    doing: string,
    source: ListingSource<Row>,
    fields: readonly string[],
    keeps?: Test<Row>,
  ) {
    this.#doing = doing;
    this.#source = source;
    this.#fields = fields;
    this.#keeps = keeps;
  }

  /** The same listing with fewer rows. Throws ST_ARGUMENT for a field that rows do not have. */
  filter(wanted: RowFilter<Row>): Listing<Row> {
    const more = this.#testOf(wanted);
    const keeps = this.#keeps;
    const both = keeps === undefined ? more : (row: Row) => keeps(row) && more(row);
    return new Listing(this.#doing, this.#source, this.#fields, both);
  }

  /**
   * One page. It may have fewer rows than `limit`, even none, and still not be the last: that one
   * has no `next`.
   */
  async page(asked: ListingPage = {}): Promise<Page<Row>> {
    checkTable(this.#doing, 'options', asked);
    const { cursor, limit = kDefaultLimit } = asked;
    if (!Number.isInteger(limit) || limit < 1 || limit > kMaxLimit) {
      const allowed = `a whole number from 1 to ${kMaxLimit}`;
      throw this.#wrong('limit', String(limit), allowed);
    }
    const items: Row[] = [];
    let next = cursor;
    let size = kNativePage;
    for (let work = 0; ; ) {
      const room = limit - items.length;
      const wanted = this.#keeps === undefined ? Math.min(size, room) : size;
      const page = await this.#source({ cursor: next, limit: wanted });
      work += page.items.length + kPageCost;
      const kept = this.#keeps === undefined ? page.items : page.items.filter(this.#keeps);
      if (kept.length > room) {
        // The page must end with the last row that has room, or the next one would miss some.
        size = page.items.indexOf(kept[room - 1] as Row) + 1;
        continue;
      }
      size = kNativePage;
      for (const row of kept) items.push(row);
      next = page.next;
      if (next === undefined || items.length === limit || work >= kMaxScanned) break;
    }
    return { items, next };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row, undefined, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.#source({ cursor, limit: kNativePage });
      for (const row of page.items) {
        if (this.#keeps === undefined || this.#keeps(row)) yield row;
      }
      cursor = page.next;
    } while (cursor !== undefined);
    return undefined;
  }

  #testOf(wanted: unknown): Test<Row> {
    if (typeof wanted === 'function') return wanted as Test<Row>;
    if (typeof wanted !== 'object' || wanted === null) {
      throw this.#wrong('filter', typeof wanted, 'a function, or an object of fields');
    }
    const tests: Test<Row>[] = [];
    for (const [field, criterion] of Object.entries(wanted)) {
      if (!this.#fields.includes(field)) {
        throw this.#wrong('filter', `about "${field}"`, this.#fields.join(', '));
      }
      if (criterion === undefined) continue;
      const fits = criterionTest(criterion);
      if (fits === undefined) {
        const allowed = 'text, true or false, a number, or { min, max }';
        throw this.#wrong(`filter.${field}`, typeof criterion, allowed);
      }
      tests.push((row) => fits((row as Readonly<Record<string, unknown>>)[field]));
    }
    return (row) => tests.every((test) => test(row));
  }

  #wrong(name: string, found: string, allowed: string): Error {
    return fail('ST_ARGUMENT', { doing: this.#doing, name, found, allowed });
  }
}

function criterionTest(criterion: unknown): ((found: unknown) => boolean) | undefined {
  switch (typeof criterion) {
    case 'string': {
      const fits = criterion.includes('*')
        ? globOf(criterion)
        : (found: string) => found === criterion;
      return (found) => typeof found === 'string' && fits(found);
    }
    case 'boolean':
    case 'number':
      return (found) => found === criterion;
    case 'object':
      return rangeTest(criterion);
    default:
      return undefined;
  }
}

function rangeTest(range: object | null): ((found: unknown) => boolean) | undefined {
  if (range === null || Object.keys(range).some((key) => key !== 'min' && key !== 'max')) {
    return undefined;
  }
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = range as NumberRange;
  if (typeof min !== 'number' || typeof max !== 'number') return undefined;
  return (found) => {
    const value = found === 'never' ? Number.POSITIVE_INFINITY : found;
    return typeof value === 'number' && value >= min && value <= max;
  };
}
