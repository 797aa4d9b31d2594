// A publisher and a subscriber on a thread of their own, so that their traffic goes on while the
// broker's JavaScript thread is blocked. Posts 'ready', waits for a word, then posts when it was done.
import { parentPort, workerData } from 'node:worker_threads';
import mqtt from 'mqtt';

const { port, messages } = workerData;
const dial = () =>
  mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, reconnectPeriod: 0 });
const [publisher, subscriber] = await Promise.all([dial(), dial()]);
await subscriber.subscribeAsync('echo', { qos: 2 });
let received = 0;
subscriber.on('message', () => {
  if (++received === messages) parentPort.postMessage(Date.now());
});
parentPort.once('message', async () => {
  for (let i = 0; i < messages; i++) await publisher.publishAsync('echo', 'x', { qos: 2 });
});
parentPort.postMessage('ready');
