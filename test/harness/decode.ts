// Bytes to packet, strictly: whatever the standard forbids is a DecodeError with the code it deserves.
import { DecodeError, malformed, protocolError, Reader } from './bytes.js';
import {
  type ConnectPacket,
  type Direction,
  PACKET_TYPES,
  type Packet,
  type PacketType,
  type Properties,
  type QoS,
  type Subscription,
  type Version,
} from './packets.js';
import { decodeProperties, type PropertyPlace } from './properties.js';
import { isValidTopicFilter, isValidTopicName } from './topics.js';

const CODES: Partial<Record<PacketType, { c2s?: readonly number[]; s2c?: readonly number[] }>> = {
  CONNACK: {
    s2c: [
      0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95,
      0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
    ],
  },
  SUBACK: { s2c: [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2] },
  UNSUBACK: { s2c: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91] },
  DISCONNECT: {
    c2s: [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
    s2c: [
      0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
      0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
    ],
  },
  AUTH: { c2s: [0x18, 0x19], s2c: [0x00, 0x18] },
};
const PUBLISH_CODES = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASE_CODES = [0x00, 0x92];
const ACK_CODES = {
  PUBACK: PUBLISH_CODES,
  PUBREC: PUBLISH_CODES,
  PUBREL: RELEASE_CODES,
  PUBCOMP: RELEASE_CODES,
};
const FROM_SERVER: readonly PacketType[] = ['CONNACK', 'SUBACK', 'UNSUBACK', 'PINGRESP'];
const FROM_CLIENT: readonly PacketType[] = ['CONNECT', 'SUBSCRIBE', 'UNSUBSCRIBE', 'PINGREQ'];

/** Bytes of the packet at the head of `bytes`, or undefined when not all of it is there. */
export function frameSize(bytes: Buffer): number | undefined {
  for (let i = 1; i < Math.min(bytes.length, 5); i++) {
    if (((bytes[i] ?? 0) & 0x80) === 0) {
      const size = 1 + i + new Reader(bytes.subarray(1)).varint('Remaining Length');
      return bytes.length < size ? undefined : size;
    }
  }
  if (bytes.length >= 5) throw malformed('Remaining Length: longer than four bytes');
  return undefined;
}

/** Exactly one packet. Codes are those of 5.0; in 3.x they collapse to 0 (close) and 1 (bad level). */
export function decode(bytes: Buffer, version: Version, direction: Direction): Packet {
  try {
    return new Decoder(version, direction).decode(bytes);
  } catch (error) {
    if (!(error instanceof DecodeError) || version === '5.0') throw error;
    const level = error.reason === 0x84 && error.message.startsWith('level');
    throw new DecodeError(level ? 1 : 0, error.message);
  }
}

class Decoder {
  readonly #version: Version;
  readonly #direction: Direction;
  readonly #v5: boolean;

  constructor(version: Version, direction: Direction) {
    this.#version = version;
    this.#direction = direction;
    this.#v5 = version === '5.0';
  }

  decode(bytes: Buffer): Packet {
    const first = bytes.readUInt8(0);
    const type = PACKET_TYPES[first >> 4];
    if (type === undefined) throw malformed('packet type 0');
    if (type === 'AUTH' && !this.#v5) throw malformed('AUTH before 5.0');
    if (frameSize(bytes) !== bytes.length) throw malformed(`${type}: cut off or too long`);
    this.#checkFlags(type, first & 0x0f);
    const wrongWay = this.#direction === 'c2s' ? FROM_SERVER : FROM_CLIENT;
    if (wrongWay.includes(type)) throw protocolError(`${type} in this direction`);
    const body = new Reader(bytes.subarray(1));
    body.varint('Remaining Length');
    const packet = this.#body(type, first & 0x0f, body);
    if (body.left > 0) throw malformed(`${type}: ${body.left} bytes behind the end`);
    return packet;
  }

  #checkFlags(type: PacketType, flags: number): void {
    if (type === 'PUBLISH') return;
    const wanted = type === 'PUBREL' || type === 'SUBSCRIBE' || type === 'UNSUBSCRIBE' ? 2 : 0;
    // MQTT 3.1 knows DUP on these three, and calls the flags of the others unused.
    if (this.#version === '3.1' && (flags === (wanted | 8) || wanted === 0)) return;
    if (flags !== wanted) throw malformed(`${type}: fixed header flags ${flags}`);
  }

  #properties(reader: Reader, place: PropertyPlace): Properties {
    return this.#v5 ? decodeProperties(reader, place, this.#direction) : {};
  }

