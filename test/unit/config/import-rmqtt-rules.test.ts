// rmqttd's plugins that are shipped here too: their own files become what ours take.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { expect, test } from 'vitest';
import { importedText } from '../../../src/config/import.ts';
import { checkPlugins } from '../../../src/plugins/check.ts';
import { folder } from './importing.ts';
import { resolveText } from './resolving.ts';

/** The configuration of plugins that the import makes, seen to be taken; and its text. */
async function imported(files: Readonly<Record<string, string>>, main = '') {
  const home = mkdtempSync(join(folder, 'rules-'));
  mkdirSync(join(home, 'plugins'));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(home, 'plugins', `${name}.toml`), text);
  }
  writeFileSync(join(home, 'plugins/rmqtt-acl.toml'), 'rules = [["allow", "all"]]\n');
  const names = JSON.stringify(Object.keys(files));
  const source = `plugins.dir = "plugins"\nplugins.default_startups = ${names}\n${main}`;
  writeFileSync(join(home, 'rmqtt.toml'), source);
  const text = await importedText(join(home, 'rmqtt.toml'), 'rmqtt');
  const { config } = await resolveText(text);
  if (config.plugins !== undefined) await checkPlugins(config.plugins);
  const tables = parse(text) as { plugins?: Record<string, unknown> };
  return { text, plugins: tables.plugins };
}

test('topic-rewrite, with rules as rmqttd ships them', async () => {
  const { plugins, text } = await imported({
    'rmqtt-topic-rewrite': `rules = [
  { action = "all", source_topic_filter = "x/y/#", dest_topic = "xx/y/$1", regex = "^x/y/(.+)$" },
  { action = "publish", source_topic_filter = "iot/cid/#", dest_topic = "iot/$\{clientid}/$1", regex = "^iot/cid/(.+)$" },
  { action = "all", source_topic_filter = "a", dest_topic = "b", regex = "(?i)^a$" },
]`,
  });
  expect(plugins?.['topic-rewrite']).toEqual({
    default_startup: true,
    config: {
      rules: [
        {
          ...{ action: 'all', source_topic_filter: 'x/y/#', dest_topic: 'xx/y/$1' },
          regex: '^x/y/(.+)$',
        },
        {
          ...{ action: 'publish', source_topic_filter: 'iot/cid/#' },
          // As text of ours: "$\${" stands for "$\{".
          ...{ dest_topic: 'iot/$${clientid}/$1', regex: '^iot/cid/(.+)$' },
        },
      ],
    },
  });
  expect(text).toMatch(/rules\[2\]: its regex is none of JavaScript; left out/);
  expect((await imported({ 'rmqtt-topic-rewrite': 'rules = []\n' })).plugins).toMatchObject({
    'topic-rewrite': { config: { rules: [] } },
  });
});

test('auto-subscription', async () => {
  const { plugins } = await imported({
    'rmqtt-auto-subscription': `subscribes = [
  { topic_filter = "x/+/#", qos = 1, no_local = false, retain_as_published = false, retain_handling = 0 },
  { topic_filter = "iot/$\{username}/#", qos = 1 }
]`,
  });
  expect(plugins?.['auto-subscription']).toMatchObject({
    default_startup: true,
    config: { subscribes: [{ topic_filter: 'x/+/#', retain_handling: 0 }, { qos: 1 }] },
  });
});

