/**
 * Payloads of messages, copied out of a buffer that is used again. Those that lie next to each other
 * are copied together, in pieces as small as those that Buffer pools: a message that is kept must
 * not keep all that came with it.
 */
const kPieceBytes = 8 * 1024;
const kEmpty = Buffer.alloc(0);

export class Payloads {
  #piece = kEmpty;
  /** What of the buffer it holds. */
  #from = 0;
  #to = 0;

  /** What was in the buffer is there no more. */
  begin(): void {
    this.#piece = kEmpty;
    this.#from = 0;
    this.#to = 0;
  }

  /** A copy of `start` to `end`; what is wanted next stands behind it, before `limit`. */
  copy(buffer: Buffer, start: number, end: number, limit: number): Buffer {
    if (start === end) return kEmpty;
    if (start < this.#from || end > this.#to) {
      const to = Math.min(limit, Math.max(end, start + kPieceBytes));
      const piece = Buffer.allocUnsafe(to - start);
      buffer.copy(piece, 0, start, to);
      if (end === to) return piece;
      this.#piece = piece;
      this.#from = start;
      this.#to = to;
    }
    return this.#piece.subarray(start - this.#from, end - this.#from);
  }
}
