// The frame of every conformance file: one broker per number of I/O threads, shared by its tests,
// with placement in turn, so that with several threads two connections in a row are apart.
import { afterAll, beforeAll, describe } from 'vitest';
import { type BrokerOptions, standIn, startBroker, type TestBroker } from '../harness/broker.js';
import { Client, type ConnectOptions } from '../harness/client.js';
import type { Version } from '../harness/packets.js';
import { type Address, Wire } from '../harness/wire.js';

/** One broker with short forms bound to it. Every connection is ended when the suite ends. */
export class Bench {
  readonly version: Version;
  #broker: TestBroker | undefined;
  readonly #wires: Wire[] = [];

  constructor(version: Version) {
    this.version = version;
  }

  get address(): Address {
    if (this.#broker === undefined) throw new Error('the broker is started by beforeAll');
    return { host: this.#broker.host, port: this.#broker.port };
  }

  /** Connected and accepted. */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    return this.#keep(await Client.connect(this.address, { version: this.version, ...options }));
  }

  /** CONNECT sent, answer not yet read. */
  async open(options: ConnectOptions = {}): Promise<Client> {
    return this.#keep(await Client.open(this.address, { version: this.version, ...options }));
  }

  /** A bare connection on which nothing was sent. */
  async raw(version: Version = this.version): Promise<Wire> {
    const wire = await Wire.open(this.address, version);
    this.#wires.push(wire);
    return wire;
  }

  async start(options: BrokerOptions): Promise<void> {
    this.#broker = await startBroker(options);
  }

  async stop(): Promise<void> {
    for (const wire of this.#wires) wire.close();
    await this.#broker?.stop();
  }

  #keep(client: Client): Client {
    this.#wires.push(client.wire);
    return client;
  }
}

const THREADS = standIn ? [1] : [1, 3];

/**
 * A suite run with 1 and with 3 I/O threads. `options` are the broker's; a suite that needs some
 * is skipped against a stand-in, whose options cannot be chosen.
 */
export function conformance(
  title: string,
  version: Version,
  options: BrokerOptions,
  body: (bench: Bench) => void,
): void {
  const skip = standIn && Object.keys(options).length > 0;
  describe.skipIf(skip).each(THREADS)(`${title}, %i I/O thread(s)`, (io_threads) => {
    const bench = new Bench(version);
    beforeAll(() => bench.start({ ...options, io_threads }));
    afterAll(() => bench.stop());
    body(bench);
  });
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
