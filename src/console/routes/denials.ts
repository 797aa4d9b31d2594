/** What clients were not allowed to do, and which rule said so. */
import type { DenialRow } from '../../session/registry.js';
import { filterQuery } from '../filter.js';
import { type Route, route } from '../route.js';
import { input, integer, listing, pageQuery, record, text } from '../schema.js';
import type { Context } from './context.js';
import { answerListing, type PageQuery } from './listing.js';

const denialSchema = record(
  {
    at: integer('ms since 1970.'),
    clientid: text('The Client Identifier, behind its tenant.'),
    username: text('"" = none.'),
    action: text('What it asked for.', { enum: ['PUBLISH', 'SUBSCRIBE', 'Will'] }),
    topic: text('The Topic Name or Topic Filter, behind the tenant.'),
    rule: text(
      'What denied: a rule by its number, its file and line, "the default", "device scope: …".',
    ),
  },
  'Something that a client was not allowed to do.',
);

const fields = {
  clientid: {
    kind: 'text',
    of: (row: DenialRow) => row.clientId,
    help: 'The Client Identifier',
  },
  action: { kind: 'text', of: (row: DenialRow) => row.action, help: 'What it asked for' },
  topic: { kind: 'text', of: (row: DenialRow) => row.topic, help: 'The topic or filter' },
  rule: { kind: 'text', of: (row: DenialRow) => row.rule, help: 'What denied' },
} as const;

export function denialRoutes({ deps, scanner }: Context): readonly Route[] {
  return [
    route<{ query: PageQuery }>({
      method: 'GET',
      url: '/api/v1/denials',
      name: 'denials.list',
      summary: 'What clients were not allowed to do lately, and which rule denied it',
      tag: 'clients',
      role: 'read',
      query: input({ ...pageQuery, ...filterQuery(fields) }),
      answers: {
        200: listing(
          denialSchema,
          'Denials, the newest of each I/O thread first: the last 64 of each, at most 20 of a second.',
        ),
      },
      handle: (call) =>
        answerListing<DenialRow>(scanner, call, {
          source: (page) => deps.registry.denials(page),
          fields,
          show: ({ clientId, ...rest }) => ({ ...rest, clientid: clientId }),
        }),
    }),
  ];
}
