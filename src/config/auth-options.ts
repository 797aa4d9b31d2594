/** The rows of `[auth]`: who says whether a client may come in. */
import {
  boolean,
  integer,
  oneOf,
  path,
  type Rows,
  string,
  strings,
  type WrittenTable,
} from './rows.js';
import { placeholderOnly, withoutUrlSecrets } from './shown.js';

export const failedLoginRows = {
  per_address: integer({
    default: 100,
    min: 0,
    max: 1_000_000,
    reload: 'live',
    help: 'How many logins of one address may fail within window_s; 0 = any number.',
  }),
  window_s: integer({
    default: 60,
    unit: 's',
    min: 1,
    max: 86_400,
    reload: 'live',
    help: 'The time in which failed logins are counted.',
  }),
  ban_s: integer({
    default: 60,
    unit: 's',
    min: 0,
    max: 31_536_000,
    reload: 'live',
    help: 'How long an address with more of them is kept out; 0 = they are only counted.',
  }),
  delay_ms: integer({
    default: 0,
    unit: 'ms',
    min: 0,
    max: 60_000,
    reload: 'live',
    help: 'How long the answer to a refused login is held back.',
  }),
} as const;

export const providerKinds = [
  'static',
  'password_file',
  'certificate',
  'jwt',
  'http',
  'scram',
  'handler',
] as const;
export type ProviderKind = (typeof providerKinds)[number];

/** Of each of `[[auth.providers]]`; its kind adds those of providerRows. */
export const anyProviderRows = {
  kind: oneOf({
    default: { text: 'none', value: (): ProviderKind | undefined => undefined },
    values: providerKinds,
    reload: 'live',
    help: 'What it is; the keys of each kind are below.',
  }),
  name: string({
    default: '',
    allowed: 'text of 1 to 64 letters, digits, "_", "." and "-"',
    check: (value) => /^[A-Za-z0-9_.-]{1,64}$/.test(value),
    reload: 'live',
    help: 'Its name in logs and metrics; the default is its kind, with a number from the second one on.',
  }),
  listeners: strings({
    default: [],
    allowed: 'names of listeners, as "v4-1"',
    check: (value) => value !== '',
    reload: 'live',
    help: 'The listeners that it is asked for; empty = all.',
  }),
} as const;

const kAlgorithms = [
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
];

const count = (value: number, max: number, help: string) =>
  integer({ default: value, min: 1, max, reload: 'live', help });
const seconds = (value: number, help: string) =>
  integer({ default: value, unit: 's', min: 0, max: 31_536_000, reload: 'live', help });
const timeout = (help: string) =>
  integer({ default: 3000, unit: 'ms', min: 1, max: 600_000, reload: 'live', help });
const file = (help: string) => path({ reload: 'live', help });
const claim = (value: string, help: string) =>
  string({
    default: value,
    allowed: 'the name of a claim, or ""',
    check: (name) => name.length <= 256,
    reload: 'live',
    help: `${help} "" = none.`,
  });
const url = (help: string) =>
  string({
    default: '',
    allowed: 'a URL that begins with http:// or https://, without user and password in it',
    check: isHttpUrl,
    shown: withoutUrlSecrets,
    reload: 'live',
    help,
  });

