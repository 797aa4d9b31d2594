/** The rows of tenants and of device identities. */
import { deviceLogRows } from './log-options.js';
import { integer, oneOf, strings } from './rows.js';
import { isTopicFilter } from './topic-filter.js';

const kMe = 'v1/devices/me/';
/** What there is under `me` in any case. */
const ownMePatterns = [
  ...['telemetry', 'attributes', 'attributes/request/{id}', 'attributes/response/{id}'],
  ...['rpc/request/{id}', 'rpc/response/{id}'],
];

function isMePattern(pattern: string): boolean {
  return pattern.startsWith(kMe) && isTopicFilter(asFilter(pattern.slice(kMe.length)));
}

const asFilter = (pattern: string) => pattern.replaceAll(/(?<=^|\/)\{[^{}/+#]*\}(?=\/|$)/g, '+');

/** As Topic Filters of what stands behind `v1/devices/me/`. */
export function mePatterns(more: readonly string[]): readonly string[] {
  const behind = [...ownMePatterns, ...more.map((pattern) => pattern.slice(kMe.length))];
  return [...new Set(behind.map(asFilter))];
}

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
  me_topics: oneOf({
    default: 'scoped',
    values: ['scoped', 'shared', 'off'],
    reload: 'restart',
    help: 'What v1/devices/me/… is. scoped: the client’s own device’s topics, and only services get at others’. shared: one topic of all devices, as in ST-RMQTT; links are told who published. off: a topic like any other.',
  }),
  me_patterns: strings({
    default: [],
    allowed: '"v1/devices/me/…", with {name} or + for a level, and # for what follows',
    check: isMePattern,
    reload: 'live',
    help: 'Topics under v1/devices/me/ besides telemetry, attributes, attributes/request/{id}, attributes/response/{id}, rpc/request/{id} and rpc/response/{id}. Others are refused.',
  }),
  ...deviceLogRows,
  gateways: strings({
    default: [],
    allowed: 'device ids, with * for any characters; within tenants "tenant/id"',
    check: (value) => value !== '',
    reload: 'live',
    help: 'Clients that may speak for other devices by v1/gateway/connect, disconnect, telemetry, attributes and rpc, as ThingsBoard’s gateways do. Where there are some, nobody else may publish to v1/gateway/#.',
  }),
  max_known: integer({
    default: 100_000,
    min: 1,
    max: 10_000_000,
    reload: 'live',
    help: 'Devices whose state broker.devices and the console can tell. Those that are online are known in any case; of the others, those that went longest ago are forgotten first.',
  }),
} as const;
