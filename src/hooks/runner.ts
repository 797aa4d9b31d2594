/**
 * Runs hooks: of each event those that fit, in their order, each with what the one before has made
 * of it. A hook that throws, answers nonsense or never settles is logged, and its policy applied. Loaded with
 * the first hook.
 */
import { fail, messageOf, type StMqttdError } from '../errors.js';
import { matches } from '../link/filters.js';
import type { HookVerdictCommand } from '../native/commands.js';
import type { PublishHookEvent } from '../native/events.js';
import { checkAnswer } from './answers.js';
import { firstShape, Held, propertiesOf, type Shape, ShownMessage } from './message.js';
import type { Hook, HookRegistry } from './registry.js';
import type { PublishHook } from './types.js';

export interface RunnerDeps {
  readonly registry: HookRegistry;
  readonly answer: (verdict: HookVerdictCommand) => void;
  readonly listenerName: (id: number) => string;
  readonly log: (error: StMqttdError, suppressed: number) => void;
  readonly now?: () => number;
}

/** Topics whose hooks are known. */
const kKnownTopics = 4_096;
const kLogEveryMs = 1_000;

interface PublishEntry {
  readonly hook: Hook;
  readonly levels: readonly string[];
}

/** What has happened to a message on its way through the hooks. */
interface Chain {
  readonly held: Held;
  readonly hooks: readonly Hook[];
  readonly listener: string | undefined;
  shape: Shape;
  changed: boolean;
  timedOut: boolean;
  failed: boolean;
}

export class HookRunner {
  readonly #deps: RunnerDeps;
  #publish: readonly PublishEntry[] = [];
  readonly #byTopic = new Map<string, readonly Hook[]>();

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
  }

  /** The registry has changed. What runs goes on with the hooks that it began with. */
  reread(): void {
    this.#publish = this.#deps.registry
      .of('publish')
      .map((hook) => ({ hook, levels: hook.filter.split('/') }));
    this.#byTopic.clear();
  }

  publish({ buffer, at }: PublishHookEvent): void {
    const held = new Held(buffer, at);
    const isRemote = !held.isLink && !held.isWill;
    this.#next(
      {
        held,
        hooks: this.#hooksOf(held.topic),
        listener: isRemote ? this.#deps.listenerName(held.listenerId) : undefined,
        shape: firstShape(held),
        changed: false,
        timedOut: false,
        failed: false,
      },
      0,
    );
  }

  /** Hooks that are only told. */
  notify(hooks: readonly Hook[], value: unknown): void {
    for (const hook of hooks) {
      try {
        const result = (hook.handler as (value: unknown) => unknown)(value);
        if (isPromise(result)) result.then(undefined, (error) => this.#failed(hook, '', error));
      } catch (error) {
        this.#failed(hook, '', error);
      }
    }
  }

  #hooksOf(topic: string): readonly Hook[] {
    const known = this.#byTopic.get(topic);
    if (known !== undefined) return known;
    const found = this.#publish
      .filter(({ levels }) => matches(levels, topic))
      .map(({ hook }) => hook);
    if (this.#byTopic.size >= kKnownTopics) this.#byTopic.clear();
    this.#byTopic.set(topic, found);
    return found;
  }

  /** Goes on with hook number `from`; returns where one has to be waited for. */
  #next(chain: Chain, from: number): void {
    for (let index = from; index < chain.hooks.length; index++) {
      const hook = chain.hooks[index] as Hook;
      let answer: unknown;
      try {
        answer = (hook.handler as PublishHook)(
          new ShownMessage(chain.held, chain.shape, chain.listener),
        );
      } catch (error) {
        if (this.#afterFailure(chain, hook, error)) continue;
        return;
      }
      if (isPromise(answer)) {
        this.#wait(chain, hook, answer, index);
        return;
      }
      if (!this.#take(chain, hook, answer)) return;
    }
    this.#finish(chain);
  }

  #wait(chain: Chain, hook: Hook, answer: PromiseLike<unknown>, index: number): void {
    let isOver = false;
    const over = (goOn: () => boolean) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      if (goOn()) this.#next(chain, index + 1);
    };
    const timer = setTimeout(() => over(() => this.#afterTimeout(chain, hook)), hook.timeoutMs);
    timer.unref();
    answer.then(
      (value) => over(() => this.#take(chain, hook, value)),
      (error) => over(() => this.#afterFailure(chain, hook, error)),
    );
  }

  /** Whether the next hook is to see it. */
  #take(chain: Chain, hook: Hook, answer: unknown): boolean {
    const checked = checkAnswer(answer, chain.shape);
    switch (checked.kind) {
      case 'pass':
        return true;
      case 'change':
        chain.shape = checked.shape;
        chain.changed = true;
        return true;
      case 'drop':
        this.#drop(chain, checked.reasonCode, checked.reason);
        return false;
      case 'wrong':
        return this.#afterFailure(chain, hook, new TypeError(checked.why));
    }
  }

  #afterFailure(chain: Chain, hook: Hook, error: unknown): boolean {
    chain.failed = true;
    this.#failed(hook, chain.held.topic, error);
    return this.#goesOn(chain, hook.onError);
  }

  #afterTimeout(chain: Chain, hook: Hook): boolean {
    chain.timedOut = true;
    const then = hook.onTimeout === 'drop' ? 'the message is dropped' : 'the message passes';
    const { name, timeoutMs } = hook;
    const details = { hook: name, topic: chain.held.topic, timeoutMs, then };
    this.#log(hook, fail('ST_HOOK_TIMEOUT', details));
    return this.#goesOn(chain, hook.onTimeout);
  }

  #goesOn(chain: Chain, policy: Hook['onError']): boolean {
    if (policy === 'pass') return true;
    this.#drop(chain, kImplementationSpecific, undefined);
    return false;
  }

  #drop(chain: Chain, reasonCode: number, reasonText: string | undefined): void {
    const { held, timedOut, failed } = chain;
    const hookId = held.hookId;
    this.#deps.answer({ hookId, action: 'drop', reasonCode, reasonText, timedOut, failed });
  }

  #finish({ held, shape, changed, timedOut, failed }: Chain): void {
    const { hookId } = held;
    if (!changed) {
      this.#deps.answer({ hookId, action: 'pass', timedOut, failed });
      return;
    }
    const { topic, qos, retain, payload } = shape;
    this.#deps.answer({
      ...{ hookId, action: 'change', timedOut, failed, topic, qos, retain, payload },
      properties: propertiesOf(held, shape),
    });
  }

  #failed(hook: Hook, topic: string, cause: unknown): void {
    const isAsked = hook.kind === 'publish';
    const dropped = hook.onError === 'drop' ? 'the message is dropped' : 'the message passes';
    const then = isAsked ? dropped : 'nothing else changes';
    const details = { hook: hook.name, topic, why: messageOf(cause), then };
    this.#log(hook, fail('ST_HOOK', details, { cause }));
  }

  /** A hook that fails for each message must not fill the disk. */
  #log(hook: Hook, error: StMqttdError): void {
    const now = (this.#deps.now ?? Date.now)();
    if (now - hook.loggedAt < kLogEveryMs) {
      hook.suppressed++;
      return;
    }
    const { suppressed } = hook;
    hook.loggedAt = now;
    hook.suppressed = 0;
    this.#deps.log(error, suppressed);
  }
}

/** Implementation specific error. */
const kImplementationSpecific = 0x83;

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as PromiseLike<unknown>).then === 'function'
  );
}
