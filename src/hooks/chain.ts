/**
 * Runs the hooks of one thing one after the other. A hook that throws, answers nonsense or never
 * settles is logged by name, and its policy applied.
 */
import { fail, messageOf, type StMqttdError } from '../errors.js';
import type { Hook } from './registry.js';

/** What hooks are asked about, and what their answers do to it. */
export interface Step {
  /** For logs: what it is about; may be empty. */
  readonly about: string;
  /** For logs: what the policies mean. */
  readonly words: { readonly pass: string; readonly drop: string };
  /** A hook has failed, or has not answered in time. */
  failed: boolean;
  timedOut: boolean;
  call(hook: Hook): unknown;
  /** 'next': the next hook is to see it; 'end': nothing more is asked. Text: the answer is none. */
  take(answer: unknown): 'next' | 'end' | { readonly wrong: string };
  /** A policy says so. Nothing more is asked. */
  drop(): void;
  /** Every hook has had its say. */
  finish(): void;
}

const kLogEveryMs = 1_000;

export class Chains {
  readonly #log: (error: StMqttdError, suppressed: number) => void;

  constructor(log: (error: StMqttdError, suppressed: number) => void) {
    this.#log = log;
  }

  run(hooks: readonly Hook[], step: Step, from = 0): void {
    for (let index = from; index < hooks.length; index++) {
      const hook = hooks[index] as Hook;
      let answer: unknown;
      let waits: boolean;
      try {
        answer = step.call(hook);
        waits = isPromise(answer);
      } catch (error) {
        if (this.#afterFailure(step, hook, error)) continue;
        return;
      }
      if (waits) {
        this.#wait(hooks, step, index, answer as PromiseLike<unknown>);
        return;
      }
      if (!this.#take(step, hook, answer)) return;
    }
    step.finish();
  }

  /** Of a hook that nothing depends on. */
  tell(hook: Hook, value: unknown): void {
    try {
      const result = (hook.handler as (value: unknown) => unknown)(value);
      if (isPromise(result)) {
        result.then(undefined, (error) => this.#failed(hook, '', error, 'nothing else changes'));
      }
    } catch (error) {
      this.#failed(hook, '', error, 'nothing else changes');
    }
  }

  #wait(hooks: readonly Hook[], step: Step, index: number, answer: PromiseLike<unknown>): void {
    const hook = hooks[index] as Hook;
    let isOver = false;
    const over = (goesOn: () => boolean) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      if (goesOn()) this.run(hooks, step, index + 1);
    };
    const timer = setTimeout(() => over(() => this.#afterTimeout(step, hook)), hook.timeoutMs);
    timer.unref();
    // Whatever calls itself a promise: its then() may throw.
    try {
      answer.then(
        (value) => over(() => this.#take(step, hook, value)),
        (error) => over(() => this.#afterFailure(step, hook, error)),
      );
    } catch (error) {
      over(() => this.#afterFailure(step, hook, error));
    }
  }

  /** Whether the next hook is to see it. */
  #take(step: Step, hook: Hook, answer: unknown): boolean {
    let taken: ReturnType<Step['take']>;
    try {
      taken = step.take(answer);
    } catch (error) {
      // of a getter of the answer's
      return this.#afterFailure(step, hook, error);
    }
    if (typeof taken === 'string') return taken === 'next';
    return this.#afterFailure(step, hook, new TypeError(taken.wrong));
  }

  #afterFailure(step: Step, hook: Hook, error: unknown): boolean {
    step.failed = true;
    this.#failed(hook, step.about, error, step.words[hook.onError]);
    return this.#goesOn(step, hook.onError);
  }

  #afterTimeout(step: Step, hook: Hook): boolean {
    step.timedOut = true;
    const { name, timeoutMs, onTimeout } = hook;
    const then = step.words[onTimeout];
    const details = { hook: name, topic: step.about, timeoutMs, then };
    this.#write(hook, fail('ST_HOOK_TIMEOUT', details));
    return this.#goesOn(step, onTimeout);
  }

  #goesOn(step: Step, policy: Hook['onError']): boolean {
    if (policy === 'pass') return true;
    step.drop();
    return false;
  }

  #failed(hook: Hook, about: string, cause: unknown, then: string): void {
    const details = { hook: hook.name, topic: about, why: messageOf(cause), then };
    this.#write(hook, fail('ST_HOOK', details, { cause }));
  }

  /** A hook that fails for each message must not fill the disk. */
  #write(hook: Hook, error: StMqttdError): void {
    const now = Date.now();
    if (now - hook.loggedAt < kLogEveryMs) {
      hook.suppressed++;
      return;
    }
    const { suppressed } = hook;
    hook.loggedAt = now;
    hook.suppressed = 0;
    this.#log(error, suppressed);
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as PromiseLike<unknown>).then === 'function'
  );
}
