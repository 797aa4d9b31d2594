// Medians and spreads of a few rounds, and figures as text.

export function median(values) {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** { median, low, high } of a figure over rounds; undefined where no round has it. */
export function spread(values) {
  const finite = values.filter((value) => Number.isFinite(value));
  const middle = median(finite);
  if (middle === undefined) return undefined;
  return { median: middle, low: Math.min(...finite), high: Math.max(...finite) };
}

/** Three significant digits, thousands separated. */
export function figure(value) {
  if (value === undefined || value === null || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const fixed = value.toFixed(Math.min(digits, 6));
  const [whole, fraction] = fixed.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** `12.3 (11.8–13.1)`; without the bracket where there was one round. */
export function withSpread(range) {
  if (range === undefined) return '–';
  if (range.low === range.high) return figure(range.median);
  return `${figure(range.median)} (${figure(range.low)}–${figure(range.high)})`;
}
