import { describe, expect, test } from 'vitest';
import { FilterTable, matches } from '../../../src/link/filters.ts';
import { Subscription } from '../../../src/link/subscription.ts';

const subscription = new Subscription([], false, Promise.resolve([]), async () => {});

describe('matching', () => {
  test.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/c', false],
    ['a', 'a/b', false],
    ['a/b', 'a', false],
    ['+', 'a', true],
    ['+', 'a/b', false],
    ['+/+', '/a', true],
    ['/+', '/a', true],
    ['+', '/a', false],
    ['#', 'a/b/c', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['a/+/c', 'a//c', true],
    ['#', '$SYS/a', false],
    ['+/a', '$SYS/a', false],
    ['$SYS/#', '$SYS/a', true],
    ['$share/g/a/+', 'a/b', true],
    ['$share/g//a', '/a', true],
  ])('%s and %s: %s', (filter, topic, result) => {
    const entry = new FilterTable().add(filter, subscription, true);
    expect(matches(entry.levels, topic)).toBe(result);
  });
});

test('identifiers are valid, distinct, and the same for a filter in every life of its session', () => {
  const first = new FilterTable();
  const ids = Array.from({ length: 5000 }, (_, i) => first.add(`f/${i}`, subscription, true).id);
  expect(new Set(ids).size).toBe(5000);
  expect(Math.min(...ids)).toBeGreaterThan(0);
  expect(Math.max(...ids)).toBeLessThanOrEqual(268_435_455);
  const second = new FilterTable();
  expect(second.add('f/7', subscription, true).id).toBe(ids[7]);
  const entry = second.get('f/7');
  if (entry === undefined) throw new Error('gone');
  second.remove(entry);
  expect(second.byId(entry.id)).toBeUndefined();
  expect(second.size).toBe(0);
});
