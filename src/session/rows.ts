/**
 * What the native half says about sessions, as rows: its JSON, in which what is not there is left
 * out, times are in milliseconds since 1970 (whole seconds), and yes is 1.
 */
import { type CloseCauseName, closeCauseNames, transportNames } from '../native/contract.js';
import { kForever, versions } from '../native/events.js';
import type {
  ClientDetail,
  ClientRow,
  DenialRow,
  InFlightRow,
  LogRow,
  RetainedRow,
  SubscriptionRow,
  Transport,
} from './registry.js';

/** As native/session/shard_queries.cpp writes it. */
interface RawClient {
  readonly id: string;
  readonly instance?: number;
  readonly user?: string;
  readonly connection_id?: string;
  readonly address?: string;
  readonly listener?: number;
  readonly version?: number;
  readonly clean_start?: number;
  readonly keep_alive?: number;
  readonly received?: number;
  readonly expiry: number;
  readonly created: number;
  readonly connected?: number;
  readonly disconnected?: number;
  readonly cause?: number;
  readonly subscriptions: number;
  readonly queued: number;
  readonly queued_bytes: number;
  readonly in_flight: number;
  readonly inbound: number;
  readonly dropped: number;
  readonly has_will: number;
  readonly thread: number;
}

interface RawDetail extends RawClient {
  readonly instances?: readonly number[];
  readonly connection?: {
    readonly receive_maximum: number;
    readonly maximum_packet_size: number;
    readonly topic_alias_maximum: number;
    readonly outbound_bytes: number;
    readonly paused: number;
    readonly transport: number;
  };
  readonly identity?: {
    readonly tenant: string;
    readonly device_id: string;
    readonly role: number;
    readonly groups: readonly string[];
    readonly certificate: string;
    readonly expires?: number;
  };
  readonly will?: {
    readonly topic: string;
    readonly qos: number;
    readonly retain: number;
    readonly payload_bytes: number;
    readonly delay: number;
  };
  readonly window: readonly {
    readonly id: number;
    readonly direction: 'out' | 'in';
    readonly qos: number;
    readonly state: string;
    readonly topic?: string;
    readonly payload_bytes?: number;
  }[];
}

interface RawSubscription {
  readonly client: string;
  readonly instance?: number;
  readonly filter: string;
  /** As in a SUBSCRIBE packet (3.8.3.1). */
  readonly options: number;
  readonly id?: number;
}

interface RawRetained {
  readonly topic: string;
  readonly payload_bytes: number;
  readonly qos: number;
  readonly expires?: number;
  readonly sequence: number;
  readonly publisher?: string;
  readonly publisher_thread?: number;
  readonly publisher_slot?: number;
  readonly publisher_generation?: number;
}

/** As native/session/topic_logs.cpp writes it. */
interface RawLog {
  readonly filter: string;
  readonly initialized: number;
  readonly messages: number;
  readonly bytes: number;
  readonly segments: number;
  readonly appended: number;
  readonly appendedBytes: number;
  readonly lost: number;
  readonly created: number;
  readonly written?: number;
}

/** A session by its place: its thread knows its name. */
export interface SessionPlace {
  readonly thread: number;
  readonly slot: number;
  readonly generation: number;
}

/** A retained message whose publisher may still have to be asked for. */
export interface RetainedFind {
  readonly row: RetainedRow;
  readonly publishedBy: SessionPlace | undefined;
}

export type ListenerNames = (listenerId: number) => string;

/** Bits of native/base/pause_cause.hpp. */
const pauseCauses = ['outbox', 'verdict', 'store', 'queue_full', 'memory_budget', 'rate'];

/** By Role of native/contract/records.hpp. */
const roles = [undefined, 'device', 'service'] as const;

export function clientRows(json: string, nameOf: ListenerNames): ClientRow[] {
  return (JSON.parse(json) as RawClient[]).map((raw) => clientRow(raw, nameOf));
}

