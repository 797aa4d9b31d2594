/** The WebSocket to the broker: one for the page, opened again when it is lost. */
import type { FromBroker, LogLine, Tick, ToBroker, TopicValue } from '../live-protocol.js';
import { base, request, token } from './api.js';

export type { LogLine, Tick, TopicValue };
export type Hello = FromBroker & { type: 'hello' };
export type LiveState = 'connecting' | 'open' | 'lost';

/** Five minutes. */
export const kTicks = 300;
const kFirstRetryMs = 500;
const kLastRetryMs = 10_000;

interface WatchSpec {
  readonly id: number;
  readonly filter: string;
  readonly mode: 'latest' | 'each';
  readonly values: (values: readonly TopicValue[], lost: number) => void;
  readonly failed: (message: string) => void;
}

type LogListener = (records: readonly LogLine[], lost: number) => void;

let socket: WebSocket | undefined;
let wanted = false;
let retryMs = kFirstRetryMs;
let retry: ReturnType<typeof setTimeout> | undefined;
let nextId = 1;
const changed = new Set<() => void>();
const watches = new Map<number, WatchSpec>();
const logListeners = new Set<LogListener>();

export const live: { state: LiveState; hello: Hello | undefined; ticks: Tick[] } = {
  state: 'connecting',
  hello: undefined,
  ticks: [],
};

/** Calls back at each tick and each change of state. */
export function onLive(listener: () => void): () => void {
  changed.add(listener);
  return () => changed.delete(listener);
}

export function connect(): void {
  wanted = true;
  open();
}

export function disconnect(): void {
  wanted = false;
  clearTimeout(retry);
  socket?.close();
  socket = undefined;
  live.hello = undefined;
  live.ticks = [];
  set('connecting');
}

/** Values of a filter, until the returned function is called. */
export function watch(spec: Omit<WatchSpec, 'id'>): () => void {
  const id = nextId++;
  watches.set(id, { id, ...spec });
  send({ type: 'watch', id, filter: spec.filter, mode: spec.mode });
  return () => {
    if (watches.delete(id)) send({ type: 'unwatch', id });
  };
}

export function tailLogs(listener: LogListener): () => void {
  logListeners.add(listener);
  if (logListeners.size === 1) send({ type: 'logs', on: true });
  return () => {
    logListeners.delete(listener);
    if (logListeners.size === 0) send({ type: 'logs', on: false });
  };
}

function set(state: LiveState): void {
  live.state = state;
  for (const listener of changed) listener();
}

function open(): void {
  const url = new URL('api/v1/live', base);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const known = token();
  const protocols = ['st-mqttd.live'];
  // A browser cannot send an Authorization header here; not every token is a subprotocol's name.
  if (known !== undefined) protocols.push(`bearer64.${base64url(known)}`);
  const opened = new WebSocket(url, protocols);
  socket = opened;
  opened.onmessage = ({ data }) => receive(JSON.parse(String(data)) as FromBroker);
  opened.onclose = () => {
    if (socket === opened) socket = undefined;
    if (wanted && socket === undefined) lost();
  };
}

function lost(): void {
  set('lost');
  clearTimeout(retry);
  retry = setTimeout(() => void reopen(), retryMs);
  retryMs = Math.min(kLastRetryMs, retryMs * 2);
}

/** A WebSocket does not say why it was refused; a request does, and leads to the login. */
async function reopen(): Promise<void> {
  try {
    await request('api/v1/brokers');
  } catch {
    if (wanted) lost();
    return;
  }
  if (wanted && socket === undefined) open();
}

function send(frame: ToBroker): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function receive(frame: FromBroker): void {
  switch (frame.type) {
    case 'hello':
      retryMs = kFirstRetryMs;
      if (live.hello?.broker.startedAt !== frame.broker.startedAt) live.ticks = [];
      live.hello = frame;
      if (live.ticks.length === 0) live.ticks = [...frame.history];
      for (const { id, filter, mode } of watches.values())
        send({ type: 'watch', id, filter, mode });
      if (logListeners.size > 0) send({ type: 'logs', on: true });
      set('open');
      return;
    case 'tick':
      live.ticks.push(frame.tick);
      if (live.ticks.length > kTicks) live.ticks.shift();
      for (const listener of changed) listener();
      return;
    case 'logs':
      for (const listener of logListeners) listener(frame.records, frame.lost);
      return;
    case 'values':
      watches.get(frame.id)?.values(frame.values, frame.lost);
      return;
    case 'error': {
      const failed = frame.id === undefined ? undefined : watches.get(frame.id);
      if (failed === undefined) return;
      watches.delete(failed.id);
      failed.failed(frame.message);
    }
  }
}

function base64url(text: string): string {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
