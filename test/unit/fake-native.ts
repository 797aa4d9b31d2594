// A native half without native code: takes commands apart, makes event records, and can play a small
// MQTT server for links. Its records are written from the layouts alone, apart from src's writers.
import mqttPacket from 'mqtt-packet';
import type {
  NativeAddon,
  NativeAdmission,
  NativeBan,
  NativeBanRow,
  NativeBound,
  NativeBroker,
  NativeBrokerOptions,
  NativeChannelSpec,
  NativeLimits,
  NativeListenSpec,
  NativeLiveOptions,
  NativeTraceSpec,
} from '../../src/native/addon.ts';
import {
  CommandKind,
  commandLayouts,
  counterNames,
  EventKind,
  eventLayouts,
  type Layout,
} from '../../src/native/contract.ts';
import type { NativeRuleOptions } from '../../src/native/rules.ts';

type EventName = keyof typeof EventKind;
type CommandName = keyof typeof CommandKind;
type Fields = Record<string, number | bigint | string | Uint8Array>;

export interface FakeCommand {
  kind: CommandName;
  fields: Record<string, bigint>;
  /** Byte strings, in their order. */
  strings: Buffer[];
}

/** Byte strings of a record: the *_bytes fields that are lengths. */
function stringFields(layout: Layout): string[] {
  const amounts = ['credit_bytes', 'consumed_bytes'];
  return Object.keys(layout.at).filter(
    (name) => name.endsWith('_bytes') && !amounts.includes(name),
  );
}

/** `client_id: 'x'` is the byte string of client_id_bytes. */
export function eventRecord(kind: EventName, given: Fields = {}): Buffer {
  const layout: Layout = eventLayouts[kind];
  const strings = stringFields(layout).map((name) => {
    const value = given[name.replace(/_bytes$/, '')] ?? '';
    return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value as Uint8Array);
  });
  const tail = Buffer.concat(strings);
  const bytes = Math.ceil((layout.bytes + tail.length) / 8) * 8;
  const record = Buffer.alloc(bytes);
  record.writeUInt32LE(bytes, 0);
  record.writeUInt16LE(EventKind[kind], 4);
  const write = (name: string, value: bigint) => {
    const at = layout.at[name];
    const width = layout.widths[name];
    if (at === undefined || width === undefined) throw new Error(`${kind} has no ${name}`);
    for (let i = 0; i < width; i++) record[at + i] = Number((value >> BigInt(8 * i)) & 255n);
  };
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'number' || typeof value === 'bigint') write(name, BigInt(value));
  }
  for (const [index, name] of stringFields(layout).entries()) {
    write(name, BigInt(strings[index]?.length ?? 0));
  }
  tail.copy(record, layout.bytes);
  return record;
}

export function parseCommands(bytes: Buffer): FakeCommand[] {
  const commands: FakeCommand[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readUInt32LE(at);
    if (size < 8 || size % 8 !== 0 || at + size > bytes.length)
      throw new Error(`record of ${size}`);
    const number = bytes.readUInt16LE(at + 4);
    const kind = (Object.keys(CommandKind) as CommandName[]).find((k) => CommandKind[k] === number);
    if (kind === undefined) throw new Error(`command ${number}`);
    const layout: Layout = commandLayouts[kind];
    const fields: Record<string, bigint> = {};
    for (const [name, offset] of Object.entries(layout.at)) {
      let value = 0n;
      for (let i = (layout.widths[name] ?? 0) - 1; i >= 0; i--) {
        value = (value << 8n) | BigInt(bytes[at + offset + i] ?? 0);
      }
      fields[name] = value;
    }
    let text = at + layout.bytes;
    const strings = stringFields(layout).map((name) => {
      const length = Number(fields[name] ?? 0n);
      text += length;
      return Buffer.from(bytes.subarray(text - length, text));
    });
    if (text > at + size || at + size - text > 7) throw new Error(`${kind}: strings do not fit`);
    commands.push({ kind, fields, strings });
    at += size;
  }
  return commands;
}

