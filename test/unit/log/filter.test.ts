import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { StMqttdError } from '../../../src/errors.ts';
import { type LogSubject, parseFilter } from '../../../src/log/filter.ts';
import { logModules } from '../../../src/log/modules.ts';

const levels = ['error', 'warn', 'info', 'debug', 'trace'] as const;
/** The least important level that passes. */
function levelOf(text: string, subject: LogSubject, base: (typeof levels)[number] = 'error') {
  const filter = parseFilter(text, base);
  const passing = levels.filter((level) => filter.passes(level, subject));
  // Levels are ordered: what passes is a prefix.
  expect(passing).toEqual(levels.slice(0, passing.length));
  return passing.at(-1) ?? 'off';
}
const dev1 = { module: 'session', clientId: 'dev-1', address: '10.0.0.1:4000' } as const;

describe('directives', () => {
  test.each<[string, LogSubject, string]>([
    ['', { module: 'session' }, 'error'],
    ['info', { module: 'session' }, 'info'],
    ['INFO', { module: 'session' }, 'info'],
    [' info , auth=debug ', { module: 'auth' }, 'debug'],
    ['info,auth=debug', { module: 'session' }, 'info'],
    ['auth=debug,info', { module: 'auth' }, 'debug'],
    ['auth', { module: 'auth' }, 'trace'],
    ['warn,listener=off', { module: 'listener' }, 'off'],
    ['warn,listener=off', { module: 'broker' }, 'warn'],
    ['off', { module: 'broker' }, 'off'],
    ['info,debug', { module: 'broker' }, 'debug'],
    ['session=info,session=warn', { module: 'session' }, 'warn'],
    ['info,auth=debug,session[client=dev-1]=trace', dev1, 'trace'],
    ['info,session[client=dev-1]=trace', { ...dev1, clientId: 'dev-2' }, 'info'],
    ['info,auth[client=dev-1]=trace', dev1, 'info'],
    ['[client=dev-1]=debug', { ...dev1, module: 'auth' }, 'debug'],
    ['[client=dev-1]', dev1, 'trace'],
    ['[client=dev-*]=debug', dev1, 'debug'],
    ['[client=dev-*]=debug', { ...dev1, clientId: 'edv-1' }, 'error'],
    ['session=off,[client=dev-1]=debug', dev1, 'debug'],
    ['trace,[client=dev-1]=off', dev1, 'off'],
    ['[address=10.0.0.1]=debug', dev1, 'debug'],
    ['[address=10.0.0.1:4000]=debug', dev1, 'debug'],
    ['[address=10.0.0.1:4001]=debug', dev1, 'error'],
    ['[address=10.0.0]=debug', dev1, 'error'],
    ['[address=::1]=debug', { module: 'session', address: '[::1]:4000' }, 'debug'],
    ['[listener=tls]=debug', { module: 'listener', listener: 'tls' }, 'debug'],
    ['[client=dev-1,address=10.0.0.1]=debug,[client=dev-1]=info', dev1, 'debug'],
    ['[client=dev-1,address=10.0.0.2]=debug,[client=dev-1]=info', dev1, 'info'],
    ['[client="a,]b"]=debug', { module: 'session', clientId: 'a,]b' }, 'debug'],
    ['[client="a\\"b"]=debug', { module: 'session', clientId: 'a"b' }, 'debug'],
    ['[{client=dev-1}]=debug', dev1, 'debug'],
    ['rumqttd=debug', dev1, 'debug'],
    ['rumqttd::router=debug', dev1, 'debug'],
    ['rumqttd::router=debug', { module: 'broker' }, 'error'],
  ])('%s: %o = %s', (text, subject, expected) => {
    expect(levelOf(text, subject)).toBe(expected);
  });

  test('the base is the level of what no directive is about, and part of the text', () => {
    expect(levelOf('auth=debug', { module: 'session' }, 'info')).toBe('info');
    expect(parseFilter('auth=debug', 'info').text).toBe('info,auth=debug');
    expect(parseFilter('', 'info').text).toBe('info');
    expect(parseFilter('warn,auth=debug', 'info').text).toBe('warn,auth=debug');
  });

  test('an unknown target matches nothing, with a warning', () => {
    const filter = parseFilter('info,hyper::proto=trace');
    expect(filter.warnings).toEqual([
      expect.stringMatching(
        /"hyper::proto" \(character 6\) matches nothing; targets are .*session/,
      ),
    ]);
    for (const module of logModules) expect(filter.passes('debug', { module })).toBe(false);
    expect(parseFilter('info,rumqttd::router=debug').warnings).toEqual([]);
  });
});

