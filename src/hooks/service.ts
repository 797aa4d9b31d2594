/** The hooks of one run: what is asked of the native half, and what comes from it. */
import type { StMqttdError } from '../errors.js';
import { matches } from '../link/filters.js';
import type { NativeBroker } from '../native/addon.js';
import type { HookVerdictCommand, VerdictCommand } from '../native/commands.js';
import type {
  ConnectRequestEvent,
  DeliverHookEvent,
  NoticeEvent,
  PublishHookEvent,
  SubscribeHookEvent,
} from '../native/events.js';
import { encodeHooks, type NativeHook, type NativeHookKind } from '../native/hooks.js';
import type { BrokerEvents } from '../session/events.js';
import type { DeviceTopics } from './device-topics.js';
import { overlap, plainLevels } from './overlap.js';
import type { Hook, HookName, HookRegistry, HookUser } from './registry.js';
import type { HookRunner } from './runner.js';

export interface HookServiceDeps {
  readonly registry: HookRegistry;
  readonly native: Pick<NativeBroker, 'setHooks'>;
  readonly answer: (verdict: HookVerdictCommand) => void;
  readonly admit: (verdict: VerdictCommand) => void;
  readonly listenerName: (id: number) => string;
  readonly log: (error: StMqttdError, suppressed: number) => void;
  readonly devices: DeviceTopics;
  /** Resolves when every I/O thread has done what it was told before. */
  readonly ping: () => Promise<void>;
  /** Whether somebody looks at events has changed. */
  readonly watchedChanged: () => void;
}

export class HookService implements HookUser {
  readonly #deps: HookServiceDeps;
  #runner: HookRunner | undefined;
  /** The latest change, until it was handed over. */
  #applying: Promise<void> = Promise.resolve();
  #scheduled = false;
  #ended = false;
  /** What the mask of events was made of. */
  #seen = 'false false';

  constructor(deps: HookServiceDeps) {
    this.#deps = deps;
  }

  /** Hooks are told of what happens to clients. */
  get watches(): boolean {
    const { registry } = this.#deps;
    return eventKinds.some((kind) => registry.has(kind));
  }

  /** Hooks are told of sessions that end with their connection, too. */
  get wantsAllEnds(): boolean {
    return this.#deps.registry.has('sessionEnd');
  }

  changed(): void {
    if (this.#scheduled || this.#ended) return;
    this.#scheduled = true;
    // Many that are registered one after the other are handed over once.
    this.#applying = this.#applying.then(() => this.#apply());
  }

  async ready(): Promise<void> {
    await this.#applying;
    if (!this.#ended) await this.#deps.ping();
  }

  /** What is registered before start() is in force when this resolves, for threads that start then. */
  async begin(): Promise<void> {
    this.#deps.registry.user = this;
    await this.#applying;
  }

  handle(event: PublishHookEvent | DeliverHookEvent | SubscribeHookEvent | NoticeEvent): void {
    if (event.kind === 'publish_hook') this.#runner?.publish(event);
    else if (event.kind === 'deliver_hook') this.#runner?.deliver(event);
    else if (event.kind === 'subscribe_hook') this.#runner?.subscribe(event);
    else this.#tellNotice(event);
  }

  /** A CONNECT that was accepted. */
  judge(event: ConnectRequestEvent, listener: string): void {
    this.#runner?.connect(event, listener);
  }

  tell<K extends keyof BrokerEvents>(event: K, values: BrokerEvents[K]): void {
    if (this.#runner === undefined) return;
    for (const kind of noticesOf(event, values[0])) {
      this.#runner.notify(this.#deps.registry.of(kind), values[0]);
    }
  }

  end(): void {
    this.#ended = true;
    this.#deps.registry.user = undefined;
  }

  #tellNotice(event: NoticeEvent): void {
    if (this.#runner === undefined) return;
    const { registry, devices } = this.#deps;
    const { notice, topic: inner, clientId, instance, connectionId, leftOut, qos, cause } = event;
    const isFilter = notice === 'unsubscribe' || notice === 'subscribed';
    const levels = isFilter ? plainLevels(inner) : [];
    const hooks = registry.of(notice).filter(({ filter }) => {
      const own = devices.inner(filter).split('/');
      return isFilter ? overlap(own, levels) : matches(own, inner);
    });
    const { packetId, reasonCode } = event;
    const { topic, deviceId } = devices.show(inner);
    const who = { clientId, instance, connectionId, leftOut };
    const told = {
      ack: { ...who, topic, deviceId, qos, packetId, reasonCode },
      drop: { ...who, topic, deviceId, qos, cause },
      subscribed: { ...who, filter: inner, qos },
      unsubscribe: { ...who, filter: inner },
    }[notice];
    this.#runner.notify(hooks, told);
  }

  async #apply(): Promise<void> {
    this.#runner ??= await this.#load();
    this.#scheduled = false;
    if (this.#ended) return;
    this.#runner.reread();
    const { registry, devices } = this.#deps;
    const native = nativeKinds.flatMap((kind) =>
      registry.of(kind).map((hook) => nativeHook(kind, hook, devices)),
    );
    this.#deps.native.setHooks(encodeHooks(native));
    const seen = `${this.watches} ${this.wantsAllEnds}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#deps.watchedChanged();
  }

  async #load(): Promise<HookRunner> {
    const { HookRunner } = await import('./runner.js');
    return new HookRunner(this.#deps);
  }
}

/** Those that are told of the broker's events. */
const eventKinds = [
  ...(['connected', 'refused', 'disconnect', 'sessionEnd', 'sessionExpire', 'alert'] as const),
];

function noticesOf(event: keyof BrokerEvents, value: unknown): readonly HookName[] {
  if (event === 'connect') return ['connected'];
  if (event === 'refused' || event === 'disconnect' || event === 'alert') return [event];
  if (event !== 'sessionEnd') return [];
  const isExpiry = (value as { cause: string }).cause === 'expired';
  return isExpiry ? ['sessionEnd', 'sessionExpire'] : ['sessionEnd'];
}

/** Those that the native half must know of. */
const nativeKinds = [
  ...(['publish', 'deliver', 'connect', 'subscribe', 'subscribed', 'unsubscribe'] as const),
  ...(['ack', 'drop'] as const),
];

function nativeHook(kind: NativeHookKind, hook: Hook, devices: DeviceTopics): NativeHook {
  const { timeoutMs, onTimeout } = hook;
  return { kind, filter: devices.inner(hook.filter), timeoutMs, drops: onTimeout === 'drop' };
}
