// Who may do what: roles, tokens, addresses, pages of other origins.
import { describe, expect, it } from 'vitest';
import type { ConsoleToken } from '../../../src/config/resolve.ts';
import { client, harness } from './fake.ts';

const tokens: readonly ConsoleToken[] = [
  { name: 'viewer', role: 'read', token: 'token-of-viewer' },
  { name: 'shift', role: 'operate', token: 'token-of-shift' },
  { name: 'boss', role: 'admin', token: 'token-of-boss' },
];
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
/** Valid requests, by the role that they need; what they answer when they are let in. */
const requests = [
  ['open', 'GET', '/', 200],
  ['open', 'GET', '/livez', 200],
  ['open', 'GET', '/readyz', 200],
  ['read', 'GET', '/openapi.json', 200],
  ['read', 'GET', '/config', 200],
  ['read', 'GET', '/router', 200],
  ['read', 'GET', '/device/nobody', 404],
  ['read', 'GET', '/subscriptions', 200],
  ['read', 'GET', '/subscriptions/a', 200],
  ['read', 'GET', '/waiters/a', 200],
  ['read', 'GET', '/readyqueue', 200],
  ['read', 'GET', '/api/v1', 200],
  ['read', 'GET', '/api/v1/clients', 200],
  ['read', 'HEAD', '/api/v1/clients', 200],
  ['read', 'GET', '/api/v1/config', 200],
  ['read', 'GET', '/api/v1/no-such-thing', 404],
  ['operate', 'POST', '/logs', 200, 'info'],
  ['operate', 'DELETE', '/api/v1/clients/nobody', 404],
  ['operate', 'DELETE', '/api/v1/retains?topic=a', 404],
  ['read', 'GET', '/api/v1/denials', 200],
  ['read', 'GET', '/api/v1/filters', 200],
  ['operate', 'DELETE', '/api/v1/filters?filter=a', 404],
  ['operate', 'POST', '/api/v1/mqtt/publish', 200, { topic: 'a', payload: '' }],
  ['operate', 'POST', '/api/v1/mqtt/write', 200, { topic: 'a', payload: '', clientid: 'x' }],
  ['operate', 'POST', '/api/v1/mqtt/subscribe', 404, { topic: 'a', clientid: 'x' }],
  ['operate', 'POST', '/api/v1/mqtt/unsubscribe', 404, { topic: 'a', clientid: 'x' }],
  ['operate', 'PUT', '/api/v1/log/filter', 200, { filter: 'info' }],
  ['admin', 'PATCH', '/api/v1/config', 200, { log: { level: 'info' } }],
  ['admin', 'POST', '/api/v1/reload', 200],
  ['operate', 'GET', '/api/v1/traces', 200],
  ['admin', 'POST', '/api/v1/traces', 200, { clientid: 'a' }],
  ['admin', 'DELETE', '/api/v1/traces/99', 404],
  ['read', 'GET', '/api/v1/devices', 200],
  ['operate', 'GET', '/api/v1/bans', 200],
  ['admin', 'POST', '/api/v1/bans', 200, { kind: 'user', value: 'a' }],
  ['admin', 'DELETE', '/api/v1/bans?kind=user&value=b', 404],
  ['admin', 'DELETE', '/api/v1/clients/offlines?all=true', 200],
  ['admin', 'DELETE', '/api/v1/clients/nobody/session', 404],
] as const;
const order = ['open', 'read', 'operate', 'admin'];
const isChange = (method: string) => !['GET', 'HEAD'].includes(method);

describe('with tokens', () => {
  it('a token may do what its role may, and no more; without one nothing but the open routes', async () => {
    const { app, deps } = await harness(tokens);
    for (const [role, method, url, answer, payload] of requests) {
      const ask = async (headers: Record<string, string>) =>
        (await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) }))
          .statusCode;
      const needs = order.indexOf(role);
      expect(await ask({}), `${method} ${url} without`).toBe(needs === 0 ? answer : 401);
      for (const { token, role: has } of tokens) {
        const expected = order.indexOf(has) >= needs ? answer : 403;
        expect(await ask(bearer(token)), `${method} ${url} as ${has}`).toBe(expected);
      }
    }
    expect(JSON.stringify([deps.logs, deps.audits])).not.toContain('token-of');
  });

  it('refuses wrong tokens alike, however near, and never shows them', async () => {
    const { app, deps } = await harness(tokens);
    const wrong = [
      'token-of-bos',
      'token-of-boss2',
      'Token-of-boss',
      '',
      'x'.repeat(5000),
      'token of boss',
    ];
    for (const token of wrong) {
      for (const authorization of [`Bearer ${token}`, `Basic ${token}`, token]) {
        const response = await app.inject({
          method: 'POST',
          url: '/api/v1/reload',
          headers: { authorization },
        });
        expect(response.statusCode, authorization).toBe(401);
        expect(response.headers['www-authenticate']).toBe('Bearer');
        if (token !== '') expect(response.body).not.toContain(token);
      }
    }
    expect(deps.reloads).toBe(0);
    expect(JSON.stringify([deps.logs, deps.audits])).not.toContain('token-of');
  });

  it('takes the scheme in any case, and no token from the query', async () => {
    const { app } = await harness(tokens);
    const lower = await app.inject({
      url: '/api/v1/stats',
      headers: { authorization: 'bearer token-of-viewer' },
    });
    expect(lower.statusCode).toBe(200);
    const query = await app.inject({ url: '/api/v1/stats?token=token-of-viewer' });
    expect(query.statusCode).toBe(401);
  });

  it('guards other addresses and loopback alike', async () => {
    for (const host of ['127.0.0.1', '0.0.0.0', '192.168.1.5']) {
      const { app } = await harness(tokens, host);
      expect((await app.inject({ url: '/config' })).statusCode, host).toBe(401);
      const response = await app.inject({
        url: '/api/v1/stats',
        headers: { ...bearer('token-of-viewer'), host: 'console.example' },
      });
      expect(response.statusCode, host).toBe(200);
    }
  });
});

