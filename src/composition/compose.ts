/** Makes what one run of the broker consists of. Nothing is started here: broker.ts keeps the order. */
import type { AuthGate } from '../auth/gate.js';
import type { Broker } from '../broker.js';
import { placedLike } from '../config/places.js';
import type { BrokerConfig, Resolution } from '../config/resolve.js';
import { DirectWrites } from '../device/direct-write.js';
import { DeviceGate } from '../device/gate.js';
import type { DeviceHandlers } from '../device/handlers.js';
import { DeviceTopics } from '../hooks/device-topics.js';
import type { HookRegistry } from '../hooks/registry.js';
import { HookService } from '../hooks/service.js';
import type { Internals } from '../internal.js';
import { Bans } from '../limits/bans.js';
import { Links } from '../link/links.js';
import { monitor } from '../link/options.js';
import { Listeners } from '../listener/listeners.js';
import { Logger } from '../log/logger.js';
import { Recorder } from '../log/recorder.js';
import type { Counters } from '../metrics/counters.js';
import { Feeds } from '../metrics/feeds.js';
import { CommandWriter } from '../native/commands.js';
import { Dispatcher } from '../native/dispatch.js';
import { loadAddon } from '../native/load.js';
import { linkLimits, nativeBrokerOptions, nativeLiveOptions } from '../native/options.js';
import { PluginSlot } from '../plugins/slot.js';
import { Reloader, type Resolve } from '../reload/reloader.js';
import type { Run, Service } from '../run.js';
import { eventMask } from '../session/event-mask.js';
import type { BrokerEvents } from '../session/events.js';
import { makeListings } from '../session/listings.js';
import { NativeRegistry } from '../session/native-registry.js';
import { EventRouter } from '../session/router.js';
import { SysTopics } from '../sys/sys-topics.js';
import { prepareAccess } from './prepare-access.js';
import { AccessRules } from './rules.js';

type Emit = <K extends keyof BrokerEvents>(name: K, ...values: BrokerEvents[K]) => void;

/** What a run takes from the broker whose run it is. */
export interface Owner {
  readonly internals: Internals;
  readonly counters: Counters;
  /** With the chain of the configuration that it starts with. */
  readonly auth: AuthGate;
  /** Outlives the run. */
  readonly hooks: HookRegistry;
  /** Outlive the run. */
  readonly deviceHandlers: DeviceHandlers;
  readonly emit: Emit;
  readonly broker: Broker;
  /** How the configuration is read anew, at that time. */
  readonly resolve: () => Resolve;
  /** A reload has taken effect. */
  readonly took: (next: Resolution) => void;
}

export function makeRecorder(
  config: BrokerConfig,
  { quiet, logStream, logLevel }: Internals,
  app: { readonly isHeard: () => boolean; readonly emit: Emit },
): Recorder {
  const options = { id: config.id, quiet, level: logLevel, stream: logStream };
  return new Recorder(new Logger(config.log, options), {
    isHeard: app.isHeard,
    emit: (record) => app.emit('log', record),
  });
}

/** An application judges the clients of every listener: none is open. */
function withHandler(read: Resolution): Resolution {
  const listeners = read.config.listeners.map((one) =>
    placedLike(one, { ...one, isGuarded: true }),
  );
  return { ...read, config: { ...read.config, listeners } };
}

