import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { Logger } from '../../../src/log/logger.ts';

type Config = ConstructorParameters<typeof Logger>[0];
async function written(config: Partial<Config>, use: (logger: Logger) => void, quiet = false) {
  const stream = new PassThrough();
  const logger = new Logger(
    { to: 'console', level: 'warn', format: 'json', ...config },
    3,
    quiet,
    stream,
  );
  use(logger);
  await logger.flush();
  return String(stream.read() ?? '');
}
const all = (logger: Logger) => {
  for (const level of ['notice', 'error', 'warn', 'info', 'debug', 'trace'] as const) {
    logger.write({ level, text: `a ${level}`, fields: { clientId: 'c' } });
  }
};
const levels = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { msg: string }).msg);

describe('levels', () => {
  test.each([
    ['error', ['a notice', 'a error']],
    ['warn', ['a notice', 'a error', 'a warn']],
    ['trace', ['a notice', 'a error', 'a warn', 'a info', 'a debug', 'a trace']],
  ] as const)('%s', async (level, expected) => {
    expect(levels(await written({ level }, all))).toEqual(expected);
  });
  test('quiet leaves out notices only', async () => {
    expect(levels(await written({}, all, true))).toEqual(['a error', 'a warn']);
  });
  test('off', async () => {
    expect(await written({ to: 'off' }, all)).toBe('');
  });
});

test('JSON: one line with level, time, broker, fields and cause', async () => {
  const cause = new Error('below');
  const text = await written({}, (logger) =>
    logger.write({
      level: 'error',
      text: 'x',
      fields: { err: new Error('above', { cause }), a: 1 },
    }),
  );
  expect(text.trim().split('\n')).toHaveLength(1);
  const record = JSON.parse(text) as Record<string, unknown>;
  expect(record).toMatchObject({ level: 'error', broker: 3, a: 1, msg: 'x' });
  expect(record.time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  expect(JSON.stringify(record.err)).toContain('above: below');
});

test('pretty: readable lines, without colour where there is no terminal', async () => {
  const text = await written({ format: 'pretty' }, (logger) =>
    logger.write({ level: 'warn', text: 'a thing happened', fields: { clientId: 'c' } }),
  );
  expect(text).toMatch(/^\[\d\d:\d\d:\d\d\.\d+\] WARN: a thing happened {"clientId":"c"}\n$/);
});

test('records before the log is open are kept, in order', async () => {
  const text = await written({}, (logger) => {
    for (let i = 0; i < 100; i++) logger.write({ level: 'warn', text: `${i}`, fields: {} });
  });
  expect(levels(text)).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
});
