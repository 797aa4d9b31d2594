// Listings: pages, filters, lines; bounded work, and an event loop that keeps its turns.
import { setImmediate, setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filterOf } from '../../../src/console/filter.ts';
import { clientFields } from '../../../src/console/rows.ts';
import { Scanner } from '../../../src/console/scan.ts';
import { globOf } from '../../../src/session/glob.ts';
import { client, harness, internalErrors, offline, retained, subscription } from './fake.ts';

const unexpected = (error: unknown) => {
  throw error;
};

describe('pages', () => {
  it('give every client that fits once, whatever the limit', async () => {
    const { app, deps } = await harness();
    const { registry } = deps;
    registry.rows = Array.from({ length: 1500 }, (_, i) =>
      client(`dev-${i}`, i % 3 === 0 ? offline : {}),
    );
    const wanted = registry.rows.filter(({ connected }) => !connected).map((row) => row.clientId);
    for (const limit of [7, 100, 333, 1000]) {
      const found: string[] = [];
      let cursor = '';
      do {
        const url = `/api/v1/clients?connected=false&limit=${limit}&cursor=${cursor}`;
        const response = await app.inject({
          url: cursor === '' ? url.replace('&cursor=', '') : url,
        });
        expect(response.statusCode).toBe(200);
        const page = response.json();
        expect(page.items.length).toBeLessThanOrEqual(limit);
        for (const { clientid } of page.items) found.push(clientid);
        cursor = page.next ?? '';
      } while (cursor !== '');
      expect(found).toEqual(wanted);
    }
  });

  it('end after 20,000 rows, and say where to go on', async () => {
    const { app, deps } = await harness();
    const { registry } = deps;
    registry.rows = Array.from({ length: 50_000 }, (_, i) => client(`dev-${i}`));
    registry.rows.push(client('the-one'));
    let [cursor, requests] = ['', 0];
    for (;;) {
      const { items, next, scanned } = (
        await app.inject({ url: `/api/v1/clients?clientid=the-one${cursor}` })
      ).json();
      requests++;
      expect(scanned).toBeLessThanOrEqual(20_000);
      if (items.length > 0) break;
      expect(next).not.toBeNull();
      cursor = `&cursor=${next}`;
    }
    expect(requests).toBe(3);
    expect(registry.largestPage).toBeLessThanOrEqual(250);
  });

  it('a cursor that is not one is refused by name', async () => {
    const { app, deps } = await harness();
    const { fail } = await import('../../../src/errors.ts');
    deps.registry.clients = () =>
      Promise.reject(
        fail('ST_ARGUMENT', { doing: 'listing', name: 'cursor', found: '"x"', allowed: 'one' }),
      );
    const response = await app.inject({ url: '/api/v1/clients?cursor=x' });
    expect(response.statusCode).toBe(400);
    expect(response.json().error.field).toBe('cursor');
  });
});

describe('lines', () => {
  it('give everything, and a last line that says it is complete', async () => {
    const { app, deps } = await harness();
    deps.registry.rows = Array.from({ length: 3000 }, (_, i) => client(`dev-${i}`));
    const response = await app.inject({
      url: '/api/v1/clients?_like_clientid=9',
      headers: { accept: 'application/x-ndjson' },
    });
    expect(response.headers['content-type']).toBe('application/x-ndjson');
    const lines = response.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.pop()).toEqual({ next: null });
    const wanted = deps.registry.rows.filter(({ clientId }) => clientId.includes('9'));
    expect(lines.map(({ clientid }) => clientid)).toEqual(wanted.map((row) => row.clientId));
  });

  it('say in the last line why they are not complete', async () => {
    const { app, deps, stopping } = await harness();
    deps.registry.rows = Array.from({ length: 3000 }, (_, i) => client(`dev-${i}`));
    const { clients } = deps.registry;
    let pages = 0;
    deps.registry.clients = (page) => {
      if (++pages === 3) stopping.abort();
      return clients.call(deps.registry, page);
    };
    const response = await app.inject({
      url: '/api/v1/clients?clientid=dev-*',
      headers: { accept: 'application/x-ndjson' },
    });
    const lines = response.body.trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '').error.code).toBe('stopping');
    expect(lines.length).toBeLessThan(3000);
  });

  it('tell of a defect by its id in the log', async () => {
    const { app, deps } = await harness();
    deps.registry.clients = () => Promise.reject(new TypeError('secret inside'));
    const { body } = await app.inject({
      url: '/api/v1/clients',
      headers: { accept: 'application/x-ndjson' },
    });
    const { error } = JSON.parse(body);
    expect(error.code).toBe('internal');
    expect(body).not.toContain('secret');
    expect(internalErrors(deps)[0]?.fields).toMatchObject({ errorId: error.id });
  });

  it('HEAD reads none', async () => {
    const { app, deps } = await harness();
    deps.registry.rows = Array.from({ length: 3000 }, (_, i) => client(`dev-${i}`));
    const headers = { accept: 'application/x-ndjson' };
    const response = await app.inject({ method: 'HEAD', url: '/api/v1/clients', headers });
    expect(response.statusCode).toBe(200);
    expect(deps.registry.pages).toBe(1);
  });

  it('are bounded in number, and a reader that goes away frees its place', async () => {
    const scanner = new Scanner(new AbortController().signal, unexpected);
    const source = () => Promise.resolve({ items: [1], next: 'more' });
    const open = () => scanner.lines(source, { limit: Number.POSITIVE_INFINITY }, (row) => row);
    const streams = Array.from({ length: 8 }, open);
    for (const stream of streams) await stream.next();
    expect(open).toThrow('8 listings are being read already');
    await streams[0]?.return(undefined);
    const ninth = open();
    expect((await ninth.next()).value).toBe('1\n'.repeat(250));
    for (const stream of [...streams, ninth]) await stream.return(undefined);
  });
});

