// A WebSocket client made of bytes: an upgrade request and frames as a test writes them, the good ones
// and the others. What comes is taken apart strictly: server frames are unmasked and not empty.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { decode, frameSize } from './decode.js';
import { encode } from './encode.js';
import type { Packet, PacketOf, PacketType, Version } from './packets.js';
import { type Address, PATIENCE_MS } from './wire.js';

export interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

export const kOpcode = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

export interface FrameOptions {
  readonly fin?: boolean;
  /** The reserved bits, 1 to 7. */
  readonly reserved?: number;
  readonly masked?: boolean;
}

/** A frame as a client sends it. */
export function clientFrame(
  opcode: number,
  payload: Buffer | string = '',
  { fin = true, reserved = 0, masked = true }: FrameOptions = {},
): Buffer {
  const bytes = Buffer.from(payload);
  const bit = masked ? 0x80 : 0;
  const head = Buffer.alloc(bytes.length < 126 ? 2 : bytes.length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  if (bytes.length < 126) head[1] = bit | bytes.length;
  else if (bytes.length < 65_536) {
    head[1] = bit | 126;
    head.writeUInt16BE(bytes.length, 2);
  } else {
    head[1] = bit | 127;
    head.writeBigUInt64BE(BigInt(bytes.length), 2);
  }
  if (!masked) return Buffer.concat([head, bytes]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, bytes.map((byte, i) => byte ^ (mask[i & 3] ?? 0))]);
}

