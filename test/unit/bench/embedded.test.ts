// The benchmark of embedded brokers: what its rounds come to, and that it runs.
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Ledger, stamp } from '../../../bench/embedded/ledger.mjs';
import {
  faultsOf,
  noiseText,
  type Round,
  rowText,
  splitResults,
  summarize,
} from '../../../bench/embedded/report.mjs';

const row = { id: 'row', title: 'a row' };
const round = (perSecond: number, brokerCpuUs: number, more: Round = {}): Round => ({
  ...{ perSecond, brokerCpuUs, brokerBusy: 1, lost: 0, doubled: 0, disordered: 0, ...more },
});

describe('what rounds come to', () => {
  test('ratios are taken within rounds', () => {
    // In the second round the machine was half as fast for both.
    const summary = summarize(row, {
      'st-mqttd': [round(60, 1), round(30, 2), round(50, 1)],
      aedes: [round(10, 8), round(5, 16), round(10, 4)],
    });
    const [against] = summary.against;
    expect(against?.perSecond).toEqual({ median: 6, low: 5, high: 6 });
    expect(against?.cpu).toEqual({ median: 8, low: 4, high: 8 });
    expect(rowText(summary)).toContain(
      "→ 6.00 (5.00–6.00) times aedes's messages/s, wanted 5; aedes takes 8.00",
    );
  });

  test('what st-mqttd loses, doubles, swaps or fails at counts, and what aedes does not', () => {
    const faulty = summarize(row, {
      'st-mqttd': [round(1, 1, { lost: 2, doubled: 1 }), { error: 'no\nmore' }],
      aedes: [round(1, 1, { lost: 7 }), round(1, 1)],
    });
    expect(faultsOf(faulty)).toBe(4);
    expect(rowText(faulty)).toContain('lost / doubled / out of order: 2 / 1 / 0  FAILED: no');
    expect(faultsOf(summarize(row, { aedes: [round(1, 1, { lost: 7 })] }))).toBe(0);
  });

  test('a machine that did something else is told', () => {
    expect(noiseText({ average: 2, cores: 2 })).toBe('');
    expect(noiseText({ average: 15.2, cores: 2 })).toContain('load average 15.2 on 2 cores');
  });

  test("the section of RESULTS.md is told from the other program's part", () => {
    const main = '# Results\n\n## Rates\n\n';
    const section = '## Embedded in a Node process\n\ntext\n';
    expect(splitResults(main + section)).toEqual({ main, section });
    expect(splitResults(main)).toEqual({ main, section: '' });
  });
});

describe('the ledger', () => {
  const taken = (sequences: readonly number[]) => {
    const ledger = new Ledger(2);
    const bytes = new Uint8Array(10);
    for (const sequence of sequences) {
      stamp(bytes, 2, 1, sequence);
      ledger.take(bytes, 2);
    }
    return ledger;
  };

  test.each([
    { sequences: [1, 2, 3], doubled: 0, disordered: 0 },
    { sequences: [1, 2, 2, 3], doubled: 1, disordered: 0 },
    { sequences: [1, 3, 2, 4], doubled: 0, disordered: 1 },
    { sequences: [0xffff_fffe, 0xffff_ffff], doubled: 0, disordered: 0 },
  ])('$sequences', ({ sequences, doubled, disordered }) => {
    expect(taken(sequences)).toMatchObject({ delivered: sequences.length, doubled, disordered });
  });
});

test.runIf(process.platform === 'linux' && availableParallelism() > 1)(
  'a quick run of a row of each kind: nothing is lost, doubled or out of order',
  async () => {
    const root = join(import.meta.dirname, '..', '..', '..');
    const rows = ['link-link-q1', 'link-mqtt-q1', 'mqtt-link-q0', 'write-many-q1'];
    const args = [join(root, 'bench', 'embedded.mjs'), '--quick', ...rows];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toContain('4 rows; 0 with faults of st-mqttd');
    expect(stdout).not.toContain('FAILED');
  },
  120_000,
);
