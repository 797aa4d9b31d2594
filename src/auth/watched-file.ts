/**
 * What a file says, read anew when it changes. Looks at it by time and size rather than by
 * notification: that works for mounts and for the symbolic links of Kubernetes too. A content that
 * cannot be used leaves what was there, and is told.
 */
import { type StatsListener, unwatchFile, watchFile } from 'node:fs';
import { stat } from 'node:fs/promises';

const kIntervalMs = 2000;

export interface WatchedFileOptions<T> {
  readonly path: string;
  readonly read: (path: string) => Promise<T>;
  readonly onError: (error: unknown) => void;
  readonly onChange?: (value: T) => void;
  readonly intervalMs?: number;
}

export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>;
  readonly #listener: StatsListener;
  #value: T;
  #reading: Promise<void> | undefined;
  #again = false;
  /** Readings that have begun, and the last of those whose value is in force. */
  #begun = 0;
  #inForce = 0;
  #isStopped = false;

  /** Rejects where the file cannot be used. */
  static async open<T>(options: WatchedFileOptions<T>): Promise<WatchedFile<T>> {
    const before = await stampOf(options.path);
    const file = new WatchedFile(options, await options.read(options.path));
    // By now the watching has its own first look: what changed in between it would never tell.
    if ((await stampOf(options.path)) !== before) file.#changed();
    return file;
  }

  private constructor(options: WatchedFileOptions<T>, value: T) {
    this.#options = options;
    this.#value = value;
    this.#listener = () => this.#changed();
    const interval = options.intervalMs ?? kIntervalMs;
    watchFile(options.path, { interval, persistent: false }, this.#listener);
  }

  get value(): T {
    return this.#value;
  }

  /** Reads it now. Rejects, and leaves what was there, where it cannot be used. */
  async renew(): Promise<void> {
    const { path, read, onChange } = this.#options;
    const turn = ++this.#begun;
    const value = await read(path);
    // What began later has seen what is newer.
    if (this.#isStopped || turn < this.#inForce) return;
    this.#inForce = turn;
    this.#value = value;
    onChange?.(value);
  }

  stop(): void {
    this.#isStopped = true;
    unwatchFile(this.#options.path, this.#listener);
  }

  #changed(): void {
    if (this.#reading !== undefined) {
      this.#again = true;
      return;
    }
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined;
      if (!this.#again || this.#isStopped) return;
      this.#again = false;
      this.#changed();
    });
  }

  async #read(): Promise<void> {
    try {
      await this.renew();
    } catch (error) {
      if (!this.#isStopped) this.#options.onError(error);
    }
  }
}

/** Differs where the content may. A file that is not there is read()'s to tell. */
async function stampOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? '' : `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}
