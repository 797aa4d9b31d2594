/** The members of a JSON object with their values as they were written: no number loses a digit. Pure. */
import { isObject } from './topics.js';

export type Member = readonly [name: string, text: string];

/** In their order; a name that stands there twice comes twice. Throws SyntaxError or TypeError. */
export function membersOf(text: string): readonly Member[] {
  // All that follows relies on it: the text is JSON.
  if (!isObject(JSON.parse(text))) throw new TypeError('it is not an object');
  const members: Member[] = [];
  let at = afterSpace(text, text.indexOf('{') + 1);
  while (text[at] !== '}') {
    if (text[at] === ',') at = afterSpace(text, at + 1);
    const nameEnd = afterString(text, at);
    const name: string = JSON.parse(text.slice(at, nameEnd));
    const value = afterSpace(text, afterSpace(text, nameEnd) + 1);
    at = afterValue(text, value);
    members.push([name, text.slice(value, at).trimEnd()]);
  }
  return members;
}

function afterSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}

function afterString(text: string, from: number): number {
  let at = from + 1;
  for (; text[at] !== '"'; at++) if (text[at] === '\\') at++;
  return at + 1;
}

/** Where the comma or the brace behind it stands. */
function afterValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; ; ) {
    const char = text[at];
    if (char === '"') {
      at = afterString(text, at);
      continue;
    }
    if (depth === 0 && (char === ',' || char === '}')) return at;
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    at++;
  }
}
