// Keys of tokens from a URL: asked as seldom as possible, and trusted no further than they go.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HttpClient } from '../../../src/auth/http/client.ts';
import { JwksKeys } from '../../../src/auth/jwt/key-source.ts';
import { eventually } from '../../harness/eventually.ts';
import { judge, kindOf, p256, secret, tokenOf } from './tokens.ts';

describe('a JWKS URL', () => {
  let server: Server | undefined;
  // jose looks at the date.
  beforeEach(() => vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => {
    vi.useRealTimers();
    server?.closeAllConnections();
    server?.close();
  });

  async function serve(answer: () => { readonly status?: number; readonly body: string }) {
    let asked = 0;
    server = createServer((_, response) => {
      asked++;
      const { status = 200, body } = answer();
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    let now = 0;
    const errors: unknown[] = [];
    const client = new HttpClient({
      url: `http://127.0.0.1:${port}/keys?token=hunter2`,
      timeoutMs: 2000,
      maxSockets: 1,
      maxBytes: 10_000,
    });
    const keys = new JwksKeys(client, {
      cacheS: 600,
      cooldownS: 30,
      timeoutMs: 2000,
      onError: (error) => errors.push(error),
      now: () => now,
    });
    const pass = (seconds: number) => {
      now += seconds * 1000;
      vi.setSystemTime(Date.now() + seconds * 1000);
    };
    return { keys, errors, pass, asked: () => asked };
  }

  const jwk = (kid: string, key: KeyObject) => ({ ...key.export({ format: 'jwk' }), kid });
  const options = { algorithms: ['ES256'] };
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const first = tokenOf('ES256', p256.privateKey, {}, { kid: 'one' });
  const second = tokenOf('ES256', other.privateKey, {}, { kid: 'two' });

  test('is asked once for all, and again for a key that it does not know, but not all the time', async () => {
    let set = [jwk('one', p256.publicKey)];
    const { keys, asked, pass } = await serve(() => ({ body: JSON.stringify({ keys: set }) }));
    const kinds = await Promise.all([1, 2, 3].map(() => kindOf(first, options, keys)));
    expect(kinds).toEqual(['allow', 'allow', 'allow']);
    expect(asked()).toBe(1);
    expect(await kindOf(second, options, keys)).toBe('ignore');
    expect(asked()).toBe(1);
    set = [jwk('one', p256.publicKey), jwk('two', other.publicKey)];
    pass(31);
    expect(await kindOf(second, options, keys)).toBe('allow');
    expect(asked()).toBe(2);
    // A bad signature of a key that is known asks nobody.
    pass(31);
    expect(await kindOf(`${first.slice(0, -8)}AAAAAAAA`, options, keys)).toBe('ignore');
    expect(asked()).toBe(2);
    keys.stop();
  });

  test('that is down: refused until it is there; later its last keys stay good', async () => {
    let isUp = false;
    const { keys, errors, asked, pass } = await serve(() =>
      isUp
        ? { body: JSON.stringify({ keys: [jwk('one', p256.publicKey)] }) }
        : { status: 503, body: '' },
    );
    await expect(judge(first, options, keys)).rejects.toThrow(
      /^http:\/\/127.0.0.1:\d+: its answer is 503$/,
    );
    await expect(judge(first, options, keys)).rejects.toThrow('could not be read');
    expect(asked()).toBe(1);
    isUp = true;
    pass(31);
    expect(await kindOf(first, options, keys)).toBe('allow');
    isUp = false;
    pass(601);
    expect(await kindOf(first, options, keys)).toBe('allow');
    await eventually(() => expect(errors).toHaveLength(1));
    expect(await kindOf(first, options, keys)).toBe('allow');
    expect(String(errors)).not.toContain('hunter2');
    keys.stop();
  });

  test('that is down, and a key that it does not know: refused once, then not ours', async () => {
    let isUp = true;
    const { keys, asked, pass } = await serve(() =>
      isUp
        ? { body: JSON.stringify({ keys: [jwk('one', p256.publicKey)] }) }
        : { status: 500, body: '' },
    );
    expect(await kindOf(first, options, keys)).toBe('allow');
    isUp = false;
    pass(31);
    await expect(judge(second, options, keys)).rejects.toThrow('its answer is 500');
    expect(await kindOf(second, options, keys)).toBe('ignore');
    expect(await kindOf(first, options, keys)).toBe('allow');
    expect(asked()).toBe(2);
    keys.stop();
  });

  test('that publishes a secret, or a private key: neither is used', async () => {
    const oct = { kty: 'oct', kid: 'one', k: Buffer.from(secret).toString('base64url') };
    const own = p256.privateKey.export({ format: 'jwk' });
    const { keys } = await serve(() => ({ body: JSON.stringify({ keys: [oct, own] }) }));
    const hs = tokenOf('HS256', secret, {}, { kid: 'one' });
    expect(await kindOf(hs, { algorithms: ['HS256', 'ES256'] }, keys)).toBe('ignore');
    expect(await kindOf(tokenOf('ES256', p256.privateKey), options, keys)).toBe('ignore');
    keys.stop();
  });

  test('that has no keys any more: the last ones stay good', async () => {
    let set = [jwk('one', p256.publicKey)];
    const { keys, errors, asked, pass } = await serve(() => ({
      body: JSON.stringify({ keys: set }),
    }));
    expect(await kindOf(first, options, keys)).toBe('allow');
    set = [];
    pass(601);
    expect(await kindOf(first, options, keys)).toBe('allow');
    await eventually(() => expect(String(errors)).toContain('no key for signatures'));
    expect(asked()).toBe(2);
    expect(await kindOf(first, options, keys)).toBe('allow');
    keys.stop();
  });

  test('is not asked for tokens of another issuer', async () => {
    const { keys, asked } = await serve(() => ({ status: 500, body: '' }));
    const ours = { ...options, issuers: ['idp'] };
    expect(await kindOf(first, ours, keys)).toBe('ignore');
    expect(await kindOf(tokenOf('HS256', secret, { iss: 'idp' }), ours, keys)).toBe('ignore');
    expect(asked()).toBe(0);
    keys.stop();
  });

  test.each([
    ['garbage', 'hunter2 {', 'no JWK Set: it is no JSON'],
    ['no keys', '{"keys":[]}', 'no key for signatures'],
    ['too much', `{"keys":[],"x":"${'x'.repeat(20_000)}"}`, 'more than 10000 bytes'],
  ])('that answers %s', async (_, body, why) => {
    const { keys } = await serve(() => ({ body }));
    await expect(judge(first, options, keys)).rejects.toThrow(why);
    await expect(judge(first, options, keys)).rejects.not.toThrow('hunter2');
    keys.stop();
  });
});
