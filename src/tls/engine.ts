/** Who does the cryptography of TLS listeners: the native half, or Node's own module tls. */
import type { NativeBroker, NativeListenSpec } from '../native/addon.js';

export interface TlsEngine extends Pick<NativeBroker, 'tlsContext' | 'setTls' | 'releaseTls'> {
  /** For a listening socket that is to have the context of this number. */
  place(tls: number): TlsPlace;
  /** It listens. */
  bound?(listenerId: number, tls: number): void;
  /** Its socket is closed; connections stay. */
  forget?(listenerId: number): void;
  /** After the native half has stopped. */
  stop?(): Promise<void>;
}

/** What of a NativeListenSpec says who does it. */
export type TlsPlace = Pick<NativeListenSpec, 'tls' | 'tls_outside'>;

export const noTls: TlsPlace = { tls: 0, tls_outside: false };

/** In the I/O threads. */
export function nativeEngine(
  native: Pick<NativeBroker, 'tlsContext' | 'setTls' | 'releaseTls'>,
): TlsEngine {
  return {
    tlsContext: (options) => native.tlsContext(options),
    setTls: (listenerId, tls) => native.setTls(listenerId, tls),
    releaseTls: (tls) => native.releaseTls(tls),
    place: (tls) => ({ tls, tls_outside: false }),
  };
}
