// MQTT.js, connected, or an error: of a connection that is only closed its own connectAsync() says
// nothing.
import { connect, type IClientOptions, type MqttClient } from 'mqtt';

export function connectOrFail(url: string, options: IClientOptions): Promise<MqttClient> {
  const client = connect(url, { reconnectPeriod: 0, ...options });
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve(client));
    const failed = (error: Error) => {
      reject(error);
      client.end(true);
    };
    client.once('error', failed);
    client.once('close', () => failed(new Error('the connection was closed')));
  });
}
