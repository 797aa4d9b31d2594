// Bad input: one clear answer that names the field, and never an internal error.
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { client, type Harness, harness, internalErrors, retained, subscription } from './fake.ts';
import { anyRequest, type Method } from './requests.ts';

let it_: Harness;
beforeAll(async () => {
  it_ = await harness();
});
beforeEach(() => {
  const { registry, audits, logs } = it_.deps;
  registry.rows = [client('dev-1'), client('a/b')];
  registry.subs = [subscription('dev-1', 'a/+')];
  registry.messages = [retained('r')];
  audits.length = 0;
  logs.length = 0;
});

const ask = (method: Method, url: string, payload?: unknown, type = 'application/json') =>
  it_.app.inject({
    method,
    url,
    ...(payload === undefined
      ? {}
      : {
          payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
          headers: { 'content-type': type },
        }),
  });

describe('a field that is wrong', () => {
  const cases: [Method, string, unknown, string][] = [
    ['GET', '/api/v1/clients?limit=0', undefined, 'limit'],
    ['GET', '/api/v1/clients?limit=1001', undefined, 'limit'],
    ['GET', '/api/v1/clients?limit=ten', undefined, 'limit'],
    ['GET', '/api/v1/clients?limit=1.5', undefined, 'limit'],
    ['GET', '/api/v1/clients?connected=maybe', undefined, 'connected'],
    ['GET', '/api/v1/clients?no_such=1', undefined, 'no_such'],
    ['GET', '/api/v1/clients/dev-1?instance=-1', undefined, 'instance'],
    ['DELETE', '/api/v1/clients/dev-1?instance=all', undefined, 'instance'],
    ['DELETE', '/api/v1/clients/dev-1/session?instance=4294967295', undefined, 'instance'],
    ['GET', '/api/v1/clients?limit=1&limit=2', undefined, 'limit'],
    ['GET', '/api/v1/clients?_gte_mqueue_len=many', undefined, '_gte_mqueue_len'],
    ['GET', '/api/v1/routes?topic=a/%2B', undefined, 'topic'],
    ['GET', '/api/v1/routes?topic=a%00', undefined, 'topic'],
    ['GET', '/api/v1/routes?topic=', undefined, 'topic'],
    ['GET', '/api/v1/subscriptions?_match_topic=%23', undefined, '_match_topic'],
    ['GET', '/api/v1/retains?filter=a/%23/b', undefined, 'filter'],
    ['GET', '/subscriptions/a%23', undefined, 'filter'],
    ['DELETE', '/api/v1/retains?topic=%23', undefined, 'topic'],
    ['DELETE', '/api/v1/retains', undefined, 'topic'],
    ['DELETE', '/api/v1/clients/offlines', undefined, 'all'],
    ['DELETE', '/api/v1/clients/offlines?connected=false', undefined, 'connected'],
    ['POST', '/api/v1/mqtt/publish', {}, 'payload'],
    ['POST', '/api/v1/mqtt/publish', { payload: 'x' }, 'topic'],
    ['POST', '/api/v1/mqtt/publish', { payload: 5, topic: 'a' }, 'payload'],
    ['POST', '/api/v1/mqtt/publish', { payload: null, topic: 'a' }, 'payload'],
    ['POST', '/api/v1/mqtt/publish', { payload: 'x', topic: 'a/#' }, 'topic'],
    ['POST', '/api/v1/mqtt/publish', { payload: 'x', topic: '\ud800' }, 'topic'],
    ['POST', '/api/v1/mqtt/publish', { payload: 'x', topic: 'ä'.repeat(40_000) }, 'topic'],
    ['POST', '/api/v1/mqtt/publish', { payload: 'x', topic: 'a', qos: '1' }, 'qos'],
    ['POST', '/api/v1/mqtt/publish', { payload: 'x', topic: 'a', retain: 1 }, 'retain'],
    ['POST', '/api/v1/mqtt/publish', { payload: '!', topic: 'a', encoding: 'base64' }, 'payload'],
    ['POST', '/api/v1/mqtt/publish', { payload: '', topic: 'a', encoding: 'hex' }, 'encoding'],
    [
      'POST',
      '/api/v1/mqtt/publish',
      { payload: '', topic: 'a', properties: { user_properties: [['a']] } },
      'properties.user_properties.0',
    ],
    [
      'POST',
      '/api/v1/mqtt/publish',
      { payload: '', topic: 'a', properties: { response_topic: '+' } },
      'properties.response_topic',
    ],
    [
      'POST',
      '/api/v1/mqtt/publish',
      { payload: '', topic: 'a', properties: { correlation_data: '?' } },
      'properties.correlation_data',
    ],
    ['POST', '/api/v1/mqtt/publish', { payload: '', topics: [] }, 'topics'],
    ['POST', '/api/v1/mqtt/subscribe', { topic: 'a' }, 'clientid'],
    ['POST', '/api/v1/mqtt/subscribe', { clientid: 'dev-1' }, 'topic'],
    ['POST', '/api/v1/mqtt/subscribe', { clientid: 'dev-1', topics: 'a,#b' }, 'topic'],
    ['POST', '/api/v1/mqtt/unsubscribe', [], 'body'],
    ['POST', '/api/v1/mqtt/unsubscribe', 'null', 'body'],
    ['PUT', '/api/v1/log/filter', { filter: 7 }, 'filter'],
    ['PATCH', '/api/v1/config', { mqtt: 7 }, 'mqtt'],
    ['PATCH', '/api/v1/config', { mqtt: { max_qoz: 1 } }, 'mqtt.max_qoz'],
    ['PATCH', '/api/v1/config', { broker: { io_threads: 2 } }, 'broker.io_threads'],
  ];
  for (const [method, url, payload, field] of cases) {
    it(`${method} ${url} ${JSON.stringify(payload)?.slice(0, 60) ?? ''}`, async () => {
      const response = await ask(method, url, payload);
      expect(response.statusCode, response.body).toBe(400);
      expect(response.json().error).toMatchObject({ code: 'bad_request', field });
      expect(it_.deps.published).toEqual([]);
      expect(it_.deps.patches).toEqual([]);
    });
  }
});

