// Each route's real answers against the document that the console gives out.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  client,
  type Harness,
  harness,
  internalErrors,
  logRow,
  offline,
  retained,
  subscription,
} from './fake.ts';

interface Operation {
  readonly operationId: string;
  readonly requestBody?: unknown;
  readonly responses: Record<string, { content?: Record<string, { schema: object }> }>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
}

const json = 'application/json';
type Example = readonly [method: string, url: string, status: number, body?: object | string];

/** At least one for every operation of the document. */
const examples: readonly Example[] = [
  ['GET', '/livez', 200],
  ['GET', '/readyz', 200],
  ['GET', '/openapi.json', 200],
  ['GET', '/', 200],
  ['GET', '/config', 200],
  ['GET', '/router', 200],
  ['GET', '/device/on', 200],
  ['GET', '/device/off', 200],
  ['GET', '/device/nobody', 404],
  ['GET', '/subscriptions', 200],
  ['GET', '/subscriptions/a.%2B', 200],
  ['GET', '/subscriptions/a%2F%23.b', 400],
  ['GET', '/waiters/a.+', 200],
  ['GET', '/readyqueue', 200],
  ['POST', '/logs', 200, 'info'],
  ['POST', '/logs', 400, 'info,=nonsense='],
  ['GET', '/api/v1', 200],
  ['GET', '/api/v1/brokers', 200],
  ['GET', '/api/v1/brokers/3', 200],
  ['GET', '/api/v1/brokers/4', 404],
  ['GET', '/api/v1/nodes', 200],
  ['GET', '/api/v1/nodes/3', 200],
  ['GET', '/api/v1/nodes/x', 400],
  ['GET', '/api/v1/health/check', 200],
  ['GET', '/api/v1/features', 200],
  ['GET', '/api/v1/clients?limit=1', 200],
  ['GET', '/api/v1/clients?limit=0', 400],
  ['GET', '/api/v1/clients/on', 200],
  ['GET', '/api/v1/clients/off', 200],
  ['GET', '/api/v1/clients/nobody', 404],
  ['GET', '/api/v1/clients/offlines', 200],
  ['GET', '/api/v1/clients/on/online', 200],
  ['GET', '/api/v1/clients/on/subscriptions', 200],
  ['GET', '/api/v1/clients/nobody/subscriptions', 404],
  ['GET', '/api/v1/subscriptions', 200],
  ['GET', '/api/v1/subscriptions?_match_topic=a/b', 200],
  ['GET', '/api/v1/subscriptions/on', 200],
  ['GET', '/api/v1/routes?topic=a/b', 200],
  ['GET', '/api/v1/routes', 400],
  ['GET', '/api/v1/routes/a%2Fb', 200],
  ['GET', '/api/v1/denials?clientid=on', 200],
  ['GET', '/api/v1/filters', 200],
  ['GET', '/api/v1/filters/log?filter=l/%23', 200],
  ['GET', '/api/v1/filters/log?filter=none', 404],
  ['GET', '/api/v1/filters/log?filter=a%23', 400],
  ['DELETE', '/api/v1/filters?filter=gone', 200],
  ['DELETE', '/api/v1/filters?filter=none', 404],
  ['GET', '/api/v1/retains', 200],
  ['GET', '/api/v1/retains?filter=r/%23', 200],
  ['GET', '/api/v1/retains?filter=r/%23/x', 400],
  ['GET', '/api/v1/retains/message?topic=r/text', 200],
  ['GET', '/api/v1/retains/message?topic=r/none', 404],
  ['DELETE', '/api/v1/retains?topic=r/text', 200],
  ['DELETE', '/api/v1/retains?topic=r/text', 404],
  ['POST', '/api/v1/mqtt/publish', 200, { topic: 'a/b', payload: 'x', qos: 1 }],
  ['POST', '/api/v1/mqtt/publish', 400, { topic: 'a/b', payload: 'x', qos: 3 }],
  ['POST', '/api/v1/mqtt/publish', 409, { topic: 'a/b', payload: 'x', clientid: 'on' }],
  ['POST', '/api/v1/mqtt/write', 200, { topic: 'a/b', payload: 'x', clientid: 'on', qos: 1 }],
  ['POST', '/api/v1/mqtt/write', 200, { topic: 'a', payload: 'x', clientids: ['slow', 'x'] }],
  ['POST', '/api/v1/mqtt/write', 400, { topic: 'a', payload: 'x' }],
  ['POST', '/api/v1/mqtt/write', 400, { topic: 'a/#', payload: 'x', clientid: 'on' }],
  ['POST', '/api/v1/mqtt/subscribe', 200, { topics: 'a,b/#', clientid: 'on', qos: 2 }],
  ['POST', '/api/v1/mqtt/subscribe', 200, { topic: 'refused', clientid: 'on' }],
  ['POST', '/api/v1/mqtt/subscribe', 404, { topic: 'a', clientid: 'nobody' }],
  ['POST', '/api/v1/mqtt/unsubscribe', 200, { topic: 'a/+', clientid: 'on' }],
  ['GET', '/api/v1/stats', 200],
  ['GET', '/api/v1/stats/sum', 200],
  ['GET', '/api/v1/metrics', 200],
  ['GET', '/api/v1/metrics/sum', 200],
  ['GET', '/api/v1/metrics/prometheus', 200],
  ['GET', '/api/v1/config', 200],
  ['GET', '/api/v1/config?changed=true', 200],
  ['PATCH', '/api/v1/config', 200, { log: { level: 'info' } }],
  ['PATCH', '/api/v1/config', 400, { log: { levle: 'info' } }],
  ['PATCH', '/api/v1/config', 400, { broker: { io_threads: 2 } }],
  ['PATCH', '/api/v1/config', 400, {}],
  ['POST', '/api/v1/reload', 200],
  ['GET', '/api/v1/log/filter', 200],
  ['PUT', '/api/v1/log/filter', 200, { filter: 'info,auth=debug' }],
  ['PUT', '/api/v1/log/filter', 400, { filter: 'info,=' }],
  ['GET', '/api/v1/traces', 200],
  ['POST', '/api/v1/traces', 200, { clientid: 'on', seconds: 5 }],
  ['POST', '/api/v1/traces', 200, { topic: 'a/#', file: 'one.trace' }],
  ['POST', '/api/v1/traces', 400, {}],
  ['POST', '/api/v1/traces', 400, { clientid: 'on', file: '../etc/passwd' }],
  ['POST', '/api/v1/traces', 400, { clientid: 'on', file: '/etc/passwd' }],
  ['POST', '/api/v1/traces', 400, { clientid: 'on', seconds: 0 }],
  ['GET', '/api/v1/traces', 200],
  ['DELETE', '/api/v1/traces/1', 200],
  ['DELETE', '/api/v1/traces/77', 404],
  ['GET', '/api/v1/plugins', 200],
  ['GET', '/api/v1/plugins/topic-rewrite', 200],
  ['GET', '/api/v1/plugins/none', 404],
  ['POST', '/api/v1/plugins/topic-rewrite/load', 200],
  ['POST', '/api/v1/plugins/topic-rewrite/unload', 200],
  ['POST', '/api/v1/plugins/topic-rewrite/reload', 200],
  ['POST', '/api/v1/plugins/none/load', 404],
  ['GET', '/api/v1/devices', 200],
  ['GET', '/api/v1/devices?online=false&gateway=gw-*', 200],
  ['GET', '/api/v1/devices?limit=0', 400],
  ['GET', '/api/v1/bans', 200],
  ['POST', '/api/v1/bans', 200, { kind: 'client', value: 'dev-1', seconds: 60, reason: 'loud' }],
  ['POST', '/api/v1/bans', 200, { kind: 'address', value: '10.0.0.0/8' }],
  ['POST', '/api/v1/bans', 400, { kind: 'address', value: 'nowhere' }],
  ['POST', '/api/v1/bans', 400, { kind: 'planet', value: 'x' }],
  ['POST', '/api/v1/bans', 400, { kind: 'user' }],
  ['POST', '/api/v1/bans', 400, { kind: 'user', value: 'x', seconds: 0 }],
  ['GET', '/api/v1/bans?limit=1', 200],
  ['DELETE', '/api/v1/bans?kind=client&value=dev-1', 200],
  ['DELETE', '/api/v1/bans?kind=client&value=dev-1', 404],
  ['DELETE', '/api/v1/bans', 400],
  ['DELETE', '/api/v1/clients/on', 200],
  ['DELETE', '/api/v1/clients/off', 404],
  ['DELETE', '/api/v1/clients/offlines', 400],
  ['DELETE', '/api/v1/clients/offlines?clientid=off*', 200],
  ['DELETE', '/api/v1/clients/on/session', 200],
  ['DELETE', '/api/v1/clients/on/session', 404],
];

