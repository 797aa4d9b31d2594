/** The rows of a listener's own table; its `.connections` table takes those of `[mqtt]`. */
import { isCidr, kCidrs } from './cidr.js';
import { listenerQuotaRows } from './limits-options.js';
import { connectionLogRows } from './log-options.js';
import { addresses, boolean, integer, mode, oneOf, string, strings } from './rows.js';

/** Of `[v4.NAME]`, `[v5.NAME]`, `[unified.NAME]`, `[ws.NAME]`. */
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
  allow_anonymous: boolean({
    default: {
      text: 'true where no provider and no auth table applies, else false',
      value: () => undefined,
    },
    reload: 'new-connections',
    help: 'Whether clients may come in that no provider knows.',
  }),
  role: oneOf({
    default: {
      text: '"service" on loopback without authentication and without a proxy, else "device"',
      value: (): 'device' | 'service' | undefined => undefined,
    },
    values: ['device', 'service'],
    reload: 'new-connections',
    help: 'What its clients are where the verdict does not say it: a service may use the topics of other devices.',
  }),
  tenant: string({
    default: '',
    allowed: 'letters, digits, _ and -, at most 64',
    check: (value) => /^[A-Za-z0-9_-]{1,64}$/.test(value),
    reload: 'new-connections',
    help: 'The tenant of its clients, where tenants.from has "listener".',
  }),
  proxy_protocol: oneOf({
    default: 'off',
    values: ['off', 'v1', 'v2', 'any'],
    reload: 'new-connections',
    help: 'The PROXY header that each connection begins with: it says where the client really comes from.',
  }),
  trusted_proxies: strings({
    default: [],
    allowed: kCidrs,
    check: isCidr,
    reload: 'new-connections',
    help: 'Who may say so: PROXY headers, and X-Forwarded-For on WebSocket, are believed from these only.',
  }),
  handshake_timeout_ms: integer({
    default: 10_000,
    unit: 'ms',
    min: 1,
    max: 3_600_000,
    reload: 'new-connections',
    help: 'How long PROXY header, TLS handshake and WebSocket upgrade may take together.',
  }),
  ...listenerQuotaRows,
} as const;

/** Of `[ws.NAME]` besides. */
export const webSocketRows = {
  path: string({
    default: '',
    allowed: 'a path that begins with "/", as "/mqtt"',
    check: (value) => /^\/[\x21-\x7e]{0,255}$/.test(value) && !/[?#]/.test(value),
    reload: 'new-connections',
    help: 'The path of the URL that clients must ask for; by default any.',
  }),
  allowed_origins: strings({
    default: [],
    allowed: 'origins, as "https://app.example" or "http://localhost:8080"',
    check: (value) => /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/i.test(value),
    reload: 'new-connections',
    help: 'The pages whose scripts may connect (Origin header); empty = all. Clients that are no browser send none, and may always.',
  }),
} as const;

/** Of a listener's `.connections` besides those of `[mqtt]`. */
export const connectionsOwnRows = {
  validate_tenant_prefix: boolean({
    default: false,
    reload: 'new-connections',
    help: 'As in ST-RMQTT: clients must show a certificate, their tenant is its Organization, and their topics must begin with /tenants/TENANT/.',
  }),
  ...connectionLogRows,
} as const;