describe('the event loop', () => {
  it('is not held for more than 10 ms at a time by a hundred thousand clients', async () => {
    const { app, deps } = await harness();
    const { registry } = deps;
    // Rows are made when they are asked for, as the native registry does.
    registry.clients = async ({ cursor, limit }) => {
      await setImmediate();
      const start = Number(cursor ?? 0);
      const items = Array.from({ length: limit }, (_, i) => client(`dev-${start + i}`));
      const next = start + limit;
      return { items, next: next < 100_000 ? String(next) : undefined };
    };
    const ask = (url: string, accept: string) => app.inject({ url, headers: { accept } });
    await ask('/api/v1/clients?limit=1000', 'application/json');
    // In processor time, because other programs share this machine.
    const used = () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    };
    const turns: number[] = [];
    let last = used();
    let running = true;
    const watch = (async () => {
      while (running) {
        await setImmediate();
        const now = used();
        turns.push(now - last);
        last = now;
      }
    })();
    const lines = await ask('/api/v1/clients', 'application/x-ndjson');
    await ask('/api/v1/clients?limit=1000', 'application/json');
    await ask('/api/v1/clients?_like_clientid=zzz', 'application/json');
    running = false;
    await watch;
    expect(lines.body.length).toBeGreaterThan(10_000_000);
    // A turn may have a collection of garbage in it, which is not the console's.
    turns.sort((a, b) => a - b);
    expect(turns[Math.floor(turns.length * 0.97)]).toBeLessThan(10);
  });

  it('gets a turn while a listing of many empty pages is worked on', async () => {
    const scanner = new Scanner(new AbortController().signal, unexpected);
    let pages = 0;
    const page = scanner.page(
      () => {
        pages++;
        return Promise.resolve({ items: [], next: 'more' });
      },
      { limit: 10 },
    );
    await setTimeout(0);
    const { items, next } = await page;
    expect([items, next]).toEqual([[], 'more']);
    expect(pages).toBeLessThanOrEqual(2000);
  });
});

