/** What an application gives a DirectWrite, and learns of it: types, and checks of what is given. */
import { checkInstance, checkTable, isTable } from '../arguments.js';
import { fail } from '../errors.js';
import { encodeMessageProperties } from '../link/encode.js';
import type { MessageProperties, Qos } from '../link/packets.js';
import { checkTopic } from '../link/topics.js';
import { isMqttText } from '../native/commands.js';
import type { WriteCauseName } from '../native/contract.js';

export interface DirectWriteOptions {
  /** Default 0. Not above what the client may have: then it is lowered, and so is what `delivered` says. */
  readonly qos?: Qos | undefined;
  readonly properties?: MessageProperties | undefined;
  /**
   * Its persistent session may keep the message while the client is away, or goes away before it
   * has acknowledged: `queued`. Default false: dropped.
   */
  readonly queue?: boolean | undefined;
  /**
   * Which connection of the Client Identifier, where several are allowed (`instance` of a ClientRow; 0
   * = the first, which has the session). Default: the first if it is connected, else the one with the
   * least number, else the first's session.
   */
  readonly instance?: number | undefined;
  /** Milliseconds to wait for the outcome; 0 = for ever. Default 30000. */
  readonly timeoutMs?: number | undefined;
  /** Aborted, nobody waits any more: what was not handed to the I/O threads yet is not sent. */
  readonly signal?: AbortSignal | undefined;
}

/** Why a message was dropped. */
export type WriteDropReason = Exclude<WriteCauseName, 'none'>;

export interface DirectWriteResult {
  /**
   * `delivered`: QoS 0 was handed to the socket, QoS 1 and 2 were acknowledged by the client.
   * `dropped`: `reason` says why. `queued`: the client's session keeps it.
   */
  readonly outcome: 'delivered' | 'dropped' | 'queued';
  readonly reason?: WriteDropReason;
  /** Of the client's acknowledgement, if it is not 0: with `refused` 0x80 or more. */
  readonly reasonCode?: number;
  /** Which connection of the Client Identifier it was, if it was not the first. */
  readonly instance?: number;
}

export interface DirectWriteManyOptions extends DirectWriteOptions {
  /** Called for each client, in the order of outcomes; undefined = its time was over. */
  readonly onResult?:
    | ((clientId: string, result: DirectWriteResult | undefined) => void)
    | undefined;
}

/** How many clients there were of each outcome. */
export interface DirectWriteCounts {
  readonly delivered: number;
  readonly dropped: number;
  readonly queued: number;
  /** Nothing was heard in time. */
  readonly timedOut: number;
}

/** A message that was checked and encoded, for one client or for many. */
export interface PreparedWrite {
  readonly topic: Buffer;
  readonly properties: Buffer;
  /** A copy, or text. */
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly queue: boolean;
  readonly instance: number | undefined;
  readonly expiry: number | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const kTimeoutMs = 30_000;
const kMaxTimeoutMs = 0x7fffffff;
/** Longest Remaining Length (1.5.5), with room for what stands around the payload. */
const kMaxPayload = 268_435_455 - 4 * 65_535;

/** Throws ST_ARGUMENT for what MQTT cannot say. */
export function prepareWrite(
  topic: string,
  payload: string | Uint8Array,
  options: DirectWriteOptions,
): PreparedWrite {
  checkTable(kDoing, 'options', options);
  const { qos = 0, properties, queue = false, timeoutMs = kTimeoutMs, signal, instance } = options;
  checkInstance(kDoing, instance);
  checkTopic(topic, kDoing);
  if (qos !== 0 && qos !== 1 && qos !== 2) refuse('qos', qos, '0, 1 or 2');
  if (typeof queue !== 'boolean') refuse('queue', queue, 'true or false');
  if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
    refuse('payload', typeof payload, 'a string or a Uint8Array');
  }
  if (!Number.isInteger(timeoutMs) || timeoutMs < 0 || timeoutMs > kMaxTimeoutMs) {
    refuse('timeoutMs', timeoutMs, `a whole number from 0 to ${kMaxTimeoutMs}`);
  }
  const bytes = Buffer.from(payload as string);
  if (bytes.length > kMaxPayload)
    refuse('payload', `${bytes.length} bytes`, `${kMaxPayload} bytes`);
  return {
    topic: Buffer.from(topic),
    properties: encoded(properties),
    payload: bytes,
    qos,
    queue: queue === true,
    instance,
    expiry: properties?.messageExpiryInterval,
    timeoutMs,
    signal,
  };
}

export function checkTargets(clientIds: unknown): void {
  const isMany =
    isTable(clientIds) || Array.isArray(clientIds)
      ? Symbol.iterator in (clientIds as object) || Symbol.asyncIterator in (clientIds as object)
      : false;
  if (!isMany) refuse('clientIds', String(clientIds), 'something to iterate over');
}

export function checkTarget(clientId: unknown): asserts clientId is string {
  if (isMqttText(clientId) && clientId !== '') return;
  refuse('clientId', clientId, 'text of 1 to 65535 bytes without U+0000');
}

const kDoing = 'writing to a client';

/** Message Expiry Interval counts on: it is told apart. */
function encoded(properties: MessageProperties | undefined): Buffer {
  if (properties === undefined) return encodeMessageProperties(undefined);
  const { messageExpiryInterval: expiry, ...rest } = properties;
  if (expiry !== undefined && !(Number.isInteger(expiry) && expiry >= 0 && expiry <= 0xffffffff)) {
    refuse('messageExpiryInterval', expiry, 'a whole number of seconds from 0 to 4294967295');
  }
  const { payloadFormatIndicator: format } = rest;
  if (format !== undefined && format !== 0 && format !== 1) {
    refuse('payloadFormatIndicator', format, '0 or 1');
  }
  for (const [name, text] of [
    ['contentType', rest.contentType],
    ['responseTopic', rest.responseTopic],
    ...(rest.userProperties ?? []).flat().map((text) => ['userProperties', text] as const),
  ] as const) {
    if (text !== undefined && !isMqttText(text)) refuse(name, text, kText);
  }
  if (rest.correlationData !== undefined && rest.correlationData.length > 65_535) {
    refuse('correlationData', `${rest.correlationData.length} bytes`, 'at most 65535 bytes');
  }
  return encodeMessageProperties(rest);
}

const kText = 'text of at most 65535 bytes without U+0000';

function refuse(name: string, found: unknown, allowed: string): never {
  throw fail('ST_ARGUMENT', { doing: kDoing, name, found: String(found), allowed });
}
