// Chains of providers, and the verdicts that become of what they decide.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { Authenticator } from '../../../src/auth/authenticator.ts';
import { AuthChain, type ChainOptions, type ListenerAuth } from '../../../src/auth/chain.ts';
import { ClientCertificate } from '../../../src/auth/client-certificate.ts';
import type { DeviceIdFrom } from '../../../src/auth/device-id.ts';
import {
  type AuthProvider,
  allow,
  type Decision,
  deny,
  ignore,
} from '../../../src/auth/provider.ts';
import type { LogRecord } from '../../../src/log/logger.ts';
import type { VerdictCommand } from '../../../src/native/commands.ts';
import { type Asked, requestOf } from './contexts.ts';

const der = new X509Certificate(readFileSync(join(import.meta.dirname, 'fixtures', 'plain.pem')))
  .raw;
const oddDer = new X509Certificate(readFileSync(join(import.meta.dirname, 'fixtures', 'odd.pem')))
  .raw;

function provider(name: string, decide: AuthProvider['authenticate']): AuthProvider {
  return { name, authenticate: decide };
}

function setUp(
  providers: readonly AuthProvider[],
  at: Partial<ListenerAuth> = {},
  options: Partial<ChainOptions> = {},
) {
  const listener: ListenerAuth = {
    providers,
    methods: new Map(),
    allowAnonymous: false,
    isGuarded: providers.length > 0,
    requireTenantCertificate: false,
    tenant: undefined,
    readsCertificates: false,
    ...at,
  };
  const chain = new AuthChain({
    listeners: new Map([['main', listener]]),
    providers,
    opened: [],
    tenants: { isOn: false, from: [] },
    deviceIdFrom: undefined,
    failedLogins: { perAddress: 0, windowS: 60, banS: 60, delayMs: 0 },
    timeoutMs: 5000,
    ...options,
  });
  const verdicts: VerdictCommand[] = [];
  const errors: string[] = [];
  const records: LogRecord[] = [];
  const bans: string[] = [];
  const authenticator = new Authenticator({
    chain,
    answer: (verdict) => verdicts.push(verdict),
    ban: (network, seconds) => bans.push(`${network} ${seconds}`),
    onError: (error) => errors.push(error.message),
    write: (record) => records.push(record),
  });
  const judge = async (asked: Asked & { readonly der?: Buffer } = {}) => {
    const request = requestOf(asked);
    await authenticator.judge(request, asked.listener ?? 'main');
    const verdict = verdicts.at(-1);
    if (verdict?.connectionId !== request.connectionId) throw new Error('no verdict');
    return verdict;
  };
  return { chain, authenticator, judge, verdicts, errors, records, bans };
}

const sync = (decision: Decision) => () => decision;
const later = (decision: Decision) => async () => decision;
const codeOf = (verdict: VerdictCommand) => verdict.reasonCode;

