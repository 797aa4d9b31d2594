// The link's codec against mqtt-packet, which others have written.
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import {
  type Frame,
  type PublishHead,
  readConnack,
  readFrame,
  readPublish,
  TopicReader,
} from '../../../src/link/decode.ts';
import {
  encodeConnect,
  encodeDisconnect,
  encodeMessageProperties,
  encodeString,
  encodeSubscribe,
  encodeUnsubscribe,
  kAcknowledgementBytes,
  type PublishParts,
  publishRemaining,
  varintBytes,
  writeAcknowledgement,
  writePublish,
  writeVarint,
} from '../../../src/link/encode.ts';
import { type MessageProperties, PacketType, type Qos } from '../../../src/link/packets.ts';
import { PropertyReader } from '../../../src/link/property-reader.ts';

const options = { protocolVersion: 5 } as const;

/** What mqtt-packet makes of bytes that we sent. */
function parseTheirs(bytes: Uint8Array): mqttPacket.Packet {
  const packets: mqttPacket.Packet[] = [];
  const parser = mqttPacket.parser(options);
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => {
    throw error;
  });
  parser.parse(Buffer.from(bytes));
  const [packet, ...more] = packets;
  if (packet === undefined || more.length > 0) throw new Error(`${packets.length} packets`);
  return packet;
}

function frameOf(bytes: Buffer): Frame {
  const frame: Frame = { first: 0, body: 0, end: 0 };
  readFrame(bytes, 0, bytes.length, frame);
  expect(frame.end).toBe(bytes.length);
  return frame;
}

const topic = fc.stringMatching(/^[^+#\0\ud800-\udfff]{1,60}$/);
const word = fc.string({ maxLength: 20 });
const qos = fc.constantFrom<Qos>(0, 1, 2);
const id = fc.integer({ min: 1, max: 65_535 });
const payload = fc.uint8Array({ maxLength: 300 });
const properties: fc.Arbitrary<MessageProperties> = fc.record(
  {
    payloadFormatIndicator: fc.constantFrom<0 | 1>(0, 1),
    messageExpiryInterval: fc.nat(),
    contentType: word,
    responseTopic: topic,
    correlationData: fc.uint8Array({ maxLength: 40 }),
    userProperties: fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 5 }),
  },
  { requiredKeys: [] },
);

function encodePublish(
  name: string,
  body: Uint8Array | string,
  flags: number,
  packetId: number,
  given: MessageProperties | undefined,
): Buffer {
  const parts: PublishParts = {
    topic: encodeString(name),
    properties: encodeMessageProperties(given),
    payload: body,
    payloadBytes: Buffer.byteLength(body),
    flags,
    packetId,
  };
  const remaining = publishRemaining(parts);
  const bytes = Buffer.alloc(1 + varintBytes(remaining) + remaining + 3, 0xee);
  writePublish(bytes, 0, remaining, parts);
  // Not a byte more than it said.
  expect(bytes.subarray(-3)).toEqual(Buffer.alloc(3, 0xee));
  return bytes.subarray(0, -3);
}

