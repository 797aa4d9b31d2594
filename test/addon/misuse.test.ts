// Every public method, called at the wrong time or with what is no argument of it: typed errors with
// stable codes, at once or as a rejection, and the broker goes on.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker, type Link, type LinkOptions } from '../../src/index.js';

type Loose = Record<string, (...args: unknown[]) => unknown>;
const loose = (object: unknown) => object as Loose;

/** What it throws or rejects with; undefined = nothing. */
async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}
const make = () => new Broker({ unified: { one: { listen: '127.0.0.1:0' } } });
const argument = (name: string) => ({
  name: 'StMqttdError',
  code: 'ST_ARGUMENT',
  message: expect.stringContaining(`: ${name} is `),
});

/** What needs a broker that runs. */
const running: readonly [string, (broker: Broker) => unknown][] = [
  ['reload', (b) => b.reload()],
  ['logFilter', (b) => b.logFilter],
  ['setLogFilter', (b) => b.setLogFilter('info')],
  ['bans', (b) => b.bans],
  ['disconnectClient', (b) => b.disconnectClient('x')],
  ['registry', (b) => b.registry],
  ['meters', (b) => b.meters()],
  ['alerts', (b) => b.alerts()],
  ['clients', (b) => b.clients],
  ['sessions', (b) => b.sessions],
  ['subscriptions', (b) => b.subscriptions],
  ['retained', (b) => b.retained],
  ['directWrite', (b) => b.directWrite('x', 't', '')],
  ['directWriteMany', (b) => b.directWriteMany(['x'], 't', '')],
  ['denials', (b) => b.registry.denials({ limit: 1 })],
  ['link', (b) => b.link()],
  ['tracer', (b) => b.tracer()],
];

describe('at the wrong time', () => {
  test.each(running)('%s', async (_, call) => {
    const broker = make();
    expect(await failure(() => call(broker))).toMatchObject({
      code: 'ST_BROKER_STATE',
      message: expect.stringContaining('the broker is not started; await start() first'),
    });
    await broker.start();
    expect(await failure(() => call(broker))).toBeUndefined();
    await broker.stop({ timeoutMs: 0 });
    expect(await failure(() => call(broker))).toMatchObject({
      code: 'ST_BROKER_STATE',
      message: expect.stringContaining('the broker is stopped'),
    });
  });

  test('authenticate and authenticateWith after start()', async () => {
    const broker = make();
    await broker.start();
    const state = { code: 'ST_BROKER_STATE' };
    expect(await failure(() => broker.authenticate(() => true))).toMatchObject(state);
    expect(await failure(() => broker.authenticateWith('X', () => true))).toMatchObject(state);
    await broker.stop({ timeoutMs: 0 });
  });

  test('what may be asked at any time', async () => {
    const broker = make();
    for (let turn = 0; turn < 2; turn++) {
      expect([broker.ready, broker.addresses, broker.address()]).toEqual([false, [], null]);
      expect(broker.metrics()).toBeDefined();
      await broker.ping();
      broker.reopenLog();
      await broker.stop();
    }
    await broker.start();
    expect(broker.ready).toBe(true);
    await broker.stop({ timeoutMs: 0 });
  });
});

describe('a broker made of', () => {
  test.each<[string, unknown, object]>([
    ['null', null, argument('options')],
    ['text', 'st-mqttd.toml', argument('options')],
    ['a number', 5, argument('options')],
    ['a list', [], argument('options')],
    ['a file that is no path', { config: 5 }, argument('config')],
    ['an empty path', { config: '' }, argument('config')],
    ['a file and tables', { config: 'x.toml', mqtt: {} }, argument('options')],
    ['a wrong value', { mqtt: { max_qos: 3 } }, { code: 'ST_CONFIG_VALUE' }],
    ['a wrong type', { mqtt: 5 }, { code: 'ST_CONFIG_VALUE' }],
  ])('%s', async (_, options, error) => {
    expect(await failure(() => new Broker(options as object))).toMatchObject(error);
  });
});

