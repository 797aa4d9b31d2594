// examples/thingsboard-gateway: plain devices and a gateway, as MQTT.js clients.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Plant, startPlant } from '../../examples/thingsboard-gateway/plant.js';
import { eventually } from '../harness/eventually.js';
import { Client } from './mqttjs-client.js';

let plant: Plant;
const clients: Client[] = [];
beforeAll(async () => {
  plant = await startPlant({ unified: { main: { listen: '127.0.0.1:0' } }, log: { to: 'off' } });
});
afterEach(() => Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true))));
afterAll(() => plant.stop());

async function open(clientId: string): Promise<Client> {
  const port = plant.broker.addresses[0]?.port ?? 0;
  const client = await Client.open(port, 4, { clientId });
  clients.push(client);
  return client;
}

test('plain devices and those behind a gateway look the same', async () => {
  const pump = await open('pump');
  await pump.publish('v1/devices/me/telemetry', '{"rpm":900}', { qos: 1 });
  const gateway = await open('gateway-1');
  await gateway.publish('v1/gateway/telemetry', '{"Boiler 1":[{"temperature":42}]}', { qos: 1 });
  await eventually(() =>
    expect(Object.fromEntries(plant.latest)).toEqual({
      pump: { rpm: 900 },
      'Boiler 1': [{ temperature: 42 }],
    }),
  );
  const found = (await plant.devices()).map(({ id, gateway: through }) => [id, through]);
  expect(found.sort()).toEqual([
    ['Boiler 1', 'gateway-1'],
    ['gateway-1', undefined],
    ['pump', undefined],
  ]);
});

test('both are asked the same way, and are answered', async () => {
  const pump = await open('pump');
  await pump.subscribe('v1/devices/me/rpc/+/+', 1);
  const fromPump = plant.ask('pump', 'stop');
  const request = await pump.next();
  await pump.publish(request.topic.replace('/request/', '/response/'), '"stopped"', { qos: 1 });
  expect(await fromPump).toBe('stopped');
  // Its own answer comes back to a device that has subscribed to answers.
  expect((await pump.next()).text).toBe('"stopped"');
  await pump.publish('v1/devices/me/rpc/request/1', '{"method":"getTime"}', { qos: 1 });
  expect(JSON.parse((await pump.next()).text)).toHaveProperty('utc');

  const gateway = await open('gateway-1');
  await gateway.publish('v1/gateway/connect', '{"device":"Boiler 1"}', { qos: 1 });
  const fromBoiler = plant.ask('Boiler 1', 'setTemperature', { to: 60 });
  const { device, data } = JSON.parse((await gateway.next()).text);
  await gateway.publish('v1/gateway/rpc', JSON.stringify({ device, id: data.id, data: 'ok' }));
  expect(await fromBoiler).toBe('ok');
});

test('shared attributes are asked for', async () => {
  const pump = await open('pump');
  await pump.subscribe('v1/devices/me/attributes/response/+', 1);
  await pump.publish('v1/devices/me/attributes/request/1', '{"sharedKeys":"interval"}', { qos: 1 });
  expect(JSON.parse((await pump.next()).text)).toEqual({ shared: { interval: 10 } });
});
