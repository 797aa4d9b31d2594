/**
 * Which devices there are: online by connections of their own or behind a gateway. Bounded: who is
 * online is known; of the others, the ones that were heard of last.
 */
import { fail } from '../errors.js';
import type { Page, PageRequest } from '../session/registry.js';
import { keyOf } from './topics.js';
import type { DeviceCause, DeviceName, DeviceState } from './types.js';

export interface Connection {
  readonly clientId: string;
  readonly instance: number;
  readonly id: bigint;
}

/** Whoever speaks for others. */
export interface GatewayRef {
  readonly device: string;
  readonly tenant: string | undefined;
  readonly clientId: string;
}

interface Known extends DeviceName {
  /** Never used again. */
  readonly number: number;
  /** Nearly always one; more where a device id has several clients. */
  readonly connections: Connection[];
  gateway: GatewayRef | undefined;
  clientId: string | undefined;
  connectedAt: number | undefined;
  disconnectedAt: number | undefined;
  lastCause: DeviceCause | undefined;
  lastActivityAt: number;
}

export class DeviceTable {
  /** In the order in which they were first heard of. */
  readonly #all = new Map<string, Known>();
  /** Of these, who is not online; who went first stands first. */
  readonly #away = new Map<string, Known>();
  #lastNumber = 0;
  readonly #byConnection = new Map<bigint, Known>();
  readonly #behind = new Map<string, Set<Known>>();
  readonly #watchers = new Map<string, Set<() => void>>();
  /** Told of each device whose connection or gateway it has no more; another may be there. */
  onLeft: ((name: DeviceName) => void) | undefined;
  readonly #now: () => number;
  readonly #limit: () => number;

  constructor(limit: () => number, now: () => number = Date.now) {
    this.#limit = limit;
    this.#now = now;
  }

  get size(): number {
    return this.#all.size;
  }

  get online(): number {
    return this.#all.size - this.#away.size;
  }

  state(name: DeviceName): DeviceState | undefined {
    const known = this.#all.get(keyOf(name));
    return known === undefined ? undefined : shown(known);
  }

  list({ cursor, limit }: PageRequest): Page<DeviceState> {
    const after = cursor === undefined ? 0 : Number(cursor);
    if (!Number.isSafeInteger(after) || after < 0) {
      const found = JSON.stringify(cursor);
      const allowed = 'that of the page before';
      throw fail('ST_ARGUMENT', { doing: 'listing devices', name: 'cursor', found, allowed });
    }
    const items: DeviceState[] = [];
    let last = after;
    for (const known of this.#all.values()) {
      if (known.number <= after) continue;
      if (items.length >= limit) return { items, next: String(last) };
      items.push(shown(known));
      last = known.number;
    }
    return { items, next: undefined };
  }

  /** By a connection of its own. */
  isConnected(name: DeviceName): boolean {
    return (this.#all.get(keyOf(name))?.connections.length ?? 0) > 0;
  }
  /** That it is behind, if it has no connection of its own. */
  gatewayOf(name: DeviceName): GatewayRef | undefined {
    const known = this.#all.get(keyOf(name));
    return known === undefined || known.connections.length > 0 ? undefined : known.gateway;
  }
  isClientOf(name: DeviceName, clientId: string): boolean {
    const known = this.#all.get(keyOf(name));
    return known?.connections.some((one) => one.clientId === clientId) === true;
  }
  /** Whose connection this is. */
  ofConnection(connectionId: bigint): DeviceName | undefined {
    return this.#byConnection.get(connectionId);
  }
  behind(clientId: string): number {
    return this.#behind.get(clientId)?.size ?? 0;
  }

  /** Who speaks for somebody now. */
  gateways(): GatewayRef[] {
    return [...this.#behind.values()].flatMap((all) => {
      const [one] = all;
      return one?.gateway === undefined ? [] : [one.gateway];
    });
  }

  touch(name: DeviceName): void {
    const known = this.#all.get(keyOf(name));
    if (known !== undefined) known.lastActivityAt = this.#now();
  }

