import { describe, expect, test } from 'vitest';
import { membersOf } from '../../../src/device/json-members.js';

describe('members of a JSON object, as they were written', () => {
  test.each<[string, [string, string][]]>([
    ['{}', []],
    [' \n{ }\t', []],
    ['{"a":1}', [['a', '1']]],
    [
      '{ "a" : 1.50 , "b":[1,{"c":"}"}] }',
      [
        ['a', '1.50'],
        ['b', '[1,{"c":"}"}]'],
      ],
    ],
    [
      '{"a":12345678901234567890,"a":-0}',
      [
        ['a', '12345678901234567890'],
        ['a', '-0'],
      ],
    ],
    [
      '{"\\"{,":"\\\\","\\u00e9":null}',
      [
        ['"{,', '"\\\\"'],
        ['é', 'null'],
      ],
    ],
    [
      '{"__proto__":{"a":{}},"x":""}',
      [
        ['__proto__', '{"a":{}}'],
        ['x', '""'],
      ],
    ],
  ])('%s', (text, expected) => {
    expect(membersOf(text)).toEqual(expected);
    for (const [, value] of membersOf(text)) expect(() => JSON.parse(value)).not.toThrow();
  });

  test.each(['', '{', '[]', '1', 'null', '{"a":}', '{"a":1,}', '{} {}'])('not %j', (text) => {
    expect(() => membersOf(text)).toThrow();
  });
});
