/**
 * What of a configuration may be read by who must not know its secrets: in a log, an error, what check
 * prints, the console's answers. The one place that says so.
 */
import type { Row } from './rows.js';

export const hidden = '(secret)';

/** A user, a password, a query and a fragment behind a scheme; a token may be in each of them. */
const url = /\b([a-z][a-z0-9+.-]*:\/\/)(?:[^\s"'<>]*@)?([^\s"'<>?#]*)([?#][^\s"'<>]*)?/gi;

/** A URL, or a text that may have some, without what may be a secret. */
export function withoutUrlSecrets(text: string): string {
  return text.replaceAll(url, (_, scheme: string, rest: string, more: string | undefined) =>
    more === undefined ? `${scheme}${rest}` : `${scheme}${rest}?${hidden}`,
  );
}

/** Of an http provider's field: a placeholder alone. Whatever else stands there may be a key. */
export const placeholderOnly = (text: string) => (/^(%[a-z%])*$/i.test(text) ? text : hidden);

/** A row's value as it may be shown, otherwise as it was. */
export function shownValue(row: Row, value: unknown): unknown {
  if (row.secret === true) return hidden;
  if (row.type !== 'string' || row.shown === undefined || typeof value !== 'string') return value;
  return row.shown(value);
}
