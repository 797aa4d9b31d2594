// What went over one connection, for the text of a failure: time, direction, decoded packet, bytes.
import { inspect } from 'node:util';
import type { Packet } from './packets.js';

const MAX_LINES = 60;
const MAX_BYTES = 96;

export class Transcript {
  readonly #name: string;
  readonly #start = performance.now();
  readonly #lines: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  note(text: string): void {
    this.#lines.push(`${(performance.now() - this.#start).toFixed(1).padStart(9)} ms  ${text}`);
  }

  bytes(arrow: '->' | '<-', packet: Packet | string, bytes: Buffer): void {
    const text = typeof packet === 'string' ? packet : describe(packet);
    this.note(`${arrow} ${text}\n${dump(bytes)}`);
  }

  toString(): string {
    const skipped = Math.max(0, this.#lines.length - MAX_LINES);
    const head = skipped > 0 ? `  (${skipped} earlier lines left out)\n` : '';
    return `connection ${this.#name}:\n${head}${this.#lines.slice(skipped).join('\n')}`;
  }
}

function describe(packet: Packet): string {
  const { type, ...fields } = packet;
  const text = inspect(fields, { breakLength: Number.POSITIVE_INFINITY, depth: 4 });
  return `${type} ${text.length > 400 ? `${text.slice(0, 400)}…` : text}`;
}

function dump(bytes: Buffer): string {
  const shown = bytes
    .subarray(0, MAX_BYTES)
    .toString('hex')
    .replaceAll(/(..)(?=.)/g, '$1 ');
  const more = bytes.length > MAX_BYTES ? ` … (${bytes.length} bytes)` : '';
  return `              ${shown}${more}`;
}