describe('what is not a request of this API', () => {
  it.each(['{', '{"a":1}}', '{"__proto__":{"x":1}}', '{"constructor":{"prototype":{}}}', '\u0000'])(
    'a body of %j is refused',
    async (body) => {
      const response = await ask('POST', '/api/v1/mqtt/publish', body);
      expect(response.statusCode).toBe(400);
      expect(response.json().error.code).toBe('bad_request');
    },
  );

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'nonsense'])(
    'a body of %s is refused where JSON is expected',
    async (type) => {
      const response = await ask('POST', '/api/v1/mqtt/publish', '{"topic":"a"}', type);
      expect(response.statusCode).toBe(415);
      expect(response.json().error.code).toBe('unsupported_media_type');
      expect((await ask('POST', '/api/v1/reload', 'x=1', type)).statusCode).toBe(415);
      expect(it_.deps.reloads).toBe(0);
    },
  );

  it('a body beyond 1 MiB is refused', async () => {
    const response = await ask('POST', '/api/v1/mqtt/publish', {
      topic: 'a',
      payload: 'x'.repeat(1_048_577),
    });
    expect(response.statusCode).toBe(413);
    expect(response.json().error.code).toBe('too_large');
  });

  it('a URL beyond 8 KiB is refused', async () => {
    const response = await ask('GET', `/api/v1/clients?clientid=${'x'.repeat(9000)}`);
    expect(response.statusCode).toBe(414);
    expect(response.json().error.code).toBe('uri_too_long');
  });

  it('a path that does not exist is 404, one with other methods 405 and names them', async () => {
    for (const url of ['/nope', '/api/v1/plugin', '/api/v2', '/api/v1/clients/a/b/c', '//']) {
      const response = await ask('GET', url);
      expect(response.statusCode, url).toBe(404);
      expect(response.json().error.code).toBe('not_found');
    }
    const response = await ask('POST', '/api/v1/clients/dev-1');
    expect(response.statusCode).toBe(405);
    expect(response.headers.allow).toBe('GET, DELETE');
    expect((await ask('PUT', '/logs')).headers.allow).toBe('POST');
  });

  it('no path of the file system is served', async () => {
    for (const path of [
      '/../package.json',
      '/..%2f..%2fetc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/etc/passwd',
      '/api/v1/clients/..%2f..%2f..%2fetc%2fpasswd',
      '/ui/../../package.json',
    ]) {
      const response = await ask('GET', path);
      expect(response.statusCode, path).toBe(404);
      expect(response.body).not.toMatch(/root:|"name": "st-mqttd"/);
    }
  });

  it('a URL that does not decode is 400', async () => {
    for (const url of ['/%', '/api/v1/clients/%E0%A4%A', '/device/%ff']) {
      const response = await ask('GET', url);
      expect(response.statusCode, url).toBe(400);
      expect(response.json().error.code, url).toBe('bad_request');
    }
  });
});

describe('an internal error', () => {
  it('is a 500 with an id that is in the log, and nothing more', async () => {
    it_.deps.failWith = new TypeError('the secret inside');
    const response = await ask('GET', '/api/v1/metrics');
    it_.deps.failWith = undefined;
    expect(response.statusCode).toBe(500);
    const { error } = response.json();
    expect(error.code).toBe('internal');
    expect(response.body).not.toMatch(/secret inside|TypeError|\.ts|at /);
    const [record] = internalErrors(it_.deps);
    expect(record?.fields).toMatchObject({ errorId: error.id, route: '/api/v1/metrics' });
    expect(record?.fields.err).toEqual(new TypeError('the secret inside'));
  });
});

describe('anything at all', () => {
  it('is answered, in JSON where it is refused, and never by an internal error', async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest, async ({ method, url, body }) => {
        it_.deps.logs.length = 0;
        const response = await ask(method, url, body);
        const told = `${method} ${url} ${body}: ${response.body}`;
        expect(response.statusCode, told).toBeLessThan(500);
        expect(internalErrors(it_.deps), told).toEqual([]);
        if (response.statusCode >= 400) {
          const { error } = response.json();
          expect(typeof error.code, told).toBe('string');
          expect(error.message, told).not.toMatch(/node_modules|\.[jt]s:\d/);
        }
      }),
      { numRuns: 1500 },
    );
  }, 60_000);
});
