// Watches the broker's timers from another thread, over plain sockets of MQTT.js, while the broker's
// JavaScript thread stands still. Every client is admitted before; posts when each thing was seen.

import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import mqtt from 'mqtt';

const { port } = workerData;
const seen = {};
const note = (what) => {
  seen[what] ??= Date.now();
};
const dial = (options = {}) =>
  mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    keepalive: 60,
    ...options,
  });

/** CONNECT with a Will, Keep Alive 1 s: it then says nothing more. */
function silentClient(id, topic) {
  const text = (value) => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
  const body = Buffer.concat([
    Buffer.from('00044d5154540506000100', 'hex'),
    text(id),
    Buffer.from([0]),
    text(topic),
    text('gone'),
  ]);
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(Buffer.concat([Buffer.from([0x10, body.length]), body])),
    );
    socket.on('error', () => {});
    socket.once('data', () => done(socket));
  });
}

const watcher = await dial();
await watcher.subscribeAsync(['wills/#', 'echo'], { qos: 1 });
watcher.on('message', (topic, payload) => {
  if (topic === 'wills/now') note('will');
  if (topic === 'wills/late') note('delayedWill');
  if (topic === 'wills/expired') note('expiredSession');
  if (topic === 'echo' && payload.toString() === '99') note('echo');
});
const silent = await silentClient('silent', 'wills/now');
silent.resume();
silent.once('close', () => note('keepAliveClosed'));
const will = (topic, willDelayInterval) => ({
  topic,
  payload: Buffer.from('gone'),
  properties: { willDelayInterval },
});
const delayed = await dial({
  will: will('wills/late', 2),
  properties: { sessionExpiryInterval: 60 },
});
// Its Will is due in a minute, unless its session ends before [MQTT-3.1.3-9].
const expiring = await dial({
  will: will('wills/expired', 60),
  properties: { sessionExpiryInterval: 1 },
});

parentPort.once('message', async () => {
  delayed.stream.destroy();
  expiring.stream.destroy();
  for (let i = 0; i < 100; i++) await watcher.publishAsync('echo', `${i}`, { qos: 1 });
  for (let waited = 0; waited < 100 && Object.keys(seen).length < 5; waited++) await sleep(100);
  parentPort.postMessage(seen);
});
parentPort.postMessage('ready');
