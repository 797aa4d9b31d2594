import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { TomlLines } from '../../../src/config/toml-lines.ts';

const document = `# comment with [a] = "b"
a = 1   # [x]
"quoted key" = 'it''s'.length
`.replace("'it''s'.length", "'raw # \"text'");

describe('lines of keys', () => {
  test('comments, quoted keys, raw strings', () => {
    const lines = new TomlLines(document);
    expect(lines.find(['a'])).toBe(2);
    expect(lines.find(['quoted key'])).toBe(3);
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
    const lines = new TomlLines(text);
    expect(lines.find(['a'])).toBe(1);
    expect(lines.find(['a', 'b', 'c', 'd'])).toBe(2);
    expect(lines.find(['a', 'b', 'list'])).toBe(3);
    expect(lines.find(['a', 'b', 'list', 'y'])).toBe(5);
    expect(lines.find(['a', 'b', 'list', 'z'])).toBe(6);
    expect(lines.find(['a', 'b', 'after'])).toBe(8);
    expect(lines.find(['a', 'b', 'm'])).toBe(1);
    expect(lines.find(['a', 'b', 'text'])).toBe(11);
    expect(lines.find(['n'])).toBeUndefined();
    expect(lines.find(['many', 'k'])).toBe(16);
    expect(lines.find(['a.b', 'c d'])).toBe(17);
    expect(lines.find(['a.b', 'c d', '1'])).toBe(18);
  });

  test('a key that is not there has the line of the nearest table around it', () => {
    expect(new TomlLines('x = 1\n[t]\n').find(['t', 'u', 'v'])).toBe(2);
  });

  test('line ends of Windows', () => {
    const lines = new TomlLines('[t]\r\na = 1\r\nb = """\r\n"""\r\nc = 2\r\n');
    expect(lines.find(['t', 'a'])).toBe(2);
    expect(lines.find(['t', 'c'])).toBe(5);
  });
});

const key = fc.string({ minLength: 1, maxLength: 6 });
const scalar = fc.oneof(
  fc.integer().map(String),
  fc.boolean().map(String),
  fc.string().map((text) => JSON.stringify(text).replaceAll('\x7f', '\\u007f')),
  fc.constantFrom("'''\n[a]\n'''", '"""\nb = 1\n\\"""""', '[1,\n # ]\n 2]', '{ x = [\n] }', "'#'"),
);

test('every key of any document is found at the line it was written on', () => {
  const keys = fc.uniqueArray(key, { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(keys, fc.array(scalar, { minLength: 8, maxLength: 8 }), (names, values) => {
      let text = '';
      const at = new Map<string, number>();
      for (const [index, name] of names.entries()) {
        at.set(name, text.split('\n').length);
        const written = JSON.stringify(name).replaceAll('\x7f', '\\u007f');
        text += `${written} = ${values[index]} # x = 1\n`;
      }
      parse(text);
      const lines = new TomlLines(text);
      for (const [name, line] of at) expect(lines.find([name])).toBe(line);
    }),
  );
});

test('a broken document ends, too', () => {
  fc.assert(fc.property(fc.string(), (text) => void new TomlLines(text)));
  for (const text of ['[', '[[', '"', "'''", 'a = [', 'a = {', 'a = "\\', '= =', ']', 'a.b..c']) {
    new TomlLines(text);
  }
});
