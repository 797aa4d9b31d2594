/** The files of a listener's TLS table: read, and what is wrong with them in words that help. */
import { readFileSync } from 'node:fs';
import type { TlsConfig } from '../config/access-config.js';
import { readFailure } from '../config/read-failure.js';
import { fail } from '../errors.js';
import type { NativeTlsFailure, NativeTlsIdentity, NativeTlsOptions } from '../native/addon.js';

/** What is read for one listener. `files` keep the order of what a failure counts. */
export interface TlsFiles {
  readonly options: NativeTlsOptions;
  /** Of each identity: where its certificate and key are. */
  readonly identities: readonly IdentityFiles[];
  readonly caFile: string;
  readonly crlFile: string;
}

export interface IdentityFiles {
  readonly certificate: string;
  /** The same as the certificate's for PKCS#12. */
  readonly key: string;
}

export type TlsTransport = 'mqtt' | 'websocket';

/** Every path of a table: what is to be watched. */
export function filesOf({
  certpath,
  keypath,
  pkcs12path,
  capath,
  crlpath,
  sni,
}: TlsConfig): readonly string[] {
  const all = [certpath, keypath, pkcs12path, capath, crlpath];
  for (const identity of sni) all.push(identity.certpath, identity.keypath);
  return [...new Set(all.filter((path) => path !== ''))];
}

/** Throws ST_TLS_READ for a file that cannot be read. */
export function readTlsFiles(
  listener: string,
  config: TlsConfig,
  transport: TlsTransport,
): TlsFiles {
  const read = (what: string, file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (cause) {
      throw fail('ST_TLS_READ', { listener, what, file, why: readFailure(cause) }, { cause });
    }
  };
  const pem = (
    names: readonly string[],
    { certpath, keypath, keypass }: { certpath: string; keypath: string; keypass: string },
  ): NativeTlsIdentity => ({
    names,
    certificate: read('certificate', certpath),
    key: read('key', keypath),
    ...(keypass === '' ? {} : { passphrase: keypass }),
  });
  const own: NativeTlsIdentity =
    config.pkcs12path === ''
      ? pem([], config)
      : {
          names: [],
          pkcs12: read('PKCS#12 file', config.pkcs12path),
          ...(config.pkcs12pass === '' ? {} : { passphrase: config.pkcs12pass }),
        };
  return {
    options: {
      identities: [own, ...config.sni.map((identity) => pem([identity.name], identity))],
      ca: config.capath === '' ? [] : [read('CA file', config.capath)],
      crl: config.crlpath === '' ? [] : [read('CRL', config.crlpath)],
      verify: config.verify,
      min_version: config.minVersion,
      ciphers: config.ciphers,
      ciphersuites: config.ciphersuites,
      alpn: config.alpn.length > 0 ? config.alpn : defaultAlpn[transport],
      alpn_required: config.alpn.length > 0,
    },
    identities: [
      config.pkcs12path === ''
        ? { certificate: config.certpath, key: config.keypath }
        : { certificate: config.pkcs12path, key: config.pkcs12path },
      ...config.sni.map(({ certpath, keypath }) => ({ certificate: certpath, key: keypath })),
    ],
    caFile: config.capath,
    crlFile: config.crlpath,
  };
}

const defaultAlpn: Readonly<Record<TlsTransport, readonly string[]>> = {
  mqtt: ['mqtt'],
  websocket: ['http/1.1'],
};

/** The native half's refusal with the name of the file that is meant. */
export function tlsFailure(listener: string, files: TlsFiles, cause: NativeTlsFailure): Error {
  const identity = files.identities[cause.index] ?? { certificate: '', key: '' };
  const { reason: why } = cause;
  const item = (what: string, file: string, next: string) =>
    fail(
      'ST_TLS_ITEM',
      { listener, what: file === '' ? what : `${what} ${file}`, why, next },
      { cause },
    );
  switch (cause.item) {
    case 'openssl':
      return fail('ST_TLS_UNAVAILABLE', { listener, why }, { cause });
    case 'certificate':
      return item(
        'certificate',
        identity.certificate,
        'give a valid one in PEM form, its chain behind it',
      );
    case 'key':
      return item('key', identity.key, 'give the private key of the certificate, in PEM form');
    case 'passphrase':
      return item('passphrase of', identity.key, 'set keypass, or pkcs12pass, to the right one');
    case 'pkcs12':
      return item(
        'PKCS#12 file',
        identity.certificate,
        'give one with a valid certificate and its key',
      );
    case 'ca':
      return item('CA file', files.caFile, 'give the certificates of the CAs in PEM form');
    case 'crl':
      return item('CRL', files.crlFile, 'give current lists of the CAs in PEM form');
    case 'ciphers':
      return item('list of ciphers (TLS 1.2)', '', 'see `openssl ciphers -v` for the names');
    case 'ciphersuites':
      return item(
        'list of ciphersuites (TLS 1.3)',
        '',
        'see `openssl ciphers -v -tls1_3` for the names',
      );
    case 'alpn':
      return item('list of ALPN protocols', '', 'leave it out, or name protocols');
  }
}

export function isTlsFailure(thrown: unknown): thrown is NativeTlsFailure {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ST_NATIVE_TLS';
}
