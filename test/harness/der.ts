// DER (X.690), as much of it as certificates need. Each function gives one whole value.
export type Der = Buffer;

export function tlv(tag: number, content: Uint8Array): Der {
  const { length } = content;
  const size: number[] = [];
  if (length < 128) {
    size.push(length);
  } else {
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
    size.unshift(0x80 | size.length);
  }
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

export const sequence = (...items: readonly Der[]): Der => tlv(0x30, Buffer.concat(items));
export const set = (...items: readonly Der[]): Der => tlv(0x31, Buffer.concat(items));
export const octets = (content: Uint8Array): Der => tlv(0x04, content);
export const bits = (content: Uint8Array, unused = 0): Der =>
  tlv(0x03, Buffer.concat([Buffer.from([unused]), content]));
export const boolean = (value: boolean): Der => tlv(0x01, Buffer.from([value ? 0xff : 0]));
export const nothing = (): Der => tlv(0x05, Buffer.alloc(0));
export const utf8 = (text: string): Der => tlv(0x0c, Buffer.from(text));
/** [n], around a value of its own type. */
export const explicit = (n: number, ...items: readonly Der[]): Der =>
  tlv(0xa0 | n, Buffer.concat(items));
/** [n], in place of a primitive value's type. */
export const implicit = (n: number, content: Uint8Array): Der => tlv(0x80 | n, content);

export function integer(value: number): Der {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(value, 0, 6);
  let from = 0;
  while (from < 5 && bytes[from] === 0 && (bytes[from + 1] ?? 0) < 0x80) from++;
  return tlv(0x02, bytes.subarray(from));
}

export function oid(text: string): Der {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift((left % 128) | 0x80);
    }
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}

export function time(date: Date): Der {
  const text = `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  return tlv(0x18, Buffer.from(text));
}
