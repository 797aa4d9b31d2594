/** What one run of the broker consists of. Types only: composition/ makes all of it. */
import type { AuthGate } from './auth/gate.js';
import type { AccessRules } from './composition/rules.js';
import type { BrokerConfig } from './config/resolve.js';
import type { DirectWrites } from './device/direct-write.js';
import type { DeviceGate } from './device/gate.js';
import type { HookService } from './hooks/service.js';
import type { Bans } from './limits/bans.js';
import type { Links } from './link/links.js';
import type { Listeners } from './listener/listeners.js';
import type { Recorder } from './log/recorder.js';
import type { Feeds } from './metrics/feeds.js';
import type { NativeBroker } from './native/addon.js';
import type { CommandWriter } from './native/commands.js';
import type { Dispatcher } from './native/dispatch.js';
import type { PluginSlot } from './plugins/slot.js';
import type { Reloader } from './reload/reloader.js';
import type { Listings } from './session/listings.js';
import type { NativeRegistry } from './session/native-registry.js';
import type { EventRouter } from './session/router.js';
import type { SysTopics } from './sys/sys-topics.js';

/** Everything of one run, from start to stop. */
export interface Run {
  readonly native: NativeBroker;
  readonly bans: Bans;
  readonly writer: CommandWriter;
  readonly dispatcher: Dispatcher;
  readonly recorder: Recorder;
  readonly listeners: Listeners;
  readonly links: Links;
  readonly registry: NativeRegistry;
  readonly listings: Listings;
  readonly feeds: Feeds;
  readonly writes: DirectWrites;
  readonly auth: AuthGate;
  readonly rules: AccessRules;
  readonly hooks: HookService;
  readonly devices: DeviceGate;
  readonly router: EventRouter;
  readonly plugins: PluginSlot;
  readonly reloader: Reloader;
  readonly sys: SysTopics;
  /** Hands the native half what can change while it runs. */
  readonly applyNative: (config: BrokerConfig) => void;
  readonly startedAt: number;
  readonly threads: number;
  /** Started last and stopped last; each is loaded only where it is configured. */
  readonly services: Service[];
}

/** What stands beside the broker. */
export interface Service {
  stop(): Promise<void>;
  /** Rejects where something is wrong with a configuration that is about to be taken over. */
  prepare?(config: BrokerConfig): Promise<void>;
  /** Takes over what a reload has changed. Must not fail. */
  apply?(config: BrokerConfig): void | Promise<void>;
}
