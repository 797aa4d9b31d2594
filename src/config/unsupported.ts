/**
 * Keys that a configuration may have and this version does not serve. Three ways to answer:
 * refuse    about access, or about what must survive: starting without it would open a port that
 *           the file wants closed, or keep in memory what it wants on disk;
 * not-yet   a feature that is merely missing: said once, and left out;
 * no-effect nothing here answers to it, and nothing is lost: said once.
 */
import type { ProviderKind } from './auth-options.js';

export type Scope =
  | 'top'
  | 'router'
  | 'segment'
  | 'broker'
  | 'mqtt'
  | 'log'
  | 'console'
  | 'prometheus'
  | 'metrics'
  | 'meters'
  | 'alerts'
  | 'device'
  | 'token'
  | 'listener'
  | 'connections'
  | 'tls'
  | 'sni'
  | 'auth'
  | 'failed_logins'
  | ProviderKind
  | 'acl'
  | 'rule'
  | 'limits'
  | 'flapping'
  | 'tenants'
  | 'plugins'
  | 'plugin';

export interface UnsupportedKey {
  readonly answer: 'refuse' | 'not-yet' | 'no-effect';
  readonly text: string;
  /** Values that ask for nothing more than there is; they pass without a word. */
  readonly harmless?: (value: unknown) => boolean;
}

const refuse = (text: string, harmless?: (value: unknown) => boolean): UnsupportedKey => ({
  answer: 'refuse',
  text,
  ...(harmless && { harmless }),
});
const notYet = (text: string, harmless?: (value: unknown) => boolean): UnsupportedKey => ({
  answer: 'not-yet',
  text,
  ...(harmless && { harmless }),
});
const noEffect = (text: string, harmless?: (value: unknown) => boolean): UnsupportedKey => ({
  answer: 'no-effect',
  text,
  ...(harmless && { harmless }),
});
const is =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);

export const unsupported: Readonly<Record<Scope, Readonly<Record<string, UnsupportedKey>>>> = {
  top: {
    unhandled: refuse(
      'what st-mqttd import has found about access and could not carry over; see to each entry, then delete it',
      (value) => Array.isArray(value) && value.length === 0,
    ),
    persistence: refuse(
      'this version keeps sessions and messages in memory only, and would lose what the file wants on disk',
    ),
    quic: notYet('not yet supported in this version: QUIC listeners; skipped'),
    bridge: notYet('not yet supported in this version: the bridge; skipped'),
    cluster: notYet('not yet supported in this version: the cluster; skipped'),
  },
  router: {
    id: noEffect('has no effect, as in rumqttd'),
  },
  segment: {},
  broker: {
    node_id: notYet('not yet supported in this version: the cluster'),
  },
  mqtt: {},
  log: {},
  console: {
    auth: refuse('this version knows tokens only; put them into [console.tokens]'),
  },
  prometheus: {
    auth: refuse('this version cannot protect the exporter by a password'),
  },
  metrics: {},
  meters: {},
  alerts: {
    push_interval: noEffect(
      'has no effect: alerts come as they happen, none waits for an interval',
    ),
  },
  device: {},
  token: {},
  listener: {},
  connections: {
    external_auth: refuse(
      'it is set in code, by broker.authenticate(), or asked for by [[auth.providers]]',
    ),
    'allow-duplicate-clientid': refuse(
      'it was a feature of the build there; here it is duplicate_client_id = "allow"',
      is(false),
    ),
    verify_client_cert: refuse('it belongs into the tls table of the listener', is('none')),
  },
  tls: {},
  sni: {},
  auth: {},
  failed_logins: {},
  static: {},
  password_file: {},
  certificate: {},
  jwt: {},
  http: {},
  scram: {},
  handler: {},
  acl: {},
  rule: {},
  limits: {},
  flapping: {},
  tenants: {},
  plugins: {},
  plugin: {},
};

/** Keys that ST-RMQTT's shipped files have and nothing there reads, wherever they stand. */
export const deadKeys: ReadonlySet<string> = new Set([
  'max_client_id_len',
  'throttle_delay_ms',
  'max_inflight_size',
  'timeout_delay',
  'instant_ack',
  'max_read_len',
  'backlog',
]);

/** A key that nobody knows, but whose name is about access: it is not left out silently either. */
const accessWords =
  /auth|acl|anonym|tls|ssl|cert|cipher|passw|secret|token|credential|user|allow|deny|permi|role|tenant|psk|verify|persist|durab|plugin/i;

export function isAboutAccess(key: string): boolean {
  return accessWords.test(key);
}
