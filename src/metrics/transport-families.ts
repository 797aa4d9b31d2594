/** Metrics of WebSocket and TLS handshakes. */
import { byLabel, counter, each } from './family.js';

const tlsFailures = [
  'unfinished',
  'not_tls',
  'version',
  'certificate',
  'refused',
  'protocol',
] as const;

const websocketRefusals = [
  'malformed',
  'too_large',
  'not_upgrade',
  'version',
  'subprotocol',
  'path',
  'origin',
] as const;

export const transportFamilies = [
  byLabel(
    'websocket_refused_total',
    'HTTP requests that did not become WebSocket connections, by cause.',
    'cause',
    each('websocket_refused_', websocketRefusals),
  ),
  counter('tls_handshakes_total', 'TLS handshakes done.', 'tls_handshakes'),
  counter(
    'tls_resumed_total',
    'TLS handshakes that resumed a session, among those done.',
    'tls_resumed',
  ),
  counter('tls_handshakes_failed_total', 'TLS handshakes that failed.', 'tls_handshakes_failed'),
  byLabel(
    'tls_failures_total',
    'TLS handshakes that failed, by cause.',
    'cause',
    each('tls_failed_', tlsFailures),
  ),
];
