/** Publish, and subscribe and unsubscribe on behalf of a client: bodies as rmqttd's. */
import { messageOf, StMqttdError } from '../../errors.js';
import type { MessageProperties, Qos } from '../../link/packets.js';
import { reasonName } from '../../link/reason-codes.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import {
  flag,
  input,
  instance,
  integer,
  kMaxText,
  list,
  record,
  type Schema,
  text,
} from '../schema.js';
import { unknownClient } from './clients.js';
import type { Context } from './context.js';
import { checkTopicFilter, checkTopicName, topicsOf } from './topics.js';

const kMaxTopics = 100;
export const kMaxPayload = 1024 * 1024;

export const topicText = { minLength: 1, maxLength: kMaxText };
const topics: Schema = {
  description: `Several, with commas between them or as a list; at most ${kMaxTopics}.`,
  anyOf: [
    { type: 'string', ...topicText },
    { type: 'array', items: { type: 'string', ...topicText }, minItems: 1, maxItems: kMaxTopics },
  ],
};
const clientid = text('A Client Identifier.', { minLength: 1, maxLength: kMaxText });
export const qos = integer('QoS.', { enum: [0, 1, 2], default: 0 });

export const payloadFields = {
  payload: text('As encoding says.', { maxLength: kMaxPayload }),
  encoding: text('How payload is written.', { enum: ['plain', 'base64'], default: 'plain' }),
};
export const propertiesSchema = input({
  payload_format_indicator: integer('1 = UTF-8 text.', { enum: [0, 1] }),
  message_expiry_interval: integer('Seconds.', { minimum: 0, maximum: 0xffffffff }),
  content_type: text('Content Type.', { maxLength: kMaxText }),
  response_topic: text('Response Topic.', topicText),
  correlation_data: text('Correlation Data, base64.', { maxLength: kMaxText }),
  user_properties: list(
    list(text('Name, then value.', { maxLength: kMaxText }), 'A pair.', {
      minItems: 2,
      maxItems: 2,
    }),
    'User Properties in order.',
    { maxItems: 100 },
  ),
});

export interface PropertiesBody {
  readonly payload_format_indicator?: 0 | 1;
  readonly message_expiry_interval?: number;
  readonly content_type?: string;
  readonly response_topic?: string;
  readonly correlation_data?: string;
  readonly user_properties?: readonly (readonly [string, string])[];
}
const ofOne = instance('the first if it has a session, else the next');

interface Topics {
  readonly topic?: string;
  readonly topics?: string | readonly string[];
}
export interface PayloadBody {
  readonly payload: string;
  readonly encoding: 'plain' | 'base64';
}
interface PublishBody extends Topics, PayloadBody {
  readonly clientid?: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties?: PropertiesBody;
}
interface SubscribeBody extends Topics {
  readonly clientid: string;
  readonly qos: Qos;
  readonly no_local: boolean;
  readonly retain_as_published: boolean;
  readonly retain_handling: 0 | 1 | 2;
  readonly instance?: number;
}
interface UnsubscribeBody extends Topics {
  readonly clientid: string;
  readonly instance?: number;
}

const results = {
  200: record({
    ok: flag('Whether every Reason Code is below 128.'),
    results: list(
      record({
        topic: text('As it was given.'),
        reason_code: integer('Reason Code of MQTT 5.0; 16 = nobody had subscribed.'),
        reason: text('Its name, or more.'),
      }),
      'One per topic.',
    ),
  }),
};

interface Result {
  readonly topic: string;
  readonly reason_code: number;
  readonly reason: string;
}
const kUnspecified = 0x80;

const answer = (all: readonly Result[]) => ({
  ok: all.every(({ reason_code }) => reason_code < kUnspecified),
  results: all,
});
const resultOf = (topic: string, code: number): Result => ({
  topic,
  reason_code: code,
  reason: reasonName(code),
});

const targetOf = ({ body }: { body: Topics & { clientid?: string } }) =>
  [body.clientid ?? '', ...topicsOf(body)].join(' ').trim();

