/**
 * Filters of listings: one row per field, which gives the query's parameters and the comparison.
 * Text: exact, or with `*` for any characters; `_like_NAME` finds it anywhere. Numbers: exact,
 * `_gte_NAME`, `_lte_NAME`.
 */
import { globOf } from '../session/glob.js';
import { flag, integer, type Schema, text } from './schema.js';

export type Query = Readonly<Record<string, unknown>>;

type Field<T> =
  | {
      readonly kind: 'text';
      readonly of: (row: T) => string | null | undefined;
      readonly help: string;
    }
  | { readonly kind: 'flag'; readonly of: (row: T) => boolean; readonly help: string }
  | {
      readonly kind: 'number';
      readonly of: (row: T) => number | null | undefined;
      readonly help: string;
    };

export type Fields<T> = Readonly<Record<string, Field<T>>>;

/** The query's parameters. */
export function filterQuery<T>(fields: Fields<T>): Record<string, Schema> {
  const query: Record<string, Schema> = {};
  for (const [name, { kind, help }] of Object.entries(fields)) {
    switch (kind) {
      case 'text':
        query[name] = text(`${help}; * stands for any characters.`, { maxLength: 4096 });
        query[`_like_${name}`] = text(`Part of ${name}.`, { maxLength: 4096 });
        break;
      case 'flag':
        query[name] = flag(`${help}.`);
        break;
      case 'number':
        query[name] = integer(`${help}.`);
        query[`_gte_${name}`] = integer(`The lowest ${name}.`);
        query[`_lte_${name}`] = integer(`The highest ${name}.`);
    }
  }
  return query;
}

/** undefined = nothing is filtered. */
export function filterOf<T>(fields: Fields<T>, query: Query): ((row: T) => boolean) | undefined {
  const tests: ((row: T) => boolean)[] = [];
  for (const [name, field] of Object.entries(fields)) {
    const wanted = query[name];
    switch (field.kind) {
      case 'text': {
        const like = query[`_like_${name}`];
        if (typeof wanted === 'string') {
          const fits = wanted.includes('*') ? globOf(wanted) : (found: string) => found === wanted;
          tests.push((row) => fits(field.of(row) ?? ''));
        }
        if (typeof like === 'string') tests.push((row) => (field.of(row) ?? '').includes(like));
        break;
      }
      case 'flag':
        if (typeof wanted === 'boolean') tests.push((row) => field.of(row) === wanted);
        break;
      case 'number': {
        const [low, high] = [query[`_gte_${name}`], query[`_lte_${name}`]];
        if (typeof wanted === 'number') tests.push((row) => field.of(row) === wanted);
        if (typeof low === 'number') tests.push((row) => atLeast(field.of(row), low));
        if (typeof high === 'number') tests.push((row) => atMost(field.of(row), high));
      }
    }
  }
  if (tests.length === 0) return undefined;
  return (row) => tests.every((test) => test(row));
}

const atLeast = (found: number | null | undefined, low: number) =>
  typeof found === 'number' && found >= low;
const atMost = (found: number | null | undefined, high: number) =>
  typeof found === 'number' && found <= high;
