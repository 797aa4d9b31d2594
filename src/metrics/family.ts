/** The shape of a metric's row, and short ways to write one. */
import type { CounterName } from '../native/contract.js';
import type { HistogramSample, Sample } from './sample.js';

export interface Value {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Common {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}
export type Family = Common &
  (
    | { readonly type: 'counter' | 'gauge'; readonly read: (sample: Sample) => readonly Value[] }
    | { readonly type: 'histogram'; readonly read: (sample: Sample) => HistogramSample }
  );

export interface Section {
  readonly title: string;
  readonly families: readonly Family[];
}

export const kPrefix = 'st_mqttd_';

/** A number without labels. */
export function single(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  read: (sample: Sample) => number,
): Family {
  const values = (sample: Sample) => [{ value: read(sample) }];
  return { type, name: kPrefix + name, help, labels: [], read: values };
}

export function counter(name: string, help: string, ...of: readonly CounterName[]): Family {
  return single('counter', name, help, ({ counters }) => sum(counters, of));
}

/** One label; for each of its values the counters that add up to it. */
export function byLabel(
  name: string,
  help: string,
  label: string,
  rows: Readonly<Record<string, readonly CounterName[]>>,
): Family {
  const read = ({ counters }: Sample) =>
    Object.entries(rows).map(([value, of]) => ({
      labels: { [label]: value },
      value: sum(counters, of),
    }));
  return { type: 'counter', name: kPrefix + name, help, labels: [label], read };
}

export function sum(
  counters: Readonly<Record<CounterName, number>>,
  of: readonly CounterName[],
): number {
  return of.reduce((total, name) => total + counters[name], 0);
}

/** The rows of counters that share a prefix, by what follows it. */
export function each<P extends string, K extends string>(
  prefix: P,
  keys: readonly K[],
): Record<K, readonly `${P}${K}`[]> {
  const rows = {} as Record<K, readonly `${P}${K}`[]>;
  for (const key of keys) rows[key] = [`${prefix}${key}`];
  return rows;
}
