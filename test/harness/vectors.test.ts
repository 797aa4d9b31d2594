import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderVectors } from '../../scripts/vectors.mjs';
import { DecodeError } from './bytes.js';
import { decode, frameSize } from './decode.js';
import { encode } from './encode.js';
import { PACKET_TYPES, VERSIONS } from './packets.js';
import { loadVectors } from './vectors.js';

const vectors = loadVectors();
const plain = (name: string) =>
  readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8');

describe('vectors', () => {
  it('are in vectors.txt as they are in the JSON files', () => {
    expect(plain('vectors.txt')).toBe(renderVectors());
  });

  it('have unique names', () => {
    expect(new Set(vectors.map((v) => v.name)).size).toBe(vectors.length);
  });

  it.each(VERSIONS)('cover every packet type of %s', (version) => {
    const seen = new Set(vectors.filter((v) => v.version === version).map((v) => v.type));
    const wanted = PACKET_TYPES.filter((type) => type !== undefined);
    expect(wanted.filter((type) => !seen.has(type))).toEqual([]);
  });

  it.each(vectors.filter((v) => v.valid))('$name: decodes to its fields', (vector) => {
    expect(frameSize(vector.bytes)).toBe(vector.bytes.length);
    expect(decode(vector.bytes, vector.version, vector.direction)).toEqual(vector.packet);
  });

  it.each(vectors.filter((v) => !v.valid))('$name: is refused with its code', (vector) => {
    let caught: unknown;
    try {
      decode(vector.bytes, vector.version, vector.direction);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(DecodeError);
    expect((caught as DecodeError).reason, (caught as DecodeError).message).toBe(vector.reason);
  });

  it('come back byte for byte from the encoder, unless they use a longer form', () => {
    const longer = vectors.filter((vector) => {
      if (vector.packet === undefined) return false;
      return !encode(vector.packet, vector.version).equals(vector.bytes);
    });
    // An explicit code 0 or property length 0 may be left out; 3.1's DUP on acknowledgements and
    // what it disregards in CONNECT too.
    for (const vector of longer)
      expect(vector.name).toMatch(/property length 0|reason 0x00|DUP set|disregarded/);
  });
});
