/** The rows of listings as JSON: rmqttd's names where it has the thing. Times: ms since 1970. */
import type { ClientDetail, ClientRow, RetainedRow, SubscriptionRow } from '../session/registry.js';
import type { Fields } from './filter.js';
import { clientId, flag, integer, list, orNull, record, type Schema, text } from './schema.js';

const versions = { '3.1': 3, '3.1.1': 4, '5.0': 5 } as const;
const kNever = 'never';

const instanceSchema = integer(
  'Which connection of its Client Identifier: 0 = the first, which has its session.',
);

const clientProperties = {
  node_id: integer("This broker's number."),
  clientid: clientId,
  instance: instanceSchema,
  connected: flag('Whether it has a connection.'),
  connection_id: text('Never used again while the broker runs; "" = no connection.'),
  username: orNull(text('As authenticated, or as it said.')),
  address: text('"127.0.0.1:52110", "unix", "link"; "" = no connection.'),
  ip_address: orNull(text('Of the connection, where it has one.')),
  port: orNull(integer("The peer's.")),
  listener: orNull(text("The listener's name; null = a link, or no connection.")),
  proto_ver: orNull(integer('3 = MQTT 3.1, 4 = 3.1.1, 5 = 5.0.')),
  clean_start: flag('Of its last CONNECT.'),
  keepalive: integer('Seconds, in force; 0 = off.'),
  expiry_interval: {
    description: 'Seconds that the session outlives its connection, or "never".',
    anyOf: [{ type: 'integer' }, { type: 'string', enum: [kNever] }],
  },
  created_at: integer('When the session began.'),
  connected_at: orNull(integer('When its last connection began.')),
  disconnected_at: orNull(integer('When its last connection ended.')),
  disconnected_reason: orNull(text('Why its last connection ended.')),
  subscriptions_cnt: integer('Subscriptions.'),
  mqueue_len: integer('Messages beyond the window.'),
  mqueue_bytes: integer('Their bytes.'),
  inflight: integer('QoS 1 and 2 messages sent and not acknowledged.'),
  inbound_inflight: integer('QoS 2 Packet Identifiers received and not released.'),
  dropped: integer("Messages lost to this session's own bounds."),
  has_will: flag('Whether a Will Message waits.'),
  thread: integer('The I/O thread that it lives on.'),
} as const satisfies Record<string, Schema>;

export const clientSchema = record(clientProperties, 'A session, with its connection if any.');

export type ShownClient = Record<keyof typeof clientProperties, unknown>;

export function showClient(row: ClientRow, nodeId: number): ShownClient {
  const { host, port } = splitAddress(row.address);
  return {
    node_id: nodeId,
    clientid: row.clientId,
    instance: row.instance,
    connected: row.connected,
    connection_id: row.connectionId,
    username: row.username ?? null,
    address: row.address,
    ip_address: host,
    port,
    listener: row.listener ?? null,
    proto_ver: row.protocolVersion === undefined ? null : versions[row.protocolVersion],
    clean_start: row.cleanStart,
    keepalive: row.keepAlive,
    expiry_interval: row.sessionExpiry,
    created_at: row.createdAt,
    connected_at: row.connectedAt ?? null,
    disconnected_at: row.disconnectedAt ?? null,
    disconnected_reason: row.lastCause ?? null,
    subscriptions_cnt: row.subscriptions,
    mqueue_len: row.queuedMessages,
    mqueue_bytes: row.queuedBytes,
    inflight: row.inFlight,
    inbound_inflight: row.inboundInFlight,
    dropped: row.dropped,
    has_will: row.hasWill,
    thread: row.thread,
  };
}

