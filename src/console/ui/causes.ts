/** The counters' names of causes, as an operator would say it. */
import { words } from './format.js';

const texts: Readonly<Record<string, string>> = {
  outbound_watermark: 'slow connection: QoS 0 beyond its high watermark',
  queue_full_newest: 'queue full: the new message',
  queue_full_oldest: 'queue full: the oldest message',
  queue_bytes: 'queue full: its bytes',
  expired: 'Message Expiry Interval has passed',
  packet_too_large: 'larger than the Maximum Packet Size',
  stale_receiver: 'the receiver had gone',
  no_local: 'No Local: to its own publisher',
  offline_qos0: 'QoS 0 for a client that is offline',
  shared_no_member: 'shared subscription without a member',
  memory_budget: 'memory budget (max_memory_bytes)',
  session_ended: 'the session ended',
  refused_by_receiver: 'the receiver refused it',
  connect_timeout: 'no CONNECT in time',
  peer_closed: 'closed by the peer',
  socket_error: 'socket error',
  malformed_packet: 'malformed packet',
  protocol_error: 'protocol error',
  refused: 'refused by the authenticator',
  version_refused: 'MQTT version not served here',
  connections_exceeded: 'too many connections',
  capability_refused: 'asked for what is not offered',
  not_authorized: 'did what no rule allows',
  credentials_expired: 'its credentials are over',
  rate_exceeded: 'sent faster than its limit',
  tls_failed: 'TLS failed',
  proxy_header_invalid: 'PROXY header not valid',
  websocket_failed: 'WebSocket failed',
  hook_refused: 'refused by a hook',
  duplicate_client_id: 'was connected already, and the listener rejects duplicates',
};

export function causeText(cause: string): string {
  return texts[cause] ?? words(cause);
}
