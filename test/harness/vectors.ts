// The shared raw packet vectors (test/vectors/README.md), with their fields as packets.
import { readdirSync, readFileSync } from 'node:fs';
import { hex } from './bytes.js';
import type { Direction, Packet, PacketType, Version } from './packets.js';

export interface Vector {
  name: string;
  version: Version;
  direction: Direction;
  type: PacketType | 'RESERVED';
  bytes: Buffer;
  valid: boolean;
  /** Of an invalid one: the code it is answered with; 0 = close (3.x). */
  reason: number;
  /** Of a valid one. */
  packet?: Packet;
}

const folder = new URL('../vectors/', import.meta.url);
const BINARY = new Set(['payload', 'password', 'correlationData', 'authenticationData']);

export function loadVectors(): Vector[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.sort().flatMap((name) => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    return (JSON.parse(text) as Record<string, unknown>[]).map(toVector);
  });
}

function toVector(row: Record<string, unknown>): Vector {
  const { fields, hex: digits, reason, ...rest } = row;
  const vector = { ...rest, bytes: hex(digits as string), reason: reason ?? 0 } as Vector;
  if (fields !== undefined)
    vector.packet = { type: vector.type, ...(revive(fields) as object) } as Packet;
  return vector;
}

/** Binary fields are hex in JSON. */
function revive(value: unknown, key = ''): unknown {
  if (BINARY.has(key)) return hex(value as string);
  if (Array.isArray(value)) return value.map((one) => revive(one));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, revive(one, name)]));
}
