// A plant as ThingsBoard sees it: devices that speak plain MQTT, and gateways that speak for others.
import { Broker, type ConfigTables, type DeviceState, type Json } from 'st-mqttd';

export interface Plant {
  readonly broker: Broker;
  /** The latest telemetry of each device, whichever way it came. */
  readonly latest: ReadonlyMap<string, Json>;
  /** What one device is asked, directly or through its gateway. */
  ask(device: string, method: string, params?: Json): Promise<unknown>;
  devices(): Promise<readonly DeviceState[]>;
  stop(): Promise<void>;
}

/** The limits that devices ask for. */
const limits: Readonly<Record<string, Json>> = { maxTemperature: 80, interval: 10 };

export async function startPlant(options: ConfigTables): Promise<Plant> {
  const broker = new Broker({ ...options, device: { gateways: ['gateway-*'] } });
  broker.onDeviceRequest('getTime', () => ({ utc: new Date().toISOString() }));
  broker.onAttributesRequest(({ sharedKeys }) => ({
    shared: Object.fromEntries(sharedKeys.map((key) => [key, limits[key] ?? null])),
  }));
  await broker.start();

  const latest = new Map<string, Json>();
  const link = await broker.link({ clientId: 'plant' });
  const telemetry = link.subscribe('v1/devices/me/telemetry', { qos: 1 });
  await telemetry.ready;
  const reading = telemetry.forEach(({ deviceId, payload }) => {
    const value = readJson(payload);
    if (deviceId !== undefined && value !== undefined) latest.set(deviceId, value);
  });
  return {
    broker,
    latest,
    ask: (device, method, params) => broker.device(device).request(method, params),
    devices: async () => (await broker.devices.filter({ online: true }).page()).items,
    stop: async () => {
      await link.close();
      await reading;
      await broker.stop();
    },
  };
}

function readJson(payload: Buffer): Json | undefined {
  try {
    return JSON.parse(payload.toString());
  } catch {
    return undefined; // A device that talks nonsense is not the plant's problem.
  }
}
