/**
 * Which client is which device. Where nobody is asked, the Client Identifier says it; else the native
 * half is asked for each client that comes, so many at a time.
 */
import { isFitDeviceId } from '../link/topics.js';
import type { ConnectInfo, DisconnectInfo } from '../session/events.js';
import type { ClientDetail, ClientRow, Page, PageRequest } from '../session/registry.js';
import type { DeviceTable } from './state.js';
import type { DeviceName } from './types.js';

export interface PresenceDeps {
  readonly table: DeviceTable;
  readonly clients: (page: PageRequest) => Promise<Page<ClientRow>>;
  readonly client: (clientId: string, instance: number) => Promise<ClientDetail | undefined>;
  /** Resolves when every I/O thread has told what happened before. */
  readonly ping: () => Promise<void>;
  /** Whether clients of this listener are the devices that their Client Identifiers name. */
  readonly isOpen: (listener: string) => boolean;
  /** Then a client without an identity of its own may still have a tenant. */
  readonly hasTenants: boolean;
  readonly onError: (error: unknown) => void;
}

const kAtOnce = 64;
const kPage = 1000;

interface Arrival {
  readonly clientId: string;
  readonly instance: number;
  readonly connectionId: bigint;
  readonly listener: string | undefined;
  readonly at: number;
}

export class Presence {
  readonly #deps: PresenceDeps;
  /** Who has come and is not looked up yet. */
  readonly #arrivals = new Map<bigint, Arrival>();
  readonly #waiting: Arrival[] = [];
  /** While clients are listed: who has gone, and may still be listed. */
  #gone: Set<bigint> | undefined;
  #asking = 0;
  #listing: Promise<void> = Promise.resolve();
  #settled: (() => void)[] = [];

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  connect({ clientId, instance, connectionId, listener }: ConnectInfo): void {
    this.#come({ clientId, instance, connectionId, listener, at: Date.now() });
  }

  disconnect({ connectionId, cause }: DisconnectInfo): void {
    this.#gone?.add(connectionId);
    if (this.#arrivals.delete(connectionId)) this.#settle();
    this.#deps.table.disconnected(connectionId, cause);
  }

  /** Who is connected already. Events must come by now. */
  list(): Promise<void> {
    this.#listing = this.#list();
    return this.#listing;
  }

  async #list(): Promise<void> {
    this.#gone = new Set();
    const { clients, table } = this.#deps;
    for (let cursor: string | undefined; ; ) {
      const page = await clients({ limit: kPage, cursor });
      for (const row of page.items) {
        const { clientId, instance, connectionId, connected, listener, connectedAt } = row;
        if (!connected || connectionId === '') continue;
        const id = BigInt(connectionId);
        if (this.#gone.has(id) || this.#arrivals.has(id) || table.ofConnection(id)) continue;
        const at = connectedAt ?? Date.now();
        this.#come({ clientId, instance, connectionId: id, listener, at });
      }
      cursor = page.next;
      if (cursor === undefined) break;
    }
    this.#gone = undefined;
    await this.#known();
  }

  /** Resolves when all that has happened until now is in the table. */
  async settled(): Promise<void> {
    await this.#deps.ping();
    await this.#listing;
    await this.#known();
  }

  /** Whatever their connections have brought until now is in the table when this resolves. */
  async heard(devices: readonly DeviceName[]): Promise<void> {
    const { table, client } = this.#deps;
    const all = devices.flatMap((device) => table.connectionsOf(device));
    const ask = async () => {
      for (let one = all.pop(); one !== undefined; one = all.pop()) {
        const found = await client(one.clientId, one.instance);
        const { connectionId, lastReceivedAt } = found ?? {};
        if (lastReceivedAt === undefined || connectionId !== String(one.id)) continue;
        table.heard(one.id, lastReceivedAt);
      }
    };
    await Promise.all(Array.from({ length: Math.min(kAtOnce, all.length) }, ask));
  }

  #known(): Promise<void> {
    if (this.#arrivals.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settled.push(resolve));
  }

  #come(arrival: Arrival): void {
    const { clientId, connectionId, listener } = arrival;
    if (this.#isNamed(listener) && !this.#deps.hasTenants) {
      this.#take({ id: clientId, tenant: undefined }, arrival);
      return;
    }
    this.#arrivals.set(connectionId, arrival);
    this.#waiting.push(arrival);
    this.#next();
  }

  #take(name: DeviceName, { clientId, instance, connectionId: id, at }: Arrival): void {
    if (isFitDeviceId(name.id)) this.#deps.table.connected(name, { clientId, instance, id }, at);
  }

  #next(): void {
    while (this.#asking < kAtOnce && this.#waiting.length > 0) {
      const arrival = this.#waiting.shift() as Arrival;
      if (!this.#arrivals.has(arrival.connectionId)) continue;
      this.#asking++;
      this.#look(arrival)
        .catch(this.#deps.onError)
        .finally(() => {
          this.#asking--;
          this.#arrivals.delete(arrival.connectionId);
          this.#settle();
          this.#next();
        });
    }
  }

  #isNamed(listener: string | undefined): boolean {
    return listener !== undefined && this.#deps.isOpen(listener);
  }

  async #look(arrival: Arrival): Promise<void> {
    const { clientId, instance, connectionId, listener } = arrival;
    const detail = await this.#deps.client(clientId, instance);
    // Gone, or another has this Client Identifier by now: that one is looked up too.
    if (detail?.connectionId !== String(connectionId)) return;
    if (!this.#arrivals.has(connectionId)) return;
    const { identity } = detail;
    const own = identity === undefined && this.#isNamed(listener) ? clientId : undefined;
    const id = identity?.deviceId ?? own;
    const tenant = identity?.tenant;
    if (id !== undefined) this.#take({ id, tenant }, arrival);
  }

  #settle(): void {
    if (this.#arrivals.size > 0) return;
    for (const resolve of this.#settled.splice(0)) resolve();
  }
}
