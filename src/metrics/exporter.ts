/**
 * What Prometheus scrapes: a text made from the native counters when it is asked for, and not more
 * often than every `interval`. Nothing is counted here, and nothing runs between scrapes but the
 * measurement of the event loop's lag.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { ListenAddress } from '../config/address.js';
import { Exposition, type Format } from './exposition.js';
import { type BuildInfo, type LoopLag, type MetricsSource, takeSample } from './sample.js';
import { ExporterServer, type ServerMaker } from './server.js';

export interface ExporterDeps {
  readonly source: MetricsSource;
  readonly build: BuildInfo;
  /** How old an answer may be, in seconds. */
  readonly intervalS: number;
  /** A scrape that failed. */
  readonly onError: (error: unknown) => void;
}

interface Cached {
  readonly at: number;
  readonly text: Promise<string>;
}

const kLagResolutionMs = 20;

export class Exporter {
  readonly #deps: ExporterDeps;
  readonly #expositions = new Map<Format, Exposition>();
  readonly #cached = new Map<Format, Cached>();
  #server: ExporterServer | undefined;
  #delay: IntervalHistogram | undefined;

  constructor(deps: ExporterDeps) {
    this.#deps = deps;
  }

  /** Resolves with where it listens; rejects with ST_LISTEN if one address cannot be had. */
  async start(listen: readonly ListenAddress[], tls?: ServerMaker): Promise<readonly string[]> {
    if (this.#server !== undefined) return this.#server.addresses;
    this.#delay = monitorEventLoopDelay({ resolution: kLagResolutionMs });
    this.#delay.enable();
    const server = new ExporterServer({
      text: (format) => this.text(format),
      contentType: (format) => this.#exposition(format).contentType,
      onError: this.#deps.onError,
      tls,
    });
    this.#server = server;
    try {
      await server.listen(listen);
    } catch (error) {
      await this.stop();
      throw error;
    }
    return server.addresses;
  }

  async stop(): Promise<void> {
    this.#delay?.disable();
    this.#delay = undefined;
    const server = this.#server;
    this.#server = undefined;
    await server?.close();
  }

  /** The page. Within the interval it is the one before. */
  text(format: Format = 'prometheus'): Promise<string> {
    const now = performance.now();
    const last = this.#cached.get(format);
    if (last !== undefined && now - last.at < this.#deps.intervalS * 1000) return last.text;
    const text = this.#render(format);
    this.#cached.set(format, { at: now, text });
    // A failure is not kept.
    text.catch(() => this.#cached.delete(format));
    return text;
  }

  async #render(format: Format): Promise<string> {
    const { source, build } = this.#deps;
    return this.#exposition(format).render(takeSample(source, this.#lag(), build));
  }

  #exposition(format: Format): Exposition {
    let exposition = this.#expositions.get(format);
    if (exposition === undefined) {
      exposition = new Exposition(format);
      this.#expositions.set(format, exposition);
    }
    return exposition;
  }

  /** Since the last time; zero where it is not measured, or was not yet. */
  #lag(): LoopLag {
    const delay = this.#delay;
    if (delay === undefined || delay.count === 0) return { mean: 0, p50: 0, p99: 0, max: 0 };
    // It measures the time between two timers; what is beyond the timer's own time is lag.
    const seconds = (ns: number) => Math.max(0, ns / 1e9 - kLagResolutionMs / 1000);
    const lag = {
      mean: seconds(delay.mean),
      p50: seconds(delay.percentile(50)),
      p99: seconds(delay.percentile(99)),
      max: seconds(delay.max),
    };
    delay.reset();
    return lag;
  }
}
