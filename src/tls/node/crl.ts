/** When a CRL expires: the one thing of it that must be known, and that Node's modules do not tell. */

const kSequence = 0x30;
const kInteger = 0x02;
const kUtcTime = 0x17;
const kGeneralizedTime = 0x18;

interface Item {
  readonly tag: number;
  readonly body: Buffer;
  /** Of the one behind it. */
  readonly next: number;
}

/** undefined = it is no DER. */
function itemAt(der: Buffer, at: number): Item | undefined {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const extra = first < 0x80 ? 0 : first & 0x7f;
  if (extra > 4 || at + 2 + extra > der.length) return undefined;
  const length = extra === 0 ? first : der.readUIntBE(at + 2, extra);
  const begin = at + 2 + extra;
  if (begin + length > der.length) return undefined;
  return { tag, body: der.subarray(begin, begin + length), next: begin + length };
}

/** "YYMMDDhhmmssZ" or "YYYYMMDDhhmmssZ" [RFC 5280, 5.1.2.4]. */
function timeOf({ tag, body }: Item): Date | undefined {
  if (tag !== kUtcTime && tag !== kGeneralizedTime) return undefined;
  const text = body.toString('latin1');
  const digits = tag === kUtcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits) ?? [];
  if (y === undefined) return undefined;
  return new Date(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
}

/** Of a CRL in PEM form; 'none' = it does not say; undefined = it is no CRL. */
export function crlNextUpdate(pem: string): Date | 'none' | undefined {
  const der = Buffer.from(pem.replace(/-----[^-]*-----/g, ''), 'base64');
  const list = itemAt(der, 0);
  const signed = list?.tag === kSequence ? itemAt(list.body, 0) : undefined;
  if (signed?.tag !== kSequence) return undefined;
  let at = 0;
  const take = (): Item | undefined => {
    const item = itemAt(signed.body, at);
    if (item !== undefined) at = item.next;
    return item;
  };
  // TBSCertList [RFC 5280, 5.1]: version, signature, issuer, thisUpdate, nextUpdate.
  const first = take();
  const algorithm = first?.tag === kInteger ? take() : first;
  const issuer = take();
  const issued = take();
  if (algorithm?.tag !== kSequence || issuer?.tag !== kSequence) return undefined;
  if (issued === undefined || timeOf(issued) === undefined) return undefined;
  const next = take();
  if (next === undefined || (next.tag !== kUtcTime && next.tag !== kGeneralizedTime)) return 'none';
  return timeOf(next);
}
