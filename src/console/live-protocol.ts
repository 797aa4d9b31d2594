/** What GET /api/v1/live (WebSocket) speaks: one JSON object per text frame. Types only. */

/** The subprotocol that the server selects; the token comes as a second one that is offered. */
export type LiveProtocol = 'st-mqttd.live';

/** One second of the broker. Rates are per second; times are ms since 1970. */
export interface Tick {
  readonly t: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly connects: number;
  readonly disconnects: number;
  readonly refused: number;
  /** Of all causes. */
  readonly drops: number;
  /** Quantiles of this second's deliveries, in seconds; null = there was none. */
  readonly latency: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly count: number;
  } | null;
  readonly now: Gauges;
}

/** How things are, and counts since the start. */
export interface Gauges {
  readonly connected: number;
  readonly connectedByVersion: Readonly<Record<'3.1' | '3.1.1' | '5.0', number>>;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly retained: number;
  readonly retainedBytes: number;
  readonly queued: number;
  readonly inFlight: number;
  readonly messageBytes: number;
  readonly outboundBytes: number;
  /** Messages lost since the start by cause: those that are not zero. */
  readonly drops: Readonly<Record<string, number>>;
  /** Connections refused since the start, by cause: those that are not zero. */
  readonly refused: Readonly<Record<string, number>>;
  /** Resident memory of the process. */
  readonly rss: number;
}

export interface LogLine {
  readonly t: number;
  readonly level: string;
  readonly module: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface TopicValue {
  readonly topic: string;
  readonly payload: string;
  readonly encoding: 'plain' | 'base64';
  /** Of the whole payload. */
  readonly bytes: number;
  readonly truncated: boolean;
  readonly retain: boolean;
  /** Messages of this topic since the last report. */
  readonly count: number;
  readonly t: number;
}

export type FromBroker =
  | {
      readonly type: 'hello';
      readonly broker: {
        readonly id: number;
        readonly version: string;
        readonly startedAt: number;
        readonly listeners: readonly { readonly name: string; readonly address: string }[];
      };
      readonly caller: { readonly name: string; readonly role: 'read' | 'operate' | 'admin' };
      /** The last minutes, if someone looked already. */
      readonly history: readonly Tick[];
    }
  | { readonly type: 'tick'; readonly tick: Tick }
  /** `lost`: records that came faster than they are shown. */
  | { readonly type: 'logs'; readonly records: readonly LogLine[]; readonly lost: number }
  | { readonly type: 'watching'; readonly id: number; readonly filter: string }
  /** `lost`: messages that came faster than they are shown. */
  | {
      readonly type: 'values';
      readonly id: number;
      readonly values: readonly TopicValue[];
      readonly lost: number;
    }
  | {
      readonly type: 'error';
      /** Of the watch that it is about. */
      readonly id?: number;
      readonly code: string;
      readonly message: string;
    };

export type ToBroker =
  /** The log's tail from now on, or no more. */
  | { readonly type: 'logs'; readonly on: boolean }
  /** 'latest': the last value of each topic, some times a second; 'each': every message. */
  | {
      readonly type: 'watch';
      readonly id: number;
      readonly filter: string;
      readonly mode: 'latest' | 'each';
    }
  | { readonly type: 'unwatch'; readonly id: number };
