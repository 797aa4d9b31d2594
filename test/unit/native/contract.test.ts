// src/native/contract.ts against native/contract/*.hpp, both ways, by reading the headers as text:
// no build is needed, so the two cannot drift apart unnoticed between builds.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as contract from '../../../src/native/contract.ts';

const folder = new URL('../../../native/contract/', import.meta.url);
const header = (name: string) =>
  readFileSync(new URL(name, folder), 'utf8')
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '');
const records = header('records.hpp');

interface Field {
  name: string;
  offset: number;
  bytes: number;
}
interface Struct {
  bytes: number;
  fields: Field[];
}

const widths: Record<string, number> = {
  'std::uint8_t': 1,
  'std::uint16_t': 2,
  'std::uint32_t': 4,
  'std::uint64_t': 8,
};

/** Lays structs out as the ABI does: aligned fields, the whole rounded up to the widest. */
function parseStructs(text: string): Map<string, Struct> {
  const structs = new Map<string, Struct>();
  for (const [, name = '', body = ''] of text.matchAll(/struct (\w+) \{([^}]*)\};/g)) {
    let offset = 0;
    let alignment = 1;
    const fields: Field[] = [];
    for (const line of body.split(';')) {
      const match = /^\s*([\w:]+) (\w+)(?:\[(\d+)\])?(?: = \w+)?\s*$/.exec(line);
      if (line.trim() === '') continue;
      if (match === null) throw new Error(`${name}: cannot read "${line.trim()}"`);
      const [, type = '', field = '', count] = match;
      const inner = structs.get(type);
      const unit = inner === undefined ? widths[type] : 4;
      if (unit === undefined) throw new Error(`${name}.${field}: unknown type ${type}`);
      const bytes = inner?.bytes ?? unit * Number(count ?? 1);
      offset = Math.ceil(offset / unit) * unit;
      fields.push({ name: field, offset, bytes });
      offset += bytes;
      alignment = Math.max(alignment, unit);
    }
    structs.set(name, { bytes: Math.ceil(offset / alignment) * alignment, fields });
  }
  return structs;
}

function parseEnum(name: string): Record<string, number> {
  const body = new RegExp(`enum (?:class )?${name} : [\\w:]+ \\{([^}]*)\\}`).exec(records)?.[1];
  if (body === undefined) throw new Error(`no enum ${name}`);
  const values: Record<string, number> = {};
  for (const [, key = '', value = ''] of body.matchAll(/(\w+) = (\w+)/g))
    values[key] = Number(value);
  return values;
}

const structs = parseStructs(records);
const layouts: Record<string, contract.Layout> = Object.fromEntries(
  [...Object.values(contract.eventLayouts), ...Object.values(contract.commandLayouts)].map((l) => [
    l.name,
    l,
  ]),
);

describe('records', () => {
  test('the same structs are on both sides', () => {
    const native = [...structs.keys()].filter((name) => name !== 'RecordHeader');
    expect(Object.keys(layouts).sort()).toEqual(native.sort());
  });

  test.each(Object.keys(layouts))('%s has the same size, fields, offsets and widths', (name) => {
    const struct = structs.get(name);
    const mine = layouts[name];
    if (struct === undefined || mine === undefined) throw new Error(`${name} is missing`);
    expect(mine.bytes).toBe(struct.bytes);
    const fields = struct.fields.filter(
      ({ name: field }) => field !== 'header' && (field !== 'padding' || 'padding' in mine.at),
    );
    expect(Object.keys(mine.at)).toEqual(fields.map((field) => field.name));
    for (const { name: field, offset, bytes } of fields) {
      expect([field, mine.at[field], mine.widths[field]]).toEqual([field, offset, bytes]);
    }
  });

  test('the header is what is read and written: u32 length, u16 kind', () => {
    expect(structs.get('RecordHeader')).toEqual({
      bytes: 8,
      fields: [
        { name: 'record_bytes', offset: 0, bytes: 4 },
        { name: 'kind', offset: 4, bytes: 2 },
        { name: 'reserved', offset: 6, bytes: 2 },
      ],
    });
  });
});

describe('enums', () => {
  const enums = {
    EventKind: contract.EventKind,
    CommandKind: contract.CommandKind,
    Transport: contract.Transport,
    Role: contract.Role,
    CloseCause: contract.CloseCause,
    SessionEndCause: contract.SessionEndCause,
    LogLevel: contract.LogLevel,
    LogModule: contract.NativeModule,
    TraceEndCause: contract.TraceEndCause,
    AlertKind: contract.AlertKind,
    LogsBudgetCause: contract.LogsBudgetCause,
    QueryKind: contract.QueryKind,
    QueryStatus: contract.QueryStatus,
    HookAction: contract.HookAction,
    WriteOutcome: contract.WriteOutcome,
    WriteCause: contract.WriteCause,
    NoticeKind: contract.NoticeKind,
    DropCause: contract.DropCause,
  };
  test.each(Object.entries(enums))('%s', (name, mine) => {
    expect(mine).toEqual(parseEnum(name));
  });

  test('no other enum is in the header', () => {
    const names = [...records.matchAll(/enum (?:class )?(\w+)/g)].map(([, name]) => name);
    expect(names.sort()).toEqual(
      [
        ...Object.keys(enums),
        ...['ConnectFlag', 'LinkFlag', 'AuthFlag', 'HookFlag', 'HookVerdictFlag', 'WriteFlag'],
      ].sort(),
    );
  });

  test.each([
    ['ConnectFlag', contract.ConnectFlag],
    ['AuthFlag', contract.AuthFlag],
    ['HookFlag', contract.HookFlag],
    ['HookVerdictFlag', contract.HookVerdictFlag],
    ['WriteFlag', contract.WriteFlag],
  ])('%s', (name, mine) => {
    const prefix = `k${name.replace('Flag', '')}`;
    const native = Object.entries(parseEnum(name)).map(([key, value]) => [
      key
        .replace(prefix, '')
        .replaceAll(/(?<!^)([A-Z])/g, '_$1')
        .toLowerCase(),
      value,
    ]);
    expect(mine).toEqual(Object.fromEntries(native));
  });

  test('what stands for "unset" in a verdict', () => {
    const { kVerdictUnset8, kVerdictUnset16, kVerdictUnset32 } = contract;
    for (const [name, mine] of Object.entries({
      kVerdictUnset8,
      kVerdictUnset16,
      kVerdictUnset32,
    })) {
      expect([name, mine]).toEqual([
        name,
        Number(new RegExp(`${name} = (\\w+);`).exec(records)?.[1]),
      ]);
    }
  });

  test('the longest rules of a verdict', () => {
    const shift = /kMaxRulesBytes = 1 << (\d+);/.exec(records)?.[1];
    expect(contract.kMaxRulesBytes).toBe(2 ** Number(shift));
  });

  test('the longest cursor', () => {
    const bytes = /kMaxCursorBytes = ([\d']+);/.exec(records)?.[1]?.replaceAll("'", '');
    expect(contract.kMaxCursorBytes).toBe(Number(bytes));
  });

  test('the number of close causes', () => {
    const count = Number(/kCloseCauseCount = (\d+);/.exec(records)?.[1]);
    expect(Object.keys(contract.CloseCause)).toHaveLength(count);
  });
});

test('counters have the same names in the same order', () => {
  const list =
    /#define STMQTT_COUNTERS\(X\)([\s\S]*?)\n\s*\n/.exec(header('counters.hpp'))?.[1] ?? '';
  const names = [...list.matchAll(/X\((\w+)\)/g)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(50);
  expect(contract.counterNames).toEqual(names);
});
