/** What one loaded plugin has made: its hooks, links and timers, which end with it. */
import { resolve } from 'node:path';
import type { Broker } from '../broker.js';
import type { PluginConfig } from '../config/plugin-options.js';
import { fail, messageOf } from '../errors.js';
import { BrokerHooks } from '../hooks/face.js';
import type { Link } from '../link/link.js';
import type { LinkOptions } from '../link/options.js';
import type { RecordLevel } from '../log/logger.js';
import type { NativeDelayOptions } from '../native/addon.js';
import { holdGuard, runAs } from './guard.js';
import { kDelay, kInForce } from './own.js';
import type { HookMethod, PluginContext, PluginEnd, PluginHooks, PluginLog } from './types.js';

/** Every method that registers a hook: those that are added come by themselves. */
const hookMethods = Object.getOwnPropertyNames(BrokerHooks.prototype).filter((name) =>
  /^on[A-Z]/.test(name),
) as HookMethod[];

export type Say = (
  level: RecordLevel,
  text: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export interface ContextDeps {
  readonly broker: Broker;
  readonly say: Say;
  readonly delay: (options: NativeDelayOptions) => void;
  /** All I/O threads have done what they were told. */
  readonly ping: () => Promise<void>;
}

/** For one function of onStop. */
const kStopMs = 5_000;
const kMaxTimerMs = 2 ** 31 - 1;

type Task = () => void | Promise<void>;
type StopTask = (why: PluginEnd) => void | Promise<void>;

export class OwnedContext {
  readonly name: string;
  readonly #broker: Broker;
  readonly #say: Say;
  readonly #ends = new Set<() => void>();
  readonly #stops: StopTask[] = [];
  readonly #links = new Set<Link>();
  readonly #abort = new AbortController();
  #readies: Task[] = [];
  #isReady = false;
  readonly #folder: string | undefined;
  #counts: (() => Readonly<Record<string, number>>) | undefined;

  readonly #delay: ContextDeps['delay'];
  readonly #ping: ContextDeps['ping'];

  /** Of one that is shipped nothing has to be caught, and Node has less to do. */
  readonly #isShipped: boolean;
  readonly #letGo: () => void;

  constructor(
    { name, folder }: PluginConfig,
    { broker, say, delay, ping }: ContextDeps,
    isShipped: boolean,
  ) {
    this.#isShipped = isShipped;
    this.#letGo = isShipped ? () => {} : holdGuard();
    this.name = name;
    this.#folder = folder;
    this.#broker = broker;
    this.#say = say;
    this.#delay = delay;
    this.#ping = ping;
  }

  /** Runs what is the plugin's: failures that nobody waits for are logged with its name. */
  run<T>(fn: () => T): T {
    return this.#isShipped ? fn() : runAs(this, fn);
  }

  /** What it says of itself. */
  get counts(): Readonly<Record<string, number>> | undefined {
    try {
      return this.#counts?.();
    } catch (error) {
      this.failed('counts', error);
      return undefined;
    }
  }

  /** What the plugin is given. */
  face(config: unknown): PluginContext<never> {
    const broker = this.#broker;
    return Object.freeze({
      ...this.#hooks(),
      name: this.name,
      config: config as never,
      log: this.#log(),
      signal: this.#abort.signal,
      broker,
      [kDelay]: this.#delay,
      [kInForce]: this.#ping,
      path: (text: string) => resolve(this.#folder ?? '.', text),
      counts: (read: () => Readonly<Record<string, number>>) => {
        this.#mustBeLoaded('counts()');
        this.#counts = read;
      },
      link: (options?: LinkOptions) => this.#link(options),
      onReady: (fn: Task) => this.#onReady(fn),
      onStop: (fn: StopTask) => {
        this.#mustBeLoaded('onStop()');
        this.#stops.unshift(fn);
      },
      setTimeout: (fn: Task, ms: number) => this.#timer('setTimeout', fn, ms),
      setInterval: (fn: Task, ms: number) => this.#timer('setInterval', fn, ms),
    });
  }

  /** Clients can come. Rejects with what a function of onReady has thrown. */
  async ready(): Promise<void> {
    this.#isReady = true;
    const readies = this.#readies;
    this.#readies = [];
    for (const fn of readies) await this.run(fn);
  }

  /** Ends all that it owns. Never rejects. */
  async dispose(why: PluginEnd): Promise<void> {
    if (this.#abort.signal.aborted) return;
    // It may still publish what it holds back.
    for (const fn of this.#stops) await this.#within(() => fn(why));
    this.#abort.abort();
    for (const end of this.#ends) end();
    this.#ends.clear();
    for (const link of this.#links) await link.close().catch(() => undefined);
    this.#links.clear();
    this.#letGo();
  }

  failed(doing: string, cause: unknown): void {
    const error = fail('ST_PLUGIN_FAILED', { name: this.name, doing, why: messageOf(cause) });
    this.#say('error', error.message, { plugin: this.name, err: cause });
  }

  #hooks(): PluginHooks {
    const made: Record<string, unknown> = {};
    for (const method of hookMethods) {
      made[method] = (...given: unknown[]) => {
        this.#mustBeLoaded(`${method}()`);
        const at = typeof given[0] === 'function' ? 0 : 1;
        const handler = given[at] as (() => unknown) | undefined;
        const options = (given[at + 1] ?? {}) as { readonly name?: string };
        const own = options.name ?? handler?.name;
        const name = own === undefined || own === '' ? this.name : `${this.name}: ${own}`;
        const register = this.#broker[method] as (...all: unknown[]) => () => void;
        return this.#own(
          register.call(this.#broker, ...given.slice(0, at), this.#handler(handler), {
            ...options,
            name,
          }),
        );
      };
    }
    return made as unknown as PluginHooks;
  }

  #handler(handler: unknown): unknown {
    if (this.#isShipped || typeof handler !== 'function') return handler;
    return (...values: unknown[]) =>
      this.run(() => (handler as (...all: unknown[]) => unknown)(...values));
  }

  #log(): PluginLog {
    const at =
      (level: RecordLevel) =>
      (text: string, fields: Readonly<Record<string, unknown>> = {}) =>
        this.#say(level, `${this.name}: ${text}`, { ...fields, plugin: this.name });
    return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
  }

  async #link(options: LinkOptions | undefined): Promise<Link> {
    this.#mustBeLoaded('link()');
    if (!this.#isReady && !this.#broker.ready) {
      const doing = `plugin "${this.name}" opening a link`;
      throw fail('ST_BROKER_STATE', { doing, state: 'starting', next: 'do it in onReady()' });
    }
    const link = await this.#broker.link(options);
    if (this.#abort.signal.aborted) await link.close();
    else this.#links.add(link);
    return link;
  }

  #onReady(fn: Task): void {
    this.#mustBeLoaded('onReady()');
    if (this.#isReady) void this.#guard('onReady', fn)();
    else this.#readies.push(fn);
  }

  #timer(kind: 'setTimeout' | 'setInterval', fn: Task, ms: number): () => void {
    this.#mustBeLoaded(`${kind}()`);
    const run = this.#guard(kind, fn);
    const wait = Math.min(Math.max(ms, 1), kMaxTimerMs);
    const timer =
      kind === 'setInterval'
        ? setInterval(run, wait)
        : setTimeout(() => {
            this.#ends.delete(end);
            void run();
          }, wait);
    timer.unref();
    const end = () => clearTimeout(timer);
    return this.#own(end);
  }

  #own(end: () => void): () => void {
    this.#ends.add(end);
    return () => {
      this.#ends.delete(end);
      end();
    };
  }

  #guard(doing: string, fn: Task): () => Promise<void> {
    return async () => {
      try {
        await this.run(fn);
      } catch (error) {
        this.failed(doing, error);
      }
    };
  }

  async #within(fn: Task): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((done) => {
      timer = setTimeout(() => {
        this.failed('onStop', `it is not done after ${kStopMs} ms`);
        done();
      }, kStopMs);
    });
    await Promise.race([this.#guard('onStop', fn)(), late]);
    clearTimeout(timer);
  }

  #mustBeLoaded(doing: string): void {
    if (!this.#abort.signal.aborted) return;
    const why = 'it has been unloaded';
    throw fail('ST_PLUGIN_STATE', { name: this.name, doing, why });
  }
}
