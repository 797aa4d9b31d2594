/** From a sample to the text that Prometheus reads. prom-client is loaded with this file only. */
import { Counter, Gauge, type Histogram, Registry } from 'prom-client';
import { families } from './families.js';
import type { Family, Value } from './family.js';
import type { HistogramSample, Sample } from './sample.js';

export type Format = 'prometheus' | 'openmetrics';

/** Renders samples in one format: prom-client renames its metrics where the format wants that. */
export class Exposition {
  readonly #registry: Registry<
    typeof Registry.PROMETHEUS_CONTENT_TYPE | typeof Registry.OPENMETRICS_CONTENT_TYPE
  >;
  #sample: Sample | undefined;

  constructor(format: Format) {
    this.#registry = new Registry();
    if (format === 'openmetrics') {
      this.#registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    }
    for (const family of families) this.#add(family);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async render(sample: Sample): Promise<string> {
    this.#sample = sample;
    try {
      return await this.#registry.metrics();
    } finally {
      this.#sample = undefined;
    }
  }

  #add(family: Family): void {
    const { name, help, labels } = family;
    const registers: Registry[] = [];
    const labelNames = [...labels];
    // Before the first sample there is nothing.
    const taken = <T>(read: (sample: Sample) => T): T | undefined =>
      this.#sample === undefined ? undefined : read(this.#sample);
    switch (family.type) {
      case 'counter':
        this.#registry.registerMetric(
          new Counter({
            name,
            help,
            labelNames,
            registers,
            // The native half has counted: a counter of prom-client is made to show that number.
            collect() {
              this.reset();
              for (const { labels, value } of taken(family.read) ?? [])
                this.inc(labels ?? {}, value);
            },
          }),
        );
        break;
      case 'gauge':
        this.#registry.registerMetric(
          new Gauge({
            name,
            help,
            labelNames,
            registers,
            collect() {
              this.reset();
              for (const { labels, value } of taken(family.read) ?? [])
                this.set(labels ?? {}, value);
            },
          }),
        );
        break;
      case 'histogram':
        // prom-client's own counts what it observes; ours shows what was counted.
        this.#registry.registerMetric({
          name,
          help,
          type: 'histogram',
          get: async () => {
            const sample = taken(family.read);
            const values = sample === undefined ? [] : histogramValues(name, sample);
            return { name, help, type: 'histogram', values, aggregator: 'sum' };
          },
        } as unknown as Histogram);
        break;
    }
  }
}

function histogramValues(
  name: string,
  { bounds, counts, sum }: HistogramSample,
): (Value & { metricName: string })[] {
  const values: (Value & { metricName: string })[] = [];
  let below = 0;
  for (const [index, count] of counts.entries()) {
    below += count;
    const bound = bounds[index];
    const le = bound === undefined ? '+Inf' : String(bound);
    values.push({ metricName: `${name}_bucket`, labels: { le }, value: below });
  }
  values.push({ metricName: `${name}_sum`, labels: {}, value: sum });
  values.push({ metricName: `${name}_count`, labels: {}, value: below });
  return values;
}
