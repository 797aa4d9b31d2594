/** The handlers of one broker for what devices ask, over all its runs. What runs them is loaded later. */
import { fail } from '../errors.js';
import type { Unregister } from '../hooks/types.js';
import type { Handlers, Registered } from './inbound.js';
import type { AttributesHandler, DeviceHandlerOptions, DeviceRequestHandler } from './types.js';

const kDefaultTimeoutMs = 10_000;
const kMaxTimeoutMs = 600_000;

export class DeviceHandlers implements Handlers {
  readonly methods = new Map<string, Registered<DeviceRequestHandler>>();
  attributes: Registered<AttributesHandler> | undefined;
  /** The run, while there is one: something was registered or taken back. */
  changed: (() => Promise<void>) | undefined;
  /** Resolves when the run has taken over what is registered now. */
  taken: Promise<void> = Promise.resolve();

  addMethod(
    method: string,
    handler: DeviceRequestHandler,
    options: DeviceHandlerOptions = {},
  ): Unregister {
    const doing = 'registering a handler of device requests';
    if (typeof method !== 'string' || method === '') {
      throw refused(doing, 'method', JSON.stringify(method), 'text that is not empty, or "*"');
    }
    const made = registered(doing, handler, options);
    if (this.methods.has(method)) {
      const allowed = 'one that has no handler yet';
      throw refused(doing, 'method', JSON.stringify(method), allowed);
    }
    this.methods.set(method, made);
    this.#tell();
    return () => {
      if (this.methods.get(method) !== made) return;
      this.methods.delete(method);
      this.#tell();
    };
  }

  setAttributes(handler: AttributesHandler, options: DeviceHandlerOptions = {}): Unregister {
    const doing = 'registering a handler of attributes requests';
    const made = registered(doing, handler, options);
    if (this.attributes !== undefined) {
      throw refused(doing, 'handler', 'a second one', 'one at a time');
    }
    this.attributes = made;
    this.#tell();
    return () => {
      if (this.attributes !== made) return;
      this.attributes = undefined;
      this.#tell();
    };
  }

  #tell(): void {
    if (this.changed !== undefined) this.taken = this.changed();
  }
}

function registered<F>(
  doing: string,
  handler: F,
  { timeoutMs = kDefaultTimeoutMs }: DeviceHandlerOptions,
): Registered<F> {
  if (typeof handler !== 'function') throw refused(doing, 'handler', typeof handler, 'a function');
  if (Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= kMaxTimeoutMs) {
    return { handler, timeoutMs };
  }
  const allowed = `a whole number from 1 to ${kMaxTimeoutMs}`;
  throw refused(doing, 'timeoutMs', String(timeoutMs), allowed);
}

function refused(doing: string, name: string, found: string, allowed: string): Error {
  return fail('ST_ARGUMENT', { doing, name, found, allowed });
}
