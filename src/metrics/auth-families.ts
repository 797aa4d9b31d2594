/** The metrics of logins that TypeScript judges: where nobody is asked who he is, all are 0. */
import { refusalCauses } from '../auth/counts.js';
import { kPrefix, type Section, single } from './family.js';

export const authSection: Section = {
  title: 'Authentication',
  families: [
    single(
      'counter',
      'auth_accepted_total',
      'Logins that were accepted, re-authentications among them.',
      ({ auth }) => auth.accepted,
    ),
    single(
      'counter',
      'auth_anonymous_total',
      'Of those, clients that were let in without credentials.',
      ({ auth }) => auth.anonymous,
    ),
    {
      type: 'counter',
      name: `${kPrefix}auth_refused_total`,
      help: 'Logins that were refused, by cause.',
      labels: ['cause'],
      read: ({ auth }) =>
        refusalCauses.map((cause) => ({ labels: { cause }, value: auth.refused[cause] })),
    },
    single(
      'counter',
      'auth_addresses_limited_total',
      'Times that an address had too many failed logins (auth.failed_logins).',
      ({ auth }) => auth.addressesLimited,
    ),
    single(
      'counter',
      'auth_device_ids_unfit_total',
      'Clients without a device id because theirs cannot be a level of a topic.',
      ({ auth }) => auth.deviceIdsUnfit,
    ),
  ],
};
