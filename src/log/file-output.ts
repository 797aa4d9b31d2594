/**
 * A log file with its rotation: NAME is written, NAME.1 is the last one that was put away, NAME.2
 * the one before. A file that somebody moved or deleted, or whose folder is gone, is made anew.
 */
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.js';
import type { Output } from './line-writer.js';

export interface FileOutputOptions {
  readonly dir: string;
  readonly file: string;
  /** 0 = at no size, at no age. */
  readonly rotate_bytes: number;
  readonly rotate_s: number;
  /** How many are kept of those that were put away. */
  readonly keep: number;
}

const kMaxBatchBytes = 64 * 1024;
const kCheckEveryMs = 1000;
const kRotationRetryMs = 10_000;
const kFileMode = 0o640;

export class FileOutput implements Output {
  readonly maxBatchBytes: number;
  readonly #options: FileOutputOptions;
  readonly #path: string;
  readonly #onRotationFailure: (error: unknown) => void;
  #handle: FileHandle | undefined;
  #inode = 0;
  #bytes = 0;
  #bornAt = 0;
  #checkedAt = 0;
  #noRotationBefore = 0;

  constructor(options: FileOutputOptions, onRotationFailure: (error: unknown) => void) {
    this.#options = options;
    this.#path = join(options.dir, options.file);
    this.#onRotationFailure = onRotationFailure;
    const limit = options.rotate_bytes === 0 ? kMaxBatchBytes : options.rotate_bytes;
    this.maxBatchBytes = Math.min(kMaxBatchBytes, limit);
  }

  get current(): number | undefined {
    return this.#handle?.fd;
  }

  get path(): string {
    return this.#path;
  }

  /** The next record goes to whatever has the name then: somebody has moved the file. */
  reopen(): void {
    this.#checkedAt = 0;
  }

  async descriptor(bytes: number): Promise<number> {
    if (Date.now() - this.#checkedAt >= kCheckEveryMs) await this.#check();
    let handle = this.#handle ?? (await this.#open());
    if (this.#isDue(bytes)) {
      try {
        await this.#rotate();
      } catch (error) {
        // The records matter more than the size of their file.
        this.#noRotationBefore = Date.now() + kRotationRetryMs;
        this.#onRotationFailure(error);
      }
      handle = this.#handle ?? (await this.#open());
    }
    return handle.fd;
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #check(): Promise<void> {
    this.#checkedAt = Date.now();
    if (this.#handle === undefined) return;
    const found = await stat(this.#path).catch(() => undefined);
    if (found?.ino !== this.#inode) await this.close();
  }

  async #open(): Promise<FileHandle> {
    await mkdir(this.#options.dir, { recursive: true });
    const handle = await open(this.#path, 'a', kFileMode);
    const { ino, size, birthtimeMs, mtimeMs } = await handle.stat();
    this.#inode = ino;
    this.#bytes = size;
    // Some file systems know of no birth.
    this.#bornAt = size === 0 ? Date.now() : birthtimeMs > 0 ? birthtimeMs : mtimeMs;
    this.#handle = handle;
    return handle;
  }

  #isDue(bytes: number): boolean {
    const { rotate_bytes, rotate_s } = this.#options;
    if (this.#bytes === 0 || Date.now() < this.#noRotationBefore) return false;
    if (rotate_bytes > 0 && this.#bytes + bytes > rotate_bytes) return true;
    return rotate_s > 0 && Date.now() - this.#bornAt >= rotate_s * 1000;
  }

  async #rotate(): Promise<void> {
    const { keep } = this.#options;
    for (const number of await this.#putAway()) {
      const path = `${this.#path}.${number}`;
      if (number >= keep) await unlinkIfThere(path);
      else await rename(path, `${this.#path}.${number + 1}`);
    }
    if (keep === 0) await unlinkIfThere(this.#path);
    else await rename(this.#path, `${this.#path}.1`);
    await this.close();
  }

  /** The numbers of those that are there, the oldest first. */
  async #putAway(): Promise<readonly number[]> {
    const { dir, file } = this.#options;
    const numbers: number[] = [];
    for (const name of await readdir(dir)) {
      if (!name.startsWith(`${file}.`)) continue;
      const end = name.slice(file.length + 1);
      if (/^[1-9]\d{0,5}$/.test(end)) numbers.push(Number(end));
    }
    return numbers.sort((a, b) => b - a);
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