describe('what a link sends, read by mqtt-packet', () => {
  test('PUBLISH', () => {
    fc.assert(
      fc.property(topic, payload, qos, fc.boolean(), id, fc.option(properties), (...given) => {
        const [name, body, level, retain, packetId, props] = given;
        const bytes = encodePublish(
          name,
          body,
          (level << 1) | (retain ? 1 : 0),
          packetId,
          props ?? undefined,
        );
        const theirs = parseTheirs(bytes) as mqttPacket.IPublishPacket;
        expect(theirs).toMatchObject({
          cmd: 'publish',
          topic: name,
          qos: level,
          retain,
          dup: false,
        });
        expect(Buffer.from(theirs.payload)).toEqual(Buffer.from(body));
        if (level > 0) expect(theirs.messageId).toBe(packetId);
        if (props?.contentType !== undefined)
          expect(theirs.properties?.contentType).toBe(props.contentType);
        if (props?.messageExpiryInterval !== undefined) {
          expect(theirs.properties?.messageExpiryInterval).toBe(props.messageExpiryInterval);
        }
      }),
    );
  });

  test('PUBLISH: the same from text as from its bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = Buffer.from(text);
        expect(encodePublish('a', text, 0, 0, undefined)).toEqual(
          encodePublish('a', bytes, 0, 0, undefined),
        );
      }),
    );
  });

  test('CONNECT', () => {
    const will = fc.record({
      topic,
      payload: fc.uint8Array({ maxLength: 50 }),
      qos,
      retain: fc.boolean(),
      delay: fc.nat({ max: 0xffffffff }),
      properties,
    });
    const packet = fc.record({
      clientId: word,
      cleanStart: fc.boolean(),
      keepAlive: fc.nat({ max: 65_535 }),
      sessionExpiryInterval: fc.nat({ max: 0xffffffff }),
      receiveMaximum: id,
      topicAliasMaximum: fc.nat({ max: 65_535 }),
      username: fc.option(
        word.filter((text) => text !== ''),
        { nil: undefined },
      ),
      will: fc.option(will, { nil: undefined }),
    });
    fc.assert(
      fc.property(packet, (given) => {
        const theirs = parseTheirs(encodeConnect(given)) as mqttPacket.IConnectPacket;
        expect(theirs).toMatchObject({
          clientId: given.clientId,
          clean: given.cleanStart,
          keepalive: given.keepAlive,
          protocolVersion: 5,
          ...(given.username === undefined ? {} : { username: given.username }),
        });
        expect(theirs.properties?.sessionExpiryInterval ?? 0).toBe(given.sessionExpiryInterval);
        expect(theirs.properties?.receiveMaximum ?? 65_535).toBe(given.receiveMaximum);
        expect(theirs.properties?.topicAliasMaximum ?? 0).toBe(given.topicAliasMaximum);
        if (given.will === undefined) {
          expect(theirs.will).toBeUndefined();
        } else {
          expect(theirs.will).toMatchObject({
            topic: given.will.topic,
            qos: given.will.qos,
            retain: given.will.retain,
          });
          expect(theirs.will?.properties?.willDelayInterval ?? 0).toBe(given.will.delay);
          expect(Buffer.from(theirs.will?.payload ?? '')).toEqual(Buffer.from(given.will.payload));
        }
      }),
    );
  });

  test('SUBSCRIBE, UNSUBSCRIBE, DISCONNECT', () => {
    const packet = fc.record({
      packetId: id,
      filter: topic,
      subscriptionId: fc.integer({ min: 0, max: 268_435_455 }),
      qos,
      noLocal: fc.boolean(),
      retainAsPublished: fc.boolean(),
      retainHandling: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
    });
    fc.assert(
      fc.property(packet, (given) => {
        expect(parseTheirs(encodeSubscribe(given))).toMatchObject({
          cmd: 'subscribe',
          messageId: given.packetId,
          subscriptions: [
            {
              topic: given.filter,
              qos: given.qos,
              nl: given.noLocal,
              rap: given.retainAsPublished,
              rh: given.retainHandling,
            },
          ],
          ...(given.subscriptionId === 0
            ? {}
            : { properties: { subscriptionIdentifier: given.subscriptionId } }),
        });
        expect(parseTheirs(encodeUnsubscribe(given.packetId, given.filter))).toMatchObject({
          cmd: 'unsubscribe',
          messageId: given.packetId,
          unsubscriptions: [given.filter],
        });
      }),
    );
    expect(parseTheirs(encodeDisconnect(0))).toMatchObject({ cmd: 'disconnect' });
    expect(parseTheirs(encodeDisconnect(4))).toMatchObject({ cmd: 'disconnect', reasonCode: 4 });
  });

  test.each(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)('%s', (cmd) => {
    const bytes = Buffer.alloc(kAcknowledgementBytes);
    writeAcknowledgement(bytes, 0, PacketType[cmd], 0xabcd);
    expect(parseTheirs(bytes)).toMatchObject({ cmd, messageId: 0xabcd });
  });

  test('Variable Byte Integers have the length that was computed', () => {
    const buffer = Buffer.alloc(8);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 268_435_455 }), (value) => {
        expect(writeVarint(buffer, 0, value)).toBe(varintBytes(value));
        const frame: Frame = { first: 0, body: 0, end: 0 };
        buffer.copy(buffer, 1, 0, 5);
        readFrame(buffer, 0, Number.POSITIVE_INFINITY, frame);
        expect(frame.end - frame.body).toBe(value);
      }),
    );
  });
});

