/**
 * A client inside this process: the broker sees an MQTT 5.0 connection without a socket. Made by
 * broker.link(). Flow control both ways: Receive Maximum for QoS 1 and 2, and for all that comes in
 * a credit of bytes that the consumers of its subscriptions give back.
 */
import { fail, type StMqttdError } from '../errors.js';
import type { CommandWriter } from '../native/commands.js';
import type { CloseCauseName } from '../native/contract.js';
import { checkPublish, checkSubscribe } from './capabilities.js';
import { checkPublishOptions, checkSubscribeOptions, filterList } from './check.js';
import {
  type Frame,
  kNoProperties,
  type PublishHead,
  readAcknowledgement,
  readConnack,
  readFrame,
  readPublish,
  readReason,
  readSubscriptionAcknowledgement,
  TopicReader,
} from './decode.js';
import {
  encodeConnect,
  encodeDisconnect,
  encodeMessageProperties,
  type PublishParts,
  publishRemaining,
} from './encode.js';
import { Inbox } from './inbox.js';
import { Message } from './message.js';
import { type LinkEnd, monitor, type OwnLinkOptions, type PublishOptions } from './options.js';
import { Outgoing, type PublishResult } from './outgoing.js';
import { type Connack, PacketType, type Properties, type Qos } from './packets.js';
import { Payloads } from './payloads.js';
import { PropertyReader } from './property-reader.js';
import { kNobody } from './publisher.js';
import { end, type Granted, type SubscribeOptions, Subscription } from './subscription.js';
import { checkFilter, TopicWriter } from './topics.js';

/** What its maker gives a link. */
export interface LinkSetup {
  readonly linkId: number;
  readonly writer: CommandWriter;
  readonly options: OwnLinkOptions;
  readonly tellsPublishers: boolean;
  /** Ids that an earlier link of this session left behind in the broker (QoS 2). */
  readonly unreleased: readonly number[];
  /** CONNACK, or the end before it. */
  opened(link: Link, result: Connack | LinkEnd): void;
}

const kTopicAliases = 64;
const kDefaultReceiveMaximum = 256;
const kDefaultBufferBytes = 256 * 1024;
const kEmpty = Buffer.alloc(0);

/** For the table of links: bytes of a link_bytes event. */
export let receive: (link: Link, buffer: Buffer, start: number, stop: number) => void;
/** For the table of links: the link_closed event. */
export let finish: (link: Link, cause: CloseCauseName, reasonCode: number) => void;
/** For the table of links: ids of QoS 2 publishes that the broker may still hold. */
export let unreleased: (link: Link) => number[];

export class Link {
  readonly #setup: LinkSetup;
  readonly #writer: CommandWriter;
  readonly #outgoing: Outgoing;
  readonly #inbox: Inbox;
  readonly #topicsIn = new TopicReader();
  readonly #topicsOut = new TopicWriter();
  readonly #properties: PropertyReader;
  readonly #payloads = new Payloads();
  readonly #frame: Frame = { first: 0, body: 0, end: 0 };
  readonly #head: PublishHead = { topic: '', packetId: 0, told: undefined, payload: 0 };
  #state: 'opening' | 'open' | 'closing' | 'closed' = 'opening';
  #connack: Connack | undefined;
  #clientId: string;
  #reason = { code: 0, text: '' };
  #resolveClosed: (end: LinkEnd) => void = () => undefined;
  #keepAliveTimer: NodeJS.Timeout | undefined;
  #end: LinkEnd | undefined;

  /** Resolves when the link has ended, for whatever cause; never rejects. */
  readonly closed: Promise<LinkEnd>;

