/** What a client's verified certificate says of its owner. Parsed when something of it is read. */
import { X509Certificate } from 'node:crypto';

export interface SubjectName {
  readonly kind: 'email' | 'dns' | 'uri' | 'ip';
  readonly value: string;
}

interface Attribute {
  /** "CN", "O"; a dotted OID where there is no short name. */
  readonly type: string;
  /** As OpenSSL escapes it, by RFC 2253. */
  readonly escaped: string;
}

export class ClientCertificate {
  /** In DER. */
  readonly der: Buffer;
  #x509: X509Certificate | undefined;
  #subject: readonly (readonly Attribute[])[] | undefined;

  constructor(der: Buffer) {
    this.der = der;
  }

  get x509(): X509Certificate {
    this.#x509 ??= new X509Certificate(this.der);
    return this.#x509;
  }

  /** The most specific Common Name. */
  get cn(): string | undefined {
    return this.#values('CN').at(-1);
  }

  /** By RFC 2253: "CN=pump 7,O=Plant,C=DE", the most specific first. */
  get dn(): string {
    return this.#names()
      .toReversed()
      .map((names) => names.map(({ type, escaped }) => `${type}=${escaped}`).join('+'))
      .join(',');
  }

  /** The first Organization: of it a tenant is made. */
  get organization(): string | undefined {
    return this.#values('O')[0];
  }

  get san(): readonly SubjectName[] {
    return subjectNames(this.x509.subjectAltName ?? '');
  }

  #values(type: string): string[] {
    return this.#names()
      .flat()
      .filter((attribute) => attribute.type === type)
      .map(({ escaped }) => unescaped(escaped));
  }

  #names(): readonly (readonly Attribute[])[] {
    // One RDN a line; "+" within values is escaped, and so is a line break.
    this.#subject ??= this.x509.subject
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(/(?<!\\) \+ /).map(attribute));
    return this.#subject;
  }
}

function attribute(text: string): Attribute {
  const at = text.indexOf('=');
  return { type: text.slice(0, at), escaped: text.slice(at + 1) };
}

/** Of RFC 2253: a backslash before two hexadecimal digits or before the character itself. */
function unescaped(escaped: string): string {
  if (!escaped.includes('\\')) return escaped;
  return escaped.replace(/\\(?:([0-9A-Fa-f]{2})|(.))/gs, (_, hex: string | undefined, char) =>
    hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

const kinds: Readonly<Record<string, SubjectName['kind']>> = {
  email: 'email',
  DNS: 'dns',
  URI: 'uri',
  'IP Address': 'ip',
};

/** Node writes `DNS:a, IP Address:1.2.3.4`, and in quotes what could be taken for more names. */
function subjectNames(text: string): SubjectName[] {
  const names: SubjectName[] = [];
  for (const match of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const kind = kinds[match[1] ?? ''];
    const value = match[2] ?? '';
    if (kind === undefined) continue;
    names.push({ kind, value: value.startsWith('"') ? String(JSON.parse(value)) : value });
  }
  return names;
}
