/** The files of a listener's TLS table: read, and what is wrong with them in words that help. */
import { readFileSync } from 'node:fs';
import type { SniConfig, TlsConfig } from '../config/access-config.js';
import { atPlace } from '../config/places.js';
import { readFailure } from '../config/read-failure.js';
import { fail } from '../errors.js';
import type { NativeTlsFailure, NativeTlsIdentity, NativeTlsOptions } from '../native/addon.js';

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
): NativeTlsOptions {
  const read = (what: string, key: FileKey, table: TlsConfig | SniConfig = config): Buffer => {
    const file = (table as TlsConfig)[key];
    try {
      return readFileSync(file);
    } catch (cause) {
      const why = readFailure(cause);
      throw atPlace(fail('ST_TLS_READ', { listener, what, file, why }, { cause }), table, key);
    }
  };
  const pem = (names: readonly string[], table: TlsConfig | SniConfig): NativeTlsIdentity => ({
    names,
    certificate: read('certificate', 'certpath', table),
    key: read('key', 'keypath', table),
    ...(table.keypass === '' ? {} : { passphrase: table.keypass }),
  });
  const own: NativeTlsIdentity =
    config.pkcs12path === ''
      ? pem([], config)
      : {
          names: [],
          pkcs12: read('PKCS#12 file', 'pkcs12path'),
          ...(config.pkcs12pass === '' ? {} : { passphrase: config.pkcs12pass }),
        };
  return {
    identities: [own, ...config.sni.map((identity) => pem([identity.name], identity))],
    ca: config.capath === '' ? [] : [read('CA file', 'capath')],
    crl: config.crlpath === '' ? [] : [read('CRL', 'crlpath')],
    verify: config.verify,
    min_version: config.minVersion,
    ciphers: config.ciphers,
    ciphersuites: config.ciphersuites,
    alpn: config.alpn.length > 0 ? config.alpn : defaultAlpn[transport],
    alpn_required: config.alpn.length > 0,
  };
}

type FileKey = 'certpath' | 'keypath' | 'pkcs12path' | 'capath' | 'crlpath';

const defaultAlpn: Readonly<Record<TlsTransport, readonly string[]>> = {
  mqtt: ['mqtt'],
  websocket: ['http/1.1'],
};

/** The native half's refusal, with the key that is meant and what it says. */
export function tlsFailure(listener: string, config: TlsConfig, cause: NativeTlsFailure): unknown {
  const { reason: why } = cause;
  const identity = [config, ...config.sni][cause.index] ?? config;
  const { pkcs12path = '' } = identity as Partial<TlsConfig>;
  const isPkcs12 = pkcs12path !== '';
  const item = (
    key: keyof TlsConfig,
    what: string,
    found: string,
    next: string,
    table?: object,
  ) => {
    const named = found === '' ? what : `${what} ${found}`;
    const error = fail('ST_TLS_ITEM', { listener, what: named, why, next }, { cause });
    return atPlace(error, table ?? config, key);
  };
  switch (cause.item) {
    case 'openssl':
      return atPlace(fail('ST_TLS_UNAVAILABLE', { listener, why }, { cause }), config);
    case 'certificate': {
      const next = 'give a valid one in PEM form, its chain behind it';
      return item('certpath', 'certificate', identity.certpath, next, identity);
    }
    case 'key': {
      const next = 'give the private key of the certificate, in PEM form';
      return item('keypath', 'key', identity.keypath, next, identity);
    }
    case 'passphrase': {
      const [key, file] = isPkcs12
        ? (['pkcs12pass', pkcs12path] as const)
        : (['keypass', identity.keypath] as const);
      return item(key, 'passphrase of', file, `set ${key} to the right one`, identity);
    }
    case 'pkcs12': {
      const next = 'give one with a valid certificate and its key';
      return item('pkcs12path', 'PKCS#12 file', pkcs12path, next, identity);
    }
    case 'ca': {
      const next = 'give the certificates of the CAs in PEM form';
      return item('capath', 'CA file', config.capath, next);
    }
    case 'crl': {
      const next = 'give current lists of the CAs in PEM form';
      return item('crlpath', 'CRL', config.crlpath, next);
    }
    case 'ciphers': {
      const next = 'see `openssl ciphers -v` for the names';
      return item('ciphers', 'list of ciphers (TLS 1.2)', quoted(config.ciphers), next);
    }
    case 'ciphersuites': {
      const next = 'see `openssl ciphers -v -tls1_3` for the names';
      const what = 'list of ciphersuites (TLS 1.3)';
      return item('ciphersuites', what, quoted(config.ciphersuites), next);
    }
    case 'alpn': {
      const next = 'leave it out, or name protocols';
      return item('alpn', 'list of ALPN protocols', '', next);
    }
  }
}

const kMostShown = 80;
const quoted = (list: string) =>
  list === ''
    ? ''
    : JSON.stringify(list.length > kMostShown ? `${list.slice(0, kMostShown)}…` : list);

export function isTlsFailure(thrown: unknown): thrown is NativeTlsFailure {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ST_NATIVE_TLS';
}
