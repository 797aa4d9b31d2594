/**
 * What a link's subscribe() returns: messages as an async iterable, or by a handler. A message is
 * consumed when the next one is asked for, or when the handler is done with it: only then is it
 * acknowledged and its bytes credited to the broker, so a slow reader slows its own link only.
 */
import { fail } from '../errors.js';
import { consume, type Message, take } from './message.js';
import type { Qos } from './packets.js';

export interface SubscribeOptions {
  /** The highest QoS to receive with; default 0. */
  readonly qos?: Qos | undefined;
  /** Leave out what this link itself publishes. */
  readonly noLocal?: boolean | undefined;
  readonly retainAsPublished?: boolean | undefined;
  /** Retained messages: 0 = send, 1 = only for a new subscription, 2 = never. */
  readonly retainHandling?: 0 | 1 | 2 | undefined;
  /** QoS 1 and 2 are acknowledged by message.ack() instead of when they are consumed. */
  readonly manualAck?: boolean | undefined;
  /** Unsubscribes when it is aborted: who reads gets its reason thrown. */
  readonly signal?: AbortSignal | undefined;
}

export interface Granted {
  readonly filter: string;
  readonly qos: Qos;
}

interface Waiter {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: unknown): void;
}

const kDone: IteratorResult<Message, undefined> = Object.freeze({ done: true, value: undefined });

/** A message came for this subscription. */
export let push: (subscription: Subscription, message: Message) => void;
/** Nothing more comes; an error is thrown to whoever reads. */
export let end: (subscription: Subscription, error: unknown, keep: boolean) => void;

export class Subscription implements AsyncIterable<Message> {
  readonly filters: readonly string[];
  /** Resolves when the broker has granted every filter. Iterating reports its failure too. */
  readonly ready: Promise<readonly Granted[]>;
  readonly #manual: boolean;
  readonly #unsubscribe: (subscription: Subscription) => Promise<void>;
  #queue: Message[] = [];
  #head = 0;
  #waiters: Waiter[] = [];
  #current: Message | undefined;
  #handler: ((message: Message) => unknown) | undefined;
  #handling = false;
  #ended = false;
  #error: unknown;
  #finish: Waiter | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => {
    this.#end(this.#signal?.reason, false);
    this.#unsubscribe(this).catch(() => {
      // The link is gone: there is nothing left to unsubscribe from.
    });
  };

  constructor(
    filters: readonly string[],
    manual: boolean,
    ready: Promise<readonly Granted[]>,
    unsubscribe: (subscription: Subscription) => Promise<void>,
    signal?: AbortSignal,
  ) {
    this.filters = filters;
    this.ready = ready;
    this.#manual = manual;
    this.#unsubscribe = unsubscribe;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return kDone;
      },
    };
  }

  /**
   * Calls `handler` with each message, one after the other; a promise that it returns is waited
   * for. Resolves when the subscription ends; rejects, and ends it, when the handler throws.
   */
  async forEach(handler: (message: Message) => unknown): Promise<void> {
    if (typeof handler !== 'function' || this.#handler !== undefined) {
      const found = this.#handler === undefined ? typeof handler : 'a second handler';
      const doing = 'reading a subscription';
      throw fail('ST_ARGUMENT', { doing, name: 'handler', found, allowed: 'one function' });
    }
    this.#handler = handler;
    const end = new Promise<IteratorResult<Message, undefined>>((resolve, reject) => {
      this.#finish = { resolve, reject };
    });
    this.#pump();
    await end;
  }

  /** Unsubscribes. Messages that wait unread are given up. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#end(undefined, false);
    await this.#unsubscribe(this);
  }

  /** close(), for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  static {
    push = (subscription, message) => subscription.#push(message);
    end = (subscription, error, keep) => subscription.#end(error, keep);
  }

  #push(message: Message): void {
    take(message, this.#manual);
    if (this.#ended) {
      this.#giveUp(message);
      return;
    }
    if (this.#handler !== undefined && !this.#handling && this.#queue.length === 0) {
      this.#handle(message);
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#queue.push(message);
    } else {
      // Only where next() is called again before the first has its message.
      this.#consumeCurrent();
      this.#current = message;
      waiter.resolve({ done: false, value: message });
    }
  }

  #next(): Promise<IteratorResult<Message, undefined>> {
    this.#consumeCurrent();
    const message = this.#shift();
    if (message !== undefined) {
      this.#current = message;
      return Promise.resolve({ done: false, value: message });
    }
    if (this.#ended) {
      const error = this.#error;
      this.#error = undefined;
      return error === undefined ? Promise.resolve(kDone) : Promise.reject(error);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  #shift(): Message | undefined {
    const message = this.#queue[this.#head];
    if (message === undefined) return undefined;
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head === 1024) {
      this.#queue = this.#queue.slice(1024);
      this.#head = 0;
    }
    return message;
  }

  #consumeCurrent(): void {
    const message = this.#current;
    this.#current = undefined;
    if (message !== undefined) consume(message, this.#manual);
  }

  /** Hands queued messages to the handler until it returns a promise or none is left. */
  #pump(): void {
    while (!this.#handling) {
      const message = this.#shift();
      if (message === undefined) break;
      this.#handle(message);
    }
    if (this.#ended && !this.#handling) this.#settle();
  }

  #handle(message: Message): void {
    this.#handling = true;
    let result: unknown;
    try {
      result = this.#handler?.(message);
    } catch (error) {
      this.#failHandler(message, error);
      return;
    }
    if (isThenable(result)) {
      result.then(
        () => {
          this.#handled(message);
          this.#pump();
        },
        (error: unknown) => this.#failHandler(message, error),
      );
    } else {
      this.#handled(message);
    }
  }

  #handled(message: Message): void {
    this.#handling = false;
    consume(message, this.#manual);
  }

  /** The message was not handled: it is not acknowledged, and comes again in a resumed session. */
  #failHandler(message: Message, error: unknown): void {
    this.#handling = false;
    consume(message, true);
    if (!this.#ended) {
      this.#end(error, false);
      this.#unsubscribe(this).catch(() => {
        // The link is gone: there is nothing left to unsubscribe from.
      });
    }
    this.#error = error;
    this.#settle();
  }

  /** `keep`: messages that have come can still be read. */
  #end(error: unknown, keep: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    if (!keep) {
      for (let message = this.#shift(); message !== undefined; message = this.#shift()) {
        this.#giveUp(message);
      }
      this.#consumeCurrent();
    }
    for (const waiter of this.#waiters.splice(0)) {
      if (this.#error === undefined) {
        waiter.resolve(kDone);
      } else {
        waiter.reject(this.#error);
        this.#error = undefined;
      }
    }
    if (this.#handler !== undefined) this.#pump();
  }

  /** Unread, and nobody will: with manual acknowledgement too, or it would block the window. */
  #giveUp(message: Message): void {
    consume(message, this.#manual);
    if (this.#manual) message.ack();
  }

  #settle(): void {
    const finish = this.#finish;
    this.#finish = undefined;
    if (finish === undefined) return;
    if (this.#error === undefined) finish.resolve(kDone);
    else finish.reject(this.#error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
