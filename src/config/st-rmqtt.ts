/**
 * Every key of ST-RMQTT's configuration: what it did there, what it does here, and the test that
 * shows it. A section of docs/OPTIONS.md; a unit test holds that each test exists.
 */
export interface StRmqttKey {
  readonly key: string;
  readonly there: string;
  readonly here: string;
  /** The title of its test in kStRmqttTests. */
  readonly test: string;
}

export const kStRmqttTests = 'test/e2e/st-rmqtt.test.ts';

const kDead = 'nothing reads it';
const kDeadHere = 'no effect; a warning, once for each of these names';
const kNotYet = 'not yet; a warning, once';

/** `[v4.N]` stands for `[v5.N]`, `[unified.N]` and `[ws.N]` too. */
export const stRmqttKeys: readonly StRmqttKey[] = [
  {
    key: 'id',
    there: 'the number of the router',
    here: 'the number in each log record',
    test: 'id is in each log record',
  },
  {
    key: 'router.id',
    there: kDead,
    here: 'no effect; a warning',
    test: 'router.id and the dead keys warn once each',
  },
  {
    key: 'router.max_connections',
    there: 'connections in all',
    here: 'the same: broker.max_connections',
    test: 'router.max_connections bounds connections in all',
  },
  {
    key: 'router.max_outgoing_packet_count',
    there: 'messages that a sweep takes for one QoS 0 subscription',
    here: 'a quantum of fairness: packets of one connection handled before others get their turn (mqtt.fair_packets_per_turn)',
    test: 'router.max_outgoing_packet_count lets clients take turns',
  },
  {
    key: 'router.max_segment_size, router.max_segment_count',
    there: 'size and number of the segments of each filter’s log',
    here: 'the same, for logs of what nobody has subscribed to. Messages for sessions are bounded by mqtt.max_queued_messages and mqtt.max_queued_bytes; all logs together by device.max_dynamic_bytes',
    test: 'segments bound the logs of their filters, and initialized filters have one',
  },
  {
    key: 'router.custom_segment',
    there: 'the same for one filter; where several match, by chance',
    here: 'the same; the most specific counts',
    test: 'segments bound the logs of their filters, and initialized filters have one',
  },
  {
    key: 'router.initialized_filters',
    there: 'logs made at start; each gets what matches it',
    here: 'the same for what nobody has subscribed to: the most specific one gets it',
    test: 'segments bound the logs of their filters, and initialized filters have one',
  },
  {
    key: 'router.shared_subscriptions_strategy',
    there: '"roundrobin", "random", "sticky"',
    here: 'the same, and "hash_clientid", "hash_topic"',
    test: 'router.shared_subscriptions_strategy chooses the member',
  },
  {
    key: '[v4.N]',
    there: 'MQTT 3.1.1 on a port',
    here: 'MQTT 3.1 and 3.1.1',
    test: 'a v4 listener takes MQTT 3.1 and 3.1.1, a v5 listener 5.0',
  },
  {
    key: '[v5.N]',
    there: 'MQTT 5.0 on a port',
    here: 'the same',
    test: 'a v4 listener takes MQTT 3.1 and 3.1.1, a v5 listener 5.0',
  },
  {
    key: '[unified.N]',
    there: 'every version on one port (ST-RMQTT)',
    here: 'the same',
    test: 'a unified listener takes every version on one port',
  },
  {
    key: '[ws.N]',
    there: 'MQTT 3.1.1 over WebSocket',
    here: 'every version over WebSocket; [WEBSOCKET.md](WEBSOCKET.md)',
    test: 'a ws listener serves every version over WebSocket; an empty [ws] is fine',
  },
  {
    key: 'v4.N.name',
    there: 'the name in its log',
    here: 'the name in log records and events',
    test: 'name is in log records and events',
  },
  {
    key: 'v4.N.listen',
    there: 'an address; a name is refused; a failure is logged, and the process goes on',
    here: 'an address or a name, or a list; a failure ends the process with exit code 1',
    test: 'listen takes names, and an address in use ends the process',
  },
  {
    key: 'v4.N.next_connection_delay_ms',
    there: 'a pause after each accept: 1 bounds a port to 1000 connections a second',
    here: 'the same from 2 on; 1 has no effect, and that is said once',
    test: 'next_connection_delay_ms paces accepts from 2 on, and not at 1',
  },
  {
    key: 'v4.N.tls',
    there: 'certificate, key, CA; or PKCS #12',
    here: 'the same, and more; read again when a file changes and at a reload. capath alone asks for client certificates',
    test: 'tls: certificate and key, or PKCS #12; capath asks for certificates',
  },
  {
    key: 'v4.N.connections.connection_timeout_ms',
    there: 'how long CONNECT may take',
    here: 'the same',
    test: 'connection_timeout_ms ends connections without CONNECT',
  },
  {
    key: 'v4.N.connections.max_payload_size',
    there: 'a bound of Remaining Length',
    here: 'the listener’s max_packet_size: of a whole Control Packet, told to MQTT 5.0 clients as Maximum Packet Size',
    test: 'max_payload_size is the Maximum Packet Size of its listener',
  },
  {
    key: 'v4.N.connections.max_inflight_count',
    there: 'packets read at once; the window was 100',
    here: 'the window: QoS 1 and 2 messages that a client may have unacknowledged (max_inflight)',
    test: 'max_inflight_count is the window',
  },
  {
    key: 'v4.N.connections.dynamic_filters',
    there: 'a log for topics that nobody has subscribed to',
    here: 'the same, on v4, v5, unified and ws alike',
    test: 'dynamic_filters: a topic that nobody has subscribed to gets a log',
  },
  {
    key: 'v4.N.connections.duplicate_client_id',
    there: '"takeover", "reject" or "allow": what becomes of a Client Identifier that is connected',
    here: 'the same; with "allow" only the first connection has a session that outlives it',
    test: 'duplicate_client_id: the older one ends, the newer one is refused, or both stay',
  },
  {
    key: 'v4.N.connections.auth',
    there: 'user names and passwords',
    here: 'the same; who has none stays out',
    test: 'passwords let in who has one, and nobody else',
  },
  {
    key: 'v4.N.connections.validate_tenant_prefix',
    there: 'the tenant is the Organization of the client certificate (ST-RMQTT)',
    here: 'the same; it asks for client certificates',
    test: 'tls: certificate and key, or PKCS #12; capath asks for certificates',
  },
  {
    key: 'prometheus.listen',
    there: 'where the exporter answers',
    here: 'the same; also a list',
    test: 'prometheus.listen, port and interval: the exporter answers',
  },
  {
    key: 'prometheus.port',
    there: 'deprecated: a port on 127.0.0.1, over listen',
    here: 'the same',
    test: 'prometheus.listen, port and interval: the exporter answers',
  },
  {
    key: 'prometheus.interval',
    there: 'seconds between two updates of the values',
    here: 'how old the values of an answer may be',
    test: 'prometheus.listen, port and interval: the exporter answers',
  },
  {
    key: 'console.listen',
    there: 'where the console answers, to everyone',
    here: 'where it answers; on another address than loopback, without a token, only ST-RMQTT’s read routes',
    test: 'console.listen: the console answers',
  },
  {
    key: '[bridge]',
    there: 'a one-way bridge',
    here: kNotYet,
    test: 'bridge and cluster warn once, and the broker serves',
  },
  {
    key: '[cluster]',
    there: 'nothing',
    here: kNotYet,
    test: 'bridge and cluster warn once, and the broker serves',
  },
  {
    key: 'metrics.meters.push_interval',
    there: 'seconds between two pushes of the meters to an embedding application',
    here: 'the same, where broker.meters() names no interval',
    test: 'metrics: the interval of meters; that of alerts warns once',
  },
  {
    key: 'metrics.alerts.push_interval',
    there: 'seconds between two pushes of the alerts to an embedding application',
    here: 'no effect; a warning, once: alerts come as they happen',
    test: 'metrics: the interval of meters; that of alerts warns once',
  },
  {
    key: 'max_client_id_len, throttle_delay_ms, max_inflight_size, bridge.timeout_delay, instant_ack, max_read_len, backlog',
    there: kDead,
    here: kDeadHere,
    test: 'router.id and the dead keys warn once each',
  },
];
