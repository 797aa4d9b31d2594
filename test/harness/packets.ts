// The Control Packets as the tests see them. Written from the OASIS texts alone and sharing nothing
// with the broker, so that the broker can be judged by it.

export type Version = '3.1' | '3.1.1' | '5.0';
export const VERSIONS: readonly Version[] = ['3.1', '3.1.1', '5.0'];
export type Direction = 'c2s' | 's2c';
export type QoS = 0 | 1 | 2;

/** Properties of MQTT 5.0; empty in 3.x. Only User Property and Subscription Identifier repeat. */
export interface Properties {
  payloadFormatIndicator?: number;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  subscriptionIdentifier?: number[];
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Buffer;
  requestProblemInformation?: number;
  willDelayInterval?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  userProperty?: [string, string][];
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifierAvailable?: number;
  sharedSubscriptionAvailable?: number;
}

export interface Will {
  topic: string;
  payload: Buffer;
  qos: QoS;
  retain: boolean;
  properties: Properties;
}

export interface Subscription {
  filter: string;
  qos: QoS;
  noLocal: boolean;
  retainAsPublished: boolean;
  retainHandling: number;
}

export interface ConnectPacket {
  type: 'CONNECT';
  protocolName: string;
  protocolLevel: number;
  /** Bit 0x80 of the level, set by bridges. */
  bridge: boolean;
  cleanStart: boolean;
  /** Seconds. */
  keepAlive: number;
  clientId: string;
  will?: Will;
  username?: string;
  password?: Buffer;
  properties: Properties;
}

export interface ConnackPacket {
  type: 'CONNACK';
  sessionPresent: boolean;
  reasonCode: number;
  properties: Properties;
}

export interface PublishPacket {
  type: 'PUBLISH';
  topic: string;
  payload: Buffer;
  qos: QoS;
  retain: boolean;
  dup: boolean;
  packetId?: number;
  properties: Properties;
}

export interface AckPacket<T extends 'PUBACK' | 'PUBREC' | 'PUBREL' | 'PUBCOMP'> {
  type: T;
  packetId: number;
  reasonCode: number;
  properties: Properties;
}

export interface SubscribePacket {
  type: 'SUBSCRIBE';
  packetId: number;
  subscriptions: Subscription[];
  properties: Properties;
}

export interface UnsubscribePacket {
  type: 'UNSUBSCRIBE';
  packetId: number;
  filters: string[];
  properties: Properties;
}

export interface FilterAckPacket<T extends 'SUBACK' | 'UNSUBACK'> {
  type: T;
  packetId: number;
  /** One per filter; none in an UNSUBACK of 3.x. */
  reasonCodes: number[];
  properties: Properties;
}

export interface PingPacket<T extends 'PINGREQ' | 'PINGRESP'> {
  type: T;
}

export interface EndPacket<T extends 'DISCONNECT' | 'AUTH'> {
  type: T;
  reasonCode: number;
  properties: Properties;
}

export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket<'PUBACK'>
  | AckPacket<'PUBREC'>
  | AckPacket<'PUBREL'>
  | AckPacket<'PUBCOMP'>
  | SubscribePacket
  | FilterAckPacket<'SUBACK'>
  | UnsubscribePacket
  | FilterAckPacket<'UNSUBACK'>
  | PingPacket<'PINGREQ'>
  | PingPacket<'PINGRESP'>
  | EndPacket<'DISCONNECT'>
  | EndPacket<'AUTH'>;

export type PacketType = Packet['type'];
export type PacketOf<T extends PacketType> = Extract<Packet, { type: T }>;

/** By the number in the high half of the first byte; 0 is forbidden. */
export const PACKET_TYPES: readonly (PacketType | undefined)[] = [
  undefined,
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
];

/** The Reason Codes that the tests name. */
export const Reason = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  notAuthorized: 0x87,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  sharedSubscriptionsNotSupported: 0x9e,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;
