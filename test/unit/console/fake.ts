// A registry in memory and a console on it, without sockets or with them.
import type { FastifyInstance } from 'fastify';
import { objectLayer } from '../../../src/config/layers.ts';
import type { ConsoleToken, Resolution } from '../../../src/config/resolve.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { Access } from '../../../src/console/access.ts';
import type { AuditRecord, ConsoleDeps } from '../../../src/console/deps.ts';
import { History } from '../../../src/console/history.ts';
import { internalProblem } from '../../../src/console/problem.ts';
import { allRoutes } from '../../../src/console/routes/index.ts';
import { Scanner } from '../../../src/console/scan.ts';
import { buildServer } from '../../../src/console/server.ts';
import type { DirectWriteManyOptions } from '../../../src/device/direct-write.ts';
import type { DeviceState } from '../../../src/device/types.ts';
import { fail } from '../../../src/errors.ts';
import { Bans } from '../../../src/limits/bans.ts';
import { matches } from '../../../src/link/filters.ts';
import { parseFilter } from '../../../src/log/filter.ts';
import type { LogRecord } from '../../../src/log/logger.ts';
import { Counters } from '../../../src/metrics/counters.ts';
import type { NativeBrokerOptions } from '../../../src/native/addon.ts';
import type { PluginInfo } from '../../../src/plugins/types.ts';
import type { ReloadReport } from '../../../src/reload/report.ts';
import type { ConnectInfo, DisconnectInfo } from '../../../src/session/events.ts';
import type {
  ClientDetail,
  ClientRow,
  DenialRow,
  LogRow,
  Page,
  PageRequest,
  Registry,
  RetainedRow,
  SubscribeRequest,
  SubscriptionRow,
  Totals,
} from '../../../src/session/registry.ts';
import type { TraceInfo, TraceOptions } from '../../../src/trace/tracer.ts';
import { FakeBroker } from '../fake-native.ts';

export function client(clientId: string, more: Partial<ClientRow> = {}): ClientRow {
  return {
    clientId,
    instance: 0,
    connectionId: '7',
    connected: true,
    username: undefined,
    address: '127.0.0.1:52110',
    listener: 'unified-1',
    protocolVersion: '5.0',
    cleanStart: true,
    keepAlive: 60,
    sessionExpiry: 0,
    createdAt: 1_700_000_000_000,
    connectedAt: 1_700_000_000_000,
    ...{ disconnectedAt: undefined, lastReceivedAt: 1_700_000_000_500 },
    lastCause: undefined,
    subscriptions: 0,
    queuedMessages: 0,
    queuedBytes: 0,
    inFlight: 0,
    inboundInFlight: 0,
    dropped: 0,
    hasWill: false,
    thread: 0,
    ...more,
  };
}

export const offline: Partial<ClientRow> = {
  connected: false,
  connectionId: '',
  address: '',
  listener: undefined,
  sessionExpiry: 'never',
  ...{ disconnectedAt: 1_700_000_001_000, lastReceivedAt: undefined },
  lastCause: 'client_disconnect',
};

export function subscription(clientId: string, filter: string): SubscriptionRow {
  return {
    clientId,
    instance: 0,
    filter,
    qos: 1,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0,
    subscriptionId: undefined,
    group: /^\$share\/([^/]+)\//.exec(filter)?.[1],
  };
}

export function retained(topic: string, payload: Uint8Array = Buffer.from('x')): RetainedRow {
  return { topic, payload, qos: 1, publisher: 'p', expiresAt: undefined, sequence: 1 };
}

export function logRow(filter: string, more: Partial<LogRow> = {}): LogRow {
  return {
    filter,
    initialized: false,
    messages: 2,
    bytes: 20,
    segments: 1,
    appended: 3,
    appendedBytes: 30,
    lost: 1,
    createdAt: 1_700_000_000_000,
    writtenAt: 1_700_000_001_000,
    ...more,
  };
}

/** Cursor = the index behind the last row; enough while nothing changes between pages. */
function pageOf<T>(rows: readonly T[], { cursor = '0', limit }: PageRequest): Page<T> {
  const [start, stop] = [Number(cursor), Number(cursor) + limit];
  return { items: rows.slice(start, stop), next: stop < rows.length ? String(stop) : undefined };
}

