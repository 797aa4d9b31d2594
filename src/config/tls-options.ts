/** The rows of a listener's `.tls` table, ST-RMQTT's among them. */
import { oneOf, path, string, strings, type WrittenTable } from './rows.js';

const passphrase = (help: string) =>
  string({ default: '', secret: true, allowed: 'text', reload: 'new-connections', help });

export const tlsRows = {
  certpath: path({
    reload: 'new-connections',
    help: 'The certificate, PEM, with its chain behind it.',
  }),
  keypath: path({ reload: 'new-connections', help: 'Its private key, PEM.' }),
  keypass: passphrase('The passphrase of an encrypted key.'),
  pkcs12path: path({
    reload: 'new-connections',
    help: 'Certificate, chain and key as PKCS #12, instead of certpath and keypath.',
  }),
  pkcs12pass: passphrase('Its password.'),
  capath: path({
    reload: 'new-connections',
    help: 'The CAs that client certificates must come from, PEM, any number of them. Without verify_client_cert it means "require".',
  }),
  crlpath: path({
    reload: 'new-connections',
    help: 'Revoked client certificates, PEM, any number of lists.',
  }),
  verify_client_cert: oneOf({
    default: {
      text: '"require" with capath, else "none"',
      value: (): 'none' | 'optional' | 'require' | undefined => undefined,
    },
    values: ['none', 'optional', 'require'],
    reload: 'new-connections',
    help: 'Whether clients must, may or need not show a certificate.',
  }),
  identity: oneOf({
    default: 'none',
    values: ['none', 'cn', 'dn', 'san'],
    reload: 'new-connections',
    help: 'What of a verified client certificate is the user name: its common name, its distinguished name, or its first alternative name.',
  }),
  min_version: oneOf({
    default: '1.2',
    values: ['1.2', '1.3'],
    reload: 'new-connections',
    help: 'The oldest version of TLS that is spoken.',
  }),
  ciphers: string({
    default: '',
    allowed: 'a list of OpenSSL, as "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"',
    check: isCipherList,
    reload: 'new-connections',
    help: 'The ciphers of TLS 1.2; by default those with forward secrecy and authenticated encryption.',
  }),
  ciphersuites: string({
    default: '',
    allowed: 'a list of OpenSSL, as "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"',
    check: isCipherList,
    reload: 'new-connections',
    help: 'The cipher suites of TLS 1.3; by default those of OpenSSL.',
  }),
  alpn: strings({
    default: [],
    allowed: 'names of 1 to 255 bytes, as "mqtt"',
    check: (name) => name !== '' && Buffer.byteLength(name) <= 255,
    reload: 'new-connections',
    help: 'The protocols that are chosen from where a client names some (ALPN), the best one first.',
  }),
} as const;

/** One of `[[….tls.sni]]`: the certificate of one name. */
export const sniRows = {
  name: string({
    default: '',
    allowed: 'a host name, as "broker.example" or "*.plant.example"',
    check: (name) =>
      /^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*$/.test(name),
    reload: 'new-connections',
    help: 'The host name that clients ask for (SNI).',
  }),
  certpath: tlsRows.certpath,
  keypath: tlsRows.keypath,
  keypass: tlsRows.keypass,
} as const;

/** `[….tls]` as it is written. */
export interface TlsOptions extends WrittenTable<typeof tlsRows> {
  readonly sni?: readonly WrittenTable<typeof sniRows>[] | undefined;
}

function isCipherList(value: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(value);
}