describe('what a link receives, written by mqtt-packet', () => {
  const receive = (bytes: Buffer, topics = new TopicReader()): PublishHead => {
    const head: PublishHead = { topic: '', packetId: 0, told: undefined, payload: 0 };
    readPublish(bytes, frameOf(bytes), topics, new PropertyReader(false), head);
    return head;
  };

  test('PUBLISH', () => {
    fc.assert(
      fc.property(topic, payload, qos, fc.boolean(), id, properties, (...given) => {
        const [name, body, level, retain, messageId, props] = given;
        const { userProperties, payloadFormatIndicator, ...plain } = props;
        const bytes = mqttPacket.generate(
          {
            cmd: 'publish',
            topic: name,
            payload: Buffer.from(body),
            qos: level,
            retain,
            dup: level > 0,
            messageId,
            properties: {
              ...plain,
              ...(plain.correlationData && { correlationData: Buffer.from(plain.correlationData) }),
              ...(payloadFormatIndicator !== undefined && {
                payloadFormatIndicator: payloadFormatIndicator === 1,
              }),
              ...(userProperties && { userProperties: Object.fromEntries(userProperties) }),
            } as NonNullable<mqttPacket.IPublishPacket['properties']>,
          },
          options,
        );
        const head = receive(bytes);
        expect(head.topic).toBe(name);
        expect(head.packetId).toBe(level === 0 ? 0 : messageId);
        expect(bytes.subarray(head.payload)).toEqual(Buffer.from(body));
        for (const key of ['contentType', 'responseTopic', 'messageExpiryInterval'] as const) {
          expect(head.told?.properties[key]).toBe(props[key]);
        }
        expect(head.told?.properties.payloadFormatIndicator).toBe(payloadFormatIndicator);
        if (props.correlationData !== undefined) {
          expect(head.told?.properties.correlationData).toEqual(Buffer.from(props.correlationData));
        }
      }),
    );
  });

  test('Topic Aliases: set, used, set anew; one that was never set is refused', () => {
    const topics = new TopicReader();
    const aliased = (name: string, topicAlias: number) =>
      receive(
        mqttPacket.generate(
          {
            cmd: 'publish',
            topic: name,
            payload: '',
            qos: 0,
            retain: false,
            dup: false,
            properties: { topicAlias },
          },
          options,
        ),
        topics,
      ).topic;
    expect(aliased('a', 1)).toBe('a');
    expect(aliased('', 1)).toBe('a');
    expect(aliased('b', 1)).toBe('b');
    expect(aliased('', 1)).toBe('b');
    expect(() => aliased('', 2)).toThrow('Topic Alias 2 was never set');
  });

  test('several Subscription Identifiers stay in order', () => {
    const bytes = Buffer.from('300c0001610a0b010bff7f0bffffff7f'.replace('300c', '300e'), 'hex');
    const framed = Buffer.concat([Buffer.from([0x30, bytes.length - 2]), bytes.subarray(2)]);
    framed[5] = framed.length - 6;
    expect(receive(framed).told?.properties.subscriptionIdentifiers).toEqual([
      1, 16_383, 268_435_455,
    ]);
  });

  test('topics are read right whether they are cached or not', () => {
    const topics = new TopicReader();
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[ab/é]{1,4}$/), { maxLength: 30 }), (names) => {
        for (const name of names) {
          const bytes = Buffer.from(name);
          expect(topics.text(bytes, 0, bytes.length)).toBe(name);
        }
      }),
    );
  });

  test('CONNACK', () => {
    const bytes = mqttPacket.generate(
      {
        cmd: 'connack',
        sessionPresent: true,
        reasonCode: 0,
        properties: {
          receiveMaximum: 7,
          maximumQoS: 1,
          retainAvailable: false,
          maximumPacketSize: 1000,
          assignedClientIdentifier: 'x',
          topicAliasMaximum: 5,
          wildcardSubscriptionAvailable: false,
          subscriptionIdentifiersAvailable: false,
          sharedSubscriptionAvailable: false,
          serverKeepAlive: 9,
          sessionExpiryInterval: 11,
          reasonString: 'why',
          userProperties: { a: 'b' },
        },
      },
      options,
    );
    expect(readConnack(bytes, frameOf(bytes))).toEqual({
      sessionPresent: true,
      reasonCode: 0,
      properties: {
        receiveMaximum: 7,
        maximumQos: 1,
        retainAvailable: 0,
        maximumPacketSize: 1000,
        assignedClientIdentifier: 'x',
        topicAliasMaximum: 5,
        wildcardSubscriptionAvailable: 0,
        subscriptionIdentifierAvailable: 0,
        sharedSubscriptionAvailable: 0,
        serverKeepAlive: 9,
        sessionExpiryInterval: 11,
        reasonString: 'why',
        userProperties: [['a', 'b']],
      },
    });
  });
});
