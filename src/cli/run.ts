/** The broker as a program: configuration from file, environment and flags; signals; exit. */
import { Broker, type BrokerOptions } from '../broker.js';
import { readConfigFile } from '../config/files.js';
import { environmentLayer, flagLayer } from '../config/layers.js';
import { type Resolution, resolveConfig } from '../config/resolve.js';
import type { Layer } from '../config/tree.js';
import { type Internals, kInternals } from '../internal.js';
import type { CommandLine } from './flags.js';

/** 128 + the number of the signal, as a shell reports it. */
const signalExitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export async function resolveCommandLine(line: CommandLine): Promise<Resolution> {
  const layers: Layer[] = [];
  if (line.config !== undefined) layers.push(await readConfigFile(line.config));
  for (const layer of [environmentLayer(process.env), flagLayer(line)]) {
    if (layer !== undefined) layers.push(layer);
  }
  return resolveConfig(layers, line.config === undefined ? {} : { file: line.config });
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
