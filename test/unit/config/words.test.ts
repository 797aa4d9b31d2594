import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { formatAddress, parseListenAddress } from '../../../src/config/address.ts';
import { optionsMarkdown } from '../../../src/config/markdown.ts';
import {
  brokerRows,
  listenerRows,
  logRows,
  mqttTableRows,
  routerRows,
} from '../../../src/config/options.ts';
import { effectiveText, effectiveValues, writtenValue } from '../../../src/config/report.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { checkValue, defaultOf } from '../../../src/config/rows.ts';
import { consoleRows, prometheusRows, tokenRows } from '../../../src/config/service-options.ts';
import { kStRmqttTests, stRmqttKeys } from '../../../src/config/st-rmqtt.ts';
import { nearest } from '../../../src/config/suggest.ts';
import { configTemplate } from '../../../src/config/template.ts';
import { resolveText } from './resolving.ts';

describe('listen addresses', () => {
  test.each([
    ['0.0.0.0:1883', '0.0.0.0', 1883],
    ['localhost:0', 'localhost', 0],
    ['[::1]:65535', '::1', 65535],
    ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
    ['my-host.example:8883', 'my-host.example', 8883],
  ])('%s', (text, host, port) => {
    expect(parseListenAddress(text)).toEqual({ host, port });
    expect(formatAddress(host, port)).toBe(text);
  });
  test.each([
    '',
    ':1883',
    '1883',
    'host',
    'host:',
    'a b:1',
    '::1:1883',
    'h:65536',
    'h:-1',
    'h:1x',
    '[h]:1',
    'mqtt://h:1',
  ])('not %j', (text) => expect(parseListenAddress(text)).toBeUndefined());
});

describe('did you mean', () => {
  const known = ['max_qos', 'max_inflight', 'listen', 'tls', 'auth'];
  test.each([
    ['max_qso', 'max_qos'],
    ['maxinflight', 'max_inflight'],
    ['LISTEN', 'listen'],
    ['max-inflight', 'max_inflight'],
    ['lsiten', 'listen'],
    ['tsl', 'tls'],
    ['wombat', undefined],
    ['t', undefined],
  ])('%s', (word, meant) => expect(nearest(word, known)).toBe(meant));
  test('a known word is its own nearest', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[a-z_]{3,12}$/), { minLength: 1 }),
        (words) => {
          for (const word of words) expect(nearest(word, words)).toBe(word);
        },
      ),
    );
  });
});

const everyRows = [
  mqttTableRows,
  brokerRows,
  routerRows,
  logRows,
  listenerRows,
  consoleRows,
  tokenRows,
  prometheusRows,
];

test('every default fits its own row', () => {
  for (const rows of [
    mqttTableRows,
    brokerRows,
    routerRows,
    logRows,
    consoleRows,
    prometheusRows,
  ]) {
    for (const [key, row] of Object.entries(rows)) {
      expect([key, checkValue(row, writtenValue(row, defaultOf(row)), false)]).not.toEqual([
        key,
        'refused',
      ]);
    }
  }
  expect(defaultOf(listenerRows.unix_mode)).toBe(0o660);
});

describe('file modes', () => {
  test.each([
    ['0660', 0o660],
    ['660', 0o660],
    ['0o777', 0o777],
    [0o600, 0o600],
  ])('%j', (given, value) => {
    expect(checkValue(listenerRows.unix_mode, given, false)).toEqual({ value });
  });
  test.each(['888', '66', 'rw', -1, 99999, 1.5, true])('not %j', (given) => {
    expect(checkValue(listenerRows.unix_mode, given, false)).toBe('refused');
  });
});

