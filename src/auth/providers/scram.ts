/**
 * SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), the server's side, without channel binding.
 * The password file has verifiers: neither a password nor what stands for one is ever here. A user
 * who is not there gets a salt all the same, always the same one, and fails at the end as others do.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AuthExchange, EnhancedMethod } from '../enhanced.js';
import { readPasswords, type Users } from '../passwords/file.js';
import type { ScramVerifier } from '../passwords/hashes.js';
import { digestBytes, hmac, type ScramHash, storedKey } from '../passwords/scram-keys.js';
import { allow, type Decision, deny } from '../provider.js';
import { WatchedFile } from '../watched-file.js';

export type ScramMethodName = 'SCRAM-SHA-256' | 'SCRAM-SHA-512';

const hashes: Readonly<Record<ScramMethodName, ScramHash>> = {
  'SCRAM-SHA-256': 'sha256',
  'SCRAM-SHA-512': 'sha512',
};

const kMaxMessageBytes = 4096;
const kNonceBytes = 24;

export class ScramUsers {
  readonly #file: WatchedFile<Users>;

  /** Rejects with ST_AUTH_FILE. */
  static async open(
    path: string,
    onError: (error: unknown) => void,
    watch: { readonly intervalMs?: number } = {},
  ): Promise<ScramUsers> {
    return new ScramUsers(await WatchedFile.open({ path, read: readPasswords, onError, ...watch }));
  }

  private constructor(file: WatchedFile<Users>) {
    this.#file = file;
  }

  /** Rejects with ST_AUTH_FILE; then nothing has changed. */
  renew(): Promise<void> {
    return this.#file.renew();
  }

  stop(): void {
    this.#file.stop();
  }

  /** undefined = there is none; `decoy` is then what to go on with. */
  find(user: string, hash: ScramHash): ScramVerifier | undefined {
    return this.#file.value
      .get(user)
      ?.map(verifier)
      .find((one) => one?.hash === hash);
  }

  /** The same for a user as long as the file's first verifier stays: also over a restart. */
  decoy(user: string, hash: ScramHash): ScramVerifier {
    let model: ScramVerifier | undefined;
    for (const entries of this.#file.value.values()) {
      model = entries.map(verifier).find((one) => one?.hash === hash);
      if (model !== undefined) break;
    }
    const secret = model?.serverKey ?? processKey;
    const salt = createHmac('sha256', secret).update(`decoy:${user}`).digest();
    const bytes = digestBytes[hash];
    return {
      kind: 'scram',
      hash,
      iterations: model?.iterations ?? 4096,
      salt: salt.subarray(0, Math.min(salt.length, model?.salt.length ?? 16)),
      storedKey: randomBytes(bytes),
      serverKey: randomBytes(bytes),
    };
  }
}

const processKey = randomBytes(32);

function verifier({ credential }: { readonly credential: { readonly kind: string } }) {
  return credential.kind === 'scram' ? (credential as ScramVerifier) : undefined;
}

export class ScramMethod implements EnhancedMethod {
  readonly name: string;
  readonly #users: ScramUsers;
  readonly #hash: ScramHash;
  readonly #nonce: () => string;

  constructor(
    name: string,
    method: ScramMethodName,
    users: ScramUsers,
    nonce: () => string = () => randomBytes(kNonceBytes).toString('base64'),
  ) {
    this.name = name;
    this.#users = users;
    this.#hash = hashes[method];
    this.#nonce = nonce;
  }

