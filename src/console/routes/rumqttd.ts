/**
 * ST-RMQTT's own routes. There they print to the broker's output and answer "OK"; here they answer
 * with what they would print, as far as it has a meaning without commit logs and cursors.
 */

import { sum } from '../../metrics/family.js';
import type { ClientRow, SubscriptionRow } from '../../session/registry.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import {
  byName,
  clientId,
  flag,
  input,
  integer,
  kMaxText,
  list,
  orNull,
  pageQuery,
  record,
  text,
} from '../schema.js';
import { unknownClient } from './clients.js';
import type { Context } from './context.js';
import type { PageQuery } from './listing.js';
import {
  requestSchema,
  showRequest,
  statusOf,
  statusSchema,
  subscribersOf,
} from './subscribers.js';

const kMaxWaiters = 1000;

const byFilter = input(
  {
    filter: text('A Topic Filter; a dot stands for a slash.', {
      minLength: 1,
      maxLength: kMaxText,
    }),
  },
  ['filter'],
);

/** The same as the Prometheus gauges of these names. */
const refusals = [
  'publish_refused_quota',
  'publish_refused_not_authorized',
  'publish_refused_rate',
] as const;
const publishes = [
  'publish_received_qos0',
  'publish_received_qos1',
  'publish_received_qos2',
  ...refusals,
] as const;
const failures = ['publish_unmatched', ...refusals, 'dropped_memory_budget'] as const;

interface ByFilter {
  readonly params: { readonly filter: string };
}

export function rumqttdRoutes(context: Context): readonly Route[] {
  const { deps } = context;
  let sequence = 0;
  const stamp = () => ({ timestamp: Date.now(), sequence: ++sequence });
  return [
    route({
      ...reads,
      url: '/',
      name: 'rumqttd.root',
      summary: 'Where the console listens',
      role: 'open',
      answers: { 200: record({ listen: text('"127.0.0.1:3030".') }) },
      handle: ({ listen, reply }) =>
        // A browser that was given the address alone.
        reply.request.headers.accept?.includes('text/html') === true
          ? reply.redirect('ui/')
          : { listen },
    }),
    route({
      ...reads,
      url: '/config',
      name: 'rumqttd.config',
      summary: 'The [router] table',
      answers: { 200: byName({}, 'Keys of [router] and their values.') },
      handle: () => {
        const { id, router, customSegments, broker } = deps.resolution().config;
        const custom_segment = Object.fromEntries(
          customSegments.map(({ filter, maxSegmentSize, maxSegmentCount }) => [
            filter,
            { max_segment_size: maxSegmentSize, max_segment_count: maxSegmentCount },
          ]),
        );
        return { id, max_connections: broker.max_connections, ...router, custom_segment };
      },
    }),
    route({
      ...reads,
      url: '/router',
      name: 'rumqttd.router',
      summary: 'Totals',
      answers: {
        200: record({
          timestamp: integer('ms since 1970.'),
          sequence: integer('Of these answers.'),
          router_id: integer("This broker's number."),
          total_connections: integer('Connected now.'),
          total_subscriptions: integer('Subscriptions now.'),
          total_publishes: integer('Messages received since start.'),
          failed_publishes: integer('Of these: nobody had subscribed, or they were refused.'),
        }),
      },
      handle: () => {
        const { connected, subscriptions } = deps.registry.totals();
        return {
          ...stamp(),
          router_id: deps.brokerInfo().id,
          total_connections: connected,
          total_subscriptions: subscriptions,
          total_publishes: sum(deps.metrics(), publishes),
          failed_publishes: sum(deps.metrics(), failures),
        };
      },
    }),
    deviceRoute(context),
    subscriptionsRoute(context),
    route<ByFilter>({
      ...reads,
      url: '/subscriptions/:filter',
      name: 'rumqttd.subscription',
      summary: 'The log of one Topic Filter, and who has subscribed with it',
      params: byFilter,
      answers: {
        200: record({
          timestamp: integer('ms since 1970.'),
          sequence: integer('Of these answers.'),
          filter: text('Topic Filter.'),
          count: integer(
            'Messages that its log has got; 0 = it has none, as where somebody subscribes.',
          ),
          total_size: integer('Their bytes: 4, Topic Name and payload of each.'),
          clients: list(clientId, 'Who has them.'),
          truncated: flag('Whether there may be more.'),
        }),
      },
      handle: async ({ params }) => {
        const { filter, rows, truncated } = await subscribersOf(context, params.filter);
        const clients = rows.map((row) => row.clientId);
        const log = await deps.registry.log(filter);
        const count = log?.appended ?? 0;
        const total_size = log?.appendedBytes ?? 0;
        return { ...stamp(), filter, count, total_size, clients, truncated };
      },
    }),
    route<ByFilter>({
      ...reads,
      url: '/waiters/:filter',
      name: 'rumqttd.waiters',
      summary: `Who has subscribed with one Topic Filter and has got everything; at most ${kMaxWaiters} are looked at`,
      params: byFilter,
      answers: {
        200: list(
          {
            type: 'array',
            description: 'Client Identifier and subscription.',
            items: { anyOf: [{ type: 'string' }, requestSchema] },
            minItems: 2,
            maxItems: 2,
          },
          'Waiters.',
        ),
      },
      handle: async ({ params }) => {
        const { rows } = await subscribersOf(context, params.filter);
        const waiters: unknown[] = [];
        for (const row of rows.slice(0, kMaxWaiters)) {
          const detail = await deps.registry.client(row.clientId, row.instance);
          if (detail === undefined) continue;
          const status = statusOf(context, detail);
          const isCaughtUp = status !== null && status !== 'Ready' && status.Paused === 'Caughtup';
          if (isCaughtUp) waiters.push([row.clientId, showRequest(row)]);
        }
        return waiters;
      },
    }),
    route<{ query: PageQuery }>({
      ...reads,
      url: '/readyqueue',
      name: 'rumqttd.readyqueue',
      summary: 'Connections with messages waiting; a Link header leads on where there may be more',
      query: input(pageQuery),
      answers: { 200: list(text('The number of a connection.'), 'connection_id of /api/v1.') },
      handle: async ({ query, reply }) => {
        const { scanner } = context;
        const { items, next } = await scanner.page<ClientRow>(
          (page) => deps.registry.clients(page),
          { ...query, keeps: (row) => row.connected && row.queuedMessages > 0 },
        );
        if (next !== undefined) void reply.header('Link', linkOf('/readyqueue', query, next));
        return items.map((row) => row.connectionId);
      },
    }),
    route<{ body: string | undefined }>({
      method: 'POST',
      url: '/logs',
      name: 'rumqttd.logs',
      summary: 'Sets the log filter: the body is the filter, and comes back',
      tag: 'rumqttd',
      role: 'operate',
      takesText: true,
      answers: {
        200: {
          description: 'The body, as it came.',
          content: { 'text/plain': { schema: text('The filter.') } },
        },
      },
      target: ({ body }) => body ?? '',
      handle: ({ body, reply }) => {
        const filter = body ?? '';
        if (filter.trim() === '') {
          throw new Problem('bad_request', 'the body is the log filter, as "info"', 'body');
        }
        deps.setLogFilter(filter);
        void reply.type('text/plain; charset=utf-8');
        return filter;
      },
    }),
  ];
}

