/** Filters with a log of what nobody had subscribed to: list, look, delete. */
import type { LogRow } from '../../session/registry.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import {
  flag,
  input,
  integer,
  kMaxText,
  listing,
  orNull,
  pageQuery,
  record,
  text,
} from '../schema.js';
import type { Context } from './context.js';
import { answerListing, type PageQuery } from './listing.js';
import { checkTopicFilter } from './topics.js';

const filter = text('A Topic Filter that has a log.', { minLength: 1, maxLength: kMaxText });

const logSchema = record(
  {
    filter: text('Its Topic Filter: a Topic Name, or one of initialized_filters.'),
    initialized: flag('Whether [router] initialized_filters has it.'),
    messages: integer('In it now.'),
    bytes: integer('Of these: 4, Topic Name and payload of each.'),
    segments: integer('Of these, the active one included.'),
    appended: integer('Messages since it was made.'),
    appended_bytes: integer('Their bytes.'),
    lost: integer('Of these: dropped because it was full.'),
    created_at: integer('ms since 1970.'),
    written_at: orNull(integer('ms since 1970; null = never.')),
  },
  'The log of a filter: messages that nobody had subscribed to.',
);

export function filterRoutes({ deps, scanner }: Context): readonly Route[] {
  const { registry } = deps;
  return [
    route<{ query: PageQuery }>({
      method: 'GET',
      url: '/api/v1/filters',
      name: 'filters.list',
      summary: 'Filters that have a log of what nobody had subscribed to',
      tag: 'filters',
      role: 'read',
      query: input(pageQuery),
      answers: { 200: listing(logSchema, 'Logs, in no particular order.') },
      handle: (call) =>
        answerListing<LogRow>(scanner, call, {
          source: (page) => registry.logs(page),
          fields: {},
          show,
        }),
    }),
    route<{ query: { readonly filter: string } }>({
      method: 'GET',
      url: '/api/v1/filters/log',
      name: 'filters.get',
      summary: 'The log of one filter',
      tag: 'filters',
      role: 'read',
      query: input({ filter }, ['filter']),
      answers: { 200: logSchema },
      handle: async ({ query }) => {
        checkTopicFilter(query.filter, 'filter');
        const row = await registry.log(query.filter);
        if (row === undefined) throw none(query.filter);
        return show(row);
      },
    }),
    route<{ query: { readonly filter: string } }>({
      method: 'DELETE',
      url: '/api/v1/filters',
      name: 'filters.delete',
      summary:
        'Deletes the log of one filter with its messages; one of initialized_filters is emptied',
      tag: 'filters',
      role: 'operate',
      query: input({ filter }, ['filter']),
      answers: { 200: record({ filter, deleted: flag('Always true.') }) },
      target: ({ query }) => query.filter,
      handle: async ({ query }) => {
        checkTopicFilter(query.filter, 'filter');
        if (!(await registry.deleteLog(query.filter))) throw none(query.filter);
        return { filter: query.filter, deleted: true };
      },
    }),
  ];
}

function show({ appendedBytes, createdAt, writtenAt, ...rest }: LogRow): unknown {
  return {
    ...rest,
    appended_bytes: appendedBytes,
    created_at: createdAt,
    written_at: writtenAt ?? null,
  };
}

function none(name: string): Problem {
  return new Problem('not_found', `"${name}" has no log`, 'filter');
}