describe('without tokens', () => {
  it('on loopback everything is allowed', async () => {
    for (const host of ['127.0.0.1', '::1', '127.8.9.1']) {
      const { app } = await harness([], host);
      for (const [, method, url, answer, payload] of requests) {
        const { statusCode } = await app.inject({
          method,
          url,
          ...(payload === undefined ? {} : { payload }),
        });
        expect(statusCode, `${method} ${url}`).toBe(answer);
      }
    }
  });

  it('elsewhere only the reading routes of ST-RMQTT are served', async () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.5', '127.0.0.1.example']) {
      const { app, deps } = await harness([], host);
      deps.registry.rows = [client('a')];
      for (const [role, method, url, answer, payload] of requests) {
        const isSeed = !url.startsWith('/api/') && url !== '/openapi.json' && !isChange(method);
        const { statusCode, body } = await app.inject({
          method,
          url,
          ...(payload === undefined ? {} : { payload }),
        });
        expect(statusCode, `${method} ${url}`).toBe(role === 'open' || isSeed ? answer : 401);
        expect(body).not.toContain('very-secret-token');
      }
      expect(deps.filter).toBe('warn');
      expect(deps.published).toEqual([]);
    }
  });
});

describe('pages of other origins', () => {
  const origins = [
    'http://evil.example',
    'null',
    'https://127.0.0.1:3030.evil.example',
    'http://127.0.0.1:9999',
    'file://',
    'not a url',
  ];
  it('are refused, also where they need no token', async () => {
    for (const given of [[], tokens]) {
      const { app, deps } = await harness(given);
      for (const origin of origins) {
        for (const [, method, url, , payload] of requests) {
          const { statusCode } = await app.inject({
            method,
            url,
            headers: { host: '127.0.0.1:3030', origin, ...bearer('token-of-boss') },
            ...(payload === undefined ? {} : { payload }),
          });
          expect(statusCode, `${origin}: ${method} ${url}`).toBe(403);
        }
      }
      expect(deps.reloads).toBe(0);
    }
  });

  it('its own page is served', async () => {
    const { app } = await harness();
    for (const [host, origin] of [
      ['127.0.0.1:3030', 'http://127.0.0.1:3030'],
      ['LOCALHOST:3030', 'http://localhost:3030'],
      ['[::1]:3030', 'http://[::1]:3030'],
      ['localhost:80', 'http://localhost'],
    ]) {
      const response = await app.inject({
        method: 'POST',
        url: '/api/v1/reload',
        headers: { host, origin },
      });
      expect(response.statusCode, origin).toBe(200);
    }
  });

  it('a foreign name for loopback (DNS rebinding) is refused', async () => {
    const { app } = await harness();
    for (const host of [
      'evil.example:3030',
      'localhost.evil.example',
      '127.0.0.1.evil.example:3030',
      '127.0.0.1@evil.example',
      '10.0.0.1:3030',
      'a b',
    ]) {
      const response = await app.inject({ url: '/api/v1/clients', headers: { host } });
      expect(response.statusCode, host).toBe(403);
    }
  });
});

describe('the audit log', () => {
  it('has who, from where, what, to what and with what result, refusals too', async () => {
    const { app, deps } = await harness(tokens);
    deps.registry.rows = [client('dev-1')];
    const kick = (headers: Record<string, string>) =>
      app.inject({ method: 'DELETE', url: '/api/v1/clients/dev-1', headers });
    await kick(bearer('token-of-shift'));
    await kick(bearer('token-of-viewer'));
    await kick({});
    await app.inject({ url: '/api/v1/clients', headers: bearer('token-of-viewer') });
    await app.inject({
      method: 'POST',
      url: '/api/v1/mqtt/publish',
      headers: bearer('token-of-shift'),
      payload: { topic: 'a/b', payload: 'do-not-log-me', qos: 9 },
    });
    const [by, target] = [{ address: '127.0.0.1', action: 'clients.kick' }, 'dev-1'];
    expect(deps.audits).toEqual([
      { who: 'shift', ...by, target, result: 'ok' },
      { who: 'viewer', ...by, target, result: 'forbidden' },
      { who: 'nobody', ...by, target, result: 'unauthorized' },
      {
        who: 'shift',
        address: '127.0.0.1',
        action: 'mqtt.publish',
        target: 'a/b',
        result: 'bad_request',
      },
    ]);
    expect(JSON.stringify(deps.audits)).not.toContain('do-not-log-me');
  });

  it('cannot be filled by those who have no token', async () => {
    const { app, deps } = await harness(tokens);
    for (let i = 0; i < 200; i++) await app.inject({ method: 'POST', url: '/api/v1/reload' });
    // At most 20 a second, and this may take two or three of them.
    expect(deps.audits.length).toBeGreaterThanOrEqual(20);
    expect(deps.audits.length).toBeLessThanOrEqual(80);
  });
});
