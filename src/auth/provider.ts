/** What every provider is: asked in order, each allows, denies, or leaves it to the next. */
import type { AuthContext } from './context.js';
import type { RefusalCause } from './counts.js';
import type { Accept, Refuse } from './verdict.js';

export interface Denial {
  readonly kind: 'deny';
  readonly refuse: Refuse;
  readonly cause: RefusalCause;
}
export type Decision =
  | { readonly kind: 'allow'; readonly accept: Accept }
  | Denial
  | { readonly kind: 'ignore' };

export interface AuthProvider {
  /** As the configuration calls it: in the log, in metrics. */
  readonly name: string;
  /** Throws or rejects where it cannot judge: the client is then refused with 0x88. */
  authenticate(context: AuthContext): Decision | Promise<Decision>;
  stop?(): void;
}

export const ignore: Decision = { kind: 'ignore' };

export function allow(accept: Omit<Accept, 'accept'> = {}): Decision {
  return { kind: 'allow', accept: { ...accept, accept: true } };
}

const codes: Readonly<Record<RefusalCause, number>> = {
  bad_credentials: 0x86,
  no_credentials: 0x87,
  expired: 0x87,
  not_authorized: 0x87,
  bad_method: 0x8c,
  address_limit: 0x8a,
  unavailable: 0x88,
};

export function deny(cause: RefusalCause, reason?: string): Denial {
  return { kind: 'deny', cause, refuse: { accept: false, reasonCode: codes[cause], reason } };
}
