/**
 * Packet traces: start, list, stop. What they show goes to the log, or to a file in the log's
 * folder: a request names the file, never a path.
 */
import { join } from 'node:path';
import type { TraceInfo, TraceOptions } from '../../trace/tracer.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { input, integer, kMaxText, list, orNull, record, text } from '../schema.js';
import type { Context } from './context.js';

const traceSchema = record({
  id: integer('Its number.'),
  clientid: orNull(text('Of this client only.')),
  address: orNull(text('Of peers whose address begins so only.')),
  topic: orNull(text('PUBLISH packets that match this Topic Filter only.')),
  to: text('"log", or the file.'),
  started_at: integer('Milliseconds since 1970.'),
  ends_at: integer('Milliseconds since 1970.'),
  packets: integer('Shown so far.'),
  suppressed: integer('Fitted and were not shown: too many in a second, or the file was full.'),
});

interface StartBody {
  readonly clientid?: string;
  readonly address?: string;
  readonly topic?: string;
  readonly seconds: number;
  readonly max_per_second: number;
  readonly payload_bytes: number;
  readonly file?: string;
}

const some = { minLength: 1, maxLength: kMaxText } as const;
const startBody = input({
  clientid: text('Packets of this client.', some),
  address: text('Packets of peers whose address begins so.', { minLength: 1, maxLength: 128 }),
  topic: text('PUBLISH packets that match this Topic Filter.', some),
  seconds: integer('It ends by itself.', { minimum: 1, maximum: 86_400, default: 60 }),
  max_per_second: integer('More than these are counted, not shown.', {
    minimum: 1,
    maximum: 100_000,
    default: 100,
  }),
  payload_bytes: integer('How much of a payload is shown.', {
    minimum: 0,
    maximum: 4096,
    default: 256,
  }),
  file: text("A file in the log's folder (log.dir), appended to; none = the log.", {
    pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$',
  }),
});

export function traceRoutes({ deps }: Context): readonly Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/v1/traces',
      name: 'traces.list',
      summary: 'Packet traces that are running',
      tag: 'trace',
      role: 'operate',
      answers: { 200: record({ items: list(traceSchema, 'Traces.') }) },
      handle: async () => ({ items: (await deps.traces()).map(showTrace) }),
    }),
    route<{ body: StartBody }>({
      method: 'POST',
      url: '/api/v1/traces',
      name: 'traces.start',
      summary: 'Shows every packet of a client, an address or a topic, for a while',
      tag: 'trace',
      role: 'admin',
      body: startBody,
      answers: { 200: traceSchema },
      target: ({ body }) =>
        [body.clientid, body.address, body.topic].filter((what) => what !== undefined).join(' '),
      handle: async ({ body }) => {
        const { clientid, address, topic, file } = body;
        if (clientid === undefined && address === undefined && topic === undefined) {
          const what = 'body: name a clientid, an address or a topic';
          throw new Problem('bad_request', what, 'clientid');
        }
        const options: TraceOptions = {
          ...(clientid === undefined ? {} : { clientId: clientid }),
          ...(address === undefined ? {} : { address }),
          ...(topic === undefined ? {} : { topic }),
          seconds: body.seconds,
          maxPerSecond: body.max_per_second,
          payloadBytes: body.payload_bytes,
          to:
            file === undefined
              ? { kind: 'log' }
              : { kind: 'file', path: join(deps.resolution().config.log.dir, file) },
        };
        return showTrace(await deps.startTrace(options));
      },
    }),
    route<{ params: { readonly id: number } }>({
      method: 'DELETE',
      url: '/api/v1/traces/:id',
      name: 'traces.stop',
      summary: 'Ends a packet trace',
      tag: 'trace',
      role: 'admin',
      params: input({ id: integer('Its number.', { minimum: 1, maximum: 2 ** 31 - 1 }) }, ['id']),
      answers: { 200: record({ id: integer('Its number.') }) },
      target: ({ params }) => String(params.id),
      handle: async ({ params: { id } }) => {
        if (!(await deps.stopTrace(id))) {
          throw new Problem('not_found', `id: there is no trace ${id}`, 'id');
        }
        return { id };
      },
    }),
  ];
}

function showTrace({ id, options, startedAt, endsAt, packets, suppressed }: TraceInfo): unknown {
  const { clientId, address, topic, to } = options;
  return {
    id,
    clientid: clientId ?? null,
    address: address ?? null,
    topic: topic ?? null,
    to: to.kind === 'file' ? to.path : to.kind,
    started_at: startedAt.getTime(),
    ends_at: endsAt.getTime(),
    packets,
    suppressed,
  };
}