describe('a chain', () => {
  test.each([
    ['the first who allows', [ignore, allow({ username: 'a' }), deny('bad_credentials')], 0],
    ['the first who denies', [ignore, deny('bad_credentials'), allow()], 0x86],
    ['nobody', [ignore, ignore], 0x87],
  ])('%s decides', async (_, decisions, code) => {
    for (const way of [sync, later]) {
      const { judge } = setUp(decisions.map((one, index) => provider(`p${index}`, way(one))));
      expect(codeOf(await judge())).toBe(code);
    }
  });

  test('what an address sent before it had failed too often is not worked off', async () => {
    const waiting: (() => void)[] = [];
    const slow = provider(
      'p',
      () => new Promise((done) => waiting.push(() => done(deny('bad_credentials')))),
    );
    const failedLogins = { perAddress: 1, windowS: 60, banS: 60, delayMs: 0 };
    const { authenticator, verdicts, errors, bans } = setUp([slow], {}, { failedLogins });
    const asked = (address: string) =>
      authenticator.judge(requestOf({ username: 'anna', password: 'x', address }), 'main');
    const guesses = ['192.0.2.7:1', '192.0.2.7:2', '192.0.2.7:3', '192.0.2.8:1'].map(asked);
    waiting[0]?.();
    await Promise.all(guesses.slice(0, 3));
    expect(verdicts.map(codeOf)).toEqual([0x86, 0x8a, 0x8a]);
    expect([bans, errors]).toEqual([['192.0.2.7 60'], []]);
    waiting[3]?.();
    await guesses[3];
    expect(codeOf(verdicts[3] as VerdictCommand)).toBe(0x86);
  });

  test('who is known to nobody is anonymous where that is allowed, and never with credentials', async () => {
    const guarded = [provider('p', sync(ignore))];
    const credentials = { username: 'anna', password: 'x' };
    const of = async (providers: readonly AuthProvider[], allowAnonymous: boolean, asked: Asked) =>
      codeOf(await setUp(providers, { allowAnonymous }).judge(asked));
    expect(await of(guarded, true, {})).toBe(0);
    expect(await of(guarded, true, credentials)).toBe(0x86);
    expect(await of(guarded, true, { username: 'anna' })).toBe(0x86);
    expect(await of(guarded, false, {})).toBe(0x87);
    expect(await of(guarded, false, credentials)).toBe(0x86);
    expect(await of([], true, credentials)).toBe(0);
    expect(await of([], false, credentials)).toBe(0x86);
  });

  test('who is let in without being known is told so, and claims no username', async () => {
    const { judge, authenticator } = setUp([], { allowAnonymous: true });
    expect(await judge({ username: 'anna' })).toMatchObject({ anonymous: true });
    expect(authenticator.counts()).toMatchObject({ accepted: 1, anonymous: 1 });
    const known = setUp([provider('p', sync(allow()))]);
    expect((await known.judge({ username: 'anna' })).anonymous).toBe(false);
  });

  test('a listener that is gone', async () => {
    const { judge } = setUp([provider('p', sync(allow()))]);
    expect(codeOf(await judge({ listener: 'other' }))).toBe(0x88);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no database');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no database'))],
  ])('a provider that %s: 0x88, and the next is not asked', async (_, decide) => {
    const next = vi.fn(() => allow());
    const { judge, errors } = setUp([provider('sql', decide), provider('next', next)]);
    expect(codeOf(await judge())).toBe(0x88);
    expect(next).not.toHaveBeenCalled();
    expect(errors).toEqual([
      'authenticating client "client-1" by sql: no database; refused with 0x88',
    ]);
  });

  test('one that does not answer: 0x88 when the time for a verdict is over', async () => {
    const { judge, errors } = setUp(
      [provider('slow', () => new Promise(() => undefined))],
      {},
      { timeoutMs: 20 },
    );
    expect(codeOf(await judge())).toBe(0x88);
    expect(errors[0]).toContain('by slow: the time for a verdict is over');
  });

  test('a server that is down for a whole fleet does not fill the log', async () => {
    const { judge, errors, records, authenticator } = setUp([
      provider('http', () => Promise.reject(new Error('down'))),
    ]);
    for (let n = 0; n < 50; n++) await judge();
    expect(errors).toHaveLength(20);
    authenticator.end();
    expect(records.at(-1)).toMatchObject({ level: 'error', fields: { count: 30 } });
    expect(authenticator.counts().refused.unavailable).toBe(50);
  });

  test('what a provider says is checked', async () => {
    const bad = { maxQos: 7 } as unknown as { maxQos: 2 };
    const { judge, errors } = setUp([provider('p', later(allow(bad)))]);
    expect(codeOf(await judge())).toBe(0x88);
    expect(errors[0]).toContain('by p: its maxQos is 7; allowed: 0 to 2');
  });

  test('is needed where anybody must be judged', () => {
    const needed = (at: Partial<ListenerAuth>, options: Partial<ChainOptions> = {}) =>
      setUp([], { allowAnonymous: true, ...at }, options).chain.needed;
    expect(needed({})).toBe(false);
    expect(needed({ allowAnonymous: false })).toBe(true);
    expect(needed({ isGuarded: true })).toBe(true);
    expect(needed({ requireTenantCertificate: true })).toBe(true);
    expect(needed({ readsCertificates: true })).toBe(true);
    expect(needed({}, { tenants: { isOn: true, from: [] } })).toBe(true);
  });

  test('leaves to the native half whoever comes where nobody is asked', () => {
    const admission = (deviceIdFrom?: DeviceIdFrom, name = 'main') =>
      setUp([], { allowAnonymous: true }, { deviceIdFrom }).chain.admission(name);
    expect([admission(), admission('client_id')]).toEqual(['open', 'open']);
    for (const from of ['verdict', 'username', 'cert_cn'] as const) {
      expect(admission(from)).toBe('open_no_device');
    }
    expect(admission(undefined, 'another')).toBe('judged');
  });
});

