/** A SUBSCRIBE on its way through the hooks: each of its filters by itself, answered together. */
import { showFound } from '../errors.js';
import { isFilter } from '../link/topics.js';
import { HookFlag, SubscribeHook as Record } from '../native/contract.js';
import { type ProtocolVersion, versions } from '../native/events.js';
import type { Step } from './chain.js';
import type { DeviceTopics } from './device-topics.js';
import { splitShared } from './overlap.js';
import type { Hook } from './registry.js';
import type { HookClient, HookSubscription, SubscribeHook, SubscriptionChange } from './types.js';

const l = Record.at;
const kNotAuthorized = 0x87;
const kFailed = 0x83;
/** What SUBACK can say (MQTT 5.0, 3.9.3). */
const codes: ReadonlySet<unknown> = new Set([0x80, 0x83, 0x87, 0x8f, 0x97, 0x9e, 0xa1, 0xa2]);
const words = { pass: 'the subscription stays as it was', drop: 'the subscription is refused' };

export interface AskedFilter {
  /** As hooks see it: with its tenant. */
  readonly filter: string;
  /** What hooks are chosen by: in its internal form, without its $share part. */
  readonly inner: string;
  readonly qos: 0 | 1 | 2;
}

/** A subscribe_hook record, copied. */
export class AskedSubscribe {
  readonly connectionId: bigint;
  readonly client: HookClient & {
    readonly listener: string | undefined;
    readonly protocolVersion: ProtocolVersion;
    readonly subscriptionId: number;
  };
  readonly filters: readonly AskedFilter[];
  /** What stands before its topics, and its client does not write. */
  readonly prefix: string;

  constructor(
    buffer: Buffer,
    at: number,
    deps: { readonly listenerName: (id: number) => string; readonly devices: DeviceTopics },
  ) {
    this.connectionId = buffer.readBigUInt64LE(at + l.connection_id);
    const flags = buffer.readUInt8(at + l.flags);
    const isLink = (flags & HookFlag.is_link) !== 0;
    let start = at + Record.bytes;
    const text = (lengthAt: number) => {
      const end = start + buffer.readUInt32LE(at + lengthAt);
      const found = buffer.toString('utf8', start, end);
      start = end;
      return found;
    };
    const [clientId, username, tenant, deviceId] = [
      text(l.client_id_bytes),
      text(l.username_bytes) || undefined,
      text(l.tenant_bytes) || undefined,
      text(l.device_id_bytes) || undefined,
    ];
    this.client = {
      ...{ clientId, username, tenant, deviceId, isLink },
      instance: buffer.readUInt32LE(at + l.instance),
      listener: isLink ? undefined : deps.listenerName(buffer.readUInt32LE(at + l.listener_id)),
      protocolVersion: versions[buffer.readUInt8(at + l.protocol_level)] ?? '5.0',
      subscriptionId: buffer.readUInt32LE(at + l.subscription_id),
    };
    this.prefix = (flags & HookFlag.is_in_tenant) === 0 ? '' : `/tenants/${tenant}/`;
    const filters: AskedFilter[] = [];
    const end = start + buffer.readUInt32LE(at + l.filters_bytes);
    while (start < end) {
      const bytes = buffer.readUInt16BE(start);
      const [share, own] = splitShared(buffer.toString('utf8', start + 2, start + 2 + bytes));
      const plain = own.startsWith('$') ? own : `${this.prefix}${own}`;
      const inner =
        deviceId === undefined ? deps.devices.inner(plain) : deps.devices.enter(plain, deviceId);
      filters.push({
        filter: `${share}${plain}`,
        inner: inner ?? plain,
        qos: ((buffer[start + 2 + bytes] as number) & 3) as 0 | 1 | 2,
      });
      start += 3 + bytes;
    }
    this.filters = filters;
  }
}

/** What becomes of one filter. */
export interface FilterAnswer {
  readonly code: number;
  readonly qos: 0 | 1 | 2;
  /** '' = as it was asked for. */
  readonly filter: string;
  readonly failed: boolean;
  readonly timedOut: boolean;
}

export class FilterStep implements Step {
  readonly about: string;
  readonly words = words;
  failed = false;
  timedOut = false;
  readonly #asked: AskedSubscribe;
  readonly #done: (answer: FilterAnswer) => void;
  #filter: string;
  #qos: 0 | 1 | 2;

  constructor(asked: AskedSubscribe, one: AskedFilter, done: (answer: FilterAnswer) => void) {
    this.#asked = asked;
    this.#done = done;
    this.about = one.filter;
    this.#filter = one.filter;
    this.#qos = one.qos;
  }

  call(hook: Hook): unknown {
    const shown: HookSubscription = {
      ...this.#asked.client,
      filter: this.#filter,
      qos: this.#qos,
    };
    return (hook.handler as SubscribeHook)(shown);
  }

  take(answer: unknown): ReturnType<Step['take']> {
    if (answer === undefined || answer === 'pass') return 'next';
    if (answer === 'drop') return this.#end(kNotAuthorized);
    if (typeof answer !== 'object' || answer === null) {
      return { wrong: `it answered ${showFound(answer)}, which is no verdict` };
    }
    if ('refuse' in answer) {
      const { refuse } = answer;
      if (!codes.has(refuse)) return { wrong: `no SUBACK can have the code ${String(refuse)}` };
      return this.#end(refuse as number);
    }
    for (const key of Object.keys(answer)) {
      if (key !== 'filter' && key !== 'qos') {
        return { wrong: `nobody can change "${key}" of a subscription` };
      }
    }
    const { filter, qos } = answer as SubscriptionChange;
    if (filter !== undefined && !isFilter(filter)) {
      return { wrong: `${JSON.stringify(filter)} is not a Topic Filter` };
    }
    if (qos !== undefined && qos !== 0 && qos !== 1 && qos !== 2)
      return { wrong: 'the QoS is none' };
    if (filter !== undefined) {
      if (!splitShared(filter)[1].startsWith(this.#asked.prefix)) {
        return { wrong: `${JSON.stringify(filter)} is outside the client's tenant` };
      }
      this.#filter = filter;
    }
    if (qos !== undefined && qos < this.#qos) this.#qos = qos;
    return 'next';
  }

  drop(): void {
    this.#end(kFailed);
  }

  finish(): void {
    this.#end(0);
  }

  #end(code: number): 'end' {
    const { failed, timedOut } = this;
    const [share, plain] = splitShared(this.#filter);
    const own = `${share}${plain.slice(this.#asked.prefix.length)}`;
    const filter = this.#filter === this.about ? '' : own;
    this.#done({ code, qos: this.#qos, filter, failed, timedOut });
    return 'end';
  }
}

/** In the form of a HookVerdict's payload. */
export function encodeFilterAnswers(answers: readonly FilterAnswer[]): Buffer {
  return Buffer.concat(
    answers.flatMap(({ code, qos, filter }) => {
      const text = Buffer.from(filter, 'utf8');
      const head = Buffer.from([code, qos, text.length & 255, text.length >> 8]);
      return [head, text];
    }),
  );
}
