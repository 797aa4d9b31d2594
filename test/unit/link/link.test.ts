// Links against a server played by the test: what goes over the wire, when, and how much.
import type mqttPacket from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import type { Message } from '../../../src/link/message.ts';
import { eventually } from '../../harness/eventually.js';
import { sendPackets } from '../fake-native.ts';
import { connack, publish, turn, world } from './world.ts';

type Packet = mqttPacket.Packet;

describe('CONNECT', () => {
  test('what is asked for, and what is not said', async () => {
    const { of, open, native } = world();
    await open({
      clientId: 'me',
      cleanStart: false,
      sessionExpiry: 60,
      receiveMaximum: 9,
      bufferBytes: 5000,
      username: 'u',
    });
    expect(of('connect')).toMatchObject([
      {
        clientId: 'me',
        clean: false,
        keepalive: 0,
        username: 'u',
        properties: { sessionExpiryInterval: 60, receiveMaximum: 9 },
      },
    ]);
    expect(native.sent('link_open')).toMatchObject([{ fields: { credit_bytes: 5000n } }]);
  });

  test('the assigned Client Identifier', async () => {
    const { open } = world((p) =>
      p.cmd === 'connect' ? connack({ assignedClientIdentifier: 'given' }) : undefined,
    );
    expect((await open()).clientId).toBe('given');
  });

  test('refused, with reason', async () => {
    const { open, native } = world((packet, linkId) => {
      if (packet.cmd !== 'connect') return undefined;
      setImmediate(() => native.emit('link_closed', { link_id: linkId, cause: 10 }));
      return [
        {
          cmd: 'connack',
          reasonCode: 0x87,
          sessionPresent: false,
          properties: { reasonString: 'no' },
        } as Packet,
      ];
    });
    await expect(open({ clientId: 'x' })).rejects.toMatchObject({
      code: 'ST_LINK_REFUSED',
      reasonCode: 0x87,
      message: 'opening the link "x": refused with 0x87 Not authorized: no',
    });
  });

  test('ended before CONNACK', async () => {
    const { open, native } = world((packet, linkId) => {
      if (packet.cmd === 'connect') native.emit('link_closed', { link_id: linkId, cause: 15 });
      return [];
    });
    await expect(open()).rejects.toMatchObject({ code: 'ST_LINK_CLOSED' });
  });

  test.each([{ receiveMaximum: 0 }, { bufferBytes: 10 }, { sessionExpiry: -1 }])(
    '%j',
    async (options) => {
      const { links } = world();
      expect(() => links.open(options)).toThrow(expect.objectContaining({ code: 'ST_ARGUMENT' }));
    },
  );

  test('a Server Keep Alive is kept', async () => {
    const { of, open } = world((p) =>
      p.cmd === 'connect' ? connack({ serverKeepAlive: 1 }) : undefined,
    );
    const link = await open();
    await new Promise((done) => setTimeout(done, 600));
    expect(of('pingreq').length).toBeGreaterThan(0);
    await link.close();
  });
});

