/** docs/OPTIONS.md, made from the option table by scripts/options-doc.mjs; a test holds it fresh. */
import { aclRows, ruleRows } from './acl-options.js';
import {
  anyProviderRows,
  failedLoginRows,
  type ProviderKind,
  providerRows,
  secretRow,
} from './auth-options.js';
import { deviceRows, tenantsRows } from './identity-options.js';
import { flappingRows, limitsRows } from './limits-options.js';
import { connectionsOwnRows, webSocketRows } from './listener-options.js';
import { segmentRows } from './log-options.js';
import {
  brokerRows,
  listenerRows,
  logRows,
  mqttTableRows,
  routerRows,
  topRows,
} from './options.js';
import { pluginRows, pluginsRows } from './plugin-options.js';
import { defaultText } from './report.js';
import type { Row, Rows } from './rows.js';
import { consoleRows, meterRows, prometheusRows, tokenRows } from './service-options.js';
import { kStRmqttTests, stRmqttKeys } from './st-rmqtt.js';
import { sniRows, tlsRows } from './tls-options.js';
import { deadKeys, type Scope, type UnsupportedKey, unsupported } from './unsupported.js';

const kEnvironment = 'ST_MQTTD_';

export function optionsMarkdown(): string {
  return `${[
    '# Options',
    '',
    '<!-- Made by `node scripts/options-doc.mjs` from src/config/. Edit the table there. -->',
    '',
    'A configuration file is TOML, or YAML or JSON by the ending of its name. What is in effect comes from these layers, each over',
    'the one before it:',
    '',
    '1. the defaults below',
    '2. `/etc/st-mqttd/st-mqttd.toml` (or `.yaml`, `.yml`, `.json`; two of them in one folder are an error)',
    '3. `/etc/st-mqttd.toml` (likewise)',
    '4. `./st-mqttd.toml` (likewise)',
    '5. the files of `-c FILE` (`-f`, `--config`), in their order; one that is missing is an error',
    '6. the environment: `ST_MQTTD_*`, `__` between the levels, lists with commas',
    '7. the command line',
    '',
    'Tables of several files are one. But where a file of `-c` has listeners, those of 2 to 4 that it does not have are left out, and that',
    'is said: a file that happens to be in /etc, as that of a container image, opens no ports beside them.',
    '',
    '`st-mqttd check` (or `--check`; `--json`) prints what is in effect and where each value came from;',
    '`st-mqttd generate-config` (`--format toml|yaml|json`) prints a file with all defaults.',
    'A wrong value stops the start with one line that names file, line, column, key, what was found and what is allowed.',
    'An unknown key is a warning, unless its name is about access: then it stops the start too.',
    'An application that embeds the broker gives one object or one file; nothing else is read.',
    '',
    'A value in a file or in the environment may be `file:PATH`, which stands for the content of that file (relative to the folder',
    'of the configuration file; the last line end is left out), and have `$' +
      '{NAME}` in it, which stands for a variable of the',
    'environment (`$${` is a plain `${`). So secrets need not stand in the configuration; they are never printed, nor is the query of a URL.',
    '',
    '*Reload* says what a changed value touches when a running broker reads its configuration again (SIGHUP): everything at once',
    '(live), new connections, or nothing before a restart. Listeners and their addresses are opened and closed by a reload; who is',
    'connected stays.',
    '',
    ...section('Top level', '', topRows),
    ...section('`[mqtt]`: protocol limits and defaults', 'MQTT__', mqttTableRows, [
      'For all listeners; the `.connections` table of a listener may override each.',
    ]),
    ...section(
      'Listeners: `[v4.NAME]`, `[v5.NAME]`, `[unified.NAME]`, `[ws.NAME]`',
      'UNIFIED__NAME__',
      listenerRows,
      [
        '`v4` takes MQTT 3.1 and 3.1.1, `v5` takes 5.0, `unified` all of them on one port, `ws` all of them over WebSocket. With a `tls`',
        'table they are mqtts and wss. Without any listener in file, environment and command line, one on loopback is opened:',
        '127.0.0.1:1883 and [::1]:1883.',
        '`[….connections]` takes all keys of `[mqtt]`, and ST-RMQTT’s `max_payload_size` (for `max_packet_size`) and',
        '`max_inflight_count` (for `max_inflight`), and the keys of its own below.',
        '`[….auth]` and, as in ST-RMQTT, `[….connections.auth]` name users and their passwords: `alice = "secret"`. Where there is one,',
        'nobody else comes in.',
      ],
    ),
    ...section('`[ws.NAME]` besides', 'WS__NAME__', webSocketRows),
    ...section('`[….connections]` besides', 'UNIFIED__NAME__CONNECTIONS__', connectionsOwnRows),
    ...section('`[….tls]`: a listener with TLS', 'UNIFIED__NAME__TLS__', tlsRows, [
      'certpath and keypath, or pkcs12path. A relative path begins at the folder of the configuration file; where nothing is there, at',
      'the working directory. The files are read again when they change and at a reload; who is connected stays. See [TLS.md](TLS.md).',
    ]),
    ...section('`[[….tls.sni]]`: a certificate for a host name', undefined, sniRows),
    ...section('`[auth]`: `[auth.failed_logins]`', 'AUTH__FAILED_LOGINS__', failedLoginRows),
    ...section('`[[auth.providers]]`: all kinds', undefined, anyProviderRows, [
      'They are asked in their order; the first one that allows or denies decides. Where any provider or `auth` table applies, clients',
      'without credentials stay out, unless the listener says `allow_anonymous = true`. See [AUTHENTICATION.md](AUTHENTICATION.md).',
    ]),
    ...(Object.keys(providerRows) as ProviderKind[]).flatMap((kind) => providerSection(kind)),
    ...section('`[acl]`', 'ACL__', aclRows, ['See [ACCESS.md](ACCESS.md).']),
    ...section('`[[acl.rules]]`', undefined, ruleRows, [
      'The first rule that fits decides; all keys that are there must fit. Rules of a client’s verdict come before these.',
    ]),
    ...section('`[limits]`', 'LIMITS__', limitsRows, ['See [LIMITS.md](LIMITS.md).']),
    ...section('`[limits.flapping]`', 'LIMITS__FLAPPING__', flappingRows),
    ...section('`[tenants]`', 'TENANTS__', tenantsRows),
    ...section('`[device]`', 'DEVICE__', deviceRows),
    ...section('`[plugins]`', 'PLUGINS__', pluginsRows, ['See [PLUGINS.md](PLUGINS.md).']),
    ...section('`[plugins.NAME]`', 'PLUGINS__NAME__', pluginRows, [
      '`[plugins.NAME.config]` is the configuration of the plugin itself; a changed one takes effect with a reload.',
    ]),
    ...section('`[broker]`', 'BROKER__', brokerRows),
    ...section('`[router]`', 'ROUTER__', routerRows),
    ...section('`[router.custom_segment.FILTER]`', undefined, segmentRows, [
      "As in ST-RMQTT: `[router.custom_segment.'/office/+/devices/status']`.",
    ]),
    ...section('`[log]`', 'LOG__', logRows),
    ...section('`[console]`', 'CONSOLE__', consoleRows, [
      'The console HTTP API is served where this table is there, and not loaded otherwise. `[console.tls]` makes it HTTPS: the keys of a',
      "listener's `tls` table but for `identity`; what the table says needs a restart, its files are read again when they change.",
    ]),
    ...section(
      '`[console.tokens]`: `NAME = "token"` or `[console.tokens.NAME]`',
      'CONSOLE__TOKENS__NAME__',
      tokenRows,
    ),
    ...section('`[prometheus]`', 'PROMETHEUS__', prometheusRows, [
      'The exporter is served where this table is there, and not loaded otherwise. `[prometheus.tls]` makes it HTTPS, as for the console.',
    ]),
    ...section('`[metrics.meters]`', 'METRICS__METERS__', meterRows, [
      'See [EMBEDDING.md](EMBEDDING.md#meters-and-alerts).',
    ]),
    ...stRmqttSection(),
    '## Keys that this version does not serve',
    '',
    'What a file asks for about access or about the disk is never left out silently: such a key stops the start.',
    'A feature that is merely missing is named once, as a warning, and left out.',
    '',
    '| key | answer | why |',
    '|---|---|---|',
    ...(Object.keys(unsupported) as Scope[]).flatMap((scope) =>
      Object.entries(unsupported[scope]).map(([key, row]) => unsupportedLine(scope, key, row)),
    ),
    `| ${[...deadKeys].map((key) => `\`${key}\``).join(', ')} | warning | nothing reads them in rumqttd either |`,
  ].join('\n')}\n`;
}

