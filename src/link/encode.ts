/**
 * MQTT 5.0 Control Packets that a client sends, as bytes. PUBLISH and its acknowledgements are
 * written in place, at an offset in a buffer that has room; the rare packets come as a Buffer.
 */
import {
  type ConnectPacket,
  type MessageProperties,
  PacketType,
  type SubscribePacket,
  type UserProperties,
} from './packets.js';

const kEmpty = Buffer.alloc(0);

/** Bytes of a Variable Byte Integer (1.5.5). */
export function varintBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/** Writes a Variable Byte Integer; returns the offset behind it. */
export function writeVarint(buffer: Buffer, at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest > 127) {
    buffer[to++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  buffer[to++] = rest;
  return to;
}

/** A UTF-8 Encoded String with its length (1.5.4). */
export function encodeString(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  const out = Buffer.allocUnsafeSlow(bytes + 2);
  out.writeUInt16BE(bytes, 0);
  out.write(text, 2);
  return out;
}

export interface PublishParts {
  /** encodeString of the Topic Name. */
  readonly topic: Buffer;
  /** Properties without their length; empty = none. */
  readonly properties: Buffer;
  readonly payload: string | Uint8Array;
  readonly payloadBytes: number;
  /** Flags of the fixed header: DUP 8, QoS 2 and 4, RETAIN 1. */
  readonly flags: number;
  /** Meaningful with QoS 1 and 2. */
  packetId: number;
}

/** Remaining Length of a PUBLISH. */
export function publishRemaining(parts: PublishParts): number {
  const properties = parts.properties.length;
  return (
    parts.topic.length +
    ((parts.flags & 6) === 0 ? 0 : 2) +
    varintBytes(properties) +
    properties +
    parts.payloadBytes
  );
}

/** Writes a whole PUBLISH of this Remaining Length; the buffer has room for it. */
export function writePublish(
  buffer: Buffer,
  at: number,
  remaining: number,
  parts: PublishParts,
): void {
  const { topic, properties, payload, flags } = parts;
  buffer[at] = (PacketType.publish << 4) | flags;
  let to = writeVarint(buffer, at + 1, remaining);
  to += topic.copy(buffer, to);
  if ((flags & 6) !== 0) {
    buffer[to++] = parts.packetId >> 8;
    buffer[to++] = parts.packetId & 255;
  }
  to = writeVarint(buffer, to, properties.length);
  if (properties.length > 0) to += properties.copy(buffer, to);
  if (typeof payload === 'string') buffer.write(payload, to, parts.payloadBytes);
  else buffer.set(payload, to);
}

/** Bytes of a PUBACK, PUBREC, PUBREL or PUBCOMP with Reason Code 0: the short form (3.4.2.1). */
export const kAcknowledgementBytes = 4;

export function writeAcknowledgement(
  buffer: Buffer,
  at: number,
  type: number,
  packetId: number,
): void {
  // PUBREL's reserved flags are 0010 [MQTT-3.6.1-1].
  buffer[at] = (type << 4) | (type === PacketType.pubrel ? 2 : 0);
  buffer[at + 1] = 2;
  buffer[at + 2] = packetId >> 8;
  buffer[at + 3] = packetId & 255;
}

export function encodeConnect(packet: ConnectPacket): Buffer {
  const { will, username } = packet;
  const out = new Writer();
  out.string('MQTT');
  out.u8(5);
  const willFlags =
    will === undefined ? 0 : 4 | ((will.qos ?? 0) << 3) | (will.retain === true ? 32 : 0);
  out.u8((packet.cleanStart ? 2 : 0) | willFlags | (username === undefined ? 0 : 128));
  out.u16(packet.keepAlive);
  const properties = new Writer();
  if (packet.sessionExpiryInterval !== 0) {
    properties.u8(0x11);
    properties.u32(packet.sessionExpiryInterval);
  }
  if (packet.receiveMaximum !== 65_535) {
    properties.u8(0x21);
    properties.u16(packet.receiveMaximum);
  }
  if (packet.topicAliasMaximum !== 0) {
    properties.u8(0x22);
    properties.u16(packet.topicAliasMaximum);
  }
  out.block(properties);
  out.string(packet.clientId);
  if (will !== undefined) {
    const willProperties = new Writer();
    if (will.delay !== undefined && will.delay !== 0) {
      willProperties.u8(0x18);
      willProperties.u32(will.delay);
    }
    willProperties.raw(encodeMessageProperties(will.properties));
    out.block(willProperties);
    out.string(will.topic);
    out.binary(typeof will.payload === 'string' ? Buffer.from(will.payload) : will.payload);
  }
  if (username !== undefined) out.string(username);
  return framed(PacketType.connect << 4, out);
}

export function encodeSubscribe(packet: SubscribePacket): Buffer {
  const out = new Writer();
  out.u16(packet.packetId);
  const properties = new Writer();
  if (packet.subscriptionId !== 0) {
    properties.u8(0x0b);
    properties.varint(packet.subscriptionId);
  }
  out.block(properties);
  out.string(packet.filter);
  out.u8(
    packet.qos |
      (packet.noLocal ? 4 : 0) |
      (packet.retainAsPublished ? 8 : 0) |
      (packet.retainHandling << 4),
  );
  return framed((PacketType.subscribe << 4) | 2, out);
}

export function encodeUnsubscribe(packetId: number, filter: string): Buffer {
  const out = new Writer();
  out.u16(packetId);
  out.u8(0);
  out.string(filter);
  return framed((PacketType.unsubscribe << 4) | 2, out);
}

export function encodeDisconnect(reasonCode: number): Buffer {
  return reasonCode === 0 ? Buffer.from([0xe0, 0]) : Buffer.from([0xe0, 1, reasonCode]);
}

/** Properties of an Application Message, without their length. */
export function encodeMessageProperties(given: MessageProperties | undefined): Buffer {
  if (given === undefined) return kEmpty;
  const out = new Writer();
  if (given.payloadFormatIndicator !== undefined) {
    out.u8(0x01);
    out.u8(given.payloadFormatIndicator);
  }
  if (given.messageExpiryInterval !== undefined) {
    out.u8(0x02);
    out.u32(given.messageExpiryInterval);
  }
  if (given.contentType !== undefined) {
    out.u8(0x03);
    out.string(given.contentType);
  }
  if (given.responseTopic !== undefined) {
    out.u8(0x08);
    out.string(given.responseTopic);
  }
  if (given.correlationData !== undefined) {
    out.u8(0x09);
    out.binary(given.correlationData);
  }
  writeUserProperties(out, given.userProperties);
  return out.done();
}

function writeUserProperties(out: Writer, pairs: UserProperties | undefined): void {
  for (const [name, value] of pairs ?? []) {
    out.u8(0x26);
    out.string(name);
    out.string(value);
  }
}

function framed(first: number, body: Writer): Buffer {
  const bytes = body.done();
  const packet = Buffer.allocUnsafeSlow(1 + varintBytes(bytes.length) + bytes.length);
  packet[0] = first;
  bytes.copy(packet, writeVarint(packet, 1, bytes.length));
  return packet;
}

/** Bytes that grow: for packets that are sent once. */
class Writer {
  #buffer = Buffer.allocUnsafe(64);
  #used = 0;

  done(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }
  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#used++] = value;
  }
  u16(value: number): void {
    this.#reserve(2);
    this.#used = this.#buffer.writeUInt16BE(value, this.#used);
  }
  u32(value: number): void {
    this.#reserve(4);
    this.#used = this.#buffer.writeUInt32BE(value, this.#used);
  }
  varint(value: number): void {
    this.#reserve(4);
    this.#used = writeVarint(this.#buffer, this.#used, value);
  }
  string(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.u16(bytes);
    this.#reserve(bytes);
    this.#used += this.#buffer.write(text, this.#used);
  }
  binary(bytes: Uint8Array): void {
    this.u16(bytes.length);
    this.raw(bytes);
  }
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }
  /** Properties with their length. */
  block(properties: Writer): void {
    const bytes = properties.done();
    this.varint(bytes.length);
    this.raw(bytes);
  }
  #reserve(bytes: number): void {
    const wanted = this.#used + bytes;
    if (wanted <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#used);
    this.#buffer = grown;
  }
}
