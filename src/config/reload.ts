/** What a changed configuration touches: each changed value by its row's reload rule. */
import { isDeepStrictEqual } from 'node:util';
import { formatAddress, type ListenAddress } from './address.js';
import type { EffectiveEntry, ListenerConfig, Resolution } from './resolve.js';
import { shownValue } from './shown.js';

export interface ChangedValue {
  /** With its table: "mqtt.max_qos". */
  readonly key: string;
  /** "(secret)" where the value is one. */
  readonly from: unknown;
  readonly to: unknown;
}

/** A listener whose table is in both configurations, and says something else. */
export interface ListenerChange {
  readonly before: ListenerConfig;
  readonly after: ListenerConfig;
  /** Addresses that are only in `after`: to open. */
  readonly opened: readonly ListenAddress[];
  /** Addresses that are only in `before`: to close; who is connected stays. */
  readonly closed: readonly ListenAddress[];
  /** The path only in `after`, or only in `before`. */
  readonly unixOpened: string | undefined;
  readonly unixClosed: string | undefined;
  /** What the sockets themselves carry has changed (name, versions, pace, mode): close and open all. */
  readonly reopen: boolean;
  /** It has TLS before and after, and something of that has changed. */
  readonly tls: boolean;
  /** The limits of new connections have changed. */
  readonly limits: boolean;
}

export interface ReloadPlan {
  /** In effect at once, for running connections too. */
  readonly live: readonly ChangedValue[];
  /** In effect for connections that begin from now on. */
  readonly newConnections: readonly ChangedValue[];
  /** Not in effect before a restart. */
  readonly restart: readonly ChangedValue[];
  readonly listenersAdded: readonly ListenerConfig[];
  readonly listenersRemoved: readonly ListenerConfig[];
  readonly listenersChanged: readonly ListenerChange[];
}

const kService = /^(console|prometheus)(\.|$)/;
/** Their files are read again while they run, but not what the table says. */
const kServiceTls = /^(console|prometheus)\.tls(\.|$|\[)/;

export function diffConfig(before: Resolution, after: Resolution): ReloadPlan {
  const plan = {
    live: [] as ChangedValue[],
    newConnections: [] as ChangedValue[],
    restart: [] as ChangedValue[],
  };
  const old = byKey(before);
  const now = byKey(after);
  const [olds, news] = [tablesOf(before), tablesOf(after)];
  const inOne = [...olds, ...news].filter((table) => !(olds.has(table) && news.has(table)));
  const isOfOne = (table: string) =>
    inOne.some((one) => table === one || table.startsWith(`${one}.`));
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [from, to] = [old.get(key), now.get(key)];
    const entry = from ?? to;
    if (entry === undefined || isDeepStrictEqual(from?.value, to?.value)) continue;
    // A listener that is only in one of them is told as a whole.
    if (isOfOne(entry.table)) continue;
    // A service that was not started, or is no longer asked for, takes over nothing.
    const isService = kService.test(entry.table) && (from === undefined || to === undefined);
    const comesOrGoes = isService && isThere(old, entry.table) !== isThere(now, entry.table);
    const list = {
      live: plan.live,
      'new-connections': plan.newConnections,
      restart: plan.restart,
    }[comesOrGoes || kServiceTls.test(entry.table) ? 'restart' : entry.row.reload];
    list.push({ key, from: shown(from), to: shown(to) });
  }
  return { ...plan, ...diffListeners(before.config.listeners, after.config.listeners) };
}

function byKey({ effective }: Resolution): Map<string, EffectiveEntry> {
  return new Map(
    effective.map((entry) => [
      entry.table === '' ? entry.key : `${entry.table}.${entry.key}`,
      entry,
    ]),
  );
}

const tablesOf = ({ config }: Resolution): Set<string> =>
  new Set(config.listeners.map(({ table }) => table));

function isThere(values: ReadonlyMap<string, EffectiveEntry>, table: string): boolean {
  return values.has(`${kService.exec(table)?.[1]}.listen`);
}

function shown(entry: EffectiveEntry | undefined): unknown {
  return entry === undefined ? undefined : shownValue(entry.row, entry.value);
}

function diffListeners(
  before: readonly ListenerConfig[],
  after: readonly ListenerConfig[],
): Pick<ReloadPlan, 'listenersAdded' | 'listenersRemoved' | 'listenersChanged'> {
  const old = new Map(before.map((listener) => [listener.table, listener]));
  const now = new Map(after.map((listener) => [listener.table, listener]));
  const changed: ListenerChange[] = [];
  for (const [table, next] of now) {
    const last = old.get(table);
    if (last !== undefined && !isDeepStrictEqual(last, next)) changed.push(changeOf(last, next));
  }
  return {
    listenersAdded: after.filter(({ table }) => !old.has(table)),
    listenersRemoved: before.filter(({ table }) => !now.has(table)),
    listenersChanged: changed,
  };
}

function changeOf(before: ListenerConfig, after: ListenerConfig): ListenerChange {
  const unixMoved = before.unix?.path !== after.unix?.path;
  const carried = (listener: ListenerConfig) => [
    listener.name,
    listener.versions,
    listener.acceptDelayMs,
    listener.maxConnectRate,
    unixMoved ? 0 : (listener.unix?.mode ?? 0),
    listener.tls === undefined,
    listener.ws,
    listener.proxyProtocol,
    listener.trustedProxies,
    listener.handshakeTimeoutMs,
    listener.maxHandshakes,
    listener.maxConnectionsPerAddress,
    listener.maxConnectRatePerAddress,
    listener.totalMessagesPerS,
    listener.totalBytesPerS,
  ];
  const limits = (listener: ListenerConfig) => [
    listener.maxConnections,
    listener.mqtt,
    listener.dynamicFilters,
    listener.role,
    listener.tenantMode,
    // On loopback it says what role its clients have.
    listener.isGuarded,
  ];
  return {
    before,
    after,
    opened: without(after.listen, before.listen),
    closed: without(before.listen, after.listen),
    unixOpened: unixMoved ? after.unix?.path : undefined,
    unixClosed: unixMoved ? before.unix?.path : undefined,
    reopen: !isDeepStrictEqual(carried(before), carried(after)),
    tls:
      before.tls !== undefined &&
      after.tls !== undefined &&
      !isDeepStrictEqual(before.tls, after.tls),
    limits: !isDeepStrictEqual(limits(before), limits(after)),
  };
}

function without(
  all: readonly ListenAddress[],
  taken: readonly ListenAddress[],
): readonly ListenAddress[] {
  const text = ({ host, port }: ListenAddress) => formatAddress(host, port);
  const known = new Set(taken.map(text));
  return all.filter((address) => !known.has(text(address)));
}
