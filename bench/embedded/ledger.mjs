// Messages that carry who sent them and their number: what was lost, doubled or out of order.
// Payload: u32 publisher, u32 sequence number from 1, then filling.

export class Ledger {
  delivered = 0;
  doubled = 0;
  disordered = 0;
  #last;

  constructor(publishers) {
    this.#last = new Uint32Array(publishers);
  }

  /** `at`: where the payload begins in `bytes`. */
  take(bytes, at) {
    const from = number(bytes, at);
    const sequence = number(bytes, at + 4);
    const last = this.#last[from];
    this.delivered++;
    if (sequence === last + 1) {
      this.#last[from] = sequence;
      return;
    }
    // A gap: what is missing is told by who counts what was sent.
    if (sequence > last) this.#last[from] = sequence;
    else if (sequence === last) this.doubled++;
    else this.disordered++;
  }
}

function number(bytes, at) {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

export function stamp(bytes, at, from, sequence) {
  bytes[at] = from >>> 24;
  bytes[at + 1] = from >>> 16;
  bytes[at + 2] = from >>> 8;
  bytes[at + 3] = from;
  bytes[at + 4] = sequence >>> 24;
  bytes[at + 5] = sequence >>> 16;
  bytes[at + 6] = sequence >>> 8;
  bytes[at + 7] = sequence;
}
