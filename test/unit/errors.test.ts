import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorCodes, fail, messageOf, StMqttdError, systemCode } from '../../src/errors.ts';

const root = new URL('../../', import.meta.url);

test('docs/ERRORS.md explains every code, and no other', () => {
  const text = readFileSync(new URL('docs/ERRORS.md', root), 'utf8');
  const explained = [...text.matchAll(/^### (ST_\w+)$/gm)].map(([, code]) => code);
  expect(explained.toSorted()).toEqual(errorCodes.toSorted());
});

test('every code is used by the sources', () => {
  const sources = readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && name !== 'errors.ts')
    .map((name) => readFileSync(new URL(`src/${name}`, root), 'utf8'))
    .join('\n');
  for (const code of errorCodes) expect(sources).toContain(`'${code}'`);
});

describe('an error', () => {
  test('keeps code, cause and Reason Code', () => {
    const cause = new Error('below');
    const error = fail(
      'ST_LINK_REFUSED',
      { clientId: 'x', reasonCode: 0x85, reason: '' },
      { cause },
    );
    expect(error).toBeInstanceOf(StMqttdError);
    expect(error).toMatchObject({
      name: 'StMqttdError',
      code: 'ST_LINK_REFUSED',
      reasonCode: 0x85,
    });
    expect(error.cause).toBe(cause);
    expect(error.message).toBe(
      'opening the link "x": refused with 0x85 Client Identifier not valid',
    );
    expect('cause' in fail('ST_USAGE', { why: 'x' })).toBe(false);
    expect(fail('ST_USAGE', { why: 'x' }).reasonCode).toBeUndefined();
  });

  test('a Reason String is part of its text', () => {
    const error = fail('ST_LINK_PUBLISH_REFUSED', { topic: 't', reasonCode: 0x97, reason: 'full' });
    expect(error.message).toBe('publishing to "t": refused with 0x97 Quota exceeded: full');
  });

  test('texts of whatever was thrown', () => {
    expect(messageOf(new Error('a'))).toBe('a');
    expect(messageOf('b')).toBe('b');
    expect(systemCode(Object.assign(new Error('x'), { code: 'EACCES' }))).toBe('EACCES');
    expect(systemCode(Object.assign(new Error('x'), { code: 5 }))).toBeUndefined();
    expect(systemCode('EACCES')).toBeUndefined();
  });
});
