// Reading and writing the data types of section 1.5, with the checks that the standard demands.

/** What a receiver would answer with, and why. Code 0 stands for "close" in 3.x. */
export class DecodeError extends Error {
  readonly reason: number;
  constructor(reason: number, message: string) {
    super(message);
    this.name = 'DecodeError';
    this.reason = reason;
  }
}

export const malformed = (message: string) => new DecodeError(0x81, message);
export const protocolError = (message: string) => new DecodeError(0x82, message);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A cursor over one packet or one property block; running out of bytes is a Malformed Packet. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number, what: string): Buffer {
    if (count > this.left) throw malformed(`${what}: ${count} bytes wanted, ${this.left} left`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  rest(): Buffer {
    return this.take(this.left, 'rest');
  }

  u8(what: string): number {
    return this.take(1, what).readUInt8();
  }

  u16(what: string): number {
    return this.take(2, what).readUInt16BE();
  }

  u32(what: string): number {
    return this.take(4, what).readUInt32BE();
  }

  /** Variable Byte Integer, at most four bytes and in the shortest form [MQTT-1.5.5-1]. */
  varint(what: string): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.u8(what);
      value += (byte & 0x7f) * 128 ** i;
      if ((byte & 0x80) === 0) {
        if (i > 0 && byte === 0) throw malformed(`${what}: not the shortest form`);
        return value;
      }
    }
    throw malformed(`${what}: longer than four bytes`);
  }

  binary(what: string): Buffer {
    return this.take(this.u16(`length of ${what}`), what);
  }

  string(what: string): string {
    const bytes = this.binary(what);
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      throw malformed(`${what}: not UTF-8: ${bytes.toString('hex')}`);
    }
    if (text.includes('\0')) throw malformed(`${what}: contains U+0000`);
    return text;
  }
}

export const u8 = (value: number) => Buffer.from([value]);

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? digit | 0x80 : digit);
  } while (rest > 0);
  return Buffer.from(bytes);
}

export function binary(bytes: Buffer): Buffer {
  return Buffer.concat([u16(bytes.length), bytes]);
}

export const string = (text: string) => binary(Buffer.from(text, 'utf8'));

/** A whole packet: first byte, Remaining Length, body. */
export function frame(firstByte: number, ...body: Buffer[]): Buffer {
  const rest = Buffer.concat(body);
  return Buffer.concat([u8(firstByte), varint(rest.length), rest]);
}

/** Bytes from hex digits; blanks are ignored. */
export const hex = (digits: string) => Buffer.from(digits.replaceAll(/\s/g, ''), 'hex');
