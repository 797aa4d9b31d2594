// Requests of any kind, for every route of the console: fast-check's arbitraries.
import fc from 'fast-check';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const urls = [
  '/',
  '/config',
  '/router',
  '/device/:x',
  '/subscriptions',
  '/subscriptions/:x',
  '/waiters/:x',
  '/readyqueue',
  '/logs',
  '/livez',
  '/readyz',
  '/openapi.json',
  '/api/v1',
  '/api/v1/brokers',
  '/api/v1/brokers/:x',
  '/api/v1/nodes',
  '/api/v1/nodes/:x',
  '/api/v1/health/check',
  '/api/v1/features',
  '/api/v1/clients',
  '/api/v1/clients/offlines',
  '/api/v1/clients/:x',
  '/api/v1/clients/:x/online',
  '/api/v1/clients/:x/subscriptions',
  '/api/v1/clients/:x/session',
  '/api/v1/subscriptions',
  '/api/v1/subscriptions/:x',
  '/api/v1/routes',
  '/api/v1/routes/:x',
  '/api/v1/retains',
  '/api/v1/retains/message',
  '/api/v1/denials',
  '/api/v1/filters',
  '/api/v1/filters/log',
  '/api/v1/mqtt/publish',
  '/api/v1/mqtt/subscribe',
  '/api/v1/mqtt/unsubscribe',
  '/api/v1/stats',
  '/api/v1/stats/sum',
  '/api/v1/metrics',
  '/api/v1/metrics/sum',
  '/api/v1/metrics/prometheus',
  '/api/v1/config',
  '/api/v1/reload',
  '/api/v1/log/filter',
  '/api/v1/traces',
  '/api/v1/traces/:x',
  '/api/v1/devices',
  '/api/v1/bans',
];
const name = fc.oneof(
  fc.constantFrom('dev-1', 'a/b', '.', '..', '%', '#', '+', '$share/g/a', '__proto__', 'a\0b'),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const key = fc.oneof(
  fc.constantFrom(
    'limit',
    'cursor',
    'topic',
    'topics',
    'filter',
    'clientid',
    '_like_clientid',
    'connected',
    'qos',
    'payload',
    'encoding',
    'properties',
    'retain',
    'all',
    '_match_topic',
    'mqtt',
    'log',
    '_gte_created_at',
    'changed',
    'expiry_interval',
    'reason',
    '__proto__',
    'constructor',
  ),
  fc.string({ maxLength: 5 }),
);
const value = fc.oneof(
  name,
  fc.constantFrom('0', '-1', '1e9', 'true', 'NaN', '*', '**a*', '9007199254740993', ''),
);
const encode = (text: string) => encodeURIComponent(Buffer.from(text).toString());
export const anyRequest = fc.record({
  method: fc.constantFrom<Method>('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
  url: fc
    .tuple(fc.constantFrom(...urls), name, fc.array(fc.tuple(key, value), { maxLength: 3 }))
    .map(([path, x, query]) => {
      const asked = query.map(([k, v]) => `${encode(k)}=${encode(v)}`).join('&');
      return `${path.replace(':x', encode(x))}${asked === '' ? '' : `?${asked}`}`;
    }),
  body: fc.oneof(
    fc.constant(undefined),
    fc.string({ maxLength: 10 }),
    fc.json(),
    fc
      .dictionary(
        key,
        fc.oneof(fc.jsonValue(), value, fc.integer({ min: -1, max: 3 }), fc.boolean()),
        { maxKeys: 6 },
      )
      .map((tables) => JSON.stringify(tables)),
  ),
});
