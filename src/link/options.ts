/** What an application gives a link, and learns of its end. Nothing here runs. */
import type { CloseCauseName } from '../native/contract.js';
import type { MessageProperties, Qos, WillOptions } from './packets.js';

export interface LinkOptions {
  /** Default: the broker assigns one. */
  readonly clientId?: string | undefined;
  /** Default true. */
  readonly cleanStart?: boolean | undefined;
  /** Seconds that the session outlives the link; default 0. 4294967295 = for ever. */
  readonly sessionExpiry?: number | undefined;
  /** QoS 1 and 2 messages that may be unconsumed; default 256. */
  readonly receiveMaximum?: number | undefined;
  /** Bytes of messages that may be unconsumed before the broker keeps the rest; default 256 KiB. */
  readonly bufferBytes?: number | undefined;
  readonly username?: string | undefined;
  /**
   * Which device the link is: `v1/devices/me/…` are that device's topics. Default: none. Then it is a
   * service: it subscribes to `v1/devices/me/…` of all devices, and publishes to `v1/devices/<id>/…`.
   * ST_ARGUMENT if it has / + # or U+0000 in it, or is empty or "me".
   */
  readonly deviceId?: string | undefined;
  /** Default: "device" with a deviceId, else "service". */
  readonly role?: 'device' | 'service' | undefined;
  /**
   * Default false. True: a topic that nobody has subscribed to gets a log of what the link publishes
   * to it, as with a listener's option `dynamic_filters`; see [router] and [device] for its bounds.
   */
  readonly dynamicFilters?: boolean | undefined;
  readonly will?: WillOptions | undefined;
  /** Closes the link when it is aborted; link() rejects with its reason if it was not open yet. */
  readonly signal?: AbortSignal | undefined;
}

/** What the broker's own links that look on have: their subscriptions are no subscribers. */
export const monitor = Symbol('monitor');
export interface OwnLinkOptions extends LinkOptions {
  readonly [monitor]?: true;
}

export interface PublishOptions {
  readonly qos?: Qos | undefined;
  readonly retain?: boolean | undefined;
  readonly properties?: MessageProperties | undefined;
  /**
   * publish() rejects with its reason when it is aborted. A message that still waits for the
   * broker's Receive Maximum is not sent then; one that has been sent may have arrived.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface LinkEnd {
  readonly cause: CloseCauseName;
  readonly reasonCode: number;
  /** The broker's Reason String, or empty. */
  readonly reason: string;
}