export const providerRows = {
  static: {},
  handler: {},
  certificate: {
    username: oneOf({
      default: 'cn',
      values: ['cn', 'dn', 'san'],
      reload: 'live',
      help: 'What of the verified certificate is the user name.',
    }),
  },
  password_file: {
    path: file(
      'The file, in the format of mosquitto_passwd; `st-mqttd passwd` makes and changes it.',
    ),
    cache_ttl_s: seconds(300, 'How long a password that was right need not be computed again.'),
    cache_max: count(10_000, 10_000_000, 'How many of them are remembered.'),
    max_concurrent: count(
      2,
      64,
      'How many passwords are computed at once, each on a thread; all files together no more than the largest of these.',
    ),
  },
  jwt: {
    algorithms: strings({
      default: [],
      allowed: kAlgorithms.map((name) => `"${name}"`).join(', '),
      check: (value) => kAlgorithms.includes(value),
      reload: 'live',
      help: 'The algorithms that a token may be signed with. There is no default: name the one that is used.',
    }),
    secret: string({
      default: '',
      secret: true,
      allowed: 'text of at least 16 bytes',
      check: (value) => Buffer.byteLength(value) >= 16,
      reload: 'live',
      help: 'The secret of HS256, HS384, HS512. One of secret, key_path and jwks_url must be there.',
    }),
    key_path: file('The public key or certificate (PEM), or a JWK or JWKS (.json).'),
    jwks_url: url('Where the keys are fetched from, and fetched again.'),
    jwks_cache_s: seconds(600, 'How long fetched keys are taken for current.'),
    jwks_cooldown_s: seconds(
      30,
      'How long to wait before keys are fetched for an unknown key id again.',
    ),
    jwks_timeout_ms: timeout('How long fetching may take.'),
    ca_path: file('The CAs for jwks_url, PEM; by default those of Node.'),
    issuers: strings({
      default: [],
      allowed: 'texts',
      check: (value) => value !== '',
      reload: 'live',
      help: 'What `iss` must be one of; empty = anything.',
    }),
    audiences: strings({
      default: [],
      allowed: 'texts',
      check: (value) => value !== '',
      reload: 'live',
      help: 'What `aud` must have one of; empty = anything.',
    }),
    leeway_s: seconds(30, 'How far clocks may differ.'),
    require_expiry: boolean({
      default: true,
      reload: 'live',
      help: 'Whether a token must have an end (`exp`). At that time its client is disconnected.',
    }),
    token: oneOf({
      default: 'password',
      values: ['password', 'username'],
      reload: 'live',
      help: 'Where of CONNECT the token is.',
    }),
    username_claim: claim('sub', 'The claim that is the user name.'),
    client_id_claim: claim('', 'The claim that the Client Identifier must be equal to.'),
    groups_claim: claim('groups', 'The claim with the groups that rules know.'),
    acl_claim: claim('acl', 'The claim with rules of this client alone.'),
    tenant_claim: claim('tenant', 'The claim that is the tenant.'),
    device_id_claim: claim('device_id', 'The claim that is the device id.'),
    role_claim: claim('', 'The claim that is the role: "device" or "service".'),
  },
  http: {
    url: url('Where each login is asked about, by POST.'),
    format: oneOf({
      default: 'json',
      values: ['json', 'form'],
      reload: 'live',
      help: 'How the question is written.',
    }),
    timeout_ms: timeout('How long an answer may take; later it is a refusal (0x88).'),
    cache_ttl_s: seconds(60, 'How long a positive answer holds; 0 = it is asked each time.'),
    negative_ttl_s: seconds(5, 'How long a negative answer holds.'),
    cache_max: count(
      10_000,
      10_000_000,
      'How many answers are remembered: so many that let in, and so many others.',
    ),
    max_concurrent: count(32, 10_000, 'How many questions are on their way at once.'),
    max_queue: count(
      1000,
      10_000_000,
      'How many wait for that; further logins are refused (0x88).',
    ),
    ca_path: file('The CAs of the server, PEM; by default those of Node.'),
    cert_path: file('The certificate that is shown to the server, PEM.'),
    key_path: file('Its private key, PEM.'),
  },
  scram: {
    path: file('The file with the users, as `st-mqttd passwd --scram` makes it.'),
    methods: strings({
      default: ['SCRAM-SHA-256', 'SCRAM-SHA-512'],
      allowed: '"SCRAM-SHA-256", "SCRAM-SHA-512"',
      check: (value) => value === 'SCRAM-SHA-256' || value === 'SCRAM-SHA-512',
      reload: 'live',
      help: 'The Authentication Methods that are taken.',
    }),
  },
} as const satisfies Readonly<Record<ProviderKind, Rows>>;

/** Of a table whose keys are names: a user's password, a header's value. */
export const secretRow = string({
  default: '',
  secret: true,
  allowed: 'text of at most 65535 bytes',
  check: (value) => Buffer.byteLength(value) <= 65_535,
  reload: 'live',
  help: 'Never printed; best kept in a file ("file:PATH") or in the environment ("$' + '{NAME}").',
});

/** Of an http provider's `fields`: what a field of the question says. */
export const fieldRow = string({
  default: '',
  allowed:
    'text with %c (Client Identifier), %u (user name), %P (password), %a (address), %r (protocol), %l (listener), and %% for a percent sign',
  check: (value) => value.length <= 1024 && /^([^%]|%[cuParl%])*$/.test(value),
  shown: placeholderOnly,
  reload: 'live',
  help: 'A field of the question.',
});

/** One of `[[auth.providers]]` as it is written. */
export type ProviderOptions = {
  readonly [K in ProviderKind]: { readonly kind: K } & Omit<
    WrittenTable<typeof anyProviderRows>,
    'kind'
  > &
    WrittenTable<(typeof providerRows)[K]> &
    (K extends 'static' ? { readonly users?: Named | undefined } : unknown) &
    (K extends 'http'
      ? { readonly headers?: Named | undefined; readonly fields?: Named | undefined }
      : unknown);
}[ProviderKind];
type Named = Readonly<Record<string, string>>;

/** `[auth]` as it is written. */
export interface AuthOptions {
  readonly providers?: readonly ProviderOptions[] | undefined;
  readonly failed_logins?: WrittenTable<typeof failedLoginRows> | undefined;
}

function isHttpUrl(value: string): boolean {
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  return (
    parsed !== undefined &&
    /^https?:$/.test(parsed.protocol) &&
    parsed.username === '' &&
    parsed.password === ''
  );
}