export class FakeBroker implements NativeBroker {
  readonly options: NativeBrokerOptions;
  readonly commands: FakeCommand[] = [];
  readonly listens: NativeListenSpec[] = [];
  readonly calls: string[] = [];
  readonly traces: NativeTraceSpec[] = [];
  readonly banned: NativeBanRow[] = [];
  /** What setLimits() and configure() said last. */
  readonly limits = new Map<number, NativeLimits>();
  /** What setAdmission() said last. */
  readonly admissions = new Map<number, NativeAdmission>();
  /** What setChannels() said last. */
  readonly channels = new Map<number, NativeChannelSpec>();
  readonly live: Partial<NativeLiveOptions> = {};
  /** What setHooks() said last. */
  hooks: Buffer | undefined;
  /** What setRules() said last. */
  rules: { readonly form: Buffer; readonly options: NativeRuleOptions } | undefined;
  /** What listen() throws, by address. */
  readonly listenErrors = new Map<string, string>();
  /** Answers drain with drained. */
  drains = true;
  onCommand: (command: FakeCommand) => void = () => {};
  readonly #wake: () => void;
  #events: Buffer[] = [];
  #woken = false;
  #stopped = false;
  #contexts = 0;

  constructor(options: NativeBrokerOptions, wake: () => void) {
    this.options = options;
    this.#wake = wake;
  }

  start(): void {
    this.calls.push('start');
  }
  listen(spec: NativeListenSpec): NativeBound {
    const address = spec.unix_path === '' ? spec.host : spec.unix_path;
    const code = this.listenErrors.get(address);
    if (code !== undefined) {
      throw Object.assign(new Error(`bind ${code}`), { code, syscall: 'bind' });
    }
    this.calls.push(`listen ${address}`);
    this.listens.push(spec);
    return { id: this.listens.length, address, port: spec.port === 0 ? 40_000 : spec.port };
  }
  ban({ kind, value, seconds, reason }: NativeBan): void {
    if (kind === 'address' && !/^[0-9a-f.:]+(\/\d+)?$/.test(value)) {
      const text = 'ban: value is not an IP address, nor a network';
      throw Object.assign(new RangeError(text), { code: 'ST_NATIVE_BAN' });
    }
    this.unban({ kind, value });
    const expires_s = seconds === 0 ? null : seconds;
    this.banned.push({ kind, value, reason, source: 'admin', expires_s });
  }
  unban({ kind, value }: Pick<NativeBan, 'kind' | 'value'>): boolean {
    const at = this.banned.findIndex((ban) => ban.kind === kind && ban.value === value);
    if (at >= 0) this.banned.splice(at, 1);
    return at >= 0;
  }
  bans(cursor: string, limit: number): { rows: NativeBanRow[]; cursor: string } {
    const from = Number(cursor);
    const rows = this.banned.slice(from, from + limit);
    const end = from + rows.length;
    return { rows, cursor: end < this.banned.length ? `${end}` : '' };
  }
  unlisten(id: number): void {
    this.calls.push(`unlisten ${id}`);
  }
  setLimits(listenerId: number, limits: NativeLimits): void {
    this.calls.push(`setLimits ${listenerId}`);
    this.limits.set(listenerId, limits);
  }
  setChannels(listenerId: number, channels: NativeChannelSpec): void {
    this.calls.push(`setChannels ${listenerId}`);
    this.channels.set(listenerId, channels);
  }
  setAdmission(listenerId: number, admission: NativeAdmission): void {
    this.admissions.set(listenerId, admission);
  }
  configure(options: Partial<NativeLiveOptions>): void {
    this.calls.push('configure');
    Object.assign(this.live, options);
  }
  setHooks(hooks: Uint8Array): void {
    this.calls.push('setHooks');
    this.hooks = Buffer.from(hooks);
  }