export const clientFields: Fields<ClientRow> = {
  clientid: { kind: 'text', of: (row) => row.clientId, help: 'The Client Identifier' },
  instance: { kind: 'number', of: (row) => row.instance, help: '0 = the first of its name' },
  connected: { kind: 'flag', of: (row) => row.connected, help: 'Whether it is connected' },
  connection_id: { kind: 'text', of: (row) => row.connectionId, help: 'Of its connection' },
  username: { kind: 'text', of: (row) => row.username, help: 'The user name' },
  address: { kind: 'text', of: (row) => row.address, help: "The peer's address with its port" },
  ip_address: { kind: 'text', of: (row) => splitAddress(row.address).host, help: "The peer's" },
  port: { kind: 'number', of: (row) => splitAddress(row.address).port, help: "The peer's port" },
  listener: { kind: 'text', of: (row) => row.listener, help: 'The name of the listener' },
  proto_ver: {
    kind: 'number',
    of: (row) => (row.protocolVersion === undefined ? null : versions[row.protocolVersion]),
    help: '3, 4 or 5',
  },
  clean_start: { kind: 'flag', of: (row) => row.cleanStart, help: 'Of its last CONNECT' },
  keepalive: { kind: 'number', of: (row) => row.keepAlive, help: 'Keep Alive in seconds' },
  expiry_interval: {
    kind: 'number',
    of: (row) => (row.sessionExpiry === kNever ? Number.POSITIVE_INFINITY : row.sessionExpiry),
    help: 'Session Expiry Interval in seconds; "never" is above every number',
  },
  created_at: { kind: 'number', of: (row) => row.createdAt, help: 'ms since 1970' },
  connected_at: { kind: 'number', of: (row) => row.connectedAt, help: 'ms since 1970' },
  disconnected_at: { kind: 'number', of: (row) => row.disconnectedAt, help: 'ms since 1970' },
  disconnected_reason: { kind: 'text', of: (row) => row.lastCause, help: 'Why its last ended' },
  subscriptions_cnt: { kind: 'number', of: (row) => row.subscriptions, help: 'Subscriptions' },
  mqueue_len: { kind: 'number', of: (row) => row.queuedMessages, help: 'Messages waiting' },
  mqueue_bytes: { kind: 'number', of: (row) => row.queuedBytes, help: 'Bytes waiting' },
  inflight: { kind: 'number', of: (row) => row.inFlight, help: 'Messages in the window' },
  inbound_inflight: { kind: 'number', of: (row) => row.inboundInFlight, help: 'QoS 2 received' },
  dropped: { kind: 'number', of: (row) => row.dropped, help: 'Messages lost' },
  has_will: { kind: 'flag', of: (row) => row.hasWill, help: 'Whether a Will Message waits' },
  thread: { kind: 'number', of: (row) => row.thread, help: 'The I/O thread' },
};

export const clientDetailSchema = record({
  ...clientProperties,
  instances: list(
    integer('A number.'),
    'Of the connections beside the first of its Client Identifier: the first 100.',
  ),
  connection: orNull(
    record(
      {
        receive_maximum: integer("The client's Receive Maximum."),
        maximum_packet_size: integer('The largest packet that the client takes.'),
        topic_alias_maximum: integer('Topic Aliases that the client takes.'),
        outbound_bytes: integer('Bytes in the outbound queue.'),
        paused_by: list(text('A cause.'), 'Why it is not read from now; empty = it is.'),
        transport: text('"tcp", "unix", "tls", "ws" or "wss".'),
      },
      'null = no connection.',
    ),
  ),
  identity: orNull(
    record(
      {
        tenant: orNull(text('Its tenant.')),
        device_id: orNull(text('Its device.')),
        role: orNull(text('"device" or "service".')),
        groups: list(text('A group.'), 'Groups that rules may speak of.'),
        certificate_name: orNull(text('What rules call its certificate.')),
        expires_at: orNull(integer('When its credentials are over and it is disconnected.')),
      },
      'null = nothing is known.',
    ),
  ),
  will: orNull(
    record(
      {
        topic: text('Its Topic Name.'),
        qos: integer('Its QoS.'),
        retain: flag('Whether it is retained.'),
        payload_bytes: integer('Bytes of its payload.'),
        delay: integer('Will Delay Interval, seconds.'),
      },
      'null = none.',
    ),
  ),
  window: list(
    record({
      packet_id: integer('Packet Identifier.'),
      direction: text('"out" = to the client, "in" = from it.'),
      qos: integer('Its QoS.'),
      state: text('What it waits for.'),
      topic: text('Its Topic Name.'),
      payload_bytes: integer('Bytes of its payload.'),
    }),
    'Messages in the window: the first 100.',
  ),
});

