/** What the native half tells, as typed objects. Nothing here runs. */
import type {
  AlertName,
  CloseCauseName,
  DropCauseName,
  LogLevelName,
  LogsBudgetCauseName,
  NativeModuleName,
  NoticeName,
  QueryStatusName,
  SessionEndCauseName,
  TraceEndCauseName,
  TransportName,
  WriteCauseName,
  WriteOutcomeName,
} from './contract.js';

export type ProtocolVersion = '3.1' | '3.1.1' | '5.0';

export interface ConnectFlags {
  readonly cleanStart: boolean;
  readonly hasUsername: boolean;
  readonly hasPassword: boolean;
  readonly hasWill: boolean;
  readonly sessionPresent: boolean;
  readonly isLink: boolean;
  readonly assignedId: boolean;
  /** In a connect_request: it was accepted, and hooks are asked. */
  readonly isHooked: boolean;
}

export interface ConnectRequestEvent {
  readonly kind: 'connect_request';
  readonly connectionId: bigint;
  readonly listenerId: number;
  readonly sessionExpiry: number | 'never';
  readonly keepAlive: number;
  readonly protocolVersion: ProtocolVersion;
  readonly flags: ConnectFlags;
  readonly clientId: string;
  readonly username: string;
  /** A copy: it outlives the batch. */
  readonly password: Buffer;
  readonly address: string;
  readonly willTopic: string;
  readonly transport: TransportName;
  /** DER of the client's verified certificate, a copy; empty = none. */
  readonly certificate: Buffer;
  /** v5 Authentication Method; '' = none. */
  readonly authMethod: string;
  readonly authData: Buffer;
}

/** An AUTH packet that waits for a verdict. */
export interface AuthRequestEvent {
  readonly kind: 'auth_request';
  readonly connectionId: bigint;
  /** Re-authentication of a client that is connected. */
  readonly again: boolean;
  readonly authMethod: string;
  readonly authData: Buffer;
  /** Of a client that is connected, as it was admitted; else ''. */
  readonly clientId: string;
  readonly username: string;
  readonly address: string;
  readonly listenerId: number;
}

export interface ConnectedEvent {
  readonly kind: 'connected';
  readonly connectionId: bigint;
  readonly listenerId: number;
  readonly sessionExpiry: number | 'never';
  readonly keepAlive: number;
  readonly protocolVersion: ProtocolVersion;
  readonly flags: ConnectFlags;
  readonly clientId: string;
  /** Which connection of its Client Identifier: 0 = the first, which has its session. */
  readonly instance: number;
  readonly username: string;
  readonly address: string;
}

export interface DisconnectedEvent {
  readonly kind: 'disconnected';
  readonly connectionId: bigint;
  readonly cause: CloseCauseName;
  readonly reasonCode: number;
  readonly flags: ConnectFlags;
  readonly clientId: string;
  readonly instance: number;
  readonly username: string;
  readonly address: string;
  readonly detail: string;
}

export interface RefusedEvent {
  readonly kind: 'refused';
  readonly connectionId: bigint;
  readonly listenerId: number;
  readonly cause: CloseCauseName;
  readonly reasonCode: number;
  /** undefined: the socket ended before a version was known. */
  readonly protocolVersion: ProtocolVersion | undefined;
  readonly clientId: string;
  readonly address: string;
  readonly detail: string;
}

export interface SessionEndedEvent {
  readonly kind: 'session_ended';
  readonly cause: SessionEndCauseName;
  readonly clientId: string;
  readonly instance: number;
}

