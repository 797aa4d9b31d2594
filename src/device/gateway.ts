/**
 * ThingsBoard's gateways: one session that speaks for many devices, by `v1/gateway/…`. What a gateway
 * publishes is taken out of the traffic and published again as its devices' own; what is for its
 * devices is written to it alone. So nobody sees another's gateway topics, whatever he subscribes to.
 */
import { messageOf } from '../errors.js';
import type { HookMessage, MessageVerdict } from '../hooks/types.js';
import type { Qos } from '../link/packets.js';
import { isFitDeviceId } from '../link/topics.js';
import { globOf } from '../session/glob.js';
import type { DirectWriteOptions, DirectWriteResult } from './direct-write.js';
import { membersOf } from './json-members.js';
import type { GatewayRequest } from './rpc.js';
import type { DeviceTable, GatewayRef } from './state.js';
import { deviceTopic, isObject, textOf } from './topics.js';
import type { DeviceName, Json } from './types.js';

export interface GatewayDeps {
  readonly table: DeviceTable;
  readonly settled: () => Promise<void>;
  /** Device ids of gateways, with `*`; of those in tenants "tenant/id". */
  readonly gateways: () => readonly string[];
  /** A client sees the tenant before its topics. */
  readonly showsTenant: boolean;
  readonly publish: (
    topic: string,
    payload: string,
    options: { readonly qos: Qos },
  ) => Promise<unknown>;
  readonly write: (
    clientId: string,
    topic: string,
    payload: string,
    options: DirectWriteOptions,
  ) => Promise<DirectWriteResult>;
  readonly answered: (device: DeviceName, id: number, payload: Buffer) => void;
  /** The answer's JSON. */
  readonly attributes: (
    device: DeviceName,
    keys: { readonly client: readonly string[]; readonly shared: readonly string[] },
  ) => Promise<string>;
  readonly warn: (text: string) => void;
}

/** One gateway may speak for so many at a time: names cost memory. */
const kMaxBehind = 10_000;
const kNotAuthorized = 0x87;
const kPayloadInvalid = 0x99;
const kTopicInvalid = 0x90;
const kQuietMs = 1000;
const kTaken: MessageVerdict = { drop: 0 };
const utf8 = new TextDecoder('utf-8', { fatal: true });

