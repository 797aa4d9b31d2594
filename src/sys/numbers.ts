/** What the $SYS topics are made of: one reading of counters and tables, and sums of them. */
import type { Metrics } from '../metrics/counters.js';
import type { CounterName } from '../native/contract.js';

/** Of NativeBroker.tableCounts(), in its order. */
export interface TableCounts {
  readonly subscriptions: number;
  readonly sharedSubscriptions: number;
  readonly nodes: number;
  readonly retained: number;
  readonly retainedBytes: number;
}

export interface Numbers {
  readonly counters: Metrics;
  readonly tables: TableCounts;
  /** Milliseconds on a clock that only goes forward. */
  readonly nowMs: number;
  /** Seconds since the broker listens, whole. */
  readonly uptimeS: number;
  /** Clients with a connection, and sessions with and without one. */
  readonly connected: number;
  readonly sessions: number;
  /** The highest of each that was seen when $SYS was published. */
  readonly highest: Readonly<
    Record<'connected' | 'sessions' | 'subscriptions' | 'shared' | 'retained', number>
  >;
  /** Bytes that the process holds, now and at most. */
  readonly memory: { readonly current: number; readonly maximum: number };
  /** Events that were not published because there were too many in their second. */
  readonly eventsLeftOut: number;
}

export const kTableCounts = 5;

export function tableCounts(raw: BigInt64Array): TableCounts {
  const at = (index: number) => Number(raw[index] ?? 0n);
  return {
    subscriptions: at(0),
    sharedSubscriptions: at(1),
    nodes: at(2),
    retained: at(3),
    retainedBytes: at(4),
  };
}

export function sum(counters: Metrics, names: readonly CounterName[]): number {
  return names.reduce((total, name) => total + counters[name], 0);
}

export const publishReceived = [
  'publish_received_qos0',
  'publish_received_qos1',
  'publish_received_qos2',
] as const;
export const publishSent = ['publish_sent_qos0', 'publish_sent_qos1', 'publish_sent_qos2'] as const;

/** Lost to a bound of queues or memory: not what expired or had no receiver. */
export const publishDropped = [
  'dropped_outbound_watermark',
  'dropped_queue_full_newest',
  'dropped_queue_full_oldest',
  'dropped_queue_bytes',
  'dropped_memory_budget',
] as const;

export const clientsConnected = [
  'clients_connected_v31',
  'clients_connected_v311',
  'clients_connected_v5',
] as const;
export const clientsDisconnected = [
  'clients_disconnected_v31',
  'clients_disconnected_v311',
  'clients_disconnected_v5',
] as const;

export function connectedClients(counters: Metrics): number {
  // Threads are read one after the other: a client that moves between them may be seen gone only.
  return Math.max(0, sum(counters, clientsConnected) - sum(counters, clientsDisconnected));
}

export function sessionCount(counters: Metrics): number {
  return Math.max(0, counters.sessions_created - counters.sessions_ended);
}
