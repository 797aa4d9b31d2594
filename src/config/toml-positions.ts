/**
 * Finds where each key of a TOML document stands: parsers give values without positions, and an
 * error should name its place. Reads only documents that the parser has accepted.
 */

import { indexStep } from './tree.js';

const kSeparator = '\0';

export interface Position {
  /** Both from 1; the column in UTF-16 code units, as editors count. */
  readonly line: number;
  readonly column: number;
}

/** Positions by path (steps joined by NUL); the first one of a table's header or key counts. */
export class TomlPositions {
  readonly #positions = new Map<string, Position>();
  readonly #text: string;
  #at = 0;
  #line = 1;
  /** Where the current line begins. */
  #lineStart = 0;
  /** Lists of tables ([[x]]) by path: the index of the last one. */
  readonly #lists = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
    this.#document();
  }

  /** Of a key, or of the nearest table around it. */
  find(path: readonly string[]): Position | undefined {
    for (let length = path.length; length > 0; length--) {
      const position = this.#positions.get(path.slice(0, length).join(kSeparator));
      if (position !== undefined) return position;
    }
    return undefined;
  }

  #document(): void {
    let table: string[] = [];
    for (;;) {
      this.#skipBlank();
      const next = this.#text[this.#at];
      if (next === undefined) return;
      if (next === '[') {
        const position = this.#position();
        const brackets = this.#text[this.#at + 1] === '[' ? 2 : 1;
        this.#at += brackets;
        table = this.#inLists(this.#key(), brackets === 2);
        this.#note(table, position);
        this.#at += brackets;
      } else {
        this.#assignment(table);
      }
    }
  }

  /** A header's path, with the index of each list of tables on it: [[x]] begins the next of x. */
  #inLists(steps: readonly string[], isNext: boolean): string[] {
    const path: string[] = [];
    for (const [depth, step] of steps.entries()) {
      path.push(step);
      const key = path.join(kSeparator);
      const last = this.#lists.get(key);
      const index = isNext && depth === steps.length - 1 ? (last ?? -1) + 1 : last;
      if (index === undefined) continue;
      this.#lists.set(key, index);
      path.push(indexStep(index));
    }
    return path;
  }

  #assignment(table: readonly string[]): void {
    const position = this.#position();
    const path = [...table, ...this.#key()];
    this.#note(path, position);
    this.#skipBlank();
    this.#at++; // the equals sign
    this.#skipBlank();
    this.#value(path);
  }

  #position(): Position {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #note(path: readonly string[], position: Position): void {
    for (let length = 1; length <= path.length; length++) {
      const key = path.slice(0, length).join(kSeparator);
      if (!this.#positions.has(key)) this.#positions.set(key, position);
    }
  }

  #newLine(): void {
    this.#line++;
    this.#lineStart = this.#at + 1;
  }

  /** A dotted key; stops at the bracket or equals sign behind it. */
  #key(): string[] {
    const steps: string[] = [];
    for (;;) {
      this.#skipBlank();
      const quote = this.#text[this.#at];
      if (quote === '"' || quote === "'") {
        const start = this.#at;
        this.#string();
        const raw = this.#text.slice(start, this.#at);
        steps.push(quote === '"' ? unquote(raw) : raw.slice(1, -1));
      } else {
        const start = this.#at;
        while (/[\w-]/.test(this.#text[this.#at] ?? '')) this.#at++;
        if (this.#at === start) return steps; // only a document the parser refuses gets here
        steps.push(this.#text.slice(start, this.#at));
      }
      this.#skipBlank();
      if (this.#text[this.#at] !== '.') return steps;
      this.#at++;
    }
  }

  #value(path: readonly string[]): void {
    const next = this.#text[this.#at];
    if (next === '"' || next === "'") {
      this.#string();
    } else if (next === '[') {
      let index = 0;
      this.#list(']', () => {
        const inner = [...path, indexStep(index++)];
        if (this.#text[this.#at] === '{') this.#note(inner, this.#position());
        this.#value(inner);
      });
    } else if (next === '{') {
      this.#list('}', () => this.#assignment(path));
    } else {
      while (!/[\s,\]}#]|^$/.test(this.#text[this.#at] ?? '')) this.#at++;
    }
  }

  #list(end: string, element: () => void): void {
    this.#at++;
    for (;;) {
      this.#skipBlank();
      const next = this.#text[this.#at];
      if (next === undefined) return;
      if (next === end || next === ',') {
        this.#at++;
        if (next === end) return;
        continue;
      }
      const before = this.#at;
      element();
      // Only in a document that the parser refuses.
      if (this.#at === before) this.#at++;
    }
  }

  /** From the opening quote to behind the closing one; three quotes make it span lines. */
  #string(): void {
    const quote = this.#text[this.#at] ?? '';
    const long = this.#text.startsWith(quote.repeat(3), this.#at);
    const end = long ? quote.repeat(3) : quote;
    this.#at += end.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(end, this.#at)) {
      // A backslash hides the quote behind it, and may stand before a line's end.
      if (quote === '"' && this.#text[this.#at] === '\\') this.#at++;
      if (this.#text[this.#at] === '\n') this.#newLine();
      this.#at++;
    }
    this.#at += end.length;
    // A long string may end with up to two quotes of its own.
    while (long && this.#text[this.#at] === quote) this.#at++;
  }

  #skipBlank(): void {
    for (;;) {
      const next = this.#text[this.#at];
      if (next === '\n') this.#newLine();
      else if (next === '#') {
        while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#at++;
        continue;
      } else if (next !== ' ' && next !== '\t' && next !== '\r') return;
      this.#at++;
    }
  }
}

/** A basic string's text. Its escapes are JSON's, but for \UXXXXXXXX, \e and \xHH. */
function unquote(raw: string): string {
  try {
    return JSON.parse(raw) as string;
  } catch {
    return raw.slice(1, -1);
  }
}
