/** The broker as a program: configuration from file, environment and flags; signals; exit. */
import { Broker, type BrokerOptions } from '../broker.js';
import { loadConfig } from '../config/load.js';
import type { Resolution } from '../config/resolve.js';
import { type Internals, kInternals } from '../internal.js';
import type { CommandLine } from './flags.js';

/** 128 + the number of the signal, as a shell reports it. */
const signalExitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Reads files and environment anew at each call. */
export function resolveCommandLine(line: CommandLine): Promise<Resolution> {
  return loadConfig({ files: line.config, flags: line });
}

/** Resolves when the broker listens; it then runs until a signal. */
export async function run(line: CommandLine): Promise<void> {
  const resolution = await resolveCommandLine(line);
  const internals: Internals = { resolution, logsOnly: true, quiet: line.quiet };
  const broker = new Broker({ [kInternals]: internals } as BrokerOptions);
  stopOnSignals(broker);
  await broker.start();
}

function stopOnSignals(broker: Broker): void {
  let stopping = false;
  for (const [name, exitCode] of Object.entries(signalExitCodes)) {
    process.on(name as NodeJS.Signals, () => {
      // The operator does not want to wait.
      if (stopping) process.exit(exitCode);
      stopping = true;
      broker.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
    });
  }
}
