// MQTT.js with promises for what tests wait for: messages in order, packets by name.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import mqtt, {
  type IClientOptions,
  type IConnackPacket,
  type IPublishPacket,
  type MqttClient,
} from 'mqtt';

export type Version = 3 | 4 | 5;

export interface Received {
  readonly topic: string;
  readonly text: string;
  readonly payload: Buffer;
  readonly packet: IPublishPacket;
}

export class Client {
  readonly mqtt: MqttClient;
  connack: IConnackPacket | undefined;
  readonly #received: Received[] = [];
  readonly #waiting: Array<(message: Received) => void> = [];

  private constructor(client: MqttClient) {
    this.mqtt = client;
    client.on('message', (topic, payload, packet) => {
      const message = { topic, payload, text: payload.toString(), packet };
      const next = this.#waiting.shift();
      if (next === undefined) this.#received.push(message);
      else next(message);
    });
    // Without a listener an error that a test provokes would end the test process.
    client.on('error', () => {});
  }

  /** Connects; rejects where the broker refuses. */
  static async open(port: number, version: Version, options: IClientOptions = {}): Promise<Client> {
    const connection = mqtt.connect({
      host: '127.0.0.1',
      port,
      protocol: 'mqtt',
      protocolVersion: version,
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      clientId: `e2e-${randomUUID().slice(0, 12)}`,
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      ...options,
    });
    const client = new Client(connection);
    client.connack = await new Promise<IConnackPacket>((resolve, reject) => {
      connection.once('connect', resolve);
      connection.once('error', reject);
      connection.once('close', () => reject(new Error('closed before CONNACK')));
    });
    return client;
  }

  get sessionPresent(): boolean {
    return this.connack?.sessionPresent ?? false;
  }

  subscribe(filter: string, qos: 0 | 1 | 2 = 0) {
    return this.mqtt.subscribeAsync(filter, { qos });
  }

  publish(
    topic: string,
    payload: string | Buffer,
    options: Parameters<MqttClient['publishAsync']>[2] = {},
  ) {
    return this.mqtt.publishAsync(topic, payload, options);
  }

  /** The next message, in order of arrival. */
  next(timeoutMs = 5000): Promise<Received> {
    const message = this.#received.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(deliver), 1);
        reject(new Error(`no message in ${timeoutMs} ms`));
      }, timeoutMs);
      const deliver = (received: Received) => {
        clearTimeout(timer);
        resolve(received);
      };
      this.#waiting.push(deliver);
    });
  }

  async take(count: number): Promise<Received[]> {
    const messages = [];
    for (let i = 0; i < count; i += 1) messages.push(await this.next());
    return messages;
  }

  /** What arrives unasked within `ms`: for tests that nothing more comes. */
  async surplus(ms = 150): Promise<string[]> {
    await sleep(ms);
    return this.#received.splice(0).map(({ topic, text }) => `${topic}: ${text}`);
  }

  /** Resolves when the connection has closed. */
  closed(): Promise<void> {
    return new Promise((resolve) => this.mqtt.once('close', resolve));
  }

  /** Resolves to the Reason Code of a DISCONNECT from the broker. */
  disconnected(): Promise<number | undefined> {
    return new Promise((resolve) =>
      this.mqtt.once('disconnect', (packet) => resolve(packet.reasonCode)),
    );
  }

  /** DISCONNECT, then close. */
  async close(): Promise<void> {
    await this.mqtt.endAsync();
  }

  /** Closes the socket without DISCONNECT. */
  async cut(): Promise<void> {
    const closed = this.closed();
    this.mqtt.stream.destroy();
    await closed;
    await this.mqtt.endAsync(true);
  }
}
