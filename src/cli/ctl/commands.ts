/** The commands of `st-mqttd ctl`, one row each. What they do is in actions.ts and listings.ts. */

export interface CommandRow {
  /** What is typed. */
  readonly words: readonly [string] | readonly [string, string];
  /** Its arguments, for the help. */
  readonly takes: string;
  /** How many arguments: at least, at most. */
  readonly count: readonly [number, number];
  /** Flags of its own. */
  readonly flags: readonly FlagName[];
  readonly help: string;
  /** What the bare first word means. */
  readonly isDefault?: true;
}

export interface FlagRow {
  /** undefined = it takes no value. */
  readonly takes?: string;
  readonly help: string;
}

export const flagRows = {
  url: {
    takes: 'URL',
    help: "the console's; default $ST_MQTTD_CONSOLE_URL, or http://127.0.0.1:3030",
  },
  token: {
    takes: 'TOKEN',
    help: 'better as file:PATH, or in $ST_MQTTD_CONSOLE_TOKEN: others see command lines',
  },
  ca: {
    takes: 'FILE',
    help: 'https: trust certificates of the CAs in this PEM file, and no others',
  },
  cert: { takes: 'FILE', help: 'https: certificate to show, where the console wants one' },
  key: { takes: 'FILE', help: 'https: its key; default: it is in the file of --cert' },
  insecure: { help: "https: the console's certificate is not checked: anybody can be it" },
  json: { help: 'JSON: listings as an object per line' },
  help: { help: 'print this' },
  limit: { takes: 'N', help: 'at most so many rows' },
  client: {
    takes: 'ID',
    help: 'subscriptions, trace start: of this client; publish: in this name',
  },
  reason: { takes: 'TEXT', help: 'kick: Reason String for the client; ban: for the list' },
  qos: { takes: '0|1|2', help: 'publish, write, subscribe: QoS; default 0' },
  retain: { help: 'publish: retained' },
  file: { takes: 'PATH', help: 'publish, write: the payload' },
  instance: {
    takes: 'N',
    help: 'this connection of the Client Identifier, 0 = the first; default of kick and end: all',
  },
  queue: { help: 'write: its session may keep it while the client is away' },
  address: { takes: 'PREFIX', help: 'trace start: of peers whose address begins so' },
  topic: { takes: 'FILTER', help: 'trace start: PUBLISH packets that match only' },
  seconds: {
    takes: 'N',
    help: 'trace start: it ends by itself; default 60. ban: how long',
  },
  rate: { takes: 'N', help: 'trace start: packets shown in a second; default 100' },
  'to-file': { takes: 'NAME', help: "trace start: to a file in the log's folder, not to the log" },
  changed: { help: 'config show: only what is not the default' },
  prometheus: { help: 'metrics: the text of the Prometheus exporter' },
} as const satisfies Record<string, FlagRow>;

export type FlagName = keyof typeof flagRows;
/** Of every command. */
export const commonFlags: readonly FlagName[] = [
  'url',
  'token',
  'ca',
  'cert',
  'key',
  'insecure',
  'json',
  'help',
];

const kMany = 100;
const listing = ['limit'] as const;

