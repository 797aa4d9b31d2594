/**
 * Requests to devices: numbered, each waiting for the answer of its own device. Whose answer it is
 * the broker says; the number in the topic alone answers nothing.
 */
import { fail } from '../errors.js';
import type { Message } from '../link/message.js';
import type { MessageProperties, Qos } from '../link/packets.js';
import type { SubscriptionRow } from '../session/registry.js';
import { Signals } from './signals.js';
import type { Connection, DeviceTable, GatewayRef } from './state.js';
import { deviceTopic, keyOf, parseJson, readDeviceTopic, textOf } from './topics.js';
import { type DeviceName, type RequestOptions, UnreadablePayload } from './types.js';

export interface RpcDeps {
  readonly table: DeviceTable;
  /** Resolves when all that has happened until now is in the table. */
  readonly settled: () => Promise<void>;
  /** Resolves with the Reason Code. */
  readonly publish: (
    topic: string,
    payload: string,
    options: { readonly qos: Qos; readonly properties: MessageProperties },
  ) => Promise<number>;
  readonly routes: (topic: string) => Promise<readonly SubscriptionRow[]>;
  /** Whether this session exists, connected or not. */
  readonly hasSession: (clientId: string, instance: number) => Promise<boolean>;
  /** Hands a request to a device's gateway; false: it is not there. */
  readonly throughGateway: (
    gateway: GatewayRef,
    device: DeviceName,
    request: GatewayRequest,
  ) => Promise<boolean>;
}

export interface GatewayRequest {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
  readonly qos: Qos;
  readonly timeoutMs: number;
}

/** Under way, for one device and for all. */
const kMaxOfDevice = 256;
const kMaxUnderWay = 16_384;
const kDefaultTimeoutMs = 10_000;
const kMaxTimeoutMs = 3_600_000;
/** MQTT 5.0, 3.8.4: nobody has subscribed. */
const kNoSubscribers = 0x10;
/** For a queued request: how often is looked whether the device has subscribed. */
const kFirstLookMs = 20;
const kLastLookMs = 1000;

interface Call {
  readonly id: number;
  readonly device: DeviceName;
  readonly key: string;
  readonly method: string;
  readonly params: unknown;
  readonly qos: Qos;
  readonly timeoutMs: number;
  readonly queue: boolean;
  readonly oneWay: boolean;
  readonly done: AbortController;
  /** Who has got it, and may answer it. */
  to: GatewayRef | readonly Connection[] | undefined;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

export class RpcCalls {
  readonly #deps: RpcDeps;
  readonly #calls = new Map<number, Call>();
  readonly #ofDevice = new Map<string, Set<Call>>();
  /** Of these Client Identifiers' sessions, whose clients are away, an answer may still come. */
  readonly #ofSession = new Map<string, Set<Call>>();
  readonly #signals = new Signals();
  /** Not from 1: an answer to an earlier run of the broker must not fit. */
  #lastId = Math.floor(Math.random() * 0x3fffffff);
  #ended = false;
  requests = 0;
  answers = 0;
  timeouts = 0;
  refused = 0;
  gone = 0;
  late = 0;
  foreign = 0;

  constructor(deps: RpcDeps) {
    this.#deps = deps;
  }

  get underWay(): number {
    return this.#calls.size;
  }

