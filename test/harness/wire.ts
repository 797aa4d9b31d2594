// One TCP connection that sends and receives whole Control Packets and waits with clear failures.
import { connect, type Socket } from 'node:net';
import { decode, frameSize } from './decode.js';
import { encode } from './encode.js';
import type { Packet, PacketOf, PacketType, Version } from './packets.js';
import { Transcript } from './transcript.js';

/** For what must come: generous, because the machine may be busy. */
export const PATIENCE_MS = Number(process.env.STMQTTD_TEST_PATIENCE_MS ?? 10_000);
/** For what must not come: short, because it is waited out in full. */
export const SILENCE_MS = 150;

export interface Address {
  host: string;
  port: number;
}

type End = 'closed' | 'reset';

export class Wire {
  readonly version: Version;
  readonly transcript: Transcript;
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  readonly #packets: Packet[] = [];
  #bad: Error | undefined;
  #end: End | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, version: Version, name: string) {
    this.#socket = socket;
    this.version = version;
    this.transcript = new Transcript(`${name} (${version})`);
    socket.on('data', (bytes: Buffer) => this.#onData(bytes));
    socket.on('error', () => this.#onEnd('reset'));
    socket.on('close', () => this.#onEnd('closed'));
    // A half-closed peer has said all it will say.
    socket.on('end', () => this.#onEnd('closed'));
  }

  static async open(address: Address, version: Version, name = 'raw'): Promise<Wire> {
    const socket = connect({ ...address, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Wire(socket, version, name);
  }

  /** Sends a packet, or bytes as they are. */
  send(what: Packet | Buffer): void {
    const bytes = Buffer.isBuffer(what) ? what : encode(what, this.version);
    this.transcript.bytes('->', Buffer.isBuffer(what) ? 'bytes' : what, bytes);
    this.#socket.write(bytes);
  }

  /** Several packets in one segment. */
  sendTogether(...packets: (Packet | Buffer)[]): void {
    this.#socket.cork();
    for (const packet of packets) this.send(packet);
    this.#socket.uncork();
  }

  /** The next packet, whatever it is. */
  async next(timeout_ms = PATIENCE_MS): Promise<Packet> {
    const packet = await this.#take(timeout_ms);
    if (packet === undefined) throw this.#failure(`no packet within ${timeout_ms} ms`);
    if (packet === 'ended') throw this.#failure('a packet was expected, but the connection ended');
    return packet;
  }

  /** The next packet, which must be of this type. */
  async expect<T extends PacketType>(type: T, timeout_ms = PATIENCE_MS): Promise<PacketOf<T>> {
    const packet = await this.#take(timeout_ms);
    if (packet === undefined) throw this.#failure(`no ${type} within ${timeout_ms} ms`);
    if (packet === 'ended') throw this.#failure(`${type} expected, but the connection ended`);
    if (packet.type !== type) throw this.#failure(`${type} expected, ${packet.type} came`);
    return packet as PacketOf<T>;
  }

  /**
   * The answer to a request: the next packet of this type. Messages that come before it stay to be
   * read; the standard lets a server send them first. Anything else is a failure.
   */
  async answer<T extends PacketType>(type: T, timeout_ms = PATIENCE_MS): Promise<PacketOf<T>> {
    const messages: Packet[] = [];
    try {
      for (;;) {
        const packet = await this.#take(timeout_ms);
        if (packet === undefined) throw this.#failure(`no ${type} within ${timeout_ms} ms`);
        if (packet === 'ended') throw this.#failure(`${type} expected, but the connection ended`);
        if (packet.type === type) return packet as PacketOf<T>;
        if (packet.type !== 'PUBLISH') throw this.#failure(`${type} expected, ${packet.type} came`);
        messages.push(packet);
      }
    } finally {
      this.#packets.unshift(...messages);
    }
  }

  /** Whether a packet is there to be read, now or within `ms`. */
  async hasPacket(ms: number): Promise<boolean> {
    const packet = await this.#take(ms);
    if (packet === undefined || packet === 'ended') return false;
    this.#packets.unshift(packet);
    return true;
  }

  /** Whether the connection ends within `ms`. */
  async hasEnded(ms: number): Promise<boolean> {
    const packet = await this.#take(ms);
    if (packet !== undefined && packet !== 'ended') this.#packets.unshift(packet);
    return packet === 'ended';
  }

  /** The connection ends, and nothing comes before that. */
  async expectClosed(timeout_ms = PATIENCE_MS): Promise<void> {
    const packet = await this.#take(timeout_ms);
    if (packet === undefined) throw this.#failure(`still open after ${timeout_ms} ms`);
    if (packet !== 'ended') throw this.#failure(`the end was expected, ${packet.type} came`);
  }

  /** Nothing comes, and the connection stays. */
  async expectNothing(ms = SILENCE_MS): Promise<void> {
    const packet = await this.#take(ms);
    if (packet === 'ended') throw this.#failure('the connection ended, it should stay');
    if (packet !== undefined) throw this.#failure(`nothing was expected, ${packet.type} came`);
  }

  /**
   * The broker ends the connection for a fault of the client's: in 5.0 by DISCONNECT with one of
   * the Reason Codes, in 3.x without a word. Returns the DISCONNECT of 5.0.
   */
  async expectDisconnect(
    reasons: number | readonly number[],
    timeout_ms = PATIENCE_MS,
  ): Promise<PacketOf<'DISCONNECT'> | undefined> {
    if (this.version !== '5.0') {
      await this.expectClosed(timeout_ms);
      return undefined;
    }
    const packet = await this.expect('DISCONNECT', timeout_ms);
    const allowed = typeof reasons === 'number' ? [reasons] : reasons;
    if (!allowed.includes(packet.reasonCode)) {
      const wanted = allowed.map((code) => `0x${code.toString(16)}`).join(' or ');
      throw this.#failure(
        `DISCONNECT ${wanted} expected, 0x${packet.reasonCode.toString(16)} came`,
      );
    }
    await this.expectClosed(timeout_ms);
    return packet;
  }

  /**
   * CONNECT is refused: in 5.0 by CONNACK with one of the Reason Codes, in 3.x by CONNACK with a
   * return code, or without a word where `codes` is empty. Then the connection ends.
   */
  async expectRefused(...codes: number[]): Promise<PacketOf<'CONNACK'> | undefined> {
    if (codes.length === 0) {
      await this.expectClosed();
      return undefined;
    }
    const packet = await this.expect('CONNACK');
    if (!codes.includes(packet.reasonCode) || packet.sessionPresent) {
      const wanted = codes.map((code) => `0x${code.toString(16)}`).join(' or ');
      throw this.#failure(`CONNACK ${wanted} without Session Present expected`);
    }
    await this.expectClosed();
    return packet;
  }

  /** No more reading from the socket, so that the broker's output backs up. */
  pause(): void {
    this.transcript.note('reading paused');
    this.#socket.pause();
  }

  resume(): void {
    this.transcript.note('reading resumed');
    this.#socket.resume();
  }

  /** Ends without DISCONNECT, orderly for TCP. */
  close(): void {
    this.transcript.note('closed by the test');
    this.#socket.destroy();
  }

  /** Ends by a TCP reset. */
  reset(): void {
    this.transcript.note('reset by the test');
    this.#socket.resetAndDestroy();
  }

  #onData(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    try {
      for (;;) {
        const size = frameSize(this.#unread);
        if (size === undefined) break;
        const packet = this.#unread.subarray(0, size);
        this.#unread = this.#unread.subarray(size);
        const decoded = decode(packet, this.version, 's2c');
        this.transcript.bytes('<-', decoded, packet);
        this.#packets.push(decoded);
      }
    } catch (error) {
      this.transcript.bytes('<-', 'NOT DECODABLE', this.#unread);
      this.#bad = error as Error;
    }
    this.#wake?.();
  }

  #onEnd(how: End): void {
    if (this.#end === undefined) this.transcript.note(how);
    this.#end ??= how;
    this.#socket.destroy();
    this.#wake?.();
  }

  async #take(timeout_ms: number): Promise<Packet | 'ended' | undefined> {
    const deadline = performance.now() + timeout_ms;
    for (;;) {
      const packet = this.#packets.shift();
      if (packet !== undefined) return packet;
      if (this.#bad !== undefined)
        throw this.#failure(`the broker sent a packet that is not valid: ${this.#bad.message}`);
      if (this.#end !== undefined) {
        if (this.#unread.length > 0) throw this.#failure('the connection ended inside a packet');
        return 'ended';
      }
      const left_ms = deadline - performance.now();
      if (left_ms <= 0) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left_ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }

  #failure(text: string): Error {
    return new Error(`${text}\n${this.transcript}`);
  }
}
