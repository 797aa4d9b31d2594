/** What applications give a link, checked before any of it is encoded: JavaScript has no types. */
import { isTable, wrongArgument } from '../arguments.js';
import { isMqttText } from '../native/commands.js';
import type { LinkOptions, PublishOptions } from './options.js';
import type { MessageProperties } from './packets.js';
import type { SubscribeOptions } from './subscription.js';
import { checkTopic } from './topics.js';

const kMaxBinary = 65_535;

type Refuse = (name: string, found: unknown, allowed: string) => Error;
const refuser =
  (doing: string): Refuse =>
  (name, found, allowed) =>
    wrongArgument(doing, name, found, allowed);

export function checkLinkOptions(options: LinkOptions): void {
  const refuse = refuser('opening a link');
  checkTable(options, refuse);
  checkText(options, 'clientId', refuse);
  checkText(options, 'username', refuse);
  checkFlag(options, 'cleanStart', refuse);
  checkFlag(options, 'dynamicFilters', refuse);
  checkSignal(options.signal, refuse);
  const { will } = options;
  if (will === undefined) return;
  if (!isTable(will)) throw refuse('will', will, 'an object');
  checkTopic(will.topic, 'opening a link', 'will.topic');
  checkPayload(will.payload, refuse, 'will.payload');
  const bytes =
    typeof will.payload === 'string' ? Buffer.byteLength(will.payload) : will.payload.length;
  if (bytes > kMaxBinary) {
    throw refuse('will.payload', bytes, `text or bytes, at most ${kMaxBinary} bytes`);
  }
  checkQos(will.qos ?? 0, refuse, 'will.qos');
  checkFlag(will, 'retain', refuse, 'will.');
  checkProperties(will.properties, refuse, 'will.properties');
}

/** The topic is checked where it is encoded. */
export function checkPublishOptions(payload: unknown, options: PublishOptions | undefined): void {
  if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
    checkPayload(payload, refuser('publishing'), 'payload');
  }
  if (options === undefined) return;
  const refuse = refuser('publishing');
  checkTable(options, refuse);
  checkQos(options.qos ?? 0, refuse, 'qos');
  checkFlag(options, 'retain', refuse);
  checkSignal(options.signal, refuse);
  checkProperties(options.properties, refuse, 'properties');
}

export function checkSubscribeOptions(options: SubscribeOptions): void {
  const refuse = refuser('subscribing');
  checkTable(options, refuse);
  checkQos(options.qos ?? 0, refuse, 'qos');
  checkQos(options.retainHandling ?? 0, refuse, 'retainHandling');
  for (const name of ['noLocal', 'retainAsPublished', 'manualAck'] as const) {
    checkFlag(options, name, refuse);
  }
  checkSignal(options.signal, refuse);
}

/** One Topic Filter or several; each is checked elsewhere. */
export function filterList(doing: string, filters: unknown): string[] {
  if (typeof filters === 'string') return [filters];
  if (Array.isArray(filters) && filters.length > 0) return [...(filters as string[])];
  throw refuser(doing)('filters', filters, 'a Topic Filter, or a list of at least one');
}

function checkPayload(payload: unknown, refuse: Refuse, name: string): void {
  if (typeof payload === 'string' || payload instanceof Uint8Array) return;
  throw refuse(name, payload, 'text or a Uint8Array (Buffer)');
}

function checkQos(qos: unknown, refuse: Refuse, name: string): void {
  if (qos !== 0 && qos !== 1 && qos !== 2) throw refuse(name, qos, '0, 1 or 2');
}

function checkProperties(
  properties: MessageProperties | undefined,
  refuse: Refuse,
  name: string,
): void {
  if (properties === undefined) return;
  if (!isTable(properties)) throw refuse(name, properties, 'an object');
  const { payloadFormatIndicator, messageExpiryInterval: expiry, correlationData } = properties;
  if (
    payloadFormatIndicator !== undefined &&
    payloadFormatIndicator !== 0 &&
    payloadFormatIndicator !== 1
  ) {
    throw refuse(`${name}.payloadFormatIndicator`, payloadFormatIndicator, '0 or 1');
  }
  if (expiry !== undefined && !(Number.isInteger(expiry) && expiry >= 0 && expiry <= 0xffffffff)) {
    const allowed = 'an integer from 0 to 4294967295';
    throw refuse(`${name}.messageExpiryInterval`, expiry, allowed);
  }
  checkText(properties, 'contentType', refuse, `${name}.`);
  if (properties.responseTopic !== undefined) {
    checkTopic(properties.responseTopic, 'publishing', `${name}.responseTopic`);
  }
  const fits = correlationData instanceof Uint8Array && correlationData.length <= kMaxBinary;
  if (correlationData !== undefined && !fits) {
    throw refuse(`${name}.correlationData`, correlationData, 'at most 65535 bytes');
  }
  checkUserProperties(properties.userProperties, refuse, `${name}.userProperties`);
}

function checkUserProperties(pairs: unknown, refuse: Refuse, name: string): void {
  if (pairs === undefined) return;
  const isPair = (pair: unknown) =>
    Array.isArray(pair) && pair.length === 2 && pair.every((part) => isMqttText(part));
  if (!Array.isArray(pairs) || !pairs.every(isPair)) {
    throw refuse(name, pairs, 'a list of pairs of text, as [["unit", "bar"]]');
  }
}

function checkText<T extends object>(
  table: T,
  key: keyof T & string,
  refuse: Refuse,
  prefix = '',
): void {
  const value: unknown = table[key];
  if (value === undefined || isMqttText(value)) return;
  throw refuse(prefix + key, value, 'text of at most 65535 bytes without U+0000');
}

function checkFlag<T extends object>(
  table: T,
  key: keyof T & string,
  refuse: Refuse,
  prefix = '',
): void {
  const value: unknown = table[key];
  if (value === undefined || typeof value === 'boolean') return;
  throw refuse(prefix + key, value, 'true or false');
}

function checkSignal(signal: unknown, refuse: Refuse): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw refuse('signal', signal, 'an AbortSignal');
}

function checkTable(options: unknown, refuse: Refuse): void {
  if (!isTable(options)) throw refuse('options', options, 'an object');
}
