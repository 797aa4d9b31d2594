// The two embedded brokers behind one face, each as its own documentation says it is embedded.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { root } from '../../scripts/native-sources.mjs';

const host = '127.0.0.1';

/** Whatever a row does not expect ends the process, and is the round's error. */
function unexpected(error) {
  throw error;
}

async function openStMqttd({ hook }) {
  const { Broker } = await import(join(root, 'dist', 'index.js'));
  const broker = new Broker({
    broker: { io_threads: 1, max_connections: 30_000 },
    unified: { 1: { listen: `${host}:0`, connections: { connection_timeout_ms: 60_000 } } },
    log: { to: 'off' },
  });
  if (hook !== undefined) broker.onPublish(hook.filter, hook.handler);
  await broker.start();
  const open = (clientId) => broker.link({ clientId });
  return {
    port: broker.address().port,
    async subscribe(filter, qos, onMessage) {
      const link = await open('subscriber');
      const subscription = link.subscribe(filter, { qos });
      const take = ({ payload }) => onMessage(payload);
      subscription.forEach(take).catch(unexpected);
      await subscription.ready;
    },
    async publisher(qos) {
      const link = await open('publisher');
      const options = { qos };
      return (topic, payload) => {
        link.publish(topic, payload, options).catch(unexpected);
      };
    },
    /** directWriteMany(). Resolves to how many had it. */
    async writeToMany(clientIds, topic, payload, qos) {
      const { delivered } = await broker.directWriteMany(clientIds, topic, payload, { qos });
      return delivered;
    },
    /** directWrite() to each, all of them at once. */
    async writeToEach(clientIds, topic, payload, qos) {
      const options = { qos };
      const writes = clientIds.map((id) => broker.directWrite(id, topic, payload, options));
      const results = await Promise.all(writes);
      return results.filter(({ outcome }) => outcome === 'delivered').length;
    },
    stop: () => broker.stop(),
  };
}

async function openAedes({ hook }) {
  const { Aedes } = await import('aedes');
  const options = { concurrency: 1000, queueLimit: 1_000_000 };
  if (hook !== undefined) {
    options.authorizePublish = (_client, packet, done) => {
      if (hook.matches(packet.topic)) hook.handler(packet);
      done(null);
    };
  }
  const broker = await Aedes.createBroker(options);
  const server = createServer({ noDelay: true }, broker.handle);
  server.listen({ port: 0, host, backlog: 1024 });
  await once(server, 'listening');
  const settled = (error) => {
    if (error) unexpected(error);
  };
  const writeToEach = (clientIds, topic, payload, qos) =>
    new Promise((resolve, reject) => {
      let left = clientIds.length;
      const done = (error) => {
        if (error) reject(error);
        else if (--left === 0) resolve(clientIds.length);
      };
      for (const id of clientIds) {
        broker.clients[id].publish({ topic, payload, qos, retain: false }, done);
      }
    });
  return {
    port: server.address().port,
    handle: broker.handle,
    subscribe: (filter, _qos, onMessage) =>
      new Promise((resolve) => {
        const take = (packet, done) => {
          onMessage(packet.payload);
          done();
        };
        broker.subscribe(filter, take, resolve);
      }),
    publisher: async (qos) => (topic, payload) => {
      broker.publish({ cmd: 'publish', topic, payload, qos, retain: false }, settled);
    },
    writeToMany: writeToEach,
    writeToEach,
    stop: () =>
      new Promise((resolve) => {
        broker.close(() => server.close(resolve));
      }),
  };
}

/**
 * aedes again, with what is nearest to a link: clients of its own (MQTT.js) by a stream in memory,
 * which have a session, flow control and acknowledgements.
 */
async function openAedesClients(how) {
  const aedes = await openAedes(how);
  const { MqttClient } = await import('mqtt');
  const open = async (clientId) => {
    const [ours, theirs] = duplexPair();
    aedes.handle(theirs);
    const options = { clientId, keepalive: 0, reconnectPeriod: 0, protocolVersion: 4 };
    const client = new MqttClient(() => ours, options);
    client.on('error', unexpected);
    await once(client, 'connect');
    return client;
  };
  return {
    ...aedes,
    async subscribe(filter, qos, onMessage) {
      const client = await open('subscriber');
      client.on('message', (_topic, payload) => onMessage(payload));
      await client.subscribeAsync(filter, { qos });
    },
    async publisher(qos) {
      const client = await open('publisher');
      const options = { qos };
      const settled = (error) => {
        if (error) unexpected(error);
      };
      return (topic, payload) => {
        client.publish(topic, payload, options, settled);
      };
    },
  };
}

export const embedded = {
  'st-mqttd': openStMqttd,
  aedes: openAedes,
  'aedes+clients': openAedesClients,
};
