/** What the broker tells its application about clients, made of the native half's events. */

import type { BoundAddress } from '../listener/listeners.js';
import type { LogRecord } from '../log/logger.js';
import type {
  AlertName,
  CloseCauseName,
  LogsBudgetCauseName,
  SessionEndCauseName,
} from '../native/contract.js';
import type {
  AlertEvent,
  ConnectedEvent,
  DisconnectedEvent,
  LogEvent,
  ProtocolVersion,
  RefusedEvent,
  SessionEndedEvent,
} from '../native/events.js';

export interface ConnectInfo {
  /** Final: after assignment and the authenticator's change. */
  readonly clientId: string;
  /**
   * Which connection of its Client Identifier: 0 = the first, which has its session; others there are
   * only where `duplicate_client_id` is "allow".
   */
  readonly instance: number;
  readonly username: string | undefined;
  /** "127.0.0.1:52110", "[::1]:4040", "unix"; of a link: "link". */
  readonly address: string;
  /** The listener's name; undefined = a link of this process. */
  readonly listener: string | undefined;
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  readonly sessionPresent: boolean;
  /** Seconds, as in force; 0 = off. */
  readonly keepAlive: number;
  /** Seconds, as granted. */
  readonly sessionExpiry: number | 'never';
  readonly hasWill: boolean;
  /** Never reused while the process runs. */
  readonly connectionId: bigint;
}

export interface DisconnectInfo {
  readonly clientId: string;
  /** As ConnectInfo has it. */
  readonly instance: number;
  readonly username: string | undefined;
  readonly address: string;
  readonly cause: CloseCauseName;
  /** Of the DISCONNECT that was received or sent; 0 = none. */
  readonly reasonCode: number;
  /** For the operator; may be empty. */
  readonly detail: string;
  readonly connectionId: bigint;
}

export interface RefusedInfo {
  /** Empty where the connection ended before it was known. */
  readonly clientId: string;
  readonly address: string;
  readonly listener: string;
  readonly cause: CloseCauseName;
  /** As in MQTT 5.0, for 3.x clients too. */
  readonly reasonCode: number;
  readonly protocolVersion: ProtocolVersion | undefined;
  readonly detail: string;
  readonly connectionId: bigint;
}

/**
 * A session that was kept has ended. One that lives only as long as its connection ends with the
 * disconnect event.
 */
export interface SessionEndInfo {
  readonly clientId: string;
  /** As ConnectInfo has it. */
  readonly instance: number;
  readonly cause: SessionEndCauseName;
}

export interface AlertInfo {
  readonly alert: AlertName;
  /** Messages lost since the last alert of this kind and client or filter; of memory_budget, bytes in use. */
  readonly count: number;
  /** Empty = not about one client. */
  readonly clientId: string;
  /** Of clientId, as ConnectInfo has it; 0 where it is about no client. */
  readonly instance: number;
  /** The Topic Filter whose log was full (log_overrun); empty = of several, or not about one. */
  readonly filter: string;
  /** Which bound of all logs it was (logs_budget). */
  readonly cause: LogsBudgetCauseName | undefined;
}

/** The broker's events and what their listeners are called with. */
export interface BrokerEvents {
  listening: [addresses: readonly BoundAddress[]];
  connect: [client: ConnectInfo];
  disconnect: [client: DisconnectInfo];
  refused: [attempt: RefusedInfo];
  sessionEnd: [session: SessionEndInfo];
  alert: [alert: AlertInfo];
  log: [record: LogRecord];
}

export function connectInfo(event: ConnectedEvent, listener: string): ConnectInfo {
  const { flags } = event;
  return {
    clientId: event.clientId,
    instance: event.instance,
    username: event.username === '' ? undefined : event.username,
    address: flags.isLink ? 'link' : event.address,
    listener: flags.isLink ? undefined : listener,
    protocolVersion: event.protocolVersion,
    cleanStart: flags.cleanStart,
    sessionPresent: flags.sessionPresent,
    keepAlive: event.keepAlive,
    sessionExpiry: event.sessionExpiry,
    hasWill: flags.hasWill,
    connectionId: event.connectionId,
  };
}