const boiler: DeviceState = {
  ...{ id: 'Boiler 1', tenant: undefined, online: true, gateway: 'gw-1', clientId: undefined },
  ...{ connectedAt: 5, disconnectedAt: undefined, lastCause: undefined, lastActivityAt: 6 },
};

export class FakeRegistry implements Registry {
  rows: ClientRow[] = [];
  details = new Map<string, Partial<ClientDetail>>();
  subs: SubscriptionRow[] = [];
  messages: RetainedRow[] = [];
  logRows: LogRow[] = [];
  denialRows: DenialRow[] = [];
  pages = 0;
  largestPage = 0;
  kicked: [string, number, string][] = [];
  /** That kicks, ends and unsubscribes were asked for. */
  instances: (number | undefined)[] = [];
  ended: string[] = [];
  subscribed: [string, SubscribeRequest][] = [];

  clients(page: PageRequest) {
    this.pages++;
    this.largestPage = Math.max(this.largestPage, page.limit);
    return Promise.resolve(pageOf(this.rows, page));
  }
  client(clientId: string, instance?: number): Promise<ClientDetail | undefined> {
    const row = this.rows.find((one) => isMeant(one, clientId, instance));
    if (row === undefined) return Promise.resolve(undefined);
    const connection = row.connected
      ? {
          receiveMaximum: 100,
          maximumPacketSize: 268435460,
          topicAliasMaximum: 0,
          outboundBytes: 0,
          pausedBy: [],
          transport: 'tcp' as const,
        }
      : undefined;
    const more = this.details.get(clientId) ?? {};
    const identity = {
      tenant: 'acme',
      deviceId: undefined,
      role: 'device' as const,
      groups: ['ops'],
      certificateName: undefined,
      expiresAt: 1_700_000_100_000,
    };
    const all = this.rows.filter((one) => one.clientId === clientId).map((one) => one.instance);
    const rest = { connection, identity, window: [], instances: all.filter((one) => one > 0) };
    return Promise.resolve({ ...row, will: undefined, ...rest, ...more });
  }
  subscriptions(page: Parameters<Registry['subscriptions']>[0]) {
    const { clientId, instance = 0 } = page;
    const rows = this.subs.filter(
      (row) => clientId === undefined || (row.clientId === clientId && row.instance === instance),
    );
    return Promise.resolve(pageOf(rows, page));
  }
  routes(topic: string) {
    const plain = (filter: string) => /^\$share\/[^/]+\/(.+)$/s.exec(filter)?.[1] ?? filter;
    return Promise.resolve(
      this.subs.filter(({ filter }) => matches(plain(filter).split('/'), topic)),
    );
  }
  retained(page: PageRequest & { readonly filter?: string }) {
    const { filter } = page;
    const rows = this.messages.filter(
      ({ topic }) => filter === undefined || matches(filter.split('/'), topic),
    );
    return Promise.resolve(pageOf(rows, page));
  }
  retainedMessage(topic: string) {
    return Promise.resolve(this.messages.find((one) => one.topic === topic));
  }
  deleteRetained(topic: string) {
    const before = this.messages;
    this.messages = before.filter((one) => one.topic !== topic);
    return Promise.resolve(this.messages.length < before.length);
  }
  logs(page: PageRequest) {
    return Promise.resolve(pageOf(this.logRows, page));
  }
  denials(page: PageRequest) {
    return Promise.resolve(pageOf(this.denialRows, page));
  }
  log(filter: string) {
    return Promise.resolve(this.logRows.find((one) => one.filter === filter));
  }
  deleteLog(filter: string) {
    const before = this.logRows;
    this.logRows = before.filter((one) => one.filter !== filter);
    return Promise.resolve(this.logRows.length < before.length);
  }
  kick(clientId: string, reasonCode: number, reason: string, instance?: number) {
    const isOnline = this.rows.some((one) => one.connected && isMeant(one, clientId, instance));
    if (isOnline) this.kicked.push([clientId, reasonCode, reason]);
    if (isOnline) this.instances.push(instance);
    return Promise.resolve(isOnline);
  }
  endSession(clientId: string, instance?: number) {
    const before = this.rows.length;
    this.rows = this.rows.filter((one) => !isMeant(one, clientId, instance));
    const isEnded = this.rows.length < before;
    if (isEnded) this.ended.push(clientId);
    if (isEnded) this.instances.push(instance);
    return Promise.resolve(isEnded);
  }
  subscribe(clientId: string, request: SubscribeRequest) {
    if (!this.rows.some((one) => one.clientId === clientId)) return Promise.resolve(undefined);
    this.subscribed.push([clientId, request]);
    return Promise.resolve<number>(request.filter.startsWith('refused') ? 0x87 : request.qos);
  }
  unsubscribe(clientId: string, filter: string, instance?: number) {
    this.instances.push(instance);
    if (!this.rows.some((one) => one.clientId === clientId)) return Promise.resolve(undefined);
    const known = this.subs.some((one) => one.clientId === clientId && one.filter === filter);
    return Promise.resolve(known ? 0 : 17);
  }
  totals(): Totals {
    return {
      sessions: this.rows.length,
      connected: this.rows.filter(({ connected }) => connected).length,
      subscriptions: this.subs.length,
      filters: new Set(this.subs.map(({ filter }) => filter)).size,
      trieNodes: 0,
      retained: this.messages.length,
      retainedBytes: 0,
    };
  }
}

