/** The streams of one run: meters at an interval of each reader's own, alerts as they come. */
import { fail } from '../errors.js';
import type { AlertInfo } from '../session/events.js';
import { checkFeedOptions, endFeed, Feed, type FeedOptions, put } from '../session/feed.js';
import type { Totals } from '../session/registry.js';
import type { Metrics } from './counters.js';
import { type MeterReading, type Meters, metersOf } from './meters.js';

export interface MeterOptions extends FeedOptions {
  /** Milliseconds between two readings, 10 to 86400000; default: [metrics.meters] push_interval, a second. */
  readonly intervalMs?: number | undefined;
}

const kMaxIntervalMs = 86_400_000;
/** A minute, at the default interval. */
const kMeterBuffer = 60;
const kAlertBuffer = 1000;

export interface FeedSource {
  readonly counters: () => Metrics;
  readonly totals: () => Totals;
  readonly intervalMs: () => number;
}

export class Feeds {
  readonly #source: FeedSource;
  readonly #alerts = new Set<Feed<AlertInfo>>();
  readonly #meters = new Set<Feed<Meters>>();

  constructor(source: FeedSource) {
    this.#source = source;
  }

  alerts(options: FeedOptions = {}): Feed<AlertInfo> {
    const checked = checkFeedOptions('reading alerts', options, kAlertBuffer);
    return this.#kept(this.#alerts, (done) => new Feed<AlertInfo>(checked, done));
  }

  meters(options: MeterOptions = {}): Feed<Meters> {
    const doing = 'reading meters';
    const checked = checkFeedOptions(doing, options, kMeterBuffer);
    const intervalMs = options.intervalMs ?? this.#source.intervalMs();
    if (!Number.isInteger(intervalMs) || intervalMs < 10 || intervalMs > kMaxIntervalMs) {
      throw fail('ST_ARGUMENT', {
        doing,
        name: 'intervalMs',
        found: String(intervalMs),
        allowed: `a whole number from 10 to ${kMaxIntervalMs}`,
      });
    }
    let timer: NodeJS.Timeout | undefined;
    const feed = this.#kept(
      this.#meters,
      (done) =>
        new Feed<Meters>(checked, () => {
          clearInterval(timer);
          done();
        }),
    );
    if (!this.#meters.has(feed)) return feed;
    let before = this.#read();
    timer = setInterval(() => {
      const after = this.#read();
      put(feed, metersOf(before, after));
      before = after;
    }, intervalMs).unref();
    return feed;
  }

  /** From the router. */
  alert(alert: AlertInfo): void {
    for (const feed of this.#alerts) put(feed, alert);
  }

  /** The broker has stopped. */
  end(): void {
    for (const feed of [...this.#alerts, ...this.#meters]) endFeed(feed);
  }

  /** In `all` until it ends; one whose signal is aborted already never is. */
  #kept<T>(all: Set<Feed<T>>, make: (done: () => void) => Feed<T>): Feed<T> {
    let feed: Feed<T> | undefined;
    let ended = false;
    feed = make(() => {
      ended = true;
      if (feed !== undefined) all.delete(feed);
    });
    if (!ended) all.add(feed);
    return feed;
  }

  #read(): MeterReading {
    const { counters, totals } = this.#source;
    return { at: Date.now(), clock: performance.now(), counters: counters(), totals: totals() };
  }
}
