// An MQTT client for tests: short forms over a Wire for the usual exchanges, each with its own checks.
import type {
  AckPacket,
  ConnackPacket,
  ConnectPacket,
  FilterAckPacket,
  Packet,
  Properties,
  PublishPacket,
  QoS,
  Subscription,
  Version,
  Will,
} from './packets.js';
import { type Address, PATIENCE_MS, Wire } from './wire.js';

export interface ConnectOptions {
  version?: Version;
  clientId?: string;
  cleanStart?: boolean;
  /** Seconds; 0 = off, the default. */
  keepAlive?: number;
  will?: Partial<Omit<Will, 'payload'>> & { topic: string; payload?: string | Buffer };
  username?: string;
  password?: string | Buffer;
  properties?: Properties;
}

export interface PublishOptions {
  qos?: QoS;
  retain?: boolean;
  dup?: boolean;
  packetId?: number;
  properties?: Properties;
}

/** A filter with its options; a bare string is QoS 0. */
export type Filter = string | (Partial<Subscription> & { filter: string });

let names = 0;

/** A name that no other test of this run uses; letters and digits only, at most 23. */
export function unique(prefix = 'c'): string {
  names += 1;
  return `${prefix}x${process.pid.toString(36)}x${names.toString(36)}`;
}

export function connectPacket(options: ConnectOptions = {}): ConnectPacket {
  const version = options.version ?? '5.0';
  const packet: ConnectPacket = {
    type: 'CONNECT',
    protocolName: version === '3.1' ? 'MQIsdp' : 'MQTT',
    protocolLevel: { '3.1': 3, '3.1.1': 4, '5.0': 5 }[version],
    bridge: false,
    cleanStart: options.cleanStart ?? true,
    keepAlive: options.keepAlive ?? 0,
    clientId: options.clientId ?? unique(),
    properties: options.properties ?? {},
  };
  if (options.will !== undefined) {
    const will = options.will;
    packet.will = {
      topic: will.topic,
      payload: Buffer.from(will.payload ?? ''),
      qos: will.qos ?? 0,
      retain: will.retain ?? false,
      properties: will.properties ?? {},
    };
  }
  if (options.username !== undefined) packet.username = options.username;
  if (options.password !== undefined) packet.password = Buffer.from(options.password);
  return packet;
}

