// Control Packets for people: every type, every version, cut short and broken.
import mqttPacket from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { describePacket } from '../../../src/trace/describe.ts';

type Version = '3.1.1' | '5.0';
const bytesOf = (packet: mqttPacket.Packet, version: Version) =>
  mqttPacket.generate(packet, { protocolVersion: version === '5.0' ? 5 : 4 });
const of = (packet: Buffer, version: Version = '5.0', shown = packet.length) =>
  describePacket({
    packet: packet.subarray(0, shown),
    packetLength: packet.length,
    protocolVersion: version,
    direction: 'in',
  });

describe('every type', () => {
  test.each<[mqttPacket.Packet, Version, string]>([
    [
      {
        cmd: 'connect',
        clientId: 'dev "1"',
        protocolVersion: 4,
        protocolId: 'MQTT',
        clean: true,
        keepalive: 30,
        username: 'joe',
        password: Buffer.from('******'),
        will: { topic: 'gone', payload: Buffer.from('x'), qos: 1, retain: true },
      },
      '3.1.1',
      'CONNECT level 4, client "dev \\"1\\"", clean start, keep alive 30 s, Will "gone", user "joe" with a password',
    ],
    [
      {
        cmd: 'connect',
        clientId: 'c',
        protocolVersion: 5,
        protocolId: 'MQTT',
        clean: false,
        keepalive: 0,
        properties: { sessionExpiryInterval: 60, receiveMaximum: 3 },
      },
      '5.0',
      'CONNECT level 5, client "c", keep alive 0 s',
    ],
    [
      { cmd: 'connack', returnCode: 5, sessionPresent: false },
      '3.1.1',
      'CONNACK 0x05 not authorized',
    ],
    [
      { cmd: 'connack', reasonCode: 0, sessionPresent: true, properties: { maximumQoS: 1 } },
      '5.0',
      'CONNACK 0x00 Success, session present',
    ],
    [
      {
        cmd: 'publish',
        topic: 'a/b',
        payload: 'hello',
        qos: 1,
        messageId: 7,
        dup: true,
        retain: true,
      },
      '3.1.1',
      'PUBLISH "a/b" QoS 1 id 7 retain dup, 5 bytes "hello"',
    ],
    [
      {
        cmd: 'publish',
        topic: '',
        payload: Buffer.from([0, 255]),
        qos: 0,
        dup: false,
        retain: false,
        properties: { topicAlias: 3 },
      },
      '5.0',
      'PUBLISH "" QoS 0 alias 3, 2 bytes 00ff',
    ],
    [
      { cmd: 'publish', topic: 't', payload: '', qos: 0, dup: false, retain: false },
      '3.1.1',
      'PUBLISH "t" QoS 0, 0 bytes',
    ],
    [{ cmd: 'puback', messageId: 9 }, '3.1.1', 'PUBACK id 9'],
    [{ cmd: 'pubrec', messageId: 9, reasonCode: 151 }, '5.0', 'PUBREC id 9 0x97 Quota exceeded'],
    [{ cmd: 'pubrel', messageId: 9 }, '3.1.1', 'PUBREL id 9'],
    [{ cmd: 'pubcomp', messageId: 9 }, '3.1.1', 'PUBCOMP id 9'],
    [
      {
        cmd: 'subscribe',
        messageId: 2,
        subscriptions: [
          { topic: 'a/#', qos: 1, nl: true },
          { topic: '$share/g/b', qos: 2 },
        ],
      },
      '5.0',
      'SUBSCRIBE id 2: "a/#" QoS 1, "$share/g/b" QoS 2',
    ],
    [{ cmd: 'suback', messageId: 2, granted: [1, 128] }, '3.1.1', 'SUBACK id 2: 0x01 0x80'],
    [
      { cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['a/#', 'b'] },
      '3.1.1',
      'UNSUBSCRIBE id 3: "a/#", "b"',
    ],
    [{ cmd: 'unsuback', messageId: 3, granted: [0, 17] }, '5.0', 'UNSUBACK id 3: 0x00 0x11'],
    [{ cmd: 'pingreq' }, '3.1.1', 'PINGREQ'],
    [{ cmd: 'pingresp' }, '5.0', 'PINGRESP'],
    [{ cmd: 'disconnect' }, '3.1.1', 'DISCONNECT'],
    [
      { cmd: 'disconnect', reasonCode: 142, properties: { reasonString: 'twice' } },
      '5.0',
      'DISCONNECT 0x8e Session taken over',
    ],
  ])('%j in %s', (packet, version, text) => {
    expect(of(bytesOf(packet, version), version).text).toBe(text);
  });

  test('fields for machines', () => {
    const publish = bytesOf(
      {
        cmd: 'publish',
        topic: 'a',
        payload: Buffer.from([0xff]),
        qos: 0,
        dup: false,
        retain: false,
        properties: { userProperties: { k: ['v', 'w'] }, subscriptionIdentifier: [5, 300] },
      },
      '5.0',
    );
    expect(of(publish).fields).toMatchObject({
      type: 'PUBLISH',
      topic: 'a',
      payload: { base64: '/w==' },
      payloadBytes: 1,
      properties: {
        userProperties: [
          ['k', 'v'],
          ['k', 'w'],
        ],
        subscriptionIdentifiers: [5, 300],
      },
    });
    const connect = bytesOf(
      {
        cmd: 'connect',
        clientId: 'c',
        protocolVersion: 5,
        protocolId: 'MQTT',
        clean: true,
        keepalive: 1,
        username: 'u',
        password: Buffer.from('sesame'),
        properties: { authenticationMethod: 'M', authenticationData: Buffer.from('sesame') },
      },
      '5.0',
    );
    const { fields, text } = of(connect);
    expect(fields).toMatchObject({ clientId: 'c', username: 'u', hasPassword: true });
    expect(JSON.stringify(fields) + text).not.toMatch(/sesame|c2VzYW1l/);
  });
});

test('a payload that is cut short, also in the middle of a character', () => {
  const packet = bytesOf(
    { cmd: 'publish', topic: 't', payload: 'ä'.repeat(500), qos: 0, dup: false, retain: false },
    '3.1.1',
  );
  expect(of(packet, '3.1.1', packet.length - 991).text).toBe(
    'PUBLISH "t" QoS 0, 1000 bytes "ääää"…',
  );
});

test('what is cut, withheld or broken: as much as can be read, and never an error', () => {
  const subscribe = bytesOf(
    { cmd: 'subscribe', messageId: 2, subscriptions: [{ topic: 'abc', qos: 1 }] },
    '5.0',
  );
  expect(of(subscribe, '5.0', 6).text).toBe(
    `SUBSCRIBE, ${subscribe.length} bytes; the rest is not shown`,
  );
  expect(of(Buffer.from([0x10, 5]), '5.0', 0).text).toBe('a packet of 2 bytes');
  expect(of(Buffer.from([0x40, 1, 1])).text).toBe('PUBACK, 3 bytes; it is broken');
  expect(of(Buffer.from([0, 0])).type).toBe('reserved');
  let seed = 1;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed >> 8;
  };
  for (let n = 0; n < 3_000; n++) {
    const bytes = Buffer.from(Array.from({ length: random() % 40 }, () => random() & 255));
    expect(typeof of(bytes, random() % 2 === 0 ? '5.0' : '3.1.1').text).toBe('string');
  }
});
