/** Numbers and times as people read them; widths do not jump, because digits are tabular. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const small = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const date = new Intl.DateTimeFormat('en-CA', {
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

/** 950, 12,340, 1.2 M */
export function count(value: number): string {
  if (Math.abs(value) < 100_000) return whole.format(value);
  return scaled(value, 1000, ['', ' k', ' M', ' G', ' T']);
}

/** A rate: small ones keep a digit. */
export function rate(value: number): string {
  if (value === 0) return '0';
  if (value < 10) return small.format(value);
  return count(value);
}

export function bytes(value: number): string {
  return scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
}

/** Bytes on their way: by thousands, as networks are measured. */
export function traffic(value: number): string {
  return scaled(value, 1000, [' B', ' kB', ' MB', ' GB', ' TB']);
}

/** Short labels of axes. */
export function axis(value: number): string {
  return plain(scaled(value, 1000, ['', 'k', 'M', 'G', 'T']));
}
export function bytesAxis(value: number): string {
  return plain(traffic(value));
}
export function secondsAxis(value: number): string {
  return value === 0 ? '0' : plain(seconds(value));
}

/** "40.0k" as "40k". */
function plain(text: string): string {
  return text.replace(/(\.\d*?)0+(?=\D|$)/, '$1').replace(/\.(?=\D|$)/, '');
}

export function seconds(value: number): string {
  if (value < 1e-3) return `${digits(value * 1e6)} µs`;
  if (value < 1) return `${digits(value * 1e3)} ms`;
  return `${digits(value)} s`;
}

export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const [d, h, m] = [Math.floor(s / 86_400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${m} min`;
  if (m > 0) return `${m} min ${s % 60} s`;
  return `${s} s`;
}

export function time(ms: number): string {
  return clock.format(ms);
}

export function moment(ms: number): string {
  return date.format(ms).replace(', ', ' ');
}

/** "queue_full_oldest" as words. */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let left = value;
  let at = 0;
  while (Math.abs(left) >= base && at < units.length - 1) {
    left /= base;
    at++;
  }
  return `${at === 0 ? small.format(left) : digits(left)}${units[at]}`;
}

/** Three that count. */
function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value.toFixed(2);
}