export function messageRoutes({ deps }: Context): readonly Route[] {
  const { registry } = deps;
  return [
    route<{ body: PublishBody }>({
      method: 'POST',
      url: '/api/v1/mqtt/publish',
      name: 'mqtt.publish',
      summary: 'Publishes a message',
      tag: 'mqtt',
      role: 'operate',
      body: input(
        {
          topic: text('A Topic Name.', topicText),
          topics,
          clientid: text('The publisher: an identifier that no session has. Default: the broker.', {
            minLength: 1,
            maxLength: kMaxText,
          }),
          ...payloadFields,
          qos,
          retain: flag('Whether it is retained.', { default: false }),
          properties: propertiesSchema,
        },
        ['payload'],
      ),
      answers: results,
      target: targetOf,
      handle: async ({ body }) => {
        const names = topicsOf(body);
        checkAll(names, checkTopicName);
        const payload = payloadOf(body);
        const { retain, properties, clientid: clientId } = body;
        if (clientId !== undefined && (await registry.client(clientId)) !== undefined) {
          throw new Problem(
            'conflict',
            `clientid: "${clientId}" has a session, and nobody may publish in its name; leave it out`,
            'clientid',
          );
        }
        const options = {
          qos: body.qos,
          retain,
          clientId,
          properties: properties === undefined ? undefined : propertiesOf(properties),
        };
        const all: Result[] = [];
        for (const name of names) {
          all.push(await publishResult(name, () => deps.publish(name, payload, options)));
        }
        return answer(all);
      },
    }),
    route<{ body: SubscribeBody }>({
      method: 'POST',
      url: '/api/v1/mqtt/subscribe',
      name: 'mqtt.subscribe',
      summary: 'Subscribes on behalf of a client',
      tag: 'mqtt',
      role: 'operate',
      body: input(
        {
          topic: text('A Topic Filter.', topicText),
          topics,
          clientid,
          qos,
          no_local: flag('No Local.', { default: false }),
          retain_as_published: flag('Retain As Published.', { default: false }),
          retain_handling: integer('Retain Handling.', { enum: [0, 1, 2], default: 0 }),
          instance: ofOne,
        },
        ['clientid'],
      ),
      answers: results,
      target: targetOf,
      handle: async ({ body }) => {
        const filters = topicsOf(body);
        checkAll(filters, checkTopicFilter);
        const all: Result[] = [];
        for (const filter of filters) {
          const code = await registry.subscribe(body.clientid, {
            filter,
            qos: body.qos,
            noLocal: body.no_local,
            retainAsPublished: body.retain_as_published,
            retainHandling: body.retain_handling,
            instance: body.instance,
          });
          if (code === undefined) throw unknownClient(body.clientid);
          all.push(resultOf(filter, code));
        }
        return answer(all);
      },
    }),
    route<{ body: UnsubscribeBody }>({
      method: 'POST',
      url: '/api/v1/mqtt/unsubscribe',
      name: 'mqtt.unsubscribe',
      summary: 'Unsubscribes on behalf of a client',
      tag: 'mqtt',
      role: 'operate',
      body: input(
        { topic: text('A Topic Filter.', topicText), topics, clientid, instance: ofOne },
        ['clientid'],
      ),
      answers: results,
      target: targetOf,
      handle: async ({ body }) => {
        const filters = topicsOf(body);
        checkAll(filters, checkTopicFilter);
        const all: Result[] = [];
        for (const filter of filters) {
          const code = await registry.unsubscribe(body.clientid, filter, body.instance);
          if (code === undefined) throw unknownClient(body.clientid);
          all.push(resultOf(filter, code));
        }
        return answer(all);
      },
    }),
  ];
}

function checkAll(names: readonly string[], check: (name: string, field: string) => void): void {
  if (names.length > kMaxTopics) {
    throw new Problem('bad_request', `topics: at most ${kMaxTopics}`, 'topics');
  }
  for (const name of names) check(name, 'topic');
}

/** What one topic is refused for is told with it: others may have been published. */
async function publishResult(topic: string, publish: () => Promise<number>): Promise<Result> {
  try {
    return resultOf(topic, await publish());
  } catch (error) {
    if (!(error instanceof StMqttdError) || error.reasonCode === undefined) throw error;
    return { topic, reason_code: error.reasonCode, reason: messageOf(error) };
  }
}

export function payloadOf({ payload, encoding }: PayloadBody): Buffer {
  if (encoding === 'plain') return Buffer.from(payload);
  return base64(payload, 'payload');
}

function base64(text: string, field: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  // Node drops what is not base64 silently.
  if (bytes.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) {
    throw new Problem('bad_request', `${field}: not base64`, field);
  }
  return bytes;
}

export function propertiesOf(body: PropertiesBody): MessageProperties {
  if (body.response_topic !== undefined) {
    checkTopicName(body.response_topic, 'properties.response_topic');
  }
  return {
    payloadFormatIndicator: body.payload_format_indicator,
    messageExpiryInterval: body.message_expiry_interval,
    contentType: body.content_type,
    responseTopic: body.response_topic,
    correlationData:
      body.correlation_data === undefined
        ? undefined
        : base64(body.correlation_data, 'properties.correlation_data'),
    userProperties: body.user_properties,
  };
}
