/**
 * Writes lines without ever blocking the event loop: one write is under way, the others wait in a
 * buffer with a bound, and what does not fit is dropped and counted. An output that fails is tried
 * again until it works. What waits at the end of the process is written then.
 */
import { write, writeSync } from 'node:fs';
import { systemCode } from '../errors.js';

/** Where lines go. */
export interface Output {
  /** Lines are handed over in batches of at most so many bytes, or one by one where they are longer. */
  readonly maxBatchBytes: number;
  /** The descriptor for the next `bytes`: opens it first, or another one, as needed. May throw. */
  descriptor(bytes: number): Promise<number>;
  wrote(bytes: number): void;
  /** The one that is open, for the end of the process; undefined = none. */
  readonly current: number | undefined;
  close(): Promise<void>;
}

export interface LineWriterEvents {
  /** Room again after `count` lines were dropped. What it writes stands at their place. */
  readonly onDropped: (count: number) => void;
  /** The output fails; told again while it does, at a limited rate. `dropped`: lines lost so far. */
  readonly onFailure: (error: unknown, dropped: number) => void;
  /** It works again. */
  readonly onRecovery?: () => void;
}

const kMaxWaitingBytes = 4 * 1024 * 1024;
const kRetryMs = 500;
const kFullRetryMs = 20;
const kFailureEveryMs = 60_000;
/** At the end of the process, for a pipe whose reader does not read. */
const kLastWordsMs = 300;

const open = new Set<LineWriter>();
let isHooked = false;

/** Of all writers: what waits, at once. For the end of the process. */
export function flushAllSync(): void {
  for (const writer of open) writer.flushSync();
}

export class LineWriter {
  readonly #output: Output;
  readonly #events: LineWriterEvents;
  readonly #maxWaitingBytes: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  /** The rest of the batch that is being written. */
  #batch: Buffer | undefined;
  /** Since when the system has it; undefined = it does not. */
  #inSystemSince: number | undefined;
  #dropped = 0;
  #running: Promise<void> | undefined;
  #failedAt: number | undefined;
  #isFailing = false;

  constructor(output: Output, events: LineWriterEvents, maxWaitingBytes = kMaxWaitingBytes) {
    this.#output = output;
    this.#events = events;
    this.#maxWaitingBytes = maxWaitingBytes;
    open.add(this);
    if (!isHooked) {
      isHooked = true;
      process.once('exit', flushAllSync);
    }
  }

  /** `line` ends with its line feed. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#dropped > 0 || this.#waitingBytes + bytes > this.#maxWaitingBytes) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits, or after `timeoutMs`: an output that stalls ends nobody. */
  async flush(timeoutMs = 2000): Promise<void> {
    if (this.#running === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#running, timeout]);
    clearTimeout(timer);
  }

  async end(): Promise<void> {
    await this.flush();
    this.flushSync();
    open.delete(this);
    if (this.#inSystemSince === undefined) await this.#output.close().catch(() => undefined);
  }

  /** For the end of the process only: what the system has already comes behind it. */
  flushSync(): void {
    const deadline = Date.now() + kLastWordsMs;
    // It stalls: writing would wait for it too.
    if (this.#inSystemSince !== undefined && Date.now() - this.#inSystemSince > kLastWordsMs)
      return;
    const { current } = this.#output;
    if (current === undefined) return;
    const batch = this.#inSystemSince === undefined ? (this.#batch ?? Buffer.of()) : Buffer.of();
    let rest = Buffer.concat([batch, Buffer.from(this.#waiting.join(''))]);
    this.#batch = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(current, rest));
      } catch (error) {
        // Nowhere left to say so.
        if (systemCode(error) !== 'EAGAIN' || Date.now() >= deadline) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
  }

  async #run(): Promise<void> {
    // What is logged in this turn of the loop goes out together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#batch !== undefined || this.#waiting.length > 0) {
      this.#batch ??= this.#take();
      try {
        await this.#writeSome(this.#batch);
      } catch (error) {
        await this.#failed(error);
      }
      if (this.#dropped > 0 && this.#waitingBytes < this.#maxWaitingBytes / 2 && !this.#isFailing) {
        const count = this.#dropped;
        this.#dropped = 0;
        this.#events.onDropped(count);
      }
    }
    this.#running = undefined;
  }

  #take(): Buffer {
    let bytes = 0;
    let count = 0;
    for (const line of this.#waiting) {
      const next = bytes + Buffer.byteLength(line);
      if (count > 0 && next > this.#output.maxBatchBytes) break;
      bytes = next;
      count++;
    }
    const lines = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    return Buffer.from(lines.join(''));
  }

  async #writeSome(batch: Buffer): Promise<void> {
    const descriptor = await this.#output.descriptor(batch.length);
    // flushSync() may have had it meanwhile.
    if (this.#batch !== batch) return;
    this.#inSystemSince = Date.now();
    try {
      const bytes = await new Promise<number>((resolve, reject) => {
        write(descriptor, batch, 0, batch.length, null, (error, written) =>
          error === null ? resolve(written) : reject(error),
        );
      });
      this.#output.wrote(bytes);
      this.#batch = bytes < batch.length ? batch.subarray(bytes) : undefined;
    } finally {
      this.#inSystemSince = undefined;
    }
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#failedAt = undefined;
    this.#events.onRecovery?.();
  }

  async #failed(error: unknown): Promise<void> {
    const isFull = systemCode(error) === 'EAGAIN';
    if (!isFull) {
      this.#isFailing = true;
      if (this.#failedAt === undefined || Date.now() - this.#failedAt >= kFailureEveryMs) {
        this.#failedAt = Date.now();
        this.#events.onFailure(error, this.#dropped);
      }
    }
    // It must not keep the process alive.
    await new Promise<void>((resolve) => {
      setTimeout(resolve, isFull ? kFullRetryMs : kRetryMs).unref();
    });
  }
}
