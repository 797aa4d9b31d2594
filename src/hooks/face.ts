/** The hooks' methods of a broker. They may be called at any time, before start() too. */
import { EventEmitter } from 'node:events';
import type { BrokerEvents } from '../session/events.js';
import { HookRegistry } from './registry.js';
import type {
  AckHook,
  AlertHook,
  ConnectedHook,
  ConnectHook,
  DeliverHook,
  DisconnectHook,
  DropHook,
  HookOptions,
  NoticeOptions,
  PublishHook,
  RefusedHook,
  SessionEndHook,
  SessionExpireHook,
  SubscribedHook,
  SubscribeHook,
  Unregister,
  UnsubscribeHook,
} from './types.js';

/** A filter may stand before the handler; else all topics are meant. */
type Filtered<H, O> = [filter: string, handler: H, options?: O] | [handler: H, options?: O];

function withFilter<H, O>(asked: Filtered<H, O>): [string, H, O | undefined] {
  const [first, second, third] = asked;
  return typeof first === 'function'
    ? ['#', first as H, second as O | undefined]
    : [first as string, second as H, third];
}

export abstract class BrokerHooks extends EventEmitter<BrokerEvents> {
  protected readonly hooks = new HookRegistry();

  /**
   * Calls `handler` for each PUBLISH and each Will whose topic matches `filter`, after access rules
   * and before anybody gets it. Its answer, or that of its promise, lets it pass (nothing, 'pass'),
   * drops it ('drop', `{ drop: reasonCode }`) or changes it. The client's later messages wait behind
   * it, and come in order. Throws ST_ARGUMENT.
   */
  onPublish(filter: string, handler: PublishHook, options?: HookOptions): Unregister {
    return this.hooks.add('publish', filter, handler, options);
  }

  /**
   * Calls `handler` for each delivery of a message whose topic matches `filter`, before it is sent to
   * its receiver: live, retained, queued, of a log, a DirectWrite; not when it is sent again. Its
   * answer lets it pass (nothing, 'pass'), drops it for this receiver ('drop'), or changes `payload`
   * or `properties` for this receiver. What the receiver gets next waits behind it. Throws
   * ST_ARGUMENT.
   */
  onDeliver(filter: string, handler: DeliverHook, options?: HookOptions): Unregister {
    return this.hooks.add('deliver', filter, handler, options);
  }

  /**
   * Asks about each client whose CONNECT was accepted, before CONNACK: it may be refused ('drop',
   * `{ refuse: reasonCode }`), or get less (`{ maxQos }`). Links are not asked about. All hooks
   * together have broker.verdict_timeout_ms; then the client is refused with 0x88. Throws ST_ARGUMENT.
   */
  onConnect(handler: ConnectHook, options?: HookOptions): Unregister {
    return this.hooks.add('connect', '#', handler, options);
  }

  /**
   * Asks about each filter of a SUBSCRIBE that can match topics of `filter`, after which the access
   * rules are asked: it may be refused ('drop' = 0x87, `{ refuse: reasonCode }`), or changed. The
   * client's later packets wait. Throws ST_ARGUMENT.
   */
  onSubscribe(...asked: Filtered<SubscribeHook, HookOptions>): Unregister {
    return this.hooks.add('subscribe', ...withFilter(asked));
  }

  /**
   * Tells of each filter that a SUBSCRIBE was granted, after hooks and access rules, repeated ones
   * too. Throws ST_ARGUMENT.
   */
  onSubscribed(...asked: Filtered<SubscribedHook, NoticeOptions>): Unregister {
    return this.hooks.add('subscribed', ...withFilter(asked));
  }

  /** Tells of each filter of an UNSUBSCRIBE that was subscribed to. Throws ST_ARGUMENT. */
  onUnsubscribe(...asked: Filtered<UnsubscribeHook, NoticeOptions>): Unregister {
    return this.hooks.add('unsubscribe', ...withFilter(asked));
  }

  /** Tells of each message of QoS 1 or 2 that a receiver has acknowledged. Throws ST_ARGUMENT. */
  onAck(...asked: Filtered<AckHook, NoticeOptions>): Unregister {
    return this.hooks.add('ack', ...withFilter(asked));
  }

  /** Tells of each message that did not get to a receiver, and why. Throws ST_ARGUMENT. */
  onDrop(...asked: Filtered<DropHook, NoticeOptions>): Unregister {
    return this.hooks.add('drop', ...withFilter(asked));
  }

  /** Tells of each client that was admitted, links too: its session exists. Throws ST_ARGUMENT. */
  onConnected(handler: ConnectedHook, options?: NoticeOptions): Unregister {
    return this.hooks.add('connected', '#', handler, options);
  }

  /** Tells of each attempt to connect that was refused. Throws ST_ARGUMENT. */
  onRefused(handler: RefusedHook, options?: NoticeOptions): Unregister {
    return this.hooks.add('refused', '#', handler, options);
  }

  /** Tells of each client whose connection has ended, links too. Throws ST_ARGUMENT. */
  onDisconnect(handler: DisconnectHook, options?: NoticeOptions): Unregister {
    return this.hooks.add('disconnect', '#', handler, options);
  }

  /** Tells of each session that has ended, and why. Throws ST_ARGUMENT. */
  onSessionEnd(handler: SessionEndHook, options?: NoticeOptions): Unregister {
    return this.hooks.add('sessionEnd', '#', handler, options);
  }

  /** Tells of each session that has ended because its time was over. Throws ST_ARGUMENT. */
  onSessionExpire(handler: SessionExpireHook, options?: NoticeOptions): Unregister {
    return this.hooks.add('sessionExpire', '#', handler, options);
  }

  /** Tells of each alert. Throws ST_ARGUMENT. */
  onAlert(handler: AlertHook, options?: NoticeOptions): Unregister {
    return this.hooks.add('alert', '#', handler, options);
  }

  /**
   * Resolves when the hooks that are registered now are in force on every I/O thread: what is read
   * from then on passes them. At once while the broker does not run: start() waits for it.
   */
  hooksReady(): Promise<void> {
    return this.hooks.ready();
  }
}
