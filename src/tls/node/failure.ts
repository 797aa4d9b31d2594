/** What is wrong with an item of a TLS table, in the native half's terms; and why a handshake failed. */
import type { NativeTlsFailure } from '../../native/addon.js';

export class NodeTlsFailure extends Error implements NativeTlsFailure {
  readonly code = 'ST_NATIVE_TLS';
  readonly item: NativeTlsFailure['item'];
  readonly index: number;
  readonly reason: string;

  constructor(item: NativeTlsFailure['item'], index: number, reason: string, cause?: unknown) {
    super(`${item}: ${reason}`, { cause });
    this.item = item;
    this.index = index;
    this.reason = reason;
  }
}

/** What OpenSSL says of an error, without what Node puts around it. */
export function reasonOf(error: unknown): string {
  const { reason, message } = error as { reason?: unknown; message?: unknown };
  return typeof reason === 'string' ? reason : String(message ?? error);
}

/** The native half's TlsFailureCause, by number. */
export const failureCauses = [
  'unfinished',
  'not_tls',
  'version',
  'certificate',
  'refused',
  'protocol',
] as const;
export type FailureCause = (typeof failureCauses)[number];

export interface HandshakeFailure {
  readonly cause: FailureCause;
  /** For the log. */
  readonly text: string;
}

const kHandshakeRecord = 0x16;
const kMqttConnect = 0x10;

/** Of a client whose first byte is none of TLS [RFC 8446, 5.1]; undefined = it is one. */
export function notTls(first: number | undefined): HandshakeFailure | undefined {
  if (first === kHandshakeRecord || first === undefined) return undefined;
  const isHttp = first >= 0x41 && first <= 0x5a;
  const text =
    first === kMqttConnect
      ? 'the client speaks MQTT without TLS, and this is a TLS port: give it the mqtts:// address, or use a port without TLS'
      : isHttp
        ? 'the client speaks HTTP without TLS, and this is a TLS port: give it the wss:// address'
        : "the client's first byte is not that of a TLS handshake";
  return { cause: 'not_tls', text };
}

const versionTexts: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the client offers no TLS version that this listener allows',
  ERR_SSL_VERSION_TOO_LOW: 'the client offers no TLS version that this listener allows',
  ERR_SSL_NO_SHARED_CIPHER:
    'the client offers no cipher that this listener allows and its key fits',
  ERR_SSL_NO_SUITABLE_KEY_SHARE: 'the client offers no key exchange group that this listener has',
  ERR_SSL_NO_SHARED_GROUP: 'the client offers no key exchange group that this listener has',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'the client offers no protocol (ALPN) that this listener has',
};

/** Of what tls.Server gives with 'tlsClientError'. */
export function explainHandshake(error: NodeJS.ErrnoException): HandshakeFailure {
  const { code = '' } = error;
  const text = versionTexts[code];
  if (text !== undefined) return { cause: 'version', text };
  if (/^ERR_SSL_.*_ALERT_/.test(code)) {
    return { cause: 'refused', text: `the client ended the handshake: ${reasonOf(error)}` };
  }
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') {
    return { cause: 'unfinished', text: 'the client went away during its TLS handshake' };
  }
  return { cause: 'protocol', text: `the handshake failed: ${reasonOf(error)}` };
}

/** As OpenSSL words them (X509_verify_cert_error_string). */
const verifyTexts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_REVOKED: 'certificate revoked',
  CRL_HAS_EXPIRED: 'CRL has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  INVALID_PURPOSE: 'unsuitable certificate purpose',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_GET_CRL: 'unable to get certificate CRL',
  UNABLE_TO_GET_ISSUER_CERT: 'unable to get issuer certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to verify the first certificate',
};

/** `error`: of TLSSocket.authorizationError. */
export function refusedCertificate(error: string): HandshakeFailure {
  const why = verifyTexts[error] ?? error.toLowerCase().replaceAll('_', ' ');
  return { cause: 'certificate', text: `the client's certificate is refused: ${why}` };
}

export const noCertificate: HandshakeFailure = {
  cause: 'certificate',
  text: 'the client sent no certificate, and this listener requires one',
};