describe('a verdict', () => {
  test('carries what was decided', async () => {
    const { judge } = setUp([
      provider(
        'p',
        sync(
          allow({
            username: 'anna',
            clientId: 'c2',
            tenant: 'acme',
            deviceId: 'd',
            role: 'service',
            groups: ['g'],
            rules: [{ filters: ['a/#'] }],
            limits: { maxSubscriptions: 3 },
            expiresIn: 60,
            maxQos: 1,
            maxSessionExpiry: 5,
            serverKeepAlive: 30,
            allowWill: false,
          }),
        ),
      ),
    ]);
    expect(await judge({ der })).toMatchObject({
      reasonCode: 0,
      username: 'anna',
      clientId: 'c2',
      tenant: 'acme',
      deviceId: 'd',
      role: 'service',
      groups: ['g'],
      rules: [{ effect: 'allow', actions: 'all', who: {}, filters: ['a/#'] }],
      limits: { maxSubscriptions: 3 },
      expiresIn: 60,
      maxQos: 1,
      maxSessionExpiry: 5,
      serverKeepAlive: 30,
      refuseWill: true,
      certificateName: 'pump 7',
    });
  });

  test('with a name of the certificate that would have to be cut is a refusal', async () => {
    const named = async (cn: string) => {
      const spy = vi.spyOn(ClientCertificate.prototype, 'cn', 'get').mockReturnValue(cn);
      try {
        const { judge, errors } = setUp([provider('p', sync(allow()))]);
        const { reasonCode, certificateName = '' } = await judge({ der });
        expect(errors).toEqual([]);
        return [reasonCode, certificateName.length];
      } finally {
        spy.mockRestore();
      }
    };
    expect(await named('x'.repeat(65_535))).toEqual([0, 65_535]);
    expect(await named('x'.repeat(65_536))).toEqual([0x87, 0]);
    expect(await named('ä'.repeat(32_768))).toEqual([0x87, 0]);
    expect(await named('pump\0admin')).toEqual([0x87, 0]);
  });

  test.each([
    ['tenant', { tenant: 'x'.repeat(65_536) }],
    ['device id', { deviceId: 'x'.repeat(65_536) }],
    ['username', { username: 'x'.repeat(65_536) }],
    ['Client Identifier', { clientId: 'x'.repeat(65_536) }],
    ['group', { groups: ['x'.repeat(65_536)] }],
    ['list of groups', { groups: ['x'.repeat(40_000), 'y'.repeat(40_000)] }],
    ['authData', { authData: Buffer.alloc(65_536) }],
  ])('with a %s that is too long is a failure', async (_, accept) => {
    const { judge, errors } = setUp([provider('p', sync(allow(accept)))]);
    expect(codeOf(await judge())).toBe(0x88);
    expect(errors).toHaveLength(1);
  });

  test('a device id that cannot stand in a topic is none, and counted', async () => {
    const { judge, authenticator } = setUp([provider('p', sync(allow({ username: 'a/b' })))]);
    expect((await judge()).deviceId).toBeUndefined();
    expect(authenticator.counts().deviceIdsUnfit).toBe(1);
  });

  test('where a certificate must name the tenant, one without is refused', async () => {
    const { judge } = setUp([provider('p', sync(allow({ tenant: 'other' })))], {
      requireTenantCertificate: true,
    });
    expect(await judge({ der })).toMatchObject({ reasonCode: 0, tenant: 'Plant4' });
    expect(await judge({ der: oddDer })).toMatchObject({ reasonCode: 0x87 });
    expect(await judge()).toMatchObject({ reasonCode: 0x87 });
  });

  test('a tenant that could be mistaken is refused', async () => {
    const { judge } = setUp([provider('p', sync(allow({ tenant: 'a.b' })))]);
    expect(await judge()).toMatchObject({ reasonCode: 0x87 });
  });

  test('tenants by the username', async () => {
    const tenants = { isOn: true, from: ['username_prefix'] as const };
    const { judge } = setUp([provider('p', sync(allow()))], {}, { tenants });
    expect(await judge({ username: 'acme/anna' })).toMatchObject({ tenant: 'acme' });
  });

  test('an anonymous client has no tenant of a username that it claims', async () => {
    const tenants = { isOn: true, from: ['username_prefix'] as const };
    const { judge } = setUp([], { allowAnonymous: true }, { tenants });
    expect((await judge({ username: 'acme/anna' })).tenant).toBeUndefined();
  });
});

