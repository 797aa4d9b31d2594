/**
 * What the properties of a PUBLISH say, by their bytes: those of one publisher and topic are mostly
 * the same, so most are compared instead of decoded. What is known is shared by messages: frozen.
 */
import { kNoProperties, type PropertySource, readProperties, type Told } from './decode.js';
import { kNobody, tellPublisher } from './publisher.js';

const kSlots = 256;
const kMaxBytes = 128;

export class PropertyReader implements PropertySource {
  readonly #tellsPublishers: boolean;
  readonly #bytes: (Buffer | undefined)[] = new Array<Buffer | undefined>(kSlots).fill(undefined);
  readonly #told: Told[] = new Array<Told>(kSlots).fill({
    properties: kNoProperties,
    publisher: kNobody,
  });

  /** `tellsPublishers`: the native half puts User Properties into each that say who has published. */
  constructor(tellsPublishers: boolean) {
    this.#tellsPublishers = tellsPublishers;
  }

  read(buffer: Buffer, start: number, end: number): Told {
    const length = end - start;
    if (length > kMaxBytes) return this.#decode(buffer, start, end);
    // Aliases and identifiers stand first, a name last: the middle seldom tells any apart.
    let hash = length;
    const head = Math.min(end, start + 8);
    for (let at = start; at < head; at++) hash = (Math.imul(hash, 31) + (buffer[at] as number)) | 0;
    for (let at = Math.max(head, end - 8); at < end; at++) {
      hash = (Math.imul(hash, 31) + (buffer[at] as number)) | 0;
    }
    const slot = (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (kSlots - 1);
    const known = this.#bytes[slot];
    if (known?.length === length) {
      let at = 0;
      while (at < length && known[at] === buffer[start + at]) at++;
      if (at === length) return this.#told[slot] as Told;
    }
    const told = this.#decode(buffer, start, end);
    // Bytes cannot be frozen: each message has its own.
    if (told.properties.correlationData !== undefined) return told;
    freeze(told);
    this.#bytes[slot] = Buffer.from(buffer.subarray(start, end));
    this.#told[slot] = told;
    return told;
  }

  #decode(buffer: Buffer, start: number, end: number): Told {
    const properties = readProperties(buffer.subarray(start, end));
    const told = this.#tellsPublishers ? tellPublisher(properties) : undefined;
    return told ?? { properties, publisher: kNobody };
  }
}

function freeze({ properties }: Told): void {
  const { userProperties, subscriptionIdentifiers } = properties;
  Object.freeze(properties);
  Object.freeze(subscriptionIdentifiers);
  for (const pair of userProperties ?? []) Object.freeze(pair);
  Object.freeze(userProperties);
}
