// What tests of hooks share: brokers, clients of MQTT.js, and what these get; all end with the test.
import mqtt from 'mqtt';
import { afterEach } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import type { LogRecord } from '../../src/log/logger.js';

let brokers: Broker[] = [];
let clients: mqtt.MqttClient[] = [];
afterEach(async () => {
  for (const client of clients) client.end(true);
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
  clients = [];
});

/** Not started. */
export function make(options: ConfigTables = {}): Broker {
  const broker = new Broker({ unified: { test: { listen: '127.0.0.1:0' } }, ...options });
  brokers.push(broker);
  return broker;
}

export async function start(options: ConfigTables = {}): Promise<Broker> {
  const broker = make(options);
  await broker.start();
  return broker;
}

/** Through the first listener whose name ends with `listener`. */
export async function open(
  broker: Broker,
  options: mqtt.IClientOptions = {},
  listener = '',
): Promise<mqtt.MqttClient> {
  const port = broker.addresses.find((at) => at.listener.endsWith(listener))?.port;
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  client.on('error', () => {});
  clients.push(client);
  return client;
}

/** What it gets, as "topic=payload". */
export async function listen(
  client: mqtt.MqttClient,
  filter = '#',
  qos: 0 | 1 | 2 = 2,
): Promise<string[]> {
  const got: string[] = [];
  client.on('message', (topic, payload) => got.push(`${topic}=${payload.toString()}`));
  await client.subscribeAsync(filter, { qos });
  return got;
}

/** The code of the PUBACK or PUBREC; 0 = taken. */
export async function outcome(
  client: mqtt.MqttClient,
  topic: string,
  qos: 1 | 2 = 1,
  text = 'x',
): Promise<number> {
  try {
    const packet = await client.publishAsync(topic, text, { qos });
    return (packet as { reasonCode?: number } | undefined)?.reasonCode ?? 0;
  } catch (error) {
    return (error as { code?: number }).code ?? -1;
  }
}

export function logged(broker: Broker): LogRecord[] {
  const records: LogRecord[] = [];
  broker.on('log', (record) => records.push(record));
  return records;
}
