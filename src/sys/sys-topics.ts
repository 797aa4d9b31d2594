/**
 * The broker's $SYS topics: when they are published, and whether anybody wants events. What makes
 * the messages is loaded when the first are due, so that it costs a start nothing.
 */
import type { BrokerEvents } from '../session/events.js';
import type { SysDeps } from './deps.js';
import type { Publisher } from './publisher.js';

/** Those that become messages, and the level below $SYS/brokers/{node} where they do. */
const groups = {
  connect: 'clients',
  disconnect: 'clients',
  refused: 'clients',
  sessionEnd: 'session',
} as const;

export class SysTopics {
  readonly #deps: SysDeps;
  readonly #nowMs: () => number;
  readonly #startedAtMs: number;
  #intervalS = 0;
  #timer: NodeJS.Timeout | undefined;
  #publisher: Publisher | undefined;
  #loading: Promise<Publisher> | undefined;
  #watched = false;
  #stopped = false;

  constructor(deps: SysDeps) {
    this.#deps = deps;
    this.#nowMs = deps.nowMs ?? (() => performance.now());
    this.#startedAtMs = this.#nowMs();
  }

  /** Somebody is subscribed to events, as it was seen last. */
  get watched(): boolean {
    return this.#watched;
  }

  /** 0 = nothing is published, and what was is taken back. */
  start(intervalS: number): void {
    if (intervalS === this.#intervalS) return;
    this.#intervalS = intervalS;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (intervalS === 0) {
      this.#publisher?.clear();
      this.#look();
      return;
    }
    this.#timer = setInterval(() => this.#tick(), intervalS * 1000).unref();
  }

  apply({ sysIntervalS }: { readonly sysIntervalS: number }): void {
    this.start(sysIntervalS);
  }

  /** Nothing more is published. What is retained goes with the broker. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** An event of the broker's: published if somebody is subscribed to it. */
  tell<K extends keyof BrokerEvents>(name: K, values: BrokerEvents[K]): void {
    if (this.#intervalS === 0 || this.#stopped || !(name in groups)) return;
    if (!this.#reaches(groups[name as keyof typeof groups])) return;
    if (this.#publisher !== undefined) this.#publisher.tell(name, values);
    else this.#with((publisher) => publisher.tell(name, values));
  }

  #tick(): void {
    this.#look();
    this.#with((publisher) => publisher.publish());
  }

  #look(): void {
    const wanted = this.#intervalS > 0 && (this.#reaches('clients') || this.#reaches('session'));
    if (wanted === this.#watched) return;
    this.#watched = wanted;
    this.#deps.watchedChanged();
  }

  #reaches(group: string): boolean {
    return this.#deps.native.reaches(`$SYS/brokers/${this.#deps.node}/${group}`);
  }

  /** In the order of the calls. */
  #with(use: (publisher: Publisher) => void): void {
    this.#loading ??= this.#load();
    this.#loading
      .then((publisher) => {
        if (!this.#stopped && this.#intervalS > 0) use(publisher);
      })
      .catch(this.#deps.onError);
  }

  async #load(): Promise<Publisher> {
    const { Publisher } = await import('./publisher.js');
    this.#publisher = new Publisher(this.#deps, this.#startedAtMs, this.#nowMs);
    return this.#publisher;
  }
}
