// duplicate_client_id = "allow": hooks tell the connections of one Client Identifier apart.
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import { Client, subscription } from '../harness/client.js';
import { eventually } from '../harness/eventually.js';

let broker: Broker;
afterEach(() => broker?.stop({ timeoutMs: 100 }));

test.each([1, 3])('hooks say which connection it is; %i I/O threads', async (io_threads) => {
  broker = new Broker({
    broker: { io_threads },
    unified: { main: { listen: '127.0.0.1:0', connections: { duplicate_client_id: 'allow' } } },
    log: { to: 'off' },
  });
  const told: Record<string, unknown[]> = {};
  const tell = (hook: string, instance: number, what: unknown) => {
    told[hook] = [...(told[hook] ?? []), [instance, what]];
  };
  broker.onPublish('#', ({ instance, topic }) => tell('publish', instance, topic));
  broker.onSubscribe(({ instance, filter }) => tell('subscribe', instance, filter));
  broker.onSubscribed('s/#', ({ instance, filter, qos }) =>
    tell('subscribed', instance, `${filter} ${qos}`),
  );
  broker.onUnsubscribe(({ instance, filter }) => tell('unsubscribe', instance, filter));
  broker.onAck('#', ({ instance, topic }) => tell('ack', instance, topic));
  broker.onDeliver('#', ({ instance, topic }) => {
    tell('deliver', instance, topic);
    return topic === 'dropped' ? 'drop' : 'pass';
  });
  broker.onDrop('#', ({ instance, topic, cause }) => tell('drop', instance, `${topic} ${cause}`));
  await broker.start();
  const address = { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
  const pair = [
    await Client.connect(address, { clientId: 'twin' }),
    await Client.connect(address, { clientId: 'twin', will: { topic: 'will', payload: 'x' } }),
  ];
  const is = (hook: string, expected: unknown[]) =>
    eventually(() => expect([...(told[hook] ?? [])].sort()).toEqual(expected));
  for (const [instance, client] of pair.entries()) {
    await client.subscribe({ filter: `s/${instance}`, qos: 1 });
    await client.subscribe({ filter: 'dropped', qos: 1 });
    await client.publish(`p/${instance}`, 'x', { qos: 1 });
  }
  await is('subscribe', [
    ...[
      [0, 'dropped'],
      [0, 's/0'],
    ],
    ...[
      [1, 'dropped'],
      [1, 's/1'],
    ],
  ]);
  await is('subscribed', [
    [0, 's/0 1'],
    [1, 's/1 1'],
  ]);
  await is('publish', [
    [0, 'p/0'],
    [1, 'p/1'],
  ]);
  const link = await broker.link({ clientId: 'service' });
  expect(broker.metrics().hook_timeouts).toBe(0);
  for (const topic of ['s/0', 's/1', 'dropped']) await link.publish(topic, 'y', { qos: 1 });
  for (const client of pair) await client.receive();
  await is('deliver', [
    [0, 'dropped'],
    [0, 's/0'],
    [1, 'dropped'],
    [1, 's/1'],
  ]);
  await is('ack', [
    [0, 's/0'],
    [1, 's/1'],
  ]);
  await is('drop', [
    [0, 'dropped deliver_hook'],
    [1, 'dropped deliver_hook'],
  ]);
  for (const [instance, client] of pair.entries()) await client.unsubscribe(`s/${instance}`);
  await is('unsubscribe', [
    [0, 's/0'],
    [1, 's/1'],
  ]);
  pair[1]?.close();
  await eventually(() => expect(told.publish).toContainEqual([1, 'will']));
});

test('SUBSCRIBE of a client that has moved to its session is judged all the same', async () => {
  broker = new Broker({
    broker: { io_threads: 3 },
    unified: { main: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
  });
  // A hook that is not heard in time passes: then the filter would be granted.
  broker.onSubscribe('secret', () => 'drop');
  await broker.start();
  const address = { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
  // Connections are dealt out to the threads in turn; the session stays on the first one's.
  for (let turn = 0; turn < 6; ++turn) {
    const client = await Client.connect(address, {
      clientId: 'mover',
      cleanStart: false,
      properties: { sessionExpiryInterval: 60 },
    });
    client.wire.send({
      type: 'SUBSCRIBE',
      packetId: 1,
      subscriptions: [subscription('secret')],
      properties: {},
    });
    expect((await client.wire.expect('SUBACK')).reasonCodes).toEqual([0x87]);
    await client.disconnect();
  }
  expect(broker.metrics()).toMatchObject({ hook_timeouts: 0, hook_verdicts_late: 0 });
});
