/** The broker as a program: configuration from file, environment and flags; signals; exit. */
import { Broker, type BrokerOptions } from '../broker.js';
import { loadConfig } from '../config/load.js';
import type { Resolution } from '../config/resolve.js';
import type { Layer } from '../config/tree.js';
import { type Internals, kInternals } from '../internal.js';
import type { CommandLine } from './flags.js';
import { handleSignals } from './signals.js';

/** Reads files and environment anew at each call. */
export function resolveCommandLine(
  line: CommandLine,
  extra: readonly Layer[] = [],
): Promise<Resolution> {
  return loadConfig({ files: line.config, flags: line, extra });
}

/** Resolves when the broker listens; it then runs until a signal. */
export async function run(line: CommandLine): Promise<void> {
  const internals: Internals = {
    resolution: await resolveCommandLine(line),
    resolve: (extra) => resolveCommandLine(line, extra),
    logsOnly: true,
    quiet: line.quiet,
    logLevel: levelOf(line.verbose),
  };
  const broker = new Broker({ [kInternals]: internals } as BrokerOptions);
  const { NOTIFY_SOCKET } = process.env;
  const supervisor =
    NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === ''
      ? undefined
      : (await import('./systemd.js')).supervisorOf(broker, process.env);
  const starting = broker.start();
  handleSignals(broker, starting, supervisor);
  await starting;
  supervisor?.ready();
}

/** -v counts more than the level of a file's log.filter. */
function levelOf(verbose: number): Internals['logLevel'] {
  if (verbose === 0) return undefined;
  return verbose === 1 ? 'info' : verbose === 2 ? 'debug' : 'trace';
}
