/**
 * Every metric, one row each: its name, what it means, and where a sample has its value. Names
 * follow Prometheus' conventions (a test lints them); docs/METRICS.md is made from this table.
 */
import { type CloseCauseName, type CounterName, closeCauseNames } from '../native/contract.js';
import { sessionCount } from '../sys/numbers.js';
import { authSection } from './auth-families.js';
import { delayedSection } from './delayed-families.js';
import { deviceFamilies, deviceSection } from './device-families.js';
import {
  byLabel,
  counter,
  each,
  type Family,
  kPrefix,
  type Section,
  single,
  sum,
} from './family.js';
import { hookSection, pauseCauses } from './hook-families.js';
import { logSection } from './log-families.js';
import { processSection } from './process-families.js';
import type { Sample } from './sample.js';
import { transportFamilies } from './transport-families.js';

const causes = closeCauseNames.filter((name): name is CloseCauseName => name !== undefined);
const versions = ['3.1', '3.1.1', '5.0'] as const;
const connects = [
  'clients_connected_v31',
  'clients_connected_v311',
  'clients_connected_v5',
] as const;
const disconnects = [
  'clients_disconnected_v31',
  'clients_disconnected_v311',
  'clients_disconnected_v5',
] as const;
const byVersion = (names: readonly CounterName[]) =>
  Object.fromEntries(versions.map((version, index) => [version, names.slice(index, index + 1)]));

const publishReceived = [
  'publish_received_qos0',
  'publish_received_qos1',
  'publish_received_qos2',
] as const;
/** Neither accepted nor answered by closing the connection. */
const publishRefused = [
  'publish_refused_quota',
  'publish_refused_not_authorized',
  'publish_refused_rate',
] as const;
const publishSent = ['publish_sent_qos0', 'publish_sent_qos1', 'publish_sent_qos2'] as const;

/** Clients that are connected: the two counters are read one after the other. */
function connected({ counters }: Sample, version: number): number {
  const on = connects[version];
  const off = disconnects[version];
  return on === undefined || off === undefined ? 0 : Math.max(0, counters[on] - counters[off]);
}

