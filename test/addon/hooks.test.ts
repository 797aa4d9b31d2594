// Hooks on the real broker, with clients of MQTT.js and links: what they see, what their answers do,
// and what a hook that throws, never settles or blocks the process does not do.
import { setTimeout as sleep } from 'node:timers/promises';
import type mqtt from 'mqtt';
import { describe, expect, test } from 'vitest';
import type { ConfigTables } from '../../src/config/options.js';
import type { HookMessage } from '../../src/hooks/types.js';
import { eventually } from '../harness/eventually.js';
import { listen, logged, make, open, outcome, start } from './hook-clients.js';

describe.each([1, 3])('onPublish, %i I/O threads', (io_threads) => {
  const threads = { broker: { io_threads } };

  test('sees the message and its client; sync and async answers; order is kept', async () => {
    const broker = make(threads);
    const seen: HookMessage[] = [];
    broker.onPublish('h/#', async (message) => {
      seen.push(message);
      await sleep(message.text() === 'slow' ? 60 : 1);
    });
    await broker.start();
    // QoS 0: at QoS 2, MQTT.js shows a message when its PUBREL comes.
    const got = await listen(await open(broker), '#', 0);
    const sender = await open(broker, { clientId: 'sender', username: 'somebody' });
    await Promise.all([
      sender.publishAsync('h/a', 'slow', {
        qos: 2,
        properties: { contentType: 'text', userProperties: { a: 'b' }, messageExpiryInterval: 60 },
      }),
      sender.publishAsync('free', '2', { qos: 1 }),
      sender.publishAsync('h/b', '3', { qos: 0 }),
      sender.publishAsync('free', '4', { qos: 2 }),
    ]);
    await eventually(() => expect(got).toEqual(['h/a=slow', 'free=2', 'h/b=3', 'free=4']));
    expect(seen).toHaveLength(2);
    const first = seen[0] as HookMessage;
    expect([first.topic, first.qos, first.retain]).toEqual(['h/a', 2, false]);
    expect([first.clientId, first.username, first.tenant]).toEqual([
      'sender',
      'somebody',
      undefined,
    ]);
    expect([first.isLink, first.isWill]).toEqual([false, false]);
    expect([first.listener, first.protocolVersion]).toEqual(['unified-test', '5.0']);
    expect(first.properties).toMatchObject({ contentType: 'text', userProperties: [['a', 'b']] });
    expect(first.properties.messageExpiryInterval).toBeLessThanOrEqual(60);
    expect(broker.metrics().hook_publishes).toBe(2);
  });

  test('many compose, lower order first: each sees what the one before changed', async () => {
    const broker = await start(threads);
    const add = (name: string, order?: number) =>
      broker.onPublish(
        'h',
        (m) => ({ payload: `${m.text()}${name}` }),
        order === undefined ? {} : { order },
      );
    add('c');
    add('d');
    add('a', -2);
    add('b', -1);
    const removes = Array.from({ length: 300 }, () => broker.onPublish('h', () => 'pass'));
    broker.onPublish('h', () => ({
      topic: 'to',
      qos: 0,
      retain: true,
      properties: { contentType: 'x' },
    }));
    await broker.hooksReady();
    const receiver = await open(broker);
    const packets: mqtt.IPublishPacket[] = [];
    receiver.on('message', (_topic, _payload, packet) => packets.push(packet));
    const got = await listen(receiver);
    const sender = await open(broker);
    expect(await outcome(sender, 'h')).toBe(0);
    await eventually(() => expect(got).toEqual(['to=xabcd']));
    expect(packets[0]).toMatchObject({ qos: 0, properties: { contentType: 'x' } });
    expect(broker.metrics().hook_changes).toBe(1);
    for (const remove of removes) remove();
    const late = await listen(await open(broker), 'to');
    await eventually(() => expect(late).toEqual(['to=xabcd']));
  });

  test('drops: codes for v5, an acknowledgement for 3.1.1', async () => {
    const broker = await start(threads);
    broker.onPublish('quiet', () => 'drop');
    broker.onPublish('told', () => ({ drop: 0x97, reason: 'not today' }));
    await broker.hooksReady();
    const got = await listen(await open(broker));
    const five = await open(broker);
    expect(await outcome(five, 'quiet', 1)).toBe(0);
    expect(await outcome(five, 'quiet', 2)).toBe(0);
    expect(await outcome(five, 'told', 1)).toBe(0x97);
    expect(await outcome(five, 'told', 2)).toBe(0x97);
    const four = await open(broker, { protocolVersion: 4 });
    expect(await outcome(four, 'told', 1)).toBe(0);
    expect(await outcome(four, 'told', 2)).toBe(0);
    await four.publishAsync('end', '', { qos: 1 });
    await eventually(() => expect(got).toEqual(['end=']));
    expect(broker.metrics().dropped_by_hook).toBe(6);
  });

  test('links and Wills pass them too', async () => {
    const broker = await start(threads);
    const seen: string[] = [];
    broker.onPublish('#', (m) => {
      seen.push(`${m.clientId} ${m.isLink} ${m.isWill} ${m.listener} ${m.topic}`);
    });
    await broker.hooksReady();
    const got = await listen(await open(broker));
    const link = await broker.link({ clientId: 'a-link' });
    await link.publish('from/link', 'x', { qos: 1 });
    await link.close();
    const dying = await open(broker, {
      clientId: 'dying',
      will: { topic: 'will', payload: Buffer.from('w'), qos: 1, retain: false },
    });
    dying.stream.destroy();
    await eventually(() => expect(got).toEqual(['from/link=x', 'will=w']));
    expect(seen).toEqual([
      'a-link true false undefined from/link',
      'dying false true undefined will',
    ]);
  });
});

