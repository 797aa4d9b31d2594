/** What a row of the option table is, and whether a value fits one. */
import type { ProtocolVersion } from '../native/events.js';
import { type ListenAddress, parseListenAddress } from './address.js';

/** What a changed value touches: running connections too, new connections only, or a restart. */
export type Reload = 'live' | 'new-connections' | 'restart';

interface Common {
  readonly help: string;
  readonly reload: Reload;
  /** The command line flag that sets it. */
  readonly flag?: string;
  /** Never printed: neither in a message nor by `check`. */
  readonly secret?: true;
}

/** How a default is found at start, in words and as a function; undefined = by what else is there. */
export interface Computed<V> {
  readonly text: string;
  readonly value: () => V;
}

export interface IntegerRow extends Common {
  readonly type: 'integer';
  readonly default: number | Computed<number>;
  readonly min: number;
  readonly max: number;
  readonly unit?: 'bytes' | 'ms' | 's' | 'messages/s' | 'bytes/s';
}
export interface BooleanRow extends Common {
  readonly type: 'boolean';
  readonly default: boolean | Computed<undefined>;
}
export interface StringRow extends Common {
  readonly type: 'string';
  readonly default: string;
  /** In words; undefined from `check` = it fits. */
  readonly allowed?: string;
  readonly check?: (value: string) => boolean;
  /** The path of a file: a relative one is made absolute (paths.ts). */
  readonly path?: true;
  /** How it is printed, where a part of it may be a secret (shown.ts). */
  readonly shown?: (value: string) => string;
}
/** One text or a list of them. */
export interface StringsRow extends Common {
  readonly type: 'strings';
  readonly default: readonly string[];
  readonly allowed: string;
  /** Of one of them. */
  readonly check: (value: string) => boolean;
  readonly path?: true;
}
export interface EnumRow<V extends string = string> extends Common {
  readonly type: 'enum';
  readonly default: V | Computed<V | undefined>;
  readonly values: readonly V[];
}
export interface VersionsRow extends Common {
  readonly type: 'versions';
  readonly default: readonly ProtocolVersion[];
}
/** "HOST:PORT", one or a list. */
export interface AddressesRow extends Common {
  readonly type: 'addresses';
  readonly default: readonly ListenAddress[];
}
/** A file mode: an integer, or octal digits as text. */
export interface ModeRow extends Common {
  readonly type: 'mode';
  readonly default: number;
}

export type Row =
  | IntegerRow
  | BooleanRow
  | StringRow
  | StringsRow
  | EnumRow
  | VersionsRow
  | AddressesRow
  | ModeRow;
export type Rows = Readonly<Record<string, Row>>;

/** A row's value as it is written, and as the broker uses it. */
export type Written<R extends Row> = R extends IntegerRow
  ? number
  : R extends BooleanRow
    ? boolean
    : R extends EnumRow<infer V>
      ? V
      : R extends VersionsRow
        ? readonly ProtocolVersion[]
        : R extends AddressesRow | StringsRow
          ? string | readonly string[]
          : R extends ModeRow
            ? number | string
            : string;
export type Value<R extends Row> = R extends IntegerRow | ModeRow
  ? number
  : R extends BooleanRow
    ? boolean
    : R extends EnumRow<infer V>
      ? V
      : R extends VersionsRow
        ? readonly ProtocolVersion[]
        : R extends AddressesRow
          ? readonly ListenAddress[]
          : R extends StringsRow
            ? readonly string[]
            : string;
export type WrittenTable<T extends Rows> = {
  readonly [K in keyof T]?: Written<T[K]> | undefined;
};
export type ValueTable<T extends Rows> = { readonly [K in keyof T]: Value<T[K]> };

export const integer = (row: Omit<IntegerRow, 'type'>): IntegerRow => ({ type: 'integer', ...row });
export const boolean = (row: Omit<BooleanRow, 'type'>): BooleanRow => ({ type: 'boolean', ...row });
export const string = (row: Omit<StringRow, 'type'>): StringRow => ({ type: 'string', ...row });
/** The path of a file; '' = none. */
export const path = (row: Omit<StringRow, 'type' | 'default' | 'allowed' | 'check' | 'path'>) =>
  string({
    default: '',
    allowed: 'the path of a file',
    check: (value) => value !== '' && !value.includes('\0'),
    path: true,
    ...row,
  });
