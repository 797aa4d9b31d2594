/** A message on its way through the hooks to one receiver. */
import { readProperties } from '../link/decode.js';
import type { Publisher } from '../link/message.js';
import type { MessageProperties, Qos } from '../link/packets.js';
import { tellPublisher } from '../link/publisher.js';
import type { HookVerdictCommand } from '../native/commands.js';
import type { ProtocolVersion } from '../native/events.js';
import { checkDeliveryAnswer } from './answers.js';
import type { Step } from './chain.js';
import { firstShape, type Held, propertiesOf, type Shape, shownProperties } from './message.js';
import type { Hook } from './registry.js';
import type { DeliverHook, HookDelivery } from './types.js';

const words = {
  pass: 'the receiver gets the message',
  drop: 'the receiver does not get the message',
};

class ShownDelivery implements HookDelivery {
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly listener: string | undefined;
  readonly #held: Held;
  readonly #shape: Shape;
  #properties: MessageProperties | undefined;

  constructor(held: Held, shape: Shape, listener: string | undefined) {
    this.#held = held;
    this.#shape = shape;
    this.topic = shape.topic;
    this.qos = shape.qos;
    this.retain = shape.retain;
    this.listener = listener;
  }

  get payload(): Buffer {
    return this.#shape.payload;
  }
  text(): string {
    return this.#shape.payload.toString('utf8');
  }
  get properties(): MessageProperties {
    this.#properties ??= shownProperties(this.#held, this.#shape);
    return this.#properties;
  }
  get publisher(): Publisher | undefined {
    return tellPublisher(readProperties(this.#held.encodedPublisher))?.publisher;
  }
  get clientId(): string {
    return this.#held.clientId;
  }
  get instance(): number {
    return this.#held.instance;
  }
  get username(): string | undefined {
    return this.#held.username;
  }
  get tenant(): string | undefined {
    return this.#held.tenant;
  }
  get deviceId(): string | undefined {
    return this.#held.deviceId;
  }
  get isLink(): boolean {
    return this.#held.isLink;
  }
  get connectionId(): bigint {
    return this.#held.connectionId;
  }
  get protocolVersion(): ProtocolVersion | undefined {
    return this.#held.protocolVersion;
  }
}

export class DeliverStep implements Step {
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
    const shown = new ShownDelivery(this.#held, this.#shape, this.#listener);
    return (hook.handler as DeliverHook)(shown);
  }

  take(answer: unknown): ReturnType<Step['take']> {
    const checked = checkDeliveryAnswer(answer, this.#shape, this.#held.reserves);
    switch (checked.kind) {
      case 'pass':
        return 'next';
      case 'change':
        this.#shape = checked.shape;
        this.#changed = true;
        return 'next';
      case 'drop':
        this.drop();
        return 'end';
      case 'wrong':
        return { wrong: checked.why };
    }
  }

  drop(): void {
    this.#say({ action: 'drop' });
  }

  finish(): void {
    const { payload } = this.#shape;
    if (this.#changed) {
      this.#say({ action: 'change', payload, properties: propertiesOf(this.#held, this.#shape) });
    } else {
      this.#say({ action: 'pass' });
    }
  }

  #say(verdict: Pick<HookVerdictCommand, 'action' | 'payload' | 'properties'>): void {
    const { failed, timedOut } = this;
    const { hookId } = this.#held;
    this.#answer({ hookId, ofDelivery: true, timedOut, failed, ...verdict });
  }
}
