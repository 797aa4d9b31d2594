/**
 * MQTT 5.0 Control Packets that a client receives, from bytes. The bytes come from our own native
 * half, so what is checked is that nothing is read beyond the packet; anything else that is wrong
 * is a defect and throws ST_LINK_PROTOCOL.
 */
import { fail } from '../errors.js';
import type { Publisher } from './message.js';
import type {
  Acknowledgement,
  Connack,
  Properties,
  ReasonPacket,
  SubscriptionAcknowledgement,
} from './packets.js';

export const kNoProperties: Properties = Object.freeze({});

/** One packet within a buffer. */
export interface Frame {
  /** First byte: packet type and flags. */
  first: number;
  /** Where what follows the fixed header starts. */
  body: number;
  /** Where the next packet starts. */
  end: number;
}

/** Reads the fixed header at `at` into `frame`. */
export function readFrame(buffer: Buffer, at: number, limit: number, frame: Frame): void {
  let remaining = 0;
  let to = at + 1;
  for (let shift = 0; ; shift += 7) {
    if (to >= limit || shift > 21) throw broken('a fixed header is cut off');
    const byte = buffer[to++] as number;
    remaining |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  frame.first = buffer[at] as number;
  frame.body = to;
  frame.end = to + remaining;
  if (frame.end > limit) throw broken('a packet is cut off');
}

/** What properties say, the publisher's own and those about him. */
export interface Told {
  readonly properties: Properties;
  readonly publisher: Publisher;
}

/** Reads properties without their length, at least one. */
export interface PropertySource {
  read(buffer: Buffer, start: number, end: number): Told;
}

export interface PublishHead {
  topic: string;
  packetId: number;
  /** Undefined: there are no properties. */
  told: Told | undefined;
  /** Where the payload starts. */
  payload: number;
}

/** Topic Names by their bytes, and by Topic Alias: most messages repeat a topic. */
export class TopicReader {
  readonly #aliases: string[] = [];
  readonly #bytes: (Buffer | undefined)[] = new Array<Buffer | undefined>(256).fill(undefined);
  readonly #texts: string[] = new Array<string>(256).fill('');

  /** The text of these bytes; the same ones give the same string object while they are cached. */
  text(buffer: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > 128) return buffer.toString('utf8', start, end);
    let hash = length;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (buffer[at] as number)) | 0;
    const slot = (hash ^ (hash >>> 8)) & 255;
    const known = this.#bytes[slot];
    if (known?.length === length) {
      let at = 0;
      while (at < length && known[at] === buffer[start + at]) at++;
      if (at === length) return this.#texts[slot] as string;
    }
    const text = buffer.toString('utf8', start, end);
    this.#bytes[slot] = Buffer.from(buffer.subarray(start, end));
    this.#texts[slot] = text;
    return text;
  }

  /** [MQTT-3.3.2-8]: an alias with a topic sets it, one without a topic uses it. */
  resolve(topic: string, alias: number): string {
    if (topic !== '') {
      this.#aliases[alias] = topic;
      return topic;
    }
    const known = this.#aliases[alias];
    if (known === undefined) throw broken(`Topic Alias ${alias} was never set`);
    return known;
  }
}

/** Reads a PUBLISH up to its payload into `head`. */
export function readPublish(
  buffer: Buffer,
  frame: Frame,
  topics: TopicReader,
  source: PropertySource,
  head: PublishHead,
): void {
  const { body, end } = frame;
  if (end - body < 3) throw broken('a PUBLISH is cut off');
  const topicEnd = body + 2 + (((buffer[body] as number) << 8) | (buffer[body + 1] as number));
  let at = topicEnd;
  head.packetId = 0;
  if ((frame.first & 6) !== 0) {
    if (at + 2 > end) throw broken('a PUBLISH is cut off');
    head.packetId = ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
    at += 2;
  }
  if (at >= end) throw broken('a PUBLISH is cut off');
  const topic = topicEnd === body + 2 ? '' : topics.text(buffer, body + 2, topicEnd);
  let bytes = buffer[at] as number;
  if (bytes < 128) {
    at++;
  } else {
    const reader = new Reader(buffer, at, end);
    bytes = reader.varint();
    at = reader.at;
  }
  head.payload = at + bytes;
  if (head.payload > end) throw broken('properties are cut off');
  head.told = bytes === 0 ? undefined : source.read(buffer, at, head.payload);
  const alias = head.told?.properties.topicAlias;
  head.topic = alias === undefined ? topic : topics.resolve(topic, alias);
  if (head.topic === '') throw broken('a PUBLISH has no topic');
}

/** All the properties that `buffer` consists of, without their length. */
export function readProperties(buffer: Buffer): Properties {
  return buffer.length === 0
    ? kNoProperties
    : new Reader(buffer, 0, buffer.length).propertiesTo(buffer.length);
}

