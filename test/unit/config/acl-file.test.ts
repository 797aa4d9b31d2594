// mosquitto's acl_file as rules.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAclFile, readAclFile } from '../../../src/config/acl-file.ts';
import { StMqttdError } from '../../../src/errors.ts';
import { nativeRule } from '../../../src/native/access-rules.ts';

const parse = (text: string) => parseAclFile('acl', text).map(nativeRule);
const failure = (text: string): StMqttdError => {
  try {
    parseAclFile('acl', text);
  } catch (error) {
    if (error instanceof StMqttdError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
};

describe('an acl_file', () => {
  test('anonymous clients, users, everyone; each with its denials first', () => {
    const text = [
      '# The plant.',
      'topic read news/#',
      '',
      'user roger',
      'topic foo/bar',
      'topic write  with spaces/x  ',
      'topic deny foo/secret',
      '  user  big boss ',
      'topic readwrite #',
      'pattern write sensors/%u/%c/#',
      'pattern deny private/#',
      'topic read 100%u',
    ].join('\r\n');
    expect(parse(text)).toEqual([
      { effect: 'deny', actions: 'all', who: { users: ['roger'] }, filters: ['foo/secret'] },
      { effect: 'allow', actions: 'subscribe', who: { anonymous: true }, filters: ['news/#'] },
      { effect: 'allow', actions: 'all', who: { users: ['roger'] }, filters: ['foo/bar'] },
      {
        effect: 'allow',
        actions: 'publish',
        who: { users: ['roger'] },
        filters: ['with spaces/x'],
      },
      { effect: 'allow', actions: 'all', who: { users: ['big boss'] }, filters: ['#'] },
      // Only a pattern has placeholders.
      { effect: 'allow', actions: 'subscribe', who: { users: ['big boss'] }, filters: ['100%%u'] },
      { effect: 'deny', actions: 'all', who: {}, filters: ['private/#'] },
      { effect: 'allow', actions: 'publish', who: {}, filters: ['sensors/%u/%c/#'] },
    ]);
  });

  test.each([
    ['\nuser', 'acl:2:1: user without a name'],
    ['user a*', 'acl:1:1: a user name with *'],
    ['topic', 'acl:1:1: a topic is missing'],
    ['topic read', null],
    ['topic reads a/b', 'acl:1:1: "reads" is none of read, write, readwrite, deny'],
    ['topic read a/#/b', 'acl:1:1: "a/#/b" is not a valid Topic Filter'],
    ['#\n#\npattern write a+/b', 'acl:3:1: "a+/b" is not a valid Topic Filter'],
    ['usr roger', 'acl:1:1: "usr" is none of user, topic, pattern'],
    ['topic constructor a', 'acl:1:1: "constructor" is none of'],
  ])('%j', (text, message) => {
    // "topic read" is the topic "read", as there.
    if (message === null) expect(parse(text)).toMatchObject([{ filters: ['read'] }]);
    else expect(failure(text).message).toContain(message);
  });

  test('any text at all: rules, or one error with its line', () => {
    const line = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.constantFrom('topic', 'user', 'pattern', '#'), fc.string())
        .map((parts) => parts.join(' ')),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        try {
          parseAclFile('acl', lines.join('\n'));
        } catch (error) {
          if (!(error instanceof StMqttdError)) throw error;
          expect(error.message).toMatch(/^acl:\d+:1: [^\n]*$/);
        }
      }),
    );
  });

  test('a file that is not there', () => {
    expect(() => readAclFile('/nowhere/acl')).toThrow(/\/nowhere\/acl: there is no such file/);
  });
});
