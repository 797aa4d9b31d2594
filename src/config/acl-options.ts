/** The rows of `[acl]`: what clients may publish and subscribe to. */
import { isCidr, kCidrs } from './cidr.js';
import { boolean, integer, oneOf, string, strings } from './rows.js';
import { isTopicFilter } from './topic-filter.js';

export const aclRows = {
  files: strings({
    default: [],
    allowed: 'paths of files',
    check: (value) => value !== '' && !value.includes('\0'),
    path: true,
    reload: 'live',
    help: 'Rules in the format of mosquitto’s acl_file, behind those of acl.rules.',
  }),
  default: oneOf({
    default: 'auto',
    values: ['auto', 'allow', 'deny'],
    reload: 'live',
    help: 'What holds where no rule fits; auto = deny as soon as there is a rule or a file.',
  }),
  v3_denied: oneOf({
    default: 'drop',
    values: ['drop', 'disconnect'],
    reload: 'live',
    help: 'What becomes of a publish that a client of MQTT 3.x may not do, where no Reason Code can say it: it is acknowledged, dropped and counted, or ends the connection.',
  }),
  narrow: boolean({
    default: false,
    reload: 'live',
    help: 'A subscription that is wider than the rules allow gets what they allow of it, instead of being refused.',
  }),
} as const;

const names = (help: string) =>
  strings({
    default: [],
    allowed: 'names; * stands for any text',
    check: (value) => value !== '' && !value.includes('\0'),
    reload: 'live',
    help,
  });

/** One of `[[acl.rules]]`: the first one that fits decides. All keys that are there must fit. */
export const ruleRows = {
  effect: oneOf({
    default: { text: 'none', value: (): 'allow' | 'deny' | undefined => undefined },
    values: ['allow', 'deny'],
    reload: 'live',
    help: 'What the rule says.',
  }),
  actions: oneOf({
    default: 'all',
    values: ['publish', 'subscribe', 'all'],
    reload: 'live',
    help: 'What it is about.',
  }),
  filters: strings({
    default: ['#'],
    allowed:
      'Topic Filters, as "plant/+/state" or "devices/%c/#", with %c, %u, %t, %d as whole levels or parts of them',
    check: isTopicFilter,
    reload: 'live',
    help: 'The topics. %c is the Client Identifier, %u the user name, %t the tenant, %d the device id.',
  }),
  users: names('User names.'),
  clients: names('Client Identifiers.'),
  groups: names('Groups, as the provider says.'),
  certificates: names('Common names of verified client certificates.'),
  addresses: strings({
    default: [],
    allowed: `${kCidrs}; "unix" is a Unix socket`,
    check: (value) => value === 'unix' || isCidr(value),
    reload: 'live',
    help: 'Where the client comes from.',
  }),
  listeners: names('Names of listeners.'),
  anonymous: boolean({
    default: { text: 'either', value: () => undefined },
    reload: 'live',
    help: 'Clients without a user name only (true), or clients with one only (false).',
  }),
  role: oneOf({
    default: { text: 'either', value: (): 'device' | 'service' | undefined => undefined },
    values: ['device', 'service'],
    reload: 'live',
    help: 'Devices or services only.',
  }),
  qos: integer({
    default: 2,
    min: 0,
    max: 2,
    reload: 'live',
    help: 'At most this QoS.',
  }),
  retain: boolean({
    default: { text: 'either', value: () => undefined },
    reload: 'live',
    help: 'Without RETAIN only (false).',
  }),
  name: string({
    default: '',
    allowed: 'text of 1 to 128 characters without control characters',
    check: (value) => value !== '' && value.length <= 128 && !/\p{Cc}/u.test(value),
    reload: 'live',
    help: 'What logs call it; else it has its number.',
  }),
} as const;