export function readConnack(buffer: Buffer, { body, end }: Frame): Connack {
  const reader = new Reader(buffer, body, end);
  const sessionPresent = (reader.u8() & 1) === 1;
  return { sessionPresent, reasonCode: reader.u8(), properties: reader.properties() };
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP; the short forms mean Reason Code 0 and no properties (3.4.2). */
export function readAcknowledgement(buffer: Buffer, { body, end }: Frame): Acknowledgement {
  if (end - body === 2) {
    const packetId = ((buffer[body] as number) << 8) | (buffer[body + 1] as number);
    return { packetId, reasonCode: 0, properties: kNoProperties };
  }
  const reader = new Reader(buffer, body, end);
  const packetId = reader.u16();
  const reasonCode = reader.at < end ? reader.u8() : 0;
  return {
    packetId,
    reasonCode,
    properties: reader.at < end ? reader.properties() : kNoProperties,
  };
}

/** SUBACK, UNSUBACK. */
export function readSubscriptionAcknowledgement(
  buffer: Buffer,
  { body, end }: Frame,
): SubscriptionAcknowledgement {
  const reader = new Reader(buffer, body, end);
  const packetId = reader.u16();
  const properties = reader.properties();
  return { packetId, reasonCodes: [...buffer.subarray(reader.at, end)], properties };
}

/** DISCONNECT, AUTH; an empty one means Reason Code 0 (3.14.2.1). */
export function readReason(buffer: Buffer, { body, end }: Frame): ReasonPacket {
  const reader = new Reader(buffer, body, end);
  const reasonCode = reader.at < end ? reader.u8() : 0;
  return { reasonCode, properties: reader.at < end ? reader.properties() : kNoProperties };
}

class Reader {
  at: number;
  readonly #buffer: Buffer;
  #end: number;

  constructor(buffer: Buffer, at: number, end: number) {
    this.#buffer = buffer;
    this.at = at;
    this.#end = end;
  }

  u8(): number {
    return this.#buffer[this.#take(1)] as number;
  }
  u16(): number {
    return this.#buffer.readUInt16BE(this.#take(2));
  }
  u32(): number {
    return this.#buffer.readUInt32BE(this.#take(4));
  }
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw broken('a Variable Byte Integer is too long');
  }
  string(): string {
    const bytes = this.u16();
    const start = this.#take(bytes);
    return this.#buffer.toString('utf8', start, start + bytes);
  }
  /** A copy: the buffer is used again. */
  binary(): Buffer {
    const bytes = this.u16();
    const start = this.#take(bytes);
    return Buffer.from(this.#buffer.subarray(start, start + bytes));
  }

  /** Properties with their length (2.2.2). */
  properties(): Properties {
    const bytes = this.varint();
    if (bytes === 0) return kNoProperties;
    const end = this.at + bytes;
    if (end > this.#end) throw broken('properties are cut off');
    const outer = this.#end;
    this.#end = end;
    const found = this.propertiesTo(end);
    this.#end = outer;
    return found;
  }

  propertiesTo(end: number): Properties {
    const found: Writable<Properties> = {};
    while (this.at < end) this.#property(found);
    return found;
  }

  #property(into: Writable<Properties>): void {
    const id = this.varint();
    switch (id) {
      case 0x01:
        into.payloadFormatIndicator = this.u8() === 0 ? 0 : 1;
        return;
      case 0x02:
        into.messageExpiryInterval = this.u32();
        return;
      case 0x03:
        into.contentType = this.string();
        return;
      case 0x08:
        into.responseTopic = this.string();
        return;
      case 0x09:
        into.correlationData = this.binary();
        return;
      case 0x0b:
        // Several where overlapping subscriptions matched (3.3.2.3.8).
        into.subscriptionIdentifiers = [...(into.subscriptionIdentifiers ?? []), this.varint()];
        return;
      case 0x11:
        into.sessionExpiryInterval = this.u32();
        return;
      case 0x12:
        into.assignedClientIdentifier = this.string();
        return;
      case 0x13:
        into.serverKeepAlive = this.u16();
        return;
      case 0x15:
        into.authenticationMethod = this.string();
        return;
      case 0x16:
        into.authenticationData = this.binary();
        return;
      case 0x1a:
        into.responseInformation = this.string();
        return;
      case 0x1c:
        into.serverReference = this.string();
        return;
      case 0x1f:
        into.reasonString = this.string();
        return;
      case 0x21:
        into.receiveMaximum = this.u16();
        return;
      case 0x22:
        into.topicAliasMaximum = this.u16();
        return;
      case 0x23:
        into.topicAlias = this.u16();
        return;
      case 0x24:
        into.maximumQos = this.u8();
        return;
      case 0x25:
        into.retainAvailable = this.u8();
        return;
      case 0x26:
        into.userProperties = [...(into.userProperties ?? []), [this.string(), this.string()]];
        return;
      case 0x27:
        into.maximumPacketSize = this.u32();
        return;
      case 0x28:
        into.wildcardSubscriptionAvailable = this.u8();
        return;
      case 0x29:
        into.subscriptionIdentifierAvailable = this.u8();
        return;
      case 0x2a:
        into.sharedSubscriptionAvailable = this.u8();
        return;
      default:
        throw broken(`property 0x${id.toString(16)} is unknown`);
    }
  }

  #take(bytes: number): number {
    const start = this.at;
    if (start + bytes > this.#end) throw broken('a packet is cut off');
    this.at = start + bytes;
    return start;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function broken(why: string): Error {
  return fail('ST_LINK_PROTOCOL', { why });
}
