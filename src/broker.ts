/**
 * The composition root: makes the services, and starts and stops them in order.
 *
 * start: configuration → addon → listeners bound → I/O threads → listening
 * stop:  no new connections → DISCONNECT 0x8B, queues flushed → threads joined → last events → log
 */
import { EventEmitter } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Authenticator, type AuthHandler } from './auth/authenticator.js';
import { readConfigFile } from './config/files.js';
import { embeddingDefaults, objectLayer } from './config/layers.js';
import type { ConfigTables } from './config/options.js';
import { type BrokerConfig, type Resolution, resolveConfig } from './config/resolve.js';
import { fail, StMqttdError } from './errors.js';
import { type Internals, kInternals } from './internal.js';
import type { Link } from './link/link.js';
import { Links } from './link/links.js';
import type { LinkOptions } from './link/options.js';
import { serverDisconnects } from './link/reason-codes.js';
import { type BoundAddress, Listeners } from './listener/listeners.js';
import { Logger, type LogRecord, type RecordLevel } from './log/logger.js';
import { Counters, type Metrics } from './metrics/counters.js';
import type { NativeBroker } from './native/addon.js';
import { CommandWriter, isMqttText } from './native/commands.js';
import { Dispatcher } from './native/dispatch.js';
import { eventBit } from './native/events.js';
import { loadAddon } from './native/load.js';
import { nativeBrokerOptions } from './native/options.js';
import type { BrokerEvents } from './session/events.js';
import { EventRouter } from './session/router.js';

/** The tables and keys of the configuration file, or the file itself. */
export type BrokerOptions = ConfigTables | { readonly config: string };

type State = 'new' | 'starting' | 'running' | 'stopping' | 'stopped';

/** Everything of one run, from start to stop. */
interface Run {
  readonly config: BrokerConfig;
  readonly native: NativeBroker;
  readonly writer: CommandWriter;
  readonly dispatcher: Dispatcher;
  readonly listeners: Listeners;
  readonly links: Links;
  readonly authenticator: Authenticator | undefined;
  readonly router: EventRouter;
}

/** Beyond the drain's own deadline: then the threads are joined without its answer. */
const kDrainSlackMs = 2000;
const kAdministrativeAction = 0x98;

export class Broker extends EventEmitter<BrokerEvents> {
  readonly #internals: Internals;
  readonly #configFile: string | undefined;
  #resolution: Resolution | undefined;
  #logger: Logger | undefined;
  #state: State = 'new';
  #run: Run | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #authHandler: AuthHandler | undefined;
  readonly #counters = new Counters();

  /** Throws where a value is not allowed; a file is read by start(). */
  constructor(options: BrokerOptions = {}) {
    super();
    this.#internals = (options as { [kInternals]?: Internals })[kInternals] ?? {};
    if ('config' in options && options.config !== undefined) {
      this.#configFile = options.config;
    } else {
      this.#resolution =
        this.#internals.resolution ??
        resolveConfig([embeddingDefaults, objectLayer(options as ConfigTables)]);
    }
  }

  /** Resolves when every listener accepts connections; rejects, with nothing left open, if one cannot. */
  start(): Promise<void> {
    if (this.#state === 'starting' || this.#state === 'running') {
      return this.#starting ?? Promise.resolve();
    }
    if (this.#state === 'stopping') {
      return Promise.reject(
        fail('ST_BROKER_STATE', {
          doing: 'starting',
          state: 'stopping',
          next: 'wait for stop() first',
        }),
      );
    }
    this.#state = 'starting';
    this.#stopping = undefined;
    this.#starting = this.#start();
    return this.#starting;
  }