function stRmqttSection(): string[] {
  return [
    "## ST-RMQTT's keys",
    '',
    'A configuration of ST-RMQTT (rumqttd) is read as it is. `[v4.N]` stands for `[v5.N]`, `[unified.N]` and `[ws.N]` too.',
    `Each line's last column is the title of its test in ${kStRmqttTests}.`,
    '',
    '| key | there | here | shown by |',
    '|---|---|---|---|',
    ...stRmqttKeys.map(({ key, there, here, test }) => {
      const names = key.split(', ').map((name) => `\`${name}\``);
      return `| ${names.join(', ')} | ${there} | ${here} | ${test} |`;
    }),
    '',
  ];
}

const kNamed: Partial<Record<ProviderKind, string>> = {
  static: '`[auth.providers.users]` names its users: `alice = "secret"`.',
  http: '`[auth.providers.headers]` names headers of each request: `authorization = "file:token"`. `[auth.providers.fields]` names the fields of the question, instead of those of [AUTHENTICATION.md](AUTHENTICATION.md#http): `clientid = "%c"`.',
  handler:
    'The place of `broker.authenticate()` of an embedding application among the others. It has no keys.',
};

function providerSection(kind: ProviderKind): string[] {
  const named = kNamed[kind];
  const text = [
    ...(named === undefined ? [] : [named]),
    ...(kind === 'static' || kind === 'http' ? [`Each value: ${secretRow.help}`] : []),
  ];
  const title = `\`[[auth.providers]]\` with \`kind = "${kind}"\``;
  return section(title, undefined, providerRows[kind], text);
}

