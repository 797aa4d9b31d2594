/**
 * What can be asked about clients, sessions, subscriptions and retained messages, and done to them.
 * The native tables are the registry: every listing comes by pages, and none is held here.
 * Implemented over the contract's queries (native-registry.ts); console and metrics see only this.
 */
import type { CloseCauseName } from '../native/contract.js';
import type { ProtocolVersion } from '../native/events.js';

/** One page of a listing that may change meanwhile: what exists throughout is listed once. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; for the next call. undefined = that was the last page. */
  readonly next: string | undefined;
}

export interface PageRequest {
  /** Of the page before; undefined = from the beginning. */
  readonly cursor?: string | undefined;
  /** How many at most, 1 to 1000. A page may have fewer, and still not be the last. */
  readonly limit: number;
}

/** A session, with its connection if it has one. */
export interface ClientRow {
  readonly clientId: string;
  /**
   * Which connection of its Client Identifier: 0 = the first, which has its session; others there are
   * only where `duplicate_client_id` is "allow", and they end with their connections.
   */
  readonly instance: number;
  /** As decimal text: never reused while the process runs. '' = no connection. */
  readonly connectionId: string;
  readonly connected: boolean;
  readonly username: string | undefined;
  /** "127.0.0.1:52110", "unix", "link"; '' = no connection. */
  readonly address: string;
  /** The listener's name; undefined = a link, or no connection. */
  readonly listener: string | undefined;
  readonly protocolVersion: ProtocolVersion | undefined;
  readonly cleanStart: boolean;
  /** Seconds, in force; 0 = off. */
  readonly keepAlive: number;
  readonly sessionExpiry: number | 'never';
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly connectedAt: number | undefined;
  readonly disconnectedAt: number | undefined;
  /** When something last came from it, PINGREQ included; undefined = it is not connected. */
  readonly lastReceivedAt: number | undefined;
  /** Why its last connection ended; undefined = none has ended. */
  readonly lastCause: CloseCauseName | undefined;
  readonly subscriptions: number;
  /** Messages beyond the window, and their bytes. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Sent QoS 1 and 2 messages that are not acknowledged, and QoS 2 identifiers received. */
  readonly inFlight: number;
  readonly inboundInFlight: number;
  /** Messages lost to this session's own bounds. */
  readonly dropped: number;
  readonly hasWill: boolean;
  /** The I/O thread that it lives on. */
  readonly thread: number;
}

/** A message in a session's window. */
export interface InFlightRow {
  readonly packetId: number;
  readonly direction: 'out' | 'in';
  readonly qos: number;
  readonly state: string;
  readonly topic: string;
  readonly payloadBytes: number;
}

export type Transport = 'tcp' | 'unix' | 'tls' | 'ws' | 'wss';

export interface ClientIdentity {
  readonly tenant: string | undefined;
  readonly deviceId: string | undefined;
  readonly role: 'device' | 'service' | undefined;
  readonly groups: readonly string[];
  /** What rules call its certificate. */
  readonly certificateName: string | undefined;
  /** When its credentials are over, in ms since 1970; undefined = never. */
  readonly expiresAt: number | undefined;
}

export interface ClientDetail extends ClientRow {
  /** Of all connections beside the first of its Client Identifier: the first 100 of them. */
  readonly instances: readonly number[];
  /** Of its connection; undefined without one. */
  readonly connection:
    | {
        readonly receiveMaximum: number;
        readonly maximumPacketSize: number;
        readonly topicAliasMaximum: number;
        /** Bytes in the outbound queue. */
        readonly outboundBytes: number;
        /** Why we do not read from it now; empty = we do. */
        readonly pausedBy: readonly string[];
        readonly transport: Transport;
      }
    | undefined;
  /** What its verdict or its listener said of it; undefined = nothing. */
  readonly identity: ClientIdentity | undefined;
  readonly will:
    | {
        readonly topic: string;
        readonly qos: number;
        readonly retain: boolean;
        readonly payloadBytes: number;
        /** Seconds. */
        readonly delay: number;
      }
    | undefined;
  /** The first 100. */
  readonly window: readonly InFlightRow[];
}

export interface SubscriptionRow {
  readonly clientId: string;
  /** As ClientRow has it. */
  readonly instance: number;
  /** As the client gave it: with $share/… */
  readonly filter: string;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: number;
  readonly subscriptionId: number | undefined;
  /** ShareName; undefined = not shared. */
  readonly group: string | undefined;
}