describe('a broker that runs, called with what is no argument', () => {
  let broker: Broker;
  let link: Link;
  beforeAll(async () => {
    broker = make();
    await broker.start();
    link = await broker.link({ clientId: 'good' });
  });
  afterAll(async () => {
    await broker.stop({ timeoutMs: 100 });
  });
  afterEach(async () => {
    // It goes on, and so does the link.
    expect(await link.publish('still/there', 'x', { qos: 1 })).toEqual({ reasonCode: 0x10 });
  });

  test.each<[string, () => unknown, string]>([
    ['stop(null)', () => loose(broker).stop?.(null), 'options'],
    ['stop timeout', () => loose(broker).stop?.({ timeoutMs: '5' }), 'timeoutMs'],
    ['stop timeout below 0', () => broker.stop({ timeoutMs: -1 }), 'timeoutMs'],
    ['reload(5)', () => loose(broker).reload?.(5), 'options'],
    ['reload(null)', () => loose(broker).reload?.(null), 'options'],
    ['setLogFilter', () => loose(broker).setLogFilter?.(5), 'text'],
    ['disconnectClient()', () => loose(broker).disconnectClient?.(), 'clientId'],
    ['disconnectClient null', () => loose(broker).disconnectClient?.('x', null), 'options'],
    ['its code', () => broker.disconnectClient('x', { reasonCode: 1 }), 'reasonCode'],
    ['its reason', () => loose(broker).disconnectClient?.('x', { reason: 5 }), 'reason'],
    ['meters(null)', () => loose(broker).meters?.(null), 'options'],
    ['meters interval', () => broker.meters({ intervalMs: 0 }), 'intervalMs'],
    ['alerts buffer', () => broker.alerts({ buffer: 0 }), 'buffer'],
    ['alerts signal', () => loose(broker).alerts?.({ signal: 1 }), 'signal'],
    ['clients.page(null)', () => loose(broker.clients).page?.(null), 'options'],
    ['clients.page limit', () => broker.clients.page({ limit: 0 }), 'limit'],
    ['clients.page cursor', () => broker.clients.page({ cursor: 'nonsense' }), 'cursor'],
    ['clients.filter', () => loose(broker.clients).filter?.(5), 'filter'],
    ['clients.get', () => loose(broker.clients).get?.(5), 'clientId'],
    ['clients.disconnect', () => loose(broker.clients).disconnect?.(5), 'clientId'],
    ['its options', () => loose(broker.clients).disconnect?.('x', 5), 'options'],
    ['sessions.get', () => loose(broker.sessions).get?.({}), 'clientId'],
    ['sessions.end', () => loose(broker.sessions).end?.(null), 'clientId'],
    ['subscriptions.of', () => loose(broker.subscriptions.of(5 as never)).page?.(), 'clientId'],
    ['subscriptions.matching', () => broker.subscriptions.matching('a/#'), 'topic'],
    ['subscriptions.add', () => loose(broker.subscriptions).add?.('x'), 'request'],
    ['its filter', () => broker.subscriptions.add('x', { filter: 'a#', qos: 0 }), 'filter'],
    ['its QoS', () => loose(broker.subscriptions).add?.('x', { filter: 'a', qos: 3 }), 'qos'],
    ['subscriptions.remove', () => loose(broker.subscriptions).remove?.('x', 5), 'filter'],
    ['retained.get', () => loose(broker.retained).get?.(5), 'topic'],
    ['retained.matching', () => broker.retained.matching('a#').page(), 'filter'],
    ['retained.delete', () => broker.retained.delete('+'), 'topic'],
    ['retained.set topic', () => broker.retained.set('', 'x'), 'topic'],
    ['retained.set payload', () => loose(broker.retained).set?.('t'), 'payload'],
    ['retained.set nothing', () => broker.retained.set('t', Buffer.alloc(0)), 'payload'],
    ['retained.set QoS', () => loose(broker.retained).set?.('t', 'x', { qos: 5 }), 'qos'],
    ['directWrite to nobody', () => loose(broker).directWrite?.(5, 't', ''), 'clientId'],
    ['directWrite to a filter', () => broker.directWrite('x', 'a/+', ''), 'topic'],
    ['directWrite an object', () => loose(broker).directWrite?.('x', 't', {}), 'payload'],
    ['directWrite options', () => loose(broker).directWrite?.('x', 't', '', 5), 'options'],
    ['directWrite QoS', () => loose(broker).directWrite?.('x', 't', '', { qos: 3 }), 'qos'],
    ['directWrite queue', () => loose(broker).directWrite?.('x', 't', '', { queue: 1 }), 'queue'],
    ['directWriteMany to a number', () => loose(broker).directWriteMany?.(5, 't', ''), 'clientIds'],
    ['logs(null)', () => loose(broker.registry).logs?.(null), 'page'],
    ['logs limit', () => broker.registry.logs({ limit: 0 }), 'limit'],
    ['logs cursor', () => broker.registry.logs({ limit: 1, cursor: 'nonsense' }), 'cursor'],
    ['denials limit', () => broker.registry.denials({ limit: 1.5 }), 'limit'],
    ['denials cursor', () => broker.registry.denials({ limit: 1, cursor: 'nonsense' }), 'cursor'],
    ['bans.add()', () => loose(broker.bans).add?.(), 'options'],
    ['bans.add kind', () => loose(broker.bans).add?.({ kind: 'x', value: 'y' }), 'kind'],
    ['bans.add value', () => loose(broker.bans).add?.({ kind: 'user', value: 5 }), 'value'],
    ['a trace of nothing', async () => loose(await broker.tracer()).start?.({}), 'clientId'],
    ['a trace', async () => loose(await broker.tracer()).start?.(), 'options'],
    ['its sink', async () => loose(await broker.tracer()).start?.({ clientId: 'x' }), 'to'],
    ['publish()', () => loose(link).publish?.(), 'payload'],
    ['publish topic', () => loose(link).publish?.(5, 'x'), 'topic'],
    ['publish to a filter', () => link.publish('a/+', 'x'), 'topic'],
    ['publish an object', () => loose(link).publish?.('t', { a: 1 }), 'payload'],
    ['publish null', () => loose(link).publish?.('t', null), 'payload'],
    ['publish options', () => loose(link).publish?.('t', 'x', 1), 'options'],
    ['publish QoS', () => loose(link).publish?.('t', 'x', { qos: 3 }), 'qos'],
    ['publish retain', () => loose(link).publish?.('t', 'x', { retain: 1 }), 'retain'],
    ['publish signal', () => loose(link).publish?.('t', 'x', { signal: {} }), 'signal'],
    ['subscribe()', () => loose(link).subscribe?.(), 'filters'],
    ['subscribe to nothing', () => link.subscribe([]), 'filters'],
    ['subscribe filter', () => link.subscribe('a#'), 'filter'],
    ['subscribe filters', () => loose(link).subscribe?.(['a', 5]), 'filter'],
    ['subscribe options', () => loose(link).subscribe?.('a', null), 'options'],
    ['subscribe QoS', () => loose(link).subscribe?.('a', { qos: '1' }), 'qos'],
    ['retainHandling', () => loose(link).subscribe?.('a', { retainHandling: 3 }), 'retainHandling'],
    ['manualAck', () => loose(link).subscribe?.('a', { manualAck: 1 }), 'manualAck'],
    ['unsubscribe()', () => loose(link).unsubscribe?.(), 'filters'],
    ['unsubscribe filter', () => link.unsubscribe('a#'), 'filter'],
    ['forEach', () => loose(link.subscribe('h')).forEach?.(5), 'handler'],
  ])('%s', async (_, call, name) => {
    expect(await failure(call)).toMatchObject(argument(name));
  });

  test.each<[Record<string, unknown>, string]>([
    [{ payloadFormatIndicator: 2 }, 'payloadFormatIndicator'],
    [{ messageExpiryInterval: -1 }, 'messageExpiryInterval'],
    [{ messageExpiryInterval: '5' }, 'messageExpiryInterval'],
    [{ contentType: 5 }, 'contentType'],
    [{ contentType: 'x'.repeat(65_536) }, 'contentType'],
    [{ responseTopic: 'a/#' }, 'responseTopic'],
    [{ correlationData: 'text' }, 'correlationData'],
    [{ correlationData: Buffer.alloc(65_536) }, 'correlationData'],
    [{ userProperties: { a: 'b' } }, 'userProperties'],
    [{ userProperties: [['a']] }, 'userProperties'],
    [{ userProperties: [['a', 5]] }, 'userProperties'],
  ])('the properties %#', async (properties, name) => {
    const error = argument(`properties.${name}`);
    const call = () => loose(link).publish?.('t', 'x', { properties });
    expect(await failure(call)).toMatchObject(error);
    const will = { topic: 't', payload: '', properties };
    expect(await failure(() => loose(broker).link?.({ will }))).toMatchObject(
      argument(`will.properties.${name}`),
    );
  });

  test.each<[unknown, string]>([
    [null, 'options'],
    ['me', 'options'],
    [{ clientId: 5 }, 'clientId'],
    [{ clientId: 'a\0b' }, 'clientId'],
    [{ clientId: 'x'.repeat(65_536) }, 'clientId'],
    [{ username: 5 }, 'username'],
    [{ cleanStart: 1 }, 'cleanStart'],
    [{ sessionExpiry: 'never' }, 'sessionExpiry'],
    [{ receiveMaximum: 0 }, 'receiveMaximum'],
    [{ bufferBytes: 5 }, 'bufferBytes'],
    [{ signal: 'x' }, 'signal'],
    [{ will: 'x' }, 'will'],
    [{ will: {} }, 'will.topic'],
    [{ will: { topic: 'a/#', payload: '' } }, 'will.topic'],
    [{ will: { topic: 'a' } }, 'will.payload'],
    [{ will: { topic: 'a', payload: 'x'.repeat(65_536) } }, 'will.payload'],
    [{ will: { topic: 'a', payload: '', qos: 3 } }, 'will.qos'],
    [{ will: { topic: 'a', payload: '', retain: 1 } }, 'will.retain'],
    [{ will: { topic: 'a', payload: '', delay: -1 } }, 'will.delay'],
  ])('the link %#', async (options, name) => {
    const call = () => broker.link(options as LinkOptions);
    expect(await failure(call)).toMatchObject(argument(name));
  });
});

test.each(['authenticate', 'authenticateWith'])('%s needs a function', async (method) => {
  const broker = make();
  const args = method === 'authenticate' ? [5] : ['PLAIN', {}];
  expect(await failure(() => loose(broker)[method]?.(...args))).toMatchObject(argument('handler'));
});

test('a link that is closed: every method says so', async () => {
  const broker = make();
  await broker.start();
  const link = await broker.link();
  const subscription = link.subscribe('a');
  await link.close();
  const closed = { code: 'ST_LINK_CLOSED' };
  expect(await failure(() => link.publish('t', 'x'))).toMatchObject(closed);
  expect(await failure(() => link.subscribe('b'))).toMatchObject(closed);
  expect(await failure(() => link.unsubscribe('a'))).toMatchObject(closed);
  await link.close();
  await subscription.close();
  expect(await subscription[Symbol.asyncIterator]().next()).toMatchObject({ done: true });
  await broker.stop({ timeoutMs: 0 });
});
