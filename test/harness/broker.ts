// The broker under test. The only file of the tests that creates one for them: when
// STMQTTD_TEST_PORT is set, every test talks to that port of a broker that runs already.
import { Broker } from '../../src/broker.js';
import { kInternals } from '../../src/internal.js';
import type { NativeStoreOptions } from '../../src/native/addon.js';
import type { Address } from './wire.js';

/** Named as in the configuration file; what is left out has its default there. */
export interface BrokerOptions {
  transport?: 'mqtt' | 'websocket';
  io_threads?: number;
  max_packet_size?: number;
  max_inflight?: number;
  receive_maximum?: number;
  max_queued_messages?: number;
  max_qos?: 0 | 1 | 2;
  retain_available?: boolean;
  wildcard_subscriptions?: boolean;
  subscription_identifiers?: boolean;
  shared_subscriptions?: boolean;
  topic_alias_maximum?: number;
  max_topic_alias_out?: number;
  max_keep_alive_s?: number;
  default_keep_alive_s?: number;
  allow_zero_keep_alive?: boolean;
  max_session_expiry_s?: number;
  allow_empty_client_id?: boolean;
  max_client_id_bytes?: number;
  max_topic_levels?: number;
  max_subscriptions?: number;
  sys_readers?: 'loopback' | 'all' | 'none';
  accept_versions?: readonly ('3.1' | '3.1.1' | '5.0')[];
  connection_timeout_ms?: number;
  shared_subscriptions_strategy?:
    | 'roundrobin'
    | 'random'
    | 'sticky'
    | 'hash_clientid'
    | 'hash_topic';
  /** Where promises are kept: at once, `ms` later, or never. */
  store?: { kind: 'memory' } | { kind: 'slow'; ms: number } | { kind: 'failing' };
}

export interface TestBroker extends Address {
  stop(): Promise<void>;
}

const port = process.env.STMQTTD_TEST_PORT;

/** True when the tests run against some other broker, whose options they cannot choose. */
export const standIn = port !== undefined;

export async function startBroker(options: BrokerOptions = {}): Promise<TestBroker> {
  if (port !== undefined) {
    const host = process.env.STMQTTD_TEST_HOST ?? '127.0.0.1';
    return { host, port: Number(port), stop: async () => {} };
  }
  const { transport, io_threads, shared_subscriptions_strategy, store, ...rest } = options;
  const { connection_timeout_ms, ...mqtt } = rest;
  const broker = new Broker({
    broker: { io_threads: io_threads ?? 1 },
    mqtt: { sys_interval_s: 0, ...mqtt },
    ...(shared_subscriptions_strategy ? { router: { shared_subscriptions_strategy } } : {}),
    [transport === 'websocket' ? 'ws' : 'unified']: {
      test: {
        listen: '127.0.0.1:0',
        connections: {
          ...(connection_timeout_ms ? { connection_timeout_ms } : {}),
        },
      },
    },
    log: { to: 'off' },
    [kInternals]: { placement: 'round-robin', store: nativeStore(store) },
  } as unknown as ConstructorParameters<typeof Broker>[0]);
  await broker.start();
  const bound = broker.addresses[0];
  if (bound === undefined) throw new Error('the broker listens nowhere');
  return { host: '127.0.0.1', port: bound.port, stop: () => broker.stop({ timeoutMs: 500 }) };
}

function nativeStore(store: BrokerOptions['store']): NativeStoreOptions {
  if (store === undefined || store.kind === 'memory') return { kind: 'memory' };
  return store.kind === 'slow'
    ? { kind: 'slow', delay_ms: store.ms }
    : { kind: 'failing', after: 0 };
}