  /** Its own: of these the native half knows when they were last heard of. */
  connectionsOf(name: DeviceName): readonly Connection[] {
    return [...(this.#all.get(keyOf(name))?.connections ?? [])];
  }
  heard(connectionId: bigint, at: number): void {
    const known = this.#byConnection.get(connectionId);
    if (known !== undefined) known.lastActivityAt = Math.max(at, known.lastActivityAt);
  }

  connected(name: DeviceName, connection: Connection, at = this.#now()): void {
    const { clientId, id } = connection;
    const known = this.#come(name, at);
    known.clientId = clientId;
    known.connections.push(connection);
    this.#byConnection.set(id, known);
    // Who is there himself needs nobody to speak for him.
    if (known.gateway !== undefined) this.#leaveGateway(known, known.gateway);
    this.#tell(known);
  }

  disconnected(connectionId: bigint, cause: DeviceCause): void {
    const known = this.#byConnection.get(connectionId);
    if (known === undefined) return;
    this.#byConnection.delete(connectionId);
    const at = known.connections.findIndex(({ id }) => id === connectionId);
    if (at >= 0) known.connections.splice(at, 1);
    if (known.connections.length === 0) this.#go(known, cause);
    this.onLeft?.(known);
  }

  /** The caller has seen to it that this gateway may. */
  cameBehind(name: DeviceName, gateway: GatewayRef): void {
    const known = this.#all.get(keyOf(name));
    if (known !== undefined && known.gateway?.clientId === gateway.clientId) {
      known.lastActivityAt = this.#now();
      return;
    }
    const come = this.#come(name, this.#now());
    come.gateway = gateway;
    const others = this.#behind.get(gateway.clientId) ?? new Set();
    this.#behind.set(gateway.clientId, others.add(come));
    this.#tell(come);
  }

  /** Whether it was behind this one. */
  wentBehind(name: DeviceName, gateway: GatewayRef): boolean {
    const known = this.#all.get(keyOf(name));
    if (known?.gateway?.clientId !== gateway.clientId) return false;
    this.#leaveGateway(known, gateway);
    if (known.connections.length === 0) this.#go(known, 'gateway_disconnect');
    return true;
  }

  gatewayGone(clientId: string): void {
    for (const known of this.#behind.get(clientId) ?? []) {
      known.gateway = undefined;
      if (known.connections.length === 0) this.#go(known, 'gateway_gone');
      this.onLeft?.(known);
    }
    this.#behind.delete(clientId);
  }

  /** Calls when it comes, until the returned function is called. */
  onOnline(name: DeviceName, come: () => void): () => void {
    const key = keyOf(name);
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(come));
    return () => {
      watchers.delete(come);
      if (watchers.size === 0) this.#watchers.delete(key);
    };
  }

  #come({ id, tenant }: DeviceName, at: number): Known {
    const key = keyOf({ id, tenant });
    let known = this.#all.get(key);
    if (known === undefined) {
      known = fresh({ id, tenant }, ++this.#lastNumber);
      this.#all.set(key, known);
      known.connectedAt = at;
    } else if (this.#away.delete(key)) {
      known.connectedAt = at;
    }
    known.lastActivityAt = Math.max(at, known.lastActivityAt);
    this.#evict();
    return known;
  }

  #go(known: Known, cause: DeviceCause): void {
    const key = keyOf(known);
    known.disconnectedAt = this.#now();
    known.lastActivityAt = known.disconnectedAt;
    known.lastCause = cause;
    this.#away.set(key, known);
    this.#evict();
  }

  #leaveGateway(known: Known, { clientId }: GatewayRef): void {
    known.gateway = undefined;
    const others = this.#behind.get(clientId);
    others?.delete(known);
    if (others?.size === 0) this.#behind.delete(clientId);
    this.onLeft?.(known);
  }

  #evict(): void {
    while (this.#away.size > 0 && this.size > this.#limit()) {
      const [oldest] = this.#away.keys();
      if (oldest === undefined) return;
      this.#away.delete(oldest);
      this.#all.delete(oldest);
    }
  }

  #tell(known: Known): void {
    for (const come of this.#watchers.get(keyOf(known)) ?? []) come();
  }
}

function fresh({ id, tenant }: DeviceName, number: number): Known {
  return {
    number,
    id,
    tenant,
    connections: [],
    gateway: undefined,
    clientId: undefined,
    connectedAt: undefined,
    disconnectedAt: undefined,
    lastCause: undefined,
    lastActivityAt: 0,
  };
}

function shown(known: Known): DeviceState {
  const { id, tenant, gateway, clientId } = known;
  const { connectedAt, disconnectedAt, lastCause, lastActivityAt } = known;
  const online = known.connections.length > 0 || gateway !== undefined;
  const through = gateway?.device;
  const times = { connectedAt, disconnectedAt, lastCause, lastActivityAt };
  return { id, tenant, online, gateway: through, clientId, ...times };
}