test('hooks that match nothing cost nothing: no event crosses', async () => {
  const broker = await start();
  let called = 0;
  for (let at = 0; at < 200; at++) broker.onPublish(`none/${at}/+`, () => void called++);
  await broker.hooksReady();
  const receiver = await open(broker);
  const got = await listen(receiver);
  const sender = await open(broker);
  const before = broker.metrics().events_sent;
  for (let at = 0; at < 100; at++) await sender.publishAsync(`free/${at}`, 'x', { qos: 1 });
  await eventually(() => expect(got).toHaveLength(100));
  expect(broker.metrics().events_sent).toBe(before);
  expect(broker.metrics().hook_publishes).toBe(0);
  expect(called).toBe(0);
});

test('a hook that throws, rejects or answers nonsense: logged by name, its policy applied', async () => {
  const broker = await start();
  const records = logged(broker);
  broker.onPublish('throws', function thrower() {
    throw new Error('no good');
  });
  broker.onPublish('rejects', async () => Promise.reject(new Error('no better')), {
    name: 'the rejecting one',
    onError: 'drop',
  });
  broker.onPublish('nonsense', (() => 42) as never, { name: 'nonsense', onError: 'drop' });
  broker.onPublish('wrong', () => ({ topic: 'a/#' }), { name: 'wrong topic' });
  await broker.hooksReady();
  const got = await listen(await open(broker));
  const sender = await open(broker);
  expect(await outcome(sender, 'throws')).toBe(0);
  expect(await outcome(sender, 'rejects')).toBe(0x83);
  expect(await outcome(sender, 'nonsense')).toBe(0x83);
  expect(await outcome(sender, 'wrong')).toBe(0);
  await eventually(() => expect(got).toEqual(['throws=x', 'wrong=x']));
  const texts = records.filter(({ text }) => text.startsWith('hook ')).map(({ text }) => text);
  expect(texts[0]).toBe('hook "thrower" on "throws": no good; the message passes');
  expect(texts[1]).toBe('hook "the rejecting one" on "rejects": no better; the message is dropped');
  expect(texts[2]).toContain('hook "nonsense" on "nonsense": it answered 42, which is no verdict');
  expect(texts[3]).toContain('hook "wrong topic" on "wrong": "a/#" is not a Topic Name');
  expect(broker.metrics().hook_errors).toBe(4);
});

