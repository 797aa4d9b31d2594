// The link's decoder against the raw packets that C++ reads too.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type Frame,
  type PublishHead,
  readAcknowledgement,
  readConnack,
  readFrame,
  readPublish,
  readReason,
  readSubscriptionAcknowledgement,
  TopicReader,
} from '../../../src/link/decode.ts';
import { PacketType } from '../../../src/link/packets.ts';
import { PropertyReader } from '../../../src/link/property-reader.ts';

interface Vector {
  name: string;
  version: string;
  direction: string;
  type: string;
  hex: string;
  valid: boolean;
  fields?: Record<string, unknown>;
}

const folder = new URL('../../vectors/', import.meta.url);
const vectors = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .flatMap((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Vector[])
  .filter(({ version, direction }) => version === '5.0' && direction === 's2c');

function decode(bytes: Buffer): unknown {
  const frame: Frame = { first: 0, body: 0, end: 0 };
  readFrame(bytes, 0, bytes.length, frame);
  const head: PublishHead = { topic: '', packetId: 0, told: undefined, payload: 0 };
  switch (frame.first >> 4) {
    case PacketType.connack:
      return readConnack(bytes, frame);
    case PacketType.publish:
      readPublish(bytes, frame, new TopicReader(), new PropertyReader(false), head);
      return { topic: head.topic, ...(head.packetId > 0 && { packetId: head.packetId }) };
    case PacketType.suback:
    case PacketType.unsuback:
      return readSubscriptionAcknowledgement(bytes, frame);
    case PacketType.disconnect:
    case PacketType.auth:
      return readReason(bytes, frame);
    case PacketType.pingresp:
      return {};
    default:
      return readAcknowledgement(bytes, frame);
  }
}

describe('vectors', () => {
  const valid = vectors.filter((vector) => vector.valid);
  test('there are some of each packet type that a client receives', () => {
    const types = new Set(valid.map(({ type }) => type));
    for (const type of ['CONNACK', 'PUBLISH', 'PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP', 'SUBACK']) {
      expect(types).toContain(type);
    }
  });

  test.each(valid.map((vector) => [vector.name, vector] as const))(
    '%s',
    (_, { hex, fields = {} }) => {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      // An alias alone needs one that was set before.
      if (fields.topic === '') {
        expect(() => decode(bytes)).toThrow('was never set');
        return;
      }
      const decoded = decode(bytes) as Record<string, unknown>;
      for (const key of ['sessionPresent', 'reasonCode', 'packetId', 'topic'] as const) {
        if (key in fields && key in decoded)
          expect([key, decoded[key]]).toEqual([key, fields[key]]);
      }
      if ('reasonCodes' in fields && 'reasonCodes' in decoded) {
        expect(decoded.reasonCodes).toEqual(fields.reasonCodes);
      }
    },
  );

  test('what is cut off, at any byte, is refused and never read beyond', () => {
    for (const { hex } of valid) {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decode(Buffer.from(bytes.subarray(0, length)))).toThrow('defect of st-mqttd');
      }
    }
  });
});
