/** Times of log records: ISO 8601 with milliseconds, in UTC or in a time zone with its offset. */

const kOffsetHoldsMs = 15 * 60_000;

/** `zone`: "UTC", "local" or a name of the IANA list. Throws RangeError where there is no such zone. */
export function timeFormat(zone: string): (ms: number) => string {
  if (zone === 'UTC') return (ms) => new Date(ms).toISOString();
  const format = new Intl.DateTimeFormat('en', {
    timeZoneName: 'longOffset',
    ...(zone === 'local' ? {} : { timeZone: zone }),
  });
  // Asking Intl costs more than the record; offsets change at quarters of an hour only.
  let quarter = Number.NaN;
  let offset = 'Z';
  let offsetMs = 0;
  return (ms) => {
    const now = Math.floor(ms / kOffsetHoldsMs);
    if (now !== quarter) {
      quarter = now;
      offset = offsetAt(format, ms);
      offsetMs = inMs(offset);
    }
    return new Date(ms + offsetMs).toISOString().slice(0, -1) + offset;
  };
}

/** "+02:00"; "Z" for none. */
function offsetAt(format: Intl.DateTimeFormat, ms: number): string {
  const parts = format.formatToParts(ms);
  const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
  return /[+-]\d\d:\d\d/.exec(name)?.[0] ?? 'Z';
}

function inMs(offset: string): number {
  const match = /^([+-])(\d\d):(\d\d)$/.exec(offset);
  if (match === null) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return (match[1] === '-' ? -minutes : minutes) * 60_000;
}
