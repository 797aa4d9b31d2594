/** What `st-mqttd ctl` writes: in the reader's pace, and safe for a terminal. */
import type { Json, JsonObject } from './api.js';

export interface Output {
  /** undefined = not a terminal: nothing is cut. */
  readonly width: number | undefined;
  write(text: string): Promise<void>;
  /** As they are: a payload. */
  writeBytes(bytes: Uint8Array): Promise<void>;
}

/** Standard output. A reader that went away (`| head`) ends the program quietly. */
export function standardOutput(): Output {
  const { stdout } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const write = (data: string | Uint8Array) =>
    new Promise<void>((done) => {
      stdout.write(data, () => done());
    });
  return { width: stdout.isTTY ? stdout.columns : undefined, write, writeBytes: write };
}

/** Controls and what turns the direction of text: from a client, they are no text but an attack. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu;
/** Joiners of scripts and emoji. */
const harmless = new Set(['\u200c', '\u200d', '\u00ad']);

export function safe(text: string): string {
  return text.replace(unsafe, (found) => (harmless.has(found) ? found : escaped(found)));
}

function escaped(found: string): string {
  if (found === '\n') return '\\n';
  if (found === '\t') return '\\t';
  const code = found.codePointAt(0) ?? 0;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** JSON that a terminal shows as it is: JSON.stringify leaves C1 controls alone. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(unsafe, (found) => {
    if (found === '\n' || harmless.has(found)) return found;
    return [...Array(found.length).keys()]
      .map((at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join('');
  });
}

/** A value in a cell. */
export function cell(value: Json | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return safe(value);
  if (typeof value === 'object') return safe(JSON.stringify(value));
  return String(value);
}

/** Names and values, below each other; objects within are set in. */
export function fieldLines(object: JsonObject, indent = ''): string {
  const entries = Object.entries(object);
  const plain = entries.filter(([, value]) => !isNested(value));
  const width = Math.max(0, ...plain.map(([key]) => safe(key).length));
  let text = '';
  for (const [key, value] of entries) {
    if (isNested(value)) {
      text += `${indent}${safe(key)}\n${nestedLines(value, `${indent}  `)}`;
    } else {
      text += `${indent}${safe(key).padEnd(width)}  ${cell(value)}`.trimEnd();
      text += '\n';
    }
  }
  return text;
}

function isNested(value: Json): value is JsonObject | readonly Json[] {
  if (value === null || typeof value !== 'object') return false;
  return Array.isArray(value) ? value.some((each) => typeof each === 'object') : true;
}

function nestedLines(value: JsonObject | readonly Json[], indent: string): string {
  if (!Array.isArray(value)) return fieldLines(value as JsonObject, indent);
  return (value as readonly Json[]).map((each) => `${indent}${cell(each)}\n`).join('');
}
