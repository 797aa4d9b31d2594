/** The rows of tenants and of device identities. */
import { oneOf, strings } from './rows.js';

export const tenantSources = [
  'verdict',
  'certificate',
  'username_prefix',
  'username_suffix',
  'listener',
] as const;
export type TenantSource = (typeof tenantSources)[number];

export const tenantsRows = {
  mode: oneOf({
    default: {
      text: '"off"; "enforced" where the table is there',
      value: (): 'off' | 'enforced' | 'transparent' | undefined => undefined,
    },
    values: ['off', 'enforced', 'transparent'],
    reload: 'new-connections',
    help: 'Topics must begin with /tenants/TENANT/ (enforced), or that prefix is added and removed, and clients do not see it (transparent).',
  }),
  from: strings({
    default: ['verdict', 'certificate'],
    allowed: tenantSources.map((source) => `"${source}"`).join(', '),
    check: (value) => (tenantSources as readonly string[]).includes(value),
    reload: 'new-connections',
    help: 'Where the tenant comes from; the first one that gives one counts: what a provider says, the Organization of the client’s certificate, "tenant/user" or "user@tenant" in the user name, the listener’s tenant.',
  }),
} as const;

export const deviceRows = {
  device_id_from: oneOf({
    default: {
      text: 'the verdict’s, else the user name where authentication applies, else the Client Identifier',
      value: (): 'verdict' | 'username' | 'cert_cn' | 'client_id' | undefined => undefined,
    },
    values: ['verdict', 'username', 'cert_cn', 'client_id'],
    reload: 'new-connections',
    help: 'What a client’s device id is. client_id is safe only where something binds it to the credential.',
  }),
} as const;
