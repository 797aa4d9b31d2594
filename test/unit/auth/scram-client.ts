// The client's side of SCRAM (RFC 5802), written from the RFC alone: shares nothing with the server.
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

export class ScramClient {
  readonly #hash: string;
  readonly #password: string;
  readonly #header: string;
  readonly #bare: string;
  readonly #nonce: string;
  #salted = Buffer.alloc(0);
  #message = '';

  constructor(hash: 'sha256' | 'sha512', user: string, password: string, nonce = 'rOprNGfwEbeR') {
    this.#hash = hash;
    this.#password = password;
    this.#nonce = nonce;
    this.#header = 'n,,';
    this.#bare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  }

  first(): Buffer {
    return Buffer.from(this.#header + this.#bare);
  }

  /** Answers the challenge. */
  final(challenge: Buffer): Buffer {
    const text = challenge.toString();
    const fields = Object.fromEntries(
      text.split(',').map((part) => [part[0], part.slice(2)]),
    ) as Record<'r' | 's' | 'i', string>;
    if (!fields.r.startsWith(this.#nonce) || fields.r.length < this.#nonce.length + 18) {
      throw new Error(`a nonce of the server's own is missing: ${fields.r}`);
    }
    const size = this.#hash === 'sha256' ? 32 : 64;
    const salt = Buffer.from(fields.s, 'base64');
    this.#salted = pbkdf2Sync(this.#password, salt, Number(fields.i), size, this.#hash);
    const withoutProof = `c=${Buffer.from(this.#header).toString('base64')},r=${fields.r}`;
    this.#message = `${this.#bare},${text},${withoutProof}`;
    const key = this.#hmac(this.#salted, 'Client Key');
    const stored = createHash(this.#hash).update(key).digest();
    const signature = this.#hmac(stored, this.#message);
    const proof = key.map((byte, at) => byte ^ (signature[at] ?? 0));
    return Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`);
  }

  /** Whether the server has shown that it knows the verifier too. */
  trusts(last: Buffer): boolean {
    const signature = this.#hmac(this.#hmac(this.#salted, 'Server Key'), this.#message);
    return last.toString() === `v=${signature.toString('base64')}`;
  }

  #hmac(key: Buffer, text: string): Buffer {
    return createHmac(this.#hash, key).update(text).digest();
  }
}
