/** The layers that are not files: the environment, the command line, an embedding application. */
import { fail } from '../errors.js';
import type { ConfigTables } from './options.js';
import type { Environment } from './references.js';
import type { Layer } from './tree.js';

const kPrefix = 'ST_MQTTD_';
/**
 * No options of the broker: node-gyp-build reads the first by this name, `st-mqttd ctl` the others,
 * and a shell that has them for ctl may start a broker too.
 */
const kNotOurs = new Set(['ST_MQTTD_PREBUILD', 'ST_MQTTD_CONSOLE_URL', 'ST_MQTTD_CONSOLE_TOKEN']);

/** ST_MQTTD_MQTT__MAX_QOS=1 is mqtt.max_qos = 1. */
export function environmentLayer(environment: Environment): Layer | undefined {
  const root = emptyTable();
  let used = false;
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(kPrefix) || kNotOurs.has(name) || value === undefined) continue;
    const path = name.slice(kPrefix.length).toLowerCase().split('__');
    let table = root;
    for (const step of path.slice(0, -1)) {
      const found = table[step];
      // A value and a table of one name: the table is what says more.
      const next = typeof found === 'object' && found !== null ? found : emptyTable();
      table[step] = next;
      table = next as Record<string, unknown>;
    }
    const key = path.at(-1) ?? '';
    if (typeof table[key] !== 'object') table[key] = value;
    used = true;
  }
  if (!used) return undefined;
  return {
    name: 'the environment',
    root,
    textual: true,
    references: { folder: '.', environment },
    locate: (path) => kPrefix + path.join('__').toUpperCase(),
  };
}

export interface Flags {
  readonly listen: readonly string[];
  readonly id?: string | undefined;
  /** How many -v. */
  readonly verbose: number;
  /** The plugins to start, instead of the file's; undefined = not given. */
  readonly startups?: readonly string[] | undefined;
  /** rmqttd's, which mean a cluster. */
  readonly grpcAddresses?: readonly string[] | undefined;
  readonly raftPeers?: readonly string[] | undefined;
  readonly raftLeader?: string | undefined;
}

/** rmqttd's flags for what this version does not have: a broker without it would be another one. */
function refuseUnserved({ grpcAddresses, raftPeers, raftLeader }: Flags): void {
  const cluster = 'the clustered mode is not there yet; start each broker for itself, without it';
  for (const [key, isGiven, why] of [
    ['--node-grpc-addrs', grpcAddresses !== undefined, cluster],
    ['--raft-peer-addrs', raftPeers !== undefined, cluster],
    ['--raft-leader-id', raftLeader !== undefined, cluster],
  ] as const) {
    if (isGiven) throw fail('ST_CONFIG_UNSUPPORTED', { where: 'the command line', key, why });
  }
}

const flagOf: Readonly<Record<string, string>> = {
  id: '--id',
  log: '-v',
  plugins: '--plugins-default-startups',
};

/** Each --listen is one more unified listener. */
export function flagLayer(flags: Flags): Layer | undefined {
  refuseUnserved(flags);
  const root = emptyTable();
  if (flags.id !== undefined) root.id = flags.id;
  if (flags.startups !== undefined) {
    root.plugins = { default_startups: flags.startups.join(',') };
  }
  if (flags.verbose > 0) {
    root.log = { level: flags.verbose === 1 ? 'info' : flags.verbose === 2 ? 'debug' : 'trace' };
  }
  if (flags.listen.length > 0) {
    const unified = emptyTable();
    for (const [index, address] of flags.listen.entries()) {
      const name = `listen-${index + 1}`;
      unified[name] = address.startsWith('unix:')
        ? { name, unix: address.slice('unix:'.length) }
        : { name, listen: address };
    }
    root.unified = unified;
  }
  if (Object.keys(root).length === 0) return undefined;
  return {
    name: 'the command line',
    root,
    textual: true,
    locate: () => 'the command line',
    nameOf: ([table = '']) => flagOf[table] ?? '--listen',
  };
}

/** The options of `new Broker({ … })`. */
export function objectLayer(options: ConfigTables): Layer {
  return {
    name: 'the options of new Broker()',
    root: options as Readonly<Record<string, unknown>>,
    locate: () => 'the options of new Broker()',
  };
}

/** Under an embedding application's own values: it hears of log records by the "log" event. */
export const embeddingDefaults: Layer = {
  name: 'default of an embedded broker',
  root: { log: { to: 'off' } },
  locate: () => 'default of an embedded broker',
};

/** Keys come from outside: "__proto__" must be a key like any other. */
function emptyTable(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>;
}
