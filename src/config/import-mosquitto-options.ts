/** What each option of a mosquitto.conf is here. */
import type { Rule } from './import-draft.js';

const kPayloadToPacket = 65_549;
const kUnlimited = Number.MAX_SAFE_INTEGER;

/** Said elsewhere: by the listener as a whole. */
export const kNothing: ReadonlySet<string> = new Set([
  'acl_file',
  'password_file',
  'allow_anonymous',
  'listener_allow_anonymous',
  'per_listener_settings',
  'protocol',
  'socket_domain',
]);

const number =
  (
    table: string,
    key: string,
    unlimited?: { readonly when: number; readonly value: number },
  ): Rule =>
  (_, to) => {
    const given = to.number();
    to.set([table], key, given === unlimited?.when ? unlimited.value : given);
  };
const flag =
  (table: string, key: string): Rule =>
  (value, to) =>
    to.set([table], key, value === 'true');
const note =
  (why: string): Rule =>
  (_, to) =>
    to.note(why);
const unhandled =
  (why: string): Rule =>
  (_, to) =>
    to.unhandled(why);

const expiry: Rule = (value, to) => {
  const units = { h: 3600, d: 86_400, w: 604_800, m: 2_592_000, y: 31_536_000 } as const;
  const match = /^(\d+)([hdwmy])$/.exec(value);
  if (match === null) to.note('not a number with h, d, w, m or y behind it; left out');
  else to.set(['mqtt'], 'max_session_expiry_s', Number(match[1]) * units[match[2] as 'h']);
};

const keepAlive: Rule = (_, to) => {
  const seconds = to.number();
  to.set(['mqtt'], 'max_keep_alive_s', seconds === 0 ? 65_535 : seconds);
  if (seconds > 0) to.set(['mqtt'], 'allow_zero_keep_alive', false);
};

/** Several lines of log_dest add up. */
const logTo: Rule = (value, to) => {
  const [kind = '', path = ''] = value.split(/\s+/, 2);
  if (kind === 'none') return to.set(['log'], 'to', 'off');
  if (kind === 'stderr' || kind === 'stdout') {
    to.seen.add('console');
  } else if (kind === 'file' && path !== '') {
    to.seen.add('file');
    const slash = path.lastIndexOf('/');
    if (slash >= 0) to.set(['log'], 'dir', path.slice(0, slash) || '/');
    to.set(['log'], 'file', path.slice(slash + 1));
  } else {
    return to.note('records go to stderr or to a file only');
  }
  const isBoth = to.seen.has('console') && to.seen.has('file');
  to.set(['log'], 'to', isBoth ? 'both' : to.seen.has('file') ? 'file' : 'console');
};

/** By the kinds of mosquitto's records, the least important first. */
const levels: readonly (readonly [level: string, ...kinds: string[]])[] = [
  ['debug', 'debug', 'subscribe', 'unsubscribe', 'internal', 'all'],
  ['info', 'notice', 'information'],
  ['warn', 'warning'],
  ['error', 'error'],
];

/** Several lines of log_type add up. */
const logType: Rule = (value, to) => {
  if (!levels.some(([, ...kinds]) => kinds.includes(value))) {
    return to.note('there is no such kind of record here');
  }
  to.seen.add(value);
  const least = levels.find(([, ...kinds]) => kinds.some((kind) => to.seen.has(kind)));
  to.set(['log'], 'level', least?.[0] ?? 'warn');
};

const persistence: Rule = (value, to) => {
  if (value === 'true') to.set(['persistence'], 'durability', 'batch');
};

const kLimit = 'quotas of this kind are not there';
const kAuth = 'plugins are not there; see [[auth.providers]] and [[acl.rules]]';

