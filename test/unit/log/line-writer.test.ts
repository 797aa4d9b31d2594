// Lines and outputs that work, stall, fail, rotate and come back.
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FileOutput } from '../../../src/log/file-output.ts';
import { LineWriter, type Output } from '../../../src/log/line-writer.ts';
import { eventually } from '../../harness/eventually.ts';

const root = mkdtempSync(join(tmpdir(), 'st-mqttd-log-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(root, `${++folders}`);

const silent = { onDropped: () => {}, onFailure: () => {} };
const neverFails = (error: unknown) => {
  throw error;
};

function toFile(options: Partial<ConstructorParameters<typeof FileOutput>[0]> = {}) {
  const dir = options.dir ?? newFolder();
  const failures: unknown[] = [];
  const output = new FileOutput(
    { dir, file: 'x.log', rotate_bytes: 0, rotate_s: 0, keep: 3, ...options },
    (error) => failures.push(error),
  );
  const read = (name = 'x.log') => readFileSync(join(dir, name), 'utf8');
  return { dir, output, read, failures, writer: new LineWriter(output, silent) };
}

/** To a real descriptor, with a gate before it. */
class Gated implements Output {
  readonly maxBatchBytes = 1000;
  readonly path = join(root, `gated-${++folders}`);
  readonly current = openSync(this.path, 'a');
  error: unknown;
  opened: () => void = () => {};
  gate: Promise<void> | undefined;
  async descriptor() {
    await this.gate;
    if (this.error !== undefined) throw this.error;
    return this.current;
  }
  shut() {
    this.gate = new Promise((open) => {
      this.opened = open;
    });
  }
  wrote() {}
  async close() {
    closeSync(this.current);
  }
  get text() {
    return readFileSync(this.path, 'utf8');
  }
}

describe('lines', () => {
  test('are written in order and whole', async () => {
    const { writer, read } = toFile();
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i} ${'é'.repeat(i % 50)}\n`);
    for (const line of lines) writer.write(line);
    await writer.end();
    expect(read()).toBe(lines.join(''));
  });

  test('that do not fit in the buffer are dropped and counted, and their place is told', async () => {
    const output = new Gated();
    output.shut();
    const writer = new LineWriter(
      output,
      { ...silent, onDropped: (count) => writer.write(`lost ${count}\n`) },
      100,
    );
    for (let i = 10; i < 60; i++) writer.write(`line ${i}..\n`);
    await new Promise((done) => setTimeout(done, 20));
    output.opened();
    await writer.flush();
    writer.write('after\n');
    await writer.end();
    const lines = output.text.trim().split('\n');
    const kept = lines.filter((line) => line.startsWith('line')).length;
    expect(lines.slice(0, kept)).toEqual(
      Array.from({ length: kept }, (_, i) => `line ${i + 10}..`),
    );
    expect(lines.slice(kept)).toEqual([`lost ${50 - kept}`, 'after']);
    expect(kept).toBeLessThan(15);
  });

  test('wait where the output fails, and come when it works again', async () => {
    const output = new Gated();
    output.error = new Error('the disk is full');
    const told: unknown[] = [];
    const writer = new LineWriter(output, {
      onDropped: neverFails,
      onFailure: (error, dropped) => told.push([error, dropped]),
      onRecovery: () => told.push('recovered'),
    });
    writer.write('one\n');
    await eventually(() => expect(told).toHaveLength(1));
    writer.write('two\n');
    // Tried again meanwhile, and not told again.
    await new Promise((done) => setTimeout(done, 1200));
    output.error = undefined;
    await eventually(() => expect(output.text).toBe('one\ntwo\n'));
    expect(told).toEqual([
      [expect.objectContaining({ message: 'the disk is full' }), 0],
      'recovered',
    ]);
    await writer.end();
  });

  test('flush() ends where the output stalls; flushSync() writes what is still ours', async () => {
    const output = new Gated();
    output.shut();
    const writer = new LineWriter(output, silent);
    writer.write('last\n');
    writer.write('words\n');
    await writer.flush(30);
    expect(output.text).toBe('');
    writer.flushSync();
    expect(output.text).toBe('last\nwords\n');
    output.opened();
    await writer.end();
    expect(output.text).toBe('last\nwords\n');
  });

  test('that the device refuses (ENOSPC) are tried again and not lost from the buffer', async () => {
    const failures: unknown[] = [];
    const full = openSync('/dev/full', 'w');
    const good = new Gated();
    let current = full;
    const output: Output = {
      maxBatchBytes: 1000,
      current: undefined,
      descriptor: async () => current,
      wrote: () => {},
      close: async () => closeSync(full),
    };
    const writer = new LineWriter(output, {
      ...silent,
      onFailure: (error) => failures.push((error as { code: string }).code),
    });
    writer.write('kept\n');
    await eventually(() => expect(failures).toEqual(['ENOSPC']));
    current = good.current;
    await eventually(() => expect(good.text).toBe('kept\n'));
    await writer.end();
  });
});

describe('a log file', () => {
  test('is put away at its size: none is larger, none is lost, the oldest are deleted', async () => {
    const { writer, dir, read } = toFile({ rotate_bytes: 1000, keep: 3 });
    const lines = Array.from({ length: 200 }, (_, i) => `${String(i).padStart(19, '.')}\n`);
    for (const [index, line] of lines.entries()) {
      writer.write(line);
      if (index % 7 === 0) await writer.flush();
    }
    await writer.end();
    expect(readdirSync(dir).sort()).toEqual(['x.log', 'x.log.1', 'x.log.2', 'x.log.3']);
    for (const name of readdirSync(dir))
      expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(1000);
    const kept = ['x.log.3', 'x.log.2', 'x.log.1', 'x.log'].map((name) => read(name)).join('');
    expect(lines.join('').endsWith(kept)).toBe(true);
    expect(kept.length).toBeGreaterThan(3000 - 3 * 7 * 20);
  });

  test('is put away at its age, also of an earlier run', async () => {
    const dir = newFolder();
    const first = toFile({ dir });
    first.writer.write('old\n');
    await first.writer.end();
    const { writer, read } = toFile({ dir, rotate_s: 1 });
    await new Promise((done) => setTimeout(done, 1100));
    writer.write('new\n');
    await writer.end();
    expect([read(), read('x.log.1')]).toEqual(['new\n', 'old\n']);
  });

  test.each([
    [0, ['x.log']],
    [1, ['x.log', 'x.log.1']],
  ])('keep = %d', async (keep, names) => {
    const { writer, dir } = toFile({ rotate_bytes: 64, keep });
    // Of a time when more were kept; others' files are theirs.
    writer.write(`${'x'.repeat(50)}\n`);
    await writer.flush();
    for (const name of ['x.log.2', 'x.log.7']) writeFileSync(join(dir, name), '');
    for (const name of ['x.log.gz', 'y.log.1']) writeFileSync(join(dir, name), '');
    for (let i = 0; i < 5; i++) writer.write(`${'x'.repeat(50)}\n`);
    await writer.end();
    expect(readdirSync(dir).sort()).toEqual([...names, 'x.log.gz', 'y.log.1']);
  });

  test('goes on in the same file after a restart', async () => {
    const dir = newFolder();
    for (const text of ['one\n', 'two\n']) {
      const { writer } = toFile({ dir });
      writer.write(text);
      await writer.end();
    }
    expect(readFileSync(join(dir, 'x.log'), 'utf8')).toBe('one\ntwo\n');
  });

  test('is made anew after it was moved and reopen() called', async () => {
    const { writer, output, dir, read } = toFile();
    writer.write('one\n');
    await writer.flush();
    renameSync(join(dir, 'x.log'), join(dir, 'moved'));
    writer.write('two\n');
    await writer.flush();
    output.reopen();
    writer.write('three\n');
    await writer.end();
    expect([read('moved'), read()]).toEqual(['one\ntwo\n', 'three\n']);
  });

  test('is made anew where its folder is gone', async () => {
    const { writer, dir, read } = toFile();
    writer.write('one\n');
    await writer.flush();
    rmSync(dir, { recursive: true });
    await eventually(async () => {
      writer.write('two\n');
      await writer.flush();
      expect(existsSync(dir)).toBe(true);
    });
    await writer.end();
    expect(read()).toMatch(/^(two\n)+$/);
  });

  test('grows, with a warning, where it cannot be put away', async () => {
    const { writer, dir, read, failures } = toFile({ rotate_bytes: 64, keep: 1 });
    writer.write(`${'x'.repeat(50)}\n`);
    await writer.flush();
    // A folder of that name cannot be replaced by a file.
    rmSync(join(dir, 'x.log.1'), { force: true });
    mkdirSync(join(dir, 'x.log.1'));
    appendFileSync(join(dir, 'x.log.1', 'inside'), '');
    for (let i = 0; i < 3; i++) writer.write(`${'y'.repeat(50)}\n`);
    await writer.end();
    expect(read()).toBe(`${'x'.repeat(50)}\n${`${'y'.repeat(50)}\n`.repeat(3)}`);
    expect(failures).toHaveLength(1);
  });

  test('is not readable by everyone', async () => {
    const { writer, dir } = toFile();
    writer.write('x\n');
    await writer.end();
    expect(statSync(join(dir, 'x.log')).mode & 0o007).toBe(0);
  });
});
