// [plugins]: what is read, what is refused and where, and what the host package adds.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hostLayer } from '../../../src/config/host-package.ts';
import { effectiveText } from '../../../src/config/report.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { checkPlugins } from '../../../src/plugins/check.ts';
import { refusal, resolveText } from '../config/resolving.ts';

const listener = '[unified.1]\nlisten = "127.0.0.1:1883"\n';
const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-host-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function checked(text: string, given = {}): Promise<unknown> {
  const { config } = await resolveText(`${listener}${text}`, given);
  if (config.plugins === undefined) throw new Error('no plugins');
  return checkPlugins(config.plugins).then(
    () => 'fits',
    (error: Error) => error.message.replaceAll(/\S*a\.toml/g, 'a.toml'),
  );
}

describe('check', () => {
  const rules = (text: string) =>
    `[plugins.topic-rewrite]\ndefault_startup = true\n[plugins.topic-rewrite.config]\n${text}`;
  const refused = 'plugin "topic-rewrite": its configuration is refused: ';
  test.each([
    ['rules = []\n', 'fits'],
    [
      '\nruls = []\n',
      `a.toml:5:1: plugins.topic-rewrite.config: ${refused}config must have required property 'rules'`,
    ],
    [
      'rules = []\nx = "secret"\n',
      `a.toml:7:1: plugins.topic-rewrite.config.x: ${refused}config.x is not known`,
    ],
    [
      '[[plugins.topic-rewrite.config.rules]]\nsource_topic_filter = "a"\ndest_topic = 7\n',
      /^a\.toml:8:1: plugins\.topic-rewrite\.config\.rules\[0\]\.dest_topic: .* must be string$/,
    ],
    [
      'rules = [{ source_topic_filter = "a", dest_topic = "$1" }]\n',
      `a.toml:6:10: plugins.topic-rewrite.config.rules[0]: ${refused}dest_topic "$1": nothing is captured as $1`,
    ],
    ['rules = [{ source_topic_filter = "a", dest_topic = "b/+" }]\n', /"b\/\+" is no Topic Name$/],
    [
      'rules = [{ source_topic_filter = "a", dest_topic = "b", regex = "(" }]\n',
      /regex "\(" is none$/,
    ],
    [
      'rules = [{ source_topic_filter = "a/#/b", dest_topic = "b" }]\n',
      /source_topic_filter|filter/,
    ],
  ])('%j', async (text, message) => {
    const found = await checked(rules(text));
    if (typeof message === 'string') expect(found).toBe(message);
    else expect(found).toMatch(message);
  });

  const hook = (text: string) =>
    `[plugins.web-hook]\ndefault_startup = true\n[plugins.web-hook.config]\n${text}`;
  test.each([
    ['urls = ["http://h/"]\nrule.message_publish = [{ topics = ["a/#"] }]\n', 'fits'],
    ['urls = ["http://h/"]\n', /a\.toml:5:1: .*config must have required property 'rule'$/],
    ['rule.message_publish = [{}]\n', /a\.toml:6:.*rule\.message_publish\[0\].*it has no urls/],
    ['rule.message_lost = [{}]\n', /a\.toml:6:.*message_lost is not known$/],
    [
      'urls = ["https://u:hunter2@h/"]\nrule = {}\n',
      /a\.toml:6:.*urls\[0\].*it has a user or a password; use headers instead$/,
    ],
    ['urls = ["ftp://hunter2/"]\nrule = {}\n', /neither http:\/\/ nor https:\/\/$/],
    ['urls = ["hunter2"]\nrule = {}\n', /it is no URL$/],
    [
      'urls = ["http://h/"]\nrule.message_acked = [{ topics = ["a/#/b"] }]\n',
      /a\.toml:7:.*rule\.message_acked\[0\]\.topics\[0\].*"a\/#\/b" is no Topic Filter$/,
    ],
    [
      'urls = ["http://h/"]\nrule.client_connected = [{ topics = ["a"] }]\n',
      /client_connected has no topic$/,
    ],
    ['rule = {}\nheaders = { "a b" = "hunter2" }\n', /a\.toml:7:.*it is no name of a header$/],
    ['rule = {}\nheaders = { a = "hunter2\\n" }\n', /headers\.a: .*characters that no header has$/],
    ['rule = {}\nheaders = { Host = "x" }\n', /it cannot be chosen$/],
    ['rule = {}\ntls = { cert_path = "a" }\n', /cert_path and key_path belong together$/],
    ['rule = {}\nqueue_capacity = 0\n', /config\.queue_capacity must be >= 1$/],
  ])('web-hook: %j', async (text, message) => {
    const found = await checked(hook(text));
    if (typeof message === 'string') expect(found).toBe(message);
    else expect(found).toMatch(message);
    expect(found).not.toContain('hunter2');
  });

  const auto = (text: string) =>
    `[plugins.auto-subscription]\ndefault_startup = true\n[plugins.auto-subscription.config]\n${text}`;
  test.each([
    [`subscribes = [{ topic_filter = "a/$\{clientid}/$\{username}/#", qos = 2 }]\n`, 'fits'],
    ['subscribes = [{ topic_filter = "a/#/b" }]\n', /a\.toml:6:.*subscribes\[0\]\.topic_filter/],
    [`subscribes = [{ topic_filter = "a/$\{CLIENT}" }]\n`, /no variable CLIENT$/],
    ['subscribes = [{ topic_filter = "a", qos = 3 }]\n', /subscribes\[0\]\.qos.*must be <= 2$/],
    [
      'subscribes = [{ topic_filter = "$share/g/a", no_local = true }]\n',
      /subscribes\[0\]\.no_local: .*a Shared Subscription cannot have it$/,
    ],
  ])('auto-subscription: %j', async (text, message) => {
    const found = await checked(auto(text)).catch(({ message: said }: Error) => said);
    if (typeof message === 'string') expect(found).toBe(message);
    else expect(found).toMatch(message);
  });
  test('rules of rmqttd have their names for clients', async () => {
    const rule = `source_topic_filter = "a", dest_topic = "a/$\{clientid}"`;
    expect(await checked(rules(`rules = [{ ${rule} }]\n`))).toBe('fits');
  });

  test('plugins.dir: files and folders by their names, as modules; what is wrong with it', async () => {
    const dir = join(folder, 'dir');
    mkdirSync(join(dir, 'packed'), { recursive: true });
    writeFileSync(join(dir, 'packed/package.json'), '{"main":"./own.mjs","exports":"./own.mjs"}');
    writeFileSync(join(dir, 'packed/own.mjs'), 'export const plugin = { start() {} };');
    const schema = '{ type: "object", required: ["a"] }';
    const plain = `export const plugin = { schema: ${schema}, start() {} };`;
    writeFileSync(join(dir, 'plain.mjs'), plain);
    writeFileSync(join(dir, 'notes.txt'), '');
    const at = `[plugins]\ndir = ${JSON.stringify(dir)}\n`;
    expect(await checked(`${at}default_startups = ["packed"]\n`)).toBe('fits');
    const refusedAt =
      /a\.toml:5:1: plugins\.plain\.config: .*config must have required property 'a'$/;
    expect(await checked(`${at}[plugins.plain]\ndefault_startup = false\n`)).toMatch(refusedAt);
    const given = '[plugins.plain.config]\na = 1\n';
    expect(await checked(`${at}default_startups = ["plain"]\n${given}`)).toBe('fits');
    expect(await checked(`${at}default_startups = ["notes"]\n`)).toMatch(
      /there is no plugin "notes"/,
    );
    writeFileSync(join(dir, 'packed.js'), '');
    expect(await checked(at)).toMatch(
      /a\.toml:4:1: plugins\.dir: .* are both the plugin "packed"$/,
    );
    expect(await checked('[plugins]\ndir = "/none"\n')).toMatch(
      /plugins in \/none: there is no such/,
    );
  });
  test('a name that nothing stands behind, at its place', async () => {
    expect(await checked('[plugins]\ndefault_startups = ["rmqtt-acl"]\n')).toMatch(
      /^a\.toml:4:1: plugins\.default_startups: there is no plugin "rmqtt-acl"; there are .*topic-rewrite/,
    );
    expect(await checked('', { flags: { startups: ['nope'] } })).toMatch(
      /^the command line: --plugins-default-startups: there is no plugin "nope"/,
    );
  });
});

