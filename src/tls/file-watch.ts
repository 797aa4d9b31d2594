/**
 * Tells when files have changed: by their folders, because a file is often replaced by a rename, and
 * a Kubernetes secret by a new target of a link beside it; and by a look now and then, for file
 * systems that tell nobody.
 */
import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Whoever replaces a certificate and a key needs a moment for both. */
const kSettleMs = 300;
const kLookMs = 30_000;

export interface FileWatchTimes {
  readonly settleMs: number;
  readonly lookMs: number;
}

export class FileWatch {
  readonly #changed: () => void;
  readonly #times: FileWatchTimes;
  #files: readonly string[] = [];
  #seen = '';
  #watchers: FSWatcher[] = [];
  #folders = '';
  #settle: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  constructor(
    changed: () => void,
    times: FileWatchTimes = { settleMs: kSettleMs, lookMs: kLookMs },
  ) {
    this.#changed = changed;
    this.#times = times;
  }

  /** These from now on; what they hold now is known. None = nothing is watched. */
  set(files: readonly string[]): void {
    this.#files = files;
    this.#seen = fingerprint(files);
    this.#watchFolders();
    if (files.length === 0) {
      clearInterval(this.#look);
      this.#look = undefined;
    } else if (this.#look === undefined) {
      this.#look = setInterval(() => this.#compare(), this.#times.lookMs).unref();
    }
  }

  stop(): void {
    this.set([]);
    clearTimeout(this.#settle);
    this.#settle = undefined;
  }

  #watchFolders(): void {
    const folders = foldersOf(this.#files);
    const key = folders.join('\0');
    if (key === this.#folders) return;
    this.#folders = key;
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = folders.flatMap((folder) => {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#stir());
        // It is gone, or the system has no more of them: the look now and then is left.
        watcher.on('error', () => watcher.close());
        return [watcher];
      } catch {
        return [];
      }
    });
  }

  #stir(): void {
    if (this.#files.length === 0) return;
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#compare(), this.#times.settleMs).unref();
  }

  #compare(): void {
    const now = fingerprint(this.#files);
    // Links may lead elsewhere now.
    this.#watchFolders();
    if (now === this.#seen) return;
    this.#seen = now;
    this.#changed();
  }
}

/** Where the files are, and where the links that they are lead. */
function foldersOf(files: readonly string[]): readonly string[] {
  const folders = new Set<string>();
  for (const file of files) {
    folders.add(dirname(file));
    try {
      folders.add(dirname(realpathSync(file)));
    } catch {
      // Gone for the moment.
    }
  }
  return [...folders].sort();
}

function fingerprint(files: readonly string[]): string {
  return files
    .map((file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = statSync(file);
        return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
      } catch {
        return 'none';
      }
    })
    .join(' ');
}
