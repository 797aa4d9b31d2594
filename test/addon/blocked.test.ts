// JavaScript stands still; a process beside it measures that nobody else does: messages of every
// QoS, new connections, takeovers, Keep Alive, Wills and session expiry go on, and on time.
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';

const program = resolve(import.meta.dirname, 'programs/bystander.mjs');
const kBlockMs = 3500;
const kExchangeMs = 2500;

let broker: Broker | undefined;
afterEach(() => broker?.stop({ timeoutMs: 300 }));

interface Seen {
  startedAt: number;
  finishedAt: number;
  trips: number[];
  wills: Record<string, number>;
  keepAliveMs: number;
  presentSoon: boolean;
  presentLate: boolean;
  takenOver: number;
}

const sleeping = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, kBlockMs);
const spinning = () => {
  const until = performance.now() + kBlockMs;
  while (performance.now() < until);
};

describe('while JavaScript is blocked', () => {
  test.each([
    ['asleep', 1, sleeping],
    ['asleep', 3, sleeping],
    ['in a loop', 2, spinning],
  ] as const)(
    '%s, %i I/O threads',
    async (_, io_threads, block) => {
      broker = new Broker({
        broker: { io_threads },
        unified: { test: { listen: '127.0.0.1:0' } },
        log: { to: 'off' },
      });
      const heard: string[] = [];
      broker.on('connect', ({ clientId }) => heard.push(clientId));
      await broker.start();
      const options = JSON.stringify({ port: broker.addresses[0]?.port, forMs: kExchangeMs });
      const child = spawn(process.execPath, [program, options], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      try {
        expect((await lines.next()).value).toBe('ready');
        child.stdin.write('go\n');
        await new Promise((done) => setTimeout(done, 20));
        const before = heard.length;
        block();
        const unblockedAt = Date.now();
        expect(heard).toHaveLength(before);
        const seen = JSON.parse((await lines.next()).value as string) as Seen;

        // All of it while this thread stood still.
        expect(seen.finishedAt).toBeLessThan(unblockedAt);
        expect(seen.trips.length).toBeGreaterThan(20);
        // One and a half times the Keep Alive of 1 s [MQTT-3.1.2-22].
        expect(seen.keepAliveMs).toBeGreaterThan(1400);
        expect(seen.wills.keepAlive).toBeGreaterThan(seen.startedAt + 1400);
        expect(seen.wills.keepAlive).toBeLessThan(unblockedAt);
        expect(seen.wills.broken).toBeLessThan(unblockedAt);
        expect([seen.presentSoon, seen.presentLate]).toEqual([true, false]);
        expect(seen.takenOver).toBe(0x8e);
      } finally {
        child.kill('SIGKILL');
      }
      // And then it hears of everything.
      expect(heard).toEqual(expect.arrayContaining(['silent', 'breaking', 'expiring', 'same']));
    },
    60_000,
  );
});
