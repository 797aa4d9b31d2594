/**
 * Packet traces: starts and ends them in the native half, and takes what they show to the log, to a
 * file of bounded size, or to a function. A trace ends by itself after its time.
 */
import { checkString, checkTable } from '../arguments.js';
import { fail } from '../errors.js';
import type { NativeBroker, NativeTraceSpec } from '../native/addon.js';
import type { TraceEndCauseName } from '../native/contract.js';
import type { TraceEndEvent, TraceEvent } from '../native/events.js';
import { describePacket, type PacketDescription } from './describe.js';
import { TraceFile } from './trace-file.js';

export const kMaxTraces = 8;
const kMaxPacketsPerSecond = 100_000;
const kMaxSeconds = 86_400;
const kMaxPayloadBytes = 4096;

export interface TraceOptions {
  /** At least one of these; all that are given must fit. */
  readonly clientId?: string;
  /** How the peer's address begins. */
  readonly address?: string;
  /** A Topic Filter: PUBLISH packets only. */
  readonly topic?: string;
  /** Default 100. */
  readonly maxPerSecond?: number;
  /** Default 60. */
  readonly seconds?: number;
  /** How much of a payload is shown; default 256. */
  readonly payloadBytes?: number;
  readonly to: TraceSink;
}

/** A file is appended to, one JSON object a line, and gets `maxBytes` at most (default 64 MiB). */
export type TraceSink =
  | { readonly kind: 'log' }
  | { readonly kind: 'file'; readonly path: string; readonly maxBytes?: number }
  | { readonly kind: 'function'; readonly show: (packet: TracedPacket) => void };

export interface TracedPacket extends PacketDescription {
  readonly traceId: number;
  readonly time: Date;
  readonly direction: 'in' | 'out';
  readonly clientId: string;
  /** Which connection of its Client Identifier; 0 = the first. */
  readonly instance: number;
  readonly address: string;
  /** Packets that were too many in their second, since the one before. */
  readonly suppressed: number;
}

export interface TraceInfo {
  readonly id: number;
  readonly options: TraceOptions;
  readonly startedAt: Date;
  readonly endsAt: Date;
  /** Packets shown so far. */
  readonly packets: number;
  /** Packets that fitted and were not shown: too many in a second, or beyond the file's size. */
  readonly suppressed: number;
}

interface Active {
  readonly id: number;
  readonly options: TraceOptions;
  readonly startedAt: Date;
  readonly endsAt: Date;
  packets: number;
  suppressed: number;
  file: TraceFile | undefined;
  readonly ended: (cause: TraceEndCauseName) => void;
}

export interface TracerDeps {
  readonly native: Pick<NativeBroker, 'trace' | 'untrace'>;
  /** Of the log's module `trace`: notices, because they were asked for. */
  readonly log: (
    level: 'notice' | 'error',
    text: string,
    fields: Readonly<Record<string, unknown>>,
  ) => void;
}

export class Tracer {
  readonly #deps: TracerDeps;
  readonly #active = new Map<number, Active>();
  #lastId = 0;
  /** Traces that are being started: opening a file takes a while. */
  #starting = 0;

  constructor(deps: TracerDeps) {
    this.#deps = deps;
  }

  get traces(): readonly TraceInfo[] {
    return [...this.#active.values()].map(
      ({ id, options, startedAt, endsAt, packets, suppressed }) => ({
        id,
        options,
        startedAt,
        endsAt,
        packets,
        suppressed,
      }),
    );
  }

  /** Resolves with its number when packets are shown; `onEnd` tells why it ended. */
  async start(
    options: TraceOptions,
    onEnd: (cause: TraceEndCauseName) => void = () => undefined,
  ): Promise<number> {
    check(options);
    if (this.#active.size + this.#starting >= kMaxTraces) {
      throw refused('traces', String(kMaxTraces + 1), `at most ${kMaxTraces} at a time`);
    }
    this.#starting++;
    const id = ++this.#lastId;
    let file: TraceFile | undefined;
    try {
      if (options.to.kind === 'file') file = await TraceFile.open(options.to);
      const { clientId, address, topic, maxPerSecond = 100, seconds = 60 } = options;
      const spec: NativeTraceSpec = {
        id,
        max_per_s: maxPerSecond,
        seconds,
        payload_bytes: options.payloadBytes ?? 256,
      };
      if (clientId !== undefined) spec.clientId = clientId;
      if (address !== undefined) spec.address = address;
      if (topic !== undefined) spec.topic = topic;
      this.#deps.native.trace(spec);
      const startedAt = new Date();
      const endsAt = new Date(startedAt.getTime() + seconds * 1000);
      const counts = { packets: 0, suppressed: 0 };
      this.#active.set(id, { id, options, startedAt, endsAt, ...counts, file, ended: onEnd });
      return id;
    } catch (error) {
      await file?.close();
      throw error;
    } finally {
      this.#starting--;
    }
  }

