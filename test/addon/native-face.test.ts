// The addon's own face, without the Broker: bad values are refused with a code, nothing is read or
// written outside of what it is given, and an object that was stopped, dropped or never started
// costs nothing.
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import type { NativeBroker, NativeBrokerOptions } from '../../src/native/addon.js';
import * as contract from '../../src/native/contract.js';
import { loadAddon } from '../../src/native/load.js';
import { Client } from '../harness/client.js';
import { eventually } from '../harness/eventually.js';
import { brokerOptions, drainKinds, inUse, limits, listenSpec } from './raw-native.js';

const addon = loadAddon();
const linux = process.platform === 'linux';
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let brokers: NativeBroker[] = [];
afterEach(() => {
  for (const broker of brokers) broker.stop();
  brokers = [];
});
function create(over: Partial<NativeBrokerOptions> = {}, wake = () => {}): NativeBroker {
  const broker = addon.createBroker(brokerOptions(over), wake);
  brokers.push(broker);
  return broker;
}

describe('bad values', () => {
  const refused = (over: object) => {
    const make = () => addon.createBroker({ ...brokerOptions(), ...over }, () => {});
    return expect(make, JSON.stringify(over));
  };

  test.each([
    [{ io_threads: 0 }],
    [{ io_threads: 65 }],
    [{ io_threads: 1.5 }],
    [{ io_threads: '1' }],
    [{ io_threads: undefined }],
    [{ placement: 'anywhere' }],
    [{ placement: 7 }],
    [{ shared_strategy: '' }],
    [{ max_connections: -1 }],
    [{ max_connections: Number.NaN }],
    [{ max_connections: Number.POSITIVE_INFINITY }],
    [{ max_connections: 2 ** 32 }],
    [{ max_memory_bytes: 2 ** 65 }],
    [{ authenticate: 1 }],
    [{ log_level: 256 }],
    [{ log_level: 6 }],
    [{ outbound_low_watermark_bytes: 2 ** 21 }],
    [{ client_id_prefix: null }],
    [{ store: undefined }],
    [{ store: { kind: 'disk' } }],
    [{ store: { kind: 'slow' } }],
  ])('createBroker(%j): ST_NATIVE_OPTION', (over) => {
    refused(over).toThrow(expect.objectContaining({ code: 'ST_NATIVE_OPTION' }));
  });

  test('a getter that throws throws its own error', () => {
    const own = new Error('mine');
    for (const name of ['io_threads', 'placement', 'authenticate', 'client_id_prefix', 'store']) {
      const options = Object.defineProperty({ ...brokerOptions() }, name, {
        get() {
          throw own;
        },
      });
      expect(() => addon.createBroker(options, () => {}), name).toThrow(own);
    }
  });

  test('createBroker without an object and a function', () => {
    const make = addon.createBroker as (...args: unknown[]) => NativeBroker;
    for (const args of [[], [brokerOptions()], [brokerOptions(), {}], [null, () => {}]]) {
      expect(() => make(...args)).toThrow(TypeError);
    }
  });

  test('listen: ST_NATIVE_OPTION, and the broker goes on', () => {
    const broker = create();
    for (const over of [
      { port: 65_536 },
      { port: -1 },
      { host: 7 },
      { protocol_levels: 'all' },
      { limits: undefined },
      { limits: { ...limits(), max_inflight: 0 } },
      { limits: { ...limits(), receive_maximum: 0 } },
      { limits: { ...limits(), max_qos: 3 } },
      { limits: { ...limits(), queue_overflow: 'explode' } },
      { limits: { ...limits(), retain_available: 'yes' } },
    ]) {
      expect(() => broker.listen({ ...listenSpec(), ...(over as object) }), JSON.stringify(over)) //
        .toThrow(expect.objectContaining({ code: 'ST_NATIVE_OPTION' }));
    }
    expect(broker.listen(listenSpec()).port).toBeGreaterThan(0);
  });
});

