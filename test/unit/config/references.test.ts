// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what is tested
// "file:PATH" and "${NAME}" in values.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { objectLayer } from '../../../src/config/layers.ts';
import { expandReferences } from '../../../src/config/references.ts';
import { effectiveText } from '../../../src/config/report.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { refusal, resolveText } from './resolving.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-references-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'token'), 'secret-of-a-file\n');
writeFileSync(join(folder, 'two lines'), 'a\r\nb\r\n');
writeFileSync(join(folder, 'large'), 'x'.repeat(70_000));
mkdirSync(join(folder, 'folder'));
const environment = { NAME: 'value', EMPTY: '', WILD: 'file:/etc/passwd ${NAME}', WHERE: folder };
const expand = (raw: unknown) => expandReferences(raw, { folder, environment });

describe('references', () => {
  test.each([
    ['plain', { kind: 'plain', value: 'plain' }],
    [7, { kind: 'plain', value: 7 }],
    ['${NAME}', { kind: 'referred', value: 'value' }],
    ['a-${NAME}-${NAME}', { kind: 'referred', value: 'a-value-value' }],
    ['${EMPTY}', { kind: 'referred', value: '' }],
    ['$${NAME}', { kind: 'plain', value: '${NAME}' }],
    ['$NAME $$ $', { kind: 'plain', value: '$NAME $$ $' }],
    // What a variable holds is text, whatever it looks like.
    ['${WILD}', { kind: 'referred', value: environment.WILD }],
    ['file:token', { kind: 'referred', value: 'secret-of-a-file' }],
    ['file:${WHERE}/token', { kind: 'referred', value: 'secret-of-a-file' }],
    ['file:two lines', { kind: 'referred', value: 'a\r\nb' }],
    [['a', '${NAME}'], { kind: 'referred', value: ['a', 'value'] }],
    [['a'], { kind: 'plain', value: ['a'] }],
  ])('%j', (raw, expanded) => expect(expand(raw)).toEqual(expanded));

  test.each([
    ['${NONE}', 'the environment has no variable NONE'],
    ['${}', 'a "${" in it begins no variable'],
    ['${NAME', 'a "${" in it begins no variable'],
    ['${a b}', 'begins no variable'],
    ['file:none', `reading ${join(folder, 'none')}: there is no such file`],
    ['file:folder', 'it is a folder; name a file in it'],
    ['file:large', 'has more than 65536 bytes'],
    [['x', '${NONE}'], 'the environment has no variable NONE'],
  ])('%j', (raw, why) => {
    expect(expand(raw)).toEqual({ kind: 'missing', why: expect.stringContaining(why) });
  });
});

describe('in a configuration', () => {
  const file = (token: string) =>
    `[unified.1]\nlisten = "127.0.0.1:1"\n[console.tokens]\nops = ${JSON.stringify(token)}\n`;

  test('a token from a file, a number and an address from the environment', async () => {
    const text = `[unified.1]
listen = ["127.0.0.1:\${CF_PORT}"]
max_connections = "\${CF_MANY}"
[console.tokens.ops]
token = "file:${folder}/token"
role = "read"
`;
    process.env.CF_PORT = '2001';
    process.env.CF_MANY = '17';
    const resolution = await resolveText(text);
    const { config } = resolution;
    expect(config.listeners[0]).toMatchObject({
      listen: [{ host: '127.0.0.1', port: 2001 }],
      maxConnections: 17,
    });
    expect(config.console?.tokens).toEqual([
      { name: 'ops', role: 'read', token: 'secret-of-a-file' },
    ]);
    const printed = effectiveText(resolution);
    expect(printed).toContain('token = "(secret)"');
    expect(printed).not.toContain('secret-of-a-file');
  });

  test('a relative path begins at the folder of the file that has it', async () => {
    const error = await refusal(file('file:none-at-all'));
    expect(error.code).toBe('ST_CONFIG_REFERENCE');
    expect(error.message).toMatch(
      /^a\.toml:4:1: console\.tokens\.ops refers to something else: reading .*st-mqttd-config-\w+\/none-at-all: there is no such file$/,
    );
  });

  test('in the environment', async () => {
    const env = { ST_MQTTD_CONSOLE__TOKENS__OPS: `file:${folder}/token` };
    const { config } = await resolveText(file('overridden'), { env });
    expect(config.console?.tokens[0]?.token).toBe('secret-of-a-file');
    const missing = await refusal(file('x'), {
      env: { ST_MQTTD_CONSOLE__TOKENS__OPS: '${CF_NO}' },
    });
    expect(missing.message).toBe(
      'ST_MQTTD_CONSOLE__TOKENS__OPS: console.tokens.ops refers to something else: the environment has no variable CF_NO',
    );
  });

  test('a value that is not in effect need not be there', async () => {
    const env = { ST_MQTTD_CONSOLE__TOKENS__OPS: 'long-enough' };
    const { config } = await resolveText(file('file:none'), { env });
    expect(config.console?.tokens[0]?.token).toBe('long-enough');
  });

  test('what a reference stands for is never shown, nor is a wrong secret', async () => {
    const level = await refusal(`[log]\nlevel = "file:${folder}/token"\n`);
    expect(level.message).toContain('log.level is something else (not shown); allowed: "error"');
    const short = await refusal(file('sesame'));
    expect(short.message).toContain('console.tokens.ops is something else (not shown); allowed:');
    for (const { message } of [level, short]) expect(message).not.toMatch(/secret-of|sesame/);
  });

  test.each([
    '[console]\ntokens = "open-sesame"\n',
    '[console]\ntokens = ["open-sesame"]\n',
    '[console.tokens]\nops = ["open-sesame"]\n',
    '[console.tokens.ops]\ntoken = { a = "open-sesame" }\n',
    '[console.tokens]\nops = { token = "open-sesame", role = "king" }\n',
    '[unified]\npasswords = "open-sesame"\n',
    '[v4.1]\nlisten = "127.0.0.1:1"\n[v4.1.connections]\nauth = "open-sesame"\n',
    'auth = "open-sesame"\n',
  ])('a secret in the wrong place is not shown either: %j', async (text) => {
    const { message } = await refusal(text);
    expect(message).toMatch(/^a\.toml:\d+:\d+: /);
    expect(message).not.toContain('sesame');
  });

  test('an embedding application gives values as they are', () => {
    const { config } = resolveConfig([
      objectLayer({ console: { tokens: { ops: '${NAME}-${NAME}' } }, unified: {} }),
    ]);
    expect(config.console?.tokens[0]?.token).toBe('${NAME}-${NAME}');
  });
});