export const mosquittoGlobals: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['max_inflight_messages', number('mqtt', 'max_inflight', { when: 0, value: 65_535 })],
  ['max_queued_messages', number('mqtt', 'max_queued_messages', { when: 0, value: 0xffffffff })],
  ['max_queued_bytes', number('mqtt', 'max_queued_bytes', { when: 0, value: kUnlimited })],
  ['max_packet_size', number('mqtt', 'max_packet_size', { when: 0, value: 268_435_460 })],
  [
    'message_size_limit',
    (_, to) => {
      const bytes = to.number();
      // There it bounds the payload alone; here topic and header count too.
      if (bytes > 0) to.set(['mqtt'], 'max_packet_size', bytes + kPayloadToPacket);
    },
  ],
  ['persistent_client_expiration', expiry],
  ['max_keepalive', keepAlive],
  ['max_qos', number('mqtt', 'max_qos')],
  ['retain_available', flag('mqtt', 'retain_available')],
  ['allow_zero_length_clientid', flag('mqtt', 'allow_empty_client_id')],
  ['sys_interval', number('mqtt', 'sys_interval_s')],
  ['memory_limit', number('broker', 'max_memory_bytes')],
  ['global_max_connections', number('broker', 'max_connections', { when: -1, value: 100_000_000 })],
  ['auto_id_prefix', (value, to) => to.set(['broker'], 'client_id_prefix', value)],
  ['log_dest', logTo],
  ['log_type', logType],
  ['persistence', persistence],
  ['autosave_interval', note('what is on disk follows persistence.durability here')],
  ['autosave_on_changes', note('what is on disk follows persistence.durability here')],
  [
    'persistence_location',
    (value, to) => {
      to.set(['persistence'], 'path', `${value.replace(/\/$/, '')}/st-mqttd`);
      to.note('what mosquitto has stored there is not read');
    },
  ],
  ['persistence_file', note('what mosquitto has stored there is not read')],
  ['psk_file', unhandled('TLS by shared keys is not there')],
  ['plugin', unhandled(kAuth)],
  ['global_plugin', unhandled(kAuth)],
  ['auth_plugin', unhandled(kAuth)],
  ['auth_plugin_deny_special_chars', unhandled(kAuth)],
  ['clientid_prefixes', unhandled('see clients of [[acl.rules]]')],
  ['check_retain_source', note('rules hold for retained messages when they are delivered too')],
  ['global_max_clients', note(kLimit)],
  ['max_connections', note('stands before any listener')],
  [
    'allow_duplicate_messages',
    note('a client gets a message once for each subscription that matches'),
  ],
  ['connection_messages', note('connections are logged at level info')],
  ['log_facility', note('records go to stderr or to a file only')],
  ['log_timestamp', note('records have their time always')],
  ['log_timestamp_format', note('times are ISO 8601')],
  ['websockets_log_level', note('see log.filter')],
  ['set_tcp_nodelay', note('it is always set')],
  ['queue_qos0_messages', note('QoS 0 is not queued for clients that are away')],
  ['upgrade_outgoing_qos', note('the QoS of a message is never raised [MQTT-3.8.4-8]')],
  ['retry_interval', note('messages are sent again when a client comes back, as MQTT wants it')],
  ['store_clean_interval', note('nothing to clean')],
  ['pid_file', note('what starts st-mqttd knows it')],
  ['user', note('start st-mqttd as that user')],
  ['retain_expiry_interval', note('retained messages keep their own expiry')],
  ['max_publish_queue_size', note(kLimit)],
]);

export const mosquittoListener: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [
    'max_connections',
    (_, to) => {
      const bound = to.number();
      if (bound >= 0) to.set([], 'max_connections', bound);
    },
  ],
  ['max_qos', (_, to) => to.set(['connections'], 'max_qos', to.number())],
  ['max_topic_alias', (_, to) => to.set(['connections'], 'topic_alias_maximum', to.number())],
  [
    'max_topic_alias_broker',
    (_, to) => to.set(['connections'], 'max_topic_alias_out', to.number()),
  ],
  [
    'accept_protocol_versions',
    (value, to) => {
      const names: Readonly<Record<string, string>> = { '3': '3.1', '4': '3.1.1', '5': '5.0' };
      const versions = value.split(',').map((one) => names[one.trim()] ?? one.trim());
      to.set(['connections'], 'accept_versions', versions);
    },
  ],
  ['certfile', (value, to) => to.set(['tls'], 'certpath', value)],
  ['keyfile', (value, to) => to.set(['tls'], 'keypath', value)],
  ['cafile', (value, to) => to.set(['tls'], 'capath', value)],
  ['crlfile', (value, to) => to.set(['tls'], 'crlpath', value)],
  ['ciphers', (value, to) => to.set(['tls'], 'ciphers', value)],
  [
    'require_certificate',
    (value, to) => to.set(['tls'], 'verify_client_cert', value === 'true' ? 'require' : 'none'),
  ],
  [
    'use_identity_as_username',
    (value, to) => {
      if (value === 'true') to.set(['tls'], 'identity', 'cn');
    },
  ],
  [
    'use_subject_as_username',
    (value, to) => {
      if (value === 'true') to.set(['tls'], 'identity', 'dn');
    },
  ],
  [
    'tls_version',
    (value, to) => {
      const version = /^tlsv1\.([123])$/.exec(value)?.[1];
      if (version === undefined) return to.note('no version of TLS; left out');
      to.set(['tls'], 'min_version', version === '3' ? '1.3' : '1.2');
      if (version === '1') to.note('the oldest version here is TLS 1.2');
    },
  ],
  ['capath', unhandled('a folder of certificates is not possible here: join them in one file')],
  ['ciphers_tls1.3', (value, to) => to.set(['tls'], 'ciphersuites', value)],
  ['dhparamfile', note('keys are agreed on over elliptic curves alone')],
  ['tls_engine', unhandled('TLS engines are not there')],
  ['tls_engine_kpass_sha1', unhandled('TLS engines are not there')],
  ['tls_keyform', unhandled('TLS engines are not there')],
  ['psk_hint', unhandled('TLS by shared keys is not there')],
  ['psk_file', unhandled('TLS by shared keys is not there')],
  ['use_username_as_clientid', unhandled('Client Identifiers are what clients say')],
  ['mount_point', unhandled('topics are what clients say; nothing is put before them')],
  ['bind_interface', unhandled('give the address of that interface as listen')],
  ['websockets_origin', (value, to) => to.set([], 'allowed_origins', value)],
  ['plugin', unhandled(kAuth)],
  ['auth_plugin', unhandled(kAuth)],
  ['http_dir', note('no files are served')],
  ['websockets_headers_size', note('the size of headers is bounded')],
  ['listener_auto_id_prefix', note('see broker.client_id_prefix')],
]);
