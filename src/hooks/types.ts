/** What hooks are given and what they answer. Nothing here runs. */
import type { Publisher } from '../link/message.js';
import type { MessageProperties, Qos } from '../link/packets.js';
import type { DropCauseName } from '../native/contract.js';
import type { ProtocolVersion } from '../native/events.js';
import type {
  AlertInfo,
  ConnectInfo,
  DisconnectInfo,
  RefusedInfo,
  SessionEndInfo,
} from '../session/events.js';

/** What becomes of it where a hook gives no answer that counts. */
export type HookPolicy = 'pass' | 'drop';

export interface HookOptions {
  /** What logs call it; default: the function's name, or its kind and number. */
  readonly name?: string | undefined;
  /** How long a promise may take, in ms, 1 to 60,000; default 5000. */
  readonly timeoutMs?: number | undefined;
  /** Where that is over; default 'pass'. */
  readonly onTimeout?: HookPolicy | undefined;
  /** Where it throws, rejects, or answers what it may not; default 'pass'. */
  readonly onError?: HookPolicy | undefined;
  /** Lower ones first, equal ones as they were registered; default 0. */
  readonly order?: number | undefined;
}

/** For hooks that are only told something. */
export type NoticeOptions = Pick<HookOptions, 'name' | 'order'>;

/** Removes the hook; again does nothing. */
export type Unregister = () => void;

/** Who sent a message. */
export interface HookClient {
  readonly clientId: string;
  /** Which connection of the Client Identifier; 0 = the first (`duplicate_client_id = "allow"`). */
  readonly instance: number;
  /** undefined: none was given, or nobody stands behind it. */
  readonly username: string | undefined;
  readonly tenant: string | undefined;
  /** On a device's topic whose it is, also where a service publishes there; else the client's own. */
  readonly deviceId: string | undefined;
  /** A link of this process. */
  readonly isLink: boolean;
}

/** A message on its way, as the hooks before this one left it. Payload and properties are read lazily. */
export interface HookMessage extends HookClient {
  /** Of a device's messages `v1/devices/me/…`, as links see them; a tenant's begin with `/tenants/<tenant>/`. */
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** messageExpiryInterval: what is left of it. */
  readonly properties: MessageProperties;
  /** The Will of a client whose connection has ended. */
  readonly isWill: boolean;
  /** Name of the listener; undefined for a link and for a Will. */
  readonly listener: string | undefined;
  /** undefined for a Will. */
  readonly protocolVersion: ProtocolVersion | undefined;
  /** The payload as UTF-8. */
  text(): string;
}

/** What is given is changed, the rest stays. The message is not shown to hooks of the new topic. */
export interface MessageChange {
  /**
   * A Topic Name that does not begin with $SYS. Access rules are not asked about it. By
   * `v1/devices/me/…` it is that of `deviceId`.
   */
  readonly topic?: string | undefined;
  readonly payload?: string | Uint8Array | undefined;
  readonly qos?: Qos | undefined;
  readonly retain?: boolean | undefined;
  /**
   * All of them; the Message Expiry Interval stays what it was. User Properties by the names that say
   * who published (`publisher_…`) are the broker's, and an error of the hook.
   */
  readonly properties?: Omit<MessageProperties, 'messageExpiryInterval'> | undefined;
}

export interface MessageDrop {
  /**
   * For the publisher, if it speaks MQTT 5.0 and waits for an acknowledgement: 0 = as if it had been
   * taken, 0x80, 0x83, 0x87, 0x90, 0x97 or 0x99. Others are acknowledged in any case.
   */
  readonly drop: number;
  /** Reason String. */
  readonly reason?: string | undefined;
}

/**
 * A message on its way to one receiver, as the hooks before this one left it. Who `clientId` and the
 * others tell of is the receiver.
 */
export interface HookDelivery extends HookClient {
  /** As in HookMessage; of a DirectWrite as it was given. */
  readonly topic: string;
  readonly payload: Buffer;
  /** That it is delivered with. */
  readonly qos: Qos;
  /** As the receiver gets it. */
  readonly retain: boolean;
  /** Those of the message, without what is added for the receiver. messageExpiryInterval: what is left. */
  readonly properties: MessageProperties;
  /** Who published it, as far as the broker knows; undefined for its own messages and DirectWrites. */
  readonly publisher: Publisher | undefined;
  readonly connectionId: bigint;
  /** Name of the listener; undefined for a link. */
  readonly listener: string | undefined;
  readonly protocolVersion: ProtocolVersion | undefined;
  /** The payload as UTF-8. */
  text(): string;
}

/** What is given is changed for this receiver, the rest stays. */
export type DeliveryChange = Pick<MessageChange, 'payload' | 'properties'>;
export type DeliveryVerdict = undefined | 'pass' | 'drop' | DeliveryChange;

export type MessageVerdict = undefined | 'pass' | 'drop' | MessageChange | MessageDrop;

// biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing passes
type Answer<T> = void | T | Promise<void | T>;

/** A client whose CONNECT was accepted, and not answered yet. */
export interface HookConnect {
  /** Final. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address: string;
  readonly listener: string;
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  /** Seconds. */
  readonly keepAlive: number;
  readonly sessionExpiry: number | 'never';
  /** Its Will's topic; undefined = it has none. */
  readonly willTopic: string | undefined;
}

/** Lower limits for one client; what is not given stays as it is. */
export interface ConnectChange {
  /** Seconds. */
  readonly maxSessionExpiry?: number | undefined;
  /** Server Keep Alive in seconds (3.x clients are held to it as well), 1 to 65,534. */
  readonly serverKeepAlive?: number | undefined;
  readonly maxQos?: Qos | undefined;
}

export interface Refusal {
  /** A CONNACK code of MQTT 5.0 from 0x80 on; 3.x gets the one nearest to it. */
  readonly refuse: number;
  readonly reason?: string | undefined;
}

export type ConnectHook = (
  client: HookConnect,
) => Answer<undefined | 'pass' | 'drop' | ConnectChange | Refusal>;

/** One filter of a SUBSCRIBE, as the hooks before this one left it. */
export interface HookSubscription extends HookClient {
  /** As its client wrote it, behind `$share/<ShareName>/` with what its tenant puts before it. */
  readonly filter: string;
  /** That the client asked for. */
  readonly qos: Qos;
  /** 0 = none. */
  readonly subscriptionId: number;
  /** undefined for a link. */
  readonly listener: string | undefined;
  readonly protocolVersion: ProtocolVersion;
}

export interface SubscriptionChange {
  /** Another filter instead. Its client unsubscribes by this one, or by what it wrote. */
  readonly filter?: string | undefined;
  /** At most what was asked for. */
  readonly qos?: Qos | undefined;
}

/** 'drop' refuses with 0x87. `refuse`: 0x80, 0x83, 0x87, 0x8f, 0x97, 0x9e, 0xa1, 0xa2. */
export type SubscribeHook = (
  subscription: HookSubscription,
) => Answer<undefined | 'pass' | 'drop' | SubscriptionChange | { readonly refuse: number }>;

export interface UnsubscribeInfo {
  readonly clientId: string;
  /** As of HookClient. */
  readonly instance: number;
  /** In its internal form: `v1/devices/<device id>/…` where its client wrote `me`, with the tenant. */
  readonly filter: string;
  readonly connectionId: bigint | undefined;
  /** Notices that were left out since the last one, because this process was far behind. */
  readonly leftOut: number;
}
/** A filter that its client has subscribed to. */
export interface SubscribedInfo extends UnsubscribeInfo {
  /** That was granted. */
  readonly qos: Qos;
}
export type SubscribedHook = (subscribed: SubscribedInfo) => Answer<unknown>;
export type UnsubscribeHook = (unsubscribed: UnsubscribeInfo) => Answer<unknown>;

/** A receiver has acknowledged a message of QoS 1 or 2, with PUBACK or PUBREC. */
export interface AckInfo {
  /** The receiver. */
  readonly clientId: string;
  /** As of HookClient. */
  readonly instance: number;
  readonly connectionId: bigint | undefined;
  /** As in HookMessage. */
  readonly topic: string;
  /** Of a device's topic: whose it is. */
  readonly deviceId: string | undefined;
  readonly qos: Qos;
  readonly packetId: number;
  /** From 0x80 on it refused the message. */
  readonly reasonCode: number;
  readonly leftOut: number;
}
export type AckHook = (ack: AckInfo) => Answer<unknown>;

export interface DropInfo {
  /** The receiver; '' = it got to nobody. */
  readonly clientId: string;
  /** As of HookClient. */
  readonly instance: number;
  readonly connectionId: bigint | undefined;
  /** As in HookMessage. */
  readonly topic: string;
  /** Of a device's topic: whose it is. */
  readonly deviceId: string | undefined;
  readonly qos: Qos;
  readonly cause: DropCauseName;
  readonly leftOut: number;
}
export type DropHook = (dropped: DropInfo) => Answer<unknown>;

export type DeliverHook = (delivery: HookDelivery) => Answer<DeliveryVerdict>;
export type PublishHook = (message: HookMessage) => Answer<MessageVerdict>;
export type ConnectedHook = (client: ConnectInfo) => Answer<unknown>;
export type RefusedHook = (attempt: RefusedInfo) => Answer<unknown>;
export type SessionEndHook = (session: SessionEndInfo) => Answer<unknown>;
export type DisconnectHook = (client: DisconnectInfo) => Answer<unknown>;
export type SessionExpireHook = (session: SessionEndInfo) => Answer<unknown>;
export type AlertHook = (alert: AlertInfo) => Answer<unknown>;
