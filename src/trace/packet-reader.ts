/** Reads a Control Packet's fields one by one. Throws a RangeError where the bytes end. */

type Properties = Record<string, unknown>;

const propertyKinds = {
  1: ['payloadFormatIndicator', 'u8'],
  2: ['messageExpiryInterval', 'u32'],
  3: ['contentType', 'string'],
  8: ['responseTopic', 'string'],
  9: ['correlationData', 'binary'],
  11: ['subscriptionIdentifier', 'varint'],
  17: ['sessionExpiryInterval', 'u32'],
  18: ['assignedClientIdentifier', 'string'],
  19: ['serverKeepAlive', 'u16'],
  21: ['authenticationMethod', 'string'],
  22: ['authenticationData', 'secret'],
  23: ['requestProblemInformation', 'u8'],
  24: ['willDelayInterval', 'u32'],
  25: ['requestResponseInformation', 'u8'],
  26: ['responseInformation', 'string'],
  28: ['serverReference', 'string'],
  31: ['reasonString', 'string'],
  33: ['receiveMaximum', 'u16'],
  34: ['topicAliasMaximum', 'u16'],
  35: ['topicAlias', 'u16'],
  36: ['maximumQos', 'u8'],
  37: ['retainAvailable', 'u8'],
  38: ['userProperties', 'pair'],
  39: ['maximumPacketSize', 'u32'],
  40: ['wildcardSubscriptionAvailable', 'u8'],
  41: ['subscriptionIdentifierAvailable', 'u8'],
  42: ['sharedSubscriptionAvailable', 'u8'],
} as const satisfies Record<number, readonly [name: string, kind: string]>;

export class PacketReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** The fixed header; returns the Remaining Length. */
  header(): number {
    this.u8();
    return this.varint();
  }

  u8(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw new RangeError('the packet ends');
    this.#at++;
    return value;
  }
  u16(): number {
    return this.u8() * 256 + this.u8();
  }
  u32(): number {
    return this.u16() * 65_536 + this.u16();
  }
  varint(): number {
    let value = 0;
    for (let factor = 1; factor <= 128 ** 3; factor *= 128) {
      const byte = this.u8();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError('a Variable Byte Integer without an end');
  }
  binary(): Buffer {
    return this.#take(this.u16());
  }
  string(): string {
    return this.binary().toString('utf8');
  }
  rest(): Buffer {
    return this.#take(this.#bytes.length - this.#at);
  }

  /** By their names; those that may come more than once as lists. */
  properties(): Properties {
    const end = this.varint() + this.#at;
    if (end > this.#bytes.length) throw new RangeError('the packet ends');
    const properties: Properties = {};
    while (this.#at < end) {
      const id = this.varint();
      const known = propertyKinds[id as keyof typeof propertyKinds];
      if (known === undefined) throw new RangeError(`property ${id} is unknown`);
      const [name, kind] = known;
      if (kind === 'pair') {
        const list = (properties[name] as [string, string][] | undefined) ?? [];
        list.push([this.string(), this.string()]);
        properties[name] = list;
      } else if (kind === 'varint') {
        const list = (properties.subscriptionIdentifiers as number[] | undefined) ?? [];
        list.push(this.varint());
        properties.subscriptionIdentifiers = list;
      } else {
        properties[name] = this.#value(kind);
      }
    }
    return properties;
  }

  #value(kind: 'u8' | 'u16' | 'u32' | 'string' | 'binary' | 'secret'): unknown {
    switch (kind) {
      case 'u8':
        return this.u8();
      case 'u16':
        return this.u16();
      case 'u32':
        return this.u32();
      case 'string':
        return this.string();
      case 'binary':
        return { base64: this.binary().toString('base64') };
      case 'secret':
        this.binary();
        return 'not shown';
    }
  }

  #take(bytes: number): Buffer {
    if (this.#at + bytes > this.#bytes.length) throw new RangeError('the packet ends');
    this.#at += bytes;
    return this.#bytes.subarray(this.#at - bytes, this.#at);
  }
}
