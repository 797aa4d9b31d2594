import { expect, test } from 'vitest';
import { timeFormat } from '../../../src/log/time.ts';

const winter = Date.parse('2026-01-15T12:00:00.123Z');
const summer = Date.parse('2026-07-15T23:30:00.004Z');

test.each([
  ['UTC', '2026-01-15T12:00:00.123Z', '2026-07-15T23:30:00.004Z'],
  ['Europe/Vienna', '2026-01-15T13:00:00.123+01:00', '2026-07-16T01:30:00.004+02:00'],
  ['America/St_Johns', '2026-01-15T08:30:00.123-03:30', '2026-07-15T21:00:00.004-02:30'],
  ['Asia/Kathmandu', '2026-01-15T17:45:00.123+05:45', '2026-07-16T05:15:00.004+05:45'],
  ['Europe/London', '2026-01-15T12:00:00.123+00:00', '2026-07-16T00:30:00.004+01:00'],
])('%s', (zone, inWinter, inSummer) => {
  const format = timeFormat(zone);
  for (const [ms, expected] of [
    [winter, inWinter],
    [summer, inSummer],
    [winter, inWinter],
  ] as const) {
    expect(format(ms)).toBe(expected);
    expect(Date.parse(format(ms))).toBe(ms);
  }
});

test('the hour that comes twice has two offsets', () => {
  const format = timeFormat('Europe/Vienna');
  const change = Date.parse('2026-10-25T01:00:00Z');
  expect(format(change - 1)).toBe('2026-10-25T02:59:59.999+02:00');
  expect(format(change)).toBe('2026-10-25T02:00:00.000+01:00');
});

test('local is the zone of the process', () => {
  const offset = -new Date(winter).getTimezoneOffset() * 60_000;
  expect(timeFormat('local')(winter).slice(0, 23)).toBe(
    new Date(winter + offset).toISOString().slice(0, 23),
  );
});

test('no such zone', () => {
  expect(() => timeFormat('Europe/Nowhere')).toThrow(RangeError);
});
