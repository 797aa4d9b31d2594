/** The rows of a listener's own table; its `.connections` table takes those of `[mqtt]`. */
import { addresses, integer, mode, string } from './rows.js';

/** Of `[v4.NAME]`, `[v5.NAME]`, `[unified.NAME]`. */
export const listenerRows = {
  name: string({
    default: '',
    allowed: 'text of at most 128 characters',
    check: (value) => value.length <= 128,
    reload: 'new-connections',
    help: 'Its name in logs and events; the default is made of the table, as "v4-1".',
  }),
  listen: addresses({
    default: [],
    reload: 'new-connections',
    flag: '--listen',
    help: 'The address, or a list of them. Port 0 = any free port.',
  }),
  unix: string({
    default: '',
    allowed: 'the path of a socket, at most 100 bytes',
    check: (value) => value !== '' && !value.includes('\0') && Buffer.byteLength(value) <= 100,
    reload: 'new-connections',
    help: 'The path of a Unix socket, besides or instead of listen.',
  }),
  unix_mode: mode({
    default: 0o660,
    reload: 'new-connections',
    help: 'The file mode of the Unix socket.',
  }),
  max_connections: integer({
    default: 0,
    min: 0,
    max: 100_000_000,
    reload: 'new-connections',
    help: "Connections of this listener; 0 = only the broker's limit.",
  }),
  max_connect_rate: integer({
    default: 0,
    min: 0,
    max: 1_000_000,
    reload: 'new-connections',
    help: 'Connections that this listener takes in a second; further ones wait in the backlog of the system. 0 = no bound.',
  }),
  next_connection_delay_ms: integer({
    default: 0,
    unit: 'ms',
    min: 0,
    max: 60_000,
    reload: 'new-connections',
    help: 'A pause between two connections, as in rumqttd. 0 = none. 1, which is in every rumqttd.toml, is none too: it would let in at most 1000 connections a second.',
  }),
} as const;
