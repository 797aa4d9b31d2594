/** What a hook has answered, checked: policy is applied to what it may not answer. */

import { showFound } from '../errors.js';
import type { Qos } from '../link/packets.js';
import { isPublisherName } from '../link/publisher.js';
import { isMqttText } from '../native/commands.js';
import type { Shape } from './message.js';
import type { MessageChange, MessageDrop } from './types.js';

export type Checked =
  | { readonly kind: 'pass' }
  | { readonly kind: 'drop'; readonly reasonCode: number; readonly reason: string | undefined }
  | { readonly kind: 'change'; readonly shape: Shape }
  | { readonly kind: 'wrong'; readonly why: string };

const pass: Checked = { kind: 'pass' };
/** Of PUBACK and PUBREC, both. */
const dropCodes: ReadonlySet<unknown> = new Set([0, 0x80, 0x83, 0x87, 0x90, 0x97, 0x99]);
const changeKeys = new Set(['topic', 'payload', 'qos', 'retain', 'properties']);
const deliveryKeys = new Set(['payload', 'properties']);

/** `reserved`: User Properties by the broker's own names may not be given. */
export function checkAnswer(answer: unknown, before: Shape, reserved: boolean): Checked {
  if (answer === undefined || answer === 'pass') return pass;
  if (answer === 'drop') return { kind: 'drop', reasonCode: 0, reason: undefined };
  if (typeof answer !== 'object' || answer === null) {
    return noVerdict(answer);
  }
  if ('drop' in answer) {
    const { drop, reason } = answer as MessageDrop;
    if (!dropCodes.has(drop)) return wrong(`no PUBACK can have the reason code ${String(drop)}`);
    if (reason !== undefined && !isMqttText(reason)) return wrong('the reason is not MQTT text');
    return { kind: 'drop', reasonCode: drop, reason };
  }
  return checkChange(answer as MessageChange, before, changeKeys, reserved);
}

/** About one receiver's copy, of which there is less to change. */
export function checkDeliveryAnswer(answer: unknown, before: Shape, reserved: boolean): Checked {
  if (answer === undefined || answer === 'pass') return pass;
  if (answer === 'drop') return { kind: 'drop', reasonCode: 0, reason: undefined };
  if (typeof answer !== 'object' || answer === null) return noVerdict(answer);
  return checkChange(answer, before, deliveryKeys, reserved);
}

function checkChange(
  change: MessageChange,
  before: Shape,
  keys: ReadonlySet<string>,
  reserved: boolean,
): Checked {
  for (const key of Object.keys(change)) {
    if (!keys.has(key)) {
      const what = keys === changeKeys ? 'a message' : 'a delivery';
      return wrong(`nobody can change "${key}" of ${what}`);
    }
  }
  const { topic, payload, qos, retain, properties } = change;
  if (topic !== undefined && !isTopicName(topic)) {
    return wrong(`${JSON.stringify(topic)} is not a Topic Name that a message may be given`);
  }
  if (payload !== undefined && typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
    return wrong('the payload is neither text nor a Uint8Array');
  }
  if (qos !== undefined && qos !== 0 && qos !== 1 && qos !== 2) return wrong('the QoS is none');
  if (retain !== undefined && typeof retain !== 'boolean') return wrong('retain is no boolean');
  const fault = properties === undefined ? undefined : faultOf(properties, reserved);
  if (fault !== undefined) return wrong(fault);
  return {
    kind: 'change',
    shape: {
      topic: topic ?? before.topic,
      payload: payload === undefined ? before.payload : asBuffer(payload),
      qos: (qos as Qos | undefined) ?? before.qos,
      retain: retain ?? before.retain,
      ...(properties === undefined
        ? before.properties === undefined
          ? {}
          : { properties: before.properties }
        : { properties: { ...properties } }),
    },
  };
}

function isTopicName(topic: unknown): topic is string {
  return isMqttText(topic) && topic !== '' && !/[+#]/.test(topic) && !/^\$SYS(\/|$)/.test(topic);
}

function faultOf(
  properties: NonNullable<MessageChange['properties']>,
  reserved: boolean,
): string | undefined {
  if (typeof properties !== 'object' || properties === null) return 'the properties are no object';
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } =
    properties;
  if (
    payloadFormatIndicator !== undefined &&
    payloadFormatIndicator !== 0 &&
    payloadFormatIndicator !== 1
  ) {
    return 'payloadFormatIndicator is neither 0 nor 1';
  }
  if (contentType !== undefined && !isMqttText(contentType)) return 'contentType is not MQTT text';
  if (responseTopic !== undefined && !isTopicName(responseTopic)) {
    return 'responseTopic is not a Topic Name';
  }
  if (
    correlationData !== undefined &&
    !(correlationData instanceof Uint8Array && correlationData.length <= 65_535)
  ) {
    return 'correlationData is not a Uint8Array of at most 65535 bytes';
  }
  const pairs: unknown = userProperties ?? [];
  const isPair = (pair: unknown) =>
    Array.isArray(pair) && pair.length === 2 && pair.every((text) => isMqttText(text));
  if (!Array.isArray(pairs) || !pairs.every(isPair)) return 'userProperties are not pairs of text';
  const claimed = reserved ? pairs.find(([name]) => isPublisherName(name)) : undefined;
  if (claimed !== undefined) {
    return `the User Property ${claimed[0]} says who published, which is the broker's to say`;
  }
  return undefined;
}

function asBuffer(payload: string | Uint8Array): Buffer {
  // A copy: whoever gave it may change it before it is handed over.
  return Buffer.from(payload as Uint8Array);
}

function noVerdict(answer: unknown): Checked {
  return wrong(`it answered ${showFound(answer)}, which is no verdict`);
}

function wrong(why: string): Checked {
  return { kind: 'wrong', why };
}