export function disconnectInfo(event: DisconnectedEvent): DisconnectInfo {
  return {
    clientId: event.clientId,
    instance: event.instance,
    username: event.username === '' ? undefined : event.username,
    address: event.flags.isLink ? 'link' : event.address,
    cause: event.cause,
    reasonCode: event.reasonCode,
    detail: event.detail,
    connectionId: event.connectionId,
  };
}

export function refusedInfo(event: RefusedEvent, listener: string): RefusedInfo {
  return {
    clientId: event.clientId,
    address: event.address,
    listener,
    cause: event.cause,
    reasonCode: event.reasonCode,
    protocolVersion: event.protocolVersion,
    detail: event.detail,
    connectionId: event.connectionId,
  };
}

/** In records: of the first, which nearly all are, nothing. */
function told(instance: number): { readonly instance?: number } {
  return instance === 0 ? {} : { instance };
}

/** Log records of the native half, and of what it reports. */
export function nativeLogRecord(event: LogEvent): LogRecord {
  return {
    level: event.level,
    module: event.module,
    text: event.text,
    fields: {
      ...(event.clientId === '' ? {} : { clientId: event.clientId }),
      ...told(event.instance),
      ...(event.address === '' ? {} : { address: event.address }),
      ...(event.cause === 'none' ? {} : { cause: event.cause }),
      ...(event.reasonCode === 0 ? {} : { reasonCode: event.reasonCode }),
      ...(event.suppressed === 0 ? {} : { suppressed: event.suppressed }),
    },
  };
}

export function connectRecord(client: ConnectInfo): LogRecord {
  const { clientId, instance, address, listener, protocolVersion, username, sessionPresent } =
    client;
  return {
    level: 'info',
    module: 'session',
    text: 'client connected',
    fields: {
      clientId,
      ...told(instance),
      address,
      ...(listener === undefined ? {} : { listener }),
      ...(username === undefined ? {} : { username }),
      version: protocolVersion,
      sessionPresent,
    },
  };
}

export function disconnectRecord(client: DisconnectInfo): LogRecord {
  const { clientId, instance, address, cause, reasonCode, detail } = client;
  return {
    level: 'info',
    module: 'session',
    text: 'client disconnected',
    fields: {
      clientId,
      ...told(instance),
      address,
      cause,
      reasonCode,
      ...(detail === '' ? {} : { detail }),
    },
  };
}

export function refusedRecord(attempt: RefusedInfo): LogRecord {
  const { clientId, address, listener, cause, reasonCode, detail } = attempt;
  return {
    level: 'info',
    module: 'session',
    text: 'client refused',
    fields: {
      clientId,
      address,
      listener,
      cause,
      reasonCode,
      ...(detail === '' ? {} : { detail }),
    },
  };
}

export function sessionEndRecord(event: SessionEndedEvent): LogRecord {
  const { clientId, instance, cause } = event;
  const fields = { clientId, ...told(instance), cause };
  return { level: 'debug', module: 'session', text: 'session ended', fields };
}

export function alertRecord(event: AlertEvent): LogRecord {
  const { clientId, instance, count, filter, cause } = event;
  return {
    level: 'warn',
    module: 'session',
    text: alertTexts[event.alert],
    fields: {
      ...(clientId === '' ? {} : { clientId }),
      ...told(instance),
      ...(filter === '' ? {} : { filter }),
      ...(cause === undefined ? {} : { cause: logsBudgetOptions[cause] }),
      count,
    },
  };
}

const alertTexts: Readonly<Record<AlertName, string>> = {
  queue_overflow: "a session's queue is full: messages were dropped",
  memory_budget: 'the memory budget is used up: messages were dropped',
  log_overrun: 'the log of a filter is full: its oldest messages were dropped',
  logs_budget: 'logs take too much: those written to least recently were dropped',
};
/** The options that bound them. */
const logsBudgetOptions: Readonly<Record<LogsBudgetCauseName, string>> = {
  filters: 'max_dynamic_filters',
  bytes: 'max_dynamic_bytes',
  memory: 'max_memory_bytes',
};
