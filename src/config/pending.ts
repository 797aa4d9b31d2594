/**
 * What the configuration can say about access and the broker does not do yet. It does not start with
 * it: a port that the file wants closed must not be open. Each part that comes to life leaves here.
 */
import { isDeepStrictEqual } from 'node:util';
import { fail } from '../errors.js';
import type { Resolution } from './resolve.js';
import { defaultOf } from './rows.js';

const kWhy = 'this version cannot do it yet, and would leave open what the file wants closed';

const refused: readonly (readonly [table: RegExp, keys?: readonly string[]])[] = [
];

export function withoutPending(resolution: Resolution): Resolution {
  const { effective } = resolution;
  for (const { table, key, row, value, origin } of effective) {
    // Asked for, and not what is there anyway.
    if (origin === undefined || isDeepStrictEqual(value, defaultOf(row))) continue;
    if (!refused.some(([at, keys]) => at.test(table) && keys?.includes(key) !== false)) continue;
    throw fail('ST_CONFIG_UNSUPPORTED', { where: origin, key: `[${table}]: ${key}`, why: kWhy });
  }
  return resolution;
}