  #packetId(reader: Reader): number {
    const id = reader.u16('Packet Identifier');
    if (id === 0) throw protocolError('Packet Identifier 0');
    return id;
  }

  #reason(type: PacketType, code: number): number {
    const allowed = CODES[type]?.[this.#direction];
    if (this.#v5 && allowed !== undefined && !allowed.includes(code))
      throw protocolError(`${type}: Reason Code 0x${code.toString(16)}`);
    return code;
  }

  #body(type: PacketType, flags: number, body: Reader): Packet {
    switch (type) {
      case 'CONNECT':
        return this.#connect(body);
      case 'CONNACK': {
        const acknowledge = body.u8('acknowledge flags');
        if (acknowledge > 1) throw malformed('CONNACK: reserved acknowledge flags');
        const reasonCode = this.#reason(type, body.u8('Reason Code'));
        if (!this.#v5 && reasonCode > 5) throw protocolError(`CONNACK: code ${reasonCode}`);
        const properties = this.#properties(body, type);
        return { type, sessionPresent: acknowledge === 1, reasonCode, properties };
      }
      case 'PUBLISH':
        return this.#publish(flags, body);
      case 'PUBACK':
      case 'PUBREC':
      case 'PUBREL':
      case 'PUBCOMP': {
        const packetId = this.#packetId(body);
        const end = this.#end(body, type);
        if (!ACK_CODES[type].includes(end.reasonCode))
          throw protocolError(`${type}: Reason Code 0x${end.reasonCode.toString(16)}`);
        return { type, packetId, ...end };
      }
      case 'SUBSCRIBE': {
        const packetId = this.#packetId(body);
        const properties = this.#properties(body, type);
        if (body.left === 0) throw protocolError('SUBSCRIBE: no Topic Filter');
        const subscriptions: Subscription[] = [];
        while (body.left > 0) subscriptions.push(this.#subscription(body));
        return { type, packetId, subscriptions, properties };
      }
      case 'UNSUBSCRIBE': {
        const packetId = this.#packetId(body);
        const properties = this.#properties(body, type);
        if (body.left === 0) throw protocolError('UNSUBSCRIBE: no Topic Filter');
        const filters: string[] = [];
        while (body.left > 0) filters.push(this.#filter(body));
        return { type, packetId, filters, properties };
      }
      case 'SUBACK':
      case 'UNSUBACK': {
        const packetId = this.#packetId(body);
        const properties = this.#properties(body, type);
        if (type === 'UNSUBACK' && !this.#v5)
          return { type, packetId, reasonCodes: [], properties };
        const reasonCodes = [...body.rest()];
        if (reasonCodes.length === 0) throw protocolError(`${type}: no Reason Code`);
        for (const code of reasonCodes) {
          if (!this.#v5 && ![0, 1, 2, 0x80].includes(code)) throw protocolError(`SUBACK: ${code}`);
          this.#reason(type, code);
        }
        return { type, packetId, reasonCodes, properties };
      }
      case 'PINGREQ':
      case 'PINGRESP':
        return { type };
      case 'DISCONNECT':
      case 'AUTH': {
        const end = this.#end(body, type);
        if (type === 'AUTH' && end.reasonCode !== 0 && !end.properties.authenticationMethod)
          throw protocolError('AUTH without an Authentication Method');
        // An empty AUTH or DISCONNECT means code 0, which only one side may send.
        return { type, reasonCode: this.#reason(type, end.reasonCode), properties: end.properties };
      }
    }
  }

  #end(body: Reader, type: PacketType): { reasonCode: number; properties: Properties } {
    if (!this.#v5) return { reasonCode: 0, properties: {} };
    const reasonCode = body.left > 0 ? body.u8('Reason Code') : 0;
    return { reasonCode, properties: body.left > 0 ? this.#properties(body, type) : {} };
  }

  #connect(body: Reader): ConnectPacket {
    const protocolName = body.string('protocol name');
    const level = body.u8('protocol level');
    const bridge = (level & 0x80) !== 0;
    const protocolLevel = level & 0x7f;
    const name = this.#version === '3.1' ? 'MQIsdp' : 'MQTT';
    if (protocolName !== name) throw new DecodeError(0x84, `protocol name ${protocolName}`);
    if (protocolLevel !== { '3.1': 3, '3.1.1': 4, '5.0': 5 }[this.#version])
      throw new DecodeError(0x84, `level ${protocolLevel}`);
    const flags = body.u8('connect flags');
    const keepAlive = body.u16('Keep Alive');
    const willFlag = (flags & 0x04) !== 0;
    const qos = (flags >> 3) & 3;
    // MQTT 3.1 disregards the bits that it does not use, and will options without a will.
    const v31 = this.#version === '3.1';
    if (!v31 && (flags & 1) !== 0) throw malformed('CONNECT: reserved flag');
    if (qos === 3) throw malformed('CONNECT: Will QoS 3');
    if (!v31 && !willFlag && (flags & 0x38) !== 0)
      throw malformed('CONNECT: will options without a will');
    if (!this.#v5 && (flags & 0xc0) === 0x40)
      throw malformed('CONNECT: a password without a user name');
    const properties = this.#properties(body, 'CONNECT');
    if (properties.authenticationData !== undefined && !properties.authenticationMethod)
      throw protocolError('CONNECT: Authentication Data without Method');
    const packet: ConnectPacket = {
      type: 'CONNECT',
      protocolName,
      protocolLevel,
      bridge,
      cleanStart: (flags & 2) !== 0,
      keepAlive,
      clientId: body.string('Client Identifier'),
      properties,
    };
    if (willFlag) {
      const willProperties = this.#properties(body, 'WILL');
      checkResponseTopic(willProperties);
      const topic = body.string('Will Topic');
      const payload = body.binary('Will Payload');
      if (!isValidTopicName(topic)) throw new DecodeError(0x90, `Will Topic ${topic}`);
      const retain = (flags & 0x20) !== 0;
      packet.will = { topic, payload, qos: qos as QoS, retain, properties: willProperties };
    }
    // In MQTT 3.1 the Remaining Length takes precedence over these flags: a field may be missing.
    const there = () => !v31 || body.left > 0;
    if ((flags & 0x80) !== 0 && there()) packet.username = body.string('User Name');
    if ((flags & 0x40) !== 0 && there()) packet.password = body.binary('Password');
    return packet;
  }

  #publish(flags: number, body: Reader): Packet {
    const qos = (flags >> 1) & 3;
    const dup = (flags & 8) !== 0;
    if (qos === 3) throw malformed('PUBLISH: QoS 3');
    if (dup && qos === 0) throw malformed('PUBLISH: DUP with QoS 0');
    const topic = body.string('Topic Name');
    const packetId = qos === 0 ? undefined : this.#packetId(body);
    const properties = this.#properties(body, 'PUBLISH');
    checkResponseTopic(properties);
    if (properties.topicAlias === 0) throw new DecodeError(0x94, 'PUBLISH: Topic Alias 0');
    if (topic === '' && properties.topicAlias === undefined)
      throw protocolError('PUBLISH: empty Topic Name without a Topic Alias');
    if (topic !== '' && !isValidTopicName(topic))
      throw new DecodeError(0x90, `PUBLISH: Topic Name ${topic}`);
    return {
      type: 'PUBLISH',
      topic,
      payload: body.rest(),
      qos: qos as QoS,
      retain: (flags & 1) !== 0,
      dup,
      ...(packetId === undefined ? {} : { packetId }),
      properties,
    };
  }

  #filter(body: Reader): string {
    const filter = body.string('Topic Filter');
    if (!isValidTopicFilter(filter, this.#v5))
      throw new DecodeError(0x8f, `Topic Filter ${filter}`);
    return filter;
  }

  #subscription(body: Reader): Subscription {
    const filter = this.#filter(body);
    const options = body.u8('Subscription Options');
    if ((options & (this.#v5 ? 0xc0 : 0xfc)) !== 0)
      throw malformed('SUBSCRIBE: reserved option bits');
    if ((options & 3) === 3) throw protocolError('SUBSCRIBE: QoS 3');
    if (options >> 4 === 3) throw protocolError('SUBSCRIBE: Retain Handling 3');
    const noLocal = (options & 4) !== 0;
    if (noLocal && filter.startsWith('$share/'))
      throw protocolError('SUBSCRIBE: No Local on a Shared Subscription');
    return {
      filter,
      qos: (options & 3) as QoS,
      noLocal,
      retainAsPublished: (options & 8) !== 0,
      retainHandling: options >> 4,
    };
  }
}

function checkResponseTopic(properties: Properties): void {
  const topic = properties.responseTopic;
  if (topic !== undefined && /[+#]/.test(topic)) throw protocolError(`Response Topic ${topic}`);
}
