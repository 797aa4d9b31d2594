/**
 * Control Packets for people: one line of text and an object for each, of any version and in either
 * direction. What is shown may be cut short, or broken: as much is told as can be read.
 */
import { reasonNames } from '../link/reason-codes.js';
import type { ProtocolVersion } from '../native/events.js';
import { PacketReader } from './packet-reader.js';

export interface PacketToDescribe {
  /** Its beginning. */
  readonly packet: Buffer;
  /** Bytes of the whole packet. */
  readonly packetLength: number;
  readonly protocolVersion: ProtocolVersion;
  readonly direction: 'in' | 'out';
}

export interface PacketDescription {
  readonly type: string;
  /** 'PUBLISH "a/b" QoS 1 id 7, 5 bytes "hello"'. */
  readonly text: string;
  /** The same, for machines: properties by their names, payloads as text or base64. */
  readonly fields: Readonly<Record<string, unknown>>;
}

type Fields = Record<string, unknown>;

const types = [
  'reserved',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'AUTH',
] as const;

const connackV3 = [
  'accepted',
  'unacceptable protocol version',
  'identifier rejected',
  'server unavailable',
  'bad user name or password',
  'not authorized',
];

export function describePacket(given: PacketToDescribe): PacketDescription {
  const { packet, packetLength } = given;
  const first = packet[0];
  const type = types[(first ?? 0) >> 4] ?? 'reserved';
  const fields: Fields = { type, bytes: packetLength };
  if (first === undefined) {
    return { type: 'withheld', text: `a packet of ${packetLength} bytes`, fields };
  }
  const reader = new PacketReader(packet);
  let text: string = type;
  try {
    text += describeBody(type, first, given, reader, fields);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    fields.incomplete = true;
    const why = packet.length < packetLength ? 'the rest is not shown' : 'it is broken';
    text += `, ${packetLength} bytes; ${why}`;
  }
  return { type, text, fields };
}

function describeBody(
  type: (typeof types)[number],
  first: number,
  { packet, packetLength, protocolVersion, direction }: PacketToDescribe,
  reader: PacketReader,
  fields: Fields,
): string {
  const isV5 = protocolVersion === '5.0';
  const remaining = reader.header();
  switch (type) {
    case 'CONNECT':
      return connect(reader, fields);
    case 'CONNACK': {
      fields.sessionPresent = (reader.u8() & 1) === 1;
      const code = reader.u8();
      fields.reasonCode = code;
      if (isV5) fields.properties = reader.properties();
      const name = isV5 ? reasonNames[code] : connackV3[code];
      return ` ${hex(code)} ${name ?? 'unknown'}${fields.sessionPresent ? ', session present' : ''}`;
    }
    case 'PUBLISH':
      return publish(first, packetLength, packet, isV5, reader, fields);
    case 'PUBACK':
    case 'PUBREC':
    case 'PUBREL':
    case 'PUBCOMP': {
      fields.packetId = reader.u16();
      let text = ` id ${fields.packetId}`;
      if (remaining > 2) text += reasonOf(reader, fields);
      if (remaining > 3) fields.properties = reader.properties();
      return text;
    }
    case 'SUBSCRIBE':
    case 'UNSUBSCRIBE': {
      fields.packetId = reader.u16();
      if (isV5) fields.properties = reader.properties();
      const filters: Fields[] = [];
      fields.filters = filters;
      const shown: string[] = [];
      while (reader.more) {
        const filter = reader.string();
        const one: Fields = { filter };
        let text = JSON.stringify(filter);
        if (type === 'SUBSCRIBE') {
          const options = reader.u8();
          one.qos = options & 3;
          if (isV5) {
            one.noLocal = (options & 4) !== 0;
            one.retainAsPublished = (options & 8) !== 0;
            one.retainHandling = (options >> 4) & 3;
          }
          text += ` QoS ${one.qos}`;
        }
        filters.push(one);
        shown.push(text);
      }
      const cut = packet.length < packetLength ? ', …' : '';
      return ` id ${fields.packetId}: ${shown.join(', ')}${cut}`;
    }
    case 'SUBACK':
    case 'UNSUBACK': {
      fields.packetId = reader.u16();
      if (isV5) fields.properties = reader.properties();
      const codes = [...reader.rest()];
      fields.reasonCodes = codes;
      return ` id ${fields.packetId}${codes.length > 0 ? `: ${codes.map(hex).join(' ')}` : ''}`;
    }
    case 'DISCONNECT':
    case 'AUTH': {
      if (remaining === 0) return '';
      const text = reasonOf(reader, fields);
      if (remaining > 1 && type === 'DISCONNECT') fields.properties = reader.properties();
      return text;
    }
    case 'PINGREQ':
    case 'PINGRESP':
      return '';
    case 'reserved':
      return `, ${packetLength} bytes ${direction === 'in' ? 'from' : 'to'} the client`;
  }
}

