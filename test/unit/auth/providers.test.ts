// Providers that need no network, and what they stand on.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { BoundedCache } from '../../../src/auth/bounded-cache.ts';
import { FailedLogins, networkOf } from '../../../src/auth/failed-logins.ts';
import { formatCredential, makePbkdf2, makeScram } from '../../../src/auth/passwords/hashes.ts';
import { Hashing, hashing } from '../../../src/auth/passwords/hashing.ts';
import { PasswordFile } from '../../../src/auth/providers/password-file.ts';
import { StaticUsers } from '../../../src/auth/providers/static-users.ts';
import { Slots } from '../../../src/auth/slots.ts';
import { eventually } from '../../harness/eventually.ts';
import { contextOf } from './contexts.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-auth-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('static users', () => {
  const provider = new StaticUsers('static', [
    { name: 'anna', password: 'word' },
    { name: 'none', password: '' },
  ]);
  test.each([
    [{ username: 'anna', password: 'word' }, 'allow'],
    [{ username: 'anna', password: 'Word' }, 'deny'],
    [{ username: 'anna', password: '' }, 'deny'],
    [{ username: 'anna' }, 'deny'],
    [{ username: 'bert', password: 'word' }, 'ignore'],
    [{ username: 'none', password: '' }, 'allow'],
    [{ username: 'none' }, 'deny'],
    [{ username: '__proto__', password: 'x' }, 'ignore'],
    [{ password: 'word' }, 'ignore'],
    [{}, 'ignore'],
  ] as const)('%j: %s', (asked, kind) => {
    expect(provider.authenticate(contextOf(asked)).kind).toBe(kind);
  });
});

/** Takes so many threads of those for passwords until what is returned is called. */
function occupy(count: number): () => void {
  let release: () => void = () => undefined;
  const released = new Promise<void>((done) => {
    release = done;
  });
  const { signal } = new AbortController();
  for (let taken = 0; taken < count; taken++) void hashing.run(signal, () => released);
  return release;
}