/** `prefix`: of the environment; undefined = lists of tables cannot be given there. */
function section(
  title: string,
  prefix: string | undefined,
  rows: Rows,
  text: readonly string[] = [],
): string[] {
  return [
    `## ${title}`,
    '',
    ...(text.length === 0 ? [] : [...text, '']),
    ...(Object.keys(rows).length === 0 ? [] : tableOf(prefix, rows)),
  ];
}

function tableOf(prefix: string | undefined, rows: Rows): string[] {
  return [
    '| key | default | range | environment | reload | meaning |',
    '|---|---|---|---|---|---|',
    ...Object.entries(rows).map(([key, row]) => line(prefix, key, row)),
    '',
  ];
}

function line(prefix: string | undefined, key: string, row: Row): string {
  const flag = row.flag === undefined ? '' : ` Flag: \`${row.flag}\`.`;
  const cells = [
    `\`${key}\``,
    row === listenerRows.name
      ? 'from the table'
      : row === anyProviderRows.name
        ? 'from its kind'
        : defaultText(row),
    rangeText(row),
    prefix === undefined ? '–' : `\`${kEnvironment}${prefix}${key.toUpperCase()}\``,
    row.reload,
    `${row.help}${flag}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

function rangeText(row: Row): string {
  switch (row.type) {
    case 'integer':
      return `${row.min} to ${row.max}${row.unit === undefined ? '' : ` ${row.unit}`}`;
    case 'boolean':
      return 'true, false';
    case 'enum':
      return row.values.join(', ');
    case 'versions':
      return '3.1, 3.1.1, 5.0';
    case 'addresses':
      return 'HOST:PORT, or a list';
    case 'mode':
      return 'octal digits';
    case 'string':
      return row.allowed ?? 'text';
    case 'strings':
      return `${row.allowed}; one or a list`;
  }
}

function unsupportedLine(scope: Scope, key: string, row: UnsupportedKey): string {
  const table = {
    top: `[${key}]`,
    listener: `a listener's ${key}`,
    connections: `….connections ${key}`,
  } as const;
  const name = scope in table ? table[scope as keyof typeof table] : `${scope}.${key}`;
  const answer = row.answer === 'refuse' ? 'stops the start' : 'warning';
  return `| \`${name}\` | ${answer} | ${row.text} |`;
}
