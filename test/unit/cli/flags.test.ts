import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commands, flags, parseCommandLine } from '../../../src/cli/flags.ts';
import { helpText } from '../../../src/cli/help.ts';

describe('the command line', () => {
  test('nothing', () => {
    expect(parseCommandLine([])).toEqual({
      command: undefined,
      operand: undefined,
      config: [],
      listen: [],
      id: undefined,
      startups: undefined,
      grpcAddresses: undefined,
      raftPeers: undefined,
      raftLeader: undefined,
      json: false,
      format: undefined,
      from: undefined,
      output: undefined,
      verbose: 0,
      quiet: false,
      help: false,
      version: false,
    });
  });

  test.each([
    [['-c', 'a.toml', '-vvv'], { config: ['a.toml'], verbose: 3 }],
    [['-f', 'a.toml'], { config: ['a.toml'] }],
    [['--config=a.toml', '-v', '--verbose'], { config: ['a.toml'], verbose: 2 }],
    [['--listen', 'a:1', '--listen=[::]:2'], { listen: ['a:1', '[::]:2'] }],
    [['--id', '7', '-q', '--check'], { id: '7', quiet: true, command: 'check' }],
    [['-c', 'a.toml', '--config', 'b.yaml'], { config: ['a.toml', 'b.yaml'] }],
    [['check', '-c', 'a.toml', '--json'], { command: 'check', config: ['a.toml'], json: true }],
    [['generate-config', '--format=yaml'], { command: 'generate-config', format: 'yaml' }],
    [
      ['--plugins-default-startups', 'a', 'b', '--plugins-default-startups=c', '-q'],
      { startups: ['a', 'b', 'c'], quiet: true },
    ],
    [['--plugins-default-startups', '-q'], { startups: [''], quiet: true }],
    [['--plugins-default-startups='], { startups: [''] }],
    [
      ['--node-grpc-addrs', '1@127.0.0.1:5363', '2@[::1]:5363', '--raft-leader-id', '1'],
      { grpcAddresses: ['1@127.0.0.1:5363', '2@[::1]:5363'], raftLeader: '1' },
    ],
    [
      ['--raft-peer-addrs', '1@a:1', '--raft-peer-addrs', '2@b:1', 'c', '-c', 'x'],
      { raftPeers: ['1@a:1', '2@b:1', 'c'], config: ['x'] },
    ],
    [
      ['import', 'a.conf', '--from', 'mosquitto', '-o', 'b.toml'],
      { command: 'import', operand: 'a.conf', from: 'mosquitto', output: 'b.toml' },
    ],
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
    [['import', 'a', 'b'], 'there is no command "b"'],
    [['-o', 'x'], '--output goes with the command import'],
    [['--json'], '--json goes with the command check'],
    [['check', '--format', 'toml'], '--format goes with the command generate-config'],
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

  test('any arguments at all: a command line, or one error of one line', () => {
    const words = fc.oneof(
      fc.constantFrom(
        ...Object.keys(flags).map((flag) => `--${flag}`),
        ...Object.keys(commands),
        ...['-c', '-f', '-vvv', '-q', '--', '-', '--=', '--id=', '-fa', '--no-check', '\n'],
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 8 }), (args) => {
        try {
          parseCommandLine(args);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ST_USAGE' });
          expect(String(error)).not.toContain('\n');
        }
      }),
      { numRuns: 2000 },
    );
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
