// The examples of docs/HOOKS.md, as they stand there, do what it says beside them.
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import { eventually } from '../harness/eventually.js';

const text = readFileSync(new URL('../../docs/HOOKS.md', import.meta.url), 'utf8');
const examples = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code as string);

let broker: Broker | undefined;
const clients: mqtt.MqttClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker?.stop({ timeoutMs: 300 });
});

async function open(options: mqtt.IClientOptions): Promise<mqtt.MqttClient> {
  const port = broker?.addresses[0]?.port;
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  client.on('error', () => {});
  clients.push(client);
  return client;
}

test('each example runs', async () => {
  expect(examples).toHaveLength(4);
  const [program = '', ...others] = examples;
  const own = program
    .replace("import { Broker } from 'st-mqttd';", '')
    .replace('127.0.0.1:1883', '127.0.0.1:0');
  expect(own).not.toContain('import');
  const run = Object.getPrototypeOf(async () => {}).constructor as new (
    ...parts: string[]
  ) => (made: typeof Broker, to: { log: (...values: unknown[]) => void }) => Promise<Broker>;
  const printed: unknown[][] = [];
  const code = [own, ...others, 'await broker.hooksReady();', 'return broker;'].join('\n');
  broker = await new run('Broker', 'console', code)(Broker, {
    log: (...values) => void printed.push(values),
  });

  await expect(open({ clientId: 'nameless' })).rejects.toMatchObject({ code: 0x87 });
  const probe = await open({ clientId: 'probe-1' });
  await probe.endAsync();
  await eventually(() => expect(printed).toContainEqual(['probe-1', 'client_disconnect']));

  const link = await broker.link({ clientId: 'watching' });
  const got: string[] = [];
  for (const filter of ['plant/#', 'v1/devices/me/#']) {
    const subscription = link.subscribe(filter, { qos: 0 });
    await subscription.ready;
    void (async () => {
      for await (const { topic, payload } of subscription) got.push(`${topic}=${payload}`);
    })();
  }
  const named = await open({ clientId: 'simulator', username: 'u' });
  const [granted] = await named.subscribeAsync('free', { qos: 2 });
  expect(granted?.qos).toBe(1);
  await expect(named.subscribeAsync('secret/a', { qos: 0 })).rejects.toThrow();
  const auditor = await open({ clientId: 'auditor', username: 'u' });
  const [allowed] = await auditor.subscribeAsync('secret/a', { qos: 0 });
  expect(allowed?.qos).toBe(0);

  await named.publishAsync('plant/1/raw', '', { qos: 1 });
  await named.publishAsync('plant/1/raw', ' 21.5 ', { qos: 1 });
  await named.publishAsync('v1/devices/me/telemetry', '{}', { qos: 1 });
  await eventually(() =>
    expect(got.toSorted()).toEqual(['plant/1/raw/checked=21.5', 'v1/devices/me/simulated={}']),
  );

  const display = await open({ clientId: 'display-1', username: 'u' });
  const shown: string[] = [];
  display.on('message', (topic, payload) => shown.push(`${topic}=${payload}`));
  await display.subscribeAsync('plant/+/alarm');
  await named.subscribeAsync('plant/+/alarm');
  named.on('message', (topic) => shown.push(`own ${topic}`));
  await named.publishAsync('plant/1/alarm', 'x'.repeat(100), { qos: 1 });
  await named.publishAsync('free', 'x');
  const alarm = `plant/1/alarm=${'x'.repeat(40)}`;
  await eventually(() => expect(shown.toSorted()).toEqual(['own free', alarm]));
  await link.close();
});
