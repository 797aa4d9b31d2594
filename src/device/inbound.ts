/**
 * Requests that devices make, and the handlers that answer them. A handler that fails costs its
 * device an answer that says so, and never the broker.
 */
import { fail, messageOf, type StMqttdError } from '../errors.js';
import { keyOf, textOf } from './topics.js';
import type { AttributesHandler, DeviceName, DeviceRequestHandler } from './types.js';

/** What is registered, over all runs of a broker. */
export interface Handlers {
  readonly methods: ReadonlyMap<string, Registered<DeviceRequestHandler>>;
  readonly attributes: Registered<AttributesHandler> | undefined;
}

export interface Registered<F> {
  readonly handler: F;
  readonly timeoutMs: number;
}

export const kAnyMethod = '*';

/** Under way, of one device and of all: more are told to come later. */
const kMaxOfDevice = 32;
const kMaxUnderWay = 4096;
const kQuietMs = 1000;

export interface InboundDeps {
  readonly handlers: Handlers;
  readonly log: (error: StMqttdError, suppressed: number) => void;
}

export class Inbound {
  readonly #deps: InboundDeps;
  readonly #ofDevice = new Map<string, number>();
  readonly #signals = new Set<AbortController>();
  #loggedAt = 0;
  #suppressed = 0;
  requests = 0;
  errors = 0;

  constructor(deps: InboundDeps) {
    this.#deps = deps;
  }

  /** Resolves with the payload of the answer: for every request there is one. */
  call(device: DeviceName, request: unknown): Promise<string> {
    const { methods } = this.#deps.handlers;
    if (!isRequest(request)) return this.#refused('the request is not {"method": …, "params": …}');
    const { method, params } = request;
    const found = methods.get(method) ?? methods.get(kAnyMethod);
    if (found === undefined) return this.#refused(`unknown method ${JSON.stringify(method)}`);
    return this.#run(device, method, found.timeoutMs, (signal) =>
      found.handler({ device, method, params, signal }),
    );
  }

  attributes(
    device: DeviceName,
    keys: { readonly client: readonly string[]; readonly shared: readonly string[] },
  ): Promise<string> {
    const found = this.#deps.handlers.attributes;
    if (found === undefined) return this.#refused('nobody answers requests for attributes');
    const { client: clientKeys, shared: sharedKeys } = keys;
    return this.#run(device, 'attributes', found.timeoutMs, (signal) =>
      found.handler({ device, clientKeys, sharedKeys, signal }),
    );
  }

  /** What could not even be read. */
  refused(why: string): Promise<string> {
    return this.#refused(why);
  }

  end(): void {
    for (const signal of this.#signals) signal.abort();
  }

  async #run(
    device: DeviceName,
    method: string,
    timeoutMs: number,
    handle: (signal: AbortSignal) => unknown,
  ): Promise<string> {
    const key = keyOf(device);
    const own = this.#ofDevice.get(key) ?? 0;
    if (own >= kMaxOfDevice || this.#signals.size >= kMaxUnderWay) {
      return this.#refused('too many requests are under way');
    }
    this.requests++;
    this.#ofDevice.set(key, own + 1);
    const done = new AbortController();
    this.#signals.add(done);
    let timer: NodeJS.Timeout | undefined;
    try {
      const over = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new TimedOut(timeoutMs)), timeoutMs);
      });
      const answer = await Promise.race([Promise.resolve(handle(done.signal)), over]);
      return JSON.stringify(answer) ?? 'null';
    } catch (error) {
      this.errors++;
      this.#say(device, method, error);
      return errorText(publicText(error));
    } finally {
      clearTimeout(timer);
      done.abort();
      this.#signals.delete(done);
      const left = (this.#ofDevice.get(key) ?? 1) - 1;
      if (left === 0) this.#ofDevice.delete(key);
      else this.#ofDevice.set(key, left);
    }
  }

  #refused(why: string): Promise<string> {
    this.requests++;
    this.errors++;
    return Promise.resolve(errorText(why));
  }

  #say(device: DeviceName, method: string, cause: unknown): void {
    const now = Date.now();
    if (now - this.#loggedAt < kQuietMs) {
      this.#suppressed++;
      return;
    }
    const why = messageOf(cause);
    const error = fail('ST_DEVICE_HANDLER', { device: textOf(device), method, why }, { cause });
    this.#deps.log(error, this.#suppressed);
    this.#loggedAt = now;
    this.#suppressed = 0;
  }
}

class TimedOut extends Error {
  readonly expose = true;
  constructor(timeoutMs: number) {
    super(`it has not answered within ${timeoutMs} ms`);
  }
}

/** What a handler throws may name what devices must not know, unless it says `expose`. */
function publicText(error: unknown): string {
  const isPublic = error instanceof Error && 'expose' in error && error.expose === true;
  return isPublic ? error.message : 'the request failed';
}

function errorText(error: string): string {
  return JSON.stringify({ error });
}

function isRequest(value: unknown): value is { method: string; params: undefined } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'method' in value &&
    typeof value.method === 'string'
  );
}