describe('the OpenAPI document', () => {
  let it_: Harness;
  let document: Document;
  const ajv = new Ajv2020({ strict: false });

  beforeAll(async () => {
    it_ = await harness();
    const { deps, history } = it_;
    deps.registry.rows = [
      client('on', { queuedMessages: 2, username: 'u', address: '[::1]:9' }),
      client('off', offline),
      client('off2', offline),
    ];
    deps.registry.details.set('on', {
      will: { topic: 'w', qos: 1, retain: false, payloadBytes: 3, delay: 0 },
      window: [
        { packetId: 1, direction: 'out', qos: 1, state: 'sent', topic: 't', payloadBytes: 1 },
      ],
    });
    deps.registry.subs = [subscription('on', 'a/+'), subscription('off', '$share/g/a/b')];
    deps.registry.logRows = [logRow('l/#', { initialized: true }), logRow('gone')];
    deps.registry.messages = [
      retained('r/text', Buffer.from('é')),
      retained('r/bytes', Buffer.from([255, 0])),
      retained('r/long', Buffer.alloc(1000, 'l')),
    ];
    history.connected({ clientId: 'on', address: '[::1]:9' } as never);
    document = (await it_.app.inject({ url: '/openapi.json' })).json();
  });

  it('is OpenAPI 3.1 with one operationId for each operation', () => {
    expect(document.openapi).toBe('3.1.0');
    const ids = Object.values(document.paths).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    expect(ids.length).toBeGreaterThan(40);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has an example here for each operation', () => {
    const missing: string[] = [];
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const method of Object.keys(operations)) {
        const known = examples.some(
          ([m, url, status]) =>
            status === 200 && m.toLowerCase() === method && pathOf(document, m, url) === path,
        );
        if (!known) missing.push(`${method} ${path}`);
      }
    }
    expect(missing).toEqual([]);
  });

  for (const [method, url, status, body] of examples) {
    it(`${method} ${url} answers ${status} as it says`, async () => {
      const response = await it_.app.inject({
        method: method as 'GET',
        url,
        ...(body === undefined ? {} : { payload: body }),
      });
      expect(response.statusCode, response.body).toBe(status);
      const path = pathOf(document, method, url);
      const { responses } = document.paths[path ?? '']?.[method.toLowerCase()] ?? {};
      const stated = responses?.[String(status)] ?? responses?.[`${String(status)[0]}XX`];
      const type = (response.headers['content-type'] as string).split(';', 1)[0] as string;
      const schema = stated?.content?.[type]?.schema;
      expect(schema, `no ${type} for ${status}`).toBeDefined();
      const validate = ajv.compile(schema as object);
      const value = type === json ? response.json() : response.body;
      expect(validate(value), JSON.stringify([validate.errors, value])).toBe(true);
      expect(internalErrors(it_.deps)).toEqual([]);
    });
  }
});

/** The path of the document that a URL is about: the one with most fixed parts. */
function pathOf(document: Document, method: string, url: string): string | undefined {
  const asked = (url.split('?')[0] ?? '').split('/');
  return Object.keys(document.paths)
    .filter((path) => {
      const parts = path.split('/');
      return (
        document.paths[path]?.[method.toLowerCase()] !== undefined &&
        parts.length === asked.length &&
        parts.every((part, i) => part.startsWith('{') || part === asked[i])
      );
    })
    .sort((a, b) => a.split('{').length - b.split('{').length)[0];
}
