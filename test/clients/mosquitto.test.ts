// mosquitto_pub, mosquitto_sub and mosquitto_rr against the broker, in every protocol version.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerProcess, standIn, startProcess } from '../e2e/broker-process.js';
import { kCure, missing, publish, request, Subscriber, subscribeToEnd } from './mosquitto.js';

const title = missing ? `mosquitto's clients (missing: ${kCure})` : "mosquitto's clients";

describe.skipIf(missing)(title, () => {
  let broker: BrokerProcess;
  let folder: string;
  let socket: string;
  const open: Subscriber[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'st-mqttd-clients-'));
    socket = join(folder, 'mqtt.sock');
    broker = await startProcess(`[unified.local]\nunix = "${socket}"\n`);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((subscriber) => subscriber.end()));
  });
  afterAll(async () => {
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const subscribe = async (version: string, args: readonly string[]) => {
    const subscriber = await Subscriber.start(['-p', `${broker.port}`, '-V', version, ...args]);
    open.push(subscriber);
    return subscriber;
  };
  const unique = () => `clients/${randomUUID().slice(0, 8)}`;

  describe.each(['mqttv31', 'mqttv311', 'mqttv5'])('%s', (version) => {
    const to = (args: readonly string[], input?: string | Buffer) =>
      publish(
        ['-p', `${broker.port}`, '-V', version, ...args],
        input === undefined ? {} : { input },
      );

    test.each([0, 1, 2])('QoS %i, lines of one publisher, in order', async (qos) => {
      const topic = unique();
      const subscriber = await subscribe(version, ['-t', `${topic}/#`, '-q', `${qos}`]);
      // As a stand-in, mosquitto sends its own 5.0 client more QoS 2 messages than that allows.
      const count = standIn ? 15 : 100;
      const lines = Array.from({ length: count }, (_, i) => `line ${i}`);
      const result = await to(['-t', `${topic}/a`, '-q', `${qos}`, '-l'], `${lines.join('\n')}\n`);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      const received = await subscriber.take(count);
      expect(received.map(({ payload }) => payload)).toEqual(lines);
      expect(new Set(received.map((message) => message.qos))).toEqual(new Set([qos]));
      await sleep(100);
      expect(subscriber.messages).toHaveLength(count);
    });

    test('retained: kept, marked, cleared', async () => {
      const topic = unique();
      expect((await to(['-t', topic, '-m', 'kept', '-r', '-q', '1'])).code).toBe(0);
      const first = await subscribe(version, ['-t', topic, '-q', '1']);
      expect((await first.take(1))[0]).toMatchObject({ payload: 'kept', retain: 1, qos: 1 });
      expect((await to(['-t', topic, '-n', '-r'])).code).toBe(0);
      expect((await first.take(2))[1]).toMatchObject({ payloadlen: 0, retain: 0 });
      const late = await subscribe(version, ['-t', topic]);
      await sleep(100);
      expect(late.messages).toEqual([]);
    });

    test('a will, when the client is killed', async () => {
      const topic = unique();
      const watcher = await subscribe(version, ['-t', topic, '-q', '2']);
      const will = ['--will-topic', topic, '--will-payload', 'gone', '--will-qos', '2'];
      const polite = await subscribe(version, ['-t', 'other', ...will]);
      await polite.end('SIGTERM');
      // In 5.0 mosquitto_sub asks for its will on SIGTERM: DISCONNECT 0x04.
      const asked = version === 'mqttv5' ? 1 : 0;
      const victim = await subscribe(version, ['-t', 'other', ...will]);
      await sleep(100);
      expect(watcher.messages).toHaveLength(asked);
      await victim.end('SIGKILL');
      expect((await watcher.take(asked + 1)).at(-1)).toMatchObject({ payload: 'gone', qos: 2 });
      await sleep(100);
      expect(watcher.messages).toHaveLength(asked + 1);
    });

    test('a persistent session (-c -i) gets what came meanwhile', async () => {
      const topic = unique();
      const session = ['-c', '-i', `id-${topic.slice(-8)}`, '-q', '2', '-t', `${topic}/+`];
      const port = ['-p', `${broker.port}`, '-V', version];
      const first = await subscribeToEnd([...port, ...session, '-E']);
      expect(first.code).toBe(0);
      for (const qos of ['1', '2']) {
        const lines = Array.from({ length: 20 }, (_, i) => `q${qos} ${i}\n`).join('');
        expect((await to(['-t', `${topic}/a`, '-q', qos, '-l'], lines)).code).toBe(0);
      }
      const again = await subscribeToEnd([...port, ...session, '-C', '40', '-W', '10']);
      expect(again.code).toBe(0);
      const expected = ['1', '2'].flatMap((q) =>
        Array.from({ length: 20 }, (_, i) => `q${q} ${i}`),
      );
      expect(again.stdout.trimEnd().split('\n').sort()).toEqual(expected.sort());
      // Without -c the session ends, and nothing is left for the next one.
      const clean = session.filter((argument) => argument !== '-c');
      await subscribeToEnd([...port, ...clean, '-E']);
      await to(['-t', `${topic}/a`, '-m', 'for nobody', '-q', '1']);
      const last = await subscribeToEnd([...port, ...clean, '-W', '1']);
      expect(last.stdout).toBe('');
    });

    test('a shared subscription: each message once', async () => {
      const topic = unique();
      const members = await Promise.all(
        [1, 2, 3].map(() => subscribe(version, ['-t', `$share/group/${topic}`, '-q', '1'])),
      );
      const lines = Array.from({ length: 60 }, (_, i) => `${i}`);
      expect((await to(['-t', topic, '-q', '1', '-l'], `${lines.join('\n')}\n`)).code).toBe(0);
      const all = () => members.flatMap((member) => member.messages.map(({ payload }) => payload));
      for (let waited = 0; all().length < 60 && waited < 100; waited += 1) await sleep(50);
      await sleep(100);
      expect(
        all()
          .map(Number)
          .sort((a, b) => a - b),
      ).toEqual(lines.map(Number));
      for (const member of members) expect(member.messages.length).toBeGreaterThan(5);
    });

    test('half a MiB from a file', async () => {
      const topic = unique();
      const file = join(folder, 'large.txt');
      const text = 'large payload '.repeat(37_450);
      writeFileSync(file, text);
      const subscriber = await subscribe(version, ['-t', topic, '-q', '2']);
      expect((await to(['-t', topic, '-q', '2', '-f', file])).code).toBe(0);
      const [message] = await subscriber.take(1);
      expect(message?.payloadlen).toBe(text.length);
      expect(message?.payload).toBe(text);
    });

    test('several filters, an unsubscribed one, no double where they overlap', async () => {
      const topic = unique();
      const subscriber = await subscribe(version, ['-t', `${topic}/a`, '-t', `${topic}/b`]);
      for (const level of ['a', 'b', 'c']) await to(['-t', `${topic}/${level}`, '-m', level]);
      expect((await subscriber.take(2)).map(({ payload }) => payload)).toEqual(['a', 'b']);
    });

    // A stand-in has no socket that we know of.
    test.skipIf(standIn)('over a Unix socket', async () => {
      const topic = unique();
      const subscriber = await subscribe(version, ['-t', topic, '-q', '1']);
      const result = await publish(['--unix', socket, '-V', version, '-t', topic, '-m', 'local']);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      expect((await subscriber.take(1))[0]?.payload).toBe('local');
    });
  });

  test('versions meet: published as 5.0, received as 3.1 and 3.1.1', async () => {
    const topic = unique();
    const subscribers = await Promise.all(
      ['mqttv31', 'mqttv311', 'mqttv5'].map((version) => subscribe(version, ['-t', topic])),
    );
    const properties = ['-D', 'publish', 'user-property', 'name', 'value'];
    await publish(['-p', `${broker.port}`, '-V', '5', '-t', topic, '-m', 'hello', ...properties]);
    for (const subscriber of subscribers) {
      expect((await subscriber.take(1))[0]?.payload).toBe('hello');
    }
    expect(subscribers[2]?.messages[0]?.properties).toMatchObject({
      'user-properties': { name: 'value' },
    });
  });

  test('5.0 properties arrive; Message Expiry counts down while the message waits', async () => {
    const topic = unique();
    const port = ['-p', `${broker.port}`, '-V', 'mqttv5'];
    const session = ['-c', '-x', '60', '-i', `id-${topic.slice(-8)}`, '-q', '1', '-t', topic];
    await subscribeToEnd([...port, ...session, '-E']);
    const property = (name: string, value: string) => ['-D', 'publish', name, value];
    const common = [
      ...property('content-type', 'text/plain'),
      ...property('response-topic', 'answer/here'),
      ...property('correlation-data', 'token'),
      ...property('payload-format-indicator', '1'),
    ];
    const expiring = (seconds: string) => [
      ...port,
      ...['-t', topic, '-q', '1', '-m', seconds],
      ...common,
      ...property('message-expiry-interval', seconds),
    ];
    await publish(expiring('1'));
    await publish(expiring('100'));
    await sleep(2200);
    const result = await subscribeToEnd([...port, ...session, '-C', '1', '-W', '5', '-F', '%j']);
    const message = JSON.parse(result.stdout.trim());
    expect(message.payload).toBe('100');
    expect(message.properties).toMatchObject({
      'content-type': 'text/plain',
      'response-topic': 'answer/here',
      'correlation-data': 'token',
      'payload-format-indicator': 1,
    });
    expect(message.properties['message-expiry-interval']).toBeLessThan(100);
    expect(message.properties['message-expiry-interval']).toBeGreaterThan(90);
  });

  test('mosquitto_rr: request and response in 5.0', async () => {
    const topic = unique();
    const answerer = await subscribe('mqttv5', ['-t', `${topic}/request`, '-q', '1']);
    const port = ['-p', `${broker.port}`, '-V', 'mqttv5'];
    const answered = request([
      ...port,
      ...['-t', `${topic}/request`, '-e', `${topic}/response`, '-m', 'question', '-q', '1'],
      ...['-D', 'publish', 'correlation-data', 'c1', '-W', '10'],
    ]);
    const [question] = await answerer.take(1);
    const back = String(question?.properties?.['response-topic']);
    expect(back).toBe(`${topic}/response`);
    const data = ['-D', 'publish', 'correlation-data', 'c1'];
    await publish([...port, '-t', back, '-m', 'answer', '-q', '1', ...data]);
    expect(await answered).toMatchObject({ code: 0, stdout: 'answer\n' });
  });

  test('mosquitto_rr in 3.1.1', async () => {
    const topic = unique();
    const answerer = await subscribe('mqttv311', ['-t', `${topic}/request`]);
    const answered = request([
      ...['-p', `${broker.port}`, '-V', 'mqttv311', '-t', `${topic}/request`],
      ...['-e', `${topic}/response`, '-m', 'question', '-W', '10'],
    ]);
    await answerer.take(1);
    await publish(['-p', `${broker.port}`, '-t', `${topic}/response`, '-m', 'answer']);
    expect(await answered).toMatchObject({ code: 0, stdout: 'answer\n' });
  });

  test('a publisher without a Client Identifier, and one with 23 and more characters', async () => {
    const topic = unique();
    const subscriber = await subscribe('mqttv311', ['-t', topic]);
    for (const id of ['x', 'a'.repeat(23), 'b'.repeat(200), 'Ünïcödé-设备']) {
      const result = await publish(['-p', `${broker.port}`, '-i', id, '-t', topic, '-m', id]);
      expect(result).toMatchObject({ code: 0, stderr: '' });
    }
    expect(await subscriber.take(4)).toHaveLength(4);
  });
});
