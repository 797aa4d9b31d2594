/** The rows of what stands beside the broker: its log, its console, its Prometheus exporter. */
import { addresses, integer, oneOf, string, type ValueTable, type WrittenTable } from './rows.js';
import type { TlsOptions } from './tls-options.js';

const kMiB = 1024 * 1024;

export const logRows = {
  to: oneOf({
    default: 'console',
    values: ['off', 'console', 'file', 'both'],
    reload: 'live',
    help: 'Where log records go: nowhere, stderr, a file, or both. The default of an embedded broker is "off": it emits "log" events.',
  }),
  level: oneOf({
    default: 'warn',
    values: ['error', 'warn', 'info', 'debug', 'trace'],
    reload: 'live',
    flag: '-v',
    help: 'The least important records that are kept. -v = info, -vv = debug, -vvv = trace.',
  }),
  filter: string({
    default: '',
    allowed:
      'directives with commas between them, as "info,auth=debug,session[client=dev-1]=trace"',
    reload: 'live',
    help: 'Which records are kept, part by part; lies over level where it is not empty.',
  }),
  dir: string({
    default: '.',
    allowed: 'the path of a folder',
    check: (value) => value !== '' && !value.includes('\0'),
    reload: 'live',
    help: 'The folder of the log file.',
  }),
  file: string({
    default: 'st-mqttd.log',
    allowed: 'the name of a file in log.dir, without a folder',
    check: (value) => /^[^/\\\0]+$/.test(value) && value !== '.' && value !== '..',
    reload: 'live',
    help: 'The log file, where to is "file" or "both".',
  }),
  rotate_bytes: integer({
    default: 100 * kMiB,
    unit: 'bytes',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    reload: 'live',
    help: 'The log file is put away at this size, and a new one begun; 0 = at no size.',
  }),
  rotate_s: integer({
    default: 0,
    unit: 's',
    min: 0,
    max: 31_536_000,
    reload: 'live',
    help: 'The log file is put away at this age, and a new one begun; 0 = at no age.',
  }),
  keep: integer({
    default: 5,
    min: 0,
    max: 10_000,
    reload: 'live',
    help: 'How many log files that were put away are kept; older ones are deleted.',
  }),
  format: oneOf({
    default: 'auto',
    values: ['auto', 'pretty', 'json'],
    reload: 'live',
    help: 'How records are written; auto = pretty on a terminal, JSON lines elsewhere.',
  }),
  timezone: string({
    default: 'UTC',
    allowed: '"UTC", "local" or a zone of the IANA list, as "Europe/Vienna"',
    check: isTimezone,
    reload: 'live',
    help: 'Of the times in log records.',
  }),
} as const;

export const consoleRows = {
  listen: addresses({
    default: [{ host: '127.0.0.1', port: 3030 }],
    reload: 'restart',
    help: 'The address of the console HTTP API, or a list of them. Port 0 = any free port.',
  }),
} as const;

export const consoleRoles = ['read', 'operate', 'admin'] as const;
export type ConsoleRole = (typeof consoleRoles)[number];

/** One of `[console.tokens]`: NAME = { token, role }, or NAME = "token". */
export const tokenRows = {
  token: string({
    default: '',
    secret: true,
    allowed: 'text of 8 to 4096 visible ASCII characters',
    // What can stand in an Authorization header (RFC 6750's b64token, and a little more).
    check: (value) => /^[\x21-\x7e]{8,4096}$/.test(value),
    reload: 'live',
    help: 'What a client of the console sends as its Bearer token; best kept in a file ("file:PATH") or in the environment.',
  }),
  role: oneOf({
    default: 'admin',
    values: consoleRoles,
    reload: 'live',
    help: 'What its bearer may do: look; also kick, publish and delete; also change the configuration.',
  }),
} as const;

export const prometheusRows = {
  listen: addresses({
    default: [{ host: '127.0.0.1', port: 9042 }],
    reload: 'restart',
    help: 'The address of the Prometheus exporter, or a list of them. Port 0 = any free port.',
  }),
  port: integer({
    default: 0,
    min: 0,
    max: 65_535,
    reload: 'restart',
    help: "Deprecated, as in rumqttd: this port on 127.0.0.1 instead of listen; 0 = listen's.",
  }),
  interval: integer({
    default: 1,
    unit: 's',
    min: 0,
    max: 3600,
    reload: 'restart',
    help: 'How old the values of an answer may be; 0 = read for each.',
  }),
} as const;

/** `[metrics.meters]`. */
export const meterRows = {
  push_interval: integer({
    default: 1,
    unit: 's',
    min: 1,
    max: 86_400,
    reload: 'live',
    help: 'How often broker.meters() gives an embedding application its numbers where it names no interval; those that are open keep theirs.',
  }),
} as const;

/** `[metrics]` as it is written. */
export interface MetricsOptions {
  readonly meters?: WrittenTable<typeof meterRows> | undefined;
}

export type PrometheusTable = ValueTable<typeof prometheusRows>;

/** `[console]` as it is written. */
export interface ConsoleOptions extends WrittenTable<typeof consoleRows> {
  readonly tls?: TlsOptions | undefined;
  readonly tokens?: Readonly<Record<string, string | WrittenTable<typeof tokenRows>>> | undefined;
}

/** `[prometheus]` as it is written. */
export interface PrometheusOptions extends WrittenTable<typeof prometheusRows> {
  readonly tls?: TlsOptions | undefined;
}

function isTimezone(value: string): boolean {
  if (value === 'local') return true;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return true;
  } catch {
    return false;
  }
}
