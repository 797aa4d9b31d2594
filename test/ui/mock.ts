// A console on a broker that only exists as numbers: many clients, rates that move, topics that
// speak, losses, log lines. What needs the real thing is in broker.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsoleToken } from '../../src/config/resolve.ts';
import { Console } from '../../src/console/console.ts';
import { matches } from '../../src/link/filters.ts';
import type { Link } from '../../src/link/link.ts';
import type { Metrics } from '../../src/metrics/counters.ts';
import { client, FakeDeps, offline, subscription } from '../unit/console/fake.ts';

interface FakeMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly retain: boolean;
}

type Numbers = { -readonly [name in keyof Metrics]: Metrics[name] };

export class MovingDeps extends FakeDeps {
  readonly counters: Numbers = { ...super.metrics() };
  readonly #counts = [0, 0, 0, 0, 0, 0];
  readonly #watchers = new Set<(message: FakeMessage) => unknown>();
  links = 0;

  constructor() {
    super();
    const { registry } = this;
    for (let at = 1; at <= 120; at++) {
      const id = `press-${String(at).padStart(3, '0')}`;
      const more = at % 7 === 0 ? { queuedMessages: at * 3, queuedBytes: at * 900 } : {};
      registry.rows.push(
        client(id, {
          address: `10.20.${at % 4}.${at}:${50_000 + at}`,
          username: `hall-${at % 4}`,
          connectedAt: Date.now() - at * 61_000,
          protocolVersion: at % 3 === 0 ? '3.1.1' : '5.0',
          subscriptions: 3,
          inFlight: at % 5,
          dropped: at % 29 === 0 ? 17 : 0,
          hasWill: true,
          ...more,
          ...(at % 9 === 0 ? offline : {}),
        }),
      );
      for (const filter of [`plant/${id}/set/#`, 'plant/all/#', '$share/pool/jobs/+']) {
        registry.subs.push(subscription(id, filter));
      }
    }
    registry.details.set('press-007', {
      will: { topic: 'plant/press-007/state', qos: 1, retain: true, payloadBytes: 7, delay: 30 },
      window: [1, 2, 3].map((packetId) => ({
        packetId,
        direction: 'out' as const,
        qos: 1,
        state: 'awaiting_puback',
        topic: `plant/press-007/set/speed`,
        payloadBytes: 12 * packetId,
      })),
    });
    this.counters.clients_connected_v311 = 36;
    this.counters.clients_connected_v5 = 71;
    this.counters.refused_capability_refused = 3;
    this.counters.refused_connect_timeout = 12;
  }

  override metrics(): Numbers {
    return { ...this.counters };
  }

  override latency() {
    const bounds = [1e-5, 5e-5, 1e-4, 5e-4, 1e-3];
    return { bounds, counts: [...this.#counts], sum: 0 };
  }

  /** What a moment of a plant does. */
  step(at: number): void {
    const { counters } = this;
    const load = 900 + 500 * Math.sin(at / 12) + Math.random() * 180;
    counters.publish_received_qos0 += Math.round(load);
    counters.publish_received_qos1 += Math.round(load / 5);
    counters.publish_sent_qos0 += Math.round(load * 2.6);
    counters.bytes_received += Math.round(load * 132);
    counters.bytes_sent += Math.round(load * 310);
    counters.message_bytes = 4_800_000;
    counters.messages_queued = 420 + Math.round(Math.random() * 30);
    counters.messages_in_flight = 66;
    for (const [bucket, share] of [0.1, 0.55, 0.25, 0.08, 0.015, 0.005].entries()) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + Math.round(load * share);
    }
    if (at % 20 < 4) {
      counters.dropped_queue_full_oldest += Math.round(Math.random() * 60);
      counters.dropped_offline_qos0 += 3;
    }
    for (let press = 1; press <= 6; press++) {
      const name = `plant/press-00${press}`;
      this.say(`${name}/temperature`, (60 + Math.random() * 9).toFixed(1));
      this.say(`${name}/state`, JSON.stringify({ running: press !== 3, speed: 40 + press }), true);
    }
    this.say('plant/hall/4/camera', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]));
    const level = at % 11 === 0 ? 'error' : at % 5 === 0 ? 'warn' : 'info';
    const text = level === 'info' ? 'client connected' : 'queue is full: the oldest message went';
    const fields = { clientId: `press-${at % 90}`, address: '10.20.3.7:51120' };
    for (const listener of this.logListeners) {
      listener({ level, module: 'session', text, fields });
    }
  }

  say(topic: string, payload: string | Buffer, retain = false): void {
    const message = { topic, payload: Buffer.from(payload), retain };
    for (const watcher of this.#watchers) watcher(message);
  }

  override publish(topic: string, payload: Uint8Array, options: { retain: boolean }) {
    this.say(topic, Buffer.from(payload), options.retain);
    return super.publish(topic, payload, options);
  }

  /** What the live page uses of a link. */
  override openLink(): Promise<never> {
    this.links++;
    let end = () => {};
    const closed = new Promise<void>((done) => {
      end = done;
    });
    const link = {
      closed,
      close: async () => {
        this.links--;
        end();
      },
      subscribe: (filter: string) => this.#subscribe(filter),
    };
    return Promise.resolve(link as unknown as Link as never);
  }

  #subscribe(filter: string) {
    let finish = () => {};
    const ended = new Promise<void>((done) => {
      finish = done;
    });
    let watcher: ((message: FakeMessage) => unknown) | undefined;
    return {
      ready: Promise.resolve([]),
      forEach: (handler: (message: FakeMessage) => unknown) => {
        watcher = (message) => matches(filter.split('/'), message.topic) && handler(message);
        this.#watchers.add(watcher);
        return ended;
      },
      close: async () => {
        if (watcher !== undefined) this.#watchers.delete(watcher);
        finish();
      },
    };
  }
}

export interface Mock {
  readonly deps: MovingDeps;
  readonly url: string;
  stop(): Promise<void>;
}

/** Steps `speed` times a second. */
export async function startMock(tokens: readonly ConsoleToken[] = [], speed = 4): Promise<Mock> {
  const deps = new MovingDeps();
  const console = new Console(deps, tokens);
  const [address] = await console.start([{ host: '127.0.0.1', port: 0 }]);
  const running = new AbortController();
  const walk = async () => {
    for (let at = 0; !running.signal.aborted; at++) {
      deps.step(at);
      await sleep(1000 / speed);
    }
  };
  const walking = walk();
  return {
    deps,
    url: `http://${address?.text}/ui/`,
    stop: async () => {
      running.abort();
      await walking;
      await console.stop();
    },
  };
}