const reads = { method: 'GET', tag: 'rumqttd', role: 'read', isPublicRead: true } as const;

function deviceRoute(context: Context): Route {
  const { deps, history } = context;
  return route<{ params: { readonly device_id: string } }>({
    ...reads,
    url: '/device/:device_id',
    name: 'rumqttd.device',
    summary: 'A client: its last connection events, its subscriptions, whether it waits',
    params: input({ device_id: clientId }, ['device_id']),
    answers: {
      200: record({
        id: clientId,
        connected: flag('Whether it has a connection.'),
        events: list(
          record({
            event: text('What happened.', { enum: ['connect', 'disconnect'] }),
            timestamp: integer('ms since 1970.'),
            address: text("The peer's."),
            cause: orNull(text('Why it ended; null = it began.')),
          }),
          'The last 10 since the console started.',
        ),
        tracker: record({
          id: clientId,
          data_requests: list(requestSchema, 'Its subscriptions: the first 1000.'),
          status: statusSchema,
        }),
      }),
    },
    handle: async ({ params: { device_id: id } }) => {
      const detail = await deps.registry.client(id);
      if (detail === undefined) throw unknownClient(id);
      const page = await deps.registry.subscriptions({ clientId: id, limit: 1000 });
      const status = statusOf(context, detail);
      return {
        id,
        connected: detail.connected,
        events: history.of(id),
        tracker: { id, data_requests: page.items.map(showRequest), status },
      };
    },
  });
}

function subscriptionsRoute({ deps, scanner }: Context): Route {
  return route<{ query: PageQuery }>({
    ...reads,
    url: '/subscriptions',
    name: 'rumqttd.subscriptions',
    summary: 'Topic Filters and who has them; a Link header leads on where there are more',
    query: input({ ...pageQuery, limit: { ...pageQuery.limit, default: 1000 } }),
    answers: { 200: byName(list(clientId, 'Who has it.'), 'By Topic Filter.') },
    handle: async ({ query, reply }) => {
      const { items, next } = await scanner.page<SubscriptionRow>(
        (page) => deps.registry.subscriptions(page),
        query,
      );
      if (next !== undefined) void reply.header('Link', linkOf('/subscriptions', query, next));
      const byFilterName = new Map<string, string[]>();
      for (const { filter, clientId: id } of items) {
        const ids = byFilterName.get(filter);
        if (ids === undefined) byFilterName.set(filter, [id]);
        else ids.push(id);
      }
      return Object.fromEntries(byFilterName);
    },
  });
}

function linkOf(path: string, { limit }: PageQuery, next: string): string {
  return `<${path}?limit=${limit}&cursor=${encodeURIComponent(next)}>; rel="next"`;
}