describe('a password file', () => {
  const line = async (user: string, password: string) =>
    `${user}:${formatCredential(await makePbkdf2(Buffer.from(password), 1000))}\n`;
  const options = { name: 'file', cacheTtlS: 60, cacheMax: 10, maxConcurrent: 2 };

  test('knows its users, and those of SCRAM by their plain password', async () => {
    const path = join(folder, 'users');
    const scram = formatCredential(await makeScram(Buffer.from('tango'), 'sha512'));
    writeFileSync(path, `${await line('anna', 'word')}carl:${scram}\n`);
    const provider = await PasswordFile.open({ ...options, path }, () => undefined);
    const kind = async (username: string, password?: string) =>
      (
        await provider.authenticate(
          contextOf({ username, ...(password === undefined ? {} : { password }) }),
        )
      ).kind;
    expect(await kind('anna', 'word')).toBe('allow');
    expect(await kind('anna', 'word')).toBe('allow');
    expect(await kind('anna', 'other')).toBe('deny');
    expect(await kind('anna')).toBe('deny');
    expect(await kind('bert', 'word')).toBe('ignore');
    expect(await kind('carl', 'tango')).toBe('allow');
    expect(await kind('carl', 'word')).toBe('deny');
    expect((await provider.authenticate(contextOf())).kind).toBe('ignore');
    provider.stop();
  });

  test('is read again when it changes; a bad one changes nothing, and is told', async () => {
    const path = join(folder, 'changing');
    writeFileSync(path, await line('anna', 'word'));
    const errors: unknown[] = [];
    const provider = await PasswordFile.open({ ...options, path }, (error) => errors.push(error), {
      intervalMs: 20,
    });
    const kind = async (password: string) =>
      (await provider.authenticate(contextOf({ username: 'anna', password }))).kind;
    expect(await kind('word')).toBe('allow');
    // As an editor, a Kubernetes volume and `st-mqttd passwd` do it.
    const replace = (text: string) => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    replace(await line('anna', 'fresh'));
    await eventually(async () => expect(await kind('fresh')).toBe('allow'));
    // What was remembered of the old password is worth nothing.
    expect(await kind('word')).toBe('deny');
    replace(`${await line('anna', 'third')}not a line\n`);
    await eventually(() => expect(errors).toHaveLength(1));
    expect(String(errors[0])).toContain(`${path}:2: a line is USER:HASH`);
    expect(await kind('fresh')).toBe('allow');
    replace(await line('anna', 'third'));
    await eventually(async () => expect(await kind('third')).toBe('allow'));
    provider.stop();
  });

  test('who is deleted, or gets another password, while his hash is computed is not let in', async () => {
    const path = join(folder, 'overtaken');
    const [anna, bert, carl] = await Promise.all(
      ['anna', 'bert', 'carl'].map((user) => line(user, 'word')),
    );
    writeFileSync(path, `${anna}${bert}${carl}`);
    const provider = await PasswordFile.open(
      { ...options, maxConcurrent: 1, path },
      () => undefined,
      { intervalMs: 20 },
    );
    const release = occupy(1);
    const judged = ['anna', 'bert', 'carl'].map((username) =>
      provider.authenticate(contextOf({ username, password: 'word' })),
    );
    writeFileSync(`${path}.new`, `${await line('bert', 'fresh')}${carl}`);
    renameSync(`${path}.new`, path);
    const knowsAnna = () => provider.authenticate(contextOf({ username: 'anna' }));
    await eventually(() => expect(knowsAnna()).toMatchObject({ kind: 'ignore' }));
    release();
    expect((await Promise.all(judged)).map(({ kind }) => kind)).toEqual([
      'ignore',
      'deny',
      'allow',
    ]);
    provider.stop();
  });

  test('all files together compute no more at once than one of them may', async () => {
    const path = join(folder, 'shared');
    writeFileSync(path, await line('anna', 'word'));
    const open = () => PasswordFile.open({ ...options, path }, () => undefined);
    const [one, other] = await Promise.all([open(), open()]);
    const release = occupy(2);
    const ask = (provider: PasswordFile) =>
      provider.authenticate(contextOf({ username: 'anna', password: 'word' }));
    const judged = [ask(one), ask(one), ask(one), ask(other)];
    // Two of the first file, which is all it may, and one of the other: all wait for a thread.
    expect(hashing.waiting).toBe(3);
    release();
    expect((await Promise.all(judged)).map(({ kind }) => kind)).toEqual(Array(4).fill('allow'));
    expect(hashing.waiting).toBe(0);
    one.stop();
    other.stop();
  });

  test('one that is wrong is refused at the start', async () => {
    const path = join(folder, 'wrong');
    const open = () => PasswordFile.open({ ...options, path }, () => undefined);
    await expect(open()).rejects.toMatchObject({ code: 'ST_AUTH_FILE' });
    writeFileSync(path, 'anna:plain\n');
    await expect(open()).rejects.toThrow(`${path}:1: the password is not hashed`);
  });
});

describe('the bound on all password files', () => {
  test('is the largest of those that are in use, and no sum', async () => {
    const bound = new Hashing();
    const { signal } = new AbortController();
    const leave = [2, 3, 1].map((max) => bound.join(max));
    const work: (() => void)[] = [];
    const runs = Array.from({ length: 6 }, () =>
      bound.run(signal, () => new Promise<void>((done) => work.push(done))),
    );
    await eventually(() => expect(work).toHaveLength(3));
    expect(bound.waiting).toBe(3);
    // One of them goes: who runs finishes, and two at once from then on.
    leave[1]?.();
    work[0]?.();
    await runs[0];
    expect([work.length, bound.waiting]).toEqual([3, 3]);
    work[1]?.();
    await eventually(() => expect(work).toHaveLength(4));
    expect(bound.waiting).toBe(2);
    const more = bound.join(4);
    await eventually(() => expect(work).toHaveLength(6));
    for (const done of work) done();
    await Promise.all(runs);
    more();
    for (const one of leave) one();
    // Without any of them it still serves who is left of one that has gone.
    expect(await bound.run(signal, async () => 'done')).toBe('done');
  });
});

