// The rules of `promtool check metrics`, for the metrics of a page.
import type { Metric } from './parse.js';

/** Words for units that are not base units, and for types, in a metric's name. */
const kOtherUnits =
  /_(milliseconds|microseconds|nanoseconds|minutes|hours|days|ms|us|ns|sec|secs|kilobytes|megabytes|kb|mb|kib|mib|bits|percent)(_|$)/;
const kTypeWords = /_(counter|gauge|histogram|summary)(_|$)/;

/** What is wrong, a line each. `inherited` names are not ours to choose. */
export function lint(metrics: readonly Metric[], inherited: ReadonlySet<string>): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  for (const { name, type, help, samples } of metrics) {
    const add = (text: string) => found.push(`${name}: ${text}`);
    if (help.trim() === '') add('no help text');
    for (const sample of samples) {
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (seen.has(key)) add(`the same labels twice: ${key}`);
      seen.add(key);
      for (const label of Object.keys(sample.labels)) {
        if (!/^[a-z][a-z0-9_]*$/.test(label)) add(`label ${label} is not in snake_case`);
        if (label === 'quantile' && type !== 'summary') add('quantile outside a summary');
        if (label === 'le' && type !== 'histogram') add('le outside a histogram');
        if (name.includes(label) && label !== 'version') add(`its name repeats its label ${label}`);
      }
    }
    if (inherited.has(name)) continue;
    if (!/^[a-z][a-z0-9_]*$/.test(name)) add('not in snake_case');
    if (name.includes('__')) add('two underscores');
    if (kOtherUnits.test(name)) add('not a base unit');
    if (kTypeWords.test(name)) add('its name has its type');
    if (type === 'counter' && !name.endsWith('_total')) add('a counter ends in _total');
    if (type !== 'counter' && name.endsWith('_total')) add('only a counter ends in _total');
    if (/_(count|sum|bucket)$/.test(name)) add('an ending of histograms');
    const unit = /(seconds|bytes)/.exec(name)?.[1];
    if (unit !== undefined && !new RegExp(`_${unit}(_total)?$`).test(name) && type !== 'counter') {
      add('the unit stands last');
    }
  }
  return found;
}
