/**
 * What has come for a link and is not consumed yet: which subscription gets a message, and how many
 * bytes the broker may send on.
 *
 * Answers (PUBACK, SUBACK, …) come behind messages in the same stream, and the broker sends nothing
 * while it has no credit. So while an answer is waited for, credit is lent for messages that nobody
 * has consumed, or a consumer that awaits a publish inside its loop would wait for ever. What may
 * pile up that way is bounded: QoS 1 and 2 by Receive Maximum, QoS 0 by being dropped and counted.
 */
import { FilterTable, matches } from './filters.js';
import { consume, type Message, type MessageOwner, take } from './message.js';
import type { Qos } from './packets.js';
import { end, push, type Subscription } from './subscription.js';

/** QoS 0 is dropped when this many times the link's buffer is unread, and this many bytes. */
const kPileUp = 8;
const kPileUpBytes = 4 * 1024 * 1024;

export class Inbox implements MessageOwner {
  readonly filters = new FilterTable();
  /** The session existed before this link: messages may come for filters that are not here yet. */
  resumed = false;
  dropped = 0;
  readonly #bufferBytes: number;
  readonly #sendCredit: (bytes: number) => void;
  readonly #acknowledge: (packetId: number, qos: Qos) => void;
  readonly #isAnswerAwaited: () => boolean;
  /** Bytes of messages in queues, credited or not. */
  #unread = 0;
  /** Of these, bytes that were credited before they were consumed. */
  #lent = 0;
  /** Bytes to be credited with the next command. */
  #owed = 0;
  #scheduled = false;
  /** Of a resumed session, for no filter that is here. */
  #unclaimed: Message[] = [];

  constructor(
    bufferBytes: number,
    sendCredit: (bytes: number) => void,
    acknowledge: (packetId: number, qos: Qos) => void,
    isAnswerAwaited: () => boolean,
  ) {
    this.#bufferBytes = bufferBytes;
    this.#sendCredit = sendCredit;
    this.#acknowledge = acknowledge;
    this.#isAnswerAwaited = isAnswerAwaited;
  }

  deliver(message: Message, ids: readonly number[] | undefined, bytes: number): void {
    const receivers = this.#receivers(message.topic, ids);
    this.#unread += bytes;
    if (message.qos === 0 && this.#unread > Math.max(kPileUp * this.#bufferBytes, kPileUpBytes)) {
      this.dropped++;
      this.consumed(bytes);
      return;
    }
    if (receivers.length === 1) {
      push(receivers[0] as Subscription, message);
    } else if (receivers.length > 1) {
      // Held by us too, so that the first receiver cannot be its last.
      take(message, false);
      for (const receiver of receivers) push(receiver, message);
      consume(message, false);
    } else if (this.resumed) {
      take(message, false);
      this.#unclaimed.push(message);
    } else {
      // Its subscription has been closed meanwhile.
      take(message, false);
      consume(message, false);
    }
    this.relieve();
  }

  /** A subscription was added: it gets what waited for it. */
  claim(): void {
    for (const message of this.#unclaimed.splice(0)) {
      const receivers = this.#matching(message.topic);
      if (receivers.length === 0) {
        this.#unclaimed.push(message);
        continue;
      }
      for (const receiver of receivers) push(receiver, message);
      consume(message, false);
    }
  }

  remove(filter: string): void {
    const entry = this.filters.get(filter);
    if (entry === undefined) return;
    this.filters.remove(entry);
    for (const other of this.filters.values())
      if (other.subscription === entry.subscription) return;
    end(entry.subscription, undefined, false);
  }

  /** MessageOwner: the last receiver is done with it. */
  consumed(bytes: number): void {
    this.#unread -= bytes;
    const lent = Math.min(this.#lent, bytes);
    this.#lent -= lent;
    this.credit(bytes - lent);
  }

  /** MessageOwner. */
  acknowledge(packetId: number, qos: Qos): void {
    this.#acknowledge(packetId, qos);
  }

  /** Gives bytes back to the broker: soon, or at once when they are many. */
  credit(bytes: number): void {
    if (bytes === 0) return;
    this.#owed += bytes;
    if (this.#owed >= this.#bufferBytes / 4) {
      this.#pay();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#pay();
      });
    }
  }

  /** Where an answer is waited for and the broker may have no credit left to send it: lends some. */
  relieve(): void {
    const unpaid = this.#unread - this.#lent;
    if (unpaid + this.#owed < this.#bufferBytes || !this.#isAnswerAwaited()) return;
    const loan = Math.max(0, unpaid - Math.floor((this.#bufferBytes * 3) / 4));
    this.#lent += loan;
    this.#owed += loan;
    this.#pay();
  }

  /** The link has ended. */
  end(error: unknown, keep: boolean): void {
    const subscriptions = new Set<Subscription>();
    for (const { subscription } of this.filters.values()) subscriptions.add(subscription);
    for (const subscription of subscriptions) end(subscription, error, keep && error === undefined);
    this.#unclaimed = [];
  }

  #pay(): void {
    const bytes = this.#owed;
    this.#owed = 0;
    if (bytes > 0) this.#sendCredit(bytes);
  }

  #receivers(topic: string, ids: readonly number[] | undefined): readonly Subscription[] {
    if (ids === undefined) return this.#matching(topic);
    if (ids.length === 1 && !this.resumed) {
      const entry = this.filters.byId(ids[0] as number);
      return entry === undefined ? [] : entry.alone;
    }
    const found: Subscription[] = [];
    for (const id of ids) {
      const entry = this.filters.byId(id);
      // In a resumed session an id may be that of another filter in an earlier life.
      if (entry === undefined || (this.resumed && !matches(entry.levels, topic))) continue;
      if (!found.includes(entry.subscription)) found.push(entry.subscription);
    }
    return found.length === 0 && this.resumed ? this.#matching(topic) : found;
  }

  #matching(topic: string): readonly Subscription[] {
    const found: Subscription[] = [];
    for (const { levels, subscription } of this.filters.values()) {
      if (matches(levels, topic) && !found.includes(subscription)) found.push(subscription);
    }
    return found;
  }
}
