// Packet to bytes. It encodes what it is given, right or wrong: tests send wrong packets on purpose.
import { binary, frame, string, u8, u16 } from './bytes.js';
import type { Packet, Properties, Version } from './packets.js';
import { encodeProperties } from './properties.js';

const EMPTY = Buffer.alloc(0);

export function encode(packet: Packet, version: Version): Buffer {
  const v5 = version === '5.0';
  const block = (properties: Properties) => (v5 ? encodeProperties(properties) : EMPTY);
  switch (packet.type) {
    case 'CONNECT': {
      const will = packet.will;
      let flags = packet.cleanStart ? 0x02 : 0;
      if (will !== undefined) flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0);
      if (packet.password !== undefined) flags |= 0x40;
      if (packet.username !== undefined) flags |= 0x80;
      const parts = [
        string(packet.protocolName),
        u8(packet.protocolLevel | (packet.bridge ? 0x80 : 0)),
        u8(flags),
        u16(packet.keepAlive),
        block(packet.properties),
        string(packet.clientId),
      ];
      if (will !== undefined)
        parts.push(block(will.properties), string(will.topic), binary(will.payload));
      if (packet.username !== undefined) parts.push(string(packet.username));
      if (packet.password !== undefined) parts.push(binary(packet.password));
      return frame(0x10, ...parts);
    }
    case 'CONNACK':
      return frame(
        0x20,
        u8(packet.sessionPresent ? 1 : 0),
        u8(packet.reasonCode),
        block(packet.properties),
      );
    case 'PUBLISH': {
      const flags = (packet.dup ? 8 : 0) | (packet.qos << 1) | (packet.retain ? 1 : 0);
      const id = packet.packetId === undefined ? EMPTY : u16(packet.packetId);
      const properties = block(packet.properties);
      return frame(0x30 | flags, string(packet.topic), id, properties, packet.payload);
    }
    case 'PUBACK':
      return encodeAck(0x40, packet, v5);
    case 'PUBREC':
      return encodeAck(0x50, packet, v5);
    case 'PUBREL':
      return encodeAck(0x62, packet, v5);
    case 'PUBCOMP':
      return encodeAck(0x70, packet, v5);
    case 'SUBSCRIBE': {
      const parts = [u16(packet.packetId), block(packet.properties)];
      for (const one of packet.subscriptions) {
        const options =
          one.qos |
          (one.noLocal ? 4 : 0) |
          (one.retainAsPublished ? 8 : 0) |
          (one.retainHandling << 4);
        parts.push(string(one.filter), u8(options));
      }
      return frame(0x82, ...parts);
    }
    case 'SUBACK':
    case 'UNSUBACK':
      return frame(
        packet.type === 'SUBACK' ? 0x90 : 0xb0,
        u16(packet.packetId),
        block(packet.properties),
        Buffer.from(packet.reasonCodes),
      );
    case 'UNSUBSCRIBE':
      return frame(
        0xa2,
        u16(packet.packetId),
        block(packet.properties),
        ...packet.filters.map(string),
      );
    case 'PINGREQ':
      return frame(0xc0);
    case 'PINGRESP':
      return frame(0xd0);
    case 'DISCONNECT':
      return frame(0xe0, ...encodeEnd(packet, v5));
    case 'AUTH':
      return frame(0xf0, ...encodeEnd(packet, v5));
  }
}

interface Ending {
  reasonCode: number;
  properties: Properties;
}

/** The short forms of 5.0: no properties, no length; code 0 and no properties, nothing. */
function encodeEnd(packet: Ending, v5: boolean): Buffer[] {
  if (!v5) return [];
  if (Object.keys(packet.properties).length > 0)
    return [u8(packet.reasonCode), encodeProperties(packet.properties)];
  return packet.reasonCode === 0 ? [] : [u8(packet.reasonCode)];
}

function encodeAck(firstByte: number, packet: Ending & { packetId: number }, v5: boolean): Buffer {
  return frame(firstByte, u16(packet.packetId), ...encodeEnd(packet, v5));
}
