// examples/fastify-service: devices by MQTT.js beside its HTTP routes.
import mqtt from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Service, startService } from '../../examples/fastify-service/service.js';
import { eventually } from '../harness/eventually.js';

let service: Service;
let url: string;
const devices: mqtt.MqttClient[] = [];
beforeEach(async () => {
  service = await startService({
    unified: { main: { listen: '127.0.0.1:0' } },
    broker: { drain_timeout_ms: 300 },
  });
  url = service.http.listeningOrigin;
});
afterEach(async () => {
  for (const device of devices.splice(0)) device.end(true);
  await service.stop();
});

async function device(clientId: string): Promise<mqtt.MqttClient> {
  const [address] = service.broker.addresses;
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${address?.port}`, {
    clientId,
    protocolVersion: 4,
    reconnectPeriod: 0,
  });
  devices.push(client);
  return client;
}
const post = (path: string, body: unknown) =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

test('devices are listed by pages, without the links of the service', async () => {
  for (const id of ['pump-1', 'pump-2', 'pump-3']) await device(id);
  const seen: string[] = [];
  let path: string | undefined = '/devices?limit=2';
  while (path !== undefined) {
    const answer = await fetch(url + path);
    expect(answer.status).toBe(200);
    const page = (await answer.json()) as { devices: { id: string }[]; next: string | null };
    expect(page.devices.length).toBeLessThanOrEqual(2);
    for (const { id } of page.devices) seen.push(id);
    path = page.next === null ? undefined : `/devices?limit=2&cursor=${page.next}`;
  }
  expect(seen.toSorted()).toEqual(['pump-1', 'pump-2', 'pump-3']);
});

test('a command reaches its device, and only it; nobody listens = 404; a wrong one = 400', async () => {
  const pump = await device('pump-7');
  await pump.subscribeAsync('devices/pump-7/commands', { qos: 1 });
  const came = new Promise<unknown>((resolve) => {
    pump.on('message', (_, payload) => resolve(JSON.parse(payload.toString())));
  });
  expect((await post('/devices/pump-7/commands', { name: 'speed', value: 5 })).status).toBe(202);
  expect(await came).toEqual({ name: 'speed', value: 5 });
  expect((await post('/devices/pump-8/commands', { name: 'speed' })).status).toBe(404);
  expect((await post('/devices/%23/commands', { name: 'speed' })).status).toBe(404);
  expect((await post('/devices/pump-7/commands', { value: 5 })).status).toBe(400);
});

test('telemetry is streamed as it comes; who goes away leaves no link behind', async () => {
  const controller = new AbortController();
  const answer = await fetch(`${url}/telemetry`, { signal: controller.signal });
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  const pump = await device('pump-7');
  let text = '';
  for (const value of ['21.5', '22']) {
    await pump.publishAsync('devices/pump-7/telemetry', value, { qos: 1 });
    const wanted = `data: ${JSON.stringify({ device: 'pump-7', payload: value })}\n\n`;
    while (!text.includes(wanted)) text += (await reader?.read())?.value ?? '';
  }
  expect((await service.broker.sessions.page()).items).toHaveLength(3);
  controller.abort();
  await eventually(async () => {
    expect((await service.broker.sessions.page()).items).toHaveLength(2);
  });
});