  constructor(setup: LinkSetup) {
    this.#setup = setup;
    this.#properties = new PropertyReader(setup.tellsPublishers);
    this.#writer = setup.writer;
    this.#clientId = setup.options.clientId ?? '';
    const bufferBytes = setup.options.bufferBytes ?? kDefaultBufferBytes;
    this.#outgoing = new Outgoing(setup.linkId, setup.writer, () => this.#inbox.relieve());
    this.#inbox = new Inbox(
      bufferBytes,
      (bytes) => this.#credit(bytes),
      (packetId, qos) => this.#acknowledge(packetId, qos),
      () => this.#outgoing.awaited > 0,
    );
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    const { deviceId, role, dynamicFilters, [monitor]: looksOn } = setup.options;
    const self = { deviceId, role, dynamicFilters, monitor: looksOn };
    this.#writer.linkOpen(setup.linkId, bufferBytes, self);
    this.#sendConnect(setup.options);
  }

  get clientId(): string {
    return this.#clientId;
  }
  /** Whether the broker had a session of this Client Identifier. */
  get sessionPresent(): boolean {
    return this.#connack?.sessionPresent ?? false;
  }
  get isOpen(): boolean {
    return this.#state === 'open';
  }
  /** QoS 0 messages that were dropped because nobody read them while others were waited for. */
  get droppedMessages(): number {
    return this.#inbox.dropped;
  }

  /**
   * Resolves when the message is handed over (QoS 0) or the broker has taken it (QoS 1, 2). Do not
   * change a payload before that.
   */
  publish(
    topic: string,
    payload: string | Uint8Array,
    options?: PublishOptions,
  ): Promise<PublishResult> {
    if (this.#state !== 'open')
      return Promise.reject(this.#closedError(`publishing to "${topic}"`));
    const qos = options?.qos ?? 0;
    let parts: PublishParts;
    let remaining: number;
    try {
      checkPublishOptions(payload, options);
      options?.signal?.throwIfAborted();
      parts = this.#parts(topic, payload, qos, options);
      remaining = publishRemaining(parts);
      checkPublish(this.#offered, topic, parts.flags, remaining);
    } catch (error) {
      return Promise.reject(error);
    }
    return qos === 0
      ? this.#outgoing.publishQos0(parts, remaining)
      : this.#outgoing.publish(topic, parts, remaining, options?.signal);
  }

  /**
   * Messages of one Topic Filter or of several. A message that several of them match comes as
   * often as the broker sends it. A link has each filter once.
   */
  subscribe(filters: string | readonly string[], options: SubscribeOptions = {}): Subscription {
    checkSubscribeOptions(options);
    options.signal?.throwIfAborted();
    const list = filterList('subscribing', filters);
    for (const filter of list) checkSubscribe(this.#offered, filter);
    if (this.#state !== 'open') throw this.#closedError(`subscribing to "${list.join('", "')}"`);
    for (const [index, filter] of list.entries()) {
      if (this.#inbox.filters.get(filter) !== undefined || list.indexOf(filter) !== index) {
        throw fail('ST_LINK_FILTER_IN_USE', { filter });
      }
    }
    let settle: (work: Promise<readonly Granted[]>) => void = () => undefined;
    const ready = new Promise<readonly Granted[]>((resolve) => {
      settle = resolve;
    });
    const subscription = new Subscription(
      list,
      options.manualAck ?? false,
      ready,
      (s) => this.#unsubscribe(s.filters),
      options.signal,
    );
    settle(this.#subscribe(list, options, subscription));
    // Iterating reports it as well: whoever never looks at `ready` must not crash by it.
    ready.catch(() => undefined);
    return subscription;
  }

  /** Unsubscribes; a subscription without a filter left ends. */
  async unsubscribe(filters: string | readonly string[]): Promise<void> {
    const list = filterList('unsubscribing', filters);
    for (const filter of list) checkFilter(filter, 'unsubscribing');
    if (this.#state !== 'open')
      throw this.#closedError(`unsubscribing from "${list.join('", "')}"`);
    await this.#unsubscribe(list);
  }

  /** Disconnects. With `withWill` the Will Message is published. */
  async close(options: { readonly withWill?: boolean } = {}): Promise<void> {
    if (this.#state === 'open' || this.#state === 'opening') {
      this.#state = 'closing';
      this.#outgoing.send(encodeDisconnect(options.withWill === true ? 0x04 : 0));
      this.#writer.linkClose(this.#setup.linkId);
    }
    await this.closed;
  }

  /** close(), for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  static {
    receive = (link, buffer, start, stop) => link.#receive(buffer, start, stop);
    finish = (link, cause, reasonCode) => link.#finish(cause, reasonCode);
    unreleased = (link) => link.#outgoing.unreleased();
  }

  /** What the broker said in CONNACK. */
  get #offered(): Properties {
    return this.#connack?.properties ?? kNoProperties;
  }

  #sendConnect(options: OwnLinkOptions): void {
    this.#outgoing.send(
      encodeConnect({
        clientId: options.clientId ?? '',
        cleanStart: options.cleanStart ?? true,
        keepAlive: 0,
        sessionExpiryInterval: options.sessionExpiry ?? 0,
        receiveMaximum: options.receiveMaximum ?? kDefaultReceiveMaximum,
        topicAliasMaximum: kTopicAliases,
        username: options.username,
        will: options.will,
      }),
    );
  }

  #parts(
    topic: string,
    payload: string | Uint8Array,
    qos: Qos,
    options: PublishOptions | undefined,
  ): PublishParts {
    const properties = options?.properties;
    return {
      topic: this.#topicsOut.encode(topic),
      properties: properties === undefined ? kEmpty : encodeMessageProperties(properties),
      payload,
      payloadBytes: typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length,
      flags: (qos << 1) | (options?.retain === true ? 1 : 0),
      packetId: 0,
    };
  }

  async #subscribe(
    filters: readonly string[],
    options: SubscribeOptions,
    subscription: Subscription,
  ): Promise<readonly Granted[]> {
    const withId = this.#offered.subscriptionIdentifierAvailable !== 0;
    const requests = filters.map((filter) => {
      const { id } = this.#inbox.filters.add(filter, subscription, withId);
      return this.#outgoing.subscribe({
        filter,
        subscriptionId: id,
        qos: options.qos ?? 0,
        noLocal: options.noLocal ?? false,
        retainAsPublished: options.retainAsPublished ?? false,
        retainHandling: options.retainHandling ?? 0,
      });
    });
    // What a resumed session sent before anyone had subscribed.
    queueMicrotask(() => this.#inbox.claim());
    const results = await Promise.allSettled(requests);
    const refused = results.find((result) => result.status === 'rejected');
    if (refused !== undefined) {
      end(subscription, refused.reason, false);
      await this.#unsubscribe(filters).catch(() => undefined);
      throw refused.reason;
    }
    return filters.map((filter, index) => {
      const result = results[index];
      return { filter, qos: (result?.status === 'fulfilled' ? result.value : 0) as Qos };
    });
  }

  async #unsubscribe(filters: readonly string[]): Promise<void> {
    const known = filters.filter((filter) => this.#inbox.filters.get(filter) !== undefined);
    for (const filter of known) this.#inbox.remove(filter);
    if (this.#state !== 'open') return;
    await Promise.all(known.map((filter) => this.#outgoing.unsubscribe(filter)));
  }

  #receive(buffer: Buffer, start: number, stop: number): void {
    const frame = this.#frame;
    this.#payloads.begin();
    let at = start;
    while (at < stop && this.#state !== 'closed') {
      readFrame(buffer, at, stop, frame);
      const bytes = frame.end - at;
      const type = frame.first >> 4;
      if (type === PacketType.publish) {
        this.#onPublish(buffer, frame, bytes, stop);
      } else {
        this.#onControl(type, buffer, frame);
        this.#inbox.credit(bytes);
      }
      at = frame.end;
    }
  }

  #onPublish(buffer: Buffer, frame: Frame, bytes: number, stop: number): void {
    const head = this.#head;
    readPublish(buffer, frame, this.#topicsIn, this.#properties, head);
    const { topic, packetId, told } = head;
    const properties = told?.properties ?? kNoProperties;
    const message = new Message(
      this.#inbox,
      topic,
      this.#payloads.copy(buffer, head.payload, frame.end, stop),
      frame.first,
      packetId,
      bytes,
      properties,
      told?.publisher ?? kNobody,
    );
    this.#inbox.deliver(message, properties.subscriptionIdentifiers, bytes);
  }

  #onControl(type: number, buffer: Buffer, frame: Frame): void {
    switch (type) {
      case PacketType.connack:
        this.#onConnack(readConnack(buffer, frame));
        return;
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubcomp:
        this.#outgoing.onAcknowledgement(type, readAcknowledgement(buffer, frame));
        return;
      case PacketType.pubrel:
        this.#send(PacketType.pubcomp, readAcknowledgement(buffer, frame).packetId);
        return;
      case PacketType.suback:
      case PacketType.unsuback:
        this.#outgoing.onSubscriptionAcknowledgement(
          readSubscriptionAcknowledgement(buffer, frame),
        );
        return;
      case PacketType.pingresp:
        this.#outgoing.onPingresp();
        return;
      case PacketType.disconnect: {
        const { reasonCode, properties } = readReason(buffer, frame);
        this.#reason = { code: reasonCode, text: properties.reasonString ?? '' };
        return;
      }
      default:
        throw fail('ST_LINK_PROTOCOL', { why: `packet type ${type} is not for a client` });
    }
  }

  #onConnack(connack: Connack): void {
    if (connack.reasonCode !== 0) {
      this.#reason = { code: connack.reasonCode, text: connack.properties.reasonString ?? '' };
      return;
    }
    this.#connack = connack;
    if (this.#state === 'opening') this.#state = 'open';
    this.#clientId = connack.properties.assignedClientIdentifier ?? this.#clientId;
    this.#outgoing.window = connack.properties.receiveMaximum ?? 65_535;
    this.#inbox.resumed = connack.sessionPresent;
    if (connack.sessionPresent) {
      for (const id of this.#setup.unreleased) this.#send(PacketType.pubrel, id);
    }
    const keepAlive = connack.properties.serverKeepAlive ?? 0;
    if (keepAlive > 0) {
      this.#keepAliveTimer = setInterval(() => this.#outgoing.ping(), keepAlive * 500).unref();
    }
    this.#setup.opened(this, connack);
  }

  #credit(bytes: number): void {
    if (this.#state !== 'closed') this.#writer.linkCredit(this.#setup.linkId, bytes);
  }

  #acknowledge(packetId: number, qos: Qos): void {
    this.#send(qos === 1 ? PacketType.puback : PacketType.pubrec, packetId);
  }

  #send(type: number, packetId: number): void {
    if (this.#state === 'open') this.#outgoing.acknowledge(type, packetId);
  }

  #finish(cause: CloseCauseName, reasonCode: number): void {
    if (this.#state === 'closed') return;
    const asked = this.#state === 'closing';
    this.#state = 'closed';
    clearInterval(this.#keepAliveTimer);
    const { code, text } = this.#reason;
    const linkEnd: LinkEnd = { cause, reasonCode: code === 0 ? reasonCode : code, reason: text };
    this.#outgoing.end((doing) => closedError(doing, linkEnd));
    const graceful = asked || cause === 'shutting_down';
    this.#inbox.end(graceful ? undefined : closedError('reading messages', linkEnd), !asked);
    if (this.#connack === undefined) this.#setup.opened(this, linkEnd);
    this.#end = linkEnd;
    this.#resolveClosed(linkEnd);
  }

  #closedError(doing: string): StMqttdError {
    return closedError(doing, this.#end);
  }
}

function closedError(doing: string, linkEnd: LinkEnd | undefined): StMqttdError {
  if (linkEnd === undefined) return fail('ST_LINK_CLOSED', { doing, why: 'close() was called' });
  const reason = linkEnd.reason === '' ? '' : `: ${linkEnd.reason}`;
  return fail('ST_LINK_CLOSED', { doing, why: `${linkEnd.cause.replaceAll('_', ' ')}${reason}` });
}
