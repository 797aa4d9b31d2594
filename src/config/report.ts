/** The configuration as text: what is in effect and where it came from, and the commented default. */
import { formatAddress, type ListenAddress } from './address.js';
import {
  brokerRows,
  listenerRows,
  logRows,
  mqttTableRows,
  routerRows,
  topRows,
} from './options.js';
import type { EffectiveEntry, Resolution } from './resolve.js';
import { allowedText, defaultOf, type Row } from './rows.js';

const kCommentColumn = 44;

/** For `--check`: valid TOML again, each line with its origin. */
export function effectiveText({ config, effective }: Resolution): string {
  const lines: string[] = [];
  let table = '';
  for (const entry of effective) {
    if (!isWorthALine(entry)) continue;
    if (entry.table !== table) {
      lines.push('', `[${entry.table}]`);
      table = entry.table;
    }
    const value = entry.row.secret === true ? '"(secret)"' : tomlValue(entry.row, entry.value);
    const assignment = `${entry.key} = ${value}`;
    lines.push(withComment(assignment, entry.origin ?? 'default'));
  }
  if (config.isLoopbackDefault) {
    const listen = config.listeners.flatMap((listener) => listener.listen);
    const text = `listen = ${tomlValue(listenerRows.listen, listen)}`;
    lines.push('', '[unified.loopback]', withComment(text, 'default: loopback only'));
  }
  return `${lines.join('\n').trim()}\n`;
}

/** What a listener inherits or leaves unset says nothing new. */
function isWorthALine({ table, key, origin }: EffectiveEntry): boolean {
  const isListener = /^(v4|v5|unified)\./.test(table);
  return !isListener || origin !== undefined || (key === 'name' && !table.endsWith('.connections'));
}

/** For `generate-config`: the defaults, in force once a line loses its `#`. */
export function defaultConfigText(): string {
  return [
    '# Configuration of st-mqttd. What is commented out is the default.',
    '# Every option can also be set in the environment: mqtt.max_qos is ST_MQTTD_MQTT__MAX_QOS.',
    '# A configuration for ST-RMQTT (rumqttd) is read as it is.',
    '',
    ...tableLines('', topRows),
    '',
    '# A listener takes every version of MQTT on one port. [v4.NAME] takes 3.1 and 3.1.1, [v5.NAME] 5.0.',
    '# As it is, only programs on this machine can connect: "0.0.0.0:1883" opens it to the network.',
    '[unified.1]',
    'listen = ["127.0.0.1:1883"]',
    ...tableLines('', { ...listenerRows, listen: undefined }),
    '',
    '# Overrides [mqtt] for this listener.',
    '# [unified.1.connections]',
    '# max_packet_size = 20480',
    '',
    ...tableLines('[mqtt]', mqttTableRows),
    '',
    ...tableLines('[broker]', brokerRows),
    '',
    ...tableLines('[router]', routerRows),
    '',
    ...tableLines('[log]', logRows),
    '',
  ].join('\n');
}

function tableLines(header: string, rows: Readonly<Record<string, Row | undefined>>): string[] {
  const lines = header === '' ? [] : [header];
  for (const [key, row] of Object.entries(rows)) {
    if (row === undefined) continue;
    if (lines.length > 1) lines.push('');
    lines.push(`# ${row.help}`, `# Allowed: ${allowedText(row)}.`);
    const computed = typeof row.default === 'object' && 'text' in row.default;
    const value = computed ? 0 : defaultOf(row);
    const note = computed ? `   # default: ${defaultText(row)}` : '';
    // An empty text is no path and no name: the line shows the form.
    const shown = key === 'name' ? '"unified-1"' : key === 'unix' ? '"/run/st-mqttd.sock"' : '';
    lines.push(`# ${key} = ${shown === '' ? tomlValue(row, value) : shown}${note}`);
  }
  return lines;
}

/** A row's default in words. */
export function defaultText(row: Row): string {
  return typeof row.default === 'object' && 'text' in row.default
    ? row.default.text
    : tomlValue(row, row.default);
}

export function tomlValue(row: Row, value: unknown): string {
  if (row.type === 'addresses') {
    const texts = (value as readonly ListenAddress[]).map((a) => formatAddress(a.host, a.port));
    return JSON.stringify(texts.length === 1 ? texts[0] : texts).replaceAll('","', '", "');
  }
  if (row.type === 'mode') return `"0${(value as number).toString(8)}"`;
  return JSON.stringify(value).replaceAll('","', '", "');
}

function withComment(text: string, comment: string): string {
  return `${text.padEnd(kCommentColumn)} # ${comment}`;
}