describe('publishing', () => {
  test("never more than the broker's Receive Maximum, in order, ids used again", async () => {
    const waiting: number[] = [];
    const { native, of, open } = world((packet) => {
      if (packet.cmd === 'connect') return connack({ receiveMaximum: 3 });
      if (packet.cmd === 'publish') waiting.push(packet.messageId ?? 0);
      return undefined;
    });
    const link = await open();
    const results = Array.from({ length: 8 }, (_, i) => link.publish('t', `${i}`, { qos: 1 }));
    await turn();
    expect(of('publish')).toHaveLength(3);
    sendPackets(native, 1, { cmd: 'puback', messageId: waiting[1] ?? 0, reasonCode: 0 } as Packet);
    await turn();
    expect(of('publish')).toHaveLength(4);
    expect(await results[1]).toEqual({ reasonCode: 0 });
    while (of('publish').length < 8 || waiting.length > 0) {
      const messageId = waiting.shift();
      if (messageId !== undefined)
        sendPackets(native, 1, { cmd: 'puback', messageId, reasonCode: 0 } as Packet);
      await turn();
    }
    await Promise.all(results);
    expect(of('publish').map((p) => String((p as mqttPacket.IPublishPacket).payload))).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
    ]);
  });

  test('a signal takes back a publish that waits, and gives up the answer of one in flight', async () => {
    const waiting: number[] = [];
    const { native, of, open } = world((packet) => {
      if (packet.cmd === 'connect') return connack({ receiveMaximum: 1 });
      if (packet.cmd === 'publish') waiting.push(packet.messageId ?? 0);
      return undefined;
    });
    const link = await open();
    const controller = new AbortController();
    const { signal } = controller;
    const inFlight = link.publish('t', 'in flight', { qos: 1, signal });
    const waits = link.publish('t', 'waits', { qos: 1, signal });
    const stays = link.publish('t', 'stays', { qos: 1 });
    await turn();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(inFlight).rejects.toBe(reason);
    await expect(waits).rejects.toBe(reason);
    await expect(link.publish('t', 'late', { signal })).rejects.toBe(reason);
    // The broker's answer comes all the same, and frees the window.
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      sendPackets(native, 1, { cmd: 'puback', messageId: id, reasonCode: 0 } as Packet);
      await turn();
    }
    expect(await stays).toEqual({ reasonCode: 0 });
    const sent = of('publish').map((p) => String((p as mqttPacket.IPublishPacket).payload));
    expect(sent).toEqual(['in flight', 'stays']);
  });

  test('QoS 2: PUBREC, PUBREL, PUBCOMP; a refusal ends it, and PUBREL is not sent', async () => {
    let recCode = 0;
    const { of, open } = world((packet) => {
      if (packet.cmd === 'publish') {
        return [{ cmd: 'pubrec', messageId: packet.messageId ?? 0, reasonCode: recCode } as Packet];
      }
      if (packet.cmd === 'pubrel') {
        return [{ cmd: 'pubcomp', messageId: packet.messageId ?? 0, reasonCode: 0 } as Packet];
      }
      return undefined;
    });
    const link = await open();
    expect(await link.publish('t', 'x', { qos: 2 })).toEqual({ reasonCode: 0 });
    recCode = 0x10;
    expect(await link.publish('t', 'x', { qos: 2 })).toEqual({ reasonCode: 0x10 });
    recCode = 0x97;
    await expect(link.publish('t', 'x', { qos: 2 })).rejects.toMatchObject({
      code: 'ST_LINK_PUBLISH_REFUSED',
      reasonCode: 0x97,
    });
    expect(of('pubrel')).toHaveLength(2);
    // A PUBREC that nobody waits for is answered all the same.
    await link.close();
  });

  test('QoS 0 is handed over at once, until the broker falls behind', async () => {
    let silent = true;
    const pings: number[] = [];
    const { native, open } = world((packet, linkId) => {
      if (packet.cmd !== 'pingreq' || !silent) return undefined;
      pings.push(linkId);
      return [];
    });
    const link = await open();
    const body = Buffer.alloc(100_000);
    let handed = 0;
    const flood = (async () => {
      for (; handed < 40; handed++) await link.publish('t', body);
    })();
    await turn();
    expect(handed).toBeGreaterThan(5);
    expect(handed).toBeLessThan(20);
    silent = false;
    sendPackets(native, 1, ...pings.map((): Packet => ({ cmd: 'pingresp' })));
    await flood;
    expect(handed).toBe(40);
  });

  test('the end rejects what waits, in flight or not', async () => {
    const { native, open } = world((p) =>
      p.cmd === 'connect' ? connack({ receiveMaximum: 1 }) : undefined,
    );
    const link = await open();
    const results = [1, 2].map((i) => link.publish(`t/${i}`, 'x', { qos: 1 }));
    const settled = Promise.allSettled(results);
    await turn();
    native.emit('link_closed', { link_id: 1, cause: 14, reason_code: 0x98 });
    expect(await settled).toMatchObject([
      {
        reason: { code: 'ST_LINK_CLOSED', message: expect.stringContaining('publishing to "t/1"') },
      },
      { reason: { code: 'ST_LINK_CLOSED', message: expect.stringContaining('administrative') } },
    ]);
    expect(await link.closed).toEqual({ cause: 'administrative', reasonCode: 0x98, reason: '' });
  });

  test('ids that an earlier link left in the broker are released by the next of the session', async () => {
    const { native, of, open } = world((packet) =>
      packet.cmd === 'connect' ? connack({}, of('connect').length > 1) : undefined,
    );
    const options = { clientId: 'svc', cleanStart: false, sessionExpiry: 60 } as const;
    const first = await open(options);
    const lost = first.publish('t', 'x', { qos: 2 });
    const gone = expect(lost).rejects.toMatchObject({ code: 'ST_LINK_CLOSED' });
    await turn();
    const [{ messageId } = { messageId: 0 }] = of('publish') as mqttPacket.IPublishPacket[];
    native.emit('link_closed', { link_id: 1, cause: 3 });
    await gone;
    await open(options);
    await turn();
    expect(of('pubrel')).toMatchObject([{ messageId }]);
  });
});