describe('[plugins]', () => {
  test('nothing named: nothing there', async () => {
    for (const text of ['', '[plugins]\n', '[plugins]\ndefault_startups = []\n']) {
      expect((await resolveText(`${listener}${text}`)).config.plugins).toBeUndefined();
    }
    const flags = { startups: [''] };
    const { config } = await resolveText(`${listener}[plugins]\ndefault_startups = ["x"]\n`, {
      flags,
    });
    expect(config.plugins).toBeUndefined();
  });

  test('the flag replaces the list of the file', async () => {
    const flags = { startups: ['a', 'b'] };
    const { config } = await resolveText(`${listener}[plugins]\ndefault_startups = ["x"]\n`, {
      flags,
    });
    expect(config.plugins?.startups).toEqual(['a', 'b']);
  });

  test('a configuration is never shown, its references are expanded', async () => {
    const text =
      '[plugins.mine]\nmodule = "./m.mjs"\n[plugins.mine.config]\nkey = "$' + '{KEY_OF_TEST}"\n';
    process.env.KEY_OF_TEST = 'open sesame';
    const read = await resolveText(`${listener}${text}`);
    delete process.env.KEY_OF_TEST;
    expect(read.config.plugins?.tables[0]).toMatchObject({ config: { key: 'open sesame' } });
    expect(effectiveText(read)).toContain('config = "(secret)"');
    expect(effectiveText(read)).not.toContain('sesame');
    expect(read.warnings).toEqual([
      'a.toml:3:1: [plugins.mine]: the plugin is not started; name it in plugins.default_startups, or say default_startup = true or false here',
    ]);
    const missing = await refusal(`${listener}${text}`);
    expect(missing).toMatchObject({ code: 'ST_CONFIG_REFERENCE' });
    expect(missing.message).toMatch(/^a\.toml:6:1: plugins\.mine\.config\.key refers/);
  });

  test.each([
    ['[plugins]\ndefault_startup = ["x"]\n', 'ST_CONFIG_UNSUPPORTED'],
    ['[plugins.x]\nimutable = true\n', 'ST_CONFIG_UNSUPPORTED'],
    ['[plugins.x]\nmodule = ""\n', 'ST_CONFIG_VALUE'],
    ['[plugins."../x"]\n', 'ST_CONFIG_VALUE'],
    ['[plugins.x]\nconfig = 1\n', 'ST_CONFIG_VALUE'],
    ['plugins = 1\n', 'ST_CONFIG_VALUE'],
  ])('%j is refused', async (text, code) => {
    const whole = text.startsWith('plugins') ? `${text}${listener}` : `${listener}${text}`;
    expect((await refusal(whole)).code).toBe(code);
  });
});

