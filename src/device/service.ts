/**
 * Devices of one run: presence, requests to them, and what they ask. A link of its own carries what is
 * published; what devices ask is taken by a hook, so that no device gets its own question.
 */
import { fail, messageOf, type StMqttdError } from '../errors.js';
import type {
  HookMessage,
  HookOptions,
  MessageVerdict,
  PublishHook,
  Unregister,
} from '../hooks/types.js';
import type { Link } from '../link/link.js';
import type { MessageProperties, Qos } from '../link/packets.js';
import type { ConnectInfo, DisconnectInfo, SessionEndInfo } from '../session/events.js';
import type { Page, PageRequest, Registry } from '../session/registry.js';
import type { DirectWriteOptions, DirectWriteResult } from './direct-write.js';
import { Gateways } from './gateway.js';
import { type Handlers, Inbound } from './inbound.js';
import { Presence } from './presence.js';
import { RpcCalls } from './rpc.js';
import { DeviceTable } from './state.js';
import { type DevicePlace, deviceTopic, parseJson, readDeviceTopic } from './topics.js';
import type { DeviceCounts, DeviceName, DeviceState, Json, RequestOptions } from './types.js';

export interface DeviceServiceDeps {
  readonly openLink: () => Promise<Link>;
  readonly registry: Pick<Registry, 'clients' | 'client' | 'routes'>;
  readonly ping: () => Promise<void>;
  /** Clients of this listener are the devices that their Client Identifiers name. */
  readonly isOpen: (listener: string) => boolean;
  readonly hasTenants: boolean;
  readonly handlers: Handlers;
  readonly hook: (filter: string, handler: PublishHook, options: HookOptions) => Unregister;
  /** device.gateways, as in force. */
  readonly gateways: () => readonly string[];
  /** Tenants are enforced: clients see theirs before their topics. */
  readonly showsTenant: boolean;
  readonly write: (
    clientId: string,
    topic: string,
    payload: string,
    options: DirectWriteOptions,
  ) => Promise<DirectWriteResult>;
  readonly warn: (text: string) => void;
  readonly maxKnown: () => number;
  readonly log: (error: StMqttdError, suppressed: number) => void;
  readonly onError: (error: unknown) => void;
}

const kTaken: MessageVerdict = { drop: 0 };
/** An answer that its device does not fetch within this time is of no use any more. */
const kAnswerExpiryS = 60;
const kInTenants = '/tenants/+/';
const kMaxKeys = 1000;

export class DeviceService {
  readonly #deps: DeviceServiceDeps;
  readonly #table: DeviceTable;
  readonly #presence: Presence;
  readonly #calls: RpcCalls;
  readonly #inbound: Inbound;
  readonly #gateways: Gateways;
  readonly #hooks = new Map<PublishHook, Unregister[]>();
  #link: Promise<Link> | undefined;
  #linkId: string | undefined;
  #ended = false;

