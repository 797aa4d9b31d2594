/** The hooks of one broker, over all its runs. What they cost is paid elsewhere: see runner.ts. */
import { fail, showFound } from '../errors.js';
import { checkFilter } from '../link/topics.js';
import type { HookOptions, HookPolicy, Unregister } from './types.js';

export type HookName =
  | 'publish'
  | 'deliver'
  | 'connect'
  | 'subscribe'
  | 'subscribed'
  | 'unsubscribe'
  | 'ack'
  | 'drop'
  | 'connected'
  | 'refused'
  | 'disconnect'
  | 'sessionEnd'
  | 'sessionExpire'
  | 'alert';

/** One registration. */
export interface Hook {
  readonly kind: HookName;
  readonly name: string;
  /** '#' where all are meant. */
  readonly filter: string;
  readonly handler: (...values: never[]) => unknown;
  readonly timeoutMs: number;
  readonly onTimeout: HookPolicy;
  readonly onError: HookPolicy;
  readonly order: number;
  /** Log records: when the last one was written, and how many were left out since. */
  loggedAt: number;
  suppressed: number;
}

/** Who must know of changes: the run, while there is one. */
export interface HookUser {
  changed(): void;
  /** Resolves when the hooks that are registered now are in force on every I/O thread. */
  ready(): Promise<void>;
}

const kDefaultTimeoutMs = 5_000;
const kMaxTimeoutMs = 60_000;
const knownOptions = new Set(['name', 'timeoutMs', 'onTimeout', 'onError', 'order']);

export class HookRegistry {
  #hooks: Hook[] = [];
  #user: HookUser | undefined;
  #added = 0;

  /** Of one kind, in their order. */
  of(kind: HookName): readonly Hook[] {
    return this.#hooks.filter((hook) => hook.kind === kind);
  }

  has(kind: HookName): boolean {
    return this.#hooks.some((hook) => hook.kind === kind);
  }

  /** Who uses them from now on; undefined = nobody. */
  set user(user: HookUser | undefined) {
    this.#user = user;
    if (this.#hooks.length > 0) user?.changed();
  }

  ready(): Promise<void> {
    return this.#user?.ready() ?? Promise.resolve();
  }

  /** Throws ST_ARGUMENT. */
  add(
    kind: HookName,
    filter: string,
    handler: Hook['handler'],
    options: HookOptions | undefined = {},
  ): Unregister {
    const method = `on${kind[0]?.toUpperCase()}${kind.slice(1)}()`;
    const doing = `registering a hook by ${method}`;
    const refuse = (name: string, found: unknown, allowed: string) =>
      fail('ST_ARGUMENT', { doing, name, found: showFound(found), allowed });
    if (typeof handler !== 'function') throw refuse('handler', handler, 'a function');
    if (typeof options !== 'object' || options === null) {
      throw refuse('options', options, 'an object');
    }
    checkFilter(filter, doing);
    if (filter.startsWith('$share/')) {
      throw refuse('filter', filter, 'a Topic Filter that is not shared');
    }
    for (const key of Object.keys(options)) {
      if (!knownOptions.has(key)) throw refuse('options', key, [...knownOptions].join(', '));
    }
    const { timeoutMs = kDefaultTimeoutMs, onTimeout = 'pass', onError = 'pass' } = options;
    const { order = 0 } = options;
    if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > kMaxTimeoutMs) {
      throw refuse('timeoutMs', timeoutMs, `milliseconds, 1 to ${kMaxTimeoutMs}`);
    }
    for (const [name, policy] of Object.entries({ onTimeout, onError })) {
      if (policy !== 'pass' && policy !== 'drop') throw refuse(name, policy, "'pass' or 'drop'");
    }
    if (!Number.isFinite(order)) throw refuse('order', order, 'a number');
    if (options.name !== undefined && typeof options.name !== 'string') {
      throw refuse('name', options.name, 'text');
    }
    this.#added++;
    const name = options.name || handler.name || `${kind} ${this.#added}`;
    const hook: Hook = {
      ...{ kind, name, filter, handler, timeoutMs, onTimeout, onError, order },
      loggedAt: 0,
      suppressed: 0,
    };
    const behind = this.#hooks.findIndex((one) => one.order > order);
    // A new list each time: whoever runs through the old one is not disturbed.
    this.#hooks = behind === -1 ? [...this.#hooks, hook] : this.#hooks.toSpliced(behind, 0, hook);
    this.#user?.changed();
    return () => {
      if (!this.#hooks.includes(hook)) return;
      this.#hooks = this.#hooks.filter((one) => one !== hook);
      this.#user?.changed();
    };
  }
}
