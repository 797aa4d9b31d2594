// Whatever is wrong in a configuration: one error, one line, its place, and no stack.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aclRows, ruleRows } from '../../../src/config/acl-options.ts';
import {
  anyProviderRows,
  failedLoginRows,
  providerKinds,
  providerRows,
} from '../../../src/config/auth-options.ts';
import { parseConfigText } from '../../../src/config/files.ts';
import { deviceRows, tenantsRows } from '../../../src/config/identity-options.ts';
import { environmentLayer } from '../../../src/config/layers.ts';
import { flappingRows, limitsRows } from '../../../src/config/limits-options.ts';
import { connectionsOwnRows, webSocketRows } from '../../../src/config/listener-options.ts';
import {
  brokerRows,
  listenerRows,
  logRows,
  mqttTableRows,
  routerRows,
  topRows,
} from '../../../src/config/options.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { checkValue, type Row, type Rows } from '../../../src/config/rows.ts';
import { consoleRows, prometheusRows, tokenRows } from '../../../src/config/service-options.ts';
import { sniRows, tlsRows } from '../../../src/config/tls-options.ts';
import { StMqttdError } from '../../../src/errors.ts';

const tables: readonly (readonly [path: readonly string[], rows: Rows])[] = [
  [[], topRows],
  [['mqtt'], mqttTableRows],
  [['broker'], brokerRows],
  [['router'], routerRows],
  [['log'], logRows],
  [['console'], consoleRows],
  [['console', 'tokens', 'ops'], tokenRows],
  [['prometheus'], prometheusRows],
  [['v4', '1'], listenerRows],
  [['unified', 'plant'], listenerRows],
  [['v5', '1', 'connections'], mqttTableRows],
  [['v5', '1', 'connections'], connectionsOwnRows],
  [['ws', 'x'], { ...listenerRows, ...webSocketRows }],
  [['v4', '1', 'tls'], tlsRows],
  [['auth', 'failed_logins'], failedLoginRows],
  [['acl'], aclRows],
  [['limits'], limitsRows],
  [['limits', 'flapping'], flappingRows],
  [['tenants'], tenantsRows],
  [['device'], deviceRows],
];
/** Lists of tables; `kind` = what the table must say for the row to be one of its. */
const lists: readonly (readonly [path: readonly string[], rows: Rows, kind?: string])[] = [
  [['ws', 'x', 'tls', 'sni'], sniRows],
  [['acl', 'rules'], ruleRows],
  ...providerKinds.map((kind) => {
    const { kind: _, ...common } = anyProviderRows;
    return [['auth', 'providers'], { ...common, ...providerRows[kind] }, kind] as const;
  }),
];
const elements = lists.flatMap(([path, rows, kind]) =>
  Object.entries(rows).map(([key, row]) => ({ path, key, row, kind })),
);
const certificate = { certpath: '/c', keypath: '/k' };
const places = tables.flatMap(([path, rows]) =>
  Object.entries(rows)
    // $SYS is the broker's, no listener's.
    .filter(([key]) => key !== 'sys_interval_s' || path[0] === 'mqtt')
    .map(([key, row]) => ({ path, key, row })),
);

async function failure(file: string, text: string): Promise<StMqttdError | undefined> {
  try {
    resolveConfig([await parseConfigText(file, text)], { file });
    return undefined;
  } catch (error) {
    if (error instanceof StMqttdError) return error;
    throw error;
  }
}

/** JSON's escapes are TOML's and YAML's too, but for DEL. */
const literal = (value: unknown) => JSON.stringify(value).replaceAll('\x7f', '\\u007f');

