import { stMqttdAccess } from './access.mjs';

// The rows of the benchmark: what the generator is asked, and what the broker must show.
// `atMost` on a ratio is a share of mosquitto's figure; `fastestKnown` and `knownFloor` are the shares
// that were measured elsewhere, for comparison.

/** A figure of the generator's report, compared with mosquitto's. */
const ratio = (key, label, atMost, more = {}) => ({
  key,
  label,
  atMost,
  against: 'mosquitto',
  ...more,
});
/** A figure of the generator's report that has a limit of its own. */
const absolute = (key, label, atMost, unit) => ({ key, label, atMost, unit });

const cpu = (atMost, fastestKnown, knownFloor) =>
  ratio('brokerCpuUs', 'CPU', atMost, { fastestKnown, knownFloor });

const load = (id, title, args, metrics, more = {}) => ({
  kind: 'load',
  id,
  title,
  args: args.split(' '),
  metrics,
  ...more,
});

const both = ['st-mqttd', 'mosquitto'];
/** The same load through TLS or WebSocket; aedes and the relay have neither. */
const secure = (transport, id, title, args) =>
  load(`${transport}-${id}`, title, args, [cpu(0.6)], { transport, brokers: both });

export const rows = [
  load('pipe-q0-64', 'pipe QoS 0, 64 B', 'pipe --qos 0 --size 64', [cpu(0.025, 0.09, 0.005)], {
    floor: 'pipe',
  }),
  load('pipe-q1-64', 'pipe QoS 1, 64 B', 'pipe --qos 1 --window 100 --size 64', [cpu(0.03, 0.075)]),
  load('pipe-q2-64', 'pipe QoS 2, 64 B', 'pipe --qos 2 --window 20 --size 64', [cpu(0.06, 0.125)]),
  load('pipe-q0-1k', 'pipe QoS 0, 1 KiB', 'pipe --qos 0 --size 1024', [cpu(0.075, 0.15, 0.044)], {
    floor: 'pipe',
  }),
  load('pipe-q1-1k', 'pipe QoS 1, 1 KiB', 'pipe --qos 1 --window 100 --size 1024', [
    cpu(0.045, 0.09),
  ]),
  load('pipe-q2-1k', 'pipe QoS 2, 1 KiB', 'pipe --qos 2 --window 20 --size 1024', [
    cpu(0.06, 0.125),
  ]),
  load('fanout', 'fan-out 1 to 1,000, QoS 0', 'fanout --subscribers 1000', [cpu(0.03, 0.055)], {
    floor: 'fanout',
  }),
  load('fanin', 'fan-in 1,000 to 1, QoS 0', 'fanin --publishers 1000', [cpu(0.24, 0.33, 0.2)], {
    floor: 'fanin',
  }),
  load(
    'shared',
    'shared 1,000 to 5, QoS 0',
    'shared --publishers 1000 --subscribers 5',
    [cpu(0.19, 0.26)],
    { floor: 'shared' },
  ),
  load('mixed', '100,000 mixed filters, 10 publishers', 'mixed --publishers 10 --filters 100000', [
    cpu(0.1, 0.2),
  ]),
  load(
    'open-q0',
    '10,000 msg/s open loop, QoS 0',
    'open --qos 0 --rate 10000',
    [
      ratio('p50us', 'p50', 0.95, { fastestKnown: 1 }),
      ratio('p99us', 'p99', 1, { fastestKnown: 1 }),
      cpu(0.9, 0.95, 0.76),
    ],
    { floor: 'pipe' },
  ),
  load('open-q1', '10,000 msg/s open loop, QoS 1', 'open --qos 1 --rate 10000', [
    ratio('p50us', 'p50', 0.8, { fastestKnown: 0.82 }),
    ratio('p99us', 'p99', 0.9, { fastestKnown: 0.9 }),
    cpu(0.8, 0.84),
  ]),
  load(
    'connect',
    'connect + CONNACK',
    'connect --count 20000 --at-once 20',
    [ratio('brokerCpuUs', 'CPU each', 0.75, { fastestKnown: 0.78 })],
    { floor: 'pipe', timed: false },
  ),
  load(
    'idle',
    '10,000 idle connections',
    'idle --count 10000',
    [absolute('bytesEach', 'memory each', 2048, 'B')],
    { timed: false, quickArgs: 'idle --count 5000'.split(' ') },
  ),
  load(
    'filters',
    'a million mixed filters',
    'filters --count 1000000',
    [absolute('bytesEach', 'memory each', 300, 'B')],
    { timed: false, quickArgs: 'filters --count 200000'.split(' '), rounds: 2 },
  ),
  load(
    'churn',
    'memory after churn of sessions, filters, queues',
    'churn --rounds 10',
    [absolute('afterRssKib', 'memory after', undefined, 'KiB')],
    {
      timed: false,
      quickArgs: 'churn --rounds 3'.split(' '),
      rounds: 2,
      brokers: ['st-mqttd', 'st-mqttd+mimalloc', 'mosquitto'],
    },
  ),
  secure('tls', 'pipe-q0-64', 'TLS pipe QoS 0, 64 B', 'pipe --qos 0 --size 64'),
  secure('tls', 'pipe-q1-64', 'TLS pipe QoS 1, 64 B', 'pipe --qos 1 --window 100 --size 64'),
  secure('tls', 'pipe-q0-1k', 'TLS pipe QoS 0, 1 KiB', 'pipe --qos 0 --size 1024'),
  secure('websocket', 'pipe-q0-64', 'WebSocket pipe QoS 0, 64 B', 'pipe --qos 0 --size 64'),
  secure(
    'websocket',
    'pipe-q1-64',
    'WebSocket pipe QoS 1, 64 B',
    'pipe --qos 1 --window 100 --size 64',
  ),
  load(
    'tls-connect',
    'TLS handshake + CONNECT + CONNACK',
    'connect --count 5000 --at-once 20',
    [ratio('brokerCpuUs', 'CPU each', 1.05)],
    { timed: false, transport: 'tls', brokers: both },
  ),
  load(
    'tls-idle',
    '5,000 idle TLS connections',
    'idle --count 5000',
    [ratio('bytesEach', 'memory each', 1)],
    { timed: false, transport: 'tls', brokers: both },
  ),
  load(
    'auth',
    'connect + CONNACK, through a provider',
    'connect --count 10000 --at-once 20',
    stMqttdAccess.map((access) =>
      ratio('brokerCpuUs', access, undefined, {
        of: `st-mqttd+${access}`,
        against: 'mosquitto+passwords',
      }),
    ),
    {
      timed: false,
      brokers: [
        'st-mqttd',
        ...stMqttdAccess.map((name) => `st-mqttd+${name}`),
        'mosquitto+passwords',
      ],
    },
  ),
  load(
    'rules',
    'pipe QoS 0, 64 B, with 1,000 rules',
    'pipe --qos 0 --size 64',
    [ratio('brokerCpuUs', 'CPU', 1.1, { of: 'st-mqttd+rules', against: 'st-mqttd' })],
    { brokers: ['st-mqttd', 'st-mqttd+rules'] },
  ),
  {
    kind: 'process',
    id: 'process',
    title: 'idle process, start to first CONNACK',
    // With the console and the metrics on, too: where they are off they must cost nothing.
    brokers: ['st-mqttd', 'st-mqttd+console', 'mosquitto', 'aedes'],
    metrics: [
      absolute('rssMib', 'memory', 60, 'MiB'),
      absolute('startBeyondNodeMs', 'start beyond `node -e 0`', 250, 'ms'),
    ],
  },
  {
    kind: 'threads',
    id: 'threads-pipe',
    title: 'two I/O threads, pairs share a thread',
    args: 'pipe --qos 0 --size 64'.split(' '),
    pairs: true,
    atLeast: 1.7,
  },
  {
    kind: 'threads',
    id: 'threads-mixed',
    title: 'two I/O threads, mixed traffic',
    args: 'mixed --publishers 10 --filters 100000'.split(' '),
    atLeast: 1,
  },
  {
    kind: 'threads',
    id: 'threads-open',
    title: 'two I/O threads, 10,000 msg/s open loop, QoS 1: p99',
    args: 'open --qos 1 --rate 10000'.split(' '),
    // "Not worse"; equal brokers differ by up to a tenth from round to round.
    p99AtMost: 1.1,
  },
];

/** Rows whose id is, or starts with, one of `names`; all without names. */
export function chooseRows(names) {
  if (names.length === 0) return rows;
  const chosen = [];
  for (const name of names) {
    const found = rows.filter(({ id }) => id === name || id.startsWith(`${name}-`));
    if (found.length === 0) {
      throw new Error(`no row '${name}'; there are ${rows.map(({ id }) => id).join(', ')}`);
    }
    chosen.push(...found);
  }
  return chosen;
}
