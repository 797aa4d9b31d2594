/** Retained messages: list, look, delete. */
import type { RetainedRow } from '../../session/registry.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { retainedSchema, showRetained } from '../rows.js';
import { flag, input, kMaxText, listing, pageQuery, record, text } from '../schema.js';
import type { Context } from './context.js';
import { answerListing, type PageQuery } from './listing.js';
import { checkTopicFilter, checkTopicName } from './topics.js';

const topic = text('A Topic Name.', { minLength: 1, maxLength: kMaxText });

export function retainedRoutes({ deps, scanner }: Context): readonly Route[] {
  const { registry } = deps;
  const nodeId = () => deps.brokerInfo().id;
  return [
    route<{ query: PageQuery & { readonly filter?: string } }>({
      method: 'GET',
      url: '/api/v1/retains',
      name: 'retained.list',
      summary: 'Retained messages by topic, with the beginning of their payloads',
      tag: 'retained',
      role: 'read',
      query: input({
        ...pageQuery,
        filter: text('Only those that match this Topic Filter.', {
          minLength: 1,
          maxLength: kMaxText,
        }),
      }),
      answers: { 200: listing(retainedSchema, 'Retained messages in byte order of topics.') },
      handle: (call) => {
        const { filter } = call.query;
        if (filter !== undefined) checkTopicFilter(filter, 'filter');
        return answerListing<RetainedRow>(scanner, call, {
          source: (page) => registry.retained(filter === undefined ? page : { ...page, filter }),
          fields: {},
          show: (row) => showRetained(row, nodeId(), 'preview'),
        });
      },
    }),
    route<{ query: { readonly topic: string } }>({
      method: 'GET',
      url: '/api/v1/retains/message',
      name: 'retained.get',
      summary: 'The retained message of one Topic Name, with its whole payload',
      tag: 'retained',
      role: 'read',
      query: input({ topic }, ['topic']),
      answers: { 200: retainedSchema },
      handle: async ({ query }) => {
        checkTopicName(query.topic);
        const row = await registry.retainedMessage(query.topic);
        if (row === undefined) throw none(query.topic);
        return showRetained(row, nodeId(), 'whole');
      },
    }),
    route<{ query: { readonly topic: string } }>({
      method: 'DELETE',
      url: '/api/v1/retains',
      name: 'retained.delete',
      summary: 'Deletes the retained message of one Topic Name; subscribers are not told',
      tag: 'retained',
      role: 'operate',
      query: input({ topic }, ['topic']),
      answers: { 200: record({ topic, deleted: flag('Always true.') }) },
      target: ({ query }) => query.topic,
      handle: async ({ query }) => {
        checkTopicName(query.topic);
        if (!(await registry.deleteRetained(query.topic))) throw none(query.topic);
        return { topic: query.topic, deleted: true };
      },
    }),
  ];
}

function none(name: string): Problem {
  return new Problem('not_found', `nothing is retained for "${name}"`, 'topic');
}
