/** Which tenant a client belongs to. Pure. */
import type { AuthContext } from './context.js';

export type TenantFrom =
  | 'verdict'
  | 'certificate'
  | 'username_prefix'
  | 'username_suffix'
  | 'listener';

export interface TenantSource {
  readonly from: readonly TenantFrom[];
  readonly verdict: string | undefined;
  readonly username: string | undefined;
  readonly context: Pick<AuthContext, 'certificate'>;
  readonly listener: string | undefined;
}

/** The first of the sources that has one; undefined = none has. */
export function tenantOf(source: TenantSource): string | undefined {
  for (const from of source.from) {
    const tenant = candidate(from, source);
    if (tenant !== undefined) return tenant;
  }
  return undefined;
}

function candidate(from: TenantFrom, source: TenantSource): string | undefined {
  const { username = '' } = source;
  switch (from) {
    case 'verdict':
      return source.verdict;
    case 'certificate':
      return certificateTenant(source.context);
    case 'username_prefix': {
      const at = username.indexOf('/');
      return at > 0 ? username.slice(0, at) : undefined;
    }
    case 'username_suffix': {
      const at = username.lastIndexOf('@');
      return at >= 0 && at < username.length - 1 ? username.slice(at + 1) : undefined;
    }
    case 'listener':
      return source.listener;
  }
}

/** The first Organization of the verified certificate, if it is of letters and digits only. */
export function certificateTenant({ certificate }: Pick<AuthContext, 'certificate'>) {
  const organization = certificate?.organization;
  return organization !== undefined && /^[A-Za-z0-9]+$/.test(organization)
    ? organization
    : undefined;
}

/** Whether it can be a level of a topic and the beginning of a Client Identifier. */
export function isFitTenant(tenant: string): boolean {
  // No dot: "a.b" with "c" must not be what "a" with "b.c" is.
  return /^[A-Za-z0-9_-]{1,64}$/.test(tenant);
}
