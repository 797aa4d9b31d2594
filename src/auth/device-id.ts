/** Which device a client is: what `me` stands for, and who gets a DirectWrite. Pure. */
import { isFitDeviceId } from '../link/topics.js';
import type { AuthContext } from './context.js';

export type DeviceIdFrom = 'verdict' | 'username' | 'cert_cn' | 'client_id';

export interface DeviceIdSource {
  readonly from: DeviceIdFrom | undefined;
  readonly verdict: string | undefined;
  /** Whom the client was found to be; undefined = anonymous. */
  readonly username: string | undefined;
  /** Whether clients of this listener are authenticated at all. */
  readonly isAuthenticated: boolean;
  readonly context: Pick<AuthContext, 'certificate'>;
  /** After the verdict, before the tenant. */
  readonly clientId: string;
}

export type DeviceId =
  | { readonly kind: 'device'; readonly id: string }
  | { readonly kind: 'none' }
  /** It cannot stand for a level of a topic: no `me` for this client. */
  | { readonly kind: 'unfit' };

export function deviceIdOf(source: DeviceIdSource): DeviceId {
  const id = candidate(source);
  if (id === undefined || id === '') return { kind: 'none' };
  return isFitDeviceId(id) ? { kind: 'device', id } : { kind: 'unfit' };
}

function candidate({
  from,
  verdict,
  username,
  isAuthenticated,
  context,
  clientId,
}: DeviceIdSource) {
  switch (from) {
    case 'verdict':
      return verdict;
    case 'username':
      return username;
    case 'cert_cn':
      return context.certificate?.cn;
    case 'client_id':
      return clientId;
    case undefined:
      // Never the Client Identifier where clients are told apart by who they are.
      return verdict ?? (isAuthenticated ? username : clientId);
  }
}