describe('configuration as text', () => {
  test('--check prints a configuration that configures the same, with origins', async () => {
    const file = new URL('fixtures/rumqttd.toml', import.meta.url);
    const given = await resolveText(readFileSync(file, 'utf8'));
    const text = effectiveText(given);
    expect(text).toMatch(/^max_connections = 10010 +# \S+:4:1$/m);
    expect(text).toMatch(/^max_packet_size = 20480 +# \S+:18:1 \(max_payload_size\)$/m);
    const again = await resolveText(text);
    expect(again.config).toEqual(given.config);
    expect(again.warnings).toEqual([]);
  });

  test('--check without a file shows the loopback listener', async () => {
    const text = effectiveText(resolveConfig([]));
    expect(text).toContain('listen = ["127.0.0.1:1883", "[::1]:1883"]');
    expect(parse(text)).toHaveProperty('mqtt.max_qos', 2);
  });

  test.each(['toml', 'yaml'] as const)(
    'generate-config --format %s prints the defaults, commented and, uncommented, in force',
    async (format) => {
      const text = configTemplate(format);
      const name = `a.${format}`;
      const commented = await resolveText(text, { name });
      expect(commented.warnings).toEqual([]);
      const all = text
        .replaceAll(/^( *)# ([\w"]+(?: =|:)(?: .*)?|\[.*\])$/gm, (line, indent, code: string) =>
          // Prose with a colon is not an option.
          /^(Allowed|Overrides|Configuration|Every|The|A)\b/.test(code) ? line : indent + code,
        )
        .replaceAll(/file:\/run\/secrets\/\w+/g, 'longenough');
      const uncommented = await resolveText(all, { name });
      expect(uncommented.warnings).toEqual([]);
      const { config } = uncommented;
      const [listener] = config.listeners;
      expect(listener).toMatchObject({ name: 'unified-1', unix: { path: '/run/st-mqttd.sock' } });
      expect({ ...config.broker, max_memory_bytes: 0 }).toEqual({
        ...commented.config.broker,
        max_memory_bytes: 0,
      });
      expect(config.log).toEqual(commented.config.log);
      expect(commented.config.console).toBeUndefined();
      expect(commented.config.prometheus).toBeUndefined();
      expect(config.console).toEqual({
        listen: [{ host: '127.0.0.1', port: 3030 }],
        tokens: [{ name: 'operator', role: 'admin', token: 'longenough' }],
      });
      expect(config.prometheus).toEqual({
        listen: [{ host: '127.0.0.1', port: 9042 }],
        asked: 'listen',
        intervalS: 1,
      });
      for (const rows of everyRows) {
        for (const key of Object.keys(rows)) {
          expect(text).toMatch(new RegExp(`^ *(# )?${key}(:| =) `, 'm'));
        }
      }
    },
  );

  test('generate-config --format json prints the defaults, all in force', async () => {
    const text = configTemplate('json');
    const { config, warnings } = await resolveText(text, { name: 'a.json' });
    expect(warnings).toEqual([]);
    const plain = resolveConfig([]).config;
    expect({ ...config, listeners: [], isLoopbackDefault: true }).toEqual({
      ...plain,
      listeners: [],
    });
    for (const rows of [mqttTableRows, brokerRows, routerRows, logRows]) {
      for (const key of Object.keys(rows)) {
        if (key !== 'max_memory_bytes') expect(text).toContain(`"${key}": `);
      }
    }
  });

  test('check --json has every value with its origin, and no secret', async () => {
    const given = await resolveText(
      '[unified.1]\nlisten = "127.0.0.1:1883"\n[console.tokens]\nops = "hidden-hidden"\n',
      { env: { ST_MQTTD_MQTT__MAX_QOS: '1' } },
    );
    const values = effectiveValues(given);
    const at = (key: string) => values.find((value) => value.key === key);
    expect(at('unified.1.listen')).toMatchObject({
      value: '127.0.0.1:1883',
      origin: expect.stringMatching(/:2:1$/),
    });
    expect(at('mqtt.max_qos')).toMatchObject({ value: 1, origin: 'ST_MQTTD_MQTT__MAX_QOS' });
    expect(at('mqtt.max_inflight')).toMatchObject({ value: 100, origin: 'default' });
    expect(at('console.tokens.ops.token')?.value).toBe('(secret)');
    expect(at('unified.1.unix')).toBeUndefined();
    expect(JSON.stringify(values)).not.toContain('hidden');
    expect(effectiveText(given)).not.toContain('hidden');
    const loopback = effectiveValues(resolveConfig([])).at(-1);
    expect(loopback).toMatchObject({ key: 'unified.loopback.listen', value: expect.any(Array) });
  });

  test("each key of ST-RMQTT names a test that there is, and each of its file's keys is named", () => {
    const root = new URL('../../../', import.meta.url);
    const tests = readFileSync(new URL(kStRmqttTests, root), 'utf8');
    for (const { test: title } of stRmqttKeys) {
      const quoted = title.includes("'") ? `"${title}"` : `'${title}'`;
      expect(tests).toMatch(
        new RegExp(
          `\\btest(?:\\.runIf\\(\\w+\\))?\\(\\s*${quoted.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}`,
        ),
      );
    }
    const named = stRmqttKeys.flatMap(({ key }) => key.split(', ')).join(' ');
    const file = readFileSync(new URL('fixtures/rumqttd.toml', import.meta.url), 'utf8');
    for (const [, key = ''] of file.matchAll(/^(?:# )?(\w+) = /gm)) {
      // The bridge's keys are one line, and a user's name is no key.
      if (!/^(addr|qos|sub_path|reconnection_delay|user1)$/.test(key)) expect(named).toContain(key);
    }
  });

  test('docs/OPTIONS.md is fresh (npm run build && node scripts/options-doc.mjs)', () => {
    const file = new URL('../../../docs/OPTIONS.md', import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(optionsMarkdown());
  });
});
