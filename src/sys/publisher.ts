/**
 * Makes the $SYS messages and hands them to the native half. Loaded when the first ones are due.
 * Values that have not changed are not published again: they are retained.
 */
import { packageVersion } from '../native/load.js';
import type { BrokerEvents } from '../session/events.js';
import { brokerTopics, Loads } from './broker-topics.js';
import {
  connectMessages,
  disconnectMessage,
  type EventMessage,
  refusedMessage,
  sessionEndMessage,
} from './client-events.js';
import type { SysDeps } from './deps.js';
import { metrics, stats, sysdescr } from './node-topics.js';
import {
  connectedClients,
  kTableCounts,
  type Numbers,
  sessionCount,
  tableCounts,
} from './numbers.js';

/** Events that are published in one second; further ones are counted only. */
export const kEventsPerSecond = 1000;
/** As mosquitto's, and as rmqttd's default. */
const kBrokerQos = 2;
const kNodeQos = 1;

type Highest = { -readonly [K in keyof Numbers['highest']]: number };

export class Publisher {
  readonly #deps: SysDeps;
  readonly #root: string;
  readonly #version: string;
  readonly #startedAtMs: number;
  readonly #nowMs: () => number;
  readonly #loads: Loads;
  readonly #counts = new BigInt64Array(kTableCounts);
  /** What is retained, by topic. */
  readonly #published = new Map<string, string>();
  readonly #highest: Highest = {
    connected: 0,
    sessions: 0,
    subscriptions: 0,
    shared: 0,
    retained: 0,
  };
  #secondMs = 0;
  #inSecond = 0;
  #leftOut = 0;

  /** `startedAtMs`: when the broker began to listen, on the clock of nowMs. */
  constructor(deps: SysDeps, startedAtMs: number, nowMs: () => number) {
    this.#deps = deps;
    this.#root = `$SYS/brokers/${deps.node}/`;
    this.#version = packageVersion();
    this.#startedAtMs = startedAtMs;
    this.#nowMs = nowMs;
    this.#loads = new Loads(startedAtMs);
  }

  /** Publishes what has changed. */
  publish(): void {
    const { node } = this.#deps;
    const version = this.#version;
    const numbers = this.#read();
    const broker = (topic: string, value: string) =>
      this.#retain(`$SYS/broker/${topic}`, value, kBrokerQos);
    broker('version', `st-mqttd version ${version}`);
    for (const [topic, read] of brokerTopics) broker(topic, String(read(numbers)));
    for (const [topic, value] of this.#loads.update(numbers)) broker(topic, value);

    const own = (topic: string, value: string) => this.#retain(this.#root + topic, value, kNodeQos);
    this.#retain('$SYS/brokers', String(node), kNodeQos);
    own('version', version);
    own('uptime', `${numbers.uptimeS} seconds`);
    own('sysdescr', sysdescr(version));
    own('stats', JSON.stringify(stats(numbers)));
    own('metrics', JSON.stringify(metrics(numbers)));
  }

  /** Nothing is published any more: nobody is to read what was true once. */
  clear(): void {
    for (const topic of this.#published.keys()) {
      this.#deps.writer.publish(topic, '', { qos: kNodeQos, retain: true });
    }
    this.#published.clear();
  }

  tell<K extends keyof BrokerEvents>(name: K, values: BrokerEvents[K]): void {
    for (const { topic, payload } of this.#messages(name, values)) {
      if (!this.#admit()) continue;
      this.#deps.writer.publish(this.#root + topic, payload, { qos: 0, retain: false });
    }
  }

  #messages(name: keyof BrokerEvents, values: readonly unknown[]): readonly EventMessage[] {
    const { node } = this.#deps;
    const now = new Date();
    switch (name) {
      case 'connect':
        return connectMessages(node, (values as BrokerEvents['connect'])[0], now);
      case 'disconnect':
        return [disconnectMessage(node, (values as BrokerEvents['disconnect'])[0], now)];
      case 'refused':
        return [refusedMessage(node, (values as BrokerEvents['refused'])[0], now)];
      case 'sessionEnd':
        return [sessionEndMessage(node, (values as BrokerEvents['sessionEnd'])[0], now)];
      default:
        return [];
    }
  }

  #admit(): boolean {
    const nowMs = this.#nowMs();
    if (nowMs - this.#secondMs >= 1000) {
      this.#secondMs = nowMs;
      this.#inSecond = 0;
    }
    if (this.#inSecond < kEventsPerSecond) {
      this.#inSecond++;
      return true;
    }
    this.#leftOut++;
    return false;
  }

  #read(): Numbers {
    const deps = this.#deps;
    const counters = deps.metrics();
    deps.native.tableCounts(this.#counts);
    const tables = tableCounts(this.#counts);
    const connected = connectedClients(counters);
    const sessions = Math.max(connected, sessionCount(counters));
    const highest = this.#highest;
    const raise = (name: keyof Highest, value: number) => {
      highest[name] = Math.max(highest[name], value);
    };
    raise('connected', connected);
    raise('sessions', sessions);
    raise('subscriptions', tables.subscriptions);
    raise('shared', tables.sharedSubscriptions);
    raise('retained', tables.retained);
    const nowMs = this.#nowMs();
    return {
      counters,
      tables,
      nowMs,
      uptimeS: Math.floor((nowMs - this.#startedAtMs) / 1000),
      connected,
      sessions,
      highest,
      memory: {
        current: process.memoryUsage.rss(),
        maximum: process.resourceUsage().maxRSS * 1024,
      },
      eventsLeftOut: this.#leftOut,
    };
  }

  #retain(topic: string, value: string, qos: 1 | 2): void {
    if (this.#published.get(topic) === value) return;
    this.#published.set(topic, value);
    this.#deps.writer.publish(topic, value, { qos, retain: true });
  }
}