/** The packets lie in `buffer` from `start` to `end`, and only until the handler returns. */
export interface LinkBytesEvent {
  readonly kind: 'link_bytes';
  readonly linkId: number;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

export interface LinkClosedEvent {
  readonly kind: 'link_closed';
  readonly linkId: number;
  readonly cause: CloseCauseName;
  readonly reasonCode: number;
}

export interface LogEvent {
  readonly kind: 'log';
  /** undefined: not about a connection. */
  readonly connectionId: bigint | undefined;
  readonly suppressed: number;
  readonly cause: CloseCauseName;
  readonly level: LogLevelName;
  readonly module: NativeModuleName;
  readonly reasonCode: number;
  readonly clientId: string;
  readonly instance: number;
  readonly address: string;
  readonly text: string;
}

export interface AlertEvent {
  readonly kind: 'alert';
  readonly alert: AlertName;
  readonly count: number;
  readonly clientId: string;
  readonly instance: number;
  /** Of log_overrun. */
  readonly filter: string;
  /** Of logs_budget. */
  readonly cause: LogsBudgetCauseName | undefined;
}

/** A packet of a client that is traced; its secrets are blanked. */
export interface TraceEvent {
  readonly kind: 'trace';
  readonly traceId: number;
  readonly connectionId: bigint;
  /** When, in ms since 1970. */
  readonly time: number;
  readonly direction: 'in' | 'out';
  readonly protocolVersion: ProtocolVersion;
  readonly clientId: string;
  readonly instance: number;
  readonly address: string;
  /** A copy of its beginning. */
  readonly packet: Buffer;
  /** Bytes of the whole packet. */
  readonly packetLength: number;
  /** How many that fitted were left out since the last one, because they were too many. */
  readonly suppressed: number;
}

export interface TraceEndEvent {
  readonly kind: 'trace_end';
  readonly traceId: number;
  readonly cause: TraceEndCauseName;
  readonly suppressed: number;
}

export interface DrainedEvent {
  readonly kind: 'drained';
  readonly unflushedConnections: number;
}

/** The answer to a query command. Everything in it is a copy. */
export interface ReplyEvent {
  readonly kind: 'reply';
  readonly queryId: number;
  readonly status: QueryStatusName;
  /** Reason Code, where one was asked for. */
  readonly code: number;
  /** JSON; '' = none. */
  readonly rows: string;
  /** Empty = that was the last page. */
  readonly cursor: Buffer;
  readonly data: Buffer;
}

/** A PUBLISH that waits for hooks. The record lies in `buffer` at `at`, only until the handler returns. */
export interface PublishHookEvent {
  readonly kind: 'publish_hook';
  readonly buffer: Buffer;
  readonly at: number;
}

/** What became of a direct_write command. */
export interface WrittenEvent {
  readonly kind: 'written';
  readonly writeId: number;
  readonly outcome: WriteOutcomeName;
  readonly cause: WriteCauseName;
  /** Of the client's acknowledgement. */
  readonly reasonCode: number;
  /** Which connection of the Client Identifier it was for. */
  readonly instance: number;
}

/** A SUBSCRIBE that waits for hooks; likewise. */
export interface SubscribeHookEvent {
  readonly kind: 'subscribe_hook';
  readonly buffer: Buffer;
  readonly at: number;
}

/** A message waits for hooks on its way to one receiver; likewise. */
export interface DeliverHookEvent {
  readonly kind: 'deliver_hook';
  readonly buffer: Buffer;
  readonly at: number;
}

/** What hooks are only told. */
export interface NoticeEvent {
  readonly kind: 'notice';
  readonly notice: NoticeName;
  /** undefined: nobody has one. */
  readonly connectionId: bigint | undefined;
  /** Notices that were left out since the last one. */
  readonly leftOut: number;
  readonly cause: DropCauseName;
  readonly packetId: number;
  readonly qos: 0 | 1 | 2;
  readonly reasonCode: number;
  readonly instance: number;
  readonly clientId: string;
  readonly topic: string;
}

export type NativeEvent =
  | ConnectRequestEvent
  | AuthRequestEvent
  | ConnectedEvent
  | DisconnectedEvent
  | RefusedEvent
  | SessionEndedEvent
  | LinkBytesEvent
  | LinkClosedEvent
  | LogEvent
  | AlertEvent
  | TraceEvent
  | TraceEndEvent
  | DrainedEvent
  | ReplyEvent
  | PublishHookEvent
  | WrittenEvent
  | SubscribeHookEvent
  | DeliverHookEvent
  | NoticeEvent;
