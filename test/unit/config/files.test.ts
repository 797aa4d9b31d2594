import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfigFile } from '../../../src/config/files.ts';
import { refusal, resolveText } from './resolving.ts';

const yaml = `# plant
v4:
  1:
    listen: "0.0.0.0:1883"
    connections:
      max_payload_size: 20480
ws:
mqtt:
  max_qos: 1
`;
const json = JSON.stringify(
  {
    v4: { 1: { listen: '0.0.0.0:1883', connections: { max_payload_size: 20480 } } },
    mqtt: { max_qos: 1 },
  },
  null,
  2,
);

describe('YAML and JSON say the same as TOML', () => {
  test.each([
    ['a.yaml', yaml],
    ['a.YML', yaml],
    ['a.json', json],
  ])('%s', async (name, text) => {
    const { config, warnings } = await resolveText(text, { name });
    expect(warnings).toEqual([]);
    expect(config.listeners).toMatchObject([
      {
        kind: 'v4',
        listen: [{ host: '0.0.0.0', port: 1883 }],
        mqtt: { max_packet_size: 20480, max_qos: 1 },
      },
    ]);
  });

  test.each([
    ['a.yaml', yaml.replace('max_qos: 1', 'max_qos: 9'), 'a.yaml:9:3: mqtt.max_qos is 9;'],
    ['a.json', json.replace('"max_qos": 1', '"max_qos": 9'), 'a.json:11:5: mqtt.max_qos is 9;'],
    [
      'a.yaml',
      'v4:\n  1:\n    tls:\n      certpath: x\n    listen: "1.1.1.1:1"\n',
      'a.yaml:3:5: [v4.1.tls]',
    ],
  ])('errors name the line: %s', async (name, text, message) => {
    expect((await refusal(text, { name })).message).toContain(message);
  });
});

describe('files that cannot be read', () => {
  test.each([
    ['a.toml', '[mqtt]\nmax_qos = \n', 'a.toml:2:11: not valid TOML: '],
    ['a.toml', '[mqtt\n', 'a.toml:1:'],
    ['a.toml', 'a = 1\na = 2\n', 'a.toml:2:'],
    ['a.yaml', 'a: [1\nb: 2', 'not valid YAML: '],
    ['a.json', '{"a": 1,,}', 'not valid JSON: '],
    ['a.yaml', '- 1\n- 2\n', 'a.yaml:1:1: the document is not a table of keys'],
  ])('%s: %j', async (name, text, message) => {
    const error = await refusal(text, { name });
    expect(error.code).toBe('ST_CONFIG_SYNTAX');
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
    if (!message.includes('table')) expect(error.cause).toBeDefined();
  });

  test('a missing one, a folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-files-'));
    const missing = join(folder, 'none.toml');
    await expect(readConfigFile(missing)).rejects.toMatchObject({
      code: 'ST_CONFIG_READ',
      message: `reading the configuration file ${missing}: there is no such file`,
    });
    await expect(readConfigFile(folder)).rejects.toThrow('it is a folder; name a file in it');
  });

  test('a byte order mark is not a key', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-files-'));
    writeFileSync(join(folder, 'a.toml'), '\ufeffid = 5\n');
    const layer = await readConfigFile(join(folder, 'a.toml'));
    expect(layer.root).toEqual({ id: 5 });
  });
});
