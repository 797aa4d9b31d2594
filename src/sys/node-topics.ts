/** $SYS/brokers/…: rmqttd's topics. Its stats and metrics are one JSON object each. */
import {
  clientsConnected,
  clientsDisconnected,
  type Numbers,
  publishDropped,
  publishReceived,
  publishSent,
  sum,
} from './numbers.js';

/** rmqttd's names, where it has the thing. */
export function stats({ counters, tables, connected, sessions, highest }: Numbers) {
  return {
    'connections.count': connected,
    'connections.max': highest.connected,
    'sessions.count': sessions,
    'sessions.max': highest.sessions,
    'subscriptions.count': tables.subscriptions,
    'subscriptions.max': highest.subscriptions,
    'subscriptions_shared.count': tables.sharedSubscriptions,
    'subscriptions_shared.max': highest.shared,
    'retaineds.count': tables.retained,
    'retaineds.max': highest.retained,
    'message_queues.count': counters.messages_queued,
    'out_inflights.count': counters.messages_in_flight,
  } as const;
}

export function metrics({ counters, eventsLeftOut }: Numbers) {
  return {
    'client.connect': counters.packets_received_connect,
    'client.connack': counters.packets_sent_connack,
    'client.connected': sum(counters, clientsConnected),
    'client.disconnected': sum(counters, clientsDisconnected),
    'client.handshaking.timeout': counters.refused_connect_timeout,
    'client.publish.auth.error': counters.publish_refused_not_authorized,
    'client.subscribe': counters.packets_received_subscribe,
    'client.unsubscribe': counters.packets_received_unsubscribe,
    'messages.publish': sum(counters, publishReceived),
    'messages.publish.lastwill': counters.wills_published,
    'messages.delivered': sum(counters, publishSent),
    'messages.delivered.retain': counters.retained_delivered,
    'messages.dropped': sum(counters, publishDropped),
    'messages.nonsubscribed': counters.publish_unmatched,
    'session.created': counters.sessions_created,
    'session.resumed': counters.sessions_resumed,
    'session.terminated': counters.sessions_ended,
    'session.subscribed': counters.subscriptions_added,
    'session.unsubscribed': counters.subscriptions_removed,
    'events.left_out': eventsLeftOut,
  } as const;
}

export function sysdescr(version: string): string {
  return `st-mqttd ${version}, Node.js ${process.versions.node}, ${process.platform} ${process.arch}`;
}
