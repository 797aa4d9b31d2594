/** stderr as an output of lines: not blocking, where the system lets us have it so. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Output } from './line-writer.js';

const kStderr = 2;

export class ConsoleOutput implements Output {
  readonly maxBatchBytes = 16 * 1024;
  #descriptor: number | undefined;

  get current(): number {
    this.#descriptor ??= openOwn() ?? kStderr;
    return this.#descriptor;
  }

  async descriptor(): Promise<number> {
    return this.current;
  }

  wrote(): void {}

  async close(): Promise<void> {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor !== undefined && descriptor !== kStderr) closeSync(descriptor);
  }
}

/**
 * A second description of the pipe or terminal, for O_NONBLOCK on it is ours alone: the shell's, and
 * those of our parent, stay as they are. Sockets (journald's) cannot be opened so.
 */
function openOwn(): number | undefined {
  try {
    const stats = fstatSync(kStderr);
    if (!stats.isFIFO() && !stats.isCharacterDevice()) return undefined;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync('/proc/self/fd/2', O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}
