/** The keys of SCRAM (RFC 5802, 3) from a password. The slow one is made on libuv's threads. */
import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

export type ScramHash = 'sha256' | 'sha512';

const derive = promisify(pbkdf2);

export const digestBytes: Readonly<Record<ScramHash, number>> = { sha256: 32, sha512: 64 };

export function hmac(hash: ScramHash, key: Buffer, text: string | Buffer): Buffer {
  return createHmac(hash, key).update(text).digest();
}

/** Hi(Normalize(password), salt, i). */
export function saltedPassword(
  hash: ScramHash,
  password: Buffer,
  salt: Buffer,
  iterations: number,
): Promise<Buffer> {
  return derive(normalize(password), salt, iterations, digestBytes[hash], hash);
}

export const clientKey = (hash: ScramHash, salted: Buffer) => hmac(hash, salted, 'Client Key');
export const serverKey = (hash: ScramHash, salted: Buffer) => hmac(hash, salted, 'Server Key');
export const storedKey = (hash: ScramHash, client: Buffer) =>
  createHash(hash).update(client).digest();

/**
 * What of SASLprep (RFC 4013) matters for what people type: other spaces become a space, soft
 * hyphens and their like vanish, NFKC. Bytes that are no UTF-8 stay as they are.
 */
export function normalize(password: Buffer): Buffer {
  const text = password.toString('utf8');
  if (!Buffer.from(text).equals(password)) return password;
  return Buffer.from(
    text
      .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
      // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points, from a table
      .replaceAll(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g, '')
      .normalize('NFKC'),
  );
}