describe('slots', () => {
  const never = new AbortController().signal;

  test('so many run, so many wait, the rest is refused', async () => {
    const slots = new Slots(2, 1);
    const ends: (() => void)[] = [];
    let running = 0;
    const work = () =>
      new Promise<void>((done) => {
        running++;
        ends.push(done);
      });
    const first = slots.run(never, work);
    const second = slots.run(never, work);
    const third = slots.run(never, work);
    expect(running).toBe(2);
    await expect(slots.run(never, work)).rejects.toThrow('1 wait already');
    ends[0]?.();
    await first;
    await eventually(() => expect(running).toBe(3));
    ends[1]?.();
    ends[2]?.();
    await Promise.all([second, third]);
    await slots.run(never, async () => undefined);
  });

  test('who gives up waiting leaves no trace', async () => {
    const slots = new Slots(1, 5);
    let end: () => void = () => undefined;
    const first = slots.run(never, () => new Promise<void>((done) => (end = done)));
    const impatient = new AbortController();
    const second = slots.run(impatient.signal, async () => 'ran');
    impatient.abort(new Error('late'));
    await expect(second).rejects.toThrow('late');
    expect(slots.waiting).toBe(0);
    end();
    await first;
    expect(await slots.run(never, async () => 'ran')).toBe('ran');
  });

  test('work that fails gives its slot back', async () => {
    const slots = new Slots(1, 0);
    await expect(slots.run(never, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(await slots.run(never, async () => 1)).toBe(1);
  });
});

describe('a cache', () => {
  test('forgets after its time, and the oldest where it is full', () => {
    let now = 0;
    const cache = new BoundedCache<number>(2, () => now);
    cache.set('a', 1, 1000);
    cache.set('b', 2, 2000);
    cache.set('c', 3, 3000);
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([undefined, 2, 3]);
    now = 2000;
    expect([cache.get('b'), cache.get('c')]).toEqual([undefined, 3]);
    cache.set('d', 4, 0);
    expect(cache.get('d')).toBeUndefined();
    expect(cache.size).toBe(1);
  });

  test('keys tell parts apart, and none can be read from them', () => {
    const cache = new BoundedCache<number>(2);
    expect(cache.keyOf('ab', 'c')).not.toBe(cache.keyOf('a', 'bc'));
    expect(cache.keyOf('a', undefined)).not.toBe(cache.keyOf('a', ''));
    expect(cache.keyOf('a')).toBe(cache.keyOf(Buffer.from('a')));
    expect(cache.keyOf('a')).not.toBe(new BoundedCache<number>(2).keyOf('a'));
  });
});

describe('failed logins', () => {
  const limits = { perAddress: 3, windowS: 10, banS: 0, delayMs: 0 };

  test('too many in the window, then none until it ends', () => {
    const failed = new FailedLogins(limits);
    expect([0, 1, 2].map((now) => failed.failed('a', now))).toEqual([false, false, true]);
    expect(failed.isLimited('a', 9999)).toBe(true);
    expect(failed.isLimited('b', 9999)).toBe(false);
    expect(failed.isLimited('a', 10_000)).toBe(false);
    expect(failed.failed('a', 10_000)).toBe(false);
    expect(failed.addresses).toBe(1);
  });

  test('memory is bounded', () => {
    const failed = new FailedLogins(limits);
    for (let n = 0; n < 20_000; n++) failed.failed(`10.0.${n >> 8}.${n & 255}`, 0);
    expect(failed.addresses).toBe(16_384);
  });

  test('0 is no limit', () => {
    const failed = new FailedLogins({ ...limits, perAddress: 0 });
    expect(failed.failed('a', 0)).toBe(false);
    expect(failed.addresses).toBe(0);
  });

  test.each([
    ['192.0.2.7:40000', '192.0.2.7'],
    ['[2001:db8:1:2:3:4:5:6]:1', '2001:db8:1:2::/64'],
    ['[2001:db8::1]:1', '2001:db8:0:0::/64'],
    ['[fe80::1%eth0]:1', 'fe80:0:0:0::/64'],
    ['[::ffff:192.0.2.7]:1', '192.0.2.7'],
    ['[::ffff:c000:207]:1', '192.0.2.7'],
    ['127.0.0.1:1', undefined],
    ['[::1]:1', undefined],
    ['[::ffff:127.0.0.1]:1', undefined],
    ['unix', undefined],
    ['', undefined],
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  test('all of a /64 are one', () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16));
    fc.assert(
      fc.property(
        fc.tuple(group, group, group),
        fc.array(group, { minLength: 4, maxLength: 4 }),
        ([b, c, d], host) => {
          const network = networkOf(`[2001:${b}:${c}:${d}:${host.join(':')}]:1`);
          expect(network).toBe(networkOf(`[2001:${b}:${c}:${d}::1]:2`));
        },
      ),
    );
  });
});