  /** Resolves with the device's answer; of a one-way request, when it is on its way. */
  request(
    device: DeviceName,
    method: string,
    params: unknown,
    options: RequestOptions,
    oneWay: boolean,
  ): Promise<unknown> {
    const doing = `asking device "${textOf(device)}"`;
    if (typeof method !== 'string' || method === '') {
      return refuse(doing, 'method', method, 'text that is not empty');
    }
    const { timeoutMs = kDefaultTimeoutMs, qos = 1, queue = false, signal } = options;
    if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > kMaxTimeoutMs) {
      return refuse(doing, 'timeoutMs', timeoutMs, `a whole number from 1 to ${kMaxTimeoutMs}`);
    }
    if (qos !== 0 && qos !== 1 && qos !== 2) return refuse(doing, 'qos', qos, '0, 1 or 2');
    const device_ = textOf(device);
    if (signal?.aborted === true) {
      const cause = signal.reason;
      return Promise.reject(fail('ST_RPC_ABORTED', { device: device_, method }, { cause }));
    }
    const key = keyOf(device);
    const own = this.#ofDevice.get(key)?.size ?? 0;
    if (own >= kMaxOfDevice || this.#calls.size >= kMaxUnderWay) {
      this.refused++;
      const limit = own >= kMaxOfDevice ? kMaxOfDevice : kMaxUnderWay;
      return Promise.reject(fail('ST_RPC_BUSY', { device: device_, method, limit }));
    }
    if (this.#ended) return Promise.reject(stopped(doing));
    this.requests++;
    return new Promise((resolve, reject) => {
      const call: Call = {
        ...{ id: this.#freeId(), device, key, method, params, qos, timeoutMs, queue, oneWay },
        ...{ done: new AbortController(), to: undefined, resolve, reject },
      };
      this.#calls.set(call.id, call);
      this.#ofDevice.set(key, (this.#ofDevice.get(key) ?? new Set()).add(call));
      const timer = setTimeout(() => {
        this.timeouts++;
        this.#fail(call, fail('ST_RPC_TIMEOUT', { device: device_, method, timeoutMs }));
      }, timeoutMs);
      const abort = () => {
        const cause = signal?.reason;
        this.#fail(call, fail('ST_RPC_ABORTED', { device: device_, method }, { cause }));
      };
      const unlisten = signal === undefined ? undefined : this.#signals.add(signal, abort);
      call.done.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        unlisten?.();
      });
      this.#send(call).catch((error) => {
        if (this.#fail(call, error)) this.refused++;
      });
    });
  }

  /** From the link: `…/rpc/response/{id}`. */
  handle(message: Message): void {
    const place = readDeviceTopic(message.topic);
    const id = /^rpc\/response\/(\d{1,10})$/.exec(place?.rest ?? '')?.[1];
    const { deviceId } = message;
    // Of a device whose id nobody knows, or a number that is none of ours.
    if (place === undefined || id === undefined || deviceId === undefined) {
      this.late++;
      return;
    }
    this.answered({ id: deviceId, tenant: place.tenant }, Number(id), message.payload);
  }

  /** The broker says that it is this device that has answered, or its gateway. */
  answered(device: DeviceName, id: number, payload: Buffer): void {
    const call = this.#calls.get(id);
    if (call === undefined || call.oneWay) {
      this.late++;
      return;
    }
    if (call.key !== keyOf(device)) {
      this.foreign++;
      return;
    }
    this.#deps.table.touch(device);
    this.answers++;
    let answer: unknown;
    try {
      answer = parseJson(payload);
    } catch (error) {
      const why = 'it is not JSON in UTF-8';
      const cause = new UnreadablePayload(why, payload, error);
      const { method } = call;
      this.#fail(call, fail('ST_RPC_ANSWER', { device: textOf(device), method, why }, { cause }));
      return;
    }
    this.#forget(call);
    call.resolve(answer);
  }

  end(): void {
    this.#ended = true;
    for (const call of [...this.#calls.values()]) {
      this.#fail(call, stopped(`asking device "${textOf(call.device)}"`));
    }
  }

  async #send(call: Call): Promise<void> {
    const { device, id, method, params, qos, timeoutMs, queue } = call;
    const { table } = this.#deps;
    const isThere = () => table.isConnected(device) || table.gatewayOf(device) !== undefined;
    // Its CONNACK may have been faster than the event that tells us.
    if (!isThere()) await this.#deps.settled();
    if (queue) await this.#untilListening(call);
    if (call.done.signal.aborted) return;
    const topic = deviceTopic(device, `rpc/request/${id}`);
    const gateway = table.gatewayOf(device);
    if (gateway !== undefined) {
      const request = { id, method, params, qos, timeoutMs };
      call.to = gateway;
      if (!(await this.#deps.throughGateway(gateway, device, request))) throw away(call);
    } else if (table.isConnected(device)) {
      // Nobody waits for it later: it is not kept longer than that.
      const messageExpiryInterval = Math.ceil(timeoutMs / 1000);
      const payload = requestText({ method, params });
      const properties = { messageExpiryInterval };
      call.to = table.connectionsOf(device);
      const code = await this.#deps.publish(topic, payload, { qos, properties });
      if (code === kNoSubscribers) {
        throw fail('ST_DEVICE_NOT_LISTENING', { device: textOf(device), method });
      }
    } else {
      throw away(call);
    }
    if (!call.oneWay || call.done.signal.aborted) return;
    this.#forget(call);
    call.resolve(undefined);
  }

  /** It has lost a connection, or its gateway has let go of it. */
  left(device: DeviceName): void {
    for (const call of this.#ofDevice.get(keyOf(device)) ?? []) this.#look(call);
  }

  sessionEnded(clientId: string): void {
    for (const call of this.#ofSession.get(clientId) ?? []) this.#look(call);
  }

  #look(call: Call): void {
    if (call.to === undefined || this.#ended) return;
    this.#mayAnswer(call).catch((error: unknown) => {
      // The broker stops, which end() tells.
      if (!this.#ended) this.#fail(call, error);
    });
  }

  /** Ends the call where nobody who has got it can answer it any more. */
  async #mayAnswer(call: Call): Promise<void> {
    const { device, method, to } = call;
    const { table, settled, hasSession } = this.#deps;
    // What it has said before it went comes first, over another thread perhaps.
    await settled();
    await settled();
    if (to === undefined || !this.#calls.has(call.id)) return;
    if ('clientId' in to) {
      if (table.gatewayOf(device)?.clientId === to.clientId) return;
      const why = 'its gateway does not speak for it any more';
      if (this.#fail(call, gone(device, method, why))) this.gone++;
      return;
    }
    if (table.isConnected(device)) return;
    for (const { clientId, instance } of to) {
      if (!this.#calls.has(call.id)) return;
      this.#ofSession.set(clientId, (this.#ofSession.get(clientId) ?? new Set()).add(call));
      if (await hasSession(clientId, instance)) return;
    }
    if (this.#fail(call, gone(device, method, 'its session has ended'))) this.gone++;
  }

  /** Resolves when the device is there and has subscribed, or nobody waits any more. */
  async #untilListening(call: Call): Promise<void> {
    const { device } = call;
    const { table } = this.#deps;
    const topic = deviceTopic(device, `rpc/request/${call.id}`);
    for (let pause = kFirstLookMs; !call.done.signal.aborted; ) {
      if (table.gatewayOf(device) !== undefined) return;
      if (!table.isConnected(device)) {
        await this.#online(call);
        pause = kFirstLookMs;
        continue;
      }
      const rows = await this.#deps.routes(topic);
      if (rows.some(({ clientId }) => table.isClientOf(device, clientId))) return;
      await sleep(pause, call.done.signal);
      pause = Math.min(2 * pause, kLastLookMs);
    }
  }

  #online({ device, done }: Call): Promise<void> {
    return new Promise((resolve) => {
      const over = () => {
        stop();
        done.signal.removeEventListener('abort', over);
        resolve();
      };
      const stop = this.#deps.table.onOnline(device, over);
      done.signal.addEventListener('abort', over, { once: true });
    });
  }

  /** False: it is over already. */
  #fail(call: Call, error: unknown): boolean {
    if (!this.#forget(call)) return false;
    call.reject(error);
    return true;
  }

  #forget(call: Call): boolean {
    if (!this.#calls.delete(call.id)) return false;
    take(this.#ofDevice, call.key, call);
    if (call.to !== undefined && !('clientId' in call.to)) {
      for (const { clientId } of call.to) take(this.#ofSession, clientId, call);
    }
    call.done.abort();
    return true;
  }

  #freeId(): number {
    do this.#lastId = this.#lastId >= 0x7fffffff ? 1 : this.#lastId + 1;
    while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }
}

/** As ThingsBoard has it; without `params` where there are none. Throws for what JSON cannot say. */
function requestText(request: { readonly method: string; readonly params: unknown }): string {
  return JSON.stringify(request);
}

function away({ device, method }: Call): Error {
  return fail('ST_DEVICE_NOT_CONNECTED', { device: textOf(device), method });
}

function gone({ id, tenant }: DeviceName, method: string, why: string): Error {
  return fail('ST_DEVICE_GONE', { device: textOf({ id, tenant }), method, why });
}

function take(from: Map<string, Set<Call>>, key: string, call: Call): void {
  const left = from.get(key);
  left?.delete(call);
  if (left?.size === 0) from.delete(key);
}

function stopped(doing: string): Error {
  return fail('ST_BROKER_STATE', { doing, state: 'stopped', next: 'await start() first' });
}

function refuse(doing: string, name: string, found: unknown, allowed: string): Promise<never> {
  const shown = typeof found === 'string' ? JSON.stringify(found) : String(found);
  return Promise.reject(fail('ST_ARGUMENT', { doing, name, found: shown, allowed }));
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener('abort', over, { once: true });
  });
}
