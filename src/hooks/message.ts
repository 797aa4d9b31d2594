/** A message that waits for hooks, read from its record; and what a chain of hooks has made of it. */

import { readProperties } from '../link/decode.js';
import { encodeMessageProperties } from '../link/encode.js';
import type { MessageProperties, Qos } from '../link/packets.js';
import { type DeliverHook, HookFlag, kNoExpiry, PublishHook } from '../native/contract.js';
import { type ProtocolVersion, versions } from '../native/events.js';
import type { DeviceTopics, ShownTopic } from './device-topics.js';
import type { HookMessage } from './types.js';

/** A copy of the values of a publish_hook record, or of a deliver_hook, which has one string more; its texts are decoded when they are asked for. */
export class Held {
  readonly hookId: bigint;
  readonly connectionId: bigint;
  readonly instance: number;
  /** In its internal form. */
  readonly innerTopic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly isLink: boolean;
  readonly isWill: boolean;
  readonly listenerId: number;
  readonly expiry: number | undefined;
  readonly protocolVersion: ProtocolVersion | undefined;
  /** The record's byte strings, and where each begins. */
  readonly #strings: Buffer;
  readonly #starts: number[] = [];
  readonly #devices: DeviceTopics;
  readonly #shown: ShownTopic;

  constructor(
    buffer: Buffer,
    at: number,
    devices: DeviceTopics,
    record: typeof PublishHook | typeof DeliverHook = PublishHook,
  ) {
    const l = record.at;
    this.hookId = buffer.readBigUInt64LE(at + l.hook_id);
    this.connectionId = buffer.readBigUInt64LE(at + l.connection_id);
    this.instance = buffer.readUInt32LE(at + l.instance);
    this.listenerId = buffer.readUInt32LE(at + l.listener_id);
    const expiry = buffer.readUInt32LE(at + l.expiry_s);
    this.expiry = expiry === kNoExpiry ? undefined : expiry;
    this.qos = buffer.readUInt8(at + l.qos) as Qos;
    this.retain = buffer.readUInt8(at + l.retain) !== 0;
    const flags = buffer.readUInt8(at + l.flags);
    this.isLink = (flags & HookFlag.is_link) !== 0;
    this.isWill = (flags & HookFlag.is_will) !== 0;
    this.protocolVersion = versions[buffer.readUInt8(at + l.protocol_level)];
    let bytes = 0;
    for (const lengthAt of lengthsOf(record)) {
      this.#starts.push(bytes);
      bytes += buffer.readUInt32LE(at + lengthAt);
    }
    this.#starts.push(bytes);
    const start = at + record.bytes;
    this.#strings = Buffer.from(buffer.subarray(start, start + bytes));
    this.innerTopic = this.#text(4);
    this.#devices = devices;
    this.#shown = devices.show(this.innerTopic);
  }

  /** As hooks see it. */
  get topic(): string {
    return this.#shown.topic;
  }
  /** What a hook calls `topic`, in its internal form; undefined: it can be nobody's. */
  enter(topic: string): string | undefined {
    if (topic === this.topic) return this.innerTopic;
    return this.#devices.enter(topic, this.deviceId);
  }

  get clientId(): string {
    return this.#text(0);
  }
  get username(): string | undefined {
    return this.#text(1) || undefined;
  }
  get tenant(): string | undefined {
    return this.#text(2) || undefined;
  }
  get deviceId(): string | undefined {
    return this.#shown.deviceId ?? (this.#text(3) || undefined);
  }
  get encodedProperties(): Buffer {
    return this.#part(5);
  }
  get payload(): Buffer {
    return this.#part(6);
  }
  /** Of a deliver_hook. */
  get encodedPublisher(): Buffer {
    return this.#part(7);
  }
  get reserves(): boolean {
    return this.#devices.reservesPublisher;
  }

  #part(index: number): Buffer {
    return this.#strings.subarray(this.#starts[index], this.#starts[index + 1]);
  }
  #text(index: number): string {
    return this.#strings.toString('utf8', this.#starts[index], this.#starts[index + 1]);
  }
}

function lengthsOf({ at: l }: typeof PublishHook | typeof DeliverHook): readonly number[] {
  return [
    l.client_id_bytes,
    l.username_bytes,
    l.tenant_bytes,
    l.device_id_bytes,
    l.topic_bytes,
    l.properties_bytes,
    l.payload_bytes,
    ...('publisher_bytes' in l ? [l.publisher_bytes] : []),
  ];
}

/** What a message is by now. Immutable: hooks may keep it. */
export interface Shape {
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly payload: Buffer;
  /** undefined = as they came. */
  readonly properties?: Omit<MessageProperties, 'messageExpiryInterval'>;
}

export class ShownMessage implements HookMessage {
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
  get isWill(): boolean {
    return this.#held.isWill;
  }
  get protocolVersion(): ProtocolVersion | undefined {
    return this.#held.protocolVersion;
  }
}

export function firstShape(held: Held): Shape {
  return { topic: held.topic, qos: held.qos, retain: held.retain, payload: held.payload };
}

export function shownProperties(held: Held, { properties }: Shape): MessageProperties {
  const { expiry } = held;
  return {
    ...(properties ?? readProperties(held.encodedProperties)),
    ...(expiry === undefined ? {} : { messageExpiryInterval: expiry }),
  };
}

/** Of a message that was changed. */
export function propertiesOf(held: Held, { properties }: Shape): Buffer {
  if (properties === undefined) return held.encodedProperties;
  const { messageExpiryInterval: _, ...rest } = properties as MessageProperties;
  return encodeMessageProperties(rest);
}
