/** Subscriptions of all clients, and who would get a message. */
import type { Registry, SubscriptionRow } from '../../session/registry.js';
import { filterQuery } from '../filter.js';
import { type Route, route } from '../route.js';
import { showSubscription, subscriptionFields, subscriptionSchema } from '../rows.js';
import type { Source } from '../scan.js';
import { flag, input, kMaxText, list, listing, pageQuery, record, text } from '../schema.js';
import type { Context } from './context.js';
import { answerListing, type PageQuery } from './listing.js';
import { checkTopicName } from './topics.js';

/** What the registry gives at most. */
const kMaxRoutes = 10_000;
const topic = text('A Topic Name.', { minLength: 1, maxLength: kMaxText });
const clientField = {
  clientid: {
    kind: 'text',
    of: (row: { clientId: string }) => row.clientId,
    help: 'The Client Identifier',
  },
} as const;

export function subscriptionRoutes({ deps, scanner }: Context): readonly Route[] {
  const { registry } = deps;
  const nodeId = () => deps.brokerInfo().id;
  const fields = { ...subscriptionFields, ...clientField };

  const routesOf = async (name: string) => {
    checkTopicName(name);
    const rows = await registry.routes(name);
    return {
      topic: name,
      items: rows.map((row) => showSubscription(row, nodeId())),
      truncated: rows.length >= kMaxRoutes,
    };
  };
  const answers = {
    200: record({
      topic,
      items: list(subscriptionSchema, 'Of a shared subscription all members: one of them gets it.'),
      truncated: flag(`Whether there are more than these ${kMaxRoutes}.`),
    }),
  };

  return [
    route<{ query: PageQuery & { readonly _match_topic?: string } }>({
      method: 'GET',
      url: '/api/v1/subscriptions',
      name: 'subscriptions.list',
      summary: 'Subscriptions of all clients',
      tag: 'subscriptions',
      role: 'read',
      query: input({
        ...pageQuery,
        ...filterQuery(fields),
        _match_topic: text('Only those that match this Topic Name.', {
          minLength: 1,
          maxLength: kMaxText,
        }),
      }),
      answers: { 200: listing(subscriptionSchema, 'Subscriptions, in no particular order.') },
      handle: (call) => {
        const { _match_topic: matched } = call.query;
        return answerListing(scanner, call, {
          source:
            matched === undefined
              ? (page) => registry.subscriptions(page)
              : matching(registry, matched),
          fields,
          show: (row) => showSubscription(row, nodeId()),
        });
      },
    }),
    route<{ query: { readonly topic: string } }>({
      method: 'GET',
      url: '/api/v1/routes',
      name: 'routes.get',
      summary: 'Who would get a message published to a Topic Name',
      tag: 'subscriptions',
      role: 'read',
      query: input({ topic }, ['topic']),
      answers,
      handle: ({ query }) => routesOf(query.topic),
    }),
    route<{ params: { readonly topic: string } }>({
      method: 'GET',
      url: '/api/v1/routes/:topic',
      name: 'routes.of_topic',
      summary: 'The same, with the Topic Name in the path (/ as %2F)',
      tag: 'subscriptions',
      role: 'read',
      params: input({ topic }, ['topic']),
      answers,
      handle: ({ params }) => routesOf(params.topic),
    }),
  ];
}

const keyOf = ({ clientId, filter }: SubscriptionRow) => `${clientId}\0${filter}`;

/** The cursor is the last row's key, so that rows which come and go meanwhile shift no other. */
function matching(registry: Registry, name: string): Source<SubscriptionRow> {
  checkTopicName(name, '_match_topic');
  return async ({ cursor, limit }) => {
    const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString();
    const rows = (await registry.routes(name))
      .map((row) => ({ row, key: keyOf(row) }))
      .filter(({ key }) => cursor === undefined || key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    return {
      items: rows.slice(0, limit).map(({ row }) => row),
      next: last === undefined ? undefined : Buffer.from(last.key).toString('base64url'),
    };
  };
}
