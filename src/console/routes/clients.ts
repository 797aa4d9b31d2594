/** Clients and their sessions: list, look, kick, end. */
import type { ClientRow, Registry } from '../../session/registry.js';
import { filterOf, filterQuery } from '../filter.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import {
  clientDetailSchema,
  clientFields,
  clientSchema,
  showClient,
  showDetail,
  showSubscription,
  subscriptionFields,
  subscriptionSchema,
} from '../rows.js';
import type { Source } from '../scan.js';
import {
  clientId,
  flag,
  input,
  instance,
  integer,
  listing,
  pageQuery,
  record,
  text,
} from '../schema.js';
import type { Context } from './context.js';
import { answerListing, type PageQuery } from './listing.js';

interface ById {
  readonly clientid: string;
}

interface ByInstance {
  readonly instance?: number;
}

/** Which of several connections is meant where none is named. */
const oneOf = input({ instance: instance('the first if it has a session, else the next') });
const allOf = { instance: instance('all') };
const byId = input({ clientid: clientId }, ['clientid']);
const filters = filterQuery(clientFields);
const { connected: _connected, ...offlineFilters } = filters;
/** Administrative action. */
const kReasonCode = 0x98;
const kEndedAtOnce = 1000;

export function clientRoutes({ deps, scanner }: Context): readonly Route[] {
  const { registry } = deps;
  const nodeId = () => deps.brokerInfo().id;
  const clients: Source<ClientRow> = (page) => registry.clients(page);

  return [
    route<{ query: PageQuery }>({
      method: 'GET',
      url: '/api/v1/clients',
      name: 'clients.list',
      summary: 'Sessions, connected or not',
      tag: 'clients',
      role: 'read',
      query: input({ ...pageQuery, ...filters }),
      answers: { 200: listing(clientSchema, 'Clients, in no particular order.') },
      handle: (call) =>
        answerListing(scanner, call, {
          source: clients,
          fields: clientFields,
          show: (row) => showClient(row, nodeId()),
        }),
    }),
    route<{ query: PageQuery }>({
      method: 'GET',
      url: '/api/v1/clients/offlines',
      name: 'clients.offline',
      summary: 'Sessions without a connection',
      tag: 'clients',
      role: 'read',
      query: input({ ...pageQuery, ...offlineFilters }),
      answers: { 200: listing(clientSchema, 'Sessions without a connection.') },
      handle: (call) =>
        answerListing(scanner, call, {
          source: clients,
          fields: clientFields,
          keeps: (row) => !row.connected,
          show: (row) => showClient(row, nodeId()),
        }),
    }),
    route<{ query: PageQuery & { readonly all?: boolean } }>({
      method: 'DELETE',
      url: '/api/v1/clients/offlines',
      name: 'clients.end_offline',
      summary: 'Ends sessions that have no connection: those that a filter names, or all',
      tag: 'clients',
      role: 'admin',
      query: input({
        ...pageQuery,
        ...offlineFilters,
        limit: integer('How many to end at most.', {
          minimum: 1,
          maximum: kEndedAtOnce,
          default: kEndedAtOnce,
        }),
        all: flag('Needed where no filter is given.'),
      }),
      answers: {
        200: record({
          ended: integer('Sessions that were ended.'),
          next: {
            ...text('Cursor to go on with; null = that was all.'),
            type: ['string', 'null'],
          },
          scanned: integer('Rows that were looked at.'),
        }),
      },
      target: ({ query }) => JSON.stringify(query),
      handle: async ({ query }) => {
        const asked = filterOf(clientFields, query);
        if (asked === undefined && query.all !== true) {
          throw new Problem('bad_request', 'query: give a filter, or all=true', 'all');
        }
        const keeps = (row: { connected: boolean }) => !row.connected;
        const { items, next, scanned } = await scanner.page(clients, {
          cursor: query.cursor,
          limit: query.limit,
          keeps: (row) => keeps(row) && (asked === undefined || asked(row)),
        });
        let ended = 0;
        for (const { clientId } of items) {
          // It may have connected meanwhile: who is online stays.
          if (await endIfOffline(registry, clientId)) ended++;
        }
        return { ended, next: next ?? null, scanned };
      },
    }),
    route<{ params: ById; query: ByInstance }>({
      method: 'GET',
      url: '/api/v1/clients/:clientid',
      name: 'clients.get',
      summary: "A client's session in detail",
      tag: 'clients',
      role: 'read',
      params: byId,
      query: oneOf,
      answers: { 200: clientDetailSchema },
      handle: async ({ params, query }) => {
        const detail = await registry.client(params.clientid, query.instance);
        if (detail === undefined) throw unknownClient(params.clientid);
        return showDetail(detail, nodeId());
      },
    }),
    route<{ params: ById; query: ByInstance }>({
      method: 'GET',
      url: '/api/v1/clients/:clientid/online',
      name: 'clients.online',
      summary: 'Whether a client is connected',
      tag: 'clients',
      role: 'read',
      params: byId,
      query: input({ instance: instance('any') }),
      answers: { 200: record({ clientid: clientId, online: flag('Whether it is connected.') }) },
      handle: async ({ params: { clientid }, query }) => {
        const detail = await registry.client(clientid, query.instance);
        // Those beside the first are there as long as they are connected.
        const others = query.instance === undefined ? (detail?.instances.length ?? 0) : 0;
        return { clientid, online: (detail?.connected ?? false) || others > 0 };
      },
    }),
    ...['/api/v1/clients/:clientid/subscriptions', '/api/v1/subscriptions/:clientid'].map(
      (url, index) =>
        route<{ params: ById; query: PageQuery }>({
          method: 'GET',
          url,
          name: index === 0 ? 'clients.subscriptions' : 'subscriptions.of_client',
          summary: 'Subscriptions of one client',
          tag: 'subscriptions',
          role: 'read',
          params: byId,
          query: input({ ...pageQuery, ...filterQuery(subscriptionFields) }),
          answers: { 200: listing(subscriptionSchema, 'Subscriptions.') },
          handle: async (call) => {
            const { clientid } = call.params;
            const { instance: of } = call.query;
            const instance = typeof of === 'number' ? of : undefined;
            const client = await registry.client(clientid, instance);
            if (client === undefined) throw unknownClient(clientid);
            return answerListing(scanner, call, {
              source: (page) => registry.subscriptions({ ...page, clientId: clientid, instance }),
              fields: subscriptionFields,
              show: (row) => showSubscription(row, nodeId()),
            });
          },
        }),
    ),
    route<{ params: ById; query: ByInstance & { readonly reason?: string } }>({
      method: 'DELETE',
      url: '/api/v1/clients/:clientid',
      name: 'clients.kick',
      summary: 'Closes the connection (0x98 to MQTT 5.0); a session that outlives it stays',
      tag: 'clients',
      role: 'operate',
      params: byId,
      query: input({
        reason: text('Reason String for the client.', { maxLength: 1024 }),
        ...allOf,
      }),
      answers: { 200: record({ clientid: clientId, kicked: flag('Always true.') }) },
      target: targetOf,
      handle: async ({ params: { clientid }, query }) => {
        const { reason = '', instance } = query;
        if (!(await registry.kick(clientid, kReasonCode, reason, instance))) {
          throw new Problem('not_found', `"${clientid}" is not connected`, 'clientid');
        }
        return { clientid, kicked: true };
      },
    }),
    route<{ params: ById; query: ByInstance }>({
      method: 'DELETE',
      url: '/api/v1/clients/:clientid/session',
      name: 'clients.end_session',
      summary: 'Ends the session, its connection first: subscriptions and waiting messages go',
      tag: 'clients',
      role: 'admin',
      params: byId,
      query: input(allOf),
      answers: { 200: record({ clientid: clientId, ended: flag('Always true.') }) },
      target: targetOf,
      handle: async ({ params: { clientid }, query }) => {
        if (!(await registry.endSession(clientid, query.instance))) throw unknownClient(clientid);
        return { clientid, ended: true };
      },
    }),
  ];
}

/** Only the first of a Client Identifier can be without a connection. */
async function endIfOffline(registry: Registry, clientid: string): Promise<boolean> {
  const detail = await registry.client(clientid, 0);
  return detail !== undefined && !detail.connected && registry.endSession(clientid, 0);
}

function targetOf({ params, query }: { params: ById; query: ByInstance }): string {
  const { instance } = query;
  return instance === undefined ? params.clientid : `${params.clientid} instance ${instance}`;
}

export function unknownClient(clientid: string): Problem {
  return new Problem('not_found', `there is no session of "${clientid}"`, 'clientid');
}
