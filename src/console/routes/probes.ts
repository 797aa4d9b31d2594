/** For those who watch the process, and the document of all routes. */
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { byName, record, text } from '../schema.js';
import type { Context } from './context.js';

const answers = { 200: record({ status: text('"ok".', { enum: ['ok'] }) }) };

export function probeRoutes({ deps, openapi }: Context): readonly Route[] {
  return [
    route({
      method: 'GET',
      url: '/livez',
      name: 'livez',
      summary: 'Whether the process answers',
      tag: 'probes',
      role: 'open',
      answers,
      handle: () => ({ status: 'ok' }),
    }),
    route({
      method: 'GET',
      url: '/readyz',
      name: 'readyz',
      summary: 'Whether clients can connect: 503 while the broker starts or stops',
      tag: 'probes',
      role: 'open',
      answers,
      handle: () => {
        if (!deps.brokerInfo().ready) {
          throw new Problem('stopping', 'the broker is starting or stopping');
        }
        return { status: 'ok' };
      },
    }),
    route({
      method: 'GET',
      url: '/openapi.json',
      name: 'openapi',
      summary: 'This API as an OpenAPI 3.1 document',
      tag: 'probes',
      role: 'read',
      answers: { 200: byName({}, 'An OpenAPI document.') },
      handle: () => openapi(),
    }),
  ];
}
