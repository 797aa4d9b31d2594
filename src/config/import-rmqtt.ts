/** An rmqtt.toml (RMQTT's broker, rmqttd) as a configuration of st-mqttd. */
import { dirname } from 'node:path';
import { readConfigFile } from './files.js';
import { Draft } from './import-draft.js';
import { importPlugins } from './import-rmqtt-plugins.js';
import { importDelayed, shippedPlugins } from './import-rmqtt-rules.js';
import { kSeconds, kSizes, sum } from './import-rmqtt-units.js';
import { withoutUrlSecrets } from './shown.js';
import { isTable, type Layer, quoteKey } from './tree.js';

type Table = Readonly<Record<string, unknown>>;

/** One key of the source, with what is needed to carry it over. */
interface Given {
  readonly value: unknown;
  /** Its place and name. */
  readonly from: string;
  set(table: readonly string[], key: string, value: unknown): void;
  note(why: string): void;
  unhandled(why: string): void;
}
type Rule = (given: Given) => void;

export async function importRmqtt(file: string): Promise<string> {
  const layer = await readConfigFile(file);
  const draft = new Draft(`Imported from ${file}, an rmqtt.toml, by st-mqttd import.`);
  const { listener, ...rest } = layer.root;
  const folder = isTable(rest.plugins) ? String(rest.plugins.dir ?? './plugins') : './plugins';
  const plugins = isTable(rest.plugins) ? rest.plugins.default_startups : undefined;
  const names = Array.isArray(plugins) ? plugins.map(String) : [];
  await importPlugins(draft, folder, dirname(file), names);
  carry(draft, layer, rest, [], globals, []);
  const kinds = isTable(listener) ? listener : {};
  const all = Object.values(kinds).flatMap((named) => Object.values(isTable(named) ? named : {}));
  const enabled = all.filter(isTable).filter(({ enable }) => enable !== false);
  importDelayed(draft, layer, enabled);
  for (const [kind, named] of Object.entries(kinds)) {
    for (const [name, table] of Object.entries(isTable(named) ? named : {})) {
      if (isTable(table)) carryListener(draft, layer, kind, name, table);
    }
  }
  if (Object.keys(kinds).length === 0) {
    const from = 'rmqttd without a listener: this one';
    carryOpen(draft, ['unified', 'external'], false, from);
    draft.set(['unified', 'external'], 'listen', '0.0.0.0:1883', from);
  }
  return draft.text();
}

/** Every key of a table, and of the tables in it, by its rule; one without a rule is noted. */
function carry(
  draft: Draft,
  layer: Layer,
  table: Table,
  path: readonly string[],
  rules: Readonly<Record<string, Rule>>,
  to: readonly string[],
): void {
  for (const [key, value] of Object.entries(table)) {
    const written = [...path, key];
    const name = path[0] === 'listener' ? key : written.join('.');
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined && isTable(value)) {
      carry(draft, layer, value, written, rules, to);
      continue;
    }
    const told = secretName.test(key) ? '(not copied)' : withoutUrlSecrets(JSON.stringify(value));
    const from = `${layer.locate(written)} ${written.map(quoteKey).join('.')} = ${told}`;
    const given: Given = {
      value,
      from,
      set: (table, key, taken) => draft.set([...to, ...table], key, taken, from),
      note: (why) => draft.note(to, `${from}: ${why}`),
      unhandled: (why) => draft.unhandled(`${from}: ${why}`),
    };
    if (rule !== undefined) rule(given);
    else if (aboutAccess.test(name)) given.unhandled('no counterpart');
    else given.note('no counterpart');
  }
}

const aboutAccess = /auth|acl|anonym|cert|tls|passw|secret|token|allow|deny/i;
const secretName = /passw|secret|token/i;

function carryListener(draft: Draft, layer: Layer, kind: string, name: string, table: Table): void {
  const written = ['listener', kind, name];
  const place = layer.locate(written);
  if (table.enable === false) {
    draft.note([], `${place} listener.${kind}.${name}: not enabled`);
    return;
  }
  const isTls = kind === 'tls' || kind === 'wss';
  const ours = kind === 'ws' || kind === 'wss' ? 'ws' : kind === 'quic' ? 'quic' : 'unified';
  const to = [ours, isTls ? `${name}-tls` : name];
  // The address first, for the reader.
  const { addr = '0.0.0.0:1883', allow_anonymous, ...rest } = table;
  draft.set(to, 'listen', addr, `${layer.locate([...written, 'addr'])} addr`);
  carryOpen(draft, to, allow_anonymous === true, `${place} [listener.${kind}.${name}]`);
  if (isTls && table.cert === undefined) {
    draft.unhandled(`${place} listener.${kind}.${name}: TLS without cert`);
  }
  carry(draft, layer, rest, written, listenerRules, to);
}

/** Where the source lets in only whom a plugin knows, so does the result. */
function carryOpen(draft: Draft, to: readonly string[], isOpen: boolean, from: string): void {
  const why = isOpen ? 'allow_anonymous' : 'allow_anonymous is false, the default there';
  draft.set(to, 'allow_anonymous', isOpen, `${from} ${why}`);
}

const note =
  (why: string): Rule =>
  (given) =>
    given.note(why);
