/**
 * What a plugin starts by itself and nobody waits for: a promise that rejects, a timer or callback of
 * Node's that throws. It is logged with the plugin's name and ends nothing. Everything else that nobody
 * has caught ends the process as without this, or goes to the listeners that the application has.
 * Node is asked to remember who runs (AsyncLocalStorage) only while a plugin is loaded that is not ours.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface Guarded {
  failed(doing: string, cause: unknown): void;
}

const running = new AsyncLocalStorage<Guarded>();
let users = 0;

/** Runs `fn`, and what comes of it, as this plugin. */
export function runAs<T>(plugin: Guarded, fn: () => T): T {
  return running.run(plugin, fn);
}

/** While it is held, failures of plugins end nothing. Returns what lets go of it. */
export function holdGuard(): () => void {
  if (users++ === 0) {
    process.on('uncaughtException', onException);
    process.on('unhandledRejection', onRejection);
  }
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    if (--users > 0) return;
    process.off('uncaughtException', onException);
    process.off('unhandledRejection', onRejection);
    running.disable();
  };
}

/** `origin`: Node tells of a rejection here too, where nobody listens for those. */
function onException(error: unknown): void {
  const plugin = running.getStore();
  if (plugin !== undefined) {
    plugin.failed('a callback', error);
    return;
  }
  if (process.listenerCount('uncaughtException') > 1) return;
  // As if nobody had listened.
  process.off('uncaughtException', onException);
  setImmediate(() => {
    throw error;
  });
}

function onRejection(reason: unknown): void {
  const plugin = running.getStore();
  if (plugin !== undefined) {
    plugin.failed('a promise that nobody waits for', reason);
    return;
  }
  if (process.listenerCount('unhandledRejection') > 1) return;
  // Node makes an exception of it where nobody listens.
  throw reason;
}
