/** Clients, sessions, subscriptions and retained messages as applications see them: over the registry. */
import { fail } from '../errors.js';
import { checkPublishOptions } from '../link/check.js';
import type { Link } from '../link/link.js';
import type { PublishOptions } from '../link/options.js';
import { checkTopic } from '../link/topics.js';
import { checkDisconnect, type DisconnectOptions } from './disconnect.js';
import { Listing } from './listing.js';
import type {
  ClientDetail,
  ClientRow,
  Page,
  PageRequest,
  Registry,
  RetainedRow,
  SubscribeRequest,
  SubscriptionRow,
} from './registry.js';

/** Which connection of a Client Identifier: `instance` of its rows. */
export interface InstanceChoice {
  readonly instance?: number | undefined;
}

const clientFields: readonly (keyof ClientRow)[] = [
  'clientId',
  'instance',
  'connectionId',
  'connected',
  'username',
  'address',
  'listener',
  'protocolVersion',
  'cleanStart',
  'keepAlive',
  'sessionExpiry',
  'createdAt',
  'connectedAt',
  'disconnectedAt',
  'lastReceivedAt',
  'lastCause',
  'subscriptions',
  'queuedMessages',
  'queuedBytes',
  'inFlight',
  'inboundInFlight',
  'dropped',
  'hasWill',
  'thread',
];
const subscriptionFields: readonly (keyof SubscriptionRow)[] = [
  'clientId',
  'instance',
  'filter',
  'qos',
  'noLocal',
  'retainAsPublished',
  'retainHandling',
  'subscriptionId',
  'group',
];
const retainedFields: readonly (keyof RetainedRow)[] = [
  'topic',
  'qos',
  'publisher',
  'expiresAt',
  'sequence',
];

/** Clients that are connected. */
export class Clients extends Listing<ClientRow> {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    const source = (page: PageRequest) => registry.clients(page);
    super('listing clients', source, clientFields, (row) => row.connected);
    this.#registry = registry;
  }

  /**
   * In detail; undefined = nobody of this Client Identifier is connected. Without `instance` the first
   * of its connections, or, where that is away, the one with the least number.
   */
  async get(
    clientId: string,
    { instance }: InstanceChoice = {},
  ): Promise<ClientDetail | undefined> {
    const detail = await this.#registry.client(clientId, instance);
    if (detail === undefined || detail.connected) return detail;
    const [other] = instance === undefined ? detail.instances : [];
    return other === undefined ? undefined : this.#registry.client(clientId, other);
  }

  /**
   * Closes its connection, all of them where it has several and `instance` names none; MQTT 5.0
   * clients are told `reasonCode` (default 0x98) and `reason`. A session that outlives it stays.
   * Resolves with whether there was a connection.
   */
  async disconnect(clientId: string, options: DisconnectOptions = {}): Promise<boolean> {
    const { reasonCode, reason, instance } = checkDisconnect(clientId, options);
    return this.#registry.kick(clientId, reasonCode, reason, instance);
  }
}

/** Sessions, with a connection or without. */
export class Sessions extends Listing<ClientRow> {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    super('listing sessions', (page) => registry.clients(page), clientFields);
    this.#registry = registry;
  }

  get(clientId: string, { instance }: InstanceChoice = {}): Promise<ClientDetail | undefined> {
    return this.#registry.client(clientId, instance);
  }

  /**
   * Ends it, its connection first: subscriptions and waiting messages go. With several connections of
   * this Client Identifier all of it ends, unless `instance` names one. Whether there was one.
   */
  end(clientId: string, { instance }: InstanceChoice = {}): Promise<boolean> {
    return this.#registry.endSession(clientId, instance);
  }
}

/** Subscriptions of all sessions. */
export class Subscriptions extends Listing<SubscriptionRow> {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    super('listing subscriptions', (page) => registry.subscriptions(page), subscriptionFields);
    this.#registry = registry;
  }

  /** Those of one client. */
  of(clientId: string, { instance }: InstanceChoice = {}): Listing<SubscriptionRow> {
    const source = (page: PageRequest): Promise<Page<SubscriptionRow>> =>
      this.#registry.subscriptions({ ...page, clientId, instance });
    return new Listing('listing subscriptions', source, subscriptionFields);
  }

  /** Who would get a message published to this Topic Name: at most 10,000. */
  matching(topic: string): Promise<readonly SubscriptionRow[]> {
    return this.#registry.routes(topic);
  }

  /** On behalf of a client: the Reason Code of its SUBACK; undefined = no such session. */
  add(clientId: string, request: SubscribeRequest): Promise<number | undefined> {
    return this.#registry.subscribe(clientId, request);
  }

  /** The Reason Code of its UNSUBACK; undefined = no such session. */
  remove(
    clientId: string,
    filter: string,
    { instance }: InstanceChoice = {},
  ): Promise<number | undefined> {
    return this.#registry.unsubscribe(clientId, filter, instance);
  }
}

/** Retained messages, by topic. */
export class RetainedMessages extends Listing<RetainedRow> {
  readonly #registry: Registry;
  readonly #openLink: () => Promise<Link>;
  #link: Promise<Link> | undefined;

  constructor(registry: Registry, openLink: () => Promise<Link>) {
    super('listing retained messages', (page) => registry.retained(page), retainedFields);
    this.#registry = registry;
    this.#openLink = openLink;
  }

  /** Those whose topic matches a Topic Filter: found through the index, not by looking at all. */
  matching(filter: string): Listing<RetainedRow> {
    const source = (page: PageRequest): Promise<Page<RetainedRow>> =>
      this.#registry.retained({ ...page, filter });
    return new Listing('listing retained messages', source, retainedFields);
  }

  get(topic: string): Promise<RetainedRow | undefined> {
    return this.#registry.retainedMessage(topic);
  }

  /**
   * Publishes it with RETAIN, QoS 1 unless `qos` says otherwise: subscribers get it too. Resolves
   * when the broker has taken it. A link of the broker's own is opened for it, once.
   */
  async set(
    topic: string,
    payload: string | Uint8Array,
    options: Omit<PublishOptions, 'retain'> = {},
  ): Promise<void> {
    if (payload?.length === 0) {
      const allowed = 'at least one byte: delete() takes a retained message away';
      const doing = 'setting a retained message';
      throw fail('ST_ARGUMENT', { doing, name: 'payload', found: 'empty', allowed });
    }
    checkTopic(topic, 'setting a retained message');
    const more = { qos: 1 as const, ...options, retain: true };
    checkPublishOptions(payload, more);
    const link = await this.#ownLink();
    await link.publish(topic, payload, more);
  }

  /** Whether there was one. Subscribers are not told. */
  delete(topic: string): Promise<boolean> {
    return this.#registry.deleteRetained(topic);
  }

  async #ownLink(): Promise<Link> {
    const known = await this.#link?.catch(() => undefined);
    if (known?.isOpen === true) return known;
    const opening = this.#openLink();
    this.#link = opening;
    return opening;
  }
}

export interface Listings {
  readonly clients: Clients;
  readonly sessions: Sessions;
  readonly subscriptions: Subscriptions;
  readonly retained: RetainedMessages;
}

export function makeListings(registry: Registry, openLink: () => Promise<Link>): Listings {
  return {
    clients: new Clients(registry),
    sessions: new Sessions(registry),
    subscriptions: new Subscriptions(registry),
    retained: new RetainedMessages(registry, openLink),
  };
}
