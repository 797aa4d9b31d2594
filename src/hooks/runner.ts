/** Takes what the native half asks hooks about to those that fit, and their answers back. Loaded with the first hook. */
import type { StMqttdError } from '../errors.js';
import { matches } from '../link/filters.js';
import type { HookVerdictCommand, VerdictCommand } from '../native/commands.js';
import { DeliverHook } from '../native/contract.js';
import type {
  ConnectRequestEvent,
  DeliverHookEvent,
  PublishHookEvent,
  SubscribeHookEvent,
} from '../native/events.js';
import { Chains } from './chain.js';
import { ConnectStep } from './connect-step.js';
import { DeliverStep } from './deliver-step.js';
import type { DeviceTopics } from './device-topics.js';
import { Held } from './message.js';
import { overlap } from './overlap.js';
import { PublishStep } from './publish-step.js';
import type { Hook, HookName, HookRegistry } from './registry.js';
import {
  AskedSubscribe,
  encodeFilterAnswers,
  type FilterAnswer,
  FilterStep,
} from './subscribe-step.js';

export interface RunnerDeps {
  readonly registry: HookRegistry;
  readonly answer: (verdict: HookVerdictCommand) => void;
  readonly admit: (verdict: VerdictCommand) => void;
  readonly listenerName: (id: number) => string;
  readonly log: (error: StMqttdError, suppressed: number) => void;
  readonly devices: DeviceTopics;
}

/** Topics whose hooks are known. */
const kKnownTopics = 4_096;

interface Entry {
  readonly hook: Hook;
  readonly levels: readonly string[];
}

/** Which hooks of one kind a topic has. */
class ByTopic {
  #entries: readonly Entry[] = [];
  readonly #known = new Map<string, readonly Hook[]>();

  set(entries: readonly Entry[]): void {
    this.#entries = entries;
    this.#known.clear();
  }

  of(topic: string): readonly Hook[] {
    const known = this.#known.get(topic);
    if (known !== undefined) return known;
    const found = this.#entries
      .filter(({ levels }) => matches(levels, topic))
      .map(({ hook }) => hook);
    if (this.#known.size >= kKnownTopics) this.#known.clear();
    this.#known.set(topic, found);
    return found;
  }
}

export class HookRunner {
  readonly #deps: RunnerDeps;
  readonly #chains: Chains;
  readonly #publish = new ByTopic();
  readonly #deliver = new ByTopic();
  #subscribe: readonly Entry[] = [];

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
    this.#chains = new Chains(deps.log);
  }

  /** The registry has changed. What runs goes on with the hooks that it began with. */
  reread(): void {
    this.#publish.set(this.#entries('publish'));
    this.#deliver.set(this.#entries('deliver'));
    this.#subscribe = this.#entries('subscribe');
  }

  publish({ buffer, at }: PublishHookEvent): void {
    const held = new Held(buffer, at, this.#deps.devices);
    const isRemote = !held.isLink && !held.isWill;
    const listener = isRemote ? this.#deps.listenerName(held.listenerId) : undefined;
    const step = new PublishStep(held, listener, this.#deps.answer);
    this.#chains.run(this.#publish.of(held.innerTopic), step);
  }

  deliver({ buffer, at }: DeliverHookEvent): void {
    const held = new Held(buffer, at, this.#deps.devices, DeliverHook);
    const listener = held.isLink ? undefined : this.#deps.listenerName(held.listenerId);
    const step = new DeliverStep(held, listener, this.#deps.answer);
    this.#chains.run(this.#deliver.of(held.innerTopic), step);
  }

  connect(event: ConnectRequestEvent, listener: string): void {
    const step = new ConnectStep(event, listener, this.#deps.admit);
    this.#chains.run(this.#deps.registry.of('connect'), step);
  }

  /** Hooks look at all filters at the same time; the client waits for the last answer. */
  subscribe({ buffer, at }: SubscribeHookEvent): void {
    const asked = new AskedSubscribe(buffer, at, this.#deps);
    const answers: FilterAnswer[] = [];
    let left = asked.filters.length;
    for (const [index, one] of asked.filters.entries()) {
      const done = (answer: FilterAnswer) => {
        answers[index] = answer;
        if (--left === 0) this.#answerSubscribe(asked, answers);
      };
      const levels = one.inner.split('/');
      const hooks = this.#subscribe
        .filter((entry) => overlap(entry.levels, levels))
        .map(({ hook }) => hook);
      this.#chains.run(hooks, new FilterStep(asked, one, done));
    }
  }

  /** Hooks that are only told. */
  notify(hooks: readonly Hook[], value: unknown): void {
    for (const hook of hooks) this.#chains.tell(hook, value);
  }

  #answerSubscribe(asked: AskedSubscribe, answers: readonly FilterAnswer[]): void {
    this.#deps.answer({
      hookId: asked.connectionId,
      action: 'subscribe',
      failed: answers.some(({ failed }) => failed),
      timedOut: answers.some(({ timedOut }) => timedOut),
      payload: encodeFilterAnswers(answers),
    });
  }

  #entries(kind: HookName): readonly Entry[] {
    const { registry, devices } = this.#deps;
    return registry
      .of(kind)
      .map((hook) => ({ hook, levels: devices.inner(hook.filter).split('/') }));
  }
}
