// Hooks that are registered wrongly, answer what they may not, never settle, or throw wherever they
// can: stable codes, the stated policy, and a broker that goes on.
import { beforeEach, describe, expect, test } from 'vitest';
import type { Broker } from '../../src/broker.js';
import type { LogRecord } from '../../src/log/logger.js';
import { eventually } from '../harness/eventually.js';
import { logged, make, open } from './hook-clients.js';

type Register = (...values: unknown[]) => () => void;
const withFilter = ['onPublish', 'onDeliver', 'onSubscribe', 'onUnsubscribe', 'onAck', 'onDrop'];
const without = ['onConnect', 'onConnected', 'onDisconnect', 'onSessionExpire', 'onAlert'];
const registerOf = (broker: Broker, method: string): Register =>
  (broker as unknown as Record<string, Register>)[method]?.bind(broker) as Register;

let broker: Broker;
let records: LogRecord[];
beforeEach(() => {
  broker = make();
  records = logged(broker);
});

describe('arguments that are none: ST_ARGUMENT, with the method and the argument by name', () => {
  const refused = (method: string, values: readonly unknown[], name: string) => {
    expect(() => registerOf(broker, method)(...values)).toThrowError(
      expect.objectContaining({
        name: 'StMqttdError',
        code: 'ST_ARGUMENT',
        message: expect.stringMatching(new RegExp(`${method}\\(\\).*${name}`, 's')),
      }),
    );
  };
  const fn = () => 'pass';
  test.each(withFilter)('%s(filter, handler, options)', (method) => {
    for (const filter of ['', 'a/#/b', 'a+', '\u0000', 7, null, {}, 'x'.repeat(65_536)]) {
      refused(method, [filter, fn], 'filter');
    }
    refused(method, ['$share/g/a', fn], 'filter');
    for (const handler of [undefined, null, 'pass', {}, 5n, Symbol('h')]) {
      refused(method, ['a', handler], 'handler');
    }
    refused(method, [undefined, undefined], 'handler');
  });
  test.each(without)('%s(handler, options)', (method) => {
    for (const handler of [undefined, null, 'a', {}, 7, 5n]) refused(method, [handler], 'handler');
  });
  test.each([...withFilter, ...without])('options of %s', (method) => {
    const add = withFilter.includes(method)
      ? (options: unknown) => ['a', fn, options]
      : (options: unknown) => [fn, options];
    for (const options of [null, 5, 'order', fn]) refused(method, add(options), 'options');
    for (const timeoutMs of [0, -1, 1.5, 60_001, Number.NaN, '5', null]) {
      refused(method, add({ timeoutMs }), 'timeoutMs');
    }
    refused(method, add({ timeout: 5 }), 'options');
    for (const policy of ['refuse', '', null, true]) {
      refused(method, add({ onTimeout: policy }), 'onTimeout');
      refused(method, add({ onError: policy }), 'onError');
    }
    for (const order of [Number.NaN, Number.POSITIVE_INFINITY, '1', null, 1n]) {
      refused(method, add({ order }), 'order');
    }
    for (const name of [5, null, {}, Symbol('n')]) refused(method, add({ name }), 'name');
  });
});

test('after stop() they can be registered and removed, and hooksReady() resolves', async () => {
  await broker.start();
  const removes = [...withFilter, ...without].map((method) =>
    registerOf(broker, method)(...(withFilter.includes(method) ? ['a'] : []), () => 'pass'),
  );
  await broker.hooksReady();
  await broker.stop();
  for (const remove of removes) {
    remove();
    remove();
  }
  const remove = broker.onDeliver('a', () => 'pass');
  await broker.hooksReady();
  remove();
});

/** Answers that are none, of whatever hook. */
const nonsense: readonly [string, () => unknown][] = [
  ['a number', () => 42],
  ['null', () => null],
  ['true', () => true],
  ['a BigInt', () => 5n],
  ['a symbol', () => Symbol('s')],
  ['a function', () => () => 'pass'],
  ['another word', () => 'maybe'],
  ['an unknown key', () => ({ nothing: 1 })],
  [
    'a getter that throws',
    () => ({
      get payload(): string {
        throw new Error('from a getter');
      },
    }),
  ],
  [
    'a proxy that throws',
    () =>
      new Proxy(
        {},
        {
          get(_, key) {
            if (key === 'then') return undefined;
            throw new Error('from a proxy');
          },
          has() {
            throw new Error('from a proxy');
          },
          ownKeys() {
            throw new Error('from a proxy');
          },
        },
      ),
  ],
  [
    'a then that throws',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      then() {
        throw new Error('from then');
      },
    }),
  ],
  [
    'a getter of then that throws',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      get then(): never {
        throw new Error('from the getter');
      },
    }),
  ],
  ['a promise of nonsense', async () => 42],
  ['a rejection without a reason', () => Promise.reject(undefined)],
  ['a rejection with what has no text', () => Promise.reject(Object.create(null))],
];
const thrown: readonly [string, unknown][] = [
  ['an error', new Error('oops')],
  ['undefined', undefined],
  ['a symbol', Symbol('s')],
  ['an object without a prototype', Object.create(null)],
];
const failing: readonly [string, () => unknown][] = [
  ...nonsense,
  ...thrown.map(([name, value]): [string, () => unknown] => [
    `throwing ${name}`,
    () => {
      throw value;
    },
  ]),
];
const changes: readonly [string, unknown][] = [
  ['payload', { payload: 7 }],
  ['payload', { payload: null }],
  ['properties', { properties: 'none' }],
  ['payloadFormatIndicator', { properties: { payloadFormatIndicator: 2 } }],
  ['contentType', { properties: { contentType: 'a\u0000' } }],
  ['responseTopic', { properties: { responseTopic: 'a/#' } }],
  ['correlationData', { properties: { correlationData: 'text' } }],
  ['userProperties', { properties: { userProperties: { a: 'b' } } }],
  ['userProperties', { properties: { userProperties: [['a']] } }],
  ...['client_id', 'device_id', 'username', 'tenant'].map((name): [string, unknown] => [
    `publisher_${name}`,
    { properties: { userProperties: [[`publisher_${name}`, 'forged']] } },
  ]),
];
const ofDeliveries: readonly [string, unknown][] = [
  ['topic', { topic: 'other' }],
  ['qos', { qos: 0 }],
  ['retain', { retain: true }],
  ['drop', { drop: 0x87 }],
];

