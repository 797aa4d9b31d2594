/** The resolved configuration in the form the native half takes. */
import type { MqttConfig } from '../config/options.js';
import type { BrokerConfig, ListenerConfig } from '../config/resolve.js';
import type {
  NativeBrokerOptions,
  NativeChannelSpec,
  NativeLimits,
  NativeListenSpec,
  NativeLiveOptions,
  NativeLogOptions,
} from './addon.js';
import type { ProtocolVersion } from './events.js';

/** Connections that may wait to be accepted; the system lowers it to its own limit. */
const kBacklog = 4096;
const versionBits: Readonly<Record<ProtocolVersion, number>> = { '3.1': 1, '3.1.1': 2, '5.0': 4 };

/** What a link may have on the way: its own flow control is in TypeScript. */
const kLinkWindow = 1000;
const kLargestPacket = 268_435_460;

/** What the configuration does not say: who makes the broker, and who listens to it. */
export type OwnOptions = Pick<
  NativeBrokerOptions,
  'placement' | 'store' | 'event_mask' | 'log_level' | 'authenticate'
>;

export function nativeBrokerOptions(config: BrokerConfig, own: OwnOptions): NativeBrokerOptions {
  const { broker, mqtt } = config;
  return {
    ...own,
    ...nativeLiveOptions(config, own),
    io_threads: broker.io_threads,
    client_id_prefix: broker.client_id_prefix,
    link_limits: linkLimits(mqtt),
  };
}

export function nativeLiveOptions(
  config: Pick<BrokerConfig, 'broker' | 'router' | 'customSegments' | 'limits' | 'device'>,
  {
    event_mask,
    log_level,
    authenticate,
  }: Pick<OwnOptions, 'event_mask' | 'log_level' | 'authenticate'>,
): NativeLiveOptions {
  const { broker, router, limits, device } = config;
  return {
    event_mask,
    log_level,
    authenticate,
    // Whoever judges knows what methods there are.
    enhanced_auth: authenticate,
    shared_strategy: router.shared_subscriptions_strategy,
    max_connections: broker.max_connections,
    max_memory_bytes: broker.max_memory_bytes,
    match_cache_bytes: broker.match_cache_bytes,
    outbound_high_watermark_bytes: broker.outbound_high_watermark_bytes,
    outbound_low_watermark_bytes: broker.outbound_low_watermark_bytes,
    verdict_timeout_ms: broker.verdict_timeout_ms,
    accepts_per_turn: limits.acceptsPerTurn,
    flapping_count: limits.flapping.count,
    flapping_window_ms: limits.flapping.windowS * 1000,
    flapping_ban_s: limits.flapping.banS,
    me_topics: device.meTopics,
    me_patterns: device.mePatterns,
    device_id_from_client: (device.deviceIdFrom ?? 'client_id') === 'client_id',
    max_connections_per_tenant: limits.maxConnectionsPerTenant,
    messages_per_s_per_tenant: limits.messagesPerSPerTenant,
    bytes_per_s_per_tenant: limits.bytesPerSPerTenant,
    logs: logOptions(config),
  };
}

function logOptions({
  router,
  customSegments,
  device,
}: Pick<BrokerConfig, 'router' | 'customSegments' | 'device'>): NativeLogOptions {
  return {
    segment_bytes: router.max_segment_size,
    segment_count: router.max_segment_count,
    custom: customSegments.map(
      ({ filter, maxSegmentSize, maxSegmentCount }) =>
        [filter, maxSegmentSize, maxSegmentCount] as const,
    ),
    initialized: router.initialized_filters,
    max_filters: device.maxDynamicFilters,
    max_bytes: device.maxDynamicBytes,
    replay: device.dynamicReplay,
  };
}

/** A link obeys [mqtt]. But it is this process itself: no stranger, and never half-open. */
export function linkLimits(mqtt: MqttConfig): NativeLimits {
  return {
    ...nativeLimits(mqtt, 0),
    max_packet_size: kLargestPacket,
    max_inflight: kLinkWindow,
    receive_maximum: kLinkWindow,
    fair_packets_per_turn: 0,
    max_messages_per_s: 0,
    max_bytes_per_s: 0,
    allow_empty_client_id: true,
    allow_zero_keep_alive: true,
    sys_read: true,
    sys_write: true,
  };
}

/** Of one of the listener's addresses; undefined = its Unix socket. */
export function listenerLimits(
  listener: ListenerConfig,
  address: string | undefined,
): NativeLimits {
  const { mqtt, maxConnections, tenantMode, role, isGuarded, dynamicFilters } = listener;
  const isLocal = !isBehindProxy(listener) && (address === undefined || isLoopback(address));
  const sys_read = mqtt.sys_readers === 'all' || (mqtt.sys_readers === 'loopback' && isLocal);
  // Whoever is on this machine and asked nothing is trusted as the operator's own.
  const own = role ?? (isLocal && !isGuarded ? 'service' : undefined);
  return {
    ...nativeLimits(mqtt, maxConnections),
    sys_read,
    tenant_mode: tenantMode,
    dynamic_filters: dynamicFilters,
    ...(own !== undefined && { role: own }),
  };
}

/** Its clients come from anywhere, though the proxy may be on this machine. */
export function isBehindProxy({
  proxyProtocol,
  trustedProxies,
}: Pick<ListenerConfig, 'proxyProtocol' | 'trustedProxies'>): boolean {
  return proxyProtocol !== 'off' || trustedProxies.length > 0;
}

/** An address of this machine that no other reaches. */
function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\./i.test(address) || address === '::1';
}

function nativeLimits(mqtt: MqttConfig, max_connections: number): NativeLimits {
  const { accept_versions: _, sys_readers: __, connection_timeout_ms, ...limits } = mqtt;
  return {
    ...limits,
    connect_timeout_ms: connection_timeout_ms,
    max_connections,
    sys_read: false,
    sys_write: false,
  };
}

/** What lies between its sockets and MQTT, TLS apart. */
export function nativeChannelSpec(listener: ListenerConfig): NativeChannelSpec {
  const { ws, proxyProtocol, trustedProxies } = listener;
  return {
    websocket: ws === undefined ? null : { path: ws.path, origins: ws.allowedOrigins },
    proxy_protocol: proxyProtocol,
    trusted_proxies: trustedProxies,
  };
}

export function nativeListenSpec(
  listener: ListenerConfig,
  place: { host: string; port: number; ipv6Only?: boolean } | { path: string; mode: number },
  tls: Pick<NativeListenSpec, 'tls' | 'tls_outside'> = { tls: 0, tls_outside: false },
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
    total_messages_per_s: listener.totalMessagesPerS,
    total_bytes_per_s: listener.totalBytesPerS,
    max_handshakes: listener.maxHandshakes,
    max_connections_per_address: listener.maxConnectionsPerAddress,
    max_connect_rate_per_address: listener.maxConnectRatePerAddress,
    ...tls,
    handshake_timeout_ms: listener.handshakeTimeoutMs,
    ...nativeChannelSpec(listener),
    protocol_levels: listener.versions.reduce((bits, version) => bits | versionBits[version], 0),
    limits: listenerLimits(listener, 'host' in place ? place.host : undefined),
  };
}
