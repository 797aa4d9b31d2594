/** What a request shows and trusts: a CA file, a certificate and its key, read and looked at. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readFailure } from '../../config/read-failure.js';

/** Each with the key of the configuration that names it. */
export interface TlsPaths {
  readonly caPath?: string | undefined;
  readonly certPath?: string | undefined;
  readonly keyPath?: string | undefined;
}

export interface ClientTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Makes the error of a key: which one, why, and what lies beneath. */
export type Refuse = (
  key: 'ca_path' | 'cert_path' | 'key_path',
  why: string,
  cause?: unknown,
) => unknown;

const kCertificate = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END [A-Z0-9 ]+-----/g;

export async function readClientTls(
  { caPath, certPath, keyPath }: TlsPaths,
  refuse: Refuse,
): Promise<ClientTls> {
  const read = async (key: Parameters<Refuse>[0], path: string) => {
    try {
      return await readFile(path);
    } catch (cause) {
      throw refuse(key, `${path}: ${readFailure(cause)}`, cause);
    }
  };
  const ca = caPath === undefined ? undefined : await read('ca_path', caPath);
  const cert = certPath === undefined ? undefined : await read('cert_path', certPath);
  const key = keyPath === undefined ? undefined : await read('key_path', keyPath);
  if (ca !== undefined)
    certificates(ca, (why, cause) => refuse('ca_path', `${caPath} ${why}`, cause));
  if (cert !== undefined && key !== undefined) {
    const [own] = certificates(cert, (why, cause) =>
      refuse('cert_path', `${certPath} ${why}`, cause),
    );
    const wrongTime = own === undefined ? undefined : outOfTime(own);
    if (wrongTime !== undefined) throw refuse('cert_path', `${certPath} ${wrongTime}`);
    const privateKey = keyOf(key, (why, cause) => refuse('key_path', `${keyPath} ${why}`, cause));
    if (own?.checkPrivateKey(privateKey) !== true) {
      throw refuse('key_path', `${keyPath} does not belong to the certificate ${certPath}`);
    }
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

type RefuseFile = (why: string, cause?: unknown) => unknown;

/** All of a PEM file; throws where there is none, or one that cannot be read. */
function certificates(pem: Buffer, refuse: RefuseFile): readonly X509Certificate[] {
  const blocks = pem.toString('latin1').match(kCertificate) ?? [];
  if (blocks.length === 0) throw refuse('has no CERTIFICATE in PEM form');
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw refuse(`has a CERTIFICATE, number ${index + 1}, that cannot be read`, cause);
    }
  });
}

function outOfTime({ validFrom, validTo }: X509Certificate): string | undefined {
  const now = Date.now();
  if (Date.parse(validTo) < now) return `has expired (${validTo}); give a current one`;
  if (Date.parse(validFrom) > now) {
    return `is not valid yet (${validFrom}): does this machine's clock go wrong?`;
  }
  return undefined;
}

/** What OpenSSL says of a key is no help, and what is in it is not to be told. */
function keyOf(pem: Buffer, refuse: RefuseFile): KeyObject {
  const text = pem.toString('latin1');
  if (/ENCRYPTED/.test(text)) throw refuse('is encrypted; give one without a passphrase');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw refuse('has no PRIVATE KEY in PEM form');
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw refuse('has a PRIVATE KEY that cannot be read');
  }
}