export function subscription(filter: Filter): Subscription {
  const defaults = { qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  return typeof filter === 'string' ? { ...defaults, filter } : { ...defaults, ...filter };
}

export function publishPacket(
  topic: string,
  payload: string | Buffer,
  options: PublishOptions = {},
): PublishPacket {
  return {
    type: 'PUBLISH',
    topic,
    payload: Buffer.from(payload),
    qos: options.qos ?? 0,
    retain: options.retain ?? false,
    dup: options.dup ?? false,
    ...(options.packetId === undefined ? {} : { packetId: options.packetId }),
    properties: options.properties ?? {},
  };
}

export function ack<T extends 'PUBACK' | 'PUBREC' | 'PUBREL' | 'PUBCOMP'>(
  type: T,
  packetId: number | undefined,
  reasonCode = 0,
  properties: Properties = {},
): AckPacket<T> {
  return { type, packetId: packetId ?? 0, reasonCode, properties };
}

export class Client {
  readonly wire: Wire;
  readonly clientId: string;
  readonly #connect: ConnectPacket;
  #connack: ConnackPacket | undefined;
  #nextId = 0;

  private constructor(wire: Wire, packet: ConnectPacket) {
    this.wire = wire;
    this.clientId = packet.clientId;
    this.#connect = packet;
  }

  /** Opens a connection, sends CONNECT and returns when CONNACK has accepted it. */
  static async connect(address: Address, options: ConnectOptions = {}): Promise<Client> {
    const client = await Client.open(address, options);
    const connack = await client.wire.expect('CONNACK');
    if (connack.reasonCode !== 0)
      throw new Error(`CONNACK 0x${connack.reasonCode.toString(16)}\n${client.wire.transcript}`);
    client.#connack = connack;
    return client;
  }

  /** Opens a connection and sends CONNECT; the answer is left to the test. */
  static async open(address: Address, options: ConnectOptions = {}): Promise<Client> {
    const packet = connectPacket(options);
    const wire = await Wire.open(address, options.version ?? '5.0', packet.clientId);
    const client = new Client(wire, packet);
    wire.send(packet);
    return client;
  }

  get version(): Version {
    return this.wire.version;
  }

  get connack(): ConnackPacket {
    if (this.#connack === undefined) throw new Error('not connected by Client.connect');
    return this.#connack;
  }

  get connectPacket(): ConnectPacket {
    return this.#connect;
  }

  newPacketId(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  send(what: Packet | Buffer): void {
    this.wire.send(what);
  }

  /** SUBSCRIBE and its SUBACK, which must have the same Packet Identifier. */
  async subscribe(
    filters: Filter | Filter[],
    properties: Properties = {},
  ): Promise<FilterAckPacket<'SUBACK'>> {
    const packetId = this.newPacketId();
    const subscriptions = [filters].flat().map(subscription);
    this.send({ type: 'SUBSCRIBE', packetId, subscriptions, properties });
    const suback = await this.wire.answer('SUBACK');
    this.#same(suback.packetId, packetId);
    return suback;
  }

  async unsubscribe(
    filters: string | string[],
    properties: Properties = {},
  ): Promise<FilterAckPacket<'UNSUBACK'>> {
    const packetId = this.newPacketId();
    this.send({ type: 'UNSUBSCRIBE', packetId, filters: [filters].flat(), properties });
    const unsuback = await this.wire.answer('UNSUBACK');
    this.#same(unsuback.packetId, packetId);
    return unsuback;
  }

  /** PUBLISH and, for QoS 1 and 2, the whole exchange; returns the code of PUBACK or PUBREC. */
  async publish(
    topic: string,
    payload: string | Buffer = '',
    options: PublishOptions = {},
  ): Promise<number> {
    const qos = options.qos ?? 0;
    const packetId = qos === 0 ? undefined : (options.packetId ?? this.newPacketId());
    this.send(
      publishPacket(topic, payload, {
        ...options,
        ...(packetId === undefined ? {} : { packetId }),
      }),
    );
    if (qos === 0) return 0;
    const answer = await this.wire.answer(qos === 1 ? 'PUBACK' : 'PUBREC');
    this.#same(answer.packetId, packetId);
    if (qos === 1 || answer.reasonCode >= 0x80) return answer.reasonCode;
    this.send(ack('PUBREL', packetId));
    const complete = await this.wire.answer('PUBCOMP');
    this.#same(complete.packetId, packetId);
    return answer.reasonCode;
  }

  /** The next packet, which must be a PUBLISH, acknowledged by the whole exchange of its QoS. */
  async receive(timeout_ms = PATIENCE_MS): Promise<PublishPacket> {
    const message = await this.wire.expect('PUBLISH', timeout_ms);
    if (message.qos === 1) this.send(ack('PUBACK', message.packetId));
    if (message.qos === 2) {
      this.send(ack('PUBREC', message.packetId));
      const release = await this.wire.answer('PUBREL', timeout_ms);
      this.#same(release.packetId, message.packetId);
      this.send(ack('PUBCOMP', message.packetId));
    }
    return message;
  }

  /** The payloads of the next `count` messages, as text. */
  async receiveTexts(count: number): Promise<string[]> {
    const texts: string[] = [];
    for (let i = 0; i < count; i++) texts.push((await this.receive()).payload.toString());
    return texts;
  }

  /** A round trip: what was sent before has been processed by the connection's thread. */
  async ping(): Promise<void> {
    this.send({ type: 'PINGREQ' });
    await this.wire.answer('PINGRESP');
  }

  /** DISCONNECT, then waits for the broker to close. */
  async disconnect(reasonCode = 0, properties: Properties = {}): Promise<void> {
    this.send({ type: 'DISCONNECT', reasonCode, properties });
    await this.wire.expectClosed();
  }

  /** Ends without DISCONNECT. */
  close(): void {
    this.wire.close();
  }

  #same(got: number, wanted: number | undefined): void {
    if (got !== wanted)
      throw new Error(`Packet Identifier ${got} came, ${wanted} expected\n${this.wire.transcript}`);
  }
}