export interface UpgradeOptions {
  readonly path?: string;
  /** null = none is offered. */
  readonly protocols?: string | null;
  /** Beside those of the handshake, or instead of them. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Bytes in front of everything, outside of TLS: a PROXY header. */
  readonly before?: Buffer | string;
  readonly tls?: { readonly ca: Buffer | string };
}

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export class RawWebSocket {
  readonly answer: Answer;
  readonly #stream: ByteStream;
  #mqtt: Buffer = Buffer.alloc(0);

  private constructor(stream: ByteStream, answer: Answer) {
    this.#stream = stream;
    this.answer = answer;
  }

  /** Asks for the upgrade; the answer may be a refusal. */
  static async ask(address: Address, options: UpgradeOptions = {}): Promise<RawWebSocket> {
    const stream = await ByteStream.open(address, options);
    const protocols = options.protocols === undefined ? 'mqtt' : options.protocols;
    const headers: Record<string, string | undefined> = {
      Host: `${address.host}:${address.port}`,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Version': '13',
      ...(protocols === null ? {} : { 'Sec-WebSocket-Protocol': protocols }),
      ...options.headers,
    };
    const lines = Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}: ${value}\r\n`],
    );
    stream.write(`GET ${options.path ?? '/mqtt'} HTTP/1.1\r\n${lines.join('')}\r\n`);
    return new RawWebSocket(stream, await stream.readAnswer());
  }

  /** Asks, and must be accepted. */
  static async open(address: Address, options: UpgradeOptions = {}): Promise<RawWebSocket> {
    const socket = await RawWebSocket.ask(address, options);
    if (socket.answer.status !== 101) {
      throw new Error(`101 expected, ${socket.answer.status} came: ${socket.answer.body}`);
    }
    return socket;
  }

  /** Bytes as they are. */
  write(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  frame(opcode: number, payload: Buffer | string = '', options: FrameOptions = {}): void {
    this.write(clientFrame(opcode, payload, options));
  }

  /** Each packet in a frame of its own. */
  send(version: Version, ...packets: Packet[]): void {
    for (const packet of packets) this.frame(kOpcode.binary, encode(packet, version));
  }

  /** The next frame; undefined at the end of the stream. */
  async nextFrame(): Promise<Frame | undefined> {
    const head = await this.#stream.read(2);
    if (head === undefined) return undefined;
    const [first = 0, second = 0] = head;
    if ((second & 0x80) !== 0) throw new Error('a server frame is masked');
    if ((first & 0x70) !== 0) throw new Error('a reserved bit is set');
    let size = second;
    if (size >= 126) {
      const more = await this.#stream.read(size === 126 ? 2 : 8);
      if (more === undefined) throw new Error('the stream ended inside a frame');
      size = more.length === 2 ? more.readUInt16BE() : Number(more.readBigUInt64BE());
      if (size < (more.length === 2 ? 126 : 65_536)) throw new Error('a length is too long');
    }
    const payload = size === 0 ? Buffer.alloc(0) : await this.#stream.read(size);
    if (payload === undefined) throw new Error('the stream ended inside a frame');
    const opcode = first & 0x0f;
    if (size === 0 && opcode < 8) throw new Error('an empty data frame');
    return { fin: (first & 0x80) !== 0, opcode, payload };
  }

  /** The next Control Packet, of binary frames only. */
  async expect<T extends PacketType>(type: T, version: Version): Promise<PacketOf<T>> {
    for (;;) {
      const size = frameSize(this.#mqtt);
      if (size !== undefined) {
        const packet = decode(this.#mqtt.subarray(0, size), version, 's2c');
        this.#mqtt = this.#mqtt.subarray(size);
        if (packet.type !== type) throw new Error(`${type} expected, ${packet.type} came`);
        return packet as PacketOf<T>;
      }
      const frame = await this.nextFrame();
      if (frame?.opcode !== kOpcode.binary) {
        throw new Error(`${type} expected, ${frame ? `opcode ${frame.opcode}` : 'the end'} came`);
      }
      this.#mqtt = Buffer.concat([this.#mqtt, frame.payload]);
    }
  }

  /** The status of the broker's Close frame, behind which the stream ends. */
  async expectClose(): Promise<number> {
    const frame = await this.nextFrame();
    if (frame?.opcode !== kOpcode.close) {
      throw new Error(`Close expected, ${frame ? `opcode ${frame.opcode}` : 'the end'} came`);
    }
    await this.expectEnd();
    return frame.payload.length === 0 ? 1005 : frame.payload.readUInt16BE();
  }

  async expectEnd(): Promise<void> {
    const byte = await this.#stream.read(1);
    if (byte !== undefined) throw new Error(`the end was expected, ${byte.toString('hex')} came`);
  }

  close(): void {
    this.#stream.close();
  }
}

/** A socket that is read by counts of bytes. */
class ByteStream {
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('data', (bytes: Buffer) => {
      this.#unread = Buffer.concat([this.#unread, bytes]);
      this.#wake?.();
    });
    socket.on('error', end);
    socket.on('end', end);
    socket.on('close', end);
  }

  static async open(address: Address, options: UpgradeOptions): Promise<ByteStream> {
    const plain = connect({ host: address.host, port: address.port, noDelay: true });
    await once(plain, 'connect');
    if (options.before !== undefined) plain.write(options.before);
    if (options.tls === undefined) return new ByteStream(plain);
    const secure = connectTls({ socket: plain, ca: options.tls.ca, servername: 'localhost' });
    await once(secure, 'secureConnect');
    return new ByteStream(secure);
  }

  write(bytes: Buffer | string): void {
    this.#socket.write(bytes);
  }

  /** Exactly `count` bytes; undefined if the stream ends first. */
  async read(count: number): Promise<Buffer | undefined> {
    while (this.#unread.length < count) {
      if (this.#ended) return undefined;
      await this.#more(`${count} bytes`);
    }
    const bytes = this.#unread.subarray(0, count);
    this.#unread = this.#unread.subarray(count);
    return bytes;
  }

  async readAnswer(): Promise<Answer> {
    let end = -1;
    for (;;) {
      end = this.#unread.indexOf('\r\n\r\n');
      if (end >= 0) break;
      if (this.#ended) throw new Error(`the connection ended: '${this.#unread}'`);
      await this.#more('an HTTP answer');
    }
    const [first = '', ...lines] = this.#unread.subarray(0, end).toString().split('\r\n');
    this.#unread = this.#unread.subarray(end + 4);
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const length = Number(headers.get('content-length') ?? 0);
    const body = length === 0 ? '' : String(await this.read(length));
    return { status: Number(first.split(' ')[1]), headers, body };
  }

  close(): void {
    this.#socket.destroy();
  }

  async #more(what: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no ${what} in time`)), PATIENCE_MS);
      this.#wake = resolve;
    }).finally(() => clearTimeout(timer));
    this.#wake = undefined;
  }
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
  });
}