export function clientDetail(json: string, nameOf: ListenerNames): ClientDetail {
  const raw = JSON.parse(json) as RawDetail;
  const { connection, identity, will } = raw;
  return {
    ...clientRow(raw, nameOf),
    instances: raw.instances ?? [],
    connection: connection && {
      receiveMaximum: connection.receive_maximum,
      maximumPacketSize: connection.maximum_packet_size,
      topicAliasMaximum: connection.topic_alias_maximum,
      outboundBytes: connection.outbound_bytes,
      pausedBy: pauseCauses.filter((_, bit) => (connection.paused & (1 << bit)) !== 0),
      transport: transportName(connection.transport),
    },
    identity: identity && {
      tenant: identity.tenant || undefined,
      deviceId: identity.device_id || undefined,
      role: roles[identity.role],
      groups: identity.groups,
      certificateName: identity.certificate || undefined,
      expiresAt: identity.expires,
    },
    will: will && {
      topic: will.topic,
      qos: will.qos,
      retain: will.retain === 1,
      payloadBytes: will.payload_bytes,
      delay: will.delay,
    },
    window: raw.window.map(
      ({ id, direction, qos, state, topic, payload_bytes }): InFlightRow => ({
        packetId: id,
        direction,
        qos,
        state,
        topic: topic ?? '',
        payloadBytes: payload_bytes ?? 0,
      }),
    ),
  };
}

function transportName(transport: number): Transport {
  const name = transportNames[transport] ?? 'tcp';
  return name === 'unix_socket' ? 'unix' : name;
}

function clientRow(raw: RawClient, nameOf: ListenerNames): ClientRow {
  return {
    clientId: raw.id,
    instance: raw.instance ?? 0,
    connectionId: raw.connection_id ?? '',
    connected: raw.connection_id !== undefined,
    username: raw.user,
    address: raw.address ?? '',
    listener: raw.listener === undefined ? undefined : nameOf(raw.listener),
    protocolVersion: raw.version === undefined ? undefined : versions[raw.version],
    cleanStart: raw.clean_start === 1,
    keepAlive: raw.keep_alive ?? 0,
    sessionExpiry: raw.expiry === kForever ? 'never' : raw.expiry,
    createdAt: raw.created,
    connectedAt: raw.connected,
    disconnectedAt: raw.disconnected,
    lastReceivedAt: raw.received,
    lastCause: causeName(raw.cause),
    subscriptions: raw.subscriptions,
    queuedMessages: raw.queued,
    queuedBytes: raw.queued_bytes,
    inFlight: raw.in_flight,
    inboundInFlight: raw.inbound,
    dropped: raw.dropped,
    hasWill: raw.has_will === 1,
    thread: raw.thread,
  };
}

function causeName(cause: number | undefined): CloseCauseName | undefined {
  return cause === undefined ? undefined : closeCauseNames[cause];
}

export function logRows(json: string): LogRow[] {
  return (JSON.parse(json) as RawLog[]).map(logRow);
}

export function logDetail(json: string): LogRow {
  return logRow(JSON.parse(json) as RawLog);
}

function logRow({ initialized, created, written, ...rest }: RawLog): LogRow {
  return { ...rest, initialized: initialized === 1, createdAt: created, writtenAt: written };
}

/** As native/session/denials.cpp writes it. */
export function denialRows(json: string): DenialRow[] {
  return JSON.parse(json) as DenialRow[];
}

export function subscriptionRows(json: string): SubscriptionRow[] {
  return (JSON.parse(json) as RawSubscription[]).map(
    ({ client, instance, filter, options, id }) => ({
      clientId: client,
      instance: instance ?? 0,
      filter,
      qos: options & 3,
      noLocal: (options & 4) !== 0,
      retainAsPublished: (options & 8) !== 0,
      retainHandling: (options >> 4) & 3,
      subscriptionId: id,
      group: /^\$share\/([^/]+)\//.exec(filter)?.[1],
    }),
  );
}

/** `json` is one row or an array of them; `data` has their payloads, one behind the other. */
export function retainedFinds(json: string, data: Buffer): RetainedFind[] {
  let at = 0;
  return [JSON.parse(json) as RawRetained | RawRetained[]].flat().map((raw) => {
    const payload = data.subarray(at, at + raw.payload_bytes);
    at += raw.payload_bytes;
    const { topic, qos, sequence, publisher = '', expires: expiresAt } = raw;
    const {
      publisher_thread: thread,
      publisher_slot: slot = 0,
      publisher_generation: generation = 0,
    } = raw;
    return {
      row: { topic, payload, qos, publisher, expiresAt, sequence },
      publishedBy: thread === undefined ? undefined : { thread, slot, generation },
    };
  });
}
