// Listings over a source of pages: every row once, filters, bounds of work, bad input.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Listing, type ListingPage, type RowFilter } from '../../../src/session/listing.ts';

interface Row {
  readonly id: string;
  readonly n: number;
  readonly on: boolean;
  readonly expiry: number | 'never';
  readonly name: string | undefined;
}
const rowOf = (n: number): Row => ({
  id: `row-${n}`,
  n,
  on: n % 2 === 0,
  expiry: n % 10 === 0 ? 'never' : n,
  name: n % 3 === 0 ? undefined : `name${n % 7}`,
});

/** A source whose pages are at most `most` long, some of them empty. */
function listing(rows: readonly Row[], most = 250) {
  const asked: number[] = [];
  const source = async ({ cursor, limit }: { cursor?: string | undefined; limit: number }) => {
    asked.push(limit);
    const [at = 0, turn = 0] = (cursor ?? '0,0').split(',').map(Number);
    const size = turn % 4 === 3 ? 0 : Math.min(limit, most);
    const items = rows.slice(at, at + size);
    const next = at + items.length;
    return { items, next: next < rows.length ? `${next},${turn + 1}` : undefined };
  };
  const fields = ['id', 'n', 'on', 'expiry', 'name'];
  return { list: new Listing<Row>('listing rows', source, fields), asked };
}
const thousand = Array.from({ length: 1000 }, (_, n) => rowOf(n));
async function all(list: AsyncIterable<Row>): Promise<number[]> {
  const found: number[] = [];
  for await (const { n } of list) found.push(n);
  return found;
}
async function paged(list: Listing<Row>, limit: number): Promise<number[]> {
  const found: number[] = [];
  let cursor: string | undefined;
  do {
    const { items, next } = await list.page({ cursor, limit });
    expect(items.length).toBeLessThanOrEqual(limit);
    for (const { n } of items) found.push(n);
    cursor = next;
  } while (cursor !== undefined);
  return found;
}

describe('a listing', () => {
  test('is read again and again, and asks for no more than is read', async () => {
    const { list, asked } = listing(thousand);
    for await (const { n } of list) if (n === 10) break;
    expect(asked).toHaveLength(1);
    expect(await all(list)).toEqual(thousand.map(({ n }) => n));
    expect(await all(list)).toHaveLength(1000);
  });

  test.each<[string, RowFilter<Row>, (row: Row) => boolean]>([
    ['a function', ({ n }) => n > 900, ({ n }) => n > 900],
    ['text', { id: 'row-7' }, ({ n }) => n === 7],
    ['text is no prefix', { id: 'row-' }, () => false],
    ['text with *', { id: '*-1*5' }, ({ id }) => /^row-1\d*5$/.test(id)],
    ['a flag', { on: false }, ({ on }) => !on],
    ['a number', { n: 5 }, ({ n }) => n === 5],
    ['a range', { n: { min: 5, max: 9 } }, ({ n }) => n >= 5 && n <= 9],
    ['never is above', { expiry: { min: 995 } }, ({ n, expiry }) => n >= 995 || expiry === 'never'],
    ['never itself', { expiry: 'never' }, ({ expiry }) => expiry === 'never'],
    ['what may be missing', { name: 'name*' }, ({ name }) => name !== undefined],
    ['nothing', { id: undefined }, () => true],
    ['several', { on: true, name: 'name4' }, ({ on, name }) => on && name === 'name4'],
  ])('filtered by %s', async (_, filter, keeps) => {
    const wanted = thousand.filter(keeps).map(({ n }) => n);
    const { list } = listing(thousand);
    expect(await all(list.filter(filter))).toEqual(wanted);
    expect(await paged(list.filter(filter), 7)).toEqual(wanted);
  });

  test('filters add up', async () => {
    const { list } = listing(thousand);
    expect(await all(list.filter({ on: true }).filter({ n: { max: 6 } }))).toEqual([0, 2, 4, 6]);
  });

  test('pages have every row once, whatever their size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 600 }),
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 9 }),
        async (length, limit, most, step) => {
          const rows = thousand.slice(0, length);
          const { list } = listing(rows, most);
          const keeps = ({ n }: Row) => n % step === 0;
          expect(await paged(list.filter(keeps), limit)).toEqual(
            rows.filter(keeps).map(({ n }) => n),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a page that finds nothing ends after a bounded number of rows, with a cursor', async () => {
    const many = Array.from({ length: 50_000 }, (_, n) => rowOf(n));
    const { list, asked } = listing(many);
    const page = await list.filter(() => false).page();
    expect(page.items).toEqual([]);
    expect(page.next).toBeDefined();
    expect(asked.length).toBeLessThan(150);
  });

  test.each([{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { limit: '5' }, { limit: null }])(
    '%j is refused',
    async (page) => {
      const { list } = listing(thousand);
      await expect(list.page(page as ListingPage)).rejects.toMatchObject({ code: 'ST_ARGUMENT' });
    },
  );

  test.each([
    5,
    null,
    'x',
    { nothing: 1 },
    { n: { least: 1 } },
    { n: { min: '1' } },
    { n: null },
    { id: () => true },
  ])('the filter %j is refused', (filter) => {
    const { list } = listing(thousand);
    expect(() => list.filter(filter as RowFilter<Row>)).toThrow(
      expect.objectContaining({ code: 'ST_ARGUMENT' }),
    );
  });
});
