/**
 * The last connection events of each client, for /device/:id. Bounded: of the clients that had an
 * event least recently none are kept.
 */
import type { ConnectInfo, DisconnectInfo } from '../session/events.js';

export interface ConnectionEvent {
  readonly event: 'connect' | 'disconnect';
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly address: string;
  /** Of a disconnect. */
  readonly cause: string | null;
}

/** As in rumqttd. */
const kEvents = 10;
const kClients = 4096;

export class History {
  readonly #byClient = new Map<string, ConnectionEvent[]>();

  connected({ clientId, address }: ConnectInfo): void {
    this.#add(clientId, { event: 'connect', timestamp: Date.now(), address, cause: null });
  }

  disconnected({ clientId, address, cause }: DisconnectInfo): void {
    this.#add(clientId, { event: 'disconnect', timestamp: Date.now(), address, cause });
  }

  of(clientId: string): readonly ConnectionEvent[] {
    return this.#byClient.get(clientId) ?? [];
  }

  #add(clientId: string, event: ConnectionEvent): void {
    const events = this.#byClient.get(clientId) ?? [];
    if (events.length === kEvents) events.shift();
    events.push(event);
    // Behind all others: the first of the map is who was silent longest.
    this.#byClient.delete(clientId);
    this.#byClient.set(clientId, events);
    if (this.#byClient.size <= kClients) return;
    for (const oldest of this.#byClient.keys()) {
      this.#byClient.delete(oldest);
      return;
    }
  }
}
