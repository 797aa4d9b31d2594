/**
 * The broker as applications see it: starts and stops what composition/ makes, in order.
 *
 * start: configuration → addon → listeners bound → I/O threads → listening
 * stop:  no new connections → DISCONNECT 0x8B, queues flushed → threads joined → last events → log
 */
import type { AddressInfo } from 'node:net';
import { checkFunction, checkString, checkTable, configFileOf, timeoutOf } from './arguments.js';
import type { AuthMethodHandler } from './auth/enhanced.js';
import { AuthGate } from './auth/gate.js';
import type { AuthHandler } from './auth/verdict.js';
import { compose, makeRecorder, type Owner } from './composition/compose.js';
import { startServices, stopServices } from './composition/services.js';
import { objectLayer } from './config/layers.js';
import type { ConfigTables } from './config/options.js';
import { type Resolution, resolveConfig } from './config/resolve.js';
import type { ServiceSource } from './device/device.js';
import type {
  DirectWriteCounts,
  DirectWriteManyOptions,
  DirectWriteOptions,
  DirectWriteResult,
} from './device/direct-write.js';
import { BrokerDevices } from './device/face.js';
import { fail } from './errors.js';
import { type Internals, kInternals } from './internal.js';
import type { Bans } from './limits/bans.js';
import type { Link } from './link/link.js';
import type { LinkOptions } from './link/options.js';
import { boundRecords, loopbackRecord } from './listener/announce.js';
import { type BoundAddress, socketAddress } from './listener/listeners.js';
import type { Recorder } from './log/recorder.js';
import { Counters, type Metrics } from './metrics/counters.js';
import type { MeterOptions } from './metrics/feeds.js';
import type { Meters } from './metrics/meters.js';
import { isMqttText } from './native/commands.js';
import type { Plugins } from './plugins/plugins.js';
import type { Resolve } from './reload/reloader.js';
import type { ReloadReport } from './reload/report.js';
import { fromFile, fromTables, under } from './reload/sources.js';
import type { Run } from './run.js';
import { checkDisconnect, type DisconnectOptions } from './session/disconnect.js';
import { drain } from './session/drain.js';
import { emitTo } from './session/emit.js';
import type { AlertInfo, BrokerEvents } from './session/events.js';
import type { Feed, FeedOptions } from './session/feed.js';
import type { Clients, RetainedMessages, Sessions, Subscriptions } from './session/listings.js';
import type { Registry } from './session/registry.js';
import { closeTracerOf, tracerOf } from './trace/open.js';
import type { Tracer } from './trace/tracer.js';

/** The tables and keys of the configuration file, or the file itself. */
export type BrokerOptions = ConfigTables | { readonly config: string };

type State = 'new' | 'starting' | 'running' | 'stopping' | 'stopped';

export { checkFiles } from './composition/check.js';

export class Broker extends BrokerDevices {
  readonly #internals: Internals;
  /** Reads the configuration, with layers of others on top. */
  #resolve: Resolve;
  /** From a file: each start reads it. */
  readonly #readsAnew: boolean;
  #resolution: Resolution | undefined;
  #state: State = 'new';
  #run: Run | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #authHandler: AuthHandler | undefined;
  readonly #authMethods = new Map<string, AuthMethodHandler>();
  readonly #counters = new Counters();
  protected readonly deviceService: ServiceSource = async (doing) =>
    this.#running(doing).devices.service(doing);

  /** Throws where a value is not allowed; a file is read by start(). */
  constructor(options: BrokerOptions = {}) {
    super();
    const file = configFileOf(options);
    this.#internals = (options as { [kInternals]?: Internals })[kInternals] ?? {};
    this.#readsAnew = file !== undefined;
    if (file !== undefined) {
      this.#resolve = fromFile(file);
      return;
    }
    const tables = options as ConfigTables;
    this.#resolve = this.#internals.resolve ?? fromTables(tables);
    this.#resolution =
      this.#internals.resolution ?? resolveConfig([...under(), objectLayer(tables)]);
  }