const same =
  (table: readonly string[], key: string): Rule =>
  (given) =>
    given.set(table, key, given.value);
/** 0 is without a bound there; here it is `unlimited`. */
const count =
  (key: string, unlimited: number): Rule =>
  (given) =>
    given.set(['connections'], key, given.value === 0 ? unlimited : given.value);
const measured =
  (units: Readonly<Record<string, number>>, then: (value: number, given: Given) => void): Rule =>
  (given) => {
    const value = sum(String(given.value), units);
    if (value === undefined) given.note('not a number with a unit; left out');
    else then(value, given);
  };

const cluster = note('the clustered mode is not there yet');
const plugins: Rule = ({ value, note: say, unhandled }) => {
  const names = Array.isArray(value) ? value.map(String) : [];
  for (const name of names) {
    // Said by its own file.
    if (['rmqtt-acl', 'rmqtt-auth-jwt', 'rmqtt-auth-http'].includes(name)) continue;
    if (Object.hasOwn(shippedPlugins, name)) continue;
    if (/auth|acl/.test(name))
      unhandled(`plugin ${name} decides about access, and is not there yet`);
    else if (/storage/.test(name)) unhandled(`plugin ${name} keeps on disk what is in memory here`);
    else say(`plugin ${name} is not there yet`);
  }
};

const delayed = note('of [plugins.delayed-publish], if a listener has delayed_publish');

const globals: Readonly<Record<string, Rule>> = {
  'node.id': same([], 'id'),
  'log.to': same(['log'], 'to'),
  'log.level': same(['log'], 'level'),
  'log.dir': same(['log'], 'dir'),
  'log.file': same(['log'], 'file'),
  'plugins.default_startups': plugins,
  'plugins.dir': note('what its files say is below'),
  'mqtt.delayed_publish_max': delayed,
  'mqtt.delayed_publish_immediate': delayed,
  rpc: cluster,
  'node.busy': note('connections wait in the backlog of the system where the broker is busy'),
  task: note('there are no tasks to bound: packets are handled on the I/O threads'),
  'mqtt.max_sessions': (given) => {
    if (given.value !== 0) given.note('sessions in all have no bound of their own here');
  },
};

const listenerRules: Readonly<Record<string, Rule>> = {
  enable: () => {},
  delayed_publish: () => {},
  max_connections: same([], 'max_connections'),
  max_handshaking_limit: same([], 'max_handshakes'),
  handshake_timeout: measured(kSeconds, (seconds, given) =>
    given.set(['connections'], 'connection_timeout_ms', seconds * 1000),
  ),
  max_packet_size: measured(kSizes, (bytes, given) =>
    given.set(['connections'], 'max_packet_size', bytes === 0 ? 268_435_460 : bytes),
  ),
  max_keepalive: same(['connections'], 'max_keep_alive_s'),
  allow_zero_keepalive: same(['connections'], 'allow_zero_keep_alive'),
  max_inflight: same(['connections'], 'max_inflight'),
  max_mqueue_len: same(['connections'], 'max_queued_messages'),
  max_clientid_len: same(['connections'], 'max_client_id_bytes'),
  max_qos_allowed: same(['connections'], 'max_qos'),
  max_topic_levels: count('max_topic_levels', 32_768),
  retain_available: same(['connections'], 'retain_available'),
  max_subscriptions: count('max_subscriptions', 0xffffffff),
  max_topic_aliases: same(['connections'], 'topic_alias_maximum'),
  shared_subscription: same(['connections'], 'shared_subscriptions'),
  message_expiry_interval: measured(kSeconds, (seconds, given) =>
    given.set(['connections'], 'max_message_expiry_s', seconds),
  ),
  session_expiry_interval: measured(kSeconds, (seconds, given) =>
    given.set(['connections'], 'max_session_expiry_s', seconds),
  ),
  max_session_expiry_interval: measured(kSeconds, (seconds, given) => {
    if (seconds === 0) given.note('0: no bound beyond session_expiry_interval');
    else given.set(['connections'], 'max_session_expiry_s', seconds);
  }),
  proxy_protocol: (given) => {
    if (given.value !== true) return;
    given.set([], 'proxy_protocol', 'any');
    given.unhandled('headers are believed from trusted_proxies only: name the proxies there');
  },
  proxy_protocol_timeout: note('connection_timeout_ms counts from the first byte'),
  cert: same(['tls'], 'certpath'),
  key: same(['tls'], 'keypath'),
  client_ca_certs: same(['tls'], 'capath'),
  cross_certificate: (given) =>
    given.set(['tls'], 'verify_client_cert', given.value === true ? 'require' : 'none'),
  cert_cn_as_username: (given) => {
    if (given.value === true) given.set(['tls'], 'identity', 'cn');
  },
  cert_subject_dn_as_username: (given) => {
    if (given.value === true) given.set(['tls'], 'identity', 'dn');
  },
  workers: note('see broker.io_threads'),
  backlog: note('the backlog of the system is used'),
  nodelay: note('it is always set'),
  reuseaddr: note('it is always set'),
  reuseport: note('one process has the port'),
  message_retry_interval: note(
    'messages are sent again when a client comes back, as MQTT wants it',
  ),
  keepalive_backoff: note('a client may be silent for one and a half times its Keep Alive'),
};