  /** False: there is no such trace. Its end is told as every end is. */
  stop(id: number): boolean {
    if (!this.#active.has(id)) return false;
    this.#deps.native.untrace(id);
    return true;
  }

  /** For EventRouter.onTrace. */
  readonly handle = (event: TraceEvent | TraceEndEvent): void => {
    const trace = this.#active.get(event.traceId);
    // Packets of other I/O threads may come behind the end.
    if (trace === undefined) return;
    trace.suppressed += event.suppressed;
    if (event.kind === 'trace_end') this.#end(trace, event.cause);
    else this.#show(trace, event);
  };

  /** With the broker: no trace_end comes any more. */
  async close(): Promise<void> {
    const files: Promise<void>[] = [];
    for (const trace of this.#active.values()) {
      if (trace.file !== undefined) files.push(trace.file.close());
      trace.ended('stopped');
    }
    this.#active.clear();
    await Promise.all(files);
  }

  #show(trace: Active, event: TraceEvent): void {
    const packet: TracedPacket = {
      ...describePacket(event),
      traceId: event.traceId,
      time: new Date(event.time),
      direction: event.direction,
      clientId: event.clientId,
      instance: event.instance,
      address: event.address,
      suppressed: event.suppressed,
    };
    const { to } = trace.options;
    switch (to.kind) {
      case 'log': {
        const { traceId, direction, clientId, address, text, fields } = packet;
        const more = moreOf(packet);
        const about = { traceId, clientId, address, direction, packet: fields, ...more };
        this.#deps.log('notice', `${direction} ${text}`, about);
        break;
      }
      case 'file':
        if (trace.file?.write(fileLine(packet)) !== true) {
          trace.suppressed++;
          return;
        }
        break;
      case 'function':
        to.show(packet);
        break;
    }
    trace.packets++;
  }

  #end(trace: Active, cause: TraceEndCauseName): void {
    this.#active.delete(trace.id);
    const { id, packets, suppressed, file } = trace;
    const close = async () => {
      try {
        await file?.close();
      } catch (error) {
        this.#deps.log('error', `trace ${id}: its file cannot be written`, { err: error });
      }
    };
    void close();
    const why = cause === 'time_over' ? 'its time is over' : 'it was stopped';
    this.#deps.log('notice', `trace ${id} has ended: ${why}`, { traceId: id, packets, suppressed });
    trace.ended(cause);
  }
}

function fileLine(packet: TracedPacket): Record<string, unknown> {
  const { traceId, time, direction, clientId, address, fields } = packet;
  const more = moreOf(packet);
  return { time, traceId, direction, clientId, address, ...more, packet: fields };
}

function moreOf({ instance, suppressed }: TracedPacket): Record<string, unknown> {
  return {
    ...(instance > 0 ? { instance } : {}),
    ...(suppressed > 0 ? { suppressed } : {}),
  };
}

function check(options: TraceOptions): void {
  checkTable('starting a trace', 'options', options);
  const { clientId, address, topic, maxPerSecond, seconds, payloadBytes, to } = options;
  for (const [name, text] of Object.entries({ clientId, address, topic })) {
    if (text !== undefined) checkString('starting a trace', name, text);
  }
  if (!clientId && !address && !topic) {
    throw refused('clientId', 'nothing', 'a Client Identifier, an address or a Topic Filter');
  }
  if (topic !== undefined && !isTopicFilter(topic)) {
    throw refused('topic', JSON.stringify(topic), 'a Topic Filter without $share');
  }
  const numbers = [
    ['maxPerSecond', maxPerSecond, 1, kMaxPacketsPerSecond],
    ['seconds', seconds, 1, kMaxSeconds],
    ['payloadBytes', payloadBytes, 0, kMaxPayloadBytes],
  ] as const;
  for (const [name, value, least, most] of numbers) {
    if (value === undefined) continue;
    if (!Number.isInteger(value) || value < least || value > most) {
      throw refused(name, String(value), `a whole number from ${least} to ${most}`);
    }
  }
  checkTable('starting a trace', 'to', to);
  const fits =
    to.kind === 'log' ||
    (to.kind === 'file' && typeof to.path === 'string') ||
    (to.kind === 'function' && typeof to.show === 'function');
  if (!fits) {
    const allowed = '{ kind: "log" }, { kind: "file", path } or { kind: "function", show }';
    throw refused('to', 'another object', allowed);
  }
  if (to.kind === 'file' && to.maxBytes !== undefined && !(to.maxBytes > 0)) {
    throw refused('to.maxBytes', String(to.maxBytes), 'a number of bytes');
  }
}

/** [MQTT-4.7.1-1], [MQTT-4.7.1-2]; a trace looks at topics, not at groups. */
function isTopicFilter(text: string): boolean {
  if (text === '' || text.includes('\0') || Buffer.byteLength(text) > 65_535) return false;
  if (text.startsWith('$share/')) return false;
  const levels = text.split('/');
  return levels.every(
    (level, at) =>
      (!level.includes('#') || (level === '#' && at === levels.length - 1)) &&
      (!level.includes('+') || level === '+'),
  );
}

function refused(name: string, found: string, allowed: string): Error {
  return fail('ST_ARGUMENT', { doing: 'starting a trace', name, found, allowed });
}