const isMeant = (row: ClientRow, clientId: string, instance = row.instance) =>
  row.clientId === clientId && row.instance === instance;

export const emptyReport: ReloadReport = {
  live: [],
  newConnections: [],
  restart: [],
  listenersAdded: [],
  listenersRemoved: [],
  listenersChanged: [],
  reread: [],
  warnings: [],
};

export class FakeDeps implements ConsoleDeps {
  readonly registry = new FakeRegistry();
  readonly logs: LogRecord[] = [];
  readonly audits: AuditRecord[] = [];
  readonly published: { topic: string; payload: string; options: unknown }[] = [];
  readonly written: { clientId: string; topic: string; payload: string; options: unknown }[] = [];
  readonly patches: unknown[] = [];
  readonly connectListeners = new Set<(info: ConnectInfo) => void>();
  readonly disconnectListeners = new Set<(info: DisconnectInfo) => void>();
  readonly logListeners = new Set<(record: LogRecord) => void>();
  readonly running: TraceInfo[] = [];
  readonly pluginRows: readonly PluginInfo[] = [
    {
      ...{ name: 'topic-rewrite', state: 'loaded', from: 'shipped' },
      ...{ version: undefined, description: 'gives messages another topic by rules' },
      ...{ defaultStartup: true, immutable: false, counts: undefined, error: undefined },
    },
  ];
  readonly banTable = new Bans(new FakeBroker({} as NativeBrokerOptions, () => {}));
  filter = 'warn';
  ready = true;
  reloads = 0;
  publishCode = 0;
  failWith: unknown;
  config: Resolution = resolveConfig([
    objectLayer({
      unified: { one: { listen: '127.0.0.1:1883' } },
      console: {
        listen: '127.0.0.1:3030',
        tokens: { ops: { token: 'very-secret-token', role: 'admin' } },
      },
    }),
  ]);
  readonly #counters = new Counters();

