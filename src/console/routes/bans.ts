/** Bans: list, add, take back. */
import { type BanInfo, type BanKind, kMaxBanValue } from '../../limits/bans.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { flag, input, integer, listing, orNull, pageQuery, record, text } from '../schema.js';
import type { Context } from './context.js';
import { answerListing, type PageQuery } from './listing.js';

const kind = text('What is banned: a Client Identifier, a username, an address or network.', {
  enum: ['client', 'user', 'address'],
});
const value = text(
  'The Client Identifier (behind its tenant), the username, or "192.0.2.7", "10.0.0.0/8".',
  { minLength: 1, maxLength: kMaxBanValue },
);

const banSchema = record({
  kind,
  value: text('Who is banned.'),
  reason: text('As it was given.'),
  source: text('"admin", or "flapping": by [limits.flapping].', { enum: ['admin', 'flapping'] }),
  expires_at: orNull(integer('Milliseconds since 1970; null = never.')),
});

interface Body {
  readonly kind: BanKind;
  readonly value: string;
  readonly seconds?: number;
  readonly reason?: string;
}

export function banRoutes({ deps, scanner }: Context): readonly Route[] {
  return [
    route<{ query: PageQuery }>({
      method: 'GET',
      url: '/api/v1/bans',
      name: 'bans.list',
      summary: 'Clients, users and addresses that are kept out',
      tag: 'bans',
      role: 'operate',
      query: input(pageQuery),
      answers: { 200: listing(banSchema, 'Bans, by kind and value.') },
      handle: (call) =>
        answerListing<BanInfo>(scanner, call, {
          source: async (page) => deps.bans().list(page),
          fields: {},
          show,
        }),
    }),
    route<{ body: Body }>({
      method: 'POST',
      url: '/api/v1/bans',
      name: 'bans.add',
      summary: 'Keeps a client, a user or an address out; who is connected is disconnected',
      tag: 'bans',
      role: 'admin',
      body: input(
        {
          kind,
          value,
          seconds: integer('How long; none = until it is taken back.', {
            minimum: 1,
            maximum: 0xffffffff,
          }),
          reason: text('For those who look at the list.', { maxLength: 128 }),
        },
        ['kind', 'value'],
      ),
      answers: { 200: record({ kind, value: text('Who is banned.') }) },
      target: ({ body }) => `${body.kind} ${body.value}`,
      handle: async ({ body }) => {
        deps.bans().add(body);
        return { kind: body.kind, value: body.value };
      },
    }),
    route<{ query: Pick<Body, 'kind' | 'value'> }>({
      method: 'DELETE',
      url: '/api/v1/bans',
      name: 'bans.remove',
      summary: 'Takes a ban back',
      tag: 'bans',
      role: 'admin',
      query: input({ kind, value }, ['kind', 'value']),
      answers: { 200: record({ removed: flag('Always true.') }) },
      target: ({ query }) => `${query.kind} ${query.value}`,
      handle: async ({ query }) => {
        if (!deps.bans().remove(query)) {
          throw new Problem(
            'not_found',
            `value: no ban of the ${query.kind} "${query.value}"`,
            'value',
          );
        }
        return { removed: true };
      },
    }),
  ];
}

function show({ kind: of, value: who, reason, source, expiresAt }: BanInfo): unknown {
  return { kind: of, value: who, reason, source, expires_at: expiresAt ?? null };
}
