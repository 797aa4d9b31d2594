/**
 * DirectWrites: messages for single clients, past matching. So many are under way in the native half
 * at most; others wait here. One timer looks after all that have a time limit.
 */
import { fail } from '../errors.js';
import type { CommandWriter } from '../native/commands.js';
import type { WrittenEvent } from '../native/events.js';
import {
  checkTarget,
  checkTargets,
  type DirectWriteCounts,
  type DirectWriteManyOptions,
  type DirectWriteOptions,
  type DirectWriteResult,
  type PreparedWrite,
  prepareWrite,
} from './write-options.js';

export type * from './write-options.js';

/** Under way in the native half: so what it holds for us is bounded. */
const kMaxUnderWay = 4096;
const kMaxBytesUnderWay = 16 * 1024 * 1024;
/** Of directWriteMany: beyond this nothing more is taken from its iterable. */
const kMaxOfMany = 2 * kMaxUnderWay;
/** The timer looks at all that wait: not more often than this. */
const kTickMs = 20;

interface Write {
  readonly clientId: string;
  readonly message: PreparedWrite;
  /** Of performance.now(); Infinity = none. */
  readonly deadline: number;
  readonly resolve: (result: DirectWriteResult) => void;
  readonly reject: (error: unknown) => void;
  /** 0 = it still waits here. */
  id: number;
}

/** Those that one signal can give up. */
interface Signalled {
  readonly writes: Set<Write>;
  readonly onAbort: () => void;
}

const kDelivered: DirectWriteResult = Object.freeze({ outcome: 'delivered' });
const kQueued: DirectWriteResult = Object.freeze({ outcome: 'queued' });

export class DirectWrites {
  readonly #writer: Pick<CommandWriter, 'directWrite'>;
  readonly #underWay = new Map<number, Write>();
  #bytesUnderWay = 0;
  /** In the order in which they came. */
  readonly #waiting = new Set<Write>();
  /** Goes on where it was: a new one would have to pass all that were deleted before. */
  #first = this.#waiting.values();
  readonly #signals = new Map<AbortSignal, Signalled>();
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #ended = false;

  constructor(writer: Pick<CommandWriter, 'directWrite'>) {
    this.#writer = writer;
  }

  /** Waits for its outcome; see Broker.directWrite. */
  async write(
    clientId: string,
    topic: string,
    payload: string | Uint8Array,
    options: DirectWriteOptions,
  ): Promise<DirectWriteResult> {
    checkTarget(clientId);
    return this.#send(clientId, prepareWrite(topic, payload, options));
  }