export const strings = (row: Omit<StringsRow, 'type'>): StringsRow => ({ type: 'strings', ...row });
export const oneOf = <const V extends string>(row: Omit<EnumRow<V>, 'type'>): EnumRow<V> => ({
  type: 'enum',
  ...row,
});
export const versions = (row: Omit<VersionsRow, 'type'>): VersionsRow => ({
  type: 'versions',
  ...row,
});
export const addresses = (row: Omit<AddressesRow, 'type'>): AddressesRow => ({
  type: 'addresses',
  ...row,
});
export const mode = (row: Omit<ModeRow, 'type'>): ModeRow => ({ type: 'mode', ...row });

export const allVersions: readonly ProtocolVersion[] = ['3.1', '3.1.1', '5.0'];

export function defaultOf(row: Row): unknown {
  return isComputed(row.default) ? row.default.value() : row.default;
}

export function isComputed(given: Row['default']): given is Computed<never> {
  return typeof given === 'object' && 'text' in given;
}

/** What a row takes, in words. */
export function allowedText(row: Row): string {
  switch (row.type) {
    case 'integer':
      return `an integer from ${row.min} to ${row.max}${row.unit === undefined ? '' : ` (${row.unit})`}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return row.allowed ?? 'text';
    case 'strings':
      return `${row.allowed}; one or a list`;
    case 'enum':
      return row.values.map((value) => `"${value}"`).join(', ');
    case 'versions':
      return `a list of ${allVersions.map((version) => `"${version}"`).join(', ')}, at least one`;
    case 'addresses':
      return '"HOST:PORT", as "0.0.0.0:1883", "[::1]:1883" or "localhost:1883", or a list of these';
    case 'mode':
      return 'octal digits as text, as "0660"';
  }
}

export type Checked = { readonly value: unknown } | 'refused';

/** Checks a value and turns it into what the broker uses. `textual`: it came as text (environment). */
export function checkValue(row: Row, raw: unknown, textual: boolean): Checked {
  const given = textual && typeof raw === 'string' ? fromText(row, raw) : raw;
  switch (row.type) {
    case 'integer':
      return typeof given === 'number' &&
        Number.isInteger(given) &&
        given >= row.min &&
        given <= row.max
        ? { value: given }
        : 'refused';
    case 'boolean':
      return typeof given === 'boolean' ? { value: given } : 'refused';
    case 'string':
      return typeof given === 'string' && (row.check === undefined || row.check(given))
        ? { value: given }
        : 'refused';
    case 'strings': {
      const list: unknown[] = Array.isArray(given) ? given : [given];
      const fits = list.every((one) => typeof one === 'string' && row.check(one));
      return fits ? { value: list } : 'refused';
    }
    case 'enum':
      return typeof given === 'string' && row.values.includes(given) ? { value: given } : 'refused';
    case 'versions': {
      if (!Array.isArray(given) || given.length === 0) return 'refused';
      const known = given.every((version) => (allVersions as readonly unknown[]).includes(version));
      return known ? { value: allVersions.filter((v) => given.includes(v)) } : 'refused';
    }
    case 'addresses': {
      const list: unknown[] = Array.isArray(given) ? given : [given];
      if (list.length === 0) return 'refused';
      const parsed = list.map((one) =>
        typeof one === 'string' ? parseListenAddress(one) : undefined,
      );
      return parsed.includes(undefined) ? 'refused' : { value: parsed };
    }
    case 'mode': {
      if (typeof given === 'string' && /^0?o?[0-7]{3,4}$/.test(given)) {
        return { value: Number.parseInt(given.replace('o', ''), 8) };
      }
      const fits = typeof given === 'number' && Number.isInteger(given);
      return fits && given >= 0 && given <= 0o7777 ? { value: given } : 'refused';
    }
  }
}

function fromText(row: Row, raw: string): unknown {
  const given = raw.trim();
  switch (row.type) {
    case 'integer':
      return /^-?\d+$/.test(given) ? Number(given) : given;
    case 'boolean':
      return given === 'true' || given === '1'
        ? true
        : given === 'false' || given === '0'
          ? false
          : given;
    case 'versions':
    case 'addresses':
    case 'strings':
      return given.split(',').map((one) => one.trim());
    case 'string':
    case 'enum':
    case 'mode':
      return given;
  }
}
