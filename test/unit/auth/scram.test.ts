// SCRAM against a client of its own, against the RFC's example, and against those who cheat.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authenticator } from '../../../src/auth/authenticator.ts';
import { AuthChain } from '../../../src/auth/chain.ts';
import type { AuthExchange, EnhancedMethod } from '../../../src/auth/enhanced.ts';
import { formatCredential, makeScram } from '../../../src/auth/passwords/hashes.ts';
import type { Decision } from '../../../src/auth/provider.ts';
import { HandlerMethod } from '../../../src/auth/providers/handler.ts';
import { ScramMethod, ScramUsers } from '../../../src/auth/providers/scram.ts';
import type { VerdictCommand } from '../../../src/native/commands.ts';
import { eventually } from '../../harness/eventually.ts';
import { requestOf } from './contexts.ts';
import { ScramClient } from './scram-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-scram-'));
const path = join(folder, 'users');
let users: ScramUsers;
// RFC 7677, 3: user "user", password "pencil".
const rfc = {
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
};

beforeAll(async () => {
  const lines: string[] = [];
  for (const [user, password] of [
    ['anna', 'word'],
    ['a,b=c', 'wörd'],
  ] as const) {
    for (const hash of ['sha256', 'sha512'] as const) {
      const verifier = await makeScram(Buffer.from(password), hash);
      lines.push(`${user}:${formatCredential(verifier)}`);
    }
  }
  // Only one of the two.
  lines.push(`solo:${formatCredential(await makeScram(Buffer.from('x'), 'sha256'))}`);
  // Made by another program (PostgreSQL's form of it) from the RFC's example.
  lines.push(
    'user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
  writeFileSync(path, `${lines.join('\n')}\n`);
  users = await ScramUsers.open(path, () => undefined);
});
afterAll(() => {
  users.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Answer = (challenge: Buffer) => Buffer;

function run(method: ScramMethod, data: Buffer, answer: Answer): Promise<Decision> {
  const exchange: AuthExchange = {
    method: '',
    data,
    client: undefined,
    signal: new AbortController().signal,
    challenge: async (challenge) => answer(challenge),
  };
  return method.run(exchange);
}

const methodOf = (hash: 'sha256' | 'sha512', nonce?: () => string) =>
  new ScramMethod('scram', hash === 'sha256' ? 'SCRAM-SHA-256' : 'SCRAM-SHA-512', users, nonce);

async function login(hash: 'sha256' | 'sha512', user: string, password: string) {
  const client = new ScramClient(hash, user, password);
  const decision = await run(methodOf(hash), client.first(), (one) => client.final(one));
  return { client, decision };
}

describe.each(['sha256', 'sha512'] as const)('SCRAM with %s', (hash) => {
  test.each([
    ['anna', 'word'],
    ['a,b=c', 'wörd'],
  ])('%s comes in, and knows the server', async (user, password) => {
    const { client, decision } = await login(hash, user, password);
    expect(decision).toMatchObject({ kind: 'allow', accept: { username: user } });
    if (decision.kind !== 'allow') throw new Error('refused');
    expect(client.trusts(decision.accept.authData ?? Buffer.alloc(0))).toBe(true);
  });

  test('a wrong password, an unknown user, and a verifier of the other hash only do not', async () => {
    for (const [user, password] of [
      ['anna', 'Word'],
      ['nobody', 'word'],
      ['nobody', ''],
    ] as const) {
      const { decision } = await login(hash, user, password);
      expect(decision).toMatchObject({ kind: 'deny', cause: 'bad_credentials' });
    }
    if (hash === 'sha512') expect((await login(hash, 'solo', 'x')).decision.kind).toBe('deny');
  });

  test('who is unknown cannot be told from who is known', async () => {
    const challengeOf = async (user: string) => {
      let seen = '';
      await run(methodOf(hash), new ScramClient(hash, user, 'x').first(), (challenge) => {
        seen = challenge.toString();
        return Buffer.alloc(0);
      });
      return /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(seen)?.slice(2);
    };
    const [known, once, again] = [
      await challengeOf('anna'),
      await challengeOf('nobody'),
      await challengeOf('nobody'),
    ];
    expect(once).toEqual(again);
    expect(once?.map(({ length }) => length)).toEqual(known?.map(({ length }) => length));
    expect(once?.[0]).not.toBe(known?.[0]);
    // The same after a restart.
    const other = await ScramUsers.open(path, () => undefined);
    expect(other.decoy('nobody', hash).salt).toEqual(users.decoy('nobody', hash).salt);
    other.stop();
  });
});

test("the RFC's example, byte for byte", async () => {
  const client = 'rOprNGfwEbeRWgbNEkqO';
  const decision = await run(
    methodOf('sha256', () => rfc.nonce),
    Buffer.from(`n,,n=user,r=${client}`),
    (challenge) => {
      expect(challenge.toString()).toBe(
        `r=${client}${rfc.nonce},s=${rfc.salt.toString('base64')},i=4096`,
      );
      return Buffer.from(
        `c=biws,r=${client}${rfc.nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
      );
    },
  );
  expect(decision).toMatchObject({ kind: 'allow', accept: { username: 'user' } });
  if (decision.kind !== 'allow') throw new Error('refused');
  expect(decision.accept.authData?.toString()).toBe(
    'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  );
});

describe('cheating', () => {
  const method = () => methodOf('sha256');

  test.each([
    'p=tls-unique,,n=anna,r=abc',
    'n,a=root,n=anna,r=abc',
    'n,,m=x,n=anna,r=abc',
    'n,,n=an=na,r=abc',
    'n,,n=an\0na,r=abc',
    'n,,n=,r=abc',
    'n,,n=anna,r=',
    'n,,n=anna,r=a b',
    'n,,n=anna',
    'n=anna,r=abc',
    'x,,n=anna,r=abc',
    '',
    `n,,n=${'x'.repeat(5000)},r=abc`,
  ])('the first message %j', async (text) => {
    let asked = 0;
    const decision = await run(method(), Buffer.from(text), () => {
      asked++;
      return Buffer.alloc(0);
    });
    expect(decision.kind).toBe('deny');
    expect(asked).toBe(text === '' ? 1 : 0);
  });

  const spoil = (change: (text: string) => string) => async () => {
    const client = new ScramClient('sha256', 'anna', 'word');
    const answer = (one: Buffer) => Buffer.from(change(client.final(one).toString()));
    expect((await run(method(), client.first(), answer)).kind).toBe('deny');
  };
  test(
    'another nonce',
    spoil((text) => text.replace(/r=./, 'r=X')),
  );
  test(
    'only the own nonce',
    spoil((text) => text.replace(/r=[^,]+/, 'r=rOprNGfwEbeR')),
  );
  test(
    'another header than at first',
    spoil((text) => text.replace('c=biws', 'c=eSws')),
  );
  test(
    'channel binding all of a sudden',
    spoil((text) => text.replace('c=biws', 'c=cD10bHM=')),
  );
  test(
    'no proof',
    spoil((text) => text.replace(/,p=.*/, '')),
  );
  test(
    'an empty proof',
    spoil((text) => text.replace(/,p=.*/, ',p=AAAA')),
  );
  test(
    'an extension that was not signed',
    spoil((text) => text.replace(',p=', ',x=1,p=')),
  );

  test('what one exchange was answered with is worth nothing in another', async () => {
    const client = new ScramClient('sha256', 'anna', 'word');
    let final: Buffer = Buffer.alloc(0);
    await run(method(), client.first(), (one) => (final = client.final(one)));
    expect((await run(method(), client.first(), () => final)).kind).toBe('deny');
  });

  test('who is deleted, or gets another password, before his proof comes is not let in', async () => {
    const own = join(folder, 'overtaken');
    const line = async (password: string) =>
      `anna:${formatCredential(await makeScram(Buffer.from(password), 'sha256'))}\n`;
    for (const next of ['', await line('fresh'), await line('word')]) {
      writeFileSync(own, await line('word'));
      const there = await ScramUsers.open(own, () => undefined, { intervalMs: 20 });
      const method = new ScramMethod('scram', 'SCRAM-SHA-256', there);
      const client = new ScramClient('sha256', 'anna', 'word');
      const before = there.find('anna', 'sha256');
      const decision = await method.run({
        method: '',
        data: client.first(),
        client: undefined,
        signal: new AbortController().signal,
        challenge: async (challenge) => {
          const proof = client.final(challenge);
          writeFileSync(`${own}.new`, next);
          renameSync(`${own}.new`, own);
          await eventually(() => expect(there.find('anna', 'sha256')).not.toEqual(before));
          return proof;
        },
      });
      expect(decision).toMatchObject({ kind: 'deny', cause: 'bad_credentials' });
      there.stop();
    }
  });

  test('any bytes at all are refused, and nothing is thrown', async () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('n,,', 'n=anna,', 'r=', 'c=biws,', 'p=', '='),
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((array) => Buffer.from(array)),
      fc.array(piece, { maxLength: 8 }).map((parts) => Buffer.from(parts.join(''))),
    );
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (first, final) => {
        expect((await run(method(), first, () => final)).kind).toBe('deny');
      }),
      { numRuns: 300 },
    );
  });
});

describe('an exchange of AUTH packets', () => {
  function setUp(timeoutMs = 5000) {
    const methods = new Map<string, EnhancedMethod>([
      ['SCRAM-SHA-256', methodOf('sha256')],
      [
        'OWN',
        new HandlerMethod(async ({ data, challenge }) => {
          const answer = await challenge(Buffer.concat([Buffer.from('you said '), data]));
          return answer.toString() === 'yes'
            ? { accept: true, username: 'own', authData: Buffer.from('done') }
            : 'ignore';
        }),
      ],
    ]);
    const at = {
      providers: [],
      methods,
      isGuarded: true,
      allowAnonymous: false,
      requireTenantCertificate: false,
      tenant: undefined,
      readsCertificates: false,
    };
    const chain = new AuthChain({
      opened: [],
      listeners: new Map([['main', at]]),
      providers: [],
      tenants: { isOn: false, from: [] },
      deviceIdFrom: undefined,
      failedLogins: { perAddress: 2, windowS: 60, banS: 60, delayMs: 0 },
      timeoutMs,
    });
    const verdicts: VerdictCommand[] = [];
    const errors: string[] = [];
    const bans: string[] = [];
    const records: object[] = [];
    const authenticator = new Authenticator({
      chain,
      answer: (verdict) => verdicts.push(verdict),
      ban: (network) => bans.push(network),
      onError: (error) => errors.push(error.message),
      write: ({ text, fields }) => records.push({ text, ...fields }),
    });
    const answer = (
      connectionId: bigint,
      authData: Buffer,
      again = false,
      authMethod = 'OWN',
      listener = 'main',
    ) =>
      authenticator.handleAuth(
        {
          kind: 'auth_request',
          connectionId,
          again,
          authMethod,
          authData,
          clientId: again ? 'c1' : '',
          username: again ? 'own' : '',
          address: again ? '192.0.2.7:40000' : '',
          listenerId: 1,
        },
        listener,
      );
    return { chain, authenticator, verdicts, errors, bans, records, answer };
  }

  test('SCRAM from CONNECT to CONNACK', async () => {
    const { chain, authenticator, verdicts, answer } = setUp();
    expect([chain.needed, chain.enhanced]).toEqual([true, true]);
    const client = new ScramClient('sha256', 'anna', 'word');
    const request = requestOf({ authMethod: 'SCRAM-SHA-256', authData: client.first() });
    const done = authenticator.judge(request, 'main');
    await eventually(() => expect(verdicts).toHaveLength(1));
    expect(verdicts[0]?.reasonCode).toBe(0x18);
    await answer(request.connectionId, client.final(verdicts[0]?.authData ?? Buffer.alloc(0)));
    await done;
    expect(verdicts[1]).toMatchObject({ reasonCode: 0, username: 'anna', deviceId: 'anna' });
    expect(client.trusts(verdicts[1]?.authData ?? Buffer.alloc(0))).toBe(true);
  });

  test('a method of the application, at CONNECT and again later', async () => {
    const { authenticator, verdicts, answer } = setUp();
    const request = requestOf({ authMethod: 'OWN', authData: Buffer.from('hello') });
    const id = request.connectionId;
    const done = authenticator.judge(request, 'main');
    await eventually(() => expect(verdicts).toHaveLength(1));
    expect(verdicts[0]?.authData?.toString()).toBe('you said hello');
    await answer(id, Buffer.from('yes'));
    await done;
    expect(verdicts[1]).toMatchObject({ reasonCode: 0, username: 'own' });
    const again = answer(id, Buffer.from('more'), true);
    await eventually(() => expect(verdicts).toHaveLength(3));
    expect(verdicts[2]).toMatchObject({ connectionId: id, reasonCode: 0x18 });
    await answer(id, Buffer.from('no'));
    await again;
    expect(verdicts[3]).toMatchObject({ connectionId: id, reasonCode: 0x87 });
  });

  test('a re-authentication as somebody else is a guess, whether its proof is right or not', async () => {
    const { verdicts, bans, records, answer } = setUp();
    const attempt = async (id: bigint, password: string) => {
      const client = new ScramClient('sha256', 'anna', password);
      const before = verdicts.length;
      const done = answer(id, client.first(), true, 'SCRAM-SHA-256');
      await eventually(() => expect(verdicts.length).toBeGreaterThan(before));
      await answer(id, client.final(verdicts.at(-1)?.authData ?? Buffer.alloc(0)));
      await done;
      return verdicts.at(-1);
    };
    const right = await attempt(1n, 'word');
    expect(right).toEqual({ connectionId: 1n, reasonCode: 0x87, reasonText: undefined });
    expect(bans).toEqual([]);
    const wrong = await attempt(2n, 'guess');
    expect(wrong?.authData).toBeUndefined();
    expect(wrong?.reasonCode).toBeGreaterThanOrEqual(0x80);
    expect(bans).toEqual(['192.0.2.7']);
    expect(records).toContainEqual({
      text: 'login refused',
      clientId: 'c1',
      address: '192.0.2.7:40000',
      listener: 'main',
      cause: 'not_authorized',
    });
    // Now it may not even try.
    await answer(3n, Buffer.from('n,,n=anna,r=x'), true, 'SCRAM-SHA-256');
    expect(verdicts.at(-1)).toMatchObject({ connectionId: 3n, reasonCode: 0x8a });
  });

  test("a re-authentication is judged by its own listener's methods", async () => {
    const { verdicts, answer } = setUp();
    await answer(9n, Buffer.from('yes'), true, 'OWN', 'another');
    expect(verdicts).toMatchObject([{ connectionId: 9n, reasonCode: 0x87 }]);
  });

  test('a method that is not there; an answer to nothing', async () => {
    const { authenticator, verdicts, answer } = setUp();
    await authenticator.judge(requestOf({ authMethod: 'GS2-KRB5' }), 'main');
    expect(verdicts[0]?.reasonCode).toBe(0x8c);
    await answer(7n, Buffer.from('yes'));
    expect(verdicts[1]).toMatchObject({ connectionId: 7n, reasonCode: 0x87 });
    await answer(8n, Buffer.from('yes'), true, 'GS2-KRB5');
    expect(verdicts[2]).toMatchObject({ connectionId: 8n, reasonCode: 0x87 });
    // Who names no method is known to nobody here.
    await authenticator.judge(requestOf({ username: 'anna', password: 'word' }), 'main');
    expect(verdicts[3]?.reasonCode).toBe(0x86);
  });

  test('a client that never answers costs no longer than a verdict may take', async () => {
    const { authenticator, verdicts, errors } = setUp(20);
    await authenticator.judge(requestOf({ authMethod: 'OWN' }), 'main');
    expect(verdicts.map(({ reasonCode }) => reasonCode)).toEqual([0x18, 0x88]);
    expect(errors[0]).toContain('the time for a verdict is over');
  });
});
