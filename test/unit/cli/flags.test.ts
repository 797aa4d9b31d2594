import { describe, expect, test } from 'vitest';
import { commands, flags, parseCommandLine } from '../../../src/cli/flags.ts';
import { helpText } from '../../../src/cli/help.ts';

describe('the command line', () => {
  test('nothing', () => {
    expect(parseCommandLine([])).toEqual({
      command: undefined,
      config: undefined,
      listen: [],
      id: undefined,
      check: false,
      verbose: 0,
      quiet: false,
      help: false,
      version: false,
    });
  });

  test.each([
    [['-c', 'a.toml', '-vvv'], { config: 'a.toml', verbose: 3 }],
    [['-f', 'a.toml'], { config: 'a.toml' }],
    [['--config=a.toml', '-v', '--verbose'], { config: 'a.toml', verbose: 2 }],
    [['--listen', 'a:1', '--listen=[::]:2'], { listen: ['a:1', '[::]:2'] }],
    [['--id', '7', '-q', '--check'], { id: '7', quiet: true, check: true }],
    [['-h'], { help: true }],
    [['-V'], { version: true }],
    [['generate-config'], { command: 'generate-config' }],
  ])('%j', (args, expected) => expect(parseCommandLine(args)).toMatchObject(expected));

  test.each([
    [['--lissten', 'x'], 'there is no flag --lissten; did you mean --listen?'],
    [['-x'], 'there is no flag -x'],
    [['--nothing=1'], 'there is no flag --nothing'],
    [['generate-confg'], 'there is no command "generate-confg"; did you mean generate-config?'],
    [['generate-config', 'more'], 'there is no command "more"'],
    [['toString'], 'there is no command "toString"'],
    [['--config'], "Option '-c, --config <value>' argument missing"],
    [['--check=yes'], "Option '--check' does not take an argument"],
  ])('%j', (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(
      expect.objectContaining({ code: 'ST_USAGE', message: expect.stringContaining(message) }),
    );
    try {
      parseCommandLine(args);
    } catch (error) {
      expect(String(error)).not.toContain('\n');
    }
  });

  test('--help has every flag and command', async () => {
    const text = await helpText();
    for (const name of [
      ...Object.keys(flags).map((flag) => `--${flag}`),
      ...Object.keys(commands),
    ]) {
      expect(text).toContain(name);
    }
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });
});
