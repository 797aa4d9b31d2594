// The addon without the Broker around it: options with everything filled in, and what it holds.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type {
  NativeBroker,
  NativeBrokerOptions,
  NativeLimits,
  NativeListenSpec,
} from '../../src/native/addon.js';

export function brokerOptions(over: Partial<NativeBrokerOptions> = {}): NativeBrokerOptions {
  return {
    io_threads: 1,
    placement: 'round-robin',
    shared_strategy: 'roundrobin',
    max_connections: 1000,
    max_memory_bytes: 0,
    match_cache_bytes: 1 << 20,
    outbound_high_watermark_bytes: 1 << 20,
    outbound_low_watermark_bytes: 1 << 18,
    event_mask: 0xffffffff,
    log_level: 2,
    authenticate: false,
    enhanced_auth: false,
    accepts_per_turn: 64,
    flapping_count: 0,
    flapping_window_ms: 60_000,
    flapping_ban_s: 300,
    me_topics: 'off',
    me_patterns: [],
    device_id_from_client: true,
    max_connections_per_tenant: 0,
    messages_per_s_per_tenant: 0,
    bytes_per_s_per_tenant: 0,
    verdict_timeout_ms: 10_000,
    client_id_prefix: 'test-',
    link_limits: limits(),
    store: { kind: 'memory' },
    ...over,
  };
}

export function limits(over: Partial<NativeLimits> = {}): NativeLimits {
  return {
    connect_timeout_ms: 10_000,
    max_connections: 0,
    max_packet_size: 1 << 20,
    max_inflight: 100,
    receive_maximum: 100,
    max_queued_messages: 1000,
    max_queued_bytes: 1 << 20,
    queue_overflow: 'drop_newest',
    max_qos: 2,
    retain_available: true,
    wildcard_subscriptions: true,
    subscription_identifiers: true,
    shared_subscriptions: true,
    topic_alias_maximum: 32,
    max_topic_alias_out: 32,
    max_keep_alive_s: 65_535,
    default_keep_alive_s: 0,
    allow_zero_keep_alive: true,
    max_session_expiry_s: 3600,
    max_message_expiry_s: 0,
    allow_empty_client_id: true,
    sys_read: true,
    sys_write: false,
    max_client_id_bytes: 256,
    max_topic_levels: 64,
    max_subscriptions: 1000,
    fair_packets_per_turn: 0,
    max_messages_per_s: 0,
    max_bytes_per_s: 0,
    on_rate_exceeded: 'pause',
    ...over,
  };
}

export function listenSpec(over: Partial<NativeListenSpec> = {}): NativeListenSpec {
  return {
    host: '127.0.0.1',
    port: 0,
    backlog: 128,
    unix_path: '',
    unix_mode: 0,
    ipv6_only: false,
    name: 'test',
    accept_delay_ms: 0,
    max_connect_rate: 0,
    total_messages_per_s: 0,
    total_bytes_per_s: 0,
    max_handshakes: 0,
    max_connections_per_address: 0,
    max_connect_rate_per_address: 0,
    protocol_levels: 7,
    tls: 0,
    tls_outside: false,
    handshake_timeout_ms: 10_000,
    websocket: null,
    proxy_protocol: 'off',
    trusted_proxies: [],
    limits: limits(),
    ...over,
  };
}

/** Kinds of the records that wait, in the order in which they come. */
export function drainKinds(broker: NativeBroker, bytes = 1 << 16): number[] {
  const kinds: number[] = [];
  let buffer = Buffer.alloc(bytes);
  for (;;) {
    const moved = broker.drainEvents(buffer);
    if (moved === 0) return kinds;
    if (moved < 0) {
      buffer = Buffer.alloc(-moved);
      continue;
    }
    for (let at = 0; at < moved; at += buffer.readUInt32LE(at)) {
      kinds.push(buffer.readUInt16LE(at + 4));
    }
  }
}

/** What a leak would show in. Linux only. */
export function inUse(): { descriptors: number; threads: number; residentKb: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    descriptors: readdirSync('/proc/self/fd').filter(isOfBroker).length,
    threads: readdirSync('/proc/self/task').filter(isIoThread).length,
    residentKb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]),
  };
}

/** Sockets, pollers and reserves. Node leaves files open that a terminated worker was loading. */
function isOfBroker(descriptor: string): boolean {
  try {
    return /^(socket:|anon_inode:|\/dev\/null)/.test(readlinkSync(`/proc/self/fd/${descriptor}`));
  } catch {
    return false;
  }
}

/** Node's own threads come and go; ours have a name. */
function isIoThread(id: string): boolean {
  try {
    return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').startsWith('st-mqttd/');
  } catch {
    return false;
  }
}
