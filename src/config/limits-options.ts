/** The rows of rates and quotas: of a client, of a listener, of a tenant; bans for flapping. */
import { integer, oneOf } from './rows.js';

const kU32 = 0xffffffff;

/** In `[mqtt]`, so that a listener's `.connections` may override them. */
export const rateRows = {
  max_messages_per_s: integer({
    default: 0,
    unit: 'messages/s',
    min: 0,
    max: kU32,
    reload: 'new-connections',
    help: 'PUBLISH packets taken from one client, with a burst of one second’s worth; see on_rate_exceeded. 0 = any number.',
  }),
  max_bytes_per_s: integer({
    default: 0,
    unit: 'bytes/s',
    min: 0,
    max: kU32,
    reload: 'new-connections',
    help: 'Bytes of all packets of one client after CONNECT; beyond it reading pauses. 0 = any number.',
  }),
  on_rate_exceeded: oneOf({
    default: 'pause',
    values: ['pause', 'refuse', 'disconnect'],
    reload: 'new-connections',
    help: 'What max_messages_per_s does: the client is not read from for a while, and nothing is lost; or its QoS 1 and 2 messages are refused with 0x97 (MQTT 5.0; others pause); or it is disconnected (0x96).',
  }),
} as const;

const quota = (help: string, unit?: 'ms' | 'messages/s' | 'bytes/s') =>
  integer({
    default: 0,
    ...(unit && { unit }),
    min: 0,
    max: kU32,
    reload: 'new-connections',
    help: `${help} 0 = no bound.`,
  });

/** In a listener's own table. */
export const listenerQuotaRows = {
  max_handshakes: quota(
    'Connections between accept and CONNACK; further ones wait in the backlog of the system.',
  ),
  max_connections_per_address: quota(
    'Open connections of one address (IPv6: of one /64; behind PROXY the real one).',
  ),
  max_connect_rate_per_address: quota(
    'Connections of one address in a second, with a burst of one second’s worth; further ones are closed at once.',
  ),
  total_messages_per_s: quota(
    'PUBLISH packets of all clients of the listener together; beyond it their reading pauses.',
    'messages/s',
  ),
  total_bytes_per_s: quota(
    'Bytes of all clients of the listener together; beyond it their reading pauses.',
    'bytes/s',
  ),
} as const;

const live = (help: string, unit?: 'messages/s' | 'bytes/s') =>
  ({ ...quota(help, unit), reload: 'live' }) as const;

export const limitsRows = {
  accepts_per_turn: integer({
    default: 64,
    min: 1,
    max: 4096,
    reload: 'live',
    help: 'Connections that an I/O thread takes before it serves others again.',
  }),
  max_connections_per_tenant: live('Connections of one tenant; a further one is refused (0x97).'),
  messages_per_s_per_tenant: live(
    'PUBLISH packets of all clients of a tenant together; beyond it their reading pauses.',
    'messages/s',
  ),
  bytes_per_s_per_tenant: live(
    'Bytes of all clients of a tenant together; beyond it their reading pauses.',
    'bytes/s',
  ),
} as const;

export const flappingRows = {
  count: live(
    'More connects than this of one Client Identifier within window_s, and it is banned for ban_s.',
  ),
  window_s: integer({
    default: 60,
    unit: 's',
    min: 1,
    max: 86_400,
    reload: 'live',
    help: 'The time in which they are counted.',
  }),
  ban_s: integer({
    default: 300,
    unit: 's',
    min: 1,
    max: 31_536_000,
    reload: 'live',
    help: 'How long it is kept out.',
  }),
} as const;