describe('filters of clients', () => {
  const row = client('plant/line-1', {
    username: 'anna',
    address: '[fe80::1]:4711',
    listener: 'tls',
    protocolVersion: '3.1.1',
    cleanStart: false,
    keepAlive: 30,
    sessionExpiry: 'never',
    createdAt: 1000,
    connectedAt: 2000,
    disconnectedAt: 1500,
    lastReceivedAt: 2500,
    lastCause: 'keep_alive_timeout',
    subscriptions: 3,
    queuedMessages: 4,
    queuedBytes: 50,
    inFlight: 6,
    inboundInFlight: 7,
    dropped: 8,
    hasWill: true,
    thread: 1,
    connectionId: '99',
  });
  const fits: [string, unknown, unknown][] = [
    ['clientid', 'plant/line-1', 'plant'],
    ['clientid', 'plant/*', 'line*'],
    ['clientid', '*line*1', '*line'],
    ['_like_clientid', 'line', 'Line'],
    ['instance', 0, 1],
    ['connected', true, false],
    ['connection_id', '99', '9'],
    ['username', 'anna', 'ann'],
    ['_like_username', 'nn', 'bob'],
    ['address', '[fe80::1]:*', '127.*'],
    ['ip_address', 'fe80::1', '[fe80::1]'],
    ['port', 4711, 1],
    ['listener', 'tls', 'tcp'],
    ['proto_ver', 4, 5],
    ['clean_start', false, true],
    ['keepalive', 30, 31],
    ['_gte_expiry_interval', 1e15, undefined],
    ['_gte_created_at', 1000, 1001],
    ['_lte_created_at', 1000, 999],
    ['_gte_connected_at', 2000, 2001],
    ['_lte_disconnected_at', 1500, 1499],
    ['disconnected_reason', 'keep_alive*', 'none'],
    ['subscriptions_cnt', 3, 2],
    ['_gte_mqueue_len', 4, 5],
    ['_lte_mqueue_bytes', 50, 49],
    ['inflight', 6, 0],
    ['inbound_inflight', 7, 0],
    ['_gte_dropped', 8, 9],
    ['has_will', true, false],
    ['thread', 1, 0],
  ];
  for (const [name, yes, no] of fits) {
    it(`${name} = ${yes}, not ${no}`, () => {
      expect(filterOf(clientFields, { [name]: yes })?.(row)).toBe(true);
      if (no !== undefined) expect(filterOf(clientFields, { [name]: no })?.(row)).toBe(false);
    });
  }

  it('every field of a row has one, and all given ones must fit', async () => {
    const { app, deps } = await harness();
    deps.registry.rows = [row];
    const [shown] = (await app.inject({ url: '/api/v1/clients' })).json().items;
    for (const name of Object.keys(shown)) {
      if (name === 'node_id') continue;
      expect(Object.keys(clientFields), name).toContain(name);
      expect(
        fits.some(([known]) => known.endsWith(name)),
        name,
      ).toBe(true);
    }
    const both = (query: object) => filterOf(clientFields, query as never)?.(row);
    expect(both({ username: 'anna', thread: 1 })).toBe(true);
    expect(both({ username: 'anna', thread: 2 })).toBe(false);
  });

  it('* stands for any characters, as in a regular expression', () => {
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 8 });
    fc.assert(
      fc.property(part, part, (pattern, found) => {
        const escaped = pattern.replace(/[.]/g, '\\.').replaceAll('*', '.*');
        const plain = found.replaceAll('*', '');
        const expected = new RegExp(`^${escaped}$`).test(plain);
        const glob = pattern.includes('*') ? globOf(pattern)(plain) : pattern === plain;
        expect(glob).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('other listings', () => {
  it('subscriptions by filter, by client, by what they match', async () => {
    const { app, deps } = await harness();
    deps.registry.rows = [client('a'), client('b')];
    deps.registry.subs = [
      subscription('a', 'x/+'),
      subscription('b', '$share/g/x/y'),
      subscription('b', 'z'),
    ];
    const ask = async (query: string) =>
      (await app.inject({ url: `/api/v1/${query}` }))
        .json()
        .items.map((row: { clientid: string; topic: string }) => `${row.clientid} ${row.topic}`);
    expect(await ask('subscriptions')).toEqual(['a x/+', 'b $share/g/x/y', 'b z']);
    expect(await ask('subscriptions?clientid=b')).toEqual(['b $share/g/x/y', 'b z']);
    expect(await ask('subscriptions?topic=x/*')).toEqual(['a x/+']);
    expect(await ask('subscriptions?share=g')).toEqual(['b $share/g/x/y']);
    expect(await ask('subscriptions?_match_topic=x/y')).toEqual(['a x/+', 'b $share/g/x/y']);
    expect(await ask('clients/b/subscriptions')).toEqual(['b $share/g/x/y', 'b z']);
    expect(await ask('routes?topic=x/y')).toEqual(['a x/+', 'b $share/g/x/y']);
    expect(await ask('routes/x%2Fq')).toEqual(['a x/+']);
  });

  it('what matches a topic comes by pages that neither miss nor repeat', async () => {
    const { app, deps } = await harness();
    deps.registry.subs = Array.from({ length: 95 }, (_, i) => subscription(`c${i}`, 'x/+'));
    const found = new Set<string>();
    let cursor = '';
    do {
      const page = (
        await app.inject({ url: `/api/v1/subscriptions?_match_topic=x/y&limit=10${cursor}` })
      ).json();
      for (const { clientid } of page.items) {
        expect(found.has(clientid)).toBe(false);
        found.add(clientid);
      }
      // One that goes meanwhile, and was listed already, must not make another one be missed.
      deps.registry.subs = deps.registry.subs.filter((row) => row.clientId !== [...found][0]);
      cursor = page.next === null ? '' : `&cursor=${page.next}`;
    } while (cursor !== '');
    expect(found.size).toBe(95);
  });

  it('retained payloads are text or base64, and short in a listing', async () => {
    const { app, deps } = await harness();
    deps.registry.messages = [
      retained('bytes', Buffer.from([0xff, 0xfe])),
      retained('long', Buffer.alloc(5000, 'l')),
      retained('text', Buffer.from('\ufeffgrün')),
    ];
    const { items } = (await app.inject({ url: '/api/v1/retains' })).json();
    expect(items).toMatchObject([
      { topic: 'bytes', payload: '//4=', encoding: 'base64', payload_bytes: 2, truncated: false },
      { topic: 'long', payload: 'l'.repeat(256), payload_bytes: 5000, truncated: true },
      { topic: 'text', payload: '\ufeffgrün', encoding: 'plain', truncated: false },
    ]);
    const whole = (await app.inject({ url: '/api/v1/retains/message?topic=long' })).json();
    expect(whole).toMatchObject({ payload: 'l'.repeat(5000), truncated: false });
  });
});