  /** See Broker.directWriteMany. */
  async writeMany(
    clientIds: Iterable<string> | AsyncIterable<string>,
    topic: string,
    payload: string | Uint8Array,
    options: DirectWriteManyOptions,
  ): Promise<DirectWriteCounts> {
    const message = prepareWrite(topic, payload, options);
    const { onResult } = options;
    checkTargets(clientIds);
    const counts = { delivered: 0, dropped: 0, queued: 0, timedOut: 0 };
    let open = 0;
    let failed: { readonly error: unknown } | undefined;
    let room: (() => void) | undefined;
    const settled = (act: () => void) => {
      open--;
      try {
        act();
      } catch (error) {
        failed ??= { error };
      }
      room?.();
    };
    const until = (isEnough: () => boolean) =>
      new Promise<void>((resolve) => {
        room = () => {
          if (!isEnough()) return;
          room = undefined;
          resolve();
        };
        room();
      });
    for await (const clientId of clientIds) {
      checkTarget(clientId);
      open++;
      this.#send(clientId, message).then(
        (result) =>
          settled(() => {
            counts[result.outcome]++;
            onResult?.(clientId, result);
          }),
        (error) =>
          settled(() => {
            if (error.code !== 'ST_WRITE_TIMEOUT') throw error;
            counts.timedOut++;
            onResult?.(clientId, undefined);
          }),
      );
      if (open >= kMaxOfMany) await until(() => open < kMaxOfMany || failed !== undefined);
      if (failed !== undefined) throw failed.error;
    }
    await until(() => open === 0 || failed !== undefined);
    if (failed !== undefined) throw failed.error;
    return counts;
  }

  handle({ writeId, outcome, cause, reasonCode, instance }: WrittenEvent): void {
    const write = this.#underWay.get(writeId);
    // Nobody waits for it any more.
    if (write === undefined) return;
    this.#forget(write);
    if (outcome === 'dropped' || reasonCode !== 0 || instance !== 0) {
      write.resolve({
        outcome,
        ...(cause === 'none' ? {} : { reason: cause }),
        ...(reasonCode === 0 ? {} : { reasonCode }),
        ...(instance === 0 ? {} : { instance }),
      });
    } else {
      write.resolve(outcome === 'queued' ? kQueued : kDelivered);
    }
    this.#sendWaiting();
  }

  /** The broker has stopped: nothing is answered any more. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    const all = [...this.#underWay.values(), ...this.#waiting];
    this.#underWay.clear();
    this.#waiting.clear();
    for (const write of all) {
      this.#unsignal(write);
      write.reject(stopped(write.clientId));
    }
  }

  #send(clientId: string, message: PreparedWrite): Promise<DirectWriteResult> {
    const { signal, timeoutMs } = message;
    if (this.#ended) return Promise.reject(stopped(clientId));
    if (signal?.aborted === true) return Promise.reject(aborted(clientId, signal));
    return new Promise((resolve, reject) => {
      const deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
      const write: Write = { clientId, message, deadline, resolve, reject, id: 0 };
      if (signal !== undefined) this.#signalled(signal).writes.add(write);
      if (deadline < this.#timerAt) this.#arm(deadline);
      this.#waiting.add(write);
      this.#sendWaiting();
    });
  }

  #sendWaiting(): void {
    while (this.#waiting.size > 0) {
      if (this.#underWay.size >= kMaxUnderWay || this.#bytesUnderWay >= kMaxBytesUnderWay) return;
      const next = this.#first.next();
      if (next.done === true) {
        this.#first = this.#waiting.values();
        continue;
      }
      const write = next.value;
      this.#waiting.delete(write);
      const { clientId, message } = write;
      const { topic, properties, payload, qos, queue, instance, expiry } = message;
      const writeId = ++this.#lastId;
      write.id = writeId;
      this.#underWay.set(writeId, write);
      this.#bytesUnderWay += payload.length;
      const more = { qos, queue, instance, expiry };
      this.#writer.directWrite({ writeId, clientId, topic, properties, payload, ...more });
    }
  }

  /** It is settled, or nobody waits for it any more. */
  #forget(write: Write): void {
    if (!this.#waiting.delete(write)) {
      this.#underWay.delete(write.id);
      this.#bytesUnderWay -= write.message.payload.length;
    }
    this.#unsignal(write);
  }

  /** One listener for all writes of a signal: there may be thousands. */
  #signalled(signal: AbortSignal): Signalled {
    const known = this.#signals.get(signal);
    if (known !== undefined) return known;
    const made: Signalled = {
      writes: new Set(),
      onAbort: () => {
        for (const write of made.writes) {
          this.#forget(write);
          write.reject(aborted(write.clientId, signal));
        }
        this.#sendWaiting();
      },
    };
    signal.addEventListener('abort', made.onAbort, { once: true });
    this.#signals.set(signal, made);
    return made;
  }

  #unsignal(write: Write): void {
    const { signal } = write.message;
    const known = signal === undefined ? undefined : this.#signals.get(signal);
    if (signal === undefined || known === undefined) return;
    known.writes.delete(write);
    if (known.writes.size > 0) return;
    signal.removeEventListener('abort', known.onAbort);
    this.#signals.delete(signal);
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(this.#tick, Math.max(kTickMs, at - performance.now()));
    // Nothing of it keeps a process alive: the broker does, while it runs.
    this.#timer.unref();
  }

  readonly #tick = (): void => {
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const writes of [this.#underWay.values(), this.#waiting]) {
      for (const write of writes) {
        if (write.deadline > now) {
          next = Math.min(next, write.deadline);
        } else {
          this.#forget(write);
          write.reject(timedOut(write));
        }
      }
    }
    this.#arm(next);
    this.#sendWaiting();
  };
}

function timedOut({ clientId, message: { timeoutMs } }: Write): Error {
  return fail('ST_WRITE_TIMEOUT', { clientId, timeoutMs });
}

function aborted(clientId: string, { reason }: AbortSignal): Error {
  return fail('ST_WRITE_ABORTED', { clientId }, { cause: reason });
}

function stopped(clientId: string): Error {
  return fail('ST_BROKER_STATE', {
    doing: `writing to client "${clientId}"`,
    state: 'stopped',
    next: 'await start() first',
  });
}
