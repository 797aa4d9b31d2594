/** `generate-config`: a file with every option and its default, as TOML, YAML or JSON. */
import { aclRows } from './acl-options.js';
import { failedLoginRows } from './auth-options.js';
import { deviceRows, tenantsRows } from './identity-options.js';
import { flappingRows, limitsRows } from './limits-options.js';
import { kDefaultLogBytes } from './log-options.js';
import {
  brokerRows,
  listenerRows,
  logRows,
  mqttTableRows,
  routerRows,
  topRows,
} from './options.js';
import { defaultText, isOptional, writtenValue } from './report.js';
import { allowedText, defaultOf, isComputed, type Row, type Rows } from './rows.js';
import { consoleRows, meterRows, prometheusRows, tokenRows } from './service-options.js';
import { tlsRows } from './tls-options.js';

export const templateFormats = ['toml', 'yaml', 'json'] as const;
export type TemplateFormat = (typeof templateFormats)[number];

interface Section {
  /** Its tables, from the outermost. */
  readonly path: readonly string[];
  readonly rows: Rows;
  /** Of keys that are in force: the listener's address, without which there is no broker. */
  readonly inForce?: readonly string[];
  /** The table itself asks for something: it is a comment, too. */
  readonly off?: true;
  readonly text?: readonly string[];
}

const { listen, ...restOfListener } = listenerRows;

// It would be a second certificate.
const { pkcs12path: _, pkcs12pass: _pass, ...restOfTls } = tlsRows;

const sections: readonly Section[] = [
  { path: [], rows: topRows },
  {
    path: ['unified', '1'],
    rows: { listen, ...restOfListener },
    inForce: ['listen'],
    text: [
      'A listener takes every version of MQTT on one port. v4.NAME takes 3.1 and 3.1.1, v5.NAME 5.0.',
      'As it is, only programs on this machine can connect: "0.0.0.0:1883" opens it to the network.',
    ],
  },
  {
    path: ['unified', '1', 'connections'],
    rows: { max_packet_size: { ...mqttTableRows.max_packet_size } },
    off: true,
    text: ['Overrides mqtt for this listener: takes its keys.'],
  },
  {
    path: ['unified', '1', 'tls'],
    rows: restOfTls,
    off: true,
    text: ['With this table the listener speaks TLS (mqtts). Certificate and key must be there.'],
  },
  { path: ['mqtt'], rows: mqttTableRows },
  { path: ['broker'], rows: brokerRows },
  { path: ['router'], rows: routerRows },
  { path: ['log'], rows: logRows },
  {
    path: ['console'],
    rows: consoleRows,
    off: true,
    text: ['The console HTTP API: served where this table is there.'],
  },
  {
    path: ['console', 'tokens', 'operator'],
    rows: tokenRows,
    off: true,
    text: ['Who may use the console. The name is in its audit log.'],
  },
  {
    path: ['prometheus'],
    rows: prometheusRows,
    off: true,
    text: ['The Prometheus exporter: served where this table is there.'],
  },
  { path: ['metrics', 'meters'], rows: meterRows, off: true },
  {
    path: ['auth', 'failed_logins'],
    rows: failedLoginRows,
    off: true,
    text: [
      'Who may come in is said by [[auth.providers]], in their order: see docs/AUTHENTICATION.md.',
    ],
  },
  {
    path: ['acl'],
    rows: aclRows,
    off: true,
    text: ['What clients may do is said by [[acl.rules]] and by files: see docs/ACCESS.md.'],
  },
  { path: ['limits'], rows: limitsRows },
  { path: ['limits', 'flapping'], rows: flappingRows },
  { path: ['tenants'], rows: tenantsRows, off: true },
  { path: ['device'], rows: deviceRows, off: true },
];

/** What a key's line shows where its default is no value that could be written. */
const examples: Readonly<Record<string, string | number>> = {
  max_dynamic_bytes: kDefaultLogBytes,
  name: 'unified-1',
  unix: '/run/st-mqttd.sock',
  token: 'file:/run/secrets/operator',
  tenant: 'plant1',
  path: '/mqtt',
  ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256',
  ciphersuites: 'TLS_AES_128_GCM_SHA256',
  certpath: '/etc/st-mqttd/server.pem',
  keypath: '/etc/st-mqttd/server.key',
  keypass: 'file:/run/secrets/key',
  verify_client_cert: 'require',
  capath: '/etc/st-mqttd/clients.pem',
  crlpath: '/etc/st-mqttd/revoked.pem',
};

const kHead = [
  'Configuration of st-mqttd. What is commented out is the default.',
  'Every option can also be set in the environment: mqtt.max_qos is ST_MQTTD_MQTT__MAX_QOS.',
  `A value may be "file:PATH" (the content of that file) or have $\{NAME} in it (of the environment).`,
];

export function configTemplate(format: TemplateFormat): string {
  return format === 'json' ? `${JSON.stringify(defaults(), null, 2)}\n` : commented(format);
}

function commented(format: 'toml' | 'yaml'): string {
  const lines = kHead.map((line) => `# ${line}`);
  let before: readonly string[] = [];
  for (const section of sections) {
    const { path } = section;
    const indent = format === 'yaml' ? '  '.repeat(path.length) : '';
    lines.push('', ...(section.text ?? []).map((line) => `${indent}# ${line}`));
    lines.push(...(format === 'yaml' ? yamlHeader(section, before) : tomlHeader(section)));
    before = path;
    for (const [index, [key, row]] of Object.entries(section.rows).entries()) {
      if (index > 0) lines.push('');
      lines.push(`${indent}# ${row.help}`, `${indent}# Allowed: ${allowedText(row)}.`);
      const comment = section.inForce?.includes(key) === true ? '' : '# ';
      const sign = format === 'yaml' ? ': ' : ' = ';
      const note = isComputed(row.default) ? `   # default: ${defaultText(row)}` : '';
      lines.push(`${indent}${comment}${key}${sign}${valueText(key, row)}${note}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function tomlHeader({ path, off }: Section): readonly string[] {
  return path.length === 0 ? [] : [`${off === true ? '# ' : ''}[${path.join('.')}]`];
}

/** Only the tables that the section before has not opened: a second one would be an error. */
function yamlHeader({ path, off }: Section, before: readonly string[]): readonly string[] {
  const shared = path.findIndex((step, depth) => step !== before[depth]);
  return path.slice(shared < 0 ? path.length : shared).map((step, index) => {
    const indent = '  '.repeat(shared + index);
    return `${indent}${off === true ? '# ' : ''}${/^\d/.test(step) ? `"${step}"` : step}:`;
  });
}

function valueText(key: string, row: Row): string {
  const example = examples[key];
  if (example !== undefined) return JSON.stringify(example);
  if (row === listen) return JSON.stringify(['127.0.0.1:1883']);
  if (row.type === 'enum' && isOptional(row)) return JSON.stringify(row.values[0]);
  if (row.type === 'boolean' && isOptional(row)) return 'false';
  return JSON.stringify(writtenValue(row, isComputed(row.default) ? 0 : defaultOf(row))).replaceAll(
    '","',
    '", "',
  );
}

/** JSON has no comments: what has a default that can be written, and one listener. */
function defaults(): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const { path, rows, off } of sections) {
    if (off === true) continue;
    let table = root;
    for (const step of path) {
      table[step] ??= {};
      table = table[step] as Record<string, unknown>;
    }
    for (const [key, row] of Object.entries(rows)) {
      if (isComputed(row.default) || key in examples || row.secret === true) continue;
      table[key] = row === listen ? ['127.0.0.1:1883'] : writtenValue(row, defaultOf(row));
    }
  }
  return root;
}
