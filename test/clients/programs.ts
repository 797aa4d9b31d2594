// Programs of other projects that the suites run: found on PATH, run with a time limit, and named with
// their cure where they are missing, so that a skipped test says what it lacks.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export function which(program: string): string | undefined {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here: try the next folder.
    }
  }
  return undefined;
}

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end; a program that takes too long is ended and has no exit code. */
export function run(
  command: string,
  args: readonly string[],
  { input, timeoutMs = 15_000, cwd, env }: RunOptions = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd,
      env: env ?? process.env,
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
    // A program that ends before it has read everything must not end the test.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** A program that goes on while the test does, read line by line. */
export class Lines {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #exited: Promise<number | null>;
  #partial = '';
  #wake: () => void = () => {};

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const add = (text: string) => {
      const parts = (this.#partial + text).split('\n');
      this.#partial = parts.pop() ?? '';
      this.#lines.push(...parts);
      this.#wake();
    };
    this.child.stdout?.setEncoding('utf8').on('data', add);
    this.child.stderr?.setEncoding('utf8').on('data', add);
    this.#exited = new Promise((done) => this.child.once('close', done));
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Waits until `done` says that the lines so far are enough. */
  async until(done: (lines: readonly string[]) => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!done(this.#lines)) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`still waiting, with:\n${this.#lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.#exited;
  }
}
