import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { gaps, renderStatements, report, statements } from '../../scripts/statements.mjs';

const found = report();
const ids = (version: string) =>
  statements.filter((one) => one.version === version).map((one) => one.id);

describe('table of normative statements', () => {
  it('has all 251 of 5.0 and all 141 of 3.1.1, each once', () => {
    expect(new Set(ids('5.0')).size).toBe(251);
    expect(new Set(ids('3.1.1')).size).toBe(141);
    expect(statements.length).toBe(251 + 141);
  });

  it('numbers the statements of each section without a hole', () => {
    for (const version of ['5.0', '3.1.1']) {
      const sections = new Map<string, number[]>();
      for (const id of ids(version)) {
        const [, section = '', number = ''] = /^MQTT-([\d.]+)-(\d+)$/.exec(id) ?? [];
        sections.set(section, [...(sections.get(section) ?? []), Number(number)]);
      }
      for (const [section, numbers] of sections) {
        // MQTT-2.2.1-1 does not exist in the standard.
        const first = version === '5.0' && section === '2.2.1' ? 2 : 1;
        expect(numbers, `${version} ${section}`).toEqual(numbers.map((_, i) => i + first));
      }
    }
  });

  it('says why each statement that is not tested is not', () => {
    for (const one of statements) {
      if (one.scope === 'client') expect(one.note, one.id).toBeTruthy();
      else expect(one.note, one.id).toBeUndefined();
    }
  });

  it('has a test for every statement about servers', () => {
    expect(gaps(found).filter((line) => line.includes('no test'))).toEqual([]);
  });

  it('has a place in the sources for every statement about servers', () => {
    expect(gaps(found).filter((line) => line.includes('cited nowhere'))).toEqual([]);
  });

  it('knows every number that sources and tests name', () => {
    expect(found.unknown).toEqual([]);
  });

  it('is written down in docs/STATEMENTS.md as it is now', () => {
    const text = readFileSync(new URL('../../docs/STATEMENTS.md', import.meta.url), 'utf8');
    expect(text, 'stale: run `node scripts/statements.mjs`').toBe(renderStatements(found));
  });
});
