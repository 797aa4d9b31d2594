// A native broker with one TLS listener, by the engine that is tested, and Node's own TLS client.
import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { NativeBroker, NativeTlsOptions } from '../../src/native/addon.js';
import { type CounterName, counterNames } from '../../src/native/counter-names.js';
import { loadAddon } from '../../src/native/load.js';
import { nativeEngine, type TlsEngine } from '../../src/tls/engine.js';
import { NodeTls } from '../../src/tls/node/node-tls.js';
import type { Issued } from '../harness/certificates.js';
import { isNode } from '../harness/tls-engine.js';
import { brokerOptions, listenSpec } from './raw-native.js';

export function tlsOptions(server: Issued, over: Partial<NativeTlsOptions> = {}): NativeTlsOptions {
  const certificate = Buffer.from(server.certificate);
  return {
    identities: [{ names: [], certificate, key: Buffer.from(server.key) }],
    ca: [],
    crl: [],
    verify: 'none',
    min_version: '1.2',
    ciphers: '',
    ciphersuites: '',
    alpn: [],
    alpn_required: false,
    ...over,
  };
}

/** Throws a NativeTlsFailure. */
export function checkOptions(options: NativeTlsOptions): void {
  if (isNode()) NodeTls.check(options);
  else loadAddon().tlsCheck(options);
}

export class TlsServer {
  readonly native: NativeBroker;
  readonly port: number;
  readonly listener: number;
  #sockets: TLSSocket[] = [];

  readonly #engine: TlsEngine;

  constructor(options: NativeTlsOptions, spec: Parameters<typeof listenSpec>[0] = {}) {
    let wake = () => {};
    this.native = loadAddon().createBroker(brokerOptions({ event_mask: 0 }), () => wake());
    if (isNode()) {
      const engine = new NodeTls(this.native);
      wake = engine.take;
      this.#engine = engine;
    } else {
      this.#engine = nativeEngine(this.native);
    }
    this.native.start();
    const tls = this.#engine.tlsContext(options);
    const { id, port } = this.native.listen(listenSpec({ ...this.#engine.place(tls), ...spec }));
    this.#engine.bound?.(id, tls);
    this.#engine.releaseTls(tls);
    this.listener = id;
    this.port = port;
  }

  /** For connections from now on. */
  use(options: NativeTlsOptions): void {
    const tls = this.#engine.tlsContext(options);
    this.#engine.setTls(this.listener, tls);
    this.#engine.releaseTls(tls);
  }

  /** Done as far as the client can tell; in TLS 1.3 the server may still refuse its certificate. */
  async connect(options: ConnectionOptions): Promise<TLSSocket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', ...options });
    this.#sockets.push(socket);
    await once(socket, 'secureConnect');
    return socket;
  }

  /** CONNACK for a CONNECT, or the error that came instead. */
  async talk(options: ConnectionOptions): Promise<TLSSocket> {
    const socket = await this.connect(options);
    socket.write(connectPacket);
    const closed = once(socket, 'close').then(() => Promise.reject(new Error('ECONNRESET')));
    const [answer] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer];
    if (answer[0] !== 0x20 || answer[3] !== 0)
      throw new Error(`not a CONNACK: ${answer.toString('hex')}`);
    return socket;
  }

  count(name: CounterName): number {
    const numbers = new BigInt64Array(counterNames.length);
    this.native.counters(numbers);
    return Number(numbers[counterNames.indexOf(name)]);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.native.stop();
    await this.#engine.stop?.();
  }
}

/** MQTT 3.1.1, clean session, empty Client Identifier. */
const connectPacket = Buffer.from('100c00044d5154540402000a0000', 'hex');
