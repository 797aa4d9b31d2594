// Plugins on the real broker: what the docs show, what a plugin owns, and what its failures do not do.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import { BrokerHooks } from '../../src/hooks/face.js';
import type { Message } from '../../src/link/message.js';
import type { LogRecord } from '../../src/log/logger.js';
import { eventually } from '../harness/eventually.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-plugins-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let brokers: Broker[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
});

const listener = { main: { listen: '127.0.0.1:0' } };

function make(options: BrokerOptions): { broker: Broker; log: LogRecord[] } {
  const broker = new Broker(options);
  brokers.push(broker);
  const log: LogRecord[] = [];
  broker.on('log', (record) => log.push(record));
  return { broker, log };
}
async function start(options: BrokerOptions) {
  const made = make(options);
  await made.broker.start();
  return made;
}
/** A module of its own: Node loads each file once. */
let count = 0;
function moduleOf(text: string): string {
  const file = join(folder, `${++count}.mjs`);
  writeFileSync(file, text);
  return file;
}
/** What it has done is seen through globalThis: the module is loaded by Node, not by the tests. */
const seen = globalThis as { plugged?: string[] };

async function got(broker: Broker, filter: string) {
  const link = await broker.link();
  const messages: Message[] = [];
  void (async () => {
    for await (const message of link.subscribe(filter)) messages.push(message);
  })().catch(() => undefined);
  await eventually(async () => {
    const { items } = await broker.subscriptions.page();
    expect(items.some((row) => row.filter === filter)).toBe(true);
  });
  return messages;
}
async function publish(broker: Broker, topic: string, payload = 'x', clientId?: string) {
  const link = await broker.link(clientId === undefined ? {} : { clientId });
  await link.publish(topic, payload, { qos: 1 });
  await link.close();
}
const textOf = (message: Message | undefined) => message?.payload.toString();
const topics = (messages: readonly Message[]) => messages.map(({ topic }) => topic);

describe('the example of docs/PLUGINS.md', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/PLUGINS.md'), 'utf8');
  const block = (kind: string) => new RegExp(`\`\`\`${kind}\n([^]*?)\`\`\``).exec(text)?.[1] ?? '';

  test('runs as it stands', async () => {
    const js = block('js').replace(/^import .*$/m, 'const definePlugin = (plugin) => plugin;');
    writeFileSync(join(folder, 'stamp.mjs'), js);
    const file = join(folder, 'st-mqttd.toml');
    writeFileSync(file, block('toml').replace(':1883', ':0'));
    const { broker } = await start({ config: file });
    const messages = await got(broker, '#');
    await publish(broker, 'plant/a');
    await publish(broker, 'plant/b');
    await publish(broker, 'else');
    await eventually(() => expect(messages.length).toBe(4));
    const numbers = messages.map(({ topic, properties }) => [
      topic,
      properties.userProperties?.find(([name]) => name === 'number')?.[1],
    ]);
    expect(numbers).toEqual([
      ['plugins/stamp', undefined],
      ['plant/a', '1'],
      ['plant/b', '2'],
      ['else', undefined],
    ]);
    expect((await broker.plugins()).list()).toContainEqual({
      name: 'stamp',
      state: 'loaded',
      from: join(folder, 'stamp.mjs'),
      version: undefined,
      description: 'counts messages, and tells each one its number',
      defaultStartup: true,
      immutable: false,
      counts: undefined,
      error: undefined,
    });
    await (await broker.plugins()).unload('stamp');
    await publish(broker, 'plant/c');
    await eventually(() => expect(topics(messages)).toContain('plant/c'));
    expect(messages.at(-1)?.properties.userProperties ?? []).not.toContainEqual(['number', '3']);
  });
});

