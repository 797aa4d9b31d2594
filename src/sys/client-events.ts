/** Events about clients and sessions as messages: rmqttd's topics and payloads, with the cause. */
import type {
  ConnectInfo,
  DisconnectInfo,
  RefusedInfo,
  SessionEndInfo,
} from '../session/events.js';

/** The events that become messages. */
export interface SysEvents {
  readonly connect: readonly [ConnectInfo];
  readonly disconnect: readonly [DisconnectInfo];
  readonly refused: readonly [RefusedInfo];
  readonly sessionEnd: readonly [SessionEndInfo];
}

export interface EventMessage {
  /** Below $SYS/brokers/{node}/. */
  readonly topic: string;
  readonly payload: string;
}

const levels = { '3.1': 3, '3.1.1': 4, '5.0': 5 } as const;
/** What a level of a Topic Name cannot hold, and % itself. The longest Topic Name bounds it. */
const kUnfit = /[%/+#]/g;
const kMaxLevelBytes = 60_000;

/** A Client Identifier as one level of a topic: / + # and % as %2F %2B %23 %25. */
export function clientLevel(clientId: string): string {
  const level = clientId.replace(
    kUnfit,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  if (Buffer.byteLength(level) <= kMaxLevelBytes) return level;
  // Cut where a character ends: the payload has all of it.
  return Buffer.from(level)
    .subarray(0, kMaxLevelBytes)
    .toString()
    .replace(/\uFFFD+$/, '');
}

export function connectMessages(node: number, client: ConnectInfo, now: Date): EventMessage[] {
  const { clientId, sessionPresent, sessionExpiry } = client;
  const common = {
    node,
    ipaddress: client.address,
    clientid: clientId,
    ...told(client.instance),
    username: client.username ?? null,
  };
  const time = timeText(now);
  const messages = [
    message('clients', clientId, 'connected', {
      ...common,
      listener: client.listener ?? null,
      keepalive: client.keepAlive,
      proto_ver: levels[client.protocolVersion],
      clean_session: client.cleanStart,
      session_expiry: sessionExpiry,
      connected_at: now.getTime(),
      session_present: sessionPresent,
      time,
    }),
  ];
  // One that ends with its connection is not worth two events more.
  if (!sessionPresent && sessionExpiry !== 0) {
    const created = { ...common, created_at: now.getTime(), time };
    messages.push(message('session', clientId, 'created', created));
  }
  return messages;
}

export function disconnectMessage(node: number, client: DisconnectInfo, now: Date): EventMessage {
  return message('clients', client.clientId, 'disconnected', {
    node,
    ipaddress: client.address,
    clientid: client.clientId,
    ...told(client.instance),
    username: client.username ?? null,
    disconnected_at: now.getTime(),
    reason: reasonText(client.cause, client.detail),
    cause: client.cause,
    reason_code: client.reasonCode,
    time: timeText(now),
  });
}

export function refusedMessage(node: number, attempt: RefusedInfo, now: Date): EventMessage {
  const { protocolVersion } = attempt;
  return message('clients', attempt.clientId, 'refused', {
    node,
    ipaddress: attempt.address,
    clientid: attempt.clientId,
    listener: attempt.listener,
    proto_ver: protocolVersion === undefined ? null : levels[protocolVersion],
    refused_at: now.getTime(),
    reason: reasonText(attempt.cause, attempt.detail),
    cause: attempt.cause,
    reason_code: attempt.reasonCode,
    time: timeText(now),
  });
}

export function sessionEndMessage(node: number, session: SessionEndInfo, now: Date): EventMessage {
  return message('session', session.clientId, 'terminated', {
    node,
    clientid: session.clientId,
    ...told(session.instance),
    reason: reasonText(session.cause, ''),
    cause: session.cause,
    terminated_at: now.getTime(),
    time: timeText(now),
  });
}

/** rmqttd has no such member: it is there only where it says something. */
function told(instance: number): { readonly instance?: number } {
  return instance === 0 ? {} : { instance };
}

function message(
  group: 'clients' | 'session',
  clientId: string,
  event: string,
  body: object,
): EventMessage {
  const topic = `${group}/${clientLevel(clientId)}/${event}`;
  return { topic, payload: JSON.stringify(body) };
}

function reasonText(cause: string, detail: string): string {
  return detail === '' ? cause.replaceAll('_', ' ') : detail;
}

/** "2026-01-31 23:59:59.999", local time, as rmqttd writes it. */
function timeText(now: Date): string {
  const part = (value: number, digits = 2) => String(value).padStart(digits, '0');
  const date = `${now.getFullYear()}-${part(now.getMonth() + 1)}-${part(now.getDate())}`;
  const time = `${part(now.getHours())}:${part(now.getMinutes())}:${part(now.getSeconds())}`;
  return `${date} ${time}.${part(now.getMilliseconds(), 3)}`;
}