/** The text of a document with one value, and where its key stands. */
const writers = {
  'a.toml': (path: readonly string[], key: string, value: unknown) => ({
    text: `# one\n${path.length === 0 ? '' : `[${path.join('.')}]\n`}  ${key} = ${literal(value)}\n`,
    at: `${path.length === 0 ? 2 : 3}:3`,
  }),
  'a.yaml': (path: readonly string[], key: string, value: unknown) => ({
    text: `# one\n${path
      .map((step, depth) => `${'  '.repeat(depth)}"${step}":\n`)
      .join('')}${'  '.repeat(path.length)}${key}: ${literal(value)}\n`,
    at: `${path.length + 2}:${path.length * 2 + 1}`,
  }),
  'a.json': (path: readonly string[], key: string, value: unknown) => ({
    text: `\n{${path.map((step) => `"${step}": {`).join('')}\n\t"${key}": ${literal(value)}\n${'}'.repeat(path.length)}}`,
    at: '3:2',
  }),
} as const;

const tomlOf = (table: Readonly<Record<string, unknown>>) =>
  Object.entries(table)
    .map(([key, value]) => `${key} = ${literal(value)}\n`)
    .join('');

/** The innermost table of ws is one with TLS, else it would not be read so far. */
function nested(path: readonly string[], inner: unknown): unknown {
  return path.reduceRight<unknown>(
    (value, step) => ({ ...(step === 'sni' ? certificate : {}), [step]: value }),
    inner,
  );
}

const anything = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0.5),
  fc.boolean(),
  fc.string({ maxLength: 200 }),
  fc.constantFrom('', '0', 'true', '127.0.0.1', '::1:1883', '\n', '\0', 'x'.repeat(5000)),
  fc.array(fc.oneof(fc.integer(), fc.string()), { maxLength: 3 }),
);

/**
 * -0 is an integer to JavaScript and "0" in a file; ${ is a reference; an integer beyond 2^53 is an
 * error of TOML's syntax.
 */
function isWrong(row: Row, value: unknown): boolean {
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return false;
  const text = JSON.stringify(value);
  if (text.includes('${') || text.includes('"file:') || Object.is(value, -0)) return false;
  return checkValue(row, JSON.parse(text), false) === 'refused';
}

describe.each(Object.entries(writers))('%s', (file, write) => {
  test('any wrong value of any option: its place, its key, what is allowed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places), anything, async ({ path, key, row }, value) => {
        fc.pre(isWrong(row, value));
        const { text, at } = write(path, key, value);
        const error = await failure(file, text);
        expect(error?.code).toBe('ST_CONFIG_VALUE');
        const name = [...path, key].join('.');
        expect(error?.message).toMatch(
          new RegExp(`^${file}:${at}: ${name.replaceAll('.', '\\.')} is .*; allowed: `),
        );
        expect(error?.message).not.toContain('\n');
        expect(error?.message.length).toBeLessThan(500);
        if (row.secret === true && typeof value === 'string' && value.length > 4) {
          expect(error?.message).not.toContain(literal(value).slice(1, -1));
        }
      }),
      { numRuns: 400 },
    );
  });

  test('any wrong value in any list of tables: its place, and which table it is', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...elements),
        anything,
        async ({ path, key, row, kind }, value) => {
          fc.pre(isWrong(row, value));
          const table = { ...(kind !== undefined && { kind }), [key]: value };
          const { text } = file.endsWith('toml')
            ? {
                text:
                  (path[0] === 'ws' ? `[ws.x.tls]\n${tomlOf(certificate)}` : '') +
                  `[[${path.join('.')}]]\n${tomlOf(table)}`,
              }
            : { text: JSON.stringify(nested(path, [table]), null, 1) };
          const error = await failure(file, text);
          expect(error?.code).toBe('ST_CONFIG_VALUE');
          const place = text.slice(
            0,
            text.lastIndexOf(file.endsWith('toml') ? `\n${key} =` : `"${key}":`),
          );
          const line = place.split('\n').length + (file.endsWith('toml') ? 1 : 0);
          expect(error?.message).toMatch(
            new RegExp(
              `^${file}:${line}:\\d+: ${path.join('\\.')}\\[0\\]\\.${key} is .*; allowed: `,
            ),
          );
          expect(error?.message).not.toContain('\n');
          if (row.secret === true && typeof value === 'string' && value.length > 4) {
            expect(error?.message).not.toContain(literal(value).slice(1, -1));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a table where a value belongs, and a value where a table does', async () => {
    for (const { path, key } of places) {
      const { text, at } = write([...path, key], 'x', 1);
      const error = await failure(file, text);
      expect(error?.code).toBe('ST_CONFIG_VALUE');
      // A table's place is its own line, not that of the key in it.
      expect(error?.message).toMatch(new RegExp(`^${file}:\\d+:\\d+: .* is a table; allowed: `));
      expect(at).not.toBe('');
    }
    for (const [path] of tables.filter(([{ length }]) => length > 0)) {
      const { text, at } = write(path.slice(0, -1), path.at(-1) ?? '', 7);
      const error = await failure(file, text);
      expect(error?.message).toMatch(new RegExp(`^${file}:${at}: `));
    }
  });

  test('any text at all: a configuration, or one error with its place', async () => {
    const texts = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.string({ unit: fc.constantFrom(...'[]{}="\'.:,-#&*!|>%@`\n\t 1ae'), maxLength: 200 }),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const error = await failure(file, text);
        if (error === undefined) return;
        expect(error.message).toMatch(new RegExp(`^${file}(:\\d+:\\d+)?: `));
        expect(error.message).not.toContain('\n');
      }),
      { numRuns: 500 },
    );
  });

  test('any object at all', async () => {
    const everyObjects = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const known = places.flatMap(({ path, key }) => [...path, key]);
    const word = fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...known) },
      fc.constantFrom(...everyObjects),
    );
    const tree = fc.object({ key: word, maxDepth: 4, values: [fc.integer(), fc.string()] });
    await fc.assert(
      fc.asyncProperty(tree, async (root) => {
        const text = Object.entries(root)
          .map(([key, value]) => `${literal(key)}: ${JSON.stringify(value) ?? 'null'}`)
          .join(',\n');
        const error = await failure(file.endsWith('toml') ? 'a.json' : file, `{${text}}`);
        expect(error?.message ?? '').not.toContain('\n');
      }),
      { numRuns: 300 },
    );
  });

  test.each(['__proto__', 'constructor', 'toString'])('%s is a key like any other', async (key) => {
    const paths = [
      [],
      ['router'],
      ['v4', '1', 'connections'],
      ['auth'],
      ['ws', 'x', 'tls'],
      ['log'],
    ];
    for (const path of paths) {
      const tree = [...path, key].reduceRight<string>(
        (inner, at) => `{${literal(at)}: ${inner}}`,
        '""',
      );
      const error = await failure(file.endsWith('toml') ? 'a.json' : file, tree);
      expect(error?.code, path.join('.')).toMatch(/^ST_CONFIG_/);
    }
  });

  test('brackets by the thousand', async () => {
    const error = await failure(
      file,
      `a${file.endsWith('toml') ? ' =' : ':'} ${'['.repeat(50_000)}`,
    );
    expect(error?.code).toBe('ST_CONFIG_SYNTAX');
    expect(error?.message).toMatch(new RegExp(`^${file}:\\d+:\\d+: not valid`));
  });
});

