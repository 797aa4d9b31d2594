/** MQTT 5.0 Control Packets as a link sees them: types, properties, options. Nothing here runs. */

export type Qos = 0 | 1 | 2;
export type UserProperties = readonly (readonly [name: string, value: string])[];

export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

/** Properties of an Application Message that its publisher sets and its receivers see. */
export interface MessageProperties {
  /** 1 = the payload is UTF-8 text. */
  readonly payloadFormatIndicator?: 0 | 1 | undefined;
  /** Seconds. */
  readonly messageExpiryInterval?: number | undefined;
  readonly contentType?: string | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Uint8Array | undefined;
  readonly userProperties?: UserProperties | undefined;
}

/** Every property that a packet from the broker to a link may have. */
export interface Properties extends MessageProperties {
  subscriptionIdentifiers?: readonly number[];
  topicAlias?: number;
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  maximumQos?: number;
  retainAvailable?: number;
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifierAvailable?: number;
  sharedSubscriptionAvailable?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
}

export interface WillOptions {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly qos?: Qos | undefined;
  readonly retain?: boolean | undefined;
  /** Seconds between the link's end and the Will's publication. */
  readonly delay?: number | undefined;
  readonly properties?: MessageProperties | undefined;
}

export interface ConnectPacket {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly keepAlive: number;
  readonly sessionExpiryInterval: number;
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  readonly username?: string | undefined;
  readonly will?: WillOptions | undefined;
}

export interface SubscribePacket {
  readonly packetId: number;
  readonly filter: string;
  /** 0 = none. */
  readonly subscriptionId: number;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

/** CONNACK. */
export interface Connack {
  readonly sessionPresent: boolean;
  readonly reasonCode: number;
  readonly properties: Properties;
}
/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
export interface Acknowledgement {
  readonly packetId: number;
  readonly reasonCode: number;
  readonly properties: Properties;
}
/** SUBACK, UNSUBACK. */
export interface SubscriptionAcknowledgement {
  readonly packetId: number;
  readonly reasonCodes: readonly number[];
  readonly properties: Properties;
}
/** DISCONNECT, AUTH. */
export interface ReasonPacket {
  readonly reasonCode: number;
  readonly properties: Properties;
}
