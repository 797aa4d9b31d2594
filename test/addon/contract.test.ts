// src/native/contract.ts against what the compiler made of native/contract/*.hpp in this very addon.
// (test/unit/native/contract.test.ts compares with the headers' text, without a build.)
import { expect, test } from 'vitest';
import * as contract from '../../src/native/contract.js';
import { loadAddon } from '../../src/native/load.js';

interface CompiledRecord {
  direction: 'event' | 'command';
  kind: number;
  bytes: number;
  fields: Record<string, { offset: number; bytes: number }>;
}
const compiled = JSON.parse(loadAddon().contractLayout()) as {
  records: Record<string, CompiledRecord>;
  counters: string[];
  latencyBoundsUs: number[];
  closeCauses: number;
};

const kinds = [
  ...Object.entries(contract.eventLayouts).map(
    ([name, layout]) =>
      [layout, 'event', contract.EventKind[name as keyof typeof contract.EventKind]] as const,
  ),
  ...Object.entries(contract.commandLayouts).map(
    ([name, layout]) =>
      [layout, 'command', contract.CommandKind[name as keyof typeof contract.CommandKind]] as const,
  ),
];

test('both have the same records', () => {
  const mine = new Set(kinds.map(([layout]) => layout.name));
  expect([...mine].toSorted()).toEqual(Object.keys(compiled.records).toSorted());
});

test.each(kinds.map(([layout, ...rest]) => [layout.name, layout, ...rest] as const))(
  '%s: size, and each field at its place',
  (name, layout: contract.Layout, direction, kind) => {
    const record = compiled.records[name];
    if (record === undefined) throw new Error(`${name} is missing`);
    // link_bytes go both ways: the record is told once, as an event.
    if (name !== 'LinkBytes' || direction === 'event') {
      expect([record.direction, record.kind]).toEqual([direction, kind]);
    }
    expect(layout.bytes).toBe(record.bytes);
    const fields = Object.entries(record.fields).filter(
      ([field]) => field !== 'padding' || 'padding' in layout.at,
    );
    expect(Object.fromEntries(fields.map(([field, { offset }]) => [field, offset]))).toEqual(
      layout.at,
    );
    expect(Object.fromEntries(fields.map(([field, { bytes }]) => [field, bytes]))).toEqual(
      layout.widths,
    );
  },
);

test('counters and close causes', () => {
  expect(compiled.counters).toEqual(contract.counterNames);
  expect(compiled.latencyBoundsUs).toEqual(contract.latencyBoundsUs);
  expect(compiled.closeCauses).toBe(Object.keys(contract.CloseCause).length);
});