  constructor(deps: DeviceServiceDeps) {
    this.#deps = deps;
    const { registry, ping, isOpen, hasTenants, onError, handlers, log } = deps;
    this.#table = new DeviceTable(deps.maxKnown);
    this.#presence = new Presence({
      table: this.#table,
      clients: (page) => registry.clients(page),
      client: (clientId, instance) => registry.client(clientId, instance),
      ...{ ping, isOpen, hasTenants, onError },
    });
    this.#calls = new RpcCalls({
      table: this.#table,
      settled: () => this.#presence.settled(),
      publish: (topic, payload, options) => this.#publish(topic, payload, options),
      routes: (topic) => registry.routes(topic),
      hasSession: async (clientId, instance) =>
        (await registry.client(clientId, instance)) !== undefined,
      throughGateway: (gateway, device, request) =>
        this.#gateways.request(gateway, device, request),
    });
    this.#table.onLeft = (device) => this.#calls.left(device);
    this.#inbound = new Inbound({ handlers, log });
    const { gateways, showsTenant, write, warn } = deps;
    this.#gateways = new Gateways({
      ...{ table: this.#table, gateways, showsTenant, write, warn },
      settled: () => this.#presence.settled(),
      publish: (topic, payload, options) => this.#publish(topic, payload, options),
      answered: (device, id, payload) => this.#calls.answered(device, id, payload),
      attributes: (device, keys) => this.#inbound.attributes(device, keys),
    });
  }

  /** Who is connected is known, and answers can come, when this resolves. */
  async begin(): Promise<void> {
    await this.#deps.ping();
    await this.#presence.list();
    await this.#opened();
  }

  /** Takes over which handlers and gateways there are. */
  serve(): void {
    const { methods, attributes } = this.#deps.handlers;
    const of = 'v1/devices/+';
    this.#hook(methods.size > 0, `${of}/rpc/request/+`, this.#onRequest);
    this.#hook(attributes !== undefined, `${of}/attributes/request/+`, this.#onAttributes);
    this.#hook(this.#deps.gateways().length > 0, 'v1/gateway/#', this.#onGateway);
    this.#gateways.apply();
  }

  connect(client: ConnectInfo): void {
    this.#presence.connect(client);
  }
  disconnect(client: DisconnectInfo): void {
    const device = this.#table.ofConnection(client.connectionId);
    this.#presence.disconnect(client);
    this.#gateways.gone(client.clientId, device);
  }

  sessionEnded({ clientId }: SessionEndInfo): void {
    this.#calls.sessionEnded(clientId);
  }

  request(
    device: DeviceName,
    method: string,
    params: Json | undefined,
    options: RequestOptions,
  ): Promise<unknown> {
    return this.#calls.request(device, method, params, options, false);
  }
  async notify(
    device: DeviceName,
    method: string,
    params: Json | undefined,
    options: RequestOptions,
  ): Promise<void> {
    await this.#calls.request(device, method, params, options, true);
  }

  async setAttributes(
    device: DeviceName,
    shared: { readonly [key: string]: Json },
  ): Promise<boolean> {
    if (typeof shared !== 'object' || shared === null || Array.isArray(shared)) {
      const allowed = 'an object of attributes';
      const doing = 'setting attributes';
      throw fail('ST_ARGUMENT', { doing, name: 'shared', found: String(shared), allowed });
    }
    const gateway = this.#table.gatewayOf(device);
    if (gateway !== undefined) return this.#gateways.setAttributes(gateway, device, shared);
    const topic = deviceTopic(device, 'attributes');
    return (await this.#publish(topic, JSON.stringify(shared), { qos: 1 })) !== 0x10;
  }

  async state(device: DeviceName): Promise<DeviceState | undefined> {
    await this.#presence.settled();
    await this.#presence.heard([device]);
    return this.#table.state(device);
  }
  async list(page: PageRequest): Promise<Page<DeviceState>> {
    if (page.cursor === undefined) await this.#presence.settled();
    await this.#presence.heard(this.#table.list(page).items);
    return this.#table.list(page);
  }

  counts(): DeviceCounts {
    return {
      devicesKnown: this.#table.size,
      devicesOnline: this.#table.online,
      requestsUnderWay: this.#calls.underWay,
      requests: this.#calls.requests,
      answers: this.#calls.answers,
      timeouts: this.#calls.timeouts,
      requestsRefused: this.#calls.refused,
      requestsGone: this.#calls.gone,
      lateAnswers: this.#calls.late,
      foreignAnswers: this.#calls.foreign,
      deviceRequests: this.#inbound.requests,
      deviceRequestErrors: this.#inbound.errors,
      gatewayMessages: this.#gateways.messages,
      gatewayRefused: this.#gateways.refused,
    };
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const unregister of [...this.#hooks.values()].flat()) unregister();
    this.#calls.end();
    this.#inbound.end();
  }

  /** The link; another one where it has been ended from outside. */
  #opened(): Promise<Link> {
    this.#link ??= this.#open().catch((error) => {
      this.#link = undefined;
      throw error;
    });
    return this.#link;
  }

  async #open(): Promise<Link> {
    const link = await this.#deps.openLink();
    this.#linkId = link.clientId;
    const filters = this.#both('v1/devices/me/rpc/response/+');
    const subscription = link.subscribe(filters, { qos: 1, retainHandling: 2 });
    const read = subscription.forEach((message) => {
      this.#calls.handle(message);
    });
    read.catch(() => undefined);
    link.closed.then(() => {
      this.#link = undefined;
      // Answers to what is under way still have somewhere to go.
      if (!this.#ended) this.#opened().catch(this.#deps.onError);
    });
    await subscription.ready;
    return link;
  }

  #both(filter: string): string[] {
    return this.#deps.hasTenants ? [filter, `${kInTenants}${filter}`] : [filter];
  }

  async #publish(
    topic: string,
    payload: string,
    options: { readonly qos: Qos; readonly properties?: MessageProperties },
  ): Promise<number> {
    const link = await this.#opened();
    return (await link.publish(topic, payload, options)).reasonCode;
  }

  #hook(isWanted: boolean, filter: string, handler: PublishHook): void {
    const known = this.#hooks.get(handler);
    if (isWanted === (known !== undefined)) return;
    for (const unregister of known ?? []) unregister();
    this.#hooks.delete(handler);
    if (!isWanted) return;
    // What cannot be told whose it is goes to nobody.
    const options = {
      name: `the broker's own of ${filter}`,
      onError: 'drop',
      onTimeout: 'drop',
    } as const;
    const hooks = this.#both(filter).map((one) => this.#deps.hook(one, handler, options));
    this.#hooks.set(handler, hooks);
  }

  /** Whose request it is; undefined: a service's, for a device. */
  async #asker(message: HookMessage, place: DevicePlace): Promise<DeviceName | undefined> {
    if (message.clientId === this.#linkId || message.isWill) return undefined;
    const id = place.id === 'me' ? (message.deviceId ?? message.clientId) : place.id;
    const device = { id, tenant: place.tenant };
    if (!this.#table.isClientOf(device, message.clientId)) {
      await this.#presence.settled();
      if (!this.#table.isClientOf(device, message.clientId)) return undefined;
    }
    this.#table.touch(device);
    return device;
  }

  readonly #onRequest = (message: HookMessage): MessageVerdict | Promise<MessageVerdict> =>
    this.#take(message, (device) => {
      const [error, request] = readJson(message.payload);
      if (error !== undefined) return this.#inbound.refused(error);
      return this.#inbound.call(device, request);
    });

  readonly #onAttributes = (message: HookMessage): MessageVerdict | Promise<MessageVerdict> =>
    this.#take(message, (device) => {
      const [error, request] = readJson(message.payload);
      if (error !== undefined) return this.#inbound.refused(error);
      const { clientKeys, sharedKeys } = (request ?? {}) as Record<string, unknown>;
      return this.#inbound.attributes(device, {
        client: keysOf(clientKeys),
        shared: keysOf(sharedKeys),
      });
    });

  readonly #onGateway = (message: HookMessage): Promise<MessageVerdict> =>
    this.#gateways.take(message);

  async #take(
    message: HookMessage,
    answer: (device: DeviceName) => Promise<string>,
  ): Promise<MessageVerdict> {
    if (message.clientId === this.#linkId) return undefined;
    const place = readDeviceTopic(message.topic);
    const device = place === undefined ? undefined : await this.#asker(message, place);
    if (place === undefined || device === undefined) return undefined;
    const topic = deviceTopic(device, place.rest.replace('/request/', '/response/'));
    const properties = { messageExpiryInterval: kAnswerExpiryS };
    // Not waited for: the device's other messages go on.
    answer(device)
      .then((payload) => this.#publish(topic, payload, { qos: 1, properties }))
      .catch((error) => {
        if (!this.#ended) this.#deps.onError(error);
      });
    return kTaken;
  }
}

function readJson(payload: Buffer): [string, undefined] | [undefined, unknown] {
  try {
    return [undefined, parseJson(payload)];
  } catch (error) {
    return [`the request is not JSON in UTF-8: ${messageOf(error).slice(0, 100)}`, undefined];
  }
}

/** "a,b" as ThingsBoard has it, or a list. */
function keysOf(value: unknown): readonly string[] {
  const keys = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : [];
  return keys
    .filter((key): key is string => typeof key === 'string')
    .map((key) => key.trim())
    .filter((key) => key !== '')
    .slice(0, kMaxKeys);
}