  setRules(rules: Uint8Array, options: NativeRuleOptions): void {
    this.calls.push('setRules');
    this.rules = { form: Buffer.from(rules), options };
  }
  drainEvents(into: Uint8Array): number {
    this.#woken = false;
    let used = 0;
    for (;;) {
      const [next] = this.#events;
      if (next === undefined) return used;
      if (used + next.length > into.length) return used > 0 ? used : -next.length;
      into.set(next, used);
      used += next.length;
      this.#events.shift();
    }
  }
  submit(bytes: Uint8Array, length: number): void {
    if (this.#stopped) return;
    for (const command of parseCommands(Buffer.from(bytes.subarray(0, length)))) {
      this.commands.push(command);
      this.onCommand(command);
      if (command.kind === 'drain' && this.drains) this.emit('drained', {});
    }
  }
  counters(into: BigInt64Array): void {
    for (const index of counterNames.keys()) into[index] = BigInt(index);
  }
  listenerConnections(): number {
    return 0;
  }
  threadCounters(_index: number, into: BigInt64Array): void {
    this.counters(into);
  }
  reaches(_levels: string): boolean {
    return false;
  }
  tableCounts(into: BigInt64Array): void {
    into.fill(0n);
  }
  latency(into: BigInt64Array): void {
    into.fill(0n);
  }
  trace(spec: NativeTraceSpec): void {
    this.calls.push(`trace ${spec.id}`);
    this.traces.push(spec);
  }
  untrace(id: number): void {
    this.calls.push(`untrace ${id}`);
  }
  ioThreads(): number {
    return this.#stopped ? 0 : this.options.io_threads;
  }
  stop(): void {
    this.calls.push('stop');
    this.#stopped = true;
  }

  /** An event, as from an I/O thread: the wake-up comes in a later turn. */
  emit(kind: EventName, fields: Fields): void {
    this.#events.push(eventRecord(kind, fields));
    if (this.#woken) return;
    this.#woken = true;
    setImmediate(this.#wake);
  }
  tlsContext(): number {
    this.#contexts++;
    this.calls.push(`tlsContext ${this.#contexts}`);
    return this.#contexts;
  }
  takeOutside(): number[] {
    return [];
  }
  setTls(listenerId: number, tls: number): void {
    this.calls.push(`setTls ${listenerId} ${tls}`);
  }
  setHandshakeTimeout(listenerId: number, timeoutMs: number): void {
    this.calls.push(`setHandshakeTimeout ${listenerId} ${timeoutMs}`);
  }
  releaseTls(tls: number): void {
    this.calls.push(`releaseTls ${tls}`);
  }
  sent(kind: CommandName): FakeCommand[] {
    return this.commands.filter((command) => command.kind === kind);
  }
}

export class FakeAddon implements NativeAddon {
  readonly brokers: FakeBroker[] = [];
  prepare: (broker: FakeBroker) => void = () => {};
  get broker(): FakeBroker {
    const broker = this.brokers.at(-1);
    if (broker === undefined) throw new Error('no broker was created');
    return broker;
  }
  version(): string {
    return 'fake';
  }
  contractLayout(): string {
    return '{}';
  }
  notify(): number {
    return 0;
  }
  tlsAvailable(): string | null {
    return null;
  }
  tlsFallback(): null {
    return null;
  }
  tlsCheck(): void {}
  createBroker(options: NativeBrokerOptions, wake: () => void): NativeBroker {
    const broker = new FakeBroker(options, wake);
    this.prepare(broker);
    this.brokers.push(broker);
    return broker;
  }
}

/** What a test does with a packet of a link; what it returns is sent back. */
export type Respond = (
  packet: mqttPacket.Packet,
  linkId: number,
) => mqttPacket.Packet[] | undefined;

const v5 = { protocolVersion: 5 } as const;

/** Answers links: CONNECT, SUBSCRIBE and PINGREQ by itself, everything else by `respond`. */
export function serveLinks(broker: FakeBroker, respond: Respond = () => undefined): void {
  const parsers = new Map<number, mqttPacket.Parser>();
  const answer = (linkId: number, packet: mqttPacket.Packet) => {
    const replies = respond(packet, linkId) ?? defaultReply(packet);
    if (replies.length > 0) sendPackets(broker, linkId, ...replies);
  };
  broker.onCommand = ({ kind, fields, strings }) => {
    const linkId = Number(fields.link_id);
    if (kind === 'link_open') {
      const parser = mqttPacket.parser(v5);
      parser.on('packet', (packet) => answer(linkId, packet));
      parsers.set(linkId, parser);
    } else if (kind === 'link_bytes') {
      parsers.get(linkId)?.parse(strings[0] ?? Buffer.alloc(0));
    } else if (kind === 'link_close') {
      broker.emit('link_closed', { link_id: linkId, cause: 22 });
    }
  };
}

export function sendPackets(
  broker: FakeBroker,
  linkId: number,
  ...packets: mqttPacket.Packet[]
): void {
  const data = Buffer.concat(packets.map((packet) => mqttPacket.generate(packet, v5)));
  broker.emit('link_bytes', { link_id: linkId, data });
}

function defaultReply(packet: mqttPacket.Packet): mqttPacket.Packet[] {
  switch (packet.cmd) {
    case 'connect':
      return [{ cmd: 'connack', reasonCode: 0, sessionPresent: false, properties: {} }];
    case 'subscribe':
      return [
        {
          cmd: 'suback',
          messageId: packet.messageId ?? 0,
          granted: [packet.subscriptions[0]?.qos ?? 0],
        },
      ];
    case 'unsubscribe':
      return [{ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: [0] }];
    case 'pingreq':
      return [{ cmd: 'pingresp' }];
    default:
      return [];
  }
}