describe('receiving', () => {
  test('bytes are credited when a message is consumed, and answers at once', async () => {
    const { native, open, credited } = world();
    const link = await open({ bufferBytes: 100_000 });
    const subscription = link.subscribe('a');
    await subscription.ready;
    await turn();
    const base = credited();
    expect(base).toBeGreaterThan(0);
    const subscriptionIdentifier = 1;
    for (let i = 0; i < 10; i++) sendPackets(native, 1, publish('a', Buffer.alloc(1000)));
    void subscriptionIdentifier;
    await turn();
    expect(credited()).toBe(base);
    const iterator = subscription[Symbol.asyncIterator]();
    for (let i = 0; i < 10; i++) await iterator.next();
    await turn();
    const nine = credited() - base;
    expect(nine).toBeGreaterThan(9 * 1000);
    expect(nine).toBeLessThan(10 * 1000);
    await iterator.return?.();
    await turn();
    expect(credited() - base).toBeGreaterThan(10 * 1000);
  });

  test('credit is lent while an answer is waited for, and not given twice', async () => {
    const { native, open, credited } = world((p) => (p.cmd === 'publish' ? [] : undefined));
    const link = await open({ bufferBytes: 4000 });
    const subscription = link.subscribe('a');
    await subscription.ready;
    await turn();
    const base = credited();
    for (let i = 0; i < 8; i++) sendPackets(native, 1, publish('a', Buffer.alloc(990)));
    await turn();
    expect(credited()).toBe(base);
    const waiting = link.publish('b', 'x', { qos: 1 });
    await turn();
    const lent = credited() - base;
    expect(lent).toBeGreaterThan(0);
    expect(lent).toBeLessThan(8000);
    sendPackets(native, 1, { cmd: 'puback', messageId: 2, reasonCode: 0 } as Packet);
    await waiting;
    const iterator = subscription[Symbol.asyncIterator]();
    for (let i = 0; i < 8; i++) await iterator.next();
    await iterator.return?.();
    await turn();
    // All that came, exactly once: PUBLISH, PUBACK and UNSUBACK.
    const publishBytes = 8 * (3 + 3 + 1 + 990);
    expect(credited() - base - publishBytes).toBeGreaterThanOrEqual(0);
    expect(credited() - base - publishBytes).toBeLessThan(20);
  });

  test('QoS 1 and 2 are acknowledged when they are consumed', async () => {
    const { native, of, open } = world();
    const link = await open();
    const subscription = link.subscribe('#', { qos: 2 });
    await subscription.ready;
    sendPackets(native, 1, publish('a', '1', { qos: 1, messageId: 5 }));
    sendPackets(native, 1, publish('b', '2', { qos: 2, messageId: 6 }));
    await turn();
    expect([...of('puback'), ...of('pubrec')]).toEqual([]);
    const iterator = subscription[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.next();
    await turn();
    expect(of('puback')).toMatchObject([{ messageId: 5 }]);
    expect(of('pubrec')).toEqual([]);
    void iterator.next();
    await turn();
    expect(of('pubrec')).toMatchObject([{ messageId: 6 }]);
    sendPackets(native, 1, { cmd: 'pubrel', messageId: 6, reasonCode: 0 } as Packet);
    await turn();
    expect(of('pubcomp')).toMatchObject([{ messageId: 6 }]);
    await link.close();
  });

  test('a message of several subscriptions is acknowledged once, when the last is done with it', async () => {
    const { native, of, open } = world();
    const link = await open();
    const one = link.subscribe('a/#', { qos: 1 });
    const two = link.subscribe('a/b', { qos: 1 });
    await Promise.all([one.ready, two.ready]);
    const ids = (of('subscribe') as mqttPacket.ISubscribePacket[]).map(
      (p) => p.properties?.subscriptionIdentifier as number,
    );
    expect(new Set(ids).size).toBe(2);
    sendPackets(
      native,
      1,
      publish('a/b', 'x', { qos: 1, messageId: 7, properties: { subscriptionIdentifier: ids } }),
    );
    const take = async (from: typeof one) => {
      for await (const message of from) {
        expect(message.payload.toString()).toBe('x');
        break;
      }
    };
    await take(one);
    await turn();
    expect(of('puback')).toEqual([]);
    await take(two);
    await turn();
    expect(of('puback')).toMatchObject([{ messageId: 7 }]);
  });

  test('QoS 0 that piles up behind an awaited answer is dropped in the end, and counted', async () => {
    const { native, open } = world((p) => (p.cmd === 'publish' ? [] : undefined));
    const link = await open({ bufferBytes: 4096 });
    const subscription = link.subscribe('a');
    await subscription.ready;
    void link.publish('b', 'x', { qos: 1 }).catch(() => undefined);
    for (let i = 0; i < 50; i++) sendPackets(native, 1, publish('a', Buffer.alloc(100_000)));
    // 4 MiB of them are kept.
    await eventually(() => expect(link.droppedMessages).toBe(50 - 41));
    await link.close();
  });

  test('two calls of next() at once get two messages', async () => {
    const { native, open } = world();
    const link = await open();
    const subscription = link.subscribe('a');
    await subscription.ready;
    const iterator = subscription[Symbol.asyncIterator]();
    const both = Promise.all([iterator.next(), iterator.next()]);
    sendPackets(native, 1, publish('a', '1'), publish('a', '2'));
    const texts = (await both).map(({ value }) => String((value as Message).payload));
    expect(texts).toEqual(['1', '2']);
    const last = iterator.next();
    await link.close();
    expect(await last).toEqual({ done: true, value: undefined });
  });

  test('a message keeps its payload when the next ones come', async () => {
    const { native, open } = world();
    const link = await open();
    const subscription = link.subscribe('a');
    await subscription.ready;
    sendPackets(native, 1, publish('a', 'first'));
    const { value } = await subscription[Symbol.asyncIterator]().next();
    for (let i = 0; i < 20; i++) sendPackets(native, 1, publish('a', Buffer.alloc(20_000, 255)));
    await turn();
    expect(String((value as Message).payload)).toBe('first');
  });

  test('what cannot be read ends the link and is reported', async () => {
    const { native, errors, open } = world();
    const link = await open();
    native.emit('link_bytes', { link_id: 1, data: Buffer.from([0x30, 0x7f, 0]) });
    await link.closed;
    expect(errors).toMatchObject([{ code: 'ST_LINK_PROTOCOL' }]);
  });

  test('forEach: one at a time, promises are waited for, acknowledged behind them', async () => {
    const { native, of, open } = world();
    const link = await open();
    const subscription = link.subscribe('a', { qos: 1 });
    await subscription.ready;
    const seen: string[] = [];
    let release: () => void = () => {};
    const first = new Promise<void>((done) => {
      release = done;
    });
    const running = subscription.forEach(async ({ payload }) => {
      seen.push(payload.toString());
      if (seen.length === 1) await first;
    });
    await expect(subscription.forEach(() => {})).rejects.toMatchObject({
      code: 'ST_ARGUMENT',
      message: expect.stringContaining('a second handler'),
    });
    for (let id = 1; id <= 3; id++)
      sendPackets(native, 1, publish('a', `${id}`, { qos: 1, messageId: id }));
    await turn();
    expect(seen).toEqual(['1']);
    expect(of('puback')).toEqual([]);
    release();
    await turn();
    expect(seen).toEqual(['1', '2', '3']);
    expect(of('puback')).toHaveLength(3);
    await subscription.close();
    await running;
  });

  test('forEach: what the handler throws is not acknowledged', async () => {
    const { native, of, open } = world();
    const link = await open();
    const subscription = link.subscribe('a', { qos: 1 });
    await subscription.ready;
    const running = subscription.forEach(() => {
      throw new Error('mine');
    });
    sendPackets(native, 1, publish('a', '1', { qos: 1, messageId: 1 }));
    await expect(running).rejects.toThrow('mine');
    await turn();
    expect(of('puback')).toEqual([]);
    expect(of('unsubscribe')).toHaveLength(1);
  });
});
