/** What one scrape sees: everything is read once, so that the numbers of a page belong together. */
import type { AuthCounts } from '../auth/counts.js';
import type { DeviceCounts } from '../device/types.js';
import type { ListenerSample } from '../listener/listeners.js';
import type { TableCounts } from '../sys/numbers.js';
import type { Metrics } from './counters.js';

/** Counts by upper bound, as the native half keeps them. */
export interface HistogramSample {
  /** Upper bounds in seconds, rising; the last bucket has none. */
  readonly bounds: readonly number[];
  /** In each bucket, not cumulative: one more than `bounds`. */
  readonly counts: readonly number[];
  /** Of all values, in seconds. */
  readonly sum: number;
}

/** Where the numbers come from: the running broker. Every function is called once a scrape. */
export interface MetricsSource {
  counters(): Metrics;
  /** Each I/O thread's own counters, by its number. */
  threads(): readonly Metrics[];
  listeners(): readonly ListenerSample[];
  tables(): TableCounts;
  /** From a PUBLISH that was read to its copies being written. */
  latency(): HistogramSample;
  auth(): AuthCounts;
  devices(): DeviceCounts;
}

/** The JavaScript thread's lateness since the last sample, in seconds. */
export interface LoopLag {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface BuildInfo {
  /** Of this package. */
  readonly version: string;
  /** Milliseconds since 1970, of the broker's start. */
  readonly startedAt: number;
}

export interface Sample {
  readonly counters: Metrics;
  readonly threads: readonly Metrics[];
  readonly listeners: readonly ListenerSample[];
  readonly tables: TableCounts;
  readonly latency: HistogramSample;
  readonly auth: AuthCounts;
  readonly devices: DeviceCounts;
  readonly lag: LoopLag;
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly heapTotal: number };
  /** Of the whole process, in seconds. */
  readonly cpu: { readonly user: number; readonly system: number };
  readonly build: BuildInfo;
}

export function takeSample(source: MetricsSource, lag: LoopLag, build: BuildInfo): Sample {
  const { rss, heapUsed, heapTotal } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    counters: source.counters(),
    threads: source.threads(),
    listeners: source.listeners(),
    tables: source.tables(),
    latency: source.latency(),
    auth: source.auth(),
    devices: source.devices(),
    lag,
    memory: { rss, heapUsed, heapTotal },
    cpu: { user: user / 1e6, system: system / 1e6 },
    build,
  };
}
