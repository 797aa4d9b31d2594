/**
 * What a link sends and waits for: publishes with their Packet Identifiers and the broker's
 * Receive Maximum, SUBSCRIBE and UNSUBSCRIBE, and the pace of QoS 0.
 */
import { fail } from '../errors.js';
import type { CommandWriter } from '../native/commands.js';
import {
  encodeSubscribe,
  encodeUnsubscribe,
  kAcknowledgementBytes,
  type PublishParts,
  varintBytes,
  writeAcknowledgement,
  writePublish,
} from './encode.js';
import {
  type Acknowledgement,
  PacketType,
  type SubscribePacket,
  type SubscriptionAcknowledgement,
} from './packets.js';

export interface PublishResult {
  /** 0x00, or 0x10 where nobody had subscribed (QoS 1 and 2). */
  readonly reasonCode: number;
}

interface Flight {
  readonly kind: 'publish';
  readonly topic: string;
  readonly parts: PublishParts;
  readonly remaining: number;
  /** Of PUBREC: where it says 0x10, PUBCOMP does not say it again. */
  received: number;
  resolve(result: PublishResult): void;
  reject(error: unknown): void;
}
interface Request {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly filter: string;
  resolve(reasonCode: number): void;
  reject(error: unknown): void;
}

const kSent: PublishResult = Object.freeze({ reasonCode: 0 });
const kSentPromise: Promise<PublishResult> = Promise.resolve(kSent);

/** QoS 0 has no acknowledgement: a PINGREQ after so many bytes tells when they were taken. */
const kBytesPerPing = 256 * 1024;
const kMaxPings = 4;
const kPingreq = Buffer.from([PacketType.pingreq << 4, 0]);

export class Outgoing {
  readonly #linkId: number;
  readonly #writer: CommandWriter;
  /** Something is being waited for: the broker's answers must not stay behind unread messages. */
  readonly #onWaiting: () => void;
  readonly #pending = new Map<number, Flight | Request>();
  #inFlight = 0;
  #window = 65_535;
  readonly #waiting: Flight[] = [];
  #lastId = 0;
  #bytesSincePing = 0;
  #pings = 0;
  #room: { promise: Promise<PublishResult>; resolve: (r: PublishResult) => void } | undefined;

  constructor(linkId: number, writer: CommandWriter, onWaiting: () => void) {
    this.#linkId = linkId;
    this.#writer = writer;
    this.#onWaiting = onWaiting;
  }

  /** How many answers of the broker are being waited for. */
  get awaited(): number {
    return this.#pending.size + this.#pings;
  }

  set window(receiveMaximum: number) {
    this.#window = receiveMaximum;
  }

