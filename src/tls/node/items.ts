/** Certificates, keys, CAs and CRLs: read one by one, so that a failure names the one that is wrong. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { NativeTlsIdentity } from '../../native/addon.js';
import { crlNextUpdate } from './crl.js';
import { NodeTlsFailure, reasonOf } from './failure.js';

/** What stands in a PEM file, block by block. */
export interface PemBlock {
  readonly text: string;
  /** Counted from 1, as "CERTIFICATE 2 (line 31)". */
  readonly name: string;
}

type PemIdentity = Extract<NativeTlsIdentity, { certificate: Buffer }>;

const noBlock = (what: string) => `has no ${what} in PEM form ("-----BEGIN ${what}-----")`;

function blocksOf(pem: Buffer, what: string): readonly PemBlock[] {
  const text = pem.toString('latin1');
  const begin = `-----BEGIN ${what}-----`;
  const end = `-----END ${what}-----`;
  const blocks: PemBlock[] = [];
  for (let at = text.indexOf(begin); at >= 0; ) {
    const next = text.indexOf(begin, at + 1);
    const stop = text.indexOf(end, at);
    const isWhole = stop >= 0 && (next < 0 || stop < next);
    const line = text.slice(0, at).split('\n').length;
    blocks.push({
      text: isWhole
        ? `${text.slice(at, stop)}${end}\n`
        : text.slice(at, next < 0 ? undefined : next),
      name: `${what} ${blocks.length + 1} (line ${line})`,
    });
    at = next;
  }
  return blocks;
}

type Fault = (reason: string, cause?: unknown) => Error;

function certificates(pem: Buffer, fault: Fault): readonly [PemBlock, X509Certificate][] {
  const blocks = blocksOf(pem, 'CERTIFICATE');
  if (blocks.length === 0) throw fault(noBlock('CERTIFICATE'));
  return blocks.map((block) => {
    try {
      return [block, new X509Certificate(block.text)];
    } catch (cause) {
      throw fault(`${block.name} cannot be read: ${reasonOf(cause)}`, cause);
    }
  });
}

function privateKey({ key, passphrase }: PemIdentity, index: number): KeyObject {
  const text = key.toString('latin1');
  if (!text.includes('PRIVATE KEY-----')) {
    throw new NodeTlsFailure('key', index, noBlock('PRIVATE KEY'));
  }
  try {
    return createPrivateKey(passphrase === undefined ? { key } : { key, passphrase });
  } catch (cause) {
    if (/ENCRYPTED/.test(text)) {
      const why =
        passphrase === undefined ? 'is missing, and the key is encrypted' : 'does not open the key';
      throw new NodeTlsFailure('passphrase', index, why);
    }
    throw new NodeTlsFailure('key', index, `cannot be read: ${reasonOf(cause)}`, cause);
  }
}

/** Throws a NodeTlsFailure where the key or a certificate is not right. */
export function checkIdentity(identity: PemIdentity, index: number): void {
  const key = privateKey(identity, index);
  const fault: Fault = (reason, cause) => new NodeTlsFailure('certificate', index, reason, cause);
  const [own] = certificates(identity.certificate, fault);
  if (own === undefined) return;
  const [, certificate] = own;
  const now = Date.now();
  if (Date.parse(certificate.validTo) < now) throw fault('has expired');
  if (Date.parse(certificate.validFrom) > now) {
    throw fault("is not valid yet: does this machine's clock go wrong?");
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new NodeTlsFailure('key', index, 'does not belong to the certificate');
  }
}

/** All certificates of the CA files, one PEM text each. */
export function trustedCas(files: readonly Buffer[]): readonly string[] {
  return files.flatMap((file, index) =>
    certificates(file, (reason, cause) => new NodeTlsFailure('ca', index, reason, cause)).map(
      ([block]) => block.text,
    ),
  );
}

/** All lists of the CRL files, one PEM text each. */
export function revocationLists(files: readonly Buffer[]): readonly string[] {
  return files.flatMap((file, index) => {
    const blocks = blocksOf(file, 'X509 CRL');
    if (blocks.length === 0) throw new NodeTlsFailure('crl', index, noBlock('X509 CRL'));
    for (const { text, name } of blocks) {
      const next = crlNextUpdate(text);
      if (next === undefined) throw new NodeTlsFailure('crl', index, `${name} cannot be read`);
      if (next !== 'none' && next.getTime() < Date.now()) {
        const why = "has expired, and no client would be let in; get the issuer's current one";
        throw new NodeTlsFailure('crl', index, `${name}: ${why}`);
      }
    }
    return blocks.map(({ text }) => text);
  });
}
