// The properties of MQTT 5.0 (2.2.2.2): one row each, encoded and decoded with the checks for place, count and value.
import { binary, malformed, protocolError, Reader, string, u8, u16, u32, varint } from './bytes.js';
import type { Direction, PacketType, Properties } from './packets.js';

export type PropertyPlace = PacketType | 'WILL';
type Kind = 'u8' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair';

interface Row {
  id: number;
  name: keyof Properties;
  kind: Kind;
  places: readonly PropertyPlace[] | 'all';
  /** The only direction it may go, where the standard says so. */
  only?: Partial<Record<PropertyPlace, Direction>>;
  /** Values the standard allows, beyond the kind's own range. */
  range?: readonly [number, number];
}

const ACKS = ['PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP', 'SUBACK', 'UNSUBACK'] as const;
const MESSAGE = ['PUBLISH', 'WILL'] as const;

// biome-ignore format: a table reads as a table
const ROWS: readonly Row[] = [
  { id: 0x01, name: 'payloadFormatIndicator', kind: 'u8', places: MESSAGE, range: [0, 1] },
  { id: 0x02, name: 'messageExpiryInterval', kind: 'u32', places: MESSAGE },
  { id: 0x03, name: 'contentType', kind: 'string', places: MESSAGE },
  { id: 0x08, name: 'responseTopic', kind: 'string', places: MESSAGE },
  { id: 0x09, name: 'correlationData', kind: 'binary', places: MESSAGE },
  { id: 0x0b, name: 'subscriptionIdentifier', kind: 'varint', places: ['PUBLISH', 'SUBSCRIBE'], only: { PUBLISH: 's2c' }, range: [1, 268435455] },
  { id: 0x11, name: 'sessionExpiryInterval', kind: 'u32', places: ['CONNECT', 'CONNACK', 'DISCONNECT'], only: { DISCONNECT: 'c2s' } },
  { id: 0x12, name: 'assignedClientIdentifier', kind: 'string', places: ['CONNACK'] },
  { id: 0x13, name: 'serverKeepAlive', kind: 'u16', places: ['CONNACK'] },
  { id: 0x15, name: 'authenticationMethod', kind: 'string', places: ['CONNECT', 'CONNACK', 'AUTH'] },
  { id: 0x16, name: 'authenticationData', kind: 'binary', places: ['CONNECT', 'CONNACK', 'AUTH'] },
  { id: 0x17, name: 'requestProblemInformation', kind: 'u8', places: ['CONNECT'], range: [0, 1] },
  { id: 0x18, name: 'willDelayInterval', kind: 'u32', places: ['WILL'] },
  { id: 0x19, name: 'requestResponseInformation', kind: 'u8', places: ['CONNECT'], range: [0, 1] },
  { id: 0x1a, name: 'responseInformation', kind: 'string', places: ['CONNACK'] },
  { id: 0x1c, name: 'serverReference', kind: 'string', places: ['CONNACK', 'DISCONNECT'], only: { DISCONNECT: 's2c' } },
  { id: 0x1f, name: 'reasonString', kind: 'string', places: ['CONNACK', ...ACKS, 'DISCONNECT', 'AUTH'] },
  { id: 0x21, name: 'receiveMaximum', kind: 'u16', places: ['CONNECT', 'CONNACK'], range: [1, 65535] },
  { id: 0x22, name: 'topicAliasMaximum', kind: 'u16', places: ['CONNECT', 'CONNACK'] },
  { id: 0x23, name: 'topicAlias', kind: 'u16', places: ['PUBLISH'] },
  { id: 0x24, name: 'maximumQos', kind: 'u8', places: ['CONNACK'], range: [0, 1] },
  { id: 0x25, name: 'retainAvailable', kind: 'u8', places: ['CONNACK'], range: [0, 1] },
  { id: 0x26, name: 'userProperty', kind: 'pair', places: 'all' },
  { id: 0x27, name: 'maximumPacketSize', kind: 'u32', places: ['CONNECT', 'CONNACK'], range: [1, 0xffffffff] },
  { id: 0x28, name: 'wildcardSubscriptionAvailable', kind: 'u8', places: ['CONNACK'], range: [0, 1] },
  { id: 0x29, name: 'subscriptionIdentifierAvailable', kind: 'u8', places: ['CONNACK'], range: [0, 1] },
  { id: 0x2a, name: 'sharedSubscriptionAvailable', kind: 'u8', places: ['CONNACK'], range: [0, 1] },
];

const byId = new Map(ROWS.map((row) => [row.id, row]));

function encodeValue(row: Row, value: unknown): Buffer {
  switch (row.kind) {
    case 'u8':
      return u8(value as number);
    case 'u16':
      return u16(value as number);
    case 'u32':
      return u32(value as number);
    case 'varint':
      return varint(value as number);
    case 'string':
      return string(value as string);
    case 'binary':
      return binary(value as Buffer);
    case 'pair': {
      const [name, text] = value as [string, string];
      return Buffer.concat([string(name), string(text)]);
    }
  }
}

/** The block with its length, in the order in which the properties were given; nothing is checked. */
export function encodeProperties(properties: Properties): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(properties)) {
    const row = ROWS.find((candidate) => candidate.name === name);
    if (row === undefined) throw new Error(`no property is called ${name}`);
    const many = row.kind === 'pair' || row.name === 'subscriptionIdentifier';
    for (const one of many ? (value as unknown[]) : [value])
      parts.push(u8(row.id), encodeValue(row, one));
  }
  const block = Buffer.concat(parts);
  return Buffer.concat([varint(block.length), block]);
}

function decodeValue(row: Row, reader: Reader): number | string | Buffer | [string, string] {
  switch (row.kind) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'varint':
    case 'string':
    case 'binary':
      return reader[row.kind](row.name);
    case 'pair':
      return [reader.string('User Property name'), reader.string('User Property value')];
  }
}

export function decodeProperties(
  outer: Reader,
  place: PropertyPlace,
  direction: Direction,
): Properties {
  const reader = new Reader(outer.take(outer.varint('property length'), 'properties'));
  const found: Record<string, unknown> = {};
  while (reader.left > 0) {
    const id = reader.varint('property identifier');
    const row = byId.get(id);
    if (row === undefined) throw malformed(`property 0x${id.toString(16)} does not exist`);
    if (row.places !== 'all' && !row.places.includes(place))
      throw malformed(`${row.name} does not belong into ${place}`);
    const only = row.only?.[place];
    if (only !== undefined && only !== direction)
      throw protocolError(`${row.name} in ${place} is not for this direction`);
    const value = decodeValue(row, reader);
    if (row.range !== undefined && typeof value === 'number') {
      if (value < row.range[0] || value > row.range[1])
        throw protocolError(`${row.name} has the value ${value}`);
    }
    const repeats =
      row.kind === 'pair' || (row.name === 'subscriptionIdentifier' && direction === 's2c');
    const before = found[row.name];
    if (before !== undefined && !repeats) throw protocolError(`${row.name} more than once`);
    if (row.kind === 'pair' || row.name === 'subscriptionIdentifier')
      found[row.name] = [...((before as unknown[] | undefined) ?? []), value];
    else found[row.name] = value;
  }
  return found as Properties;
}