describe.each(['onPublish', 'onDeliver'] as const)('%s: what is no answer', (method) => {
  /** What a message does that its hook fails about, with either policy. */
  async function fails(answer: () => unknown): Promise<LogRecord> {
    await broker.start();
    registerOf(broker, method)('passes', answer, { name: 'bad' });
    registerOf(broker, method)('drops', answer, { name: 'bad too', onError: 'drop' });
    await broker.hooksReady();
    const receiver = await open(broker);
    const got: string[] = [];
    receiver.on('message', (topic, payload) => got.push(`${topic}=${payload}`));
    await receiver.subscribeAsync('#', { qos: 1 });
    const sender = await open(broker);
    await sender.publishAsync('drops', 'x', { qos: 0 });
    await sender.publishAsync('passes', 'x', { qos: 0 });
    await sender.publishAsync('free', 'x', { qos: 0 });
    await eventually(() => expect(got).toEqual(['passes=x', 'free=x']));
    expect(broker.metrics().hook_errors).toBe(2);
    const logged = records.filter(({ text }) => text.startsWith('hook "bad'));
    expect(logged).toHaveLength(2);
    return logged[1] as LogRecord;
  }
  test.each(failing)('%s', async (_, answer) => {
    await fails(answer);
  });
  const wrong = method === 'onDeliver' ? [...changes, ...ofDeliveries] : changes;
  test.each(wrong)('%s: %o', async (name, change) => {
    expect((await fails(() => change)).text).toContain(name);
  });
});

test('where clients may say who published (me_topics = off), hooks may pass it on', async () => {
  broker = make({ device: { me_topics: 'off' } });
  await broker.start();
  const userProperties: [string, string][] = [['publisher_client_id', 'x']];
  broker.onDeliver('h', () => ({ properties: { userProperties } }));
  await broker.hooksReady();
  const receiver = await open(broker);
  const told: unknown[] = [];
  receiver.on('message', (_topic, _payload, packet) =>
    told.push({ ...packet.properties?.userProperties }),
  );
  await receiver.subscribeAsync('h');
  await (await open(broker)).publishAsync('h', 'x');
  await eventually(() => expect(told).toEqual([{ publisher_client_id: 'x' }]));
});

test.each(failing)('onConnect and onSubscribe: %s', async (_, answer) => {
  await broker.start();
  registerOf(broker, 'onConnect')(answer);
  registerOf(broker, 'onSubscribe')('s', answer, { onError: 'drop' });
  registerOf(broker, 'onSubscribe')('p', answer);
  await broker.hooksReady();
  const client = await open(broker);
  await expect(client.subscribeAsync('s')).rejects.toThrow();
  await expect(client.subscribeAsync('p')).resolves.toMatchObject([{ qos: 0 }]);
  expect(records.filter(({ text }) => text.startsWith('hook ')).length).toBeGreaterThan(0);
});

test.each(failing)('hooks that are only told: %s', async (_, answer) => {
  await broker.start();
  for (const method of ['onUnsubscribe', 'onAck', 'onDrop', 'onDisconnect', 'onAlert']) {
    registerOf(broker, method)(answer);
  }
  const told: string[] = [];
  broker.onDisconnect(({ clientId }) => void told.push(clientId), { order: 1 });
  await broker.hooksReady();
  const client = await open(broker, { clientId: 'c' });
  await client.subscribeAsync('a', { qos: 1 });
  await client.publishAsync('a', 'x', { qos: 1 });
  await client.unsubscribeAsync('a');
  await client.endAsync();
  await eventually(() => expect(told).toEqual(['c']));
});

test.each(['onPublish', 'onDeliver'])('%s: a promise that never settles', async (method) => {
  await broker.start();
  const never = () => new Promise<never>(() => {});
  registerOf(broker, method)('passes', never, { timeoutMs: 40, name: 'sleeper' });
  registerOf(broker, method)('drops', never, { timeoutMs: 40, onTimeout: 'drop' });
  await broker.hooksReady();
  const receiver = await open(broker);
  const got: string[] = [];
  receiver.on('message', (topic) => got.push(topic));
  await receiver.subscribeAsync('#');
  const sender = await open(broker);
  for (const topic of ['drops', 'passes', 'free']) await sender.publishAsync(topic, 'x');
  await eventually(() => expect(got).toEqual(['passes', 'free']));
  expect(broker.metrics().hook_timeouts).toBe(2);
  await eventually(() => expect(records.some(({ text }) => text.includes('"sleeper"'))).toBe(true));
});
