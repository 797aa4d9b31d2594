// The command line of `st-mqttd ctl`: what it is, and what is said where it is not one.
import { describe, expect, test } from 'vitest';
import { commandRows } from '../../../../src/cli/ctl/commands.ts';
import { parseCtl } from '../../../../src/cli/ctl/parse.ts';
import { runCtl } from './running.ts';

const commandOf = (...args: string[]) => {
  const parsed = parseCtl(args);
  return parsed === 'help' ? parsed : parsed.command;
};

test('first words alone mean the listing', () => {
  expect(commandOf('clients')).toBe('clients_list');
  expect(commandOf('clients', 'connected=true')).toBe('clients_list');
  expect(commandOf('subscriptions')).toBe('subscriptions_list');
  expect(commandOf('retained', 'a/#')).toBe('retained_list');
  expect(commandOf('log')).toBe('log_get');
  expect(commandOf('config')).toBe('config_show');
  expect(commandOf('config', 'mqtt.max_qos')).toBe('config_show');
});

test('flags may stand before and behind', () => {
  expect(parseCtl(['--json', 'clients', 'show', 'x', '--url', 'http://h'])).toEqual({
    command: 'clients_show',
    args: ['x'],
    flags: { json: true, url: 'http://h' },
  });
  // What looks like a flag, behind --.
  expect(parseCtl(['clients', 'show', '--', '--json'])).toMatchObject({ args: ['--json'] });
});

describe('usage errors end with 2 and one line', () => {
  test.each([
    [['clinets'], /did you mean clients\?/],
    [['clients', 'lst'], /there is no "clients lst"; there are list, show, kick, end/],
    [['clients', 'show'], /it is: clients show ID/],
    [['clients', 'show', 'a', 'b'], /it is: clients show ID/],
    [['clients', '--jsn'], /did you mean --json\?/],
    [['clients', '--qos', '1'], /--qos does not go with clients list/],
    [['clients', '--url'], /--url/],
    [['clients', '='], /is not KEY=VALUE/],
    [['clients', 'a=1', 'a=2'], /a is there twice/],
    [['--json'], /no command/],
    [['status', '--url', 'here'], /"here" is not a URL/],
    [['status', '--url', 'ftp://here'], /ftp: is not known/],
    [['status', '--url', 'http://user:hunter2@here'], /use --token/],
  ])('%j', async (args, says) => {
    const { code, output, complaints } = await runCtl(args);
    expect(code).toBe(2);
    expect(output).toBe('');
    expect(complaints).toMatch(says);
    expect(complaints).toMatch(/^st-mqttd ctl: [^\n]+\n$/);
    expect(complaints).not.toContain('hunter2');
  });
});

test('the help has every command', async () => {
  for (const args of [[], ['--help'], ['clients', '-h']]) {
    const { code, output } = await runCtl(args);
    expect(code).toBe(0);
    for (const { words } of Object.values(commandRows)) expect(output).toContain(words.join(' '));
    expect(Math.max(...output.split('\n').map((line) => line.length))).toBeLessThanOrEqual(110);
  }
});
