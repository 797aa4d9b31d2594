/** DirectWrite: a message for one client or for some, whatever they have subscribed to. */
import type { DirectWriteResult } from '../../device/direct-write.js';
import type { Qos } from '../../link/packets.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { clientId, flag, input, instance, integer, list, record, text } from '../schema.js';
import type { Context } from './context.js';
import {
  type PayloadBody,
  type PropertiesBody,
  payloadFields,
  payloadOf,
  propertiesOf,
  propertiesSchema,
  qos,
  topicText,
} from './messages.js';
import { checkTopicName } from './topics.js';

const kMaxClients = 1000;
const kMaxTimeoutMs = 60_000;

interface WriteBody extends PayloadBody {
  readonly clientid?: string;
  readonly clientids?: readonly string[];
  readonly topic: string;
  readonly qos: Qos;
  readonly queue: boolean;
  readonly instance?: number;
  readonly timeout_ms: number;
  readonly properties?: PropertiesBody;
}

interface Row {
  readonly clientid: string;
  readonly outcome: DirectWriteResult['outcome'] | 'timed_out';
  readonly reason: string;
  readonly reason_code: number;
  readonly instance: number;
}

export function writeRoutes({ deps }: Context): readonly Route[] {
  return [
    route<{ body: WriteBody }>({
      method: 'POST',
      url: '/api/v1/mqtt/write',
      name: 'mqtt.write',
      summary: 'Writes a message to clients by their identifiers, past subscriptions',
      tag: 'mqtt',
      role: 'operate',
      body: input(
        {
          clientid: { ...clientId, minLength: 1 },
          clientids: list({ ...clientId, minLength: 1 }, `Several, at most ${kMaxClients}.`, {
            minItems: 1,
            maxItems: kMaxClients,
          }),
          topic: text('A Topic Name, as the client is to see it.', topicText),
          ...payloadFields,
          qos,
          queue: flag('Whether the session of a client that is away may keep it.', {
            default: false,
          }),
          instance: instance('the first if it is connected, else the next'),
          timeout_ms: integer('How long to wait for acknowledgements.', {
            minimum: 1,
            maximum: kMaxTimeoutMs,
            default: 10_000,
          }),
          properties: propertiesSchema,
        },
        ['topic', 'payload'],
      ),
      answers: {
        200: record({
          ok: flag('Whether every outcome is delivered or queued.'),
          results: list(
            record({
              clientid: clientId,
              outcome: text('What became of it.', {
                enum: ['delivered', 'dropped', 'queued', 'timed_out'],
              }),
              reason: text('Why it was dropped; else empty.'),
              reason_code: integer("Of the client's acknowledgement; else 0."),
              instance: integer('Which connection of the Client Identifier it was.'),
            }),
            'One per client, in the order of outcomes.',
          ),
        }),
      },
      target: ({ body }) => [...clientsOf(body), body.topic].join(' '),
      handle: async ({ body }) => {
        checkTopicName(body.topic, 'topic');
        const clients = clientsOf(body);
        if (clients.length === 0) {
          throw new Problem('bad_request', 'clientid: give it, or clientids', 'clientid');
        }
        const results: Row[] = [];
        const { properties } = body;
        await deps.directWrite(clients, body.topic, payloadOf(body), {
          qos: body.qos,
          queue: body.queue,
          instance: body.instance,
          timeoutMs: body.timeout_ms,
          properties: properties === undefined ? undefined : propertiesOf(properties),
          onResult: (clientid, result) => results.push(rowOf(clientid, result)),
        });
        const isGood = ({ outcome }: Row) => outcome === 'delivered' || outcome === 'queued';
        return { ok: results.every(isGood), results };
      },
    }),
  ];
}

function clientsOf({ clientid, clientids = [] }: WriteBody): readonly string[] {
  return clientid === undefined ? clientids : [clientid, ...clientids];
}

function rowOf(clientid: string, result: DirectWriteResult | undefined): Row {
  return {
    clientid,
    outcome: result?.outcome ?? 'timed_out',
    reason: result?.reason ?? '',
    reason_code: result?.reasonCode ?? 0,
    instance: result?.instance ?? 0,
  };
}
