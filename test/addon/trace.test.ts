// Packet traces of a whole broker: to a function and to a file, and their end with the broker.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { TracedPacket } from '../../src/trace/tracer.js';
import { Client } from '../harness/client.js';
import { eventually } from '../harness/eventually.js';

test('packets of one client to a function and to a file; stop() ends both', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-'));
  const path = join(folder, 'trace.jsonl');
  const broker = new Broker({
    broker: { io_threads: 2 },
    log: { to: 'off' },
    unified: { 1: { listen: '127.0.0.1:0' } },
  });
  await expect(broker.tracer()).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
  await broker.start();
  try {
    const tracer = await broker.tracer();
    expect(await broker.tracer()).toBe(tracer);
    const shown: TracedPacket[] = [];
    const ends: string[] = [];
    const onEnd = (cause: string) => ends.push(cause);
    const show = (packet: TracedPacket) => shown.push(packet);
    await tracer.start({ clientId: 'dev', to: { kind: 'function', show } }, onEnd);
    await tracer.start({ topic: 'a/#', to: { kind: 'file', path } }, onEnd);
    const { port = 0 } = broker.addresses[0] ?? {};
    const dev = await Client.connect({ host: '127.0.0.1', port }, { clientId: 'dev' });
    const other = await Client.connect({ host: '127.0.0.1', port }, { clientId: 'other' });
    await dev.subscribe({ filter: 'a/b', qos: 0 });
    await other.publish('a/b', 'hello', { qos: 1 });
    await dev.receive();
    await eventually(() => expect(shown).toHaveLength(5));
    expect(shown.map(({ direction, type }) => `${direction} ${type}`)).toEqual([
      'in CONNECT',
      'out CONNACK',
      'in SUBSCRIBE',
      'out SUBACK',
      'out PUBLISH',
    ]);
    await eventually(() => expect(tracer.traces[1]?.packets).toBe(2));
    await broker.stop({ timeoutMs: 500 });
    expect(ends).toEqual(['stopped', 'stopped']);
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).packet.payload)).toEqual(['hello', 'hello']);
  } finally {
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