describe('listen errors have code, errno and syscall as in Node', () => {
  test('EADDRINUSE, EADDRNOTAVAIL', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => taken.once('listening', done));
    const { port } = taken.address() as { port: number };
    const broker = create();
    expect(() => broker.listen(listenSpec({ port }))).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE', errno: -98, syscall: 'bind' }),
    );
    expect(() => broker.listen(listenSpec({ host: '192.0.2.1' }))).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL', syscall: 'bind' }),
    );
    taken.close();
  });

  test('Unix sockets: no folder, a path too long, a file that is no socket, one in use', () => {
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-'));
    try {
      const broker = create();
      const path = join(folder, 's');
      const at = (unix_path: string) => listenSpec({ unix_path, unix_mode: 0o600 });
      const failure = (unix_path: string) => expect(() => broker.listen(at(unix_path)));
      failure(join(folder, 'none', 's')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
      failure(join(folder, 'x'.repeat(200))).toThrow(
        expect.objectContaining({ code: 'ENAMETOOLONG' }),
      );
      const file = join(folder, 'file');
      writeFileSync(file, 'keep me');
      failure(file).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
      expect(statSync(file).size).toBe(7);
      expect(broker.listen(at(path))).toEqual({ id: expect.any(Number), address: path, port: 0 });
      failure(path).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
      expect(statSync(path).mode & 0o777).toBe(0o600);
      broker.stop();
      expect(() => statSync(path)).toThrow('ENOENT');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('buffers', () => {
  test('submit: garbage is a RangeError, other things a TypeError, and nothing breaks', async () => {
    const broker = create({ io_threads: 2 });
    broker.start();
    const { port } = broker.listen(listenSpec());
    const submit = broker.submit.bind(broker) as (...args: unknown[]) => void;
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.alloc(8 + (round % 9) * 8);
      for (let at = 0; at < bytes.length; at++) bytes[at] = Math.random() * 256;
      if (round % 2 === 0) bytes.writeUInt32LE(bytes.length, 0);
      // Not a drain: that one is obeyed.
      bytes.writeUInt16LE(round % 3 === 0 ? 8 + round : 1 + (round % 6), 4);
      try {
        broker.submit(bytes, bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
    for (const bytes of [9, 1e9, -1, 2 ** 32 - 1]) {
      expect(() => submit(Buffer.alloc(8), bytes)).toThrow(RangeError);
    }
    for (const args of [[], [Buffer.alloc(8)], ['x', 8], [new Uint16Array(8), 8], [{}, 0]]) {
      expect(() => submit(...args)).toThrow(TypeError);
    }
    expect(() => submit(Buffer.alloc(8), 0)).not.toThrow();
    const client = await Client.connect({ host: '127.0.0.1', port });
    await client.ping();
    await client.disconnect();
  });

  test('drainEvents takes a Uint8Array of any size, counters a BigInt64Array of any length', async () => {
    const broker = create();
    const { port } = broker.listen(listenSpec());
    broker.start();
    const client = await Client.connect({ host: '127.0.0.1', port });
    await client.ping();
    const drain = broker.drainEvents.bind(broker) as (into: unknown) => number;
    const count = broker.counters.bind(broker) as (into: unknown) => void;
    for (const wrong of [undefined, {}, [], 'x', new Uint16Array(64), new ArrayBuffer(64)]) {
      expect(() => drain(wrong)).toThrow(TypeError);
      expect(() => count(wrong)).toThrow(TypeError);
    }
    // One of bytes would be written eight times beyond its end.
    expect(() => count(new Uint8Array(64))).toThrow(TypeError);
    const needed = drain(new Uint8Array(0));
    expect(needed).toBeLessThan(0);
    expect(drain(new Uint8Array(-needed - 1))).toBe(needed);
    const detached = new Uint8Array(1000);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(drain(detached)).toBe(needed);
    expect(drain(new Uint8Array(-needed))).toBe(-needed);
    const few = new BigInt64Array(2);
    count(few);
    expect(few[0]).toBe(1n);
    const many = new BigInt64Array(contract.counterNames.length + 5).fill(-7n);
    count(many);
    expect(many[0]).toBe(1n);
    expect(many.at(-1)).toBe(-7n);
    count(new BigInt64Array(0));
    client.close();
  });
});

describe('wake', () => {
  test('once for a batch, again after it was drained, and never within a call', async () => {
    let wakes = 0;
    let within = false;
    const broker = create({}, () => {
      wakes++;
      expect(within).toBe(false);
    });
    const { port } = broker.listen(listenSpec());
    broker.start();
    const address = { host: '127.0.0.1', port };
    for (let n = 0; n < 20; n++) await (await Client.connect(address)).disconnect();
    expect(wakes).toBe(1);
    within = true;
    const kinds = drainKinds(broker, 200);
    within = false;
    expect(kinds.filter((kind) => kind === contract.EventKind.connected)).toHaveLength(20);
    await (await Client.connect(address)).disconnect();
    await eventually(() => expect(wakes).toBeGreaterThanOrEqual(2));
  });

  test('what it throws is an uncaught exception, and the next event wakes again', async () => {
    const thrown: unknown[] = [];
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error));
    try {
      const broker = create({}, () => {
        throw new Error('from wake');
      });
      const { port } = broker.listen(listenSpec());
      broker.start();
      for (let n = 1; n <= 2; n++) {
        const client = await Client.connect({ host: '127.0.0.1', port });
        await eventually(() => expect(thrown.length).toBeGreaterThanOrEqual(n));
        drainKinds(broker);
        client.close();
      }
      expect(String(thrown[0])).toBe('Error: from wake');
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of before) process.on('uncaughtException', listener);
    }
  });
});

describe('the end', () => {
  test('stop(): events that were written can still be read; every call is harmless', async () => {
    const broker = create({ io_threads: 3 });
    const { port, id } = broker.listen(listenSpec());
    broker.start();
    broker.start();
    const clients = await Promise.all(
      Array.from({ length: 9 }, () => Client.connect({ host: '127.0.0.1', port })),
    );
    const drain = Buffer.alloc(contract.Drain.bytes);
    drain.writeUInt32LE(drain.length, 0);
    drain.writeUInt16LE(contract.CommandKind.drain, 4);
    drain.writeUInt32LE(500, contract.Drain.at.deadline_ms);
    broker.submit(drain, drain.length);
    for (const { wire } of clients) {
      expect((await wire.expect('DISCONNECT')).reasonCode).toBe(0x8b);
    }
    broker.stop();
    const kinds = drainKinds(broker, 100);
    const many = (kind: number) => kinds.filter((each) => each === kind).length;
    expect(many(contract.EventKind.connected)).toBe(9);
    expect(many(contract.EventKind.disconnected)).toBe(9);
    expect(drainKinds(broker)).toEqual([]);
    broker.stop();
    broker.start();
    broker.unlisten(id);
    broker.submit(drain, drain.length);
    broker.counters(new BigInt64Array(4));
    expect(() => broker.listen(listenSpec())).toThrow();
  });

  test.skipIf(!linux)(
    'objects that nobody refers to any more are collected, with their threads and sockets',
    async () => {
      const before = inUse();
      const make = () => {
        for (let n = 0; n < 10; n++) {
          const broker = addon.createBroker(brokerOptions({ io_threads: 2 }), () => {});
          broker.listen(listenSpec());
          if (n % 2 === 0) broker.start();
        }
      };
      make();
      // A thread names itself.
      await eventually(() => expect(inUse().threads).toBe(before.threads + 10));
      await eventually(() => {
        collectGarbage();
        expect(inUse().threads).toBe(before.threads);
        expect(inUse().descriptors).toBeLessThanOrEqual(before.descriptors);
      });
    },
  );

  test.skipIf(!linux)('a broker that cannot be made holds nothing', () => {
    const before = inUse();
    for (let n = 0; n < 50; n++) {
      expect(() => addon.createBroker(brokerOptions({ io_threads: 99 }), () => {})).toThrow();
    }
    expect(inUse().descriptors).toBe(before.descriptors);
  });
});
