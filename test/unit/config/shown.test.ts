// What of a configuration may be printed: every row that can hold a secret, and texts with URLs.
import { describe, expect, test } from 'vitest';
import { diffConfig } from '../../../src/config/reload.ts';
import { effectiveText, effectiveValues } from '../../../src/config/report.ts';
import { placeholderOnly, withoutUrlSecrets } from '../../../src/config/shown.ts';
import { refusal, resolveText } from './resolving.ts';

const http = '[[auth.providers]]\nkind = "http"\n';
const jwt = '[[auth.providers]]\nkind = "jwt"\nalgorithms = ["HS256"]\n';
const keys = '[[auth.providers]]\nkind = "jwt"\nalgorithms = ["ES256"]\n';
const pem = 'certpath = "/c"\nkeypath = "/k"\n';
const hook = '[plugins.web-hook]\ndefault_startup = true\n[plugins.web-hook.config]\n';

// Where a secret can stand, with what is left of the value.
const places: readonly (readonly [string, string, (one: string) => string, string])[] = [
  [
    'the query of a server',
    'url',
    (one) => `${http}url = "https://h:81/p?k=${one}&l=1"`,
    'https://h:81/p?(secret)',
  ],
  ['its fragment', 'url', (one) => `${http}url = "https://h/p#${one}"`, 'https://h/p?(secret)'],
  [
    'its header',
    'X-Key',
    (one) => `${http}url = "http://h/"\nheaders = { X-Key = "${one}" }`,
    '(secret)',
  ],
  [
    'its field',
    'key',
    (one) => `${http}url = "http://h/"\nfields = { key = "${one}", u = "%u" }`,
    '(secret)',
  ],
  [
    'the query of keys',
    'jwks_url',
    (one) => `${keys}jwks_url = "https://h/j?${one}"`,
    'https://h/j?(secret)',
  ],
  ['the secret of tokens', 'secret', (one) => `${jwt}secret = "${one}"`, '(secret)'],
  [
    'a static user',
    'anna',
    (one) => `[[auth.providers]]\nkind = "static"\nusers = { anna = "${one}" }`,
    '(secret)',
  ],
  ['a user of a listener', 'bert', (one) => `[unified.1.auth]\nbert = "${one}"`, '(secret)'],
  ['a passphrase', 'keypass', (one) => `[unified.1.tls]\n${pem}keypass = "${one}"`, '(secret)'],
  [
    'one of PKCS#12',
    'pkcs12pass',
    (one) => `[unified.1.tls]\npkcs12path = "/p"\npkcs12pass = "${one}"`,
    '(secret)',
  ],
  [
    'one of a name',
    'keypass',
    (one) => `[unified.1.tls]\n${pem}[[unified.1.tls.sni]]\nname = "a.b"\n${pem}keypass = "${one}"`,
    '(secret)',
  ],
  [
    'a token',
    'token',
    (one) => `[console]\nlisten = "127.0.0.1:0"\n[console.tokens.ops]\ntoken = "${one}"`,
    '(secret)',
  ],
  [
    'the console’s passphrase',
    'keypass',
    (one) => `[console]\nlisten = "127.0.0.1:0"\n[console.tls]\n${pem}keypass = "${one}"`,
    '(secret)',
  ],
  [
    'the exporter’s passphrase',
    'keypass',
    (one) => `[prometheus]\nlisten = "127.0.0.1:0"\n[prometheus.tls]\n${pem}keypass = "${one}"`,
    '(secret)',
  ],
  [
    'the URL of a web hook',
    'config',
    (one) => `${hook}urls = ["https://h/p?k=${one}"]\nrule = {}`,
    '(secret)',
  ],
  ['a header of it', 'config', (one) => `${hook}headers = { a = "${one}" }\nrule = {}`, '(secret)'],
];
const canary = 'canary-0123456789abcdefghijklmnopqrstuvwxyz';
const listener = '[unified.1]\nlisten = "127.0.0.1:0"\n';

describe.each(places)('%s', (_, key, write, left) => {
  const one = canary;

  test('is not printed', async () => {
    const given = await resolveText(listener + write(one));
    // It is there, and is used.
    expect(JSON.stringify(given.config)).toContain(one);
    expect(effectiveText(given)).not.toContain(one);
    const values = effectiveValues(given);
    expect(JSON.stringify(values)).not.toContain(one);
    const shown = values.filter((entry) => entry.key.split('.').at(-1) === key);
    expect(shown.map(({ value }) => value)).toContain(left);
  });

  test('nor what it was and is after a reload', async () => {
    const [before, after] = [
      await resolveText(listener + write(one)),
      await resolveText(listener + write(`${one}2`)),
    ];
    const plan = diffConfig(before, after);
    const { live, newConnections, restart } = plan;
    expect(JSON.stringify([live, newConnections, restart])).not.toContain(one);
  });
});

// What is in a plugin's table is looked at by the plugin, and not told either.
test.each(places.filter(([, key]) => key !== 'config'))(
  '%s is not printed where it is of the wrong type',
  async (_, _key, write) => {
    const broken = write(canary).replace(/= "([^"]*canary[^"]*)"/, '= ["$1", 5]');
    const error = await refusal(`${listener}${broken}\n`);
    expect(error.message).toContain('not shown');
    expect(error.message).not.toContain(canary);
  },
);

test.each([
  ['http://u:p@h/x', 'http://h/x'],
  ['https://h/x?a=b&c=d', 'https://h/x?(secret)'],
  ['https://h#a', 'https://h?(secret)'],
  ['"mqtts://u:p@h:1?x" and wss://h/y', '"mqtts://h:1?(secret)" and wss://h/y'],
  ['http://u:p/q@h/', 'http://h/'],
  ['no URL? none#here', 'no URL? none#here'],
])('a text with URLs: %s', (text, shown) => {
  expect(withoutUrlSecrets(text)).toBe(shown);
});

test('a field is shown where it is a placeholder', () => {
  expect(['%u', '%c%u', '', 'x%u', 'key'].map(placeholderOnly)).toEqual([
    ...['%u', '%c%u', '', '(secret)', '(secret)'],
  ]);
});

test('a URL that is where none belongs', async () => {
  const error = await refusal(`[unified.1]\nlisten = "https://u:canary@h/?canary"\n`);
  expect(error.message).toContain('https://h/?(secret)');
  expect(error.message).not.toContain('canary');
});