  /** Resolves when it is handed over: at once, unless the broker is behind with earlier ones. */
  publishQos0(parts: PublishParts, remaining: number): Promise<PublishResult> {
    this.#sendPublish(parts, remaining);
    this.#bytesSincePing += remaining;
    if (this.#bytesSincePing >= kBytesPerPing) this.ping();
    if (this.#pings <= kMaxPings) return kSentPromise;
    if (this.#room === undefined) {
      let resolve: (result: PublishResult) => void = () => undefined;
      const promise = new Promise<PublishResult>((done) => {
        resolve = done;
      });
      this.#room = { promise, resolve };
    }
    return this.#room.promise;
  }

  /** Resolves with PUBACK or PUBCOMP. */
  publish(
    topic: string,
    parts: PublishParts,
    remaining: number,
    signal?: AbortSignal,
  ): Promise<PublishResult> {
    return new Promise((resolve, reject) => {
      const flight: Flight = {
        kind: 'publish',
        topic,
        parts,
        remaining,
        received: 0,
        resolve,
        reject,
      };
      if (signal !== undefined) this.#watch(flight, signal);
      if (this.#inFlight < this.#window) this.#start(flight);
      else this.#waiting.push(flight);
    });
  }

  subscribe(packet: Omit<SubscribePacket, 'packetId'>): Promise<number> {
    return this.#request('subscribe', packet.filter, (packetId) =>
      encodeSubscribe({ ...packet, packetId }),
    );
  }

  unsubscribe(filter: string): Promise<number> {
    return this.#request('unsubscribe', filter, (packetId) => encodeUnsubscribe(packetId, filter));
  }

  ping(): void {
    this.#bytesSincePing = 0;
    this.#pings++;
    this.send(kPingreq);
    this.#onWaiting();
  }

  onPingresp(): void {
    if (this.#pings > 0) this.#pings--;
    if (this.#pings > kMaxPings) return;
    this.#room?.resolve(kSent);
    this.#room = undefined;
  }

  /** PUBACK, PUBREC or PUBCOMP. */
  onAcknowledgement(type: number, { packetId, reasonCode, properties }: Acknowledgement): void {
    const flight = this.#pending.get(packetId);
    if (flight?.kind !== 'publish') {
      // [MQTT-4.3.3-4]: a PUBREC is always answered, or the broker would hold its id for ever.
      if (type === PacketType.pubrec && reasonCode < 0x80)
        this.acknowledge(PacketType.pubrel, packetId);
      return;
    }
    if (type === PacketType.pubrec && reasonCode < 0x80) {
      flight.received = reasonCode;
      this.acknowledge(PacketType.pubrel, packetId);
      return;
    }
    this.#pending.delete(packetId);
    this.#inFlight--;
    if (reasonCode < 0x80) {
      const code = flight.received === 0 ? reasonCode : flight.received;
      flight.resolve(code === 0 ? kSent : { reasonCode: code });
    } else {
      const reason = properties.reasonString ?? '';
      flight.reject(fail('ST_LINK_PUBLISH_REFUSED', { topic: flight.topic, reasonCode, reason }));
    }
    const next = this.#waiting.shift();
    if (next !== undefined) this.#start(next);
  }

  /** SUBACK or UNSUBACK: one filter each. */
  onSubscriptionAcknowledgement(ack: SubscriptionAcknowledgement): void {
    const request = this.#pending.get(ack.packetId);
    if (request === undefined || request.kind === 'publish') return;
    this.#pending.delete(ack.packetId);
    const reasonCode = ack.reasonCodes[0] ?? 0x80;
    if (reasonCode < 0x80) {
      request.resolve(reasonCode);
      return;
    }
    const code =
      request.kind === 'subscribe' ? 'ST_LINK_SUBSCRIBE_REFUSED' : 'ST_LINK_UNSUBSCRIBE_REFUSED';
    const reason = ack.properties.reasonString ?? '';
    request.reject(fail(code, { filter: request.filter, reasonCode, reason }));
  }

  /** Ids of QoS 2 publishes that the broker may still hold: a later link of this session frees them. */
  unreleased(): number[] {
    const ids: number[] = [];
    for (const [id, pending] of this.#pending) {
      if (pending.kind === 'publish' && (pending.parts.flags & 6) === 4) ids.push(id);
    }
    return ids;
  }

  /** The link is closed: nothing is answered any more. */
  end(error: (doing: string) => unknown): void {
    for (const pending of [...this.#pending.values(), ...this.#waiting.splice(0)]) {
      const doing =
        pending.kind === 'publish'
          ? `publishing to "${pending.topic}"`
          : `${pending.kind === 'subscribe' ? 'subscribing to' : 'unsubscribing from'} "${pending.filter}"`;
      pending.reject(error(doing));
    }
    this.#pending.clear();
    this.#pings = 0;
    // They were handed over: that is all that QoS 0 says.
    this.#room?.resolve(kSent);
    this.#room = undefined;
  }

  /** Sends whole Control Packets. */
  send(packets: Uint8Array): void {
    const at = this.#writer.linkBytes(this.#linkId, packets.length);
    this.#writer.buffer.set(packets, at);
  }

  /** Sends PUBACK, PUBREC, PUBREL or PUBCOMP with Reason Code 0. */
  acknowledge(type: number, packetId: number): void {
    const at = this.#writer.linkBytes(this.#linkId, kAcknowledgementBytes);
    writeAcknowledgement(this.#writer.buffer, at, type, packetId);
  }

  /** One that waits is not sent any more; of one in flight only the promise is given up. */
  #watch(flight: Flight, signal: AbortSignal): void {
    const { resolve, reject } = flight;
    const onAbort = () => {
      const at = this.#waiting.indexOf(flight);
      if (at >= 0) this.#waiting.splice(at, 1);
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    flight.resolve = (result) => {
      signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    flight.reject = (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    };
  }

  #start(flight: Flight): void {
    flight.parts.packetId = this.#claimId(flight);
    this.#inFlight++;
    this.#sendPublish(flight.parts, flight.remaining);
    this.#onWaiting();
  }

  #sendPublish(parts: PublishParts, remaining: number): void {
    const bytes = 1 + varintBytes(remaining) + remaining;
    const at = this.#writer.linkBytes(this.#linkId, bytes);
    writePublish(this.#writer.buffer, at, remaining, parts);
  }

  #request(
    kind: Request['kind'],
    filter: string,
    encode: (packetId: number) => Buffer,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      this.send(encode(this.#claimId({ kind, filter, resolve, reject })));
      this.#onWaiting();
    });
  }

  /** [MQTT-2.2.1-3]: an id that is not in use. The window is smaller than the number of ids. */
  #claimId(pending: Flight | Request): number {
    do {
      this.#lastId = this.#lastId === 65_535 ? 1 : this.#lastId + 1;
    } while (this.#pending.has(this.#lastId));
    this.#pending.set(this.#lastId, pending);
    return this.#lastId;
  }
}
