// Thousands of connects and disconnects while JavaScript stands still: when it goes on, it gets them
// in slices that leave the loop its turns, each connection's end exactly once.
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import { eventually } from '../harness/eventually.js';
import { inUse } from './raw-native.js';

const program = resolve(import.meta.dirname, 'programs/connect-flood.mjs');
const linux = process.platform === 'linux';
const slow = process.env.ST_MQTTD_SANITIZED !== undefined;
const count = slow ? 2000 : 10_000;

let broker: Broker | undefined;
let worker: Worker | undefined;
afterEach(async () => {
  await worker?.terminate();
  await broker?.stop({ timeoutMs: 300 });
});

describe.skipIf(!linux)('a flood while JavaScript is blocked', () => {
  test.each([1, 3])(
    '%i I/O threads: every connection once, in slices, within bounds',
    async (io_threads) => {
      broker = new Broker({
        broker: { io_threads },
        unified: { flood: { listen: '127.0.0.1:0' } },
        log: { to: 'off' },
      });
      const open = new Set<bigint>();
      const ever = new Set<bigint>();
      let twice = 0;
      let strangers = 0;
      let handled = 0;
      broker.on('connect', ({ connectionId }) => {
        handled++;
        if (ever.has(connectionId)) twice++;
        ever.add(connectionId);
        open.add(connectionId);
      });
      broker.on('disconnect', ({ connectionId }) => {
        handled++;
        if (!open.delete(connectionId)) strangers++;
      });
      await broker.start();
      const state = new SharedArrayBuffer(8);
      const shared = new Int32Array(state);
      const port = broker.addresses[0]?.port;
      worker = new Worker(program, { workerData: { port, count, atOnce: 50, state } });
      await new Promise((done) => worker?.once('message', done));
      const before = inUse();
      // Nothing of JavaScript's runs on this thread until all of them have come and gone.
      Atomics.wait(shared, 0, 0, 100_000);
      expect(shared[0]).toBe(1);
      expect(shared[1]).toBe(count);
      // What waits: two records for each, some hundred bytes. (ASan keeps what was freed.)
      if (process.env.ST_MQTTD_SANITIZED === undefined) {
        expect(inUse().residentKb - before.residentKb).toBeLessThan(200_000);
      }
      const slices: number[] = [];
      let seen = handled;
      await new Promise<void>((done) => {
        const look = () => {
          slices.push(handled - seen);
          seen = handled;
          if (handled < count * 2) setImmediate(look);
          else done();
        };
        setImmediate(look);
      });
      // A slice ends behind 4096 records, when the buffer at hand is through.
      expect(Math.max(...slices)).toBeLessThan(8000);
      expect(slices.filter((each) => each > 0).length).toBeGreaterThan(count / 8000);
      await eventually(() => expect(open.size).toBe(0));
      expect({ ever: ever.size, twice, strangers }).toEqual({
        ever: count,
        twice: 0,
        strangers: 0,
      });
      expect(broker.metrics().events_dropped).toBe(0);
    },
    120_000,
  );
});
