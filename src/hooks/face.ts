/** The hooks' methods of a broker. They may be called at any time, before start() too. */
import { EventEmitter } from 'node:events';
import type { BrokerEvents } from '../session/events.js';
import { HookRegistry } from './registry.js';
import type {
  AlertHook,
  DisconnectHook,
  HookOptions,
  NoticeOptions,
  PublishHook,
  SessionExpireHook,
  Unregister,
} from './types.js';

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

  /** Tells of each client whose connection has ended, links too. Throws ST_ARGUMENT. */
  onDisconnect(handler: DisconnectHook, options?: NoticeOptions): Unregister {
    return this.hooks.add('disconnect', '#', handler, options);
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