export function showDetail(detail: ClientDetail, nodeId: number): unknown {
  const { connection, identity, will, window } = detail;
  return {
    ...showClient(detail, nodeId),
    instances: detail.instances,
    connection:
      connection === undefined
        ? null
        : {
            receive_maximum: connection.receiveMaximum,
            maximum_packet_size: connection.maximumPacketSize,
            topic_alias_maximum: connection.topicAliasMaximum,
            outbound_bytes: connection.outboundBytes,
            paused_by: connection.pausedBy,
            transport: connection.transport,
          },
    identity:
      identity === undefined
        ? null
        : {
            tenant: identity.tenant ?? null,
            device_id: identity.deviceId ?? null,
            role: identity.role ?? null,
            groups: identity.groups,
            certificate_name: identity.certificateName ?? null,
            expires_at: identity.expiresAt ?? null,
          },
    will:
      will === undefined
        ? null
        : {
            topic: will.topic,
            qos: will.qos,
            retain: will.retain,
            payload_bytes: will.payloadBytes,
            delay: will.delay,
          },
    window: window.map((row) => ({
      packet_id: row.packetId,
      direction: row.direction,
      qos: row.qos,
      state: row.state,
      topic: row.topic,
      payload_bytes: row.payloadBytes,
    })),
  };
}

export const subscriptionSchema = record(
  {
    node_id: integer("This broker's number."),
    clientid: clientId,
    instance: instanceSchema,
    topic: text('The Topic Filter as the client gave it, with $share/….'),
    qos: integer('Granted.'),
    share: orNull(text('ShareName; null = not shared.')),
    no_local: flag('No Local.'),
    retain_as_published: flag('Retain As Published.'),
    retain_handling: integer('Retain Handling.'),
    subscription_id: orNull(integer('Subscription Identifier.')),
  },
  'A subscription.',
);

export function showSubscription(row: SubscriptionRow, nodeId: number) {
  return {
    node_id: nodeId,
    clientid: row.clientId,
    instance: row.instance,
    topic: row.filter,
    qos: row.qos,
    share: row.group ?? null,
    no_local: row.noLocal,
    retain_as_published: row.retainAsPublished,
    retain_handling: row.retainHandling,
    subscription_id: row.subscriptionId ?? null,
  };
}

export const subscriptionFields: Fields<SubscriptionRow> = {
  instance: { kind: 'number', of: (row) => row.instance, help: '0 = the first of its name' },
  topic: { kind: 'text', of: (row) => row.filter, help: 'The Topic Filter with its $share/…' },
  qos: { kind: 'number', of: (row) => row.qos, help: 'Granted QoS' },
  share: { kind: 'text', of: (row) => row.group, help: 'ShareName' },
  no_local: { kind: 'flag', of: (row) => row.noLocal, help: 'No Local' },
  retain_as_published: { kind: 'flag', of: (row) => row.retainAsPublished, help: 'As published' },
  retain_handling: { kind: 'number', of: (row) => row.retainHandling, help: 'Retain Handling' },
  subscription_id: { kind: 'number', of: (row) => row.subscriptionId, help: 'Its Identifier' },
};

const kPreviewBytes = 256;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const retainedSchema = record(
  {
    node_id: integer("This broker's number."),
    topic: text('Its Topic Name.'),
    qos: integer('Its QoS.'),
    clientid: text('The publisher; "" = not known.'),
    expires_at: orNull(integer('ms since 1970; null = never.')),
    sequence: integer('Order in which they were set.'),
    payload: text(`As encoding says; in a listing its first ${kPreviewBytes} bytes.`),
    encoding: text('"plain" = UTF-8 text.', { enum: ['plain', 'base64'] }),
    payload_bytes: integer('Bytes of the whole payload.'),
    truncated: flag('Whether payload is only its beginning.'),
  },
  'A retained message.',
);

export function showRetained(row: RetainedRow, nodeId: number, whole: 'whole' | 'preview') {
  const truncated = whole === 'preview' && row.payload.length > kPreviewBytes;
  const bytes = truncated ? row.payload.subarray(0, kPreviewBytes) : row.payload;
  return {
    node_id: nodeId,
    topic: row.topic,
    qos: row.qos,
    clientid: row.publisher,
    expires_at: row.expiresAt ?? null,
    sequence: row.sequence,
    ...encodePayload(bytes),
    payload_bytes: row.payload.length,
    truncated,
  };
}

export function encodePayload(bytes: Uint8Array): {
  payload: string;
  encoding: 'plain' | 'base64';
} {
  try {
    return { payload: utf8.decode(bytes), encoding: 'plain' };
  } catch {
    return { payload: Buffer.from(bytes).toString('base64'), encoding: 'base64' };
  }
}

function splitAddress(address: string): { host: string | null; port: number | null } {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(address);
  if (match === null) return { host: null, port: null };
  return { host: match[1] ?? match[2] ?? null, port: Number(match[3]) };
}
