/** Users of the configuration. Only digests under a key of this process are held and compared. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AuthContext } from '../context.js';
import { type AuthProvider, allow, type Decision, deny, ignore } from '../provider.js';

export interface StaticUser {
  readonly name: string;
  readonly password: string;
}

export class StaticUsers implements AuthProvider {
  readonly name: string;
  readonly #key = randomBytes(32);
  readonly #digests: ReadonlyMap<string, Buffer>;
  /** What an unknown user's password is compared with: equals no digest. */
  readonly #nobody = randomBytes(32);

  constructor(name: string, users: readonly StaticUser[]) {
    this.name = name;
    this.#digests = new Map(
      users.map((user) => [user.name, this.#digest(Buffer.from(user.password))]),
    );
  }

  authenticate({ username, password }: AuthContext): Decision {
    if (username === undefined) return ignore;
    const known = this.#digests.get(username);
    const given = this.#digest(password ?? Buffer.alloc(0));
    const isEqual = timingSafeEqual(given, known ?? this.#nobody);
    if (known === undefined) return ignore;
    return isEqual && password !== undefined ? allow({ username }) : deny('bad_credentials');
  }

  #digest(password: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(password).digest();
  }
}
