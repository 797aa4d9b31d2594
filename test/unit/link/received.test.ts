// What a link keeps of the buffer that packets come in, which is used again for the next ones.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeMessageProperties } from '../../../src/link/encode.ts';
import { Payloads } from '../../../src/link/payloads.ts';
import { PropertyReader } from '../../../src/link/property-reader.ts';

const encoded = (pairs: readonly (readonly [string, string])[], more = {}) =>
  encodeMessageProperties({ ...more, userProperties: pairs });

/** Behind other bytes, in a buffer that is written over afterwards. */
function read(reader: PropertyReader, bytes: Buffer) {
  const buffer = Buffer.concat([Buffer.alloc(3, 0x26), bytes, Buffer.alloc(3, 0x26)]);
  const told = reader.read(buffer, 3, 3 + bytes.length);
  buffer.fill(0xff);
  return told;
}

describe('properties', () => {
  test('known by their bytes or not, they are what a new reader reads', () => {
    // Few different ones, so that many are known, and alike, so that they share a slot.
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 40 });
    const pair = fc.tuple(fc.constantFrom('publisher_client_id', 'unit'), text);
    const several = fc.array(fc.array(pair, { minLength: 1, maxLength: 3 }), { maxLength: 300 });
    fc.assert(
      fc.property(several, (all) => {
        const reader = new PropertyReader(true);
        for (const pairs of [...all, ...all]) {
          const bytes = encoded(pairs);
          expect(read(reader, bytes)).toEqual(read(new PropertyReader(true), bytes));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('blocks that differ in their middle alone are told apart', () => {
    const reader = new PropertyReader(true);
    for (const middle of ['x', 'y', 'x']) {
      const client = `beginning-${middle}-the end of it`;
      const { publisher } = read(reader, encoded([['publisher_client_id', client]]));
      expect(publisher.clientId).toBe(client);
    }
  });

  test('what messages share, nobody can change', () => {
    const reader = new PropertyReader(true);
    const bytes = encoded([['unit', 'bar']], { contentType: 'text/plain' });
    const { properties } = read(reader, bytes);
    expect(read(reader, bytes).properties).toBe(properties);
    for (const part of [properties, properties.userProperties, properties.userProperties?.[0]]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('bytes can be changed: each message has its own', () => {
    const reader = new PropertyReader(true);
    const bytes = encoded([], { correlationData: Buffer.from('abc') });
    const { correlationData } = read(reader, bytes).properties;
    correlationData?.fill(0);
    expect(read(reader, bytes).properties.correlationData).toEqual(Buffer.from('abc'));
  });
});

describe('payloads', () => {
  const sizes = fc.array(fc.oneof(fc.nat(200), fc.nat(20_000)), { maxLength: 60 });

  test('each is a copy of its own bytes', () => {
    fc.assert(
      fc.property(sizes, fc.nat(50), (lengths, gap) => {
        const payloads = new Payloads();
        const kept: { readonly payload: Buffer; readonly wanted: Buffer }[] = [];
        for (let round = 0; round < 2; round++) {
          const total = lengths.reduce((sum, length) => sum + gap + length, 0);
          const buffer = Buffer.from(Uint8Array.from({ length: total }, (_, at) => at * 7 + round));
          payloads.begin();
          let at = 0;
          for (const length of lengths) {
            at += gap;
            const wanted = Buffer.from(buffer.subarray(at, at + length));
            kept.push({ payload: payloads.copy(buffer, at, at + length, total), wanted });
            at += length;
          }
          buffer.fill(0);
        }
        for (const { payload, wanted } of kept) expect(payload.equals(wanted)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('one that is kept does not keep all that came with it', () => {
    const payloads = new Payloads();
    const buffer = Buffer.alloc(256 * 1024);
    payloads.begin();
    for (let at = 0; at < buffer.length; at += 64) {
      const payload = payloads.copy(buffer, at, at + 64, buffer.length);
      expect(payload.buffer.byteLength).toBeLessThanOrEqual(8 * 1024);
    }
  });
});