function connect(reader: PacketReader, fields: Fields): string {
  fields.protocolName = reader.string();
  const level = reader.u8();
  fields.protocolLevel = level & 0x7f;
  if ((level & 0x80) !== 0) fields.bridge = true;
  const flags = reader.u8();
  const isV5 = (level & 0x7f) === 5;
  fields.cleanStart = (flags & 2) !== 0;
  fields.keepAlive = reader.u16();
  if (isV5) fields.properties = reader.properties();
  const clientId = reader.string();
  fields.clientId = clientId;
  let text = ` level ${fields.protocolLevel}, client ${JSON.stringify(clientId)}`;
  if (fields.cleanStart === true) text += ', clean start';
  text += `, keep alive ${fields.keepAlive} s`;
  if ((flags & 4) !== 0) {
    const properties = isV5 ? reader.properties() : undefined;
    const topic = reader.string();
    const payload = reader.binary();
    fields.will = {
      topic,
      payload: payloadField(payload, false),
      qos: (flags >> 3) & 3,
      retain: (flags & 32) !== 0,
      ...(properties === undefined ? {} : { properties }),
    };
    text += `, Will ${JSON.stringify(topic)}`;
  }
  if ((flags & 128) !== 0) {
    fields.username = reader.string();
    text += `, user ${JSON.stringify(fields.username)}`;
  }
  // Blanked by the native half; how long it is concerns nobody either.
  fields.hasPassword = (flags & 64) !== 0;
  if (fields.hasPassword === true) text += ' with a password';
  return text;
}

function publish(
  first: number,
  packetLength: number,
  packet: Buffer,
  isV5: boolean,
  reader: PacketReader,
  fields: Fields,
): string {
  const qos = (first >> 1) & 3;
  fields.topic = reader.string();
  fields.qos = qos;
  let text = ` ${JSON.stringify(fields.topic)} QoS ${qos}`;
  if (qos > 0) {
    fields.packetId = reader.u16();
    text += ` id ${fields.packetId}`;
  }
  fields.retain = (first & 1) !== 0;
  fields.dup = (first & 8) !== 0;
  if (fields.retain === true) text += ' retain';
  if (fields.dup === true) text += ' dup';
  if (isV5) {
    const properties = reader.properties();
    fields.properties = properties;
    if (properties.topicAlias !== undefined) text += ` alias ${properties.topicAlias}`;
  }
  const shown = reader.rest();
  const payloadBytes = shown.length + packetLength - packet.length;
  fields.payloadBytes = payloadBytes;
  fields.payload = payloadField(shown, shown.length < payloadBytes);
  text += `, ${payloadBytes} bytes`;
  if (payloadBytes > 0 && shown.length > 0) text += ` ${preview(shown, payloadBytes)}`;
  return text;
}

function reasonOf(reader: PacketReader, fields: Fields): string {
  const code = reader.u8();
  fields.reasonCode = code;
  return ` ${hex(code)} ${reasonNames[code] ?? 'unknown'}`;
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}

/** undefined: it is no text. A cut may go through a character, which is let go then. */
function textOf(bytes: Buffer, isCut: boolean): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    return /[\u0000-\u0008\u000e-\u001f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function payloadField(bytes: Buffer, isCut: boolean): string | { base64: string } {
  return textOf(bytes, isCut) ?? { base64: bytes.toString('base64') };
}

const kPreviewBytes = 80;
function preview(shown: Buffer, payloadBytes: number): string {
  const part = shown.subarray(0, kPreviewBytes);
  const isCut = part.length < payloadBytes;
  const text = textOf(part, isCut);
  return (text === undefined ? part.toString('hex') : JSON.stringify(text)) + (isCut ? '…' : '');
}
