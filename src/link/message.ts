/** A received Application Message, and who still has to be done with it. */
import type { MessageProperties, Qos } from './packets.js';

/** What a message tells its link. */
export interface MessageOwner {
  /** Every subscription that got it is done with it: its bytes are free again. */
  consumed(bytes: number): void;
  /** It may be acknowledged to the broker (QoS 1 and 2). */
  acknowledge(packetId: number, qos: Qos): void;
}

/** A subscription has this message in its queue. */
export let take: (message: Message, manual: boolean) => void;
/** A subscription is done with this message. */
export let consume: (message: Message, manual: boolean) => void;

/** Who published a message, as the broker knows it. */
export interface Publisher {
  readonly clientId?: string;
  readonly deviceId?: string;
  readonly username?: string;
  readonly tenant?: string;
}

export class Message {
  /** Of a device's messages `v1/devices/me/…`; `deviceId` says whose it is. */
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** The broker has sent it before. */
  readonly duplicate: boolean;
  readonly properties: MessageProperties;
  /** The publisher's Client Identifier; undefined for the broker's own messages. */
  readonly publisherClientId: string | undefined;
  /** On a device's topic whose it is, also where a service has published; else the publisher's. */
  readonly deviceId: string | undefined;
  /** The publisher's user name; undefined if it has none. */
  readonly username: string | undefined;
  /** The publisher's tenant; undefined if it has none. */
  readonly tenant: string | undefined;
  readonly #owner: MessageOwner;
  readonly #packetId: number;
  readonly #bytes: number;
  #unconsumed = 0;
  #unacknowledged = 0;
  /** Shares of subscriptions with manual acknowledgement. */
  #manual = 0;

  constructor(
    owner: MessageOwner,
    topic: string,
    payload: Buffer,
    first: number,
    packetId: number,
    bytes: number,
    properties: MessageProperties,
    publisher: Publisher,
  ) {
    this.#owner = owner;
    this.topic = topic;
    this.payload = payload;
    this.qos = ((first >> 1) & 3) as Qos;
    this.retain = (first & 1) !== 0;
    this.duplicate = (first & 8) !== 0;
    this.properties = properties;
    this.publisherClientId = publisher.clientId;
    this.deviceId = publisher.deviceId;
    this.username = publisher.username;
    this.tenant = publisher.tenant;
    this.#packetId = packetId;
    this.#bytes = bytes;
  }

  /** With `manualAck`: tells the broker that this message is done with. Once is enough. */
  ack(): void {
    const shares = this.#manual;
    this.#manual = 0;
    if (shares > 0) this.#release(shares);
  }

  #release(shares: number): void {
    this.#unacknowledged -= shares;
    if (this.#unacknowledged === 0 && this.qos > 0) {
      this.#owner.acknowledge(this.#packetId, this.qos);
    }
  }

  static {
    take = (message, manual) => {
      message.#unconsumed++;
      message.#unacknowledged++;
      if (manual) message.#manual++;
    };
    consume = (message, manual) => {
      if (--message.#unconsumed === 0) message.#owner.consumed(message.#bytes);
      if (!manual) message.#release(1);
    };
  }
}