export const commandRows = {
  status: {
    words: ['status'],
    takes: '',
    count: [0, 0],
    flags: [],
    help: 'the broker: version, listeners, what there is now',
  },
  clients_list: {
    words: ['clients', 'list'],
    takes: '[WHERE…]',
    count: [0, kMany],
    flags: listing,
    help: 'sessions, connected or not',
    isDefault: true,
  },
  clients_show: {
    words: ['clients', 'show'],
    takes: 'ID',
    count: [1, 1],
    flags: ['instance'],
    help: 'one session in detail',
  },
  clients_kick: {
    words: ['clients', 'kick'],
    takes: 'ID',
    count: [1, 1],
    flags: ['reason', 'instance'],
    help: 'closes its connection; its session stays, if it may',
  },
  clients_end: {
    words: ['clients', 'end'],
    takes: 'ID',
    count: [1, 1],
    flags: ['instance'],
    help: 'ends its session: subscriptions and waiting messages go',
  },
  subscriptions_list: {
    words: ['subscriptions', 'list'],
    takes: '[WHERE…]',
    count: [0, kMany],
    flags: ['limit', 'client', 'instance'],
    help: 'subscriptions of all clients, or of one',
    isDefault: true,
  },
  routes: {
    words: ['routes'],
    takes: 'TOPIC',
    count: [1, 1],
    flags: [],
    help: 'who would get a message published there',
  },
  retained_list: {
    words: ['retained', 'list'],
    takes: '[FILTER]',
    count: [0, 1],
    flags: listing,
    help: 'retained messages',
    isDefault: true,
  },
  retained_get: {
    words: ['retained', 'get'],
    takes: 'TOPIC',
    count: [1, 1],
    flags: [],
    help: 'the payload of one, byte for byte',
  },
  retained_delete: {
    words: ['retained', 'delete'],
    takes: 'TOPIC',
    count: [1, 1],
    flags: [],
    help: 'deletes one; subscribers are not told',
  },
  publish: {
    words: ['publish'],
    takes: 'TOPIC [PAYLOAD]',
    count: [1, 2],
    flags: ['qos', 'retain', 'client', 'file'],
    help: 'publishes; PAYLOAD - is standard input',
  },
  write: {
    words: ['write'],
    takes: 'ID TOPIC [PAYLOAD]',
    count: [2, 3],
    flags: ['qos', 'queue', 'file', 'instance'],
    help: 'writes to one client, whatever it has subscribed to',
  },
  subscribe: {
    words: ['subscribe'],
    takes: 'ID FILTER…',
    count: [2, kMany],
    flags: ['qos', 'instance'],
    help: 'subscribes on behalf of a client',
  },
  unsubscribe: {
    words: ['unsubscribe'],
    takes: 'ID FILTER…',
    count: [2, kMany],
    flags: ['instance'],
    help: 'unsubscribes on behalf of a client',
  },
  log_get: {
    words: ['log', 'get'],
    takes: '',
    count: [0, 0],
    flags: [],
    help: 'the log filter',
    isDefault: true,
  },
  log_set: {
    words: ['log', 'set'],
    takes: 'FILTER',
    count: [1, 1],
    flags: [],
    help: 'sets it until the next start, as "info,auth=debug"',
  },
  config_show: {
    words: ['config', 'show'],
    takes: '[PART]',
    count: [0, 1],
    flags: ['changed'],
    help: 'the configuration in force, with origins',
    isDefault: true,
  },
  config_set: {
    words: ['config', 'set'],
    takes: 'TABLE.KEY=VALUE…',
    count: [1, kMany],
    flags: [],
    help: 'changes keys until the next start',
  },
  reload: {
    words: ['reload'],
    takes: '',
    count: [0, 0],
    flags: [],
    help: 'reads the configuration again: all of it applies, or nothing',
  },
  trace_list: {
    words: ['trace', 'list'],
    takes: '',
    count: [0, 0],
    flags: [],
    help: 'packet traces that are running',
    isDefault: true,
  },
  trace_start: {
    words: ['trace', 'start'],
    takes: '',
    count: [0, 0],
    flags: ['client', 'address', 'topic', 'seconds', 'rate', 'to-file'],
    help: 'shows every packet of a --client, --address or --topic in the log, for a while',
  },
  trace_stop: {
    words: ['trace', 'stop'],
    takes: 'NUMBER',
    count: [1, 1],
    flags: [],
    help: 'ends a packet trace',
  },
  devices_list: {
    words: ['devices'],
    takes: '',
    count: [0, 0],
    flags: listing,
    help: 'devices, connected themselves or behind a gateway',
  },
  denials: {
    words: ['denials'],
    takes: '[WHERE…]',
    count: [0, kMany],
    flags: listing,
    help: 'what clients were not allowed to do lately, and which rule said so',
  },
  bans_list: {
    words: ['bans'],
    takes: '',
    count: [0, 0],
    flags: listing,
    help: 'who is kept out',
  },
  ban: {
    words: ['ban'],
    takes: 'KIND VALUE',
    count: [2, 2],
    flags: ['seconds', 'reason'],
    help: 'keeps a client, a user or an address out, and disconnects it',
  },
  unban: {
    words: ['unban'],
    takes: 'KIND VALUE',
    count: [2, 2],
    flags: [],
    help: 'takes a ban back',
  },
  filters_list: {
    words: ['filters', 'list'],
    takes: '',
    count: [0, 0],
    flags: listing,
    help: 'filters that have a log of what nobody had subscribed to',
    isDefault: true,
  },
  filters_delete: {
    words: ['filters', 'delete'],
    takes: 'FILTER',
    count: [1, 1],
    flags: [],
    help: 'deletes the log of one, with its messages',
  },
  plugins_list: {
    words: ['plugins', 'list'],
    takes: '',
    count: [0, 0],
    flags: [],
    help: 'plugins, loaded or not',
    isDefault: true,
  },
  plugins_load: {
    words: ['plugins', 'load'],
    takes: 'NAME',
    count: [1, 1],
    flags: [],
    help: 'loads and starts one',
  },
  plugins_unload: {
    words: ['plugins', 'unload'],
    takes: 'NAME',
    count: [1, 1],
    flags: [],
    help: 'ends one: its hooks, links and timers are gone',
  },
  plugins_reload: {
    words: ['plugins', 'reload'],
    takes: 'NAME',
    count: [1, 1],
    flags: [],
    help: 'starts one again, with its configuration read anew',
  },
  metrics: {
    words: ['metrics'],
    takes: '[PART]',
    count: [0, 1],
    flags: ['prometheus'],
    help: 'counters since the start, and gauges',
  },
} as const satisfies Record<string, CommandRow>;

export type CommandName = keyof typeof commandRows;

export function helpText(): string {
  const commands = Object.values<CommandRow>(commandRows).map(
    ({ words, takes, help }) => [`${words.join(' ')} ${takes}`.trim(), help] as const,
  );
  const flags = Object.entries<FlagRow>(flagRows).map(
    ([name, { takes, help }]) =>
      [takes === undefined ? `--${name}` : `--${name} ${takes}`, help] as const,
  );
  return `${[
    'st-mqttd ctl COMMAND [--url URL] [--token file:PATH] [--json]',
    '',
    'Looks at a running broker and operates it, through its console ([console] in its configuration).',
    '',
    'Commands:',
    ...columns(commands),
    '',
    'Flags:',
    ...columns(flags),
    '',
    'WHERE is KEY=VALUE (* stands for any characters), KEY~PART, KEY>=N or KEY<=N, with the keys',
    "that --json shows: st-mqttd ctl clients connected=true 'clientid=dev-*' 'mqueue_len>=1'",
    '',
    'Exit code: 0 = done, 1 = refused or not reachable, 2 = not a command.',
  ].join('\n')}\n`;
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
