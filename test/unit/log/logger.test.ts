import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { Logger, type LogRecord } from '../../../src/log/logger.ts';

type Config = ConstructorParameters<typeof Logger>[0];
const defaults: Config = {
  to: 'console',
  level: 'warn',
  filter: '',
  dir: '.',
  file: 'st-mqttd.log',
  rotate_bytes: 0,
  rotate_s: 0,
  keep: 1,
  format: 'json',
  timezone: 'UTC',
};
const record = (level: LogRecord['level'], text: string, fields: LogRecord['fields'] = {}) =>
  ({ level, module: 'session', text, fields }) as const;

async function written(
  config: Partial<Config>,
  use: (logger: Logger) => void | Promise<void>,
  options: { quiet?: boolean; level?: 'info' } = {},
) {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (data) => {
    text += String(data);
  });
  const logger = new Logger({ ...defaults, ...config }, { id: 3, stream, ...options });
  await use(logger);
  await logger.end();
  await new Promise<void>((done) => stream.end(done));
  return text;
}
const all = (logger: Logger) => {
  for (const level of ['notice', 'error', 'warn', 'info', 'debug', 'trace'] as const) {
    logger.write(record(level, `a ${level}`, { clientId: 'c' }));
  }
};
const texts = (text: string) =>
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
    expect(texts(await written({ level }, all))).toEqual(expected);
  });
  test('quiet leaves out notices only', async () => {
    expect(texts(await written({}, all, { quiet: true }))).toEqual(['a error', 'a warn']);
  });
  test('off', async () => {
    expect(await written({ to: 'off' }, all)).toBe('');
  });
});

describe('the filter', () => {
  test('lies over the level', async () => {
    expect(texts(await written({ filter: 'off,[client=c]=info' }, all))).toEqual([
      'a notice',
      'a error',
      'a warn',
      'a info',
    ]);
    expect(texts(await written({ filter: 'session=off' }, all))).toEqual([]);
    expect(texts(await written({ filter: '[client=d]=trace' }, all))).toEqual([
      'a notice',
      'a error',
      'a warn',
    ]);
  });

  test('-v counts more than the level of the configured filter, and leaves the rest of it', async () => {
    const use = (logger: Logger) => {
      all(logger);
      logger.write({ ...record('debug', 'of auth'), module: 'auth' });
    };
    expect(texts(await written({ filter: 'error,auth=debug' }, use, { level: 'info' }))).toEqual([
      'a notice',
      'a error',
      'a warn',
      'a info',
      'of auth',
    ]);
  });

  test('changes while it runs; a wrong one changes nothing', async () => {
    const text = await written({}, (logger) => {
      logger.write(record('debug', '1'));
      expect(logger.setFilter('session=debug').text).toBe('warn,session=debug');
      logger.write(record('debug', '2'));
      expect(() => logger.setFilter('session=loud')).toThrow('character 9');
      logger.write(record('debug', '3'));
      logger.setFilter('error');
      logger.write(record('warn', '4'));
    });
    expect(texts(text)).toEqual(['2', '3']);
  });

  test('a reload takes the configured one only where that has changed', async () => {
    await written({}, async (logger) => {
      logger.setFilter('debug');
      await logger.reconfigure({ ...defaults, format: 'pretty' });
      expect(logger.filter.text).toBe('debug');
      await logger.reconfigure({ ...defaults, format: 'pretty', level: 'info' });
      expect(logger.filter.text).toBe('info');
      await expect(logger.reconfigure({ ...defaults, filter: '?' })).rejects.toMatchObject({
        code: 'ST_LOG_FILTER',
      });
      expect(logger.filter.text).toBe('info');
    });
  });
});

test('a reload turns it on, changes its form and turns it off, without losing a record', async () => {
  const text = await written({ to: 'off' }, async (logger) => {
    logger.write(record('error', 'nowhere'));
    await logger.reconfigure(defaults);
    logger.write(record('error', 'one'));
    const changing = logger.reconfigure({ ...defaults, format: 'pretty' });
    logger.write(record('error', 'two'));
    await changing;
    logger.write(record('error', 'three'));
    await logger.reconfigure({ ...defaults, to: 'off' });
    logger.write(record('error', 'nowhere'));
  });
  const lines = text.trim().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^\{.*"msg":"one"\}$/);
  expect(lines[1]).toMatch(/two/);
  expect(lines[2]).toMatch(/ERROR: three/);
});

test('JSON: one line with level, time, broker, module, fields and cause', async () => {
  const cause = new Error('below');
  const text = await written({}, (logger) =>
    logger.write(record('error', 'x', { err: new Error('above', { cause }), a: 1 })),
  );
  expect(text.trim().split('\n')).toHaveLength(1);
  const line = JSON.parse(text) as Record<string, unknown>;
  expect(line).toMatchObject({ level: 'error', broker: 3, module: 'session', a: 1, msg: 'x' });
  expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  expect(JSON.stringify(line.err)).toContain('above: below');
});

test('pretty: readable lines, without colour where there is no terminal', async () => {
  const text = await written({ format: 'pretty' }, (logger) =>
    logger.write(record('warn', 'a thing happened', { clientId: 'c' })),
  );
  expect(text).toMatch(
    /^\[\d\d:\d\d:\d\d\.\d+\] WARN: a thing happened {"module":"session","clientId":"c"}\n$/,
  );
});

test('records before the log is open are kept, in order; more than 10,000 are counted', async () => {
  const many = (count: number) => (logger: Logger) => {
    for (let i = 0; i < count; i++) logger.write(record('warn', `${i}`));
  };
  expect(texts(await written({}, many(100)))).toEqual(
    Array.from({ length: 100 }, (_, i) => `${i}`),
  );
  const text = texts(await written({}, many(10_003)));
  expect(text).toHaveLength(10_001);
  expect(text.at(-1)).toBe('3 log records were lost before the log was open');
});
