import { describe, expect, test } from 'vitest';
import { Bans } from '../../../src/limits/bans.ts';
import type { NativeBrokerOptions } from '../../../src/native/addon.ts';
import { FakeBroker } from '../fake-native.ts';

function make() {
  const native = new FakeBroker({} as NativeBrokerOptions, () => {});
  return { native, bans: new Bans(native) };
}

describe('bans', () => {
  test('without a time they are for ever', () => {
    const { native, bans } = make();
    bans.add({ kind: 'client', value: 'dev-1' });
    bans.add({ kind: 'user', value: 'anna', seconds: 60, reason: 'loud' });
    expect(native.banned).toEqual([
      { kind: 'client', value: 'dev-1', reason: '', source: 'admin', expires_s: null },
      { kind: 'user', value: 'anna', reason: 'loud', source: 'admin', expires_s: 60 },
    ]);
    const before = Date.now();
    const { items } = bans.list({ limit: 10 });
    expect(items[0]?.expiresAt).toBeUndefined();
    expect(items[1]?.expiresAt).toBeGreaterThanOrEqual(before + 60_000);
    expect(bans.remove({ kind: 'client', value: 'dev-1' })).toBe(true);
    expect(bans.remove({ kind: 'client', value: 'dev-1' })).toBe(false);
  });

  test.each([
    [{ kind: 'address', value: 'nowhere' }, 'an address'],
    [{ kind: 'user', value: '' }, '1 to 1024 bytes'],
    [{ kind: 'user', value: 'x'.repeat(1025) }, '1 to 1024 bytes'],
    [{ kind: 'user', value: 'x', seconds: 0 }, 'whole number'],
    [{ kind: 'user', value: 'x', seconds: 1.5 }, 'whole number'],
    [{ kind: 'user', value: 'x', seconds: 2 ** 32 }, 'whole number'],
    [{ kind: 'user', value: 'x', reason: 'y'.repeat(257) }, '256 bytes'],
  ] as const)('%j is refused with what is allowed', (ban, allowed) => {
    const { native, bans } = make();
    expect(() => bans.add(ban)).toThrow(
      expect.objectContaining({
        code: 'ST_ARGUMENT',
        message: expect.stringContaining(allowed),
      }),
    );
    expect(native.banned).toEqual([]);
  });

  test('pages follow each other to the end', () => {
    const { bans } = make();
    for (let n = 0; n < 5; n++) bans.add({ kind: 'user', value: `u${n}` });
    const values: string[] = [];
    let cursor: string | undefined;
    do {
      const page = bans.list({ cursor, limit: 2 });
      values.push(...page.items.map(({ value }) => value));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(values).toEqual(['u0', 'u1', 'u2', 'u3', 'u4']);
  });
});