export interface RetainedRow {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: number;
  /** The publisher's Client Identifier; '' = not known. */
  readonly publisher: string;
  /** Milliseconds since 1970. undefined = never expires. */
  readonly expiresAt: number | undefined;
  /** Order in which they were set. */
  readonly sequence: number;
}

export interface Totals {
  readonly sessions: number;
  readonly connected: number;
  readonly subscriptions: number;
  /** Distinct Topic Filters; trie nodes behind them. */
  readonly filters: number;
  readonly trieNodes: number;
  readonly retained: number;
  readonly retainedBytes: number;
}

export interface SubscribeRequest {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly retainHandling?: 0 | 1 | 2;
  /** Which connection of the Client Identifier; default: the first. */
  readonly instance?: number | undefined;
}

/** The log of a filter: messages that nobody had subscribed to. */
export interface LogRow {
  readonly filter: string;
  /** [router] initialized_filters has it. */
  readonly initialized: boolean;
  /** In it now; bytes as its segments count them: 4, Topic Name and payload of each. */
  readonly messages: number;
  readonly bytes: number;
  readonly segments: number;
  /** Since it was made, with what is gone again. */
  readonly appended: number;
  readonly appendedBytes: number;
  /** Dropped because it was full. */
  readonly lost: number;
  /** ms since 1970, whole seconds. */
  readonly createdAt: number;
  /** undefined = never. */
  readonly writtenAt: number | undefined;
}

/** What a client was not allowed to do. */
export interface DenialRow {
  /** ms since 1970. */
  readonly at: number;
  /** Behind its tenant. */
  readonly clientId: string;
  /** '' = none. */
  readonly username: string;
  readonly action: 'PUBLISH' | 'SUBSCRIBE' | 'Will';
  /** The Topic Name or Topic Filter inside, behind the tenant; of `me` as it was written. */
  readonly topic: string;
  /** What denied: "rule 3", the file and line of a rule, "the default", "device scope: …". */
  readonly rule: string;
}

/**
 * All may reject with ST_BROKER_STATE when the broker stops meanwhile. `instance`: which connection of
 * the Client Identifier is meant; not given: the first if it has a session, else the one with the
 * least number; and where connections are closed, all of them.
 */
export interface Registry {
  /** In no particular order. */
  clients(page: PageRequest): Promise<Page<ClientRow>>;
  client(clientId: string, instance?: number): Promise<ClientDetail | undefined>;
  /** Of one client, or of all. */
  subscriptions(
    page: PageRequest & { readonly clientId?: string; readonly instance?: number | undefined },
  ): Promise<Page<SubscriptionRow>>;
  /** Who would get a message published to this Topic Name: at most 10,000; of a group, all members. */
  routes(topic: string): Promise<readonly SubscriptionRow[]>;
  /** By topic, in byte order; those that match `filter`, default all. */
  retained(page: PageRequest & { readonly filter?: string }): Promise<Page<RetainedRow>>;
  retainedMessage(topic: string): Promise<RetainedRow | undefined>;
  /** Whether there was one. Subscribers are not told. */
  deleteRetained(topic: string): Promise<boolean>;
  /** Logs of messages that nobody had subscribed to, in no particular order. */
  logs(page: PageRequest): Promise<Page<LogRow>>;
  log(filter: string): Promise<LogRow | undefined>;
  /** With its messages, counted; one of initialized_filters is emptied. Whether there was one. */
  deleteLog(filter: string): Promise<boolean>;
  /**
   * What was denied lately, by I/O thread, newest first: the last 64 of each, at most 20 of a second.
   * The counters count every one.
   */
  denials(page: PageRequest): Promise<Page<DenialRow>>;
  /** Closes the connection, if there is one. Whether there was. */
  kick(clientId: string, reasonCode: number, reason: string, instance?: number): Promise<boolean>;
  /** Ends the session, its connection first. Whether there was one. */
  endSession(clientId: string, instance?: number): Promise<boolean>;
  /** On behalf of a client: the Reason Code that its SUBACK would have; undefined = no such session. */
  subscribe(clientId: string, request: SubscribeRequest): Promise<number | undefined>;
  unsubscribe(clientId: string, filter: string, instance?: number): Promise<number | undefined>;
  totals(): Totals;
}