describe('what is needed of the native half', () => {
  test.each<[string, number, Record<string, number>, [string, number][]]>([
    ['warn', 2, {}, []],
    ['off', 0, {}, []],
    ['warn,broker=trace', 2, {}, []],
    ['warn,store=off,auth=debug', 2, { store: 0, auth: 4 }, []],
    ['warn,[client=x]=trace', 2, {}, [['x', 5]]],
    ['off,auth[client=x]=trace,session[client=x]=info', 0, {}, [['x', 5]]],
    ['warn,[client=x]=off', 2, {}, [['x', 0]]],
    ['warn,[client=x*]=debug', 4, {}, []],
    ['warn,auth[address=10.0.0.1]=info', 2, { auth: 3 }, []],
    ['trace,session=warn,auth=warn', 2, { link: 5, listener: 5, route: 5, store: 5 }, []],
  ])('%s', (text, level, modules, clients) => {
    const { native } = parseFilter(text);
    expect(native).toEqual({ log_level: level, log_modules: modules, log_clients: clients });
  });

  test('more clients than the native half takes count for all', () => {
    const of = (count: number) =>
      parseFilter(`warn,${Array.from({ length: count }, (_, i) => `[client=${i}]=debug`).join()}`);
    expect(of(64).native).toMatchObject({ log_level: 2 });
    expect(of(64).native.log_clients).toHaveLength(64);
    expect(of(65).native).toMatchObject({ log_level: 4, log_clients: [] });
  });

  test('a module that is off has no notices either', () => {
    const filter = parseFilter('warn,listener=off');
    expect(filter.isOff('listener')).toBe(true);
    expect(filter.isOff('broker')).toBe(false);
  });
});

describe('errors', () => {
  test.each([
    ['info,,auth=debug', 6, '",auth=debug"', 'a level (off, error'],
    ['auth=loud', 6, '"loud"', 'one of off, error, warn'],
    ['auth=', 6, 'the end', 'one of off, error, warn'],
    ['[clinet=x]=debug', 2, '"clinet=x]=debug"', 'one of client, address, listener'],
    ['[client]=debug', 8, '"]=debug"', '"=" behind client'],
    ['[client=]=debug', 9, '"]=debug"', 'a value'],
    ['[client=x=debug', 16, 'the end', 'a comma or "]"'],
    ['[client="x]=debug', 9, '"\\"x]=debug"', 'a quote at the end'],
    ['info auth=debug', 6, '"auth=debug"', 'a comma, or the end'],
    ['info,', 6, 'the end', 'a level (off, error'],
    ['x'.repeat(5000), 1, `"${'x'.repeat(20)}"`, 'at most 4096 bytes'],
  ])('%s', (text, place, found, allowed) => {
    expect(() => parseFilter(text)).toThrow(
      expect.objectContaining({
        code: 'ST_LOG_FILTER',
        message: expect.stringContaining(
          `at character ${place}, ${found}; allowed there: ${allowed}`,
        ),
      }),
    );
  });

  test('of the configuration: with its place there', () => {
    const root = { log: { filter: 'auth=loud' } };
    const layer = { name: 'x.toml', root, locate: () => 'x.toml:3:1' };
    expect(() => resolveConfig([layer])).toThrow(
      /^x\.toml:3:1: log\.filter: the log filter is wrong at character 6, "loud"; allowed there: one/,
    );
  });

  test('any text gives a filter or that error, and a filter reads itself', () => {
    const pieces = fc.oneof(
      fc.constantFrom('info', 'auth', '=', ',', '[', ']', 'client', 'debug', '"', '{', ' ', '::'),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        try {
          const filter = parseFilter(parts.join(''), 'warn');
          const again = parseFilter(filter.text, 'trace');
          for (const module of logModules) {
            for (const level of levels) {
              expect(again.mayPass(level, module)).toBe(filter.mayPass(level, module));
            }
          }
        } catch (error) {
          expect(error).toBeInstanceOf(StMqttdError);
          expect(error).toMatchObject({ code: 'ST_LOG_FILTER' });
        }
      }),
      { numRuns: 500 },
    );
  });
});