test('web-hook: rules, durations, URLs that can be posted to; secrets are not in comments', async () => {
  const { plugins, text } = await imported({
    'rmqtt-web-hook': `worker_threads = 1
async_queue_capacity = 100_000
concurrency_limit = 300
urls = ["file:///var/log/rmqtt/hook.log", "http://127.0.0.1:5656/mqtt/webhook?t=hunter2", "http://u:hunter3@h/"]
http_timeout = "8s"
retry_max_elapsed_time = "1m"
retry_multiplier = 2.5
rule.session_subscribed = [{action = "session_subscribed", topics=["a/b/1"] } ]
rule.message_delivered = [{action = "message_delivered", topics=[], urls=[] } ]
rule.message_dropped = [{action = "message_dropped", topics=["x"], more=1 } ]
rule.session_created = [{action = "session_created", topics=["x"] } ]
rule.message_lost = [{action = "message_lost"} ]
surplus = true
rule.client_connected = [{action = "client_connected"}, {action = "again", urls = ["http://h:1/x"] } ]
rule.message_publish = [{action = "message_publish", topics=["a/b/1", "foo/#"] } ]
`,
  });
  expect(plugins?.['web-hook']).toEqual({
    default_startup: true,
    config: {
      urls: ['http://127.0.0.1:5656/mqtt/webhook?t=hunter2'],
      ...{ batch_events: 1, queue_capacity: 100_000, concurrency_limit: 128 },
      ...{ http_timeout_ms: 8000, retry_max_elapsed_ms: 60_000, retry_multiplier: 2.5 },
      rule: {
        session_subscribed: [{ action: 'session_subscribed', topics: ['a/b/1'] }],
        message_delivered: [{ action: 'message_delivered' }],
        message_dropped: [{ action: 'message_dropped' }],
        session_created: [{ action: 'session_created' }],
        client_connected: [
          { action: 'client_connected' },
          { action: 'again', urls: ['http://h:1/x'] },
        ],
        message_publish: [{ action: 'message_publish', topics: ['a/b/1', 'foo/#'] }],
      },
    },
  });
  expect(text).toMatch(/rule.message_lost: left out; rmqttd's web-hook has no such event either/);
  expect(text).toMatch(/rule.session_created.topics: rmqttd does not look at them/);
  expect(text).toMatch(/rule.message_dropped.more: no counterpart/);
  expect(text).toMatch(/surplus: no counterpart/);
  expect(text).not.toContain('hunter3');
  expect(text.match(/hunter2/g)?.length).toBe(1);
  const both = await imported({
    'rmqtt-web-hook': 'urls = ["http://a/"]\nhttp_urls = ["http://b/"]\n',
  });
  expect(both.plugins).toMatchObject({
    'web-hook': { config: { urls: ['http://a/', 'http://b/'] } },
  });
  const bare = await imported({ 'rmqtt-web-hook': 'worker_threads = 1\n' });
  expect(bare.plugins).toMatchObject({ 'web-hook': { config: { rule: {} } } });
});

test('delayed publish is for all listeners, if it is for one that is enabled', async () => {
  const listener = (name: string, more: string) =>
    `listener.tcp.${name}.addr = "0.0.0.0:${name === 'a' ? 1883 : 1884}"\n${more}\n`;
  const on = listener('a', 'listener.tcp.a.delayed_publish = true');
  const max = 'mqtt.delayed_publish_max = 5\n';
  const { plugins, text } = await imported({}, `${max}${on}`);
  expect(plugins).toEqual({
    'delayed-publish': {
      default_startup: true,
      config: { max_messages: 5, on_full: 'publish' },
    },
  });
  expect(text).not.toContain('no counterpart');
  const other = listener('b', 'listener.tcp.b.delayed_publish = false');
  const refuse = 'mqtt.delayed_publish_immediate = false\n';
  const both = await imported({}, `${refuse}${on}${other}`);
  expect(both.plugins).toMatchObject({ 'delayed-publish': { config: { on_full: 'refuse' } } });
  expect(both.text).toContain('here they all do');
  const off = listener('a', 'listener.tcp.a.enable = false\nlistener.tcp.a.delayed_publish = true');
  expect((await imported({}, `${other}${off}`)).plugins).toBeUndefined();
});

test('a file that is not there is said', async () => {
  const home = mkdtempSync(join(folder, 'rules-'));
  writeFileSync(join(home, 'rmqtt.toml'), 'plugins.default_startups = ["rmqtt-web-hook"]\n');
  const text = await importedText(join(home, 'rmqtt.toml'), 'rmqtt');
  expect(text).toMatch(/plugin rmqtt-web-hook; its file .* is not there, and not carried over/);
});
