// Packet traces: what is asked of the native half, where packets go, bounds, and the end.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NativeTraceSpec } from '../../../src/native/addon.ts';
import type { TraceEvent } from '../../../src/native/events.ts';
import { type TracedPacket, type TraceOptions, Tracer } from '../../../src/trace/tracer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'st-mqttd-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function setUp() {
  const asked: NativeTraceSpec[] = [];
  const untraced: number[] = [];
  const logged: { level: string; text: string; fields: Record<string, unknown> }[] = [];
  const tracer = new Tracer({
    native: { trace: (spec) => asked.push(spec), untrace: (id) => untraced.push(id) },
    log: (level, text, fields) => logged.push({ level, text, fields }),
  });
  return { tracer, asked, untraced, logged };
}
const ping = (traceId: number, suppressed = 0): TraceEvent => ({
  kind: 'trace',
  traceId,
  connectionId: 5n,
  time: 1_700_000_000_000,
  direction: 'in',
  protocolVersion: '5.0',
  clientId: 'dev',
  instance: 0,
  address: '127.0.0.1:5',
  packet: Buffer.from([0xc0, 0]),
  packetLength: 2,
  suppressed,
});
const log: TraceOptions['to'] = { kind: 'log' };

test('to a function: packets, counts, the end by itself', async () => {
  const { tracer, asked } = setUp();
  const shown: TracedPacket[] = [];
  const ends: string[] = [];
  const id = await tracer.start(
    { clientId: 'dev', to: { kind: 'function', show: (packet) => shown.push(packet) } },
    (cause) => ends.push(cause),
  );
  expect(asked).toEqual([{ id, clientId: 'dev', max_per_s: 100, seconds: 60, payload_bytes: 256 }]);
  tracer.handle(ping(id));
  tracer.handle(ping(id, 3));
  tracer.handle(ping(99));
  expect(shown).toHaveLength(2);
  expect(shown[1]).toMatchObject({
    type: 'PINGREQ',
    text: 'PINGREQ',
    direction: 'in',
    clientId: 'dev',
    time: new Date(1_700_000_000_000),
    suppressed: 3,
  });
  expect(tracer.traces).toMatchObject([{ id, packets: 2, suppressed: 3 }]);
  tracer.handle({ kind: 'trace_end', traceId: id, cause: 'time_over', suppressed: 1 });
  expect(ends).toEqual(['time_over']);
  expect(tracer.traces).toEqual([]);
  tracer.handle(ping(id));
  expect(shown).toHaveLength(2);
});

test('to the log; stop asks the native half, which tells the end', async () => {
  const { tracer, untraced, logged } = setUp();
  const id = await tracer.start({ topic: 'a/+', seconds: 5, to: log });
  tracer.handle(ping(id, 2));
  expect(logged).toEqual([
    {
      level: 'notice',
      text: 'in PINGREQ',
      fields: {
        traceId: id,
        clientId: 'dev',
        address: '127.0.0.1:5',
        direction: 'in',
        packet: { type: 'PINGREQ', bytes: 2 },
        suppressed: 2,
      },
    },
  ]);
  expect(tracer.stop(id)).toBe(true);
  expect(tracer.stop(77)).toBe(false);
  expect(untraced).toEqual([id]);
  tracer.handle({ kind: 'trace_end', traceId: id, cause: 'stopped', suppressed: 0 });
  expect(logged.at(-1)?.text).toBe(`trace ${id} has ended: it was stopped`);
});

test('to a file: JSON lines for the operator alone, up to its size', async () => {
  const { tracer } = setUp();
  const path = join(folder, 'trace.jsonl');
  const id = await tracer.start({ address: '127.', to: { kind: 'file', path, maxBytes: 400 } });
  for (let n = 0; n < 10; n++) tracer.handle(ping(id));
  const [{ packets, suppressed } = { packets: 0, suppressed: 0 }] = tracer.traces;
  expect(packets).toBeGreaterThan(0);
  expect(packets + suppressed).toBe(10);
  await tracer.close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  expect(lines).toHaveLength(packets + 1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    traceId: id,
    clientId: 'dev',
    packet: { type: 'PINGREQ' },
  });
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ full: true });
});

test('a file that cannot be opened: a clear error, and nothing is traced', async () => {
  const { tracer, asked } = setUp();
  const path = join(folder, 'none', 'trace.jsonl');
  await expect(tracer.start({ clientId: 'a', to: { kind: 'file', path } })).rejects.toMatchObject({
    code: 'ST_ARGUMENT',
    message: expect.stringContaining('ENOENT'),
  });
  expect(asked).toEqual([]);
  expect(tracer.traces).toEqual([]);
});

test('eight at a time', async () => {
  const { tracer } = setUp();
  for (let n = 0; n < 8; n++) await tracer.start({ clientId: 'a', to: log });
  await expect(tracer.start({ clientId: 'a', to: log })).rejects.toMatchObject({
    code: 'ST_ARGUMENT',
  });
  tracer.handle({ kind: 'trace_end', traceId: 3, cause: 'time_over', suppressed: 0 });
  expect(await tracer.start({ clientId: 'a', to: log })).toBe(9);
  await tracer.close();
  expect(tracer.traces).toEqual([]);
});

test.each<[Partial<TraceOptions>, string]>([
  [{}, 'clientId'],
  [{ clientId: '' }, 'clientId'],
  [{ topic: 'a/#/b' }, 'topic'],
  [{ topic: 'a+' }, 'topic'],
  [{ topic: '$share/g/a' }, 'topic'],
  [{ clientId: 'a', maxPerSecond: 0 }, 'maxPerSecond'],
  [{ clientId: 'a', seconds: 1.5 }, 'seconds'],
  [{ clientId: 'a', seconds: 100_000 }, 'seconds'],
  [{ clientId: 'a', payloadBytes: 5000 }, 'payloadBytes'],
  [{ clientId: 'a', to: { kind: 'file', path: 'x', maxBytes: 0 } }, 'to.maxBytes'],
])('%j is refused for its %s', async (options, name) => {
  const { tracer, asked } = setUp();
  await expect(tracer.start({ to: log, ...options })).rejects.toMatchObject({
    code: 'ST_ARGUMENT',
    message: expect.stringContaining(name),
  });
  expect(asked).toEqual([]);
});