describe('the host package', () => {
  const host = (name: string, text: string) => {
    const at = join(folder, name);
    mkdirSync(join(at, 'deep', 'er'), { recursive: true });
    writeFileSync(join(at, 'package.json'), text);
    return at;
  };

  test('names plugins, under every other layer', () => {
    const plugins = {
      own: { module: './own.mjs', default_startup: true, immutable: true },
      'a-package': {},
    };
    const at = host('a', JSON.stringify({ name: 'host', 'st-mqttd': { plugins } }));
    const layer = hostLayer([join(at, 'deep', 'er')]);
    if (layer === undefined) throw new Error('not found');
    const { config } = resolveConfig([layer]);
    expect(config.plugins?.tables).toMatchObject([
      {
        name: 'own',
        module: join(at, 'own.mjs'),
        folder: at,
        defaultStartup: true,
        immutable: true,
      },
      { name: 'a-package', module: '', defaultStartup: false, immutable: false },
    ]);
  });

  test('without them it says nothing; the next folder is asked', () => {
    const none = host('none', '{"name": "none"}');
    const some = host('some', '{"st-mqttd": {"plugins": {"x": {}}}}');
    expect(hostLayer([none])).toBeUndefined();
    expect(hostLayer([none, some])?.name).toBe(join(some, 'package.json'));
  });

  test.each([
    ['{"st-mqttd": {"plugins": 1}}', 'it is no object of plugins'],
    ['{"st-mqttd": {"plugins": {"x": 1}}}', 'plugins.x: it is no object'],
    [
      '{"st-mqttd": {"plugins": {"x": {"default_startups": true}}}}',
      '"default_startups" is none of',
    ],
    ['{"st-mqttd": ', 'JSON'],
  ])('%s', (text, why) => {
    expect(() => hostLayer([host('wrong', text)])).toThrow(why);
  });
});