  /** Resolves when every listener accepts connections; rejects, with nothing left open, if one cannot. */
  start(): Promise<void> {
    if (this.#state === 'starting' || this.#state === 'running') {
      return this.#starting ?? Promise.resolve();
    }
    if (this.#state === 'stopping') {
      const next = 'wait for stop() first';
      return Promise.reject(
        fail('ST_BROKER_STATE', { doing: 'starting', state: 'stopping', next }),
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
    try {
      const timeoutMs = timeoutOf('stopping', options);
      this.#stopping ??= this.#stop(timeoutMs);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#stopping;
  }

  /** stop(), for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** This broker's number in its log records ([id]). */
  get id(): number {
    return this.#resolution?.config.id ?? 0;
  }

  /** Whether clients may come: it listens, and is not stopping. */
  get ready(): boolean {
    return this.#state === 'running' && this.#stopping === undefined;
  }

  /** The configuration that was read last, with the origin of each value. */
  get config(): Resolution {
    if (this.#resolution !== undefined) return this.#resolution;
    const next = 'await start() first: it reads the file';
    const doing = 'reading the configuration';
    throw fail('ST_BROKER_STATE', { doing, state: 'not started', next });
  }

  /**
   * Reads the configuration again: the file, or `options` in place of those of the constructor. All
   * of it that can change while the broker runs is applied, and the report says what needs a
   * restart. Where something is wrong it rejects, and nothing has changed.
   */
  async reload(options?: ConfigTables): Promise<ReloadReport> {
    const run = this.#running('reloading the configuration');
    if (options !== undefined) checkTable('reloading the configuration', 'options', options);
    const resolve = options === undefined ? this.#resolve : fromTables(options);
    const report = await run.reloader.reload(resolve);
    this.#resolve = resolve;
    return report;
  }

  /** The log filter in force. */
  get logFilter(): string {
    return this.#running('reading the log filter').recorder.logger.filter.text;
  }

  /** Until the next one, or a reload that changes log.level or log.filter. Throws ST_LOG_FILTER. */
  setLogFilter(text: string): void {
    const { recorder, reloader, applyNative } = this.#running('setting the log filter');
    checkString('setting the log filter', 'text', text);
    const { warnings } = recorder.logger.setFilter(text);
    for (const warning of warnings) recorder.say('warn', 'log', warning);
    applyNative(reloader.current.config);
  }

  /** Resolves when every I/O thread has answered: none of them is stuck. */
  async ping(): Promise<void> {
    await this.#run?.registry.ping(this.#run.threads);
  }

  /** The log file has been moved away: it is made anew. */
  reopenLog(): void {
    this.#run?.recorder.logger.reopen();
  }

  /** Who is kept out, while it runs. */
  get bans(): Bans {
    return this.#running('looking at bans').bans;
  }

  /** Where it listens; empty while it does not run. */
  get addresses(): readonly BoundAddress[] {
    return this.#run?.listeners.bound ?? [];
  }

  /** The first address, in the form of net.Server.address(); null while there is none. */
  address(): AddressInfo | string | null {
    return socketAddress(this.addresses[0]);
  }

  /**
   * Sets who judges each CONNECT, before start(). It returns true or false or a verdict with
   * details, or a promise of one; if it throws, or takes longer than broker.verdict_timeout_ms,
   * the client is refused with 0x88. Links of this process are not asked about.
   */
  authenticate(handler: AuthHandler): this {
    this.#beforeStart('setting the authenticator', 'authenticate()');
    checkFunction('setting the authenticator', 'handler', handler);
    this.#authHandler = handler;
    return this;
  }

  /**
   * Sets who conducts enhanced authentication (MQTT 5.0, 4.12) by this Authentication Method, on
   * every listener, before start(). Clients that name no method are not asked about.
   */
  authenticateWith(method: string, handler: AuthMethodHandler): this {
    this.#beforeStart('setting an Authentication Method', 'authenticateWith()');
    if (!isMqttText(method) || method === '') {
      const allowed = 'text of 1 to 65535 bytes';
      const doing = 'setting an Authentication Method';
      throw fail('ST_ARGUMENT', { doing, name: 'method', found: JSON.stringify(method), allowed });
    }
    checkFunction('setting an Authentication Method', 'handler', handler);
    this.#authMethods.set(method, handler);
    return this;
  }

  /**
   * Closes a client's connection, if there is one: MQTT 5.0 clients are told the Reason Code. With
   * several connections of this Client Identifier all are closed, unless `instance` names one.
   */
  disconnectClient(clientId: string, options: DisconnectOptions = {}): void {
    const run = this.#running(`disconnecting "${clientId}"`);
    const { reasonCode, reason, instance } = checkDisconnect(clientId, options);
    run.writer.disconnect(clientId, reasonCode, reason, instance);
  }

  /**
   * Writes one message to one client, whatever it has subscribed to. `topic` is as the client is to
   * see it. Resolves once with what became of it ({@link DirectWriteResult}); a client that is not
   * connected is no error, but `dropped`, or `queued` with `queue`. Rejects with ST_ARGUMENT,
   * ST_WRITE_TIMEOUT (QoS 1 and 2, not acknowledged in time), ST_WRITE_ABORTED or ST_BROKER_STATE.
   * Messages for one client keep the order of the calls.
   */
  async directWrite(
    clientId: string,
    topic: string,
    payload: string | Uint8Array,
    options: DirectWriteOptions = {},
  ): Promise<DirectWriteResult> {
    const { writes } = this.#running(`writing to client "${clientId}"`);
    return writes.write(clientId, topic, payload, options);
  }

  /**
   * directWrite() to many clients. Resolves with how many had which outcome, when all have one. Takes
   * from `clientIds` only as fast as clients are written to, so it may be a listing of any length.
   */
  async directWriteMany(
    clientIds: Iterable<string> | AsyncIterable<string>,
    topic: string,
    payload: string | Uint8Array,
    options: DirectWriteManyOptions = {},
  ): Promise<DirectWriteCounts> {
    const { writes } = this.#running('writing to clients');
    return writes.writeMany(clientIds, topic, payload, options);
  }

  /** Counters since start(), and gauges. After stop() they stay as they were last. */
  metrics(): Metrics {
    return this.#run === undefined ? this.#counters.last() : this.#counters.read(this.#run.native);
  }

  /** What is known of clients, and can be done to them; while the broker runs. */
  get registry(): Registry {
    return this.#running('reading the registry').registry;
  }

  /** The numbers of every interval as a stream, each call one of its own; it ends with stop(). */
  meters(options: MeterOptions = {}): Feed<Meters> {
    return this.#running('reading meters').feeds.meters(options);
  }

  /** What the `alert` event tells, as a stream; each call one of its own; it ends with stop(). */
  alerts(options: FeedOptions = {}): Feed<AlertInfo> {
    return this.#running('reading alerts').feeds.alerts(options);
  }

  /** Clients that are connected: `for await`, by pages, one by one. */
  get clients(): Clients {
    return this.#running('listing clients').listings.clients;
  }
  /** Sessions, with a connection or without. */
  get sessions(): Sessions {
    return this.#running('listing sessions').listings.sessions;
  }
  get subscriptions(): Subscriptions {
    return this.#running('listing subscriptions').listings.subscriptions;
  }
  get retained(): RetainedMessages {
    return this.#running('listing retained messages').listings.retained;
  }

  /** Opens a client inside this process. Resolves when the broker has admitted it. */
  async link(options: LinkOptions = {}): Promise<Link> {
    return this.#running('opening a link').links.open(options);
  }

  /** Shows packets of single clients: to the log, to a file, to a function. */
  async tracer(): Promise<Tracer> {
    return tracerOf(this.#running('tracing packets'), (Class, deps) => new Class(deps));
  }

  /** What is loaded into it, and can be: see docs/PLUGINS.md. */
  async plugins(): Promise<Plugins> {
    return this.#running('looking at plugins').plugins.get();
  }

  async #start(): Promise<void> {
    let recorder: Recorder | undefined;
    let auth: AuthGate | undefined;
    const emit: Owner['emit'] = (name, ...values) => this.#emit(name, ...values);
    try {
      if (this.#resolution === undefined || this.#readsAnew) {
        this.#resolution = await this.#resolve([]);
      }
      const { config, warnings } = this.#resolution;
      recorder = makeRecorder(config, this.#internals, {
        isHeard: () => this.listenerCount('log') > 0,
        emit,
      });
      for (const text of warnings) recorder.say('warn', 'config', text);
      auth = this.#makeGate(recorder);
      (await auth.prepare(config)).commit();
      const run = compose(this.#resolution, recorder, {
        internals: this.#internals,
        counters: this.#counters,
        auth,
        hooks: this.hooks,
        deviceHandlers: this.deviceHandlers,
        emit,
        broker: this,
        resolve: () => this.#resolve,
        took: (next) => {
          this.#resolution = next;
        },
      });
      this.#run = run;
      (await run.rules.prepare(config)).commit();
      await run.plugins.begin();
      await run.devices.prepare();
      await run.hooks.begin();
      // Before the listeners, which clients take for the sign that all is there.
      await startServices(run, config, { broker: this, resolve: () => this.#resolve });
      await run.listeners.open();
      run.listeners.admit((listener) => run.auth.admission(listener));
      run.native.start();
      this.#state = 'running';
      run.sys.start(config.sysIntervalS);
      await run.devices.begin();
      await run.plugins.ready();
      for (const record of boundRecords(run.listeners.bound)) recorder.write(record);
      if (config.isLoopbackDefault) recorder.write(loopbackRecord);
    } catch (error) {
      this.#state = 'stopped';
      await stopServices(this.#run);
      await this.#release();
      auth?.end();
      await recorder?.logger.end();
      throw error;
    }
    this.#emit('listening', this.addresses);
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
    await run.reloader.end();
    try {
      await drain(run, timeoutMs ?? this.config.config.broker.drain_timeout_ms);
    } finally {
      await stopServices(this.#run);
      await this.#release();
      this.#state = 'stopped';
      await closeTracerOf(run);
      await run.recorder.logger.end();
    }
  }

  /** Joins the threads and gives everything back; events that are left are still delivered. */
  async #release(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    run.auth.end();
    run.devices.end();
    run.hooks.end();
    run.writer.flush();
    this.#counters.read(run.native);
    run.native.stop();
    run.dispatcher.drainAll();
    run.dispatcher.close();
    run.links.end();
    run.registry.end();
    run.feeds.end();
    run.writes.end();
    this.#run = undefined;
    await run.listeners.stop();
  }

  #makeGate(recorder: Recorder): AuthGate {
    return new AuthGate({
      handler: this.#authHandler,
      methods: this.#authMethods,
      write: (record) => recorder.write(record),
      onError: (error) => recorder.error('auth', error),
    });
  }

  #beforeStart(doing: string, method: string): void {
    if (this.#state === 'new' || this.#state === 'stopped') return;
    const next = `call ${method} before start(): who is connected was not judged by it`;
    throw fail('ST_BROKER_STATE', { doing, state: this.#state, next });
  }

  #running(doing: string): Run {
    if (this.#state === 'running' && this.#run !== undefined) return this.#run;
    const state = this.#state === 'new' ? 'not started' : this.#state;
    throw fail('ST_BROKER_STATE', { doing, state, next: 'await start() first' });
  }

  #emit<K extends keyof BrokerEvents>(name: K, ...values: BrokerEvents[K]): void {
    emitTo(this, name, values);
  }
}