describe('failed logins', () => {
  const failedLogins = { perAddress: 3, windowS: 60, banS: 30, delayMs: 0 };
  const wrong = provider('p', ({ password }) =>
    password?.toString() === 'right' ? allow() : deny('bad_credentials'),
  );

  test('too many from an address: banned, and refused without being asked', async () => {
    const { judge, bans, authenticator, records } = setUp([wrong], {}, { failedLogins });
    const from = (address: string, password: string) =>
      judge({ address, username: 'anna', password });
    expect(codeOf(await from('[2001:db8::1]:1', 'x'))).toBe(0x86);
    expect(codeOf(await from('[2001:db8::2]:1', 'x'))).toBe(0x86);
    expect(bans).toEqual([]);
    expect(codeOf(await from('[2001:db8::3]:1', 'x'))).toBe(0x86);
    expect(bans).toEqual(['2001:db8:0:0::/64 30']);
    expect(codeOf(await from('[2001:db8::4]:1', 'right'))).toBe(0x8a);
    expect(codeOf(await from('192.0.2.1:1', 'right'))).toBe(0);
    expect(bans).toHaveLength(1);
    expect(authenticator.counts()).toMatchObject({
      accepted: 1,
      addressesLimited: 1,
      refused: { bad_credentials: 3, address_limit: 1 },
    });
    expect(records.filter(({ level }) => level === 'warn').map(({ text }) => text)).toEqual([
      'too many failed logins from 2001:db8:0:0::/64',
    ]);
  });

  test('who shows nothing guesses nothing', async () => {
    const { judge, bans } = setUp([provider('p', sync(ignore))], {}, { failedLogins });
    for (let n = 0; n < 10; n++) await judge({});
    expect(bans).toEqual([]);
  });

  test('answers to guesses wait, and are given up at the end', async () => {
    vi.useFakeTimers();
    try {
      const { authenticator, verdicts } = setUp(
        [wrong],
        {},
        { failedLogins: { ...failedLogins, delayMs: 1000 } },
      );
      await authenticator.judge(requestOf({ username: 'a', password: 'x' }), 'main');
      expect(verdicts).toEqual([]);
      vi.advanceTimersByTime(1000);
      expect(verdicts).toMatchObject([{ reasonCode: 0x86 }]);
      await authenticator.judge(requestOf({ username: 'a', password: 'right' }), 'main');
      expect(verdicts).toHaveLength(2);
      await authenticator.judge(requestOf({ username: 'a', password: 'x' }), 'main');
      authenticator.end();
      vi.advanceTimersByTime(5000);
      expect(verdicts).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test('no record has a password', async () => {
    const { judge, records, errors } = setUp(
      [provider('p', () => Promise.reject(new Error('down')))],
      {},
      { failedLogins },
    );
    await judge({ username: 'anna', password: 'hunter2' });
    expect(JSON.stringify([records, errors])).not.toContain('hunter2');
  });
});

describe('a reload', () => {
  test('who came before is judged by the old chain, which is stopped when they have gone', async () => {
    vi.useFakeTimers();
    try {
      const stop = vi.fn();
      let decide: (decision: Decision) => void = () => undefined;
      const slow: AuthProvider = {
        name: 'slow',
        authenticate: () => new Promise((resolve) => (decide = resolve)),
        stop,
      };
      const { authenticator, verdicts } = setUp([slow]);
      const pending = authenticator.judge(requestOf(), 'main');
      const next = setUp([provider('no', sync(deny('not_authorized')))]).chain;
      authenticator.replace(next);
      await authenticator.judge(requestOf(), 'main');
      expect(verdicts).toMatchObject([{ reasonCode: 0x87 }]);
      expect(stop).not.toHaveBeenCalled();
      decide(allow());
      await pending;
      expect(verdicts).toMatchObject([{ reasonCode: 0x87 }, { reasonCode: 0 }]);
      vi.advanceTimersByTime(5000);
      expect(stop).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test('that turns it off: what the chain holds is given back when the last verdict was due', async () => {
    vi.useFakeTimers();
    try {
      const stop = vi.fn();
      const { authenticator, judge } = setUp([{ ...provider('p', sync(allow())), stop }]);
      authenticator.retire();
      expect(codeOf(await judge())).toBe(0);
      vi.advanceTimersByTime(5000);
      expect(stop).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test('at the end nobody is left waiting, and all are stopped', async () => {
    const stop = vi.fn();
    const slow: AuthProvider = {
      name: 'slow',
      authenticate: () => new Promise(() => undefined),
      stop,
    };
    const { authenticator, verdicts } = setUp([slow]);
    const pending = authenticator.judge(requestOf(), 'main');
    authenticator.replace(setUp([]).chain);
    authenticator.end();
    await pending;
    expect(verdicts).toMatchObject([{ reasonCode: 0x88 }]);
    expect(stop).toHaveBeenCalledTimes(1);
  });
});
