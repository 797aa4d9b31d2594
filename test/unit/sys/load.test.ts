import { describe, expect, test } from 'vitest';
import { LoadAverage, windows } from '../../../src/sys/load.ts';

/**
 * The definition, not the recurrence: each interval's rate, weighted by how much of the average it
 * still makes up at the end.
 */
function reference(
  intervals: readonly { readonly seconds: number; readonly count: number }[],
  minutes: number,
): number {
  let average = 0;
  let age = intervals.reduce((total, { seconds }) => total + seconds, 0);
  for (const { seconds, count } of intervals) {
    const fresh = age - seconds;
    const weight = Math.exp(-fresh / (minutes * 60)) - Math.exp(-age / (minutes * 60));
    average += weight * ((count * 60) / seconds);
    age = fresh;
  }
  return average;
}

describe('load averages', () => {
  test('are the weighted mean of the rates of all intervals', () => {
    let seed = 7;
    const random = (n: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % n;
    };
    const intervals: { seconds: number; count: number }[] = [];
    const load = new LoadAverage(100, 5000);
    let total = 100;
    let now = 5000;
    for (let i = 0; i < 200; i++) {
      const interval = { seconds: 1 + random(30), count: random(5000) };
      intervals.push(interval);
      total += interval.count;
      now += interval.seconds * 1000;
      const values = load.update(total, now);
      for (const [name, minutes] of windows) {
        expect(values[name]).toBeCloseTo(reference(intervals, minutes), 6);
      }
    }
  });

  test('go to a steady rate per minute, and back to nothing', () => {
    const load = new LoadAverage(0, 0);
    for (let s = 10; s <= 3600; s += 10) load.update(s * 2, s * 1000);
    const steady = load.update(7220, 3_610_000);
    expect(steady['1min']).toBeCloseTo(120, 6);
    expect(steady['15min']).toBeCloseTo(120 * (1 - Math.exp(-3610 / 900)), 6);
    for (let s = 3620; s <= 20_000; s += 10) load.update(7220, s * 1000);
    expect(load.update(7220, 20_010_000)['15min']).toBeCloseTo(0, 3);
  });

  // The figures of mosquitto's own formula, by hand: 100 in the first ten seconds, then none.
  test('after 10 s of 600 a minute', () => {
    const load = new LoadAverage(0, 0);
    const first = { ...load.update(100, 10_000) };
    expect(first['1min'].toFixed(2)).toBe('92.11');
    expect(first['5min'].toFixed(2)).toBe('19.67');
    expect(first['15min'].toFixed(2)).toBe('6.63');
    expect(load.update(100, 20_000)['1min'].toFixed(2)).toBe('77.97');
  });

  test('no time, no change', () => {
    const load = new LoadAverage(0, 0);
    load.update(5, 1000);
    const before = load.update(5, 2000)['1min'];
    expect(load.update(50, 2000)['1min']).toBe(before);
    // What came in no time counts in the next interval.
    expect(load.update(50, 3000)['1min']).toBeGreaterThan(before);
  });
});