  /**
   * Stops: no new connections, MQTT 5.0 clients are told 0x8B, what waits is sent within
   * `timeoutMs` (default broker.drain_timeout_ms), then everything is closed. Idempotent.
   */
  stop(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.timeoutMs);
    return this.#stopping;
  }

  /** This broker's number in its log records ([id]). */
  get id(): number {
    return this.#resolution?.config.id ?? 0;
  }

  /** Where it listens; empty while it does not run. */
  get addresses(): readonly BoundAddress[] {
    return this.#run?.listeners.bound ?? [];
  }

  /** The first address, in the form of net.Server.address(); null while there is none. */
  address(): AddressInfo | string | null {
    const [first] = this.addresses;
    if (first === undefined) return null;
    if (first.port === 0) return first.host;
    const family = first.host.includes(':') ? 'IPv6' : 'IPv4';
    return { address: first.host, family, port: first.port };
  }

  /**
   * Sets who judges each CONNECT, before start(). It returns true or false or a verdict with
   * details, or a promise of one; if it throws, or takes longer than broker.verdict_timeout_ms,
   * the client is refused with 0x88. Links of this process are not asked about.
   */
  authenticate(handler: AuthHandler): this {
    if (this.#state !== 'new' && this.#state !== 'stopped') {
      throw fail('ST_BROKER_STATE', {
        doing: 'setting the authenticator',
        state: this.#state,
        next: 'call authenticate() before start(): who is connected was not judged by it',
      });
    }
    this.#authHandler = handler;
    return this;
  }

  /** Closes a client's connection, if there is one: MQTT 5.0 clients are told the Reason Code. */
  disconnectClient(
    clientId: string,
    options: { readonly reasonCode?: number; readonly reason?: string } = {},
  ): void {
    const doing = `disconnecting "${clientId}"`;
    const run = this.#running(doing);
    const reasonCode = options.reasonCode ?? kAdministrativeAction;
    if (!serverDisconnects.has(reasonCode)) {
      throw fail('ST_ARGUMENT', {
        doing,
        name: 'reasonCode',
        found: String(reasonCode),
        allowed: 'a Reason Code that a server may send in DISCONNECT, as 0x98',
      });
    }
    const { reason = '' } = options;
    for (const [name, value] of [
      ['clientId', clientId],
      ['reason', reason],
    ] as const) {
      if (isMqttText(value)) continue;
      const allowed = 'text of at most 65535 bytes without U+0000';
      throw fail('ST_ARGUMENT', { doing: 'disconnecting a client', name, found: 'other', allowed });
    }
    run.writer.disconnect(clientId, reasonCode, reason);
  }

  /** Counters since start(), and gauges. After stop() they stay as they were last. */
  metrics(): Metrics {
    return this.#run === undefined ? this.#counters.last() : this.#counters.read(this.#run.native);
  }

  /** Opens a client inside this process. Resolves when the broker has admitted it. */
  async link(options: LinkOptions = {}): Promise<Link> {
    return this.#running('opening a link').links.open(options);
  }

  async #start(): Promise<void> {
    try {
      const resolution = await this.#resolve();
      const { config } = resolution;
      const { quiet, logStream } = this.#internals;
      this.#logger = new Logger(config.log, config.id, quiet, logStream);
      for (const text of resolution.warnings) this.#log('warn', text);
      const run = this.#compose(config, this.#logger);
      this.#run = run;
      await run.listeners.open();
      run.native.start();
      this.#state = 'running';
      this.#announce(config, run.listeners.bound);
    } catch (error) {
      this.#state = 'stopped';
      this.#release();
      throw error;
    }
    this.#emit('listening', this.addresses);
  }

  async #resolve(): Promise<Resolution> {
    if (this.#configFile !== undefined) {
      const file = this.#configFile;
      this.#resolution = resolveConfig([embeddingDefaults, await readConfigFile(file)], { file });
    }
    // The constructor has resolved what is not a file.
    return this.#resolution as Resolution;
  }

  #compose(config: BrokerConfig, logger: Logger): Run {
    const addon = this.#internals.addon ?? loadAddon();
    const options = nativeBrokerOptions(config, {
      placement: this.#internals.placement ?? 'least-connections',
      store: this.#internals.store ?? { kind: 'memory' },
      event_mask: this.#eventMask(logger),
      authenticate: this.#authHandler !== undefined,
    });
    // Native code wakes us through a closure, because the dispatcher needs the native half first.
    const native = addon.createBroker(options, () => dispatcher.wake());
    const dispatcher = new Dispatcher(native, (event) => router.handle(event));
    const writer = new CommandWriter((bytes, length) => native.submit(bytes, length));
    const onError = (error: unknown) => this.#logError(error);
    const authenticator =
      this.#authHandler === undefined
        ? undefined
        : new Authenticator(
            this.#authHandler,
            config.broker.verdict_timeout_ms,
            (verdict) => writer.verdict(verdict),
            onError,
          );
    const listeners = new Listeners(native, config);
    const links = new Links(writer, onError);
    const router = new EventRouter({
      listeners,
      links,
      authenticator,
      logs: (level) => this.#logs(level),
      write: (record) => this.#write(record),
      emit: (name, ...values) => this.#emit(name, ...values),
    });
    return { config, native, writer, dispatcher, listeners, links, authenticator, router };
  }

  /** Lifecycle events cross only if someone can see them: an application, or the log. */
  #eventMask(logger: Logger): number {
    const wanted = this.#internals.logsOnly !== true || logger.allows('info');
    const always = eventBit('log') | eventBit('alert');
    if (!wanted) return always;
    return (
      always |
      eventBit('connected') |
      eventBit('disconnected') |
      eventBit('refused') |
      eventBit('session_ended')
    );
  }

  #announce(config: BrokerConfig, bound: readonly BoundAddress[]): void {
    const byListener = new Map<string, string[]>();
    for (const { listener, text } of bound) {
      byListener.set(listener, [...(byListener.get(listener) ?? []), text]);
    }
    for (const [name, addresses] of byListener) {
      this.#log('notice', `listening on ${addresses.join(' and ')}`, { listener: name });
    }
    if (config.isLoopbackDefault) {
      this.#log(
        'notice',
        'no listener is configured, so only programs on this machine can connect; ' +
          'to open it to the network: --listen 0.0.0.0:1883, or [unified.1] listen = "0.0.0.0:1883" in a configuration file',
      );
    }
  }

  async #stop(timeoutMs: number | undefined): Promise<void> {
    // A start that fails has already cleaned up; one that succeeds is stopped below.
    if (this.#state === 'starting') await this.#starting?.catch(() => undefined);
    const run = this.#run;
    if (this.#state !== 'running' || run === undefined) {
      this.#state = 'stopped';
      return;
    }
    this.#state = 'stopping';
    try {
      await this.#drain(run, timeoutMs ?? run.config.broker.drain_timeout_ms);
    } finally {
      this.#release();
      this.#state = 'stopped';
      await this.#logger?.flush();
    }
  }

  async #drain(run: Run, timeoutMs: number): Promise<void> {
    const drained = new Promise<number | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), timeoutMs + kDrainSlackMs);
      run.router.onDrained = (unflushed) => {
        clearTimeout(timer);
        resolve(unflushed);
      };
    });
    run.writer.drain(timeoutMs);
    run.writer.flush();
    const unflushed = await drained;
    if (unflushed === undefined) {
      this.#log('error', `stopping: the I/O threads did not answer in ${timeoutMs} ms`);
    } else if (unflushed > 0) {
      const text = `stopping: ${unflushed} connections were cut with messages left, after ${timeoutMs} ms`;
      this.#log('warn', text, { connections: unflushed });
    }
  }

  /** Joins the threads and gives everything back; events that are left are still delivered. */
  #release(): void {
    const run = this.#run;
    if (run === undefined) return;
    run.authenticator?.end();
    run.writer.flush();
    this.#counters.read(run.native);
    run.native.stop();
    run.dispatcher.drainAll();
    run.dispatcher.close();
    run.links.end();
    this.#run = undefined;
  }

  #running(doing: string): Run {
    if (this.#state === 'running' && this.#run !== undefined) return this.#run;
    const state = this.#state === 'new' ? 'not started' : this.#state;
    throw fail('ST_BROKER_STATE', { doing, state, next: 'await start() first' });
  }

  /** A listener that throws is the application's uncaught exception, and costs no other event. */
  #emit<K extends keyof BrokerEvents>(name: K, ...values: BrokerEvents[K]): void {
    try {
      // EventEmitter's own type maps K to its tuple; TypeScript cannot for an open K.
      (this.emit as (name: string, ...values: readonly unknown[]) => boolean).call(
        this,
        name,
        ...values,
      );
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #logs(level: RecordLevel): boolean {
    const logger = this.#logger;
    if (logger === undefined || !logger.allows(level)) return false;
    return logger.isOpen || this.listenerCount('log') > 0;
  }

  #log(level: RecordLevel, text: string, fields: LogRecord['fields'] = {}): void {
    this.#write({ level, text, fields });
  }

  #write(record: LogRecord): void {
    if (!this.#logs(record.level)) return;
    this.#logger?.write(record);
    if (this.listenerCount('log') > 0) this.#emit('log', record);
  }

  #logError(error: unknown): void {
    const text = error instanceof StMqttdError ? error.message : `unexpected: ${String(error)}`;
    this.#log('error', text, { err: error });
  }
}
