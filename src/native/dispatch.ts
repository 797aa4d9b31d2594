/**
 * Takes events out of the native half when it wakes us, and hands each to one sink. A flood is
 * served in slices: after so many records the loop gets a turn, so timers and other work go on.
 * No policy here.
 */
import type { NativeBroker } from './addon.js';
import { EventReader, type NativeEvent } from './events.js';

const kBufferBytes = 256 * 1024;
const kRecordsPerTurn = 4096;
const kBytesPerTurn = 4 * 1024 * 1024;
/** A buffer that one huge record has grown is not kept. */
const kKeepBytes = 1024 * 1024;

export class Dispatcher {
  readonly #native: Pick<NativeBroker, 'drainEvents'>;
  readonly #sink: (event: NativeEvent) => void;
  #buffer = Buffer.allocUnsafeSlow(kBufferBytes);
  #reader = new EventReader(this.#buffer);
  #pending = false;
  #draining = false;
  #closed = false;

  /** `sink` must not throw: whoever calls application code catches what it throws. */
  constructor(native: Pick<NativeBroker, 'drainEvents'>, sink: (event: NativeEvent) => void) {
    this.#native = native;
    this.#sink = sink;
  }

  /** For NativeAddon.createBroker: events wait. */
  readonly wake = (): void => {
    if (!this.#pending) this.#turn();
  };

  /** Takes out everything that is there now, however much: for the end, when nothing is added. */
  drainAll(): void {
    this.#drain(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  close(): void {
    this.#closed = true;
  }

  readonly #turn = (): void => {
    this.#pending = false;
    if (this.#closed || this.#drain(kRecordsPerTurn, kBytesPerTurn)) return;
    this.#pending = true;
    setImmediate(this.#turn);
  };

  /** Whether all of it was taken out. */
  #drain(maxRecords: number, maxBytes: number): boolean {
    // A sink may call what wakes us: the outer loop takes that out too.
    if (this.#draining) return true;
    this.#draining = true;
    try {
      let records = 0;
      let total = 0;
      for (;;) {
        const bytes = this.#native.drainEvents(this.#buffer);
        if (bytes === 0) return true;
        if (bytes < 0) {
          this.#replaceBuffer(-bytes);
          continue;
        }
        for (let at = 0; at < bytes; at += this.#reader.recordBytes(at)) {
          this.#sink(this.#reader.read(at));
          records++;
        }
        if (this.#buffer.length > kKeepBytes) this.#replaceBuffer(kBufferBytes);
        total += bytes;
        if (records >= maxRecords || total >= maxBytes) return false;
      }
    } finally {
      this.#draining = false;
    }
  }

  #replaceBuffer(bytes: number): void {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
    this.#reader = new EventReader(this.#buffer);
  }
}