describe('topic-rewrite', () => {
  const rewriting = (rules: object[], name = 'topic-rewrite') => ({
    unified: listener,
    plugins: { default_startups: [name], 'topic-rewrite': { config: { rules } } },
  });

  test('the first rule that fits gives the topic', async () => {
    const { broker, log } = await start(
      rewriting([
        { source_topic_filter: 'old/+/state', dest_topic: 'x/y/$1' },
        { source_topic_filter: 'x/#', dest_topic: 'z/$2/$1', regex: '^x/(.+)/(.+)$' },
        { source_topic_filter: 'x/+/d', dest_topic: 'never' },
        { source_topic_filter: 'by/#', dest_topic: 'of/%c/$1' },
      ]),
    );
    const messages = await got(broker, '#');
    const sent = ['old/1/state', 'x/a/b', 'x/c', 'x/c/d', 'by/a', 'by', 'else'];
    for (const topic of sent) await publish(broker, topic, topic, 'me1');
    await eventually(() => expect(messages.length).toBe(sent.length));
    expect(topics(messages)).toEqual([
      ...['x/y/1', 'z/b/a', 'x/c', 'z/d/c', 'of/me1/a', 'of/me1/', 'else'],
    ]);
    expect(messages.map((message) => textOf(message))).toEqual(sent);
    // A name that would lead elsewhere: dropped, and said.
    await expect(publish(broker, 'by/a', 'x', 'me/../admin')).rejects.toMatchObject({
      reasonCode: 0x83,
    });
    await publish(broker, 'end');
    await eventually(() => expect(topics(messages)).toContain('end'));
    expect(messages.length).toBe(sent.length + 1);
    expect(log.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(/hook "topic-rewrite: rewrite" on "by\/a".*Client Identifier/),
    );
  });

  test('subscriptions are rewritten likewise', async () => {
    const { broker } = await start(
      rewriting([
        { action: 'subscribe', source_topic_filter: 'old/+/state', dest_topic: 'new/$1/state' },
        { action: 'subscribe', source_topic_filter: 'mine', dest_topic: 'of/%u' },
        { action: 'publish', source_topic_filter: 'p', dest_topic: 'q' },
      ]),
    );
    const link = await broker.link({ clientId: 'reader' });
    await link.subscribe('old/+/state').ready;
    await link.subscribe('$share/g/old/7/state').ready;
    await link.subscribe(['p', 'else/#']).ready;
    await expect(link.subscribe('mine').ready).rejects.toMatchObject({ reasonCode: 0x83 });
    const { items } = await broker.subscriptions.page();
    expect(
      items
        .filter(({ clientId }) => clientId === 'reader')
        .map(({ filter }) => filter)
        .sort(),
    ).toEqual(['$share/g/new/7/state', 'else/#', 'new/+/state', 'p']);
    const messages = await got(broker, '#');
    for (const topic of ['p', 'old/1/state']) await publish(broker, topic);
    // Unsubscribed by what the client wrote, and by what was made of it.
    const filters = async () =>
      (await broker.registry.subscriptions({ clientId: 'reader', limit: 9 })).items
        .map(({ filter }) => filter)
        .sort();
    const five = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.addresses[0]?.port}`, {
      ...{ protocolVersion: 5, clientId: 'five', reconnectPeriod: 0 },
    });
    await five.subscribeAsync(['old/1/state', 'old/2/state', '$share/h/old/+/state']);
    const own = async () =>
      (await broker.registry.subscriptions({ clientId: 'five', limit: 9 })).items.map(
        ({ filter }) => filter,
      );
    await five.unsubscribeAsync(['old/1/state', '$share/h/old/+/state']);
    expect(await own()).toEqual(['new/2/state']);
    await five.unsubscribeAsync('new/2/state');
    expect(await own()).toEqual([]);
    await five.endAsync();
    expect(await filters()).toContain('new/+/state');
    await eventually(() => expect(topics(messages)).toEqual(['q', 'old/1/state']));
  });

  test('under its name in rmqttd, and with a new configuration by reload()', async () => {
    const rule = (dest_topic: string) => [
      { action: 'publish', source_topic_filter: 'a', dest_topic },
    ];
    const { broker } = await start(rewriting(rule('b'), 'rmqtt-topic-rewrite'));
    const messages = await got(broker, '#');
    await publish(broker, 'a');
    await eventually(() => expect(topics(messages)).toEqual(['b']));
    const wrong = rewriting([{ source_topic_filter: 'a', dest_topic: '$1' }]);
    await expect(broker.reload(wrong)).rejects.toMatchObject({ code: 'ST_PLUGIN_CONFIG' });
    await publish(broker, 'a');
    await eventually(() => expect(topics(messages)).toEqual(['b', 'b']));
    await broker.reload(rewriting(rule('c')));
    await publish(broker, 'a');
    await eventually(() => expect(topics(messages)).toEqual(['b', 'b', 'c']));
  });
});

describe('what a plugin owns', () => {
  const owner = () =>
    moduleOf(`globalThis.plugged = [];
      const say = (text) => globalThis.plugged.push(text);
      export const plugin = {
        start(context) {
          say('start');
          context.signal.addEventListener('abort', () => say('abort'));
          context.onPublish('a', () => ({ payload: 'changed' }));
          context.setInterval(() => say('tick'), 5);
          context.onReady(async () => {
            const link = await context.link({ clientId: 'owned' });
            void link.closed.then(() => say('closed'));
            say('ready');
          });
          context.onStop(() => say('stop 1'));
          context.onStop(async () => { say('stop 2'); throw new Error('in onStop'); });
          globalThis.pluggedContext = context;
        },
      };`);

  test('is gone with it: hooks, links, timers', async () => {
    const { broker, log } = await start({
      unified: listener,
      plugins: { mine: { module: owner(), default_startup: true } },
    });
    expect(seen.plugged).toEqual(expect.arrayContaining(['start', 'ready']));
    await eventually(() => expect(seen.plugged).toContain('tick'));
    const messages = await got(broker, 'a');
    await publish(broker, 'a');
    await eventually(() => expect(messages.map((one) => textOf(one))).toEqual(['changed']));
    const isThere = async () => (await broker.registry.client('owned'))?.connected === true;
    expect(await isThere()).toBe(true);

    const plugins = await broker.plugins();
    await expect(plugins.unload('mine')).resolves.toMatchObject({ state: 'not loaded' });
    const after = seen.plugged?.filter((text) => text !== 'tick');
    expect(after).toEqual(['start', 'ready', 'stop 2', 'stop 1', 'abort', 'closed']);
    expect(log.map(({ text }) => text)).toContain(
      'plugin "mine": onStop: in onStop; the broker goes on',
    );
    const ticks = seen.plugged?.length;
    await eventually(async () => expect(await isThere()).toBe(false));
    await publish(broker, 'a', 'plain');
    await eventually(() => expect(textOf(messages.at(-1))).toBe('plain'));
    expect(seen.plugged?.length).toBe(ticks);
    const { pluggedContext } = globalThis as unknown as {
      pluggedContext: { onPublish(filter: string, fn: () => void): void };
    };
    expect(() => pluggedContext.onPublish('a', () => {})).toThrow(/it has been unloaded/);

    await expect(plugins.unload('mine')).rejects.toMatchObject({ code: 'ST_PLUGIN_STATE' });
    await expect(plugins.load('mine')).resolves.toMatchObject({ state: 'loaded' });
    await expect(plugins.load('mine')).rejects.toMatchObject({ code: 'ST_PLUGIN_STATE' });
    await expect(plugins.load('none')).rejects.toMatchObject({ code: 'ST_PLUGIN_UNKNOWN' });
    await broker.stop();
    expect(seen.plugged?.filter((text) => text === 'stop 1').length).toBe(2);
  });

  test('has every hook of the broker', async () => {
    const module = moduleOf(`export default { start(context) {
      globalThis.plugged = Object.keys(context);
    } };`);
    await start({ unified: listener, plugins: { all: { module, default_startup: true } } });
    const hooks = Object.getOwnPropertyNames(BrokerHooks.prototype).filter((name) =>
      /^on[A-Z]/.test(name),
    );
    expect(hooks).toContain('onPublish');
    expect(seen.plugged).toEqual(expect.arrayContaining(hooks));
  });

  test('order: as named, and back; immutable ones first, and never unloaded', async () => {
    const told = (name: string) =>
      moduleOf(`export default { start(context) {
        (globalThis.plugged ??= []).push('${name}');
        context.onStop(() => void globalThis.plugged.push('not ${name}'));
      } };`);
    seen.plugged = [];
    const { broker } = await start({
      unified: listener,
      plugins: {
        default_startups: ['b', 'a'],
        a: { module: told('a') },
        b: { module: told('b') },
        c: { module: told('c'), immutable: true },
        d: { module: told('d'), default_startup: false },
      },
    });
    await expect((await broker.plugins()).unload('c')).rejects.toThrow(/it is immutable/);
    await broker.stop();
    expect(seen.plugged).toEqual(['c', 'b', 'a', 'not a', 'not b', 'not c']);
  });
});

describe('failures', () => {
  test.each([
    [
      "export const plugin = { start() { throw new Error('no disk'); } };",
      'ST_PLUGIN_START',
      'no disk',
    ],
    [
      'export const plugin = { start({ onReady }) { onReady(async () => { throw new Error("late"); }); } };',
      ...(['ST_PLUGIN_START', 'late'] as const),
    ],
    [
      'export const plugin = { start: ({ link }) => link().then(() => {}) };',
      ...(['ST_PLUGIN_START', 'do it in onReady()'] as const),
    ],
    ['export const plugin = 1;', 'ST_PLUGIN_LOAD', 'exports no plugin'],
    ['throw new Error("at once");', 'ST_PLUGIN_LOAD', 'at once'],
    ['export const plugin = { schema: { type: 7 }, start() {} };', 'ST_PLUGIN_LOAD', 'its schema'],
  ])('%s ends the start', async (text, code, why) => {
    const plugins = { bad: { module: moduleOf(text), default_startup: true } };
    const { broker } = make({ unified: listener, plugins });
    await expect(broker.start()).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(`plugin "bad".*${why.replace('()', '.*')}`)),
    });
    expect(broker.addresses).toEqual([]);
  });

  test('a name that nothing stands behind, a file and a package that are not there', async () => {
    const started = (plugins: object) =>
      make({ unified: listener, plugins } as BrokerOptions).broker.start();
    await expect(started({ default_startups: ['rmqtt-acl'] })).rejects.toMatchObject({
      code: 'ST_PLUGIN_UNKNOWN',
      message: expect.stringMatching(/there is no plugin "rmqtt-acl"; there are .*topic-rewrite/),
    });
    await expect(started({ x: { module: '/none.mjs', immutable: true } })).rejects.toMatchObject({
      code: 'ST_PLUGIN_LOAD',
    });
    await expect(started({ 'no-such-package-x': { immutable: true } })).rejects.toThrow(
      /npm install/,
    );
  });

  test('later ones are logged with its name, and the broker goes on', async () => {
    const module = moduleOf(`export const plugin = { start(context) {
      context.setTimeout(async () => { throw new Error('in a timer'); }, 1);
      context.onPublish('a', () => { throw new Error('in a hook'); });
    } };`);
    const { broker, log } = await start({
      unified: listener,
      plugins: { bad: { module, default_startup: true } },
    });
    const messages = await got(broker, 'a');
    await publish(broker, 'a');
    await eventually(() => expect(messages.length).toBe(1));
    const texts = () => log.map(({ text }) => text);
    await eventually(() => {
      expect(texts()).toContain('plugin "bad": setTimeout: in a timer; the broker goes on');
      expect(texts()).toContain('hook "bad" on "a": in a hook; the message passes');
    });
  });
});

test('the console: list, load, unload; and what is refused', async () => {
  const { broker, log } = await start({
    unified: listener,
    console: {
      listen: '127.0.0.1:0',
      tokens: { eye: { token: 'looks-only', role: 'read' }, op: 'does-things' },
    },
    plugins: {
      'topic-rewrite': { default_startup: false, config: { rules: [], secret: 'xyzzy' } },
    },
  });
  const url = await eventually(() => {
    const found = log.map(({ text }) => /http:\/\/\S+:\d+/.exec(text)?.[0]).find(Boolean);
    if (found === undefined)
      throw new Error(`no address: ${log.map(({ text }) => text).join('\n')}`);
    return found;
  });
  const ask = async (path: string, method = 'GET', token = 'does-things') => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${url}/api/v1/plugins${path}`, { method, headers });
    return { status: answer.status, body: (await answer.json()) as never };
  };
  expect(await ask('')).toMatchObject({
    status: 200,
    body: {
      items: expect.arrayContaining([
        expect.objectContaining({ name: 'topic-rewrite', state: 'not loaded' }),
      ]),
    },
  });
  expect(await ask('/topic-rewrite/load', 'POST', 'looks-only')).toMatchObject({ status: 403 });
  const refused = await ask('/topic-rewrite/load', 'POST');
  expect(refused).toMatchObject({ status: 422 });
  expect(JSON.stringify(refused.body)).toContain('config.secret is not known');
  expect(JSON.stringify(refused.body)).not.toContain('xyzzy');
  expect(await ask('/topic-rewrite/unload', 'POST')).toMatchObject({ status: 409 });
  expect(await ask('/none')).toMatchObject({ status: 404 });
  expect(await ask('/none/reload', 'POST')).toMatchObject({ status: 404 });
  await broker.reload({
    unified: listener,
    console: { listen: '127.0.0.1:0', tokens: { op: 'does-things' } },
    plugins: { 'topic-rewrite': { default_startup: false, config: { rules: [] } } },
  });
  expect(await ask('/rmqtt-topic-rewrite/load', 'POST')).toMatchObject({
    status: 200,
    body: { name: 'topic-rewrite', state: 'loaded' },
  });
  expect(await ask('/topic-rewrite/reload', 'POST')).toMatchObject({ status: 200 });
  expect(await ask('/topic-rewrite/unload', 'POST')).toMatchObject({ status: 200 });
  expect(log.filter(({ module }) => module === 'audit').map(({ text }) => text)).toContain(
    'plugins.load by op: ok',
  );
});
