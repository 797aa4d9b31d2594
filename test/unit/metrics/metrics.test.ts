// The page of metrics: its words, its numbers, and the document made from the same table.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Exposition } from '../../../src/metrics/exposition.ts';
import { families } from '../../../src/metrics/families.ts';
import { metricsMarkdown } from '../../../src/metrics/markdown.ts';
import { takeSample } from '../../../src/metrics/sample.ts';
import { CloseCause, type CounterName, counterNames } from '../../../src/native/contract.ts';
import { lint } from './lint.js';
import { type Metric, parseExposition } from './parse.js';
import { build, countersOf, sourceOf } from './samples.js';

const lag = { mean: 0.001, p50: 0.0005, p99: 0.01, max: 0.02 };
const inherited = new Set([
  'metrics_router_total_publishes',
  'metrics_router_total_connections',
  'metrics_router_failed_publishes',
]);
const sample = takeSample(sourceOf(), lag, build);
const text = await new Exposition('prometheus').render(sample);
const metrics = parseExposition(text);

function metric(name: string): Metric {
  const found = metrics.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no metric ${name}`);
  return found;
}
const numberOf = (name: string, labels: Readonly<Record<string, string>> = {}) =>
  metric(name).samples.find((each) =>
    Object.entries(labels).every(([label, value]) => each.labels[label] === value),
  )?.value;
const place = (name: CounterName) => counterNames.indexOf(name) + 1;

describe('the page', () => {
  test('keeps the rules of promtool', () => {
    expect(lint(metrics, inherited)).toEqual([]);
  });

  test('the lint finds what it forbids', () => {
    const bad = (name: string, type: string, labels = {}) =>
      lint([{ name, type, help: 'x', samples: [{ name, labels, value: 1 }] }], inherited);
    expect(bad('a_requests', 'counter')).toHaveLength(1);
    expect(bad('a_requests_total', 'gauge')).toHaveLength(1);
    expect(bad('a_wait_ms', 'gauge')).toHaveLength(1);
    expect(bad('a_wait_milliseconds_total', 'counter')).toHaveLength(1);
    expect(bad('a_wait_gauge', 'gauge')).toHaveLength(1);
    expect(bad('aWait', 'gauge')).toHaveLength(1);
    expect(bad('a_count', 'gauge')).toHaveLength(1);
    expect(bad('a_bytes_read', 'gauge')).toHaveLength(1);
    expect(bad('a', 'gauge', { quantile: '1' })).toHaveLength(1);
    expect(bad('a_b', 'gauge', { Cause: '1' })).toHaveLength(1);
    expect(bad('a_by_cause', 'gauge', { cause: '1' })).toHaveLength(1);
    expect(lint([{ name: 'a', type: 'gauge', help: ' ', samples: [] }], inherited)).toHaveLength(1);
    const twice = { name: 'a', labels: {}, value: 1 };
    const both = [{ name: 'a', type: 'gauge', help: 'x', samples: [twice, twice] }];
    expect(lint(both, inherited)).toHaveLength(1);
  });

  test('every metric has a value, and each of its labels', () => {
    expect(metrics.map(({ name }) => name)).toEqual(families.map(({ name }) => name));
    for (const { name, labels, type } of families) {
      const { samples } = metric(name);
      expect(samples.length, name).toBeGreaterThan(0);
      if (type === 'histogram') continue;
      for (const each of samples) expect(Object.keys(each.labels)).toEqual(labels);
    }
  });

  test('every native counter is on it', () => {
    const read = new Set<string>();
    const counters = new Proxy(countersOf(), {
      get: (target, name) => {
        read.add(String(name));
        return target[name as CounterName];
      },
    });
    const watched = { ...sample, counters, threads: [counters] };
    for (const family of families) family.read(watched);
    // Sums of others, which are on it.
    const sums = ['connections_refused', 'packets_received', 'packets_sent'];
    expect(counterNames.filter((name) => !read.has(name))).toEqual(sums);
  });

  test('numbers stand where they belong', () => {
    expect(numberOf('st_mqttd_received_bytes_total')).toBe(place('bytes_received'));
    expect(numberOf('st_mqttd_publishes_sent_total', { qos: '2' })).toBe(
      place('publish_sent_qos2'),
    );
    expect(numberOf('st_mqttd_messages_dropped_total', { cause: 'expired' })).toBe(
      place('dropped_expired'),
    );
    expect(numberOf('st_mqttd_packets_received_total', { type: 'pubrel' })).toBe(
      place('packets_received_pubrel'),
    );
    expect(numberOf('st_mqttd_io_busy_seconds_total', { thread: '1' })).toBe(2 * place('busy_ns'));
    expect(numberOf('st_mqttd_subscriptions')).toBe(20);
    expect(numberOf('st_mqttd_start_time_seconds')).toBe(1_700_000_000.5);
    expect(numberOf('st_mqttd_event_loop_lag_seconds', { stat: 'p99' })).toBe(0.01);
    expect(metric('st_mqttd_build_info').samples[0]?.labels.version).toBe('9.8.7');
  });

  test('causes are those of the contract, in its order', () => {
    for (const [name, prefix] of [
      ['st_mqttd_connections_refused_total', 'refused_'],
      ['st_mqttd_connections_closed_total', 'closed_'],
    ] as const) {
      expect(metric(name).samples.map(({ labels }) => labels.cause)).toEqual(
        Object.keys(CloseCause),
      );
      for (const { labels, value } of metric(name).samples) {
        expect(value).toBe(place(`${prefix}${labels.cause}` as CounterName));
      }
    }
  });

  test('ST-RMQTT’s gauges have no labels and true values', () => {
    const counters = {
      ...countersOf(0),
      publish_received_qos0: 10,
      publish_received_qos1: 20,
      publish_received_qos2: 30,
      publish_refused_quota: 4,
      publish_unmatched: 7,
      dropped_memory_budget: 2,
      clients_connected_v311: 9,
      clients_disconnected_v311: 4,
      clients_connected_v5: 3,
    };
    const of = (name: string) =>
      families.find((family) => family.name === name)?.read({ ...sample, counters });
    expect(of('metrics_router_total_publishes')).toEqual([{ value: 64 }]);
    expect(of('metrics_router_total_connections')).toEqual([{ value: 8 }]);
    expect(of('metrics_router_failed_publishes')).toEqual([{ value: 13 }]);
  });

  test('a listener’s addresses add up; its name may be anything', () => {
    expect(metric('st_mqttd_connections_open').samples).toEqual([
      {
        name: 'st_mqttd_connections_open',
        labels: { listener: 'v5-1', transport: 'tcp' },
        value: 7,
      },
      {
        name: 'st_mqttd_connections_open',
        labels: { listener: 'odd "name"\\\n', transport: 'unix' },
        value: 5,
      },
    ]);
  });

  test('a histogram is cumulative and ends in +Inf', () => {
    const samples = metric('st_mqttd_delivery_latency_seconds').samples;
    expect(samples.map(({ name, labels, value }) => [name.slice(33), labels.le, value])).toEqual([
      ['_bucket', '0.001', 5],
      ['_bucket', '0.01', 8],
      ['_bucket', '+Inf', 9],
      ['_sum', undefined, 0.5],
      ['_count', undefined, 9],
    ]);
  });

  test('the same metrics as OpenMetrics', async () => {
    const exposition = new Exposition('openmetrics');
    const other = await exposition.render(sample);
    expect(exposition.contentType).toContain('application/openmetrics-text');
    expect(other.endsWith('\n# EOF\n')).toBe(true);
    expect(other).toContain('# TYPE st_mqttd_received_bytes counter\n');
    const samplesOf = (page: string) => page.split('\n').filter((line) => /^[a-z]/.test(line));
    expect(samplesOf(other)).toEqual(samplesOf(text));
    // Twice: names are not changed again.
    expect(await exposition.render(sample)).toBe(other);
  });
});

test('docs/METRICS.md is fresh (npm run build && node scripts/metrics-doc.mjs)', () => {
  const file = new URL('../../../docs/METRICS.md', import.meta.url);
  expect(readFileSync(file, 'utf8')).toBe(metricsMarkdown());
});
