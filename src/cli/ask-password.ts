/** A password from a terminal, without echo, or from what is piped in. */
import type { Readable, Writable } from 'node:stream';
import { fail } from '../errors.js';

export interface Terminal {
  readonly isTTY: boolean;
  setRawMode(on: boolean): unknown;
}

interface Question {
  readonly input: Readable & Partial<Terminal>;
  readonly prompt: Writable;
  readonly text: string;
  readonly times: 'once' | 'twice';
}

const kMaxBytes = 65_535;

export async function askPassword({ input, prompt, text, times }: Question): Promise<Buffer> {
  if (input.isTTY !== true) return piped(input);
  const first = await typed(input, prompt, text);
  if (times === 'once') return first;
  const second = await typed(input, prompt, 'Once more: ');
  if (first.equals(second)) return first;
  throw fail('ST_USAGE', { why: 'passwd: the two passwords differ; nothing was changed' });
}

/** All of it, without the end of its last line. */
async function piped(input: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of input) {
    const chunk = Buffer.from(part as Buffer);
    bytes += chunk.length;
    if (bytes > kMaxBytes + 2) {
      throw fail('ST_USAGE', { why: `passwd: the password has more than ${kMaxBytes} bytes` });
    }
    parts.push(chunk);
  }
  const all = Buffer.concat(parts);
  const end = all.at(-1) !== 10 ? all.length : all.at(-2) === 13 ? all.length - 2 : all.length - 1;
  return all.subarray(0, end);
}

function typed(
  input: Readable & Partial<Terminal>,
  prompt: Writable,
  text: string,
): Promise<Buffer> {
  prompt.write(text);
  input.setRawMode?.(true);
  return new Promise((resolve, reject) => {
    let line: number[] = [];
    const end = () => {
      input.off('data', take);
      input.off('end', ended);
      input.setRawMode?.(false);
      input.pause();
      prompt.write('\n');
    };
    const ended = () => {
      end();
      reject(fail('ST_USAGE', { why: 'passwd: no password was given' }));
    };
    const take = (data: Buffer | string) => {
      for (const [at, byte] of Buffer.from(data).entries()) {
        if (byte === 3 || byte === 4) return ended();
        if (byte === 13 || byte === 10) {
          end();
          // What was pasted behind the line is for the next question.
          const rest = Buffer.from(data).subarray(at + 1);
          if (rest.length > 0) input.unshift(rest);
          return resolve(Buffer.from(line));
        }
        if (byte === 127 || byte === 8) line = withoutLast(line);
        else if (byte === 21) line = [];
        else line.push(byte);
      }
    };
    input.on('data', take);
    input.once('end', ended);
    input.resume();
  });
}

/** Without its last character, which may be several bytes of UTF-8. */
function withoutLast(line: readonly number[]): number[] {
  let end = line.length - 1;
  while (end > 0 && ((line[end] ?? 0) & 0xc0) === 0x80) end--;
  return line.slice(0, Math.max(0, end));
}
