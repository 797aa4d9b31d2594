/**
 * What signals do: SIGTERM and SIGINT drain and exit 0, a second one exits at once; SIGHUP reads
 * the configuration again; SIGUSR1 opens the log file anew.
 */
import { constants } from 'node:os';
import type { Broker } from '../broker.js';

/** Told of what happens, where somebody supervises this process. */
export interface Supervisor {
  reloading(): void;
  reloaded(error: unknown): void;
  stopping(): void;
}

type Signalled = Pick<Broker, 'stop' | 'reload' | 'reopenLog'>;

/** SIGBREAK is Ctrl-Break on Windows; others do not have it. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGBREAK'] as const;

/** `starting`: of broker.start(). */
export function handleSignals(
  broker: Signalled,
  starting: Promise<void>,
  supervisor?: Supervisor,
): void {
  let isStopping = false;
  const stop = (signal: (typeof stopSignals)[number]) => {
    // The operator does not want to wait: 128 + its number, as a shell reports it.
    if (isStopping) process.exit(128 + (constants.signals[signal] ?? 0));
    isStopping = true;
    supervisor?.stopping();
    broker.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  for (const signal of stopSignals) {
    if (constants.signals[signal] !== undefined) process.on(signal, () => stop(signal));
  }
  // Windows sends SIGHUP when the window is closed: there it stops.
  if (process.platform === 'win32') {
    process.on('SIGHUP', () => stop('SIGTERM'));
    return;
  }
  process.on('SIGHUP', () => {
    if (isStopping) return;
    starting.then(
      () => reload(broker, supervisor),
      // The process ends, and whoever awaits it says why.
      () => undefined,
    );
  });
  process.on('SIGUSR1', () => broker.reopenLog());
}

async function reload(broker: Signalled, supervisor: Supervisor | undefined): Promise<void> {
  supervisor?.reloading();
  try {
    await broker.reload();
    supervisor?.reloaded(undefined);
  } catch (error) {
    // It is in the log.
    supervisor?.reloaded(error);
  }
}
