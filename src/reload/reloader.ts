/**
 * A new configuration for a broker that runs: all of it that can be applied is, or nothing. What
 * can fail comes first: reading it, the log filter, binding what is new. What follows cannot.
 */

import { diffConfig, type ReloadPlan } from '../config/reload.js';
import type { Resolution } from '../config/resolve.js';
import type { Layer } from '../config/tree.js';
import { messageOf } from '../errors.js';
import { boundRecords } from '../listener/announce.js';
import type { Listeners } from '../listener/listeners.js';
import type { Recorder } from '../log/recorder.js';
import { type ReloadReport, reportOf, reportText } from './report.js';

/** Reads the configuration anew, with these layers on top. */
export type Resolve = (extra: readonly Layer[]) => Promise<Resolution>;

/** A part of a configuration that can take effect without failing. One of the two is called. */
export interface Prepared {
  /** What stands in files that have changed. */
  readonly reread?: readonly string[];
  commit(): void;
  discard(): void;
}

export interface ReloaderParts {
  readonly recorder: Recorder;
  readonly listeners: Pick<Listeners, 'change' | 'bound'>;
  /** What the configuration does not say. */
  readonly complete: (read: Resolution) => Resolution;
  /** Reads what authentication and rules need; takes effect with the rest, or is discarded. */
  readonly prepare: (next: Resolution) => Promise<Prepared>;
  /** Everything else that takes over values while it runs. Must not fail. */
  readonly apply: (next: Resolution) => void | Promise<void>;
  /** `current` is what was applied. For what reads it there. */
  readonly applied?: () => Promise<void>;
}

export class Reloader {
  readonly #parts: ReloaderParts;
  readonly #started: Resolution;
  #current: Resolution;
  /** Changes by the console: they lie on top until the broker ends. */
  #patches: readonly Layer[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #isEnded = false;

  constructor(started: Resolution, parts: ReloaderParts) {
    this.#started = started;
    this.#current = started;
    this.#parts = parts;
  }

  /** As it was read last; what of it needs a restart is not in effect. */
  get current(): Resolution {
    return this.#current;
  }

  /** Rejects where something is wrong: then nothing has changed. One after the other. */
  reload(resolve: Resolve, patch?: Layer): Promise<ReloadReport> {
    const done = this.#last.then(() => this.#reload(resolve, patch));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Waits for the one that is under way; later ones change nothing. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#last;
  }

  async #reload(resolve: Resolve, patch: Layer | undefined): Promise<ReloadReport> {
    const { recorder } = this.#parts;
    if (this.#isEnded) return reportOf(nothing, nothing, [], []);
    const patches = patch === undefined ? this.#patches : [...this.#patches, patch];
    try {
      const next = this.#parts.complete(await resolve(patches));
      const plan = diffConfig(this.#current, next);
      const sinceStart = diffConfig(this.#started, next);
      const reread = await this.#apply(plan, next);
      this.#current = next;
      this.#patches = patches;
      await this.#parts.applied?.();
      const report = reportOf(plan, sinceStart, next.warnings, reread);
      for (const text of next.warnings) recorder.say('warn', 'config', text);
      recorder.say('notice', 'reload', reportText(report));
      return report;
    } catch (error) {
      const text = `reloading the configuration: ${messageOf(error)}; nothing was changed`;
      recorder.say('error', 'reload', text);
      throw error;
    }
  }

  /** Resolves to what has been read anew. */
  async #apply(plan: ReloadPlan, next: Resolution): Promise<readonly string[]> {
    const { recorder, listeners, prepare, apply } = this.#parts;
    const { config } = next;
    const prepared = await prepare(next);
    const before = new Set(listeners.bound);
    let secured: readonly string[];
    try {
      secured = await listeners.change(plan, config.listeners);
    } catch (error) {
      prepared.discard();
      throw error;
    }
    prepared.commit();
    const opened = listeners.bound.filter((bound) => !before.has(bound));
    for (const record of boundRecords(opened)) recorder.write(record);
    await recorder.logger.reconfigure(config.log);
    await apply(next);
    return [...(prepared.reread ?? []), ...secured.map((name) => `certificates of ${name}`)];
  }
}

const nothing: ReloadPlan = {
  live: [],
  newConnections: [],
  restart: [],
  listenersAdded: [],
  listenersRemoved: [],
  listenersChanged: [],
};
