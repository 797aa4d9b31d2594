// `st-mqttd passwd`: files as they are afterwards, and what is asked and said.
import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { parsePasswords } from '../../../src/auth/passwords/file.ts';
import { passwd } from '../../../src/cli/passwd.ts';
import { parsePasswd } from '../../../src/cli/passwd-args.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-passwd-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const fresh = () => join(folder, `users-${++files}`);

async function run(args: readonly string[], input: Readable = Readable.from([])) {
  const output = new PassThrough();
  const prompt = new PassThrough();
  const code = await passwd(args, { input, output, prompt });
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { code, output: text(output), prompt: text(prompt) };
}

const piped = (text: string) => Readable.from([Buffer.from(text)]);

/** A terminal: what is typed comes in pieces as it does there. */
function typing(...keys: string[]) {
  const raw: boolean[] = [];
  const stream = new PassThrough() as PassThrough & {
    isTTY: true;
    setRawMode: (on: boolean) => void;
  };
  stream.isTTY = true;
  stream.setRawMode = (on) => void raw.push(on);
  for (const key of keys) stream.write(key);
  return { stream, raw };
}

const cheap = ['--cost', '10'];

describe('passwd', () => {
  test('sets, verifies, lists and deletes', async () => {
    const file = fresh();
    expect((await run([file, 'anna', ...cheap], piped('word\n'))).code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^anna:\$scrypt\$ln=10,r=8,p=1\$[^$]+\$[^$]+\n$/);
    expect((await run([file, 'verify', 'anna'], piped('word'))).code).toBe(0);
    expect(await run([file, 'verify', 'anna'], piped('Word'))).toMatchObject({
      code: 1,
      output: 'wrong: this is not the password of anna\n',
    });
    await run([file, 'add', 'bert', '--mosquitto', '--cost', '1000', '-b', 'pass']);
    await run(['--scram', '-b', file, 'carl', 'pass']);
    expect((await run([file, 'list'])).output).toBe(
      'anna\tscrypt\nbert\t$7$\ncarl\tSCRAM-SHA-256, SCRAM-SHA-512\n',
    );
    expect((await run([file, 'verify', '-b', 'carl', 'pass'])).code).toBe(0);
    expect((await run(['-D', file, 'anna'])).code).toBe(0);
    expect((await run([file, 'delete', 'bert'])).code).toBe(0);
    expect([...parsePasswords(readFileSync(file, 'utf8'), file).keys()]).toEqual(['carl']);
  });

  test('a new password takes the place of all that the user had', async () => {
    const file = fresh();
    await run([file, '--scram', '-b', 'anna', 'old']);
    await run([file, ...cheap, '-b', 'anna', 'new']);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(2);
    expect((await run([file, 'verify', '-b', 'anna', 'old'])).code).toBe(1);
  });

  test('at a terminal it is asked for twice, without echo', async () => {
    const file = fresh();
    const { stream, raw } = typing('wo', 'xx\x7f\x7frd\r', 'word\n');
    const { prompt } = await run([file, 'anna', ...cheap], stream);
    expect(prompt).toBe('Password of anna: \nOnce more: \n');
    expect(raw).toEqual([true, false, true, false]);
    expect((await run([file, 'verify', '-b', 'anna', 'word'])).code).toBe(0);
    await expect(run([file, 'anna'], typing('a\r', 'b\r').stream)).rejects.toThrow('differ');
    await expect(run([file, 'anna'], typing('a\x03').stream)).rejects.toThrow('no password');
    await run([file, 'anna', ...cheap], typing('pasted\rpasted\r').stream);
    expect((await run([file, 'verify', '-b', 'anna', 'pasted'])).code).toBe(0);
    await run([file, 'anna', ...cheap], typing('ä\x7fo\r', 'x\x15o\r').stream);
    expect((await run([file, 'verify', '-b', 'anna', 'o'])).code).toBe(0);
  });

  test('a link stays a link', async () => {
    const file = fresh();
    const link = fresh();
    writeFileSync(file, '');
    symlinkSync(file, link);
    await run([link, '-b', ...cheap, 'anna', 'word']);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(file, 'utf8')).toContain('anna:');
  });

  test('refusals leave the file as it was', async () => {
    const file = fresh();
    writeFileSync(file, 'bad line\n');
    await expect(run([file, '-b', 'anna', 'word'])).rejects.toThrow(`${file}:1: a line is`);
    await expect(run([file, '-c', '-b', 'anna', 'word'])).rejects.toThrow('it is there already');
    expect(readFileSync(file, 'utf8')).toBe('bad line\n');
    const empty = fresh();
    await expect(run([empty, 'anna'], piped('\n'))).rejects.toThrow('the password is empty');
    await expect(run([empty, 'anna'], piped('x'.repeat(70_000)))).rejects.toThrow('more than');
    await expect(run([empty, '-b', 'an:na', 'x'])).rejects.toThrow('a colon');
    await expect(run([empty, 'list'])).rejects.toThrow('no such file');
    await expect(run([empty, 'delete', 'x'])).rejects.toThrow('no user "x"');
    await expect(run([join(folder, 'no', 'such'), '-b', 'a', 'b', ...cheap])).rejects.toThrow(
      'no such file',
    );
  });

  test.each([
    [[], 'it wants a file'],
    [['f'], 'add wants a user'],
    [['f', 'verify'], 'verify wants a user'],
    [['f', 'list', 'x'], '1 arguments too many'],
    [['f', '-b', 'anna'], '-b wants the password'],
    [['-b', 'f', 'delete', 'anna', 'x'], '-b goes with'],
    [['-D', 'f', 'verify', 'anna'], '-D deletes'],
    [['f', 'anna', 'word'], 'too many'],
    [['f', 'anna', '--scram', '--mosquitto'], 'exclude each other'],
    [['f', 'anna', '--cost', '21'], 'allowed: 10 to 20'],
    [['f', 'anna', '--scram', '--cost', '4000'], 'allowed: 4096'],
    [['f', '--nope'], "Unknown option '--nope'"],
  ])('%j is refused', (args, why) => {
    expect(() => parsePasswd(args)).toThrow(why);
  });

  test('--help', async () => {
    expect((await run(['--help'])).output).toContain('st-mqttd passwd FILE [add] USER');
  });
});
