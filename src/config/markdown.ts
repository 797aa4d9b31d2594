/** docs/OPTIONS.md, made from the option table by scripts/options-doc.mjs; a test holds it fresh. */
import {
  brokerRows,
  listenerRows,
  logRows,
  mqttTableRows,
  routerRows,
  topRows,
} from './options.js';
import { defaultText } from './report.js';
import type { Row, Rows } from './rows.js';
import { consoleRows, prometheusRows, tokenRows } from './service-options.js';
import { kStRmqttTests, stRmqttKeys } from './st-rmqtt.js';
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
    'environment (`$${` is a plain `${`). So secrets need not stand in the configuration; they are never printed.',
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
      'Listeners: `[v4.NAME]`, `[v5.NAME]`, `[unified.NAME]`',
      'UNIFIED__NAME__',
      listenerRows,
      [
        '`v4` takes MQTT 3.1 and 3.1.1, `v5` takes 5.0, `unified` all of them on one port. Without any listener in file, environment',
        'and command line, one on loopback is opened: 127.0.0.1:1883 and [::1]:1883.',
        '`[….connections]` takes all keys of `[mqtt]`, and ST-RMQTT’s `max_payload_size` (for `max_packet_size`) and',
        '`max_inflight_count` (for `max_inflight`).',
      ],
    ),
    ...section('`[broker]`', 'BROKER__', brokerRows),
    ...section('`[router]`', 'ROUTER__', routerRows),
    ...section('`[log]`', 'LOG__', logRows),
    ...section('`[console]`', 'CONSOLE__', consoleRows, [
      'The console HTTP API is served where this table is there, and not loaded otherwise.',
    ]),
    ...section(
      '`[console.tokens]`: `NAME = "token"` or `[console.tokens.NAME]`',
      'CONSOLE__TOKENS__NAME__',
      tokenRows,
    ),
    ...section('`[prometheus]`', 'PROMETHEUS__', prometheusRows, [
      'The exporter is served where this table is there, and not loaded otherwise.',
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

function section(
  title: string,
  prefix: string,
  rows: Rows,
  text: readonly string[] = [],
): string[] {
  return [
    `## ${title}`,
    '',
    ...(text.length === 0 ? [] : [...text, '']),
    '| key | default | range | environment | reload | meaning |',
    '|---|---|---|---|---|---|',
    ...Object.entries(rows).map(([key, row]) => line(prefix, key, row)),
    '',
  ];
}

function line(prefix: string, key: string, row: Row): string {
  const flag = row.flag === undefined ? '' : ` Flag: \`${row.flag}\`.`;
  const cells = [
    `\`${key}\``,
    key === 'name'
      ? 'from the table'
      : key === 'unix' || key === 'token' || (row.type === 'addresses' && row.default.length === 0)
        ? 'none'
        : defaultText(row),
    rangeText(row),
    `\`${kEnvironment}${prefix}${key.toUpperCase()}\``,
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
