// How the benchmark judges: shares within rounds, medians, bounds, and what has no figure.
import { describe, expect, test } from 'vitest';
import { type Round, rowText, summarize } from '../../../bench/lib/report.mjs';
import { figure, median } from '../../../bench/lib/statistics.mjs';

const clean = { lost: 0, doubled: 0, disordered: 0, refused: 0 };
const round = (brokerCpuUs: number, more: Round = {}): Round => ({
  ...clean,
  brokerCpuUs,
  ...more,
});
const metric = { key: 'brokerCpuUs', label: 'CPU', atMost: 0.1, against: 'mosquitto' };
const row = { id: 'row', title: 'a row', kind: 'load', metrics: [metric] };

describe('medians and figures', () => {
  test('the median of odd and even counts, and of none', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([undefined, Number.NaN])).toBeUndefined();
  });

  test.each([
    [0, '0'],
    [0.02346, '0.0235'],
    [1.2345, '1.23'],
    [123.45, '123'],
    [1_234_567, '1,234,567'],
    [undefined, '–'],
  ])('%s is written %s', (value, text) => {
    expect(figure(value)).toBe(text);
  });
});

describe('verdicts', () => {
  test('a share is taken within each round, then the median', () => {
    // The machine was half as fast in the second round; both brokers suffered alike.
    const summary = summarize(row, {
      'st-mqttd': [round(1), round(2), round(1.2)],
      mosquitto: [round(10), round(20), round(10)],
    });
    expect(summary.verdicts[0]?.share).toEqual({ median: 0.1, low: 0.1, high: 0.12 });
    expect(summary.verdicts[0]?.met).toBe(true);
  });

  test('a share above the bound is missed', () => {
    const results = { 'st-mqttd': [round(1.1)], mosquitto: [round(10)] };
    const summary = summarize(row, results);
    expect(summary.verdicts[0]?.met).toBe(false);
    expect(rowText(summary)).toContain('missed');
  });

  test('without mosquitto, or with failed rounds only, there is no verdict', () => {
    for (const results of [
      { 'st-mqttd': [round(1)] },
      { mosquitto: [round(1)] },
      { 'st-mqttd': [{ error: 'did not start' }], mosquitto: [round(1)] },
    ]) {
      const summary = summarize(row, results);
      expect(summary.verdicts[0]?.met).toBeUndefined();
      expect(rowText(summary)).toContain('no figure');
    }
  });

  test('faults of all rounds are added up and shown', () => {
    const summary = summarize(row, {
      'st-mqttd': [round(1, { lost: 2 }), round(1, { lost: 1, doubled: 4 })],
      mosquitto: [round(10), round(10)],
    });
    expect(summary.brokers['st-mqttd']).toMatchObject({ lost: 3, doubled: 4, disordered: 0 });
    expect(rowText(summary)).toContain('3 lost, 4 doubled');
  });

  test('a limit of its own needs no mosquitto', () => {
    const own = { key: 'bytesEach', label: 'memory each', atMost: 300, unit: 'B' };
    const summary = summarize({ ...row, metrics: [own] }, { 'st-mqttd': [{ bytesEach: 128 }] });
    expect(summary.verdicts[0]?.met).toBe(true);
  });

  test('two threads: gain of capacity at least, p99 at most', () => {
    const results = {
      1: [{ ...clean, capacity: 10, p99us: 100 }],
      2: [{ ...clean, capacity: 18, p99us: 120 }],
    };
    const gain = { id: 't', title: 't', kind: 'threads', atLeast: 1.7 };
    expect(summarize(gain, results).verdicts[0]).toMatchObject({ label: 'gain', met: true });
    const p99 = { id: 't', title: 't', kind: 'threads', p99AtMost: 1.1 };
    expect(summarize(p99, results).verdicts[0]).toMatchObject({ label: 'p99', met: false });
  });
});
