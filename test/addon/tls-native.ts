// A native broker with one TLS listener, and Node's own TLS client against it.
import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { NativeBroker, NativeTlsOptions } from '../../src/native/addon.js';
import { type CounterName, counterNames } from '../../src/native/counter-names.js';
import { loadAddon } from '../../src/native/load.js';
import type { Issued } from '../harness/certificates.js';
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

export class TlsServer {
  readonly native: NativeBroker;
  readonly port: number;
  readonly listener: number;
  #sockets: TLSSocket[] = [];

  constructor(options: NativeTlsOptions, spec: Parameters<typeof listenSpec>[0] = {}) {
    this.native = loadAddon().createBroker(brokerOptions({ event_mask: 0 }), () => undefined);
    this.native.start();
    const tls = this.native.tlsContext(options);
    const { id, port } = this.native.listen(listenSpec({ tls, ...spec }));
    this.native.releaseTls(tls);
    this.listener = id;
    this.port = port;
  }

  /** For connections from now on. */
  use(options: NativeTlsOptions): void {
    const tls = this.native.tlsContext(options);
    this.native.setTls(this.listener, tls);
    this.native.releaseTls(tls);
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
    const [answer] = (await once(socket, 'data')) as [Buffer];
    if (answer[0] !== 0x20 || answer[3] !== 0)
      throw new Error(`not a CONNACK: ${answer.toString('hex')}`);
    return socket;
  }

  count(name: CounterName): number {
    const numbers = new BigInt64Array(counterNames.length);
    this.native.counters(numbers);
    return Number(numbers[counterNames.indexOf(name)]);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.native.stop();
  }
}

/** MQTT 3.1.1, clean session, empty Client Identifier. */
const connectPacket = Buffer.from('100c00044d5154540402000a0000', 'hex');
