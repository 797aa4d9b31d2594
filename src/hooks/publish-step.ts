/** A PUBLISH or a Will on its way through the hooks. */
import type { HookVerdictCommand } from '../native/commands.js';
import { checkAnswer } from './answers.js';
import type { Step } from './chain.js';
import { firstShape, type Held, propertiesOf, type Shape, ShownMessage } from './message.js';
import type { Hook } from './registry.js';
import type { PublishHook } from './types.js';

/** Implementation specific error. */
const kFailed = 0x83;
const words = { pass: 'the message passes', drop: 'the message is dropped' };

export class PublishStep implements Step {
  readonly about: string;
  readonly words = words;
  failed = false;
  timedOut = false;
  readonly #held: Held;
  readonly #listener: string | undefined;
  readonly #answer: (verdict: HookVerdictCommand) => void;
  #shape: Shape;
  #changed = false;

  constructor(
    held: Held,
    listener: string | undefined,
    answer: (verdict: HookVerdictCommand) => void,
  ) {
    this.#held = held;
    this.#listener = listener;
    this.#answer = answer;
    this.#shape = firstShape(held);
    this.about = held.topic;
  }

  call(hook: Hook): unknown {
    return (hook.handler as PublishHook)(new ShownMessage(this.#held, this.#shape, this.#listener));
  }

  take(answer: unknown): ReturnType<Step['take']> {
    const checked = checkAnswer(answer, this.#shape, this.#held.reserves);
    switch (checked.kind) {
      case 'pass':
        return 'next';
      case 'change':
        if (this.#held.enter(checked.shape.topic) === undefined) {
          const { topic } = checked.shape;
          return { wrong: `${JSON.stringify(topic)} is no device's: the message has no device id` };
        }
        this.#shape = checked.shape;
        this.#changed = true;
        return 'next';
      case 'drop':
        this.#drop(checked.reasonCode, checked.reason);
        return 'end';
      case 'wrong':
        return { wrong: checked.why };
    }
  }

  drop(): void {
    this.#drop(kFailed, undefined);
  }

  finish(): void {
    const { hookId } = this.#held;
    const { failed, timedOut } = this;
    if (!this.#changed) {
      this.#answer({ hookId, action: 'pass', timedOut, failed });
      return;
    }
    const { qos, retain, payload } = this.#shape;
    const topic = this.#held.enter(this.#shape.topic) ?? this.#held.innerTopic;
    this.#answer({
      ...{ hookId, action: 'change', timedOut, failed, topic, qos, retain, payload },
      properties: propertiesOf(this.#held, this.#shape),
    });
  }

  #drop(reasonCode: number, reasonText: string | undefined): void {
    const { failed, timedOut } = this;
    const { hookId } = this.#held;
    this.#answer({ hookId, action: 'drop', reasonCode, reasonText, timedOut, failed });
  }
}
