/** Who wants to connect, as providers and handlers see it. */
import type { TransportName } from '../native/contract.js';
import type { ConnectRequestEvent, ProtocolVersion } from '../native/events.js';
import { ClientCertificate } from './client-certificate.js';

/** Who wants to connect. */
export interface AuthContext {
  /** Assigned already where the client gave none. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  /** "127.0.0.1:52110", "[::1]:4040", "unix". */
  readonly address: string;
  /** The listener's name. */
  readonly listener: string;
  readonly transport: TransportName;
  /** The client's verified certificate; undefined = it gave none, or none was asked for. */
  readonly certificate: ClientCertificate | undefined;
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  /** Seconds; 0 = none. */
  readonly keepAlive: number;
  /** Seconds, as asked for. */
  readonly sessionExpiry: number | 'never';
  /** The Will's topic; undefined = no Will. */
  readonly willTopic: string | undefined;
  /** Of enhanced authentication; undefined = the CONNECT names none. */
  readonly authMethod: string | undefined;
  /** What came with it. */
  readonly authData: Buffer | undefined;
  /** Aborted when the verdict would come too late, or the broker stops. */
  readonly signal: AbortSignal;
}

export class Context implements AuthContext {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly address: string;
  readonly listener: string;
  readonly transport: TransportName;
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  readonly keepAlive: number;
  readonly sessionExpiry: number | 'never';
  readonly willTopic: string | undefined;
  readonly authMethod: string | undefined;
  readonly authData: Buffer | undefined;
  readonly #der: Buffer;
  #certificate: ClientCertificate | undefined;
  readonly #deadline: number;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(event: ConnectRequestEvent, listener: string, timeoutMs: number) {
    this.clientId = event.clientId;
    this.username = event.flags.hasUsername ? event.username : undefined;
    this.password = event.flags.hasPassword ? event.password : undefined;
    this.address = event.address;
    this.listener = listener;
    this.transport = event.transport;
    this.#der = event.certificate;
    this.protocolVersion = event.protocolVersion;
    this.cleanStart = event.flags.cleanStart;
    this.keepAlive = event.keepAlive;
    this.sessionExpiry = event.sessionExpiry;
    this.willTopic = event.flags.hasWill ? event.willTopic : undefined;
    this.authMethod = event.authMethod === '' ? undefined : event.authMethod;
    this.authData = event.authMethod === '' ? undefined : event.authData;
    this.#deadline = performance.now() + timeoutMs;
  }

  get certificate(): ClientCertificate | undefined {
    if (this.#der.length === 0) return undefined;
    this.#certificate ??= new ClientCertificate(this.#der);
    return this.#certificate;
  }

  /** Made when it is asked for: most handlers do not, and connects come by the thousand. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      const left = Math.max(0, this.#deadline - performance.now());
      if (!this.#settled) {
        const late = new Error('the time for a verdict is over (broker.verdict_timeout_ms)');
        this.#timer = setTimeout(() => this.abort(late), left).unref();
      }
    }
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    clearTimeout(this.#timer);
    this.#controller?.abort(reason);
  }

  settle(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
  }
}

/** `work`, or a rejection with the signal's reason as soon as it is aborted. */
export function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined);
    return Promise.reject(signal.reason);
  }
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