  metrics() {
    if (this.failWith !== undefined) throw this.failWith;
    return this.#counters.last();
  }
  resolution() {
    return this.config;
  }
  brokerInfo() {
    return {
      id: 3,
      version: '0.1.0',
      startedAt: Date.now() - 90_061_000,
      ready: this.ready,
      listeners: [{ name: 'one', address: '127.0.0.1:1883' }],
    };
  }
  reload() {
    this.reloads++;
    return Promise.resolve({
      ...emptyReport,
      live: [{ key: 'log.level', from: 'warn', to: 'info' }],
    });
  }
  patchConfig(tables: Readonly<Record<string, unknown>>) {
    this.patches.push(tables);
    return Promise.resolve(emptyReport);
  }
  logFilter() {
    return this.filter;
  }
  setLogFilter(text: string) {
    this.filter = parseFilter(text).text;
  }
  publish(topic: string, payload: Uint8Array, options: unknown) {
    this.published.push({ topic, payload: Buffer.from(payload).toString(), options });
    return Promise.resolve(this.publishCode);
  }
  /** 'on' has it, 'away' keeps it where it may, 'slow' never answers, and others are not there. */
  directWrite(
    clientIds: readonly string[],
    topic: string,
    payload: Uint8Array,
    { onResult, ...options }: DirectWriteManyOptions,
  ) {
    for (const clientId of clientIds) {
      this.written.push({ clientId, topic, payload: Buffer.from(payload).toString(), options });
      if (clientId === 'on') onResult?.(clientId, { outcome: 'delivered' });
      else if (clientId === 'away' && options.queue) onResult?.(clientId, { outcome: 'queued' });
      else if (clientId === 'slow') onResult?.(clientId, undefined);
      else onResult?.(clientId, { outcome: 'dropped', reason: 'not_connected' });
    }
    return Promise.resolve({ delivered: 0, dropped: 0, queued: 0, timedOut: 0 });
  }
  prometheusText() {
    return Promise.resolve('# TYPE up gauge\nup 1\n');
  }
  latency() {
    return { bounds: [0.001, 0.01], counts: [3, 1, 0], sum: 0.004 };
  }
  traces() {
    return Promise.resolve(this.running);
  }
  startTrace(options: TraceOptions) {
    const startedAt = new Date();
    const endsAt = new Date(startedAt.getTime() + (options.seconds ?? 60) * 1000);
    const id = this.running.length + 1;
    const trace: TraceInfo = { id, options, startedAt, endsAt, packets: 0, suppressed: 0 };
    this.running.push(trace);
    return Promise.resolve(trace);
  }
  stopTrace(id: number) {
    return Promise.resolve(this.running.some((trace) => trace.id === id));
  }
  devices() {
    return Promise.resolve({ items: [boiler], next: undefined });
  }
  bans() {
    return this.banTable;
  }
  plugins() {
    return Promise.resolve({
      list: () => this.pluginRows,
      load: (name: string) => this.#changed(name, 'loaded'),
      unload: (name: string) => this.#changed(name, 'not loaded'),
      reload: (name: string) => this.#changed(name, 'loaded'),
    });
  }
  #changed(name: string, state: PluginInfo['state']): Promise<PluginInfo> {
    const found = this.pluginRows.find((row) => row.name === name);
    if (found !== undefined) return Promise.resolve({ ...found, state });
    const known = 'topic-rewrite';
    return Promise.reject(fail('ST_PLUGIN_UNKNOWN', { where: undefined, name, known }));
  }
  openLink(): Promise<never> {
    return Promise.reject(new Error('the fake has no links'));
  }
  onConnect(listener: (info: ConnectInfo) => void) {
    this.connectListeners.add(listener);
    return () => void this.connectListeners.delete(listener);
  }
  onDisconnect(listener: (info: DisconnectInfo) => void) {
    this.disconnectListeners.add(listener);
    return () => void this.disconnectListeners.delete(listener);
  }
  onLog(listener: (record: LogRecord) => void) {
    this.logListeners.add(listener);
    return () => void this.logListeners.delete(listener);
  }
  log(record: LogRecord) {
    this.logs.push(record);
  }
  audit(record: AuditRecord) {
    this.audits.push(record);
  }
}

export interface Harness {
  readonly deps: FakeDeps;
  readonly app: FastifyInstance;
  readonly history: History;
  readonly stopping: AbortController;
}

/** `host`: the address that requests come in by. */
export async function harness(
  tokens: readonly ConsoleToken[] = [],
  host = '127.0.0.1',
): Promise<Harness> {
  const deps = new FakeDeps();
  const history = new History();
  const stopping = new AbortController();
  const routes = allRoutes({
    deps,
    history,
    scanner: new Scanner(stopping.signal, (error) =>
      internalProblem((record) => deps.log(record), error, {}),
    ),
    openapi: () => app.swagger(),
  });
  const { app } = await buildServer({
    deps,
    routes,
    access: new Access(tokens),
    stopping: stopping.signal,
    doorOf: () => ({ host, text: `${host}:3030` }),
  });
  return { deps, app, history, stopping };
}

export const internalErrors = (deps: FakeDeps) =>
  deps.logs.filter(({ text }) => text === 'console: internal error');
