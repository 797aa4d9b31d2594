/** Sizes and durations as rmqttd writes them. */
export const kSizes = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 } as const;
export const kSeconds = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  f: 1_209_600,
} as const;

/** "1m30s" and "10" alike; undefined where it is neither. */
export function sum(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const plain = text.replaceAll(/\s/g, '').toLowerCase();
  const parts = [...plain.matchAll(/(\d+(?:\.\d+)?)([a-z]*)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== plain) return undefined;
  let total = 0;
  for (const [, digits, unit = ''] of parts) {
    const factor = unit === '' ? 1 : units[unit.replace(/(?<=[kmg])b$/, '')];
    if (factor === undefined) return undefined;
    total += Number(digits) * factor;
  }
  return total;
}

/** Seconds; undefined where it is none. */
export function durationOf(text: string): number | undefined {
  return sum(text, kSeconds);
}