describe('YAML of its own kind', () => {
  test.each([
    ['a: *nothing', /^a\.yaml:\d+:\d+: not valid YAML: /],
    ['a: &a {b: *a}', /^a\.yaml:\d+:\d+: /],
    ['mqtt: &a {max_qos: *a}', /^a\.yaml:1:\d+: /],
    ['mqtt: {max_inflight: &a [*a]}', /^a\.yaml:1:8: mqtt\.max_inflight is /],
    ['a: 1\n---\nb: 2', /^a\.yaml:\d+:\d+: not valid YAML: /],
    ['? [a]\n: 1\nmqtt: 5', /^a\.yaml:3:1: mqtt is 5; allowed: a table/],
    ['mqtt: {max_qos: .nan}', /mqtt\.max_qos is NaN;/],
    ['mqtt: {max_qos: 1e999}', /mqtt\.max_qos is Infinity;/],
    ['base: &b {max_qos: 9}\nmqtt: *b', /^a\.yaml:1:11: mqtt\.max_qos is 9;/],
  ])('%j', async (text, message) => {
    expect((await failure('a.yaml', text))?.message).toMatch(message);
  });
});

test('any environment at all', () => {
  const name = fc
    .array(fc.constantFrom(...places.flatMap(({ path, key }) => [...path, key]), '', 'x'), {
      maxLength: 5,
    })
    .map((steps) => `ST_MQTTD_${steps.join('__').toUpperCase()}`);
  fc.assert(
    fc.property(fc.dictionary(name, fc.string()), (environment) => {
      try {
        const layer = environmentLayer(environment);
        resolveConfig(layer === undefined ? [] : [layer]);
      } catch (error) {
        if (!(error instanceof StMqttdError)) throw error;
        expect(error.message).toMatch(/^ST_MQTTD_|^listener /);
        expect(error.message).not.toContain('\n');
      }
    }),
    { numRuns: 1000 },
  );
});
