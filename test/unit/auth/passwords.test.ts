// Password hashes and files: what is read, what is refused with its line, what is written.
import { createHash, pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePasswords, withUser } from '../../../src/auth/passwords/file.ts';
import {
  type Credential,
  formatCredential,
  makePbkdf2,
  makeScram,
  makeScrypt,
  parseCredential,
  verifyPassword,
} from '../../../src/auth/passwords/hashes.ts';
import { StMqttdError } from '../../../src/errors.ts';

const bytes = (text: string) => Buffer.from(text);
const read = (text: string): Credential => {
  const credential = parseCredential(text);
  if (typeof credential === 'string') throw new Error(credential);
  return credential;
};

describe('a hash', () => {
  test.each([
    ['scrypt', () => makeScrypt(bytes('pass'), 10)],
    ['$7$', () => makePbkdf2(bytes('pass'), 1000)],
    ['SCRAM-SHA-256', () => makeScram(bytes('pass'), 'sha256')],
    ['SCRAM-SHA-512', () => makeScram(bytes('pass'), 'sha512')],
  ])('%s is written, read and verified', async (_, make) => {
    const made = await make();
    const again = read(formatCredential(made));
    expect(again).toEqual(made);
    expect(await verifyPassword(again, bytes('pass'))).toBe(true);
    expect(await verifyPassword(again, bytes('Pass'))).toBe(false);
    expect(await verifyPassword(again, bytes(''))).toBe(false);
  });

  test("mosquitto's, made without this code", async () => {
    const salt = Buffer.from('abcdefghijkl');
    const hash7 = pbkdf2Sync('pass', salt, 101, 64, 'sha512').toString('base64');
    const hash6 = createHash('sha512').update('pass').update(salt).digest('base64');
    const salt64 = salt.toString('base64');
    for (const text of [`$7$101$${salt64}$${hash7}`, `$6$${salt64}$${hash6}`]) {
      expect(await verifyPassword(read(text), bytes('pass'))).toBe(true);
      expect(await verifyPassword(read(text), bytes('other'))).toBe(false);
    }
  });

  // RFC 7914, 12: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1), its first 32 bytes.
  test('the vector of RFC 7914', async () => {
    const hash = Buffer.from(
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
      'hex',
    );
    const text = `$scrypt$ln=14,r=8,p=1$${bytes('SodiumChloride').toString('base64')}$${hash.toString('base64')}`;
    expect(await verifyPassword(read(text), bytes('pleaseletmein'))).toBe(true);
  });

  test.each([
    ['plain', 'the password is not hashed'],
    ['$1$abc$def', 'of no known kind'],
    ['$argon2id$v=19$m=47104,t=1,p=1$c2FsdA$aGFzaA', 'Argon2 is not supported'],
    ['$7$0$YWJj$YWJj', 'the iterations are not'],
    ['$7$99999999$YWJj$YWJj', 'the iterations are not'],
    ['$7$101$YWJj', 'not of the form $7$'],
    ['$7$101$YWJj$YWJj', 'the hash is not Base64 of 64 to 64 bytes'],
    [`$6$$${'A'.repeat(86)}==`, 'the salt is not Base64'],
    ['$6$YW!j$YWJj', 'the salt is not Base64'],
    [`$scrypt$ln=30,r=8,p=1$YWJj$${'A'.repeat(43)}`, 'out of bounds'],
    [`$scrypt$ln=14,r=8,p=17$YWJj$${'A'.repeat(43)}`, 'out of bounds'],
    ['$scrypt$14$8$1', 'not of the form $scrypt$'],
    ['SCRAM-SHA-256$4095:YWJj$YWJj:YWJj', 'the iterations are not 4096'],
    ['SCRAM-SHA-256$4096:YWJj$YWJj:YWJj', 'not Base64 of 32 bytes'],
    ['SCRAM-SHA-1$4096:YWJj$YWJj:YWJj', 'not of the form SCRAM-'],
  ])('%s is none', (text, why) => {
    expect(parseCredential(text)).toContain(why);
  });
});

describe('a password file', () => {
  const hash = formatCredential(
    read(`$6$YWJj$${createHash('sha512').update('passabc').digest('base64')}`),
  );

  test('comments, empty lines and both kinds of line ends', () => {
    const users = parsePasswords(`# users\r\n\r\nanna:${hash}\r\nbert:${hash}`, 'f');
    expect([...users.keys()]).toEqual(['anna', 'bert']);
    expect(users.get('bert')?.[0]?.line).toBe(4);
  });

  test.each([
    ['anna', 'f:1: a line is USER:HASH'],
    [`:${hash}`, 'f:1: the user is empty'],
    [`# x\nan\tna:${hash}`, 'f:2: the user has a colon, a control character'],
    [`anna:${hash}\n\nanna:${hash}`, 'f:3: the user has such a hash already, in line 1'],
    ['anna:secret-word', 'f:1: the password is not hashed'],
  ])('%j is refused with its line', (text, message) => {
    expect(() => parsePasswords(text, 'f')).toThrow(message);
    try {
      parsePasswords(text, 'f');
    } catch (error) {
      expect(String(error)).not.toContain('secret-word');
      expect(String(error)).not.toContain(hash);
    }
  });

  test('any text is read, or refused with a line that it has', () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom(hash, 'a:', '\n', '$7$', 'SCRAM-SHA-256$', '#', ':', '\r\n', '\0'),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        try {
          for (const entries of parsePasswords(text, 'f').values()) {
            for (const { credential } of entries) {
              expect(parseCredential(formatCredential(credential))).toEqual(credential);
            }
          }
        } catch (error) {
          expect(error).toBeInstanceOf(StMqttdError);
          const line = Number(/^f:(\d+): /.exec((error as Error).message)?.[1]);
          expect(line).toBeGreaterThan(0);
          expect(line).toBeLessThanOrEqual(text.split('\n').length);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a user is set and removed in place, and nothing else changes', async () => {
    const scram = await Promise.all([
      makeScram(bytes('p'), 'sha256'),
      makeScram(bytes('p'), 'sha512'),
    ]);
    const before = `# top\nanna:${hash}\nannabel:${hash}\n`;
    const after = withUser(before, 'anna', scram);
    expect(after.split('\n')).toHaveLength(5);
    expect(parsePasswords(after, 'f').get('anna')).toHaveLength(2);
    expect(withUser(after, 'anna', [read(hash)])).toBe(before);
    expect(withUser(before, 'anna', [])).toBe(`# top\nannabel:${hash}\n`);
    expect(withUser('', 'anna', [read(hash)])).toBe(`anna:${hash}\n`);
    expect(withUser(`anna:${hash}`, 'anna', [])).toBe('');
  });
});
