/** The resolved configuration in the form the native half takes. */
import type { MqttConfig } from '../config/options.js';
import type { BrokerConfig, ListenerConfig } from '../config/resolve.js';
import type { NativeBrokerOptions, NativeLimits, NativeListenSpec } from './addon.js';
import { LogLevel } from './contract.js';
import type { ProtocolVersion } from './events.js';

/** Connections that may wait to be accepted; the system lowers it to its own limit. */
const kBacklog = 4096;
const versionBits: Readonly<Record<ProtocolVersion, number>> = { '3.1': 1, '3.1.1': 2, '5.0': 4 };

/** What a link may have on the way: its own flow control is in TypeScript. */
const kLinkWindow = 1000;
const kLargestPacket = 268_435_460;

export function nativeBrokerOptions(
  { broker, router, log, mqtt }: BrokerConfig,
  own: Pick<NativeBrokerOptions, 'placement' | 'store' | 'event_mask' | 'authenticate'>,
): NativeBrokerOptions {
  return {
    ...own,
    io_threads: broker.io_threads,
    shared_strategy: router.shared_subscriptions_strategy,
    max_connections: broker.max_connections,
    max_memory_bytes: broker.max_memory_bytes,
    match_cache_bytes: broker.match_cache_bytes,
    outbound_high_watermark_bytes: broker.outbound_high_watermark_bytes,
    outbound_low_watermark_bytes: broker.outbound_low_watermark_bytes,
    log_level: LogLevel[log.level],
    verdict_timeout_ms: broker.verdict_timeout_ms,
    client_id_prefix: broker.client_id_prefix,
    // A link obeys [mqtt]. But it is this process itself: no stranger, and never half-open.
    link_limits: {
      ...nativeLimits(mqtt, 0),
      max_packet_size: kLargestPacket,
      max_inflight: kLinkWindow,
      receive_maximum: kLinkWindow,
      allow_empty_client_id: true,
      allow_zero_keep_alive: true,
    },
  };
}

function nativeLimits(mqtt: MqttConfig, max_connections: number): NativeLimits {
  const { accept_versions: _, connection_timeout_ms, ...limits } = mqtt;
  return { ...limits, connect_timeout_ms: connection_timeout_ms, max_connections };
}

export function nativeListenSpec(
  listener: ListenerConfig,
  place: { host: string; port: number; ipv6Only?: boolean } | { path: string; mode: number },
): NativeListenSpec {
  return {
    host: 'host' in place ? place.host : '',
    port: 'host' in place ? place.port : 0,
    backlog: kBacklog,
    ipv6_only: 'host' in place && place.ipv6Only === true,
    unix_path: 'path' in place ? place.path : '',
    unix_mode: 'path' in place ? place.mode : 0,
    name: listener.name,
    accept_delay_ms: listener.acceptDelayMs,
    max_connect_rate: listener.maxConnectRate,
    protocol_levels: listener.versions.reduce((bits, version) => bits | versionBits[version], 0),
    limits: nativeLimits(listener.mqtt, listener.maxConnections),
  };
}
