/**
 * A TLS table for Node's own TLS: what the native half makes of it (native/io/tls_context.cpp), with
 * the same defaults and the same failures.
 */
import { createHmac, randomBytes } from 'node:crypto';
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from 'node:tls';
import type { NativeTlsIdentity, NativeTlsOptions } from '../../native/addon.js';
import { NodeTlsFailure, reasonOf } from './failure.js';
import { checkIdentity, revocationLists, trustedCas } from './items.js';

const kCiphers =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:' +
  'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305';
const kCiphersuites = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const kGroups = 'X25519:P-256:P-384:P-521';
/** SSL_OP_NO_COMPRESSION, _NO_RENEGOTIATION, _CIPHER_SERVER_PREFERENCE, _PRIORITIZE_CHACHA. */
const kOptions = 0x20000 + 0x40000000 + 0x400000 + 0x200000;

const secret = randomBytes(32);

/** For a tls.Server or an https.Server. */
export interface NodeContext {
  /** What a server is made with; its context comes by useContext(). */
  readonly server: TlsOptions;
  /** For clients that name no host. */
  readonly own: SecureContext;
  readonly verify: NativeTlsOptions['verify'];
}

/** Throws a NodeTlsFailure. */
export function nodeContext(options: NativeTlsOptions): NodeContext {
  const { identities, verify, alpn } = options;
  const common = commonOptions(options);
  const all = identities.map((identity, index) => identityOptions(identity, index, common));
  const contexts = all.map((each, index) => tryContext(each, identities[index], index));
  const own =
    contexts[
      Math.max(
        0,
        identities.findIndex(({ names }) => names.length === 0),
      )
    ];
  if (own === undefined) throw new NodeTlsFailure('certificate', 0, 'there is none');
  const named = new Map<string, SecureContext>();
  identities.forEach(({ names }, index) => {
    const context = contexts[index];
    for (const name of names) if (context !== undefined) named.set(name.toLowerCase(), context);
  });
  return {
    verify,
    own,
    server: {
      requestCert: verify !== 'none',
      // Whoever serves judges, to say why.
      rejectUnauthorized: false,
      SNICallback: (name, done) => done(null, byName(named, name) ?? own),
      ...(alpn.length === 0 ? {} : { ALPNCallback: chooser(options) }),
    },
  };
}

/**
 * Gives a server a context, for connections from now on. What tls.Server makes itself of the same
 * options leaves some out (allowPartialTrustChain), so it gets one that is made already.
 */
export function useContext(server: Server, { own }: Pick<NodeContext, 'own'>): void {
  Object.assign(server, { _sharedCreds: own });
}

/** The answer to ALPN: ours if offered. */
function chooser({ alpn, alpn_required }: NativeTlsOptions) {
  return ({ protocols }: { readonly protocols: readonly string[] }): string | undefined =>
    alpn.find((ours) => protocols.includes(ours)) ??
    // Node knows no third way between one of the client's and an alert.
    (alpn_required ? undefined : protocols[0]);
}

/** "*.example.com" stands for one label [RFC 6125, 6.4.3]; undefined = the default certificate. */
function byName(
  named: ReadonlyMap<string, SecureContext>,
  asked: string,
): SecureContext | undefined {
  const name = asked.toLowerCase();
  const dot = name.indexOf('.');
  return named.get(name) ?? (dot > 0 ? named.get(`*${name.slice(dot)}`) : undefined);
}

function commonOptions(options: NativeTlsOptions): SecureContextOptions {
  const { ca, crl, ciphers, ciphersuites, alpn } = options;
  for (const name of alpn) {
    if (name === '' || Buffer.byteLength(name) > 255) {
      throw new NodeTlsFailure('alpn', 0, 'a name must have 1 to 255 bytes');
    }
  }
  const suites = ciphersuites === '' ? kCiphersuites : ciphersuites;
  refuseUnknown('ciphers', ciphers, (name) => `${kCiphersuites}:${name}`);
  refuseUnknown('ciphersuites', ciphersuites, (name) => `${name}:${kCiphers}`);
  const lists = revocationLists(crl);
  const partial = { allowPartialTrustChain: true };
  return {
    ca: [...trustedCas(ca)],
    ...(lists.length === 0 ? {} : { crl: [...lists] }),
    minVersion: options.min_version === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: `${suites}:${ciphers === '' ? kCiphers : ciphers}`,
    ecdhCurve: kGroups,
    honorCipherOrder: true,
    secureOptions: kOptions,
    ...ticketKeys(options),
    // Whatever is in the file is trusted, be it the CA above or one in between.
    ...partial,
  };
}

/**
 * From a secret of this process and what a resumed session must agree about: whoever was trusted under
 * other CAs or CRLs shakes hands anew after a reload.
 */
function ticketKeys({ verify, ca, crl }: NativeTlsOptions): SecureContextOptions {
  const derive = (label: string) => {
    const hmac = createHmac('sha512', secret).update(`${label} ${verify} ${ca.length}`);
    for (const text of [...ca, ...crl]) hmac.update(`${text.length} `).update(text);
    return hmac.digest();
  };
  return {
    ticketKeys: derive('ticket').subarray(0, 48),
    sessionIdContext: derive('context').toString('hex').slice(0, 32),
  };
}

/**
 * The first name of a list that stands for no cipher: OpenSSL passes over it where it knows another.
 * What begins with ! - + @ takes away, or orders; so may the old words for weak ones.
 */
function refuseUnknown(
  item: 'ciphers' | 'ciphersuites',
  list: string,
  among: (name: string) => string,
): void {
  for (const name of list.split(/[:;, ]/)) {
    if (/^$|^[!\-+@]|^(MEDIUM|LOW|EXP|EXPORT)$/.test(name)) continue;
    // Node sorts names by how they begin.
    const isSorted = name.startsWith('TLS_') === (item === 'ciphersuites');
    try {
      if (!isSorted) throw new Error('it is one of another version');
      createSecureContext({ ciphers: among(name), maxVersion: 'TLSv1.3' });
    } catch (cause) {
      const why = `has "${name}", which OpenSSL does not know`;
      throw new NodeTlsFailure(item, 0, why, cause);
    }
  }
}

function identityOptions(
  identity: NativeTlsIdentity,
  index: number,
  common: SecureContextOptions,
): SecureContextOptions {
  const { passphrase } = identity;
  const opened = passphrase === undefined ? {} : { passphrase };
  if ('pkcs12' in identity) return { ...common, pfx: identity.pkcs12, ...opened };
  checkIdentity(identity, index);
  return { ...common, cert: identity.certificate, key: identity.key, ...opened };
}

function tryContext(
  options: SecureContextOptions,
  identity: NativeTlsIdentity | undefined,
  index: number,
): SecureContext {
  try {
    return createSecureContext(options);
  } catch (cause) {
    const why = reasonOf(cause);
    if (/crl/i.test(why)) throw new NodeTlsFailure('crl', 0, `cannot be read: ${why}`, cause);
    if (identity !== undefined && 'pkcs12' in identity) {
      if (/mac verify/i.test(why)) {
        const state = 'is missing, and the PKCS#12 file is encrypted';
        const text = identity.passphrase === undefined ? state : 'does not open the PKCS#12 file';
        throw new NodeTlsFailure('passphrase', index, text);
      }
      throw new NodeTlsFailure('pkcs12', index, `cannot be opened: ${why}`, cause);
    }
    throw new NodeTlsFailure('certificate', index, `cannot be used: ${why}`, cause);
  }
}