export function compose(started: Resolution, recorder: Recorder, owner: Owner): Run {
  const { internals, counters, auth } = owner;
  const complete = (read: Resolution) => (auth.hasHandler ? withHandler(read) : read);
  const resolution = complete(started);
  const { config } = resolution;
  const addon = internals.addon ?? loadAddon();
  const { logger } = recorder;

  let isWatched = () => false;
  let allEnds = () => false;
  /** Events cross only if someone can see them: the application, console, log, $SYS readers. */
  const mask = ({ console }: BrokerConfig) =>
    eventMask(
      internals.logsOnly !== true ||
        console !== undefined ||
        logger.mayPass('info', 'session') ||
        isWatched(),
      allEnds(),
    );
  const options = nativeBrokerOptions(config, {
    placement: internals.placement ?? 'least-connections',
    store: internals.store ?? { kind: 'memory' },
    authenticate: auth.isNeeded,
    event_mask: mask(config),
    log_level: logger.filter.native.log_level,
  });
  // Native code wakes us through a closure, because the dispatcher needs the native half first.
  let takeOutside = () => {};
  const native = addon.createBroker(options, () => {
    dispatcher.wake();
    takeOutside();
  });
  const { log_modules, log_clients } = logger.filter.native;
  if (log_clients.length > 0 || Object.keys(log_modules).length > 0) {
    native.configure({ log_modules, log_clients });
  }
  const applyNative = (next: BrokerConfig) => {
    const levels = logger.filter.native;
    const own = {
      event_mask: mask(next),
      log_level: levels.log_level,
      authenticate: auth.isNeeded,
    };
    // What clients and messages were made under holds until the end.
    const me_topics = config.device.meTopics;
    native.configure({ ...nativeLiveOptions(next, own), ...levels, me_topics });
    native.setLimits(0, linkLimits(next.mqtt));
  };

  const dispatcher = new Dispatcher(native, (event) => router.handle(event));
  const writer = new CommandWriter((bytes, length) => native.submit(bytes, length));
  const bans = new Bans(native);
  /** A table that is full is no reason to fail: who is not banned is refused all the same. */
  const banned = (ban: () => void) => {
    try {
      ban();
    } catch (error) {
      recorder.error('auth', error);
    }
  };
  auth.connect({
    answer: (verdict) => writer.verdict(verdict),
    ban: (value, seconds) =>
      banned(() => bans.add({ kind: 'address', value, seconds, reason: 'failed logins' })),
  });
  const listeners = new Listeners(native, config.listeners, async () => {
    const { openTls } = await import('./tls.js');
    return openTls({
      wanted: config.broker.tls_engine,
      addon,
      native,
      write: (record) => recorder.write(record),
      takenBy: (take) => {
        takeOutside = take;
      },
    });
  });
  const rules = new AccessRules(native);
  const links = new Links(writer, {
    onError: (error) => recorder.error('link', error),
    tellsPublishers: config.device.meTopics !== 'off',
  });
  const registry = new NativeRegistry({
    writer,
    native,
    counters: () => counters.read(native),
    nameOf: (id) => listeners.nameOf(id),
    threads: config.broker.io_threads,
  });
  const hooks = new HookService({
    registry: owner.hooks,
    native,
    devices: new DeviceTopics(config.device.meTopics),
    answer: (verdict) => writer.hookVerdict(verdict),
    admit: (verdict) => writer.verdict(verdict),
    listenerName: (id) => listeners.nameOf(id),
    log: (error, suppressed) => {
      const more = suppressed === 0 ? {} : { suppressed };
      recorder.say('error', 'broker', error.message, { err: error, ...more });
    },
    ping: () => registry.ping(config.broker.io_threads),
    watchedChanged: () => applyNative(reloader.current.config),
  });
  const devices = new DeviceGate({
    handlers: owner.deviceHandlers,
    isScoped: config.device.meTopics === 'scoped',
    hasGateways: (): boolean => reloader.current.config.device.gateways.length > 0,
    load: async () => {
      const { openDevices } = await import('./devices.js');
      const current = () => reloader.current.config;
      const handlers = owner.deviceHandlers;
      const parts = { started: config, current, recorder, links, registry, auth, handlers, writes };
      return openDevices({ ...parts, hooks: owner.hooks });
    },
    watchedChanged: () => applyNative(reloader.current.config),
    onError: (error) => recorder.error('broker', error),
  });
  const feeds = new Feeds({
    counters: () => counters.read(native),
    totals: () => registry.totals(),
    intervalMs: () => reloader.current.config.meterIntervalS * 1000,
  });
  const writes = new DirectWrites(writer);
  const router = new EventRouter({
    listeners,
    links,
    registry,
    writes,
    auth,
    hooks,
    logs: (level) => recorder.sees(level, 'session'),
    write: (record) => recorder.write(record),
    emit: (name, ...values) => {
      sys.tell(name, values);
      hooks.tell(name, values);
      devices.tell(name, values);
      if (name === 'alert') feeds.alert(...(values as BrokerEvents['alert']));
      owner.emit(name, ...values);
    },
  });
  const sys = new SysTopics({
    node: config.id,
    metrics: () => counters.read(native),
    native,
    writer,
    watchedChanged: () => applyNative(reloader.current.config),
    onError: (error) => recorder.error('broker', error),
  });
  allEnds = () => hooks.wantsAllEnds;
  isWatched = () => sys.watched || hooks.watches || devices.watches;
  const plugins = new PluginSlot(config.plugins, {
    broker: owner.broker,
    resolve: async () => (await owner.resolve()([])).config.plugins,
    say: (level, text, fields) => recorder.say(level, 'plugin', text, fields),
    delay: (delayed) => native.configure({ delayed }),
    ping: () => registry.ping(config.broker.io_threads),
  });
  const services: Service[] = [sys, plugins];
  const reloader = new Reloader(resolution, {
    recorder,
    listeners,
    complete,
    prepare: async (next) => {
      for (const service of services) await service.prepare?.(next.config);
      return prepareAccess(next.config, { auth, rules, native, listeners });
    },
    apply: async (next) => {
      owner.took(next);
      applyNative(next.config);
      for (const service of services) await service.apply?.(next.config);
    },
    applied: (): Promise<void> => devices.apply(),
  });
  return {
    native,
    bans,
    writer,
    dispatcher,
    recorder,
    listeners,
    links,
    registry,
    listings: makeListings(registry, async () => links.open({ [monitor]: true })),
    feeds,
    writes,
    auth,
    rules,
    hooks,
    devices,
    router,
    plugins,
    reloader,
    sys,
    applyNative,
    startedAt: Date.now(),
    threads: config.broker.io_threads,
    services,
  };
}
