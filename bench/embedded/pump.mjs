// Publishes inside the broker's process, as long as fewer than `limit` messages are undelivered: a
// burst per turn of the event loop, so that the rest of the process goes on as in a service.
import { stamp } from './ledger.mjs';

const kBurst = 500;

export class Pump {
  published = 0;
  #delivered = 0;
  #running = false;
  #scheduled = false;
  #next = 0;
  #publish;
  #topics;
  #limit;
  #payloads;
  #sequences;

  constructor(publish, { topics, limit, size }) {
    this.#publish = publish;
    this.#topics = topics;
    this.#limit = limit;
    // A payload is used again when its message has long been delivered.
    this.#payloads = Array.from({ length: 2 * limit }, () => Buffer.alloc(size, '.'));
    this.#sequences = new Uint32Array(topics.length);
  }

  start() {
    this.#running = true;
    this.#wake();
  }

  stop() {
    this.#running = false;
  }

  /** So many have been delivered, in all. */
  onDelivered(total) {
    this.#delivered = total;
    this.#wake();
  }

  #wake() {
    if (this.#scheduled || !this.#running) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  #turn = () => {
    this.#scheduled = false;
    if (!this.#running) return;
    const topics = this.#topics;
    for (let sent = 0; sent < kBurst && this.#hasRoom(); sent++) {
      const index = this.#next;
      this.#next = index + 1 === topics.length ? 0 : index + 1;
      const payload = this.#payloads[this.published % this.#payloads.length];
      this.published++;
      stamp(payload, 0, index, ++this.#sequences[index]);
      this.#publish(topics[index], payload);
    }
    if (this.#hasRoom()) this.#wake();
  };

  #hasRoom() {
    return this.published - this.#delivered < this.#limit;
  }
}