export class Gateways {
  readonly #deps: GatewayDeps;
  #saidAt = 0;
  messages = 0;
  refused = 0;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
  }

  /** The hook of `v1/gateway/#`. */
  async take(message: HookMessage): Promise<MessageVerdict> {
    const found = /^(?:\/tenants\/([^/]+)\/)?v1\/gateway\/(.+)$/s.exec(message.topic);
    const gateway = message.isWill ? undefined : await this.#gatewayOf(message, found?.[1]);
    if (gateway === undefined) {
      return this.#refuse(message, kNotAuthorized, 'the client is no gateway (device.gateways)');
    }
    this.messages++;
    try {
      const text = utf8.decode(message.payload);
      return await this.#handle(found?.[2] ?? '', gateway, message, text);
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof TypeError) {
        const why = `the payload cannot be read: ${messageOf(error).slice(0, 100)}`;
        return this.#refuse(message, kPayloadInvalid, why);
      }
      throw error;
    }
  }

  /** After a reload: who is no gateway any more speaks for nobody. */
  apply(): void {
    const { table } = this.#deps;
    for (const gateway of table.gateways()) {
      const { device: id, tenant, clientId } = gateway;
      if (!this.#isGateway({ id, tenant })) table.gatewayGone(clientId);
    }
  }

  /** A connection of this Client Identifier has ended. */
  gone(clientId: string, device: DeviceName | undefined): void {
    const { table } = this.#deps;
    // Its successor is there already: who is behind it stays.
    if (device !== undefined && table.isClientOf(device, clientId)) return;
    table.gatewayGone(clientId);
  }

  async request(
    gateway: GatewayRef,
    device: DeviceName,
    { id, method, params, qos, timeoutMs }: GatewayRequest,
  ): Promise<boolean> {
    const payload = JSON.stringify({ device: device.id, data: { id, method, params } });
    return this.#write(gateway, 'rpc', payload, qos, timeoutMs);
  }

  setAttributes(
    gateway: GatewayRef,
    device: DeviceName,
    data: { readonly [key: string]: Json },
  ): Promise<boolean> {
    return this.#write(gateway, 'attributes', JSON.stringify({ device: device.id, data }), 1);
  }

  #handle(
    kind: string,
    gateway: GatewayRef,
    message: HookMessage,
    text: string,
  ): Promise<MessageVerdict> | MessageVerdict {
    switch (kind) {
      case 'connect':
        return this.#verdict(message, [this.#claim(gateway, namedIn(text))]);
      case 'disconnect': {
        const device = { id: namedIn(text), tenant: gateway.tenant };
        if (this.#deps.table.wentBehind(device, gateway)) return kTaken;
        return this.#refuse(message, kNotAuthorized, `"${device.id}" is not behind this gateway`);
      }
      case 'telemetry':
      case 'attributes':
        return this.#republish(kind, gateway, message, text);
      case 'attributes/request':
        return this.#attributes(gateway, message, text);
      case 'rpc':
        return this.#answer(gateway, message, text);
      default:
        return this.#refuse(message, kTopicInvalid, `v1/gateway/${kind} means nothing`);
    }
  }

  async #republish(
    kind: string,
    gateway: GatewayRef,
    message: HookMessage,
    text: string,
  ): Promise<MessageVerdict> {
    const { qos } = message;
    const claims: (string | undefined)[] = [];
    const sent: Promise<unknown>[] = [];
    for (const [id, value] of membersOf(text)) {
      const why = this.#claim(gateway, id);
      claims.push(why);
      if (why !== undefined) continue;
      const topic = deviceTopic({ id, tenant: gateway.tenant }, kind);
      sent.push(this.#deps.publish(topic, value, { qos }));
    }
    // The gateway's acknowledgement says that all of them are taken.
    await Promise.all(sent);
    return this.#verdict(message, claims);
  }

  #answer(gateway: GatewayRef, message: HookMessage, text: string): MessageVerdict {
    const members = new Map(membersOf(text));
    const named: unknown = JSON.parse(members.get('device') ?? 'null');
    const id: unknown = JSON.parse(members.get('id') ?? 'null');
    if (typeof named !== 'string' || typeof id !== 'number') {
      throw new TypeError('it is not {"device": …, "id": …, "data": …}');
    }
    const device = { id: named, tenant: gateway.tenant };
    if (this.#deps.table.gatewayOf(device)?.clientId !== gateway.clientId) {
      return this.#refuse(message, kNotAuthorized, `"${named}" is not behind this gateway`);
    }
    this.#deps.answered(device, id, Buffer.from(members.get('data') ?? 'null'));
    return kTaken;
  }

  async #attributes(
    gateway: GatewayRef,
    message: HookMessage,
    text: string,
  ): Promise<MessageVerdict> {
    const request: unknown = JSON.parse(text);
    if (!isObject(request) || typeof request.device !== 'string') {
      throw new TypeError('it is not {"id": …, "device": …, "client": …, "key": …}');
    }
    const { id, device: name, client, key, keys } = request;
    const why = this.#claim(gateway, name);
    if (why !== undefined) return this.#verdict(message, [why]);
    const device = { id: name, tenant: gateway.tenant };
    const named = Array.isArray(keys) ? keys : [key];
    const wanted = named.filter((one): one is string => typeof one === 'string');
    const asked = client === true ? { client: wanted, shared: [] } : { client: [], shared: wanted };
    // Not waited for: the gateway's other messages go on.
    this.#deps
      .attributes(device, asked)
      .then((json) => {
        const answer: unknown = JSON.parse(json);
        const of = isObject(answer) ? answer[client === true ? 'client' : 'shared'] : undefined;
        const values = isObject(of) ? of : {};
        const error = isObject(answer) ? answer.error : undefined;
        const given = Array.isArray(keys) ? { values } : { value: values[wanted[0] ?? ''] ?? null };
        const payload = JSON.stringify({
          id,
          device: name,
          ...(error === undefined ? given : { error }),
        });
        return this.#write(gateway, 'attributes/response', payload, 1);
      })
      .catch(() => undefined);
    return kTaken;
  }

  async #write(
    gateway: GatewayRef,
    kind: string,
    payload: string,
    qos: Qos,
    timeoutMs = 30_000,
  ): Promise<boolean> {
    const { tenant, clientId } = gateway;
    const prefix = tenant === undefined || !this.#deps.showsTenant ? '' : `/tenants/${tenant}/`;
    const { outcome } = await this.#deps.write(clientId, `${prefix}v1/gateway/${kind}`, payload, {
      qos,
      timeoutMs,
      properties: { messageExpiryInterval: Math.ceil(timeoutMs / 1000) },
    });
    return outcome !== 'dropped';
  }

  /** Why it may not speak for it; undefined = it may, and the device is behind it from now on. */
  #claim(gateway: GatewayRef, id: string): string | undefined {
    const { table } = this.#deps;
    if (!isFitDeviceId(id)) return `${JSON.stringify(id)} cannot be a device id`;
    const device = { id, tenant: gateway.tenant };
    if (table.isConnected(device)) return `"${id}" is connected itself`;
    const other = table.gatewayOf(device);
    if (other === undefined) {
      if (table.behind(gateway.clientId) >= kMaxBehind) {
        return `"${id}" is one too many: ${kMaxBehind} devices are behind this gateway`;
      }
    } else if (other.clientId !== gateway.clientId) {
      return `"${id}" is behind another gateway`;
    }
    table.cameBehind(device, gateway);
    return undefined;
  }

  #isGateway(device: DeviceName): boolean {
    const name = textOf(device);
    return this.#deps.gateways().some((pattern) => globOf(pattern)(name));
  }

  async #gatewayOf(
    { deviceId, clientId }: HookMessage,
    tenant: string | undefined,
  ): Promise<GatewayRef | undefined> {
    const device = { id: deviceId ?? clientId, tenant };
    if (!this.#isGateway(device)) return undefined;
    const { table } = this.#deps;
    if (!table.isClientOf(device, clientId)) {
      await this.#deps.settled();
      // A reload may have come in between, too.
      if (!table.isClientOf(device, clientId) || !this.#isGateway(device)) return undefined;
    }
    table.touch(device);
    return { device: device.id, tenant, clientId };
  }

  /** Refused where nothing of it could be taken; else what could be is. */
  #verdict(message: HookMessage, claims: readonly (string | undefined)[]): MessageVerdict {
    const whys = claims.filter((why) => why !== undefined);
    if (whys.length === 0) return kTaken;
    const verdict = this.#refuse(message, kNotAuthorized, whys[0] ?? '', whys.length);
    return whys.length === claims.length ? verdict : kTaken;
  }

  #refuse(message: HookMessage, drop: number, reason: string, count = 1): MessageVerdict {
    this.refused += count;
    const now = Date.now();
    if (now - this.#saidAt >= kQuietMs) {
      this.#saidAt = now;
      this.#deps.warn(`gateway "${message.clientId}": ${message.topic} refused: ${reason}`);
    }
    return { drop, reason };
  }
}

/** {"device": "…"} */
function namedIn(text: string): string {
  const value: unknown = JSON.parse(text);
  if (isObject(value) && typeof value.device === 'string') return value.device;
  throw new TypeError('it is not {"device": …}');
}
