import { createWriteStream, type WriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fail } from '../errors.js';

/** JSON lines up to a size. What is beyond it is not written, and the last line says so. */
export class TraceFile {
  readonly #stream: WriteStream;
  readonly #maxBytes: number;
  #bytes: number;
  #full = false;
  #error: Error | undefined;

  private constructor(stream: WriteStream, bytes: number, maxBytes: number) {
    this.#stream = stream;
    this.#bytes = bytes;
    this.#maxBytes = maxBytes;
    stream.on('error', (error) => {
      this.#error = error;
    });
  }

  static async open(to: { readonly path: string; readonly maxBytes?: number }): Promise<TraceFile> {
    // Packets are for the operator alone.
    const stream = createWriteStream(to.path, { flags: 'a', mode: 0o600 });
    await new Promise<void>((resolve, reject) => {
      stream.once('open', () => resolve());
      stream.once('error', (cause) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        reject(
          fail(
            'ST_ARGUMENT',
            {
              doing: 'starting a trace',
              name: 'to.path',
              found: JSON.stringify(to.path),
              allowed: `a file that can be written (${why})`,
            },
            { cause },
          ),
        );
      });
    });
    const { size } = await stat(to.path);
    return new TraceFile(stream, size, to.maxBytes ?? 64 * 1024 * 1024);
  }

  /** False: the file is full, or broken. */
  write(record: Readonly<Record<string, unknown>>): boolean {
    if (this.#full || this.#error !== undefined) return false;
    const line = `${JSON.stringify(record)}\n`;
    const bytes = Buffer.byteLength(line);
    if (this.#bytes + bytes > this.#maxBytes) {
      this.#full = true;
      this.#stream.write(`${JSON.stringify({ time: record.time, full: true })}\n`);
      return false;
    }
    this.#bytes += bytes;
    this.#stream.write(line);
    return true;
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) reject(this.#error);
      else this.#stream.end((error?: Error | null) => (error ? reject(error) : resolve()));
    });
  }
}