  async run(exchange: AuthExchange): Promise<Decision> {
    const data =
      exchange.data.length > 0 ? exchange.data : await exchange.challenge(Buffer.alloc(0));
    const first = parseClientFirst(textOf(data));
    if (first === undefined) return deny('bad_credentials', 'not a client-first-message of SCRAM');
    const found = this.#users.find(first.user, this.#hash);
    const { salt, iterations, ...keys } = found ?? this.#users.decoy(first.user, this.#hash);
    const nonce = `${first.nonce}${this.#nonce()}`;
    const serverFirst = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
    const answer = textOf(await exchange.challenge(Buffer.from(serverFirst)));
    const final = parseClientFinal(answer);
    const isBound = final?.binding === Buffer.from(first.header).toString('base64');
    if (final === undefined || !isBound || final.nonce !== nonce) {
      return deny('bad_credentials', 'not the client-final-message of this exchange');
    }
    const message = `${first.bare},${serverFirst},${final.withoutProof}`;
    const isRight = fits(this.#hash, keys.storedKey, message, final.proof);
    if (!isRight || found === undefined) return deny('bad_credentials');
    // The client took its time: by now the user may be gone, or have another password.
    const now = this.#users.find(first.user, this.#hash);
    if (now === undefined || !now.storedKey.equals(found.storedKey)) {
      return deny('bad_credentials');
    }
    const signature = hmac(this.#hash, keys.serverKey, message).toString('base64');
    return allow({ username: first.user, authData: Buffer.from(`v=${signature}`) });
  }
}

/** ClientKey = ClientProof XOR HMAC(StoredKey, AuthMessage); its digest is what is stored. */
function fits(hash: ScramHash, stored: Buffer, message: string, proof: Buffer): boolean {
  if (proof.length !== digestBytes[hash]) return false;
  const key = hmac(hash, stored, message);
  for (const [at, byte] of proof.entries()) key[at] = (key[at] ?? 0) ^ byte;
  return timingSafeEqual(storedKey(hash, key), stored);
}

/** '' where it is no message at all: too long, or no UTF-8. */
function textOf(data: Buffer): string {
  if (data.length > kMaxMessageBytes) return '';
  const text = data.toString('utf8');
  return Buffer.byteLength(text) === data.length && !text.includes('\ufffd') ? text : '';
}

interface ClientFirst {
  /** gs2-header, which the second message must repeat. */
  readonly header: string;
  readonly bare: string;
  readonly user: string;
  readonly nonce: string;
}

/** printable of RFC 5802, 7: without the comma. */
const kNonce = '[\\x21-\\x2b\\x2d-\\x7e]{1,1024}';

function parseClientFirst(text: string): ClientFirst | undefined {
  // "p=" asks for channel binding, which is not offered; "m=" for an extension that must be known.
  const match = new RegExp(
    `^([ny],(?:a=([^,]+))?,)(n=([^,]+),r=(${kNonce})(?:,[A-Za-z]=.*)?)$`,
    's',
  );
  const [, header, identity, bare, name, nonce] = match.exec(text) ?? [];
  if (header === undefined || bare === undefined || name === undefined || nonce === undefined) {
    return undefined;
  }
  const user = saslName(name);
  // Nobody acts for another user here.
  if (user === undefined || (identity !== undefined && saslName(identity) !== user)) {
    return undefined;
  }
  return { header, bare, user, nonce };
}

/** "=2C" is a comma and "=3D" an equals sign; nothing else may stand behind one. */
function saslName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text) || text.includes('\0')) return undefined;
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

interface ClientFinal {
  readonly binding: string;
  readonly nonce: string;
  readonly withoutProof: string;
  readonly proof: Buffer;
}

function parseClientFinal(text: string): ClientFinal | undefined {
  const pattern = new RegExp(
    `^(c=([A-Za-z0-9+/=]+),r=(${kNonce})(?:,[A-Za-z]=[^,]*)*),p=([A-Za-z0-9+/]+={0,2})$`,
    's',
  );
  const [, withoutProof, binding, nonce, proof] = pattern.exec(text) ?? [];
  if (
    withoutProof === undefined ||
    binding === undefined ||
    nonce === undefined ||
    proof === undefined
  ) {
    return undefined;
  }
  return { binding, nonce, withoutProof, proof: Buffer.from(proof, 'base64') };
}