export const sections: readonly Section[] = [
  {
    title: 'As ST-RMQTT (rumqttd) names them',
    families: [
      {
        type: 'gauge',
        name: 'metrics_router_total_publishes',
        help: 'PUBLISH packets received since the start.',
        labels: [],
        read: ({ counters }) => [{ value: sum(counters, [...publishReceived, ...publishRefused]) }],
      },
      {
        type: 'gauge',
        name: 'metrics_router_total_connections',
        help: 'Clients that are connected.',
        labels: [],
        read: (sample) => [
          { value: connected(sample, 0) + connected(sample, 1) + connected(sample, 2) },
        ],
      },
      {
        type: 'gauge',
        name: 'metrics_router_failed_publishes',
        help: 'PUBLISH packets received that reached no subscription: nobody had one, or they were refused.',
        labels: [],
        read: ({ counters }) => [
          {
            value: sum(counters, ['publish_unmatched', ...publishRefused, 'dropped_memory_budget']),
          },
        ],
      },
    ],
  },
  {
    title: 'Connections',
    families: [
      {
        type: 'gauge',
        name: `${kPrefix}clients_connected`,
        help: 'Clients that are connected, links of this process among them, by MQTT version.',
        labels: ['version'],
        read: (sample) =>
          versions.map((version, index) => ({
            labels: { version },
            value: connected(sample, index),
          })),
      },
      {
        type: 'gauge',
        name: `${kPrefix}connections_open`,
        help: 'Open connections, also those that are not clients yet, by listener and transport.',
        labels: ['listener', 'transport'],
        read: ({ listeners }) => {
          // A listener may have several addresses.
          const values = new Map<string, { labels: Record<string, string>; value: number }>();
          for (const { name, transport, connections } of listeners) {
            const key = `${transport} ${name}`;
            const value = connections + (values.get(key)?.value ?? 0);
            values.set(key, { labels: { listener: name, transport }, value });
          }
          return [...values.values()];
        },
      },
      byLabel(
        'client_connects_total',
        'Clients that were admitted, by MQTT version.',
        'version',
        byVersion(connects),
      ),
      byLabel(
        'client_disconnects_total',
        'Clients whose connection ended, by MQTT version.',
        'version',
        byVersion(disconnects),
      ),
      counter(
        'accepts_paced_total',
        'Times that accepting waited, for its delay or its rate.',
        'accepts_paced',
      ),
      counter('sockets_accepted_total', 'Sockets accepted.', 'connections_accepted'),
      counter(
        'sockets_closed_total',
        'Accepted sockets that are closed again.',
        'connections_closed',
      ),
      byLabel(
        'connections_refused_total',
        'Connections that ended before they were clients, by cause.',
        'cause',
        each('refused_', causes),
      ),
      byLabel(
        'connections_closed_total',
        'Connections and links that ended, those refused after they were accepted among them, by cause.',
        'cause',
        each('closed_', causes),
      ),
      counter(
        'websocket_upgrades_total',
        'HTTP requests that became WebSocket connections.',
        'websocket_upgrades',
      ),
      ...transportFamilies,
      byLabel(
        'access_denied_total',
        'What rules and tenants did not allow: PUBLISH, SUBSCRIBE (each filter), Wills, deliveries, and topics or sessions outside the client’s tenant.',
        'what',
        {
          publish: ['denied_publish'],
          subscribe: ['denied_subscribe'],
          will: ['denied_will'],
          delivery: ['denied_delivery'],
          tenant: ['tenant_violations'],
        },
      ),
      ...deviceFamilies,
      counter('takeovers_total', 'Sessions taken over by a newer connection.', 'takeovers'),
      counter(
        'duplicate_clients_total',
        'Connections admitted beside the first of their Client Identifier (duplicate_client_id).',
        'duplicates_admitted',
      ),
      single(
        'gauge',
        'duplicate_clients',
        'Connections beside the first of their Client Identifier.',
        ({ counters }) => Math.max(0, counters.duplicates_connected),
      ),
      counter(
        'connections_migrated_total',
        'Connections that moved to the thread of their session.',
        'connections_migrated',
      ),
      counter(
        'verdicts_waited_total',
        'CONNECT packets that waited for a verdict.',
        'verdicts_waited',
      ),
      counter('verdicts_stale_total', 'Verdicts on connections that were gone.', 'verdicts_stale'),
    ],
  },
  {
    title: 'Sessions, subscriptions, retained messages',
    families: [
      single('gauge', 'sessions', 'Sessions, connected or not.', ({ counters }) =>
        Math.max(0, sessionCount(counters)),
      ),
      counter('sessions_created_total', 'Sessions begun.', 'sessions_created'),
      counter(
        'sessions_resumed_total',
        'Sessions resumed by a new connection.',
        'sessions_resumed',
      ),
      counter('sessions_ended_total', 'Sessions ended, for whatever cause.', 'sessions_ended'),
      counter('sessions_expired_total', 'Sessions ended by their expiry.', 'sessions_expired'),
      single('gauge', 'subscriptions', 'Subscriptions.', ({ tables }) => tables.subscriptions),
      single(
        'gauge',
        'shared_subscriptions',
        'Of these: Shared Subscriptions.',
        ({ tables }) => tables.sharedSubscriptions,
      ),
      single('gauge', 'topic_nodes', 'Nodes of the topic trie.', ({ tables }) => tables.nodes),
      counter('subscriptions_added_total', 'Subscriptions made.', 'subscriptions_added'),
      counter('subscriptions_removed_total', 'Subscriptions ended.', 'subscriptions_removed'),
      single('gauge', 'retained_messages', 'Retained messages.', ({ tables }) => tables.retained),
      single(
        'gauge',
        'retained_bytes',
        'Bytes of retained messages.',
        ({ tables }) => tables.retainedBytes,
      ),
      counter('retained_set_total', 'Retained messages set or replaced.', 'retained_set'),
      counter('retained_cleared_total', 'Retained messages cleared.', 'retained_cleared'),
      counter(
        'retained_delivered_total',
        'Copies of retained messages for new subscriptions.',
        'retained_delivered',
      ),
      counter('wills_published_total', 'Will Messages published.', 'wills_published'),
    ],
  },
  {
    title: 'Packets and bytes',
    families: [
      counter('received_bytes_total', 'Bytes received.', 'bytes_received'),
      counter('sent_bytes_total', 'Bytes sent.', 'bytes_sent'),
      byLabel('packets_received_total', 'Control Packets received, by type.', 'type', {
        ...each('packets_received_', [
          'connect',
          'puback',
          'pubrec',
          'pubrel',
          'pubcomp',
          'subscribe',
          'unsubscribe',
          'pingreq',
          'disconnect',
          'auth',
          'invalid',
        ]),
        publish: [...publishReceived, ...publishRefused, 'publish_received_invalid'],
      }),
      byLabel('packets_sent_total', 'Control Packets sent, by type.', 'type', {
        ...each('packets_sent_', [
          'connack',
          'puback',
          'pubrec',
          'pubrel',
          'pubcomp',
          'suback',
          'unsuback',
          'pingresp',
          'disconnect',
          'auth',
        ]),
        publish: publishSent,
      }),
      byLabel('publishes_received_total', 'PUBLISH packets accepted, by QoS.', 'qos', {
        0: ['publish_received_qos0'],
        1: ['publish_received_qos1'],
        2: ['publish_received_qos2'],
      }),
      byLabel('publishes_sent_total', 'PUBLISH packets sent, resends among them, by QoS.', 'qos', {
        0: ['publish_sent_qos0'],
        1: ['publish_sent_qos1'],
        2: ['publish_sent_qos2'],
      }),
    ],
  },
  {
    title: 'Routing',
    families: [
      {
        type: 'histogram',
        name: `${kPrefix}delivery_latency_seconds`,
        help: 'From reading a PUBLISH to its copies being sent.',
        labels: [],
        read: ({ latency }) => latency,
      },
      counter(
        'publishes_unmatched_total',
        'Messages that no subscription matched, and no log took.',
        'publish_unmatched',
      ),
      byLabel(
        'publishes_refused_total',
        'PUBLISH packets refused, by cause: the queue of a receiver was full, or the memory budget was used up for too long (0x97; of 3.x not acknowledged), or the topic is not for this client (0x87; of MQTT 3.x and QoS 0 dropped).',
        'cause',
        { quota: ['publish_refused_quota'], not_authorized: ['publish_refused_not_authorized'] },
      ),
      byLabel('match_cache_lookups_total', 'Look-ups of a Topic Name, by result.', 'result', {
        hit: ['match_cache_hits'],
        miss: ['match_cache_misses'],
      }),
      counter(
        'messages_crossed_total',
        'Messages handed from one I/O thread to another.',
        'messages_crossed',
      ),
      counter(
        'shared_redispatched_total',
        'Messages of Shared Subscriptions given to another member.',
        'shared_redispatched',
      ),
      byLabel(
        'messages_dropped_total',
        'Copies of messages that were not delivered, by cause.',
        'cause',
        each('dropped_', [
          'outbound_watermark',
          'queue_full_newest',
          'queue_full_oldest',
          'queue_bytes',
          'expired',
          'packet_too_large',
          'stale_receiver',
          'no_local',
          'offline_qos0',
          'shared_no_member',
          'memory_budget',
          'session_ended',
          'refused_by_receiver',
          'shutting_down',
          'by_deliver_hook',
        ]),
      ),
      single(
        'gauge',
        'messages_queued',
        'Messages in the queues of sessions.',
        ({ counters }) => counters.messages_queued,
      ),
      single(
        'gauge',
        'messages_in_flight',
        'QoS 1 and 2 messages sent and not acknowledged.',
        ({ counters }) => counters.messages_in_flight,
      ),
      byLabel(
        'pauses_total',
        'Times that a connection was not read from, by cause.',
        'cause',
        each('paused_', pauseCauses),
      ),
    ],
  },
  hookSection,
  delayedSection,
  logSection,
  {
    title: 'Limits and bans',
    families: [
      byLabel(
        'address_refusals_total',
        'Connections closed because their address had too many, or came too often.',
        'cause',
        each('refused_address_', ['connections', 'rate']),
      ),
      counter(
        'tenant_refusals_total',
        'CONNECT packets refused because their tenant had its connections.',
        'refused_tenant_connections',
      ),
      counter(
        'addresses_uncounted_total',
        'Connections whose address was not counted, because the table was full.',
        'addresses_uncounted',
      ),
      counter(
        'accepts_held_total',
        'Times that a listener was not accepted from, because it had max_handshakes.',
        'accepts_held',
      ),
      counter(
        'connections_put_off_total',
        'Times that a handshake or an end waited for another turn, so that established clients come first.',
        'connections_put_off',
      ),
      counter('bans_flapping_total', 'Clients banned because they flap.', 'bans_flapping'),
      counter('bans_expired_total', 'Bans whose time was over.', 'bans_expired'),
      counter(
        'bans_not_kept_total',
        'Flapping clients not banned, because the table was full.',
        'bans_not_kept',
      ),
    ],
  },
  {
    title: 'Store',
    families: [
      counter('store_tickets_issued_total', 'Commits asked of the store.', 'tickets_issued'),
      counter('store_tickets_granted_total', 'Commits that the store granted.', 'tickets_granted'),
      counter('store_tickets_failed_total', 'Commits that failed.', 'tickets_failed'),
      counter(
        'store_promises_dropped_total',
        'Acknowledgements that waited for the store when their connection ended.',
        'promises_dropped_on_close',
      ),
    ],
  },
  authSection,
  deviceSection,
  processSection,
];

export const families: readonly Family[] = sections.flatMap((section) => section.families);