test('a hook that never settles holds its topics for its timeout, and others not at all', async () => {
  const broker = await start();
  const records = logged(broker);
  broker.onPublish('never', () => new Promise<never>(() => {}), { name: 'sleeper', timeoutMs: 80 });
  broker.onPublish('never/dropped', () => new Promise<never>(() => {}), {
    timeoutMs: 80,
    onTimeout: 'drop',
  });
  await broker.hooksReady();
  const got = await listen(await open(broker));
  const sender = await open(broker);
  expect(await outcome(sender, 'never')).toBe(0);
  expect(await outcome(sender, 'never/dropped')).toBe(0x83);
  expect(await outcome(sender, 'free')).toBe(0);
  await eventually(() => expect(got).toEqual(['never=x', 'free=x']));
  await eventually(() =>
    expect(records.map(({ text }) => text)).toContain(
      'hook "sleeper" on "never" has not answered within 80 ms; the message passes',
    ),
  );
  expect(broker.metrics().hook_timeouts).toBe(2);
});

test('unregistered hooks are asked no more; before and after start() is the same', async () => {
  const broker = make();
  let before = 0;
  let after = 0;
  const removeBefore = broker.onPublish('h', () => void before++);
  await broker.start();
  const removeAfter = broker.onPublish('h', () => void after++);
  await broker.hooksReady();
  const sender = await open(broker);
  await sender.publishAsync('h', '', { qos: 1 });
  expect([before, after]).toEqual([1, 1]);
  removeBefore();
  removeBefore();
  await broker.hooksReady();
  await sender.publishAsync('h', '', { qos: 1 });
  expect([before, after]).toEqual([1, 2]);
  removeAfter();
  await broker.hooksReady();
  await sender.publishAsync('h', '', { qos: 1 });
  expect(broker.metrics().hook_publishes).toBe(2);
});

test('stop() waits for verdicts: what was acknowledged by them is delivered', async () => {
  const broker = await start();
  let answer = (): void => {};
  broker.onPublish('h', () => new Promise<void>((resolve) => (answer = resolve)));
  await broker.hooksReady();
  const got = await listen(await open(broker));
  const sender = await open(broker);
  const published = outcome(sender, 'h');
  await eventually(() => expect(broker.metrics().hook_held).toBe(1));
  const stopped = broker.stop({ timeoutMs: 5_000 });
  await sleep(30);
  answer();
  expect(await published).toBe(0);
  await stopped;
  expect(got).toEqual(['h=x']);
});

test('onDisconnect, onSessionExpire, onAlert are told, and may throw', async () => {
  const broker = await start({ mqtt: { max_queued_messages: 1 } } as ConfigTables);
  const records = logged(broker);
  const told: string[] = [];
  const remove = broker.onDisconnect(
    ({ clientId, cause }) => void told.push(`${clientId} ${cause}`),
  );
  broker.onDisconnect(() => {
    throw new Error('oops');
  });
  broker.onSessionExpire(({ clientId }) => void told.push(`${clientId} expired`));
  broker.onAlert(({ alert, clientId }) => void told.push(`${clientId} ${alert}`));
  await broker.hooksReady();
  const client = await open(broker, {
    clientId: 'c',
    clean: false,
    properties: { sessionExpiryInterval: 1 },
  });
  await client.subscribeAsync('q', { qos: 1 });
  await client.endAsync();
  const sender = await open(broker);
  for (let at = 0; at < 3; at++) await sender.publishAsync('q', 'x', { qos: 1 });
  await eventually(() => expect(told).toContain('c queue_overflow'));
  await eventually(() => expect(told).toContain('c expired'));
  expect(told).toContain('c client_disconnect');
  expect(records.some(({ text }) => text.includes('oops'))).toBe(true);
  remove();
});

test('what is no hook is refused with what would be one', async () => {
  const broker = make();
  const refused = (register: () => unknown) => {
    expect(register).toThrowError(expect.objectContaining({ code: 'ST_ARGUMENT' }));
  };
  refused(() => broker.onPublish('a/#/b', () => {}));
  refused(() => broker.onPublish('$share/g/a', () => {}));
  refused(() => broker.onPublish('a', undefined as never));
  refused(() => broker.onPublish('a', () => {}, { timeoutMs: 0 }));
  refused(() => broker.onPublish('a', () => {}, { onError: 'maybe' as never }));
  refused(() => broker.onPublish('a', () => {}, { timeout: 5 } as never));
  await broker.hooksReady();
});
