/** Where a PROXY header ends. Whether it is one, and may be believed, the native half says. */

const kV2Signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const kV2HeadBytes = 16;
const kV1Begin = Buffer.from('PROXY ');
const kMaxV1Bytes = 107;

/** undefined = more bytes are needed. What is no header is handed on as if it were one. */
export function proxyHeaderBytes(bytes: Buffer): number | undefined {
  const startsLike = (begin: Buffer) =>
    bytes.subarray(0, begin.length).equals(begin.subarray(0, bytes.length));
  if (startsLike(kV2Signature)) {
    if (bytes.length < kV2HeadBytes) return undefined;
    const whole = kV2HeadBytes + bytes.readUInt16BE(14);
    return bytes.length < whole ? undefined : whole;
  }
  if (startsLike(kV1Begin)) {
    const end = bytes.indexOf('\r\n');
    if (end >= 0) return end + 2;
    return bytes.length < kMaxV1Bytes ? undefined : bytes.length;
  }
  return bytes.length;
}
