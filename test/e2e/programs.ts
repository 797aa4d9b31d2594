// Broker processes with configuration files of their own, which a test may rewrite.
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { accepts, type Exit, launch } from './broker-process.js';

export interface LogLine {
  level: string;
  module: string;
  msg: string;
  [field: string]: unknown;
}

/** Whole lines: what follows the last line's end is still being written. */
export function parseLog(text: string): LogLine[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine);
}

export interface Program {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  errors(): string;
  log(): LogLine[];
  /** Writes the configuration anew; what runs does not know of it yet. */
  configure(text: string): void;
  /** SIGHUP, and waits until it says what came of it. */
  reload(): Promise<LogLine>;
}

export class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), 'st-mqttd-programs-'));
  #count = 0;
  #running: Program[] = [];

  /** Starts with this configuration, and waits for `port` to accept connections. */
  async start(configuration: string, port: number, args: readonly string[] = []): Promise<Program> {
    const file = join(this.folder, `${++this.#count}.toml`);
    // Whole or not at all: a reload may be reading it.
    const configure = (text: string) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    configure(configuration);
    const { child, errors, exited } = launch(['-c', file, ...args]);
    const log = () => parseLog(errors());
    const reloads = () => log().filter(({ module }) => module === 'reload');
    const program: Program = {
      child,
      exited,
      errors,
      log,
      configure,
      reload: async () => {
        const before = reloads().length;
        child.kill('SIGHUP');
        return eventually(() => {
          const line = reloads()[before];
          if (line === undefined) throw new Error(`no answer to SIGHUP: ${errors()}`);
          return line;
        });
      },
    };
    this.#running.push(program);
    await eventually(async () => {
      expect(child.exitCode, errors()).toBeNull();
      expect(await accepts(port)).toBe(true);
    });
    return program;
  }

  async endAll(): Promise<void> {
    for (const { child } of this.#running) child.kill('SIGKILL');
    await Promise.all(this.#running.map(({ exited }) => exited));
    this.#running = [];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const readText = (file: string) => readFileSync(file, 'utf8');
