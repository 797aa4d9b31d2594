// Certificates for tests, made on the spot with node:crypto: CAs, servers, clients, CRLs, PKCS#12.
// Nothing of OpenSSL's programs is needed.
import { createHash, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  bits,
  boolean,
  type Der,
  explicit,
  implicit,
  integer,
  nothing,
  octets,
  oid,
  sequence,
  set,
  time,
  utf8,
} from './der.js';

const ecdsaSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const kDay = 86_400_000;
let nextSerial = 1;

export interface Subject {
  readonly cn: string;
  readonly o?: string;
}

export interface Issued {
  readonly subject: Subject;
  readonly serial: number;
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS#8. */
  readonly key: string;
  readonly privateKey: KeyObject;
  readonly der: Buffer;
}

export interface IssueOptions {
  readonly subject: Subject;
  /** Who signs; none = itself. */
  readonly by?: Issued;
  readonly isCa?: boolean;
  /** DNS names. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export function issue(options: IssueOptions): Issued {
  const { subject, by, isCa = false, names = [] } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const serial = nextSerial++;
  const now = Date.now();
  const extensions = [
    extension('2.5.29.19', isCa ? sequence(boolean(true)) : sequence(), true),
    // keyCertSign and cRLSign, or digitalSignature.
    extension(
      '2.5.29.15',
      isCa ? bits(Buffer.from([0x06]), 1) : bits(Buffer.from([0x80]), 7),
      true,
    ),
  ];
  if (names.length > 0) {
    const all = names.map((name) => implicit(2, Buffer.from(name)));
    extensions.push(extension('2.5.29.17', sequence(...all), false));
  }
  const body = sequence(
    explicit(0, integer(2)),
    integer(serial),
    ecdsaSha256,
    nameOf(by?.subject ?? subject),
    sequence(
      time(options.notBefore ?? new Date(now - kDay)),
      time(options.notAfter ?? new Date(now + 30 * kDay)),
    ),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions)),
  );
  const der = signed(body, by?.privateKey ?? privateKey);
  return {
    subject,
    serial,
    certificate: pem('CERTIFICATE', der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    privateKey,
    der,
  };
}

/** A list of revoked certificates, PEM. */
export function revocationList(
  by: Issued,
  revoked: readonly Issued[],
  nextUpdate = new Date(Date.now() + kDay),
): string {
  const now = new Date(Date.now() - 60_000);
  const entries = revoked.map(({ serial }) => sequence(integer(serial), time(now)));
  const body = sequence(
    integer(1),
    ecdsaSha256,
    nameOf(by.subject),
    time(now),
    time(nextUpdate),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
  );
  return pem('X509 CRL', signed(body, by.privateKey));
}

/** The key as PEM under a passphrase. */
export function encryptedKey({ privateKey }: Issued, passphrase: string): string {
  const cipher = 'aes-256-cbc';
  return privateKey.export({ type: 'pkcs8', format: 'pem', cipher, passphrase }) as string;
}

/** A PKCS#12 file (RFC 7292) with a certificate, its key under the passphrase, and a chain. */
export function pkcs12(issued: Issued, chain: readonly Issued[], passphrase: string): Buffer {
  const data = oid('1.2.840.113549.1.7.1');
  const localKeyId = set(sequence(oid('1.2.840.113549.1.9.21'), set(octets(Buffer.from([1])))));
  const certificateBag = ({ der }: Issued, ...attributes: Der[]) =>
    sequence(
      oid('1.2.840.113549.1.12.10.1.3'),
      explicit(0, sequence(oid('1.2.840.113549.1.9.22.1'), explicit(0, octets(der)))),
      ...attributes,
    );
  const shroudedKey = issued.privateKey.export({
    type: 'pkcs8',
    format: 'der',
    cipher: 'aes-256-cbc',
    passphrase,
  });
  const keyBag = sequence(oid('1.2.840.113549.1.12.10.1.2'), explicit(0, shroudedKey), localKeyId);
  const contents = (...bags: Der[]) => sequence(data, explicit(0, octets(sequence(...bags))));
  const safe = sequence(
    contents(certificateBag(issued, localKeyId), ...chain.map((link) => certificateBag(link))),
    contents(keyBag),
  );
  const salt = Buffer.from('saltsalt');
  const digest = createHmac('sha256', macKey(passphrase, salt, 1))
    .update(safe)
    .digest();
  const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'), nothing());
  return sequence(
    integer(3),
    sequence(data, explicit(0, octets(safe))),
    sequence(sequence(sha256, octets(digest)), octets(salt), integer(1)),
  );
}

/** RFC 7292, appendix B.2, for one block of SHA-256. */
function macKey(passphrase: string, salt: Buffer, iterations: number): Buffer {
  const kBlock = 64;
  const text = Buffer.from(`${passphrase}\0`, 'utf16le').swap16();
  const filled = (from: Buffer) => {
    const to = Buffer.alloc(Math.ceil(from.length / kBlock) * kBlock);
    for (let at = 0; at < to.length; at++) to[at] = from[at % from.length] ?? 0;
    return to;
  };
  let key = Buffer.concat([Buffer.alloc(kBlock, 3), filled(salt), filled(text)]);
  for (let round = 0; round < iterations; round++) key = createHash('sha256').update(key).digest();
  return key;
}

function extension(id: string, value: Der, isCritical: boolean): Der {
  return sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octets(value));
}

function nameOf({ cn, o }: Subject): Der {
  const part = (id: string, text: string) => set(sequence(oid(id), utf8(text)));
  return sequence(...(o === undefined ? [] : [part('2.5.4.10', o)]), part('2.5.4.3', cn));
}

function signed(body: Der, key: KeyObject): Der {
  return sequence(body, ecdsaSha256, bits(sign('sha256', body, key)));
}

function pem(what: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${what}-----\n${lines.join('\n')}\n-----END ${what}-----\n`;
}
