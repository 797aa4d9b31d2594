/**
 * What one page sees of topics: subscriptions of a link, always at QoS 0, so that a page that does
 * not keep up can never hold a publisher back. It gets reports some times a second, each bounded;
 * what does not fit is counted, and not kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from '../link/link.js';
import type { Message } from '../link/message.js';
import type { Subscription } from '../link/subscription.js';
import type { TopicValue } from './live-protocol.js';
import { encodePayload } from './rows.js';

export type WatchMode = 'latest' | 'each';

const kReportMs = 250;
/** Messages taken from the broker in that time. */
const kMaxTaken = 1000;
const kMaxTopics = 500;
const kMaxEach = 50;
const kPayloadBytes: Readonly<Record<WatchMode, number>> = { latest: 256, each: 4096 };
/** What a topic may have to be shown. */
const kMaxTopicBytes = 1024;

export interface WatchRequest {
  readonly link: Link;
  readonly filter: string;
  readonly mode: WatchMode;
  readonly report: (values: readonly TopicValue[], lost: number) => void;
  /** It is over, though nobody asked for it. */
  readonly failed: (error: unknown) => void;
}

/** A copy of what is shown: a held message would keep its whole payload in memory. */
interface Held extends Pick<TopicValue, 'topic' | 'bytes' | 'truncated' | 'retain' | 't'> {
  readonly shown: Uint8Array;
  readonly count: number;
}

export class Watch {
  readonly #request: WatchRequest;
  readonly #subscription: Subscription;
  readonly #latest = new Map<string, Held>();
  #each: Held[] = [];
  #lost = 0;
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** Throws where the filter is none, or is watched already. */
  constructor(request: WatchRequest) {
    this.#request = request;
    this.#subscription = request.link.subscribe(request.filter, {
      qos: 0,
      retainAsPublished: true,
    });
    void this.#run();
  }

  get ready(): Promise<unknown> {
    return this.#subscription.ready;
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearInterval(this.#timer);
    // The link may have ended with it.
    await this.#subscription.close().catch(() => undefined);
  }

  async #run(): Promise<void> {
    this.#timer = setInterval(() => this.#report(), kReportMs).unref();
    try {
      await this.#subscription.forEach(this.#take);
      if (!this.#ended) this.#request.failed(new Error('the subscription has ended'));
    } catch (error) {
      if (!this.#ended) this.#request.failed(error);
    } finally {
      clearInterval(this.#timer);
    }
  }

  /** A promise makes the subscription wait: its link's credit is used up, and the broker drops. */
  readonly #take = (message: Message): Promise<void> | undefined => {
    this.#taken++;
    if (Buffer.byteLength(message.topic) > kMaxTopicBytes) this.#lost++;
    else if (this.#request.mode === 'latest') this.#keepLatest(message);
    else if (this.#each.length < kMaxEach) this.#each.push(hold(message, kPayloadBytes.each, 1));
    else this.#lost++;
    return this.#taken < kMaxTaken ? undefined : this.#pause();
  };

  async #pause(): Promise<void> {
    while (this.#taken >= kMaxTaken && !this.#ended) await sleep(kReportMs / 5);
  }

  #keepLatest(message: Message): void {
    const held = this.#latest.get(message.topic);
    if (held === undefined && this.#latest.size >= kMaxTopics) {
      this.#lost++;
      return;
    }
    const count = (held?.count ?? 0) + 1;
    this.#latest.set(message.topic, hold(message, kPayloadBytes.latest, count));
  }

  #report(): void {
    this.#taken = 0;
    if (this.#each.length === 0 && this.#latest.size === 0 && this.#lost === 0) return;
    const values = [...this.#latest.values(), ...this.#each].map(show);
    const lost = this.#lost;
    this.#latest.clear();
    this.#each = [];
    this.#lost = 0;
    this.#request.report(values, lost);
  }
}

function hold({ payload, topic, retain }: Message, limit: number, count: number): Held {
  const truncated = payload.length > limit;
  const end = truncated ? characterEnd(payload, limit) : payload.length;
  // Uint8Array's slice() copies; Buffer's does not.
  const shown = Uint8Array.prototype.slice.call(payload, 0, end);
  return { topic, shown, bytes: payload.length, truncated, retain, count, t: Date.now() };
}

function show({ shown, ...held }: Held): TopicValue {
  return { ...held, ...encodePayload(shown) };
}

/** The last place up to `limit` that is not inside a character of UTF-8. */
function characterEnd(payload: Uint8Array, limit: number): number {
  let end = limit;
  while (end > limit - 4 && ((payload[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}
