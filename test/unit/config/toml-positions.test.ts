import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { TomlPositions } from '../../../src/config/toml-positions.ts';

const document = `# comment with [a] = "b"
a = 1   # [x]
"quoted key" = 'it''s'.length
`.replace("'it''s'.length", "'raw # \"text'");

describe('where keys stand', () => {
  test('comments, quoted keys, raw strings', () => {
    const lines = new TomlPositions(document);
    expect(lines.find(['a'])?.line).toBe(2);
    expect(lines.find(['quoted key'])?.line).toBe(3);
    expect(lines.find(['x'])).toBeUndefined();
  });

  test('tables, dotted keys, inline tables, arrays over several lines', () => {
    const text = [
      '[a.b]', // 1
      'c.d = 1', // 2
      'list = [', // 3
      '  "x", # ]', // 4
      '  { y = 1,', // 5
      '    z = 2 }', // 6
      ']', // 7
      "after = '''", // 8
      'm = 1', // 9
      "'''", // 10
      'text = """a \\"""', // 11
      'n = 2', // 12
      '\\', // 13
      '  """', // 14
      '[[many]]', // 15
      'k = 2020-01-01T00:00:00Z', // 16
      '["a.b".\'c d\']', // 17
      '1 = {}', // 18
    ].join('\n');
    parse(text);
    const lines = new TomlPositions(text);
    expect(lines.find(['a'])?.line).toBe(1);
    expect(lines.find(['a', 'b', 'c', 'd'])?.line).toBe(2);
    expect(lines.find(['a', 'b', 'list'])?.line).toBe(3);
    expect(lines.find(['a', 'b', 'list', '[1]', 'y'])?.line).toBe(5);
    expect(lines.find(['a', 'b', 'list', '[1]', 'z'])?.line).toBe(6);
    expect(lines.find(['a', 'b', 'after'])?.line).toBe(8);
    expect(lines.find(['a', 'b', 'm'])?.line).toBe(1);
    expect(lines.find(['a', 'b', 'text'])?.line).toBe(11);
    expect(lines.find(['n'])).toBeUndefined();
    expect(lines.find(['many', '[0]', 'k'])?.line).toBe(16);
    expect(lines.find(['a.b', 'c d'])?.line).toBe(17);
    expect(lines.find(['a.b', 'c d', '1'])?.line).toBe(18);
  });

  test('lists of tables: [[x]] begins the next one, [x.y] belongs to the last', () => {
    const text = [
      '[[x]]', // 1
      'a = 1', // 2
      '[x.y]', // 3
      'b = 1', // 4
      '[[x]]', // 5
      'a = 2', // 6
      '[[x.z]]', // 7
      '[[x.z]]', // 8
      'c = [ {d = 1}, {', // 9
      'd = 2 }]', // 10
    ].join('\n');
    parse(text);
    const at = (...path: string[]) => new TomlPositions(text).find(path)?.line;
    expect(at('x')).toBe(1);
    expect(at('x', '[0]', 'a')).toBe(2);
    expect(at('x', '[0]', 'y', 'b')).toBe(4);
    expect(at('x', '[1]')).toBe(5);
    expect(at('x', '[1]', 'a')).toBe(6);
    expect(at('x', '[1]', 'z', '[0]')).toBe(7);
    expect(at('x', '[1]', 'z', '[1]', 'c')).toBe(9);
    expect(at('x', '[1]', 'z', '[1]', 'c', '[0]', 'd')).toBe(9);
    expect(at('x', '[1]', 'z', '[1]', 'c', '[1]', 'd')).toBe(10);
  });

  test('a key that is not there has the line of the nearest table around it', () => {
    expect(new TomlPositions('x = 1\n[t]\n').find(['t', 'u', 'v'])?.line).toBe(2);
  });

  test('line ends of Windows', () => {
    const lines = new TomlPositions('[t]\r\na = 1\r\nb = """\r\n"""\r\nc = 2\r\n');
    expect(lines.find(['t', 'a'])?.line).toBe(2);
    expect(lines.find(['t', 'c'])?.line).toBe(5);
  });
});

const key = fc.string({ minLength: 1, maxLength: 6 });
const scalar = fc.oneof(
  fc.integer().map(String),
  fc.boolean().map(String),
  fc.string().map((text) => JSON.stringify(text).replaceAll('\x7f', '\\u007f')),
  fc.constantFrom("'''\n[a]\n'''", '"""\nb = 1\n\\"""""', '[1,\n # ]\n 2]', '{ x = [\n] }', "'#'"),
);

test('columns: of a key, a header, a key of an inline table', () => {
  const positions = new TomlPositions('  a = 1\n [t]\nb = { c = 1, "d" = 2 }\r\n\te.f = 3\n');
  expect(positions.find(['a'])).toEqual({ line: 1, column: 3 });
  expect(positions.find(['t'])).toEqual({ line: 2, column: 2 });
  expect(positions.find(['t', 'b'])).toEqual({ line: 3, column: 1 });
  expect(positions.find(['t', 'b', 'd'])).toEqual({ line: 3, column: 14 });
  expect(positions.find(['t', 'e', 'f'])).toEqual({ line: 4, column: 2 });
});

test('every key of any document is found at the place it was written at', () => {
  const keys = fc.uniqueArray(key, { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(keys, fc.array(scalar, { minLength: 8, maxLength: 8 }), (names, values) => {
      let text = '';
      const at = new Map<string, { line: number; column: number }>();
      for (const [index, name] of names.entries()) {
        text += ' '.repeat(index);
        at.set(name, { line: text.split('\n').length, column: index + 1 });
        const written = JSON.stringify(name).replaceAll('\x7f', '\\u007f');
        text += `${written} = ${values[index]} # x = 1\n`;
      }
      parse(text);
      const lines = new TomlPositions(text);
      for (const [name, position] of at) expect(lines.find([name])).toEqual(position);
    }),
  );
});

test('a broken document ends, too', () => {
  fc.assert(fc.property(fc.string(), (text) => void new TomlPositions(text)));
  for (const text of ['[', '[[', '"', "'''", 'a = [', 'a = {', 'a = "\\', '= =', ']', 'a.b..c']) {
    new TomlPositions(text);
  }
});
