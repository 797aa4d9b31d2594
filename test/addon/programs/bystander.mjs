// A process beside the broker: raw clients that exchange messages and let the broker's timers run
// out while its JavaScript is blocked. Starts at the first line on stdin; prints one line of JSON
// with what it saw and when, on the clock of this machine.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import packets from 'mqtt-packet';

const { port, forMs } = JSON.parse(process.argv[2]);
const kVersion = { v5: 5, v311: 4 };

class Raw {
  #waiting = [];
  #socket = connect({ host: '127.0.0.1', port, noDelay: true });
  constructor(version) {
    this.version = kVersion[version];
    const parser = packets.parser({ protocolVersion: this.version });
    parser.on('packet', (packet) => this.#take(packet));
    this.#socket.on('data', (bytes) => parser.parse(bytes));
    this.#socket.on('error', () => {});
    this.closed = new Promise((done) => this.#socket.once('close', () => done(Date.now())));
    this.messages = () => {};
  }
  send(packet) {
    this.#socket.write(packets.generate(packet, { protocolVersion: this.version }));
  }
  /** The next packet of this type. */
  next(cmd) {
    return new Promise((done) => this.#waiting.push({ cmd, done }));
  }
  connect(clientId, more = {}) {
    const connack = this.next('connack');
    const protocol = { protocolId: 'MQTT', protocolVersion: this.version };
    this.send({ cmd: 'connect', ...protocol, clientId, clean: true, keepalive: 0, ...more });
    return connack;
  }
  destroy() {
    this.#socket.destroy();
  }
  #take(packet) {
    const { messageId, qos, cmd } = packet;
    if (cmd === 'publish') {
      if (qos === 1) this.send({ cmd: 'puback', messageId });
      if (qos === 2) this.send({ cmd: 'pubrec', messageId });
      this.messages(packet.topic, packet.payload.toString());
    }
    if (cmd === 'pubrel') this.send({ cmd: 'pubcomp', messageId });
    if (cmd === 'pubrec') this.send({ cmd: 'pubrel', messageId });
    const at = this.#waiting.findIndex((each) => each.cmd === cmd);
    if (at >= 0) this.#waiting.splice(at, 1)[0].done(packet);
  }
}

const seen = { trips: [], wills: {} };
const subscriber = new Raw('v5');
await subscriber.connect('subscriber');
const subscribed = subscriber.next('suback');
const subscriptions = ['echo', 'wills/#'].map((topic) => ({ topic, qos: 2 }));
subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions });
await subscribed;
const publisher = new Raw('v311');
await publisher.connect('publisher');
let arrived = () => {};
subscriber.messages = (topic, payload) => {
  if (topic === 'echo') arrived(payload);
  else seen.wills[topic.slice('wills/'.length)] ??= Date.now();
};

/** One message of each QoS after the other, from publisher to subscriber; the longest way counts. */
async function exchange(until) {
  for (let n = 1; Date.now() < until; n++) {
    const qos = n % 3;
    const start = performance.now();
    const came = new Promise((done) => {
      arrived = (payload) => payload === `${n}` && done();
    });
    const done = qos === 0 ? undefined : publisher.next(qos === 1 ? 'puback' : 'pubcomp');
    const messageId = qos === 0 ? undefined : n % 60_000;
    publisher.send({ cmd: 'publish', topic: 'echo', payload: `${n}`, qos, messageId });
    await Promise.all([came, done]);
    seen.trips.push(performance.now() - start);
    await sleep(2);
  }
}

const will = (name) => ({ topic: `wills/${name}`, payload: 'gone', qos: 1 });

async function keepAlive() {
  const silent = new Raw('v5');
  await silent.connect('silent', { keepalive: 1, will: will('keepAlive') });
  const from = Date.now();
  seen.keepAliveMs = (await silent.closed) - from;
}

async function socketBreaks() {
  const client = new Raw('v311');
  await client.connect('breaking', { will: will('broken') });
  client.destroy();
}

async function sessionExpires() {
  const properties = { sessionExpiryInterval: 1 };
  const first = new Raw('v5');
  await first.connect('expiring', { properties });
  first.destroy();
  await sleep(300);
  const again = new Raw('v5');
  seen.presentSoon = (await again.connect('expiring', { clean: false, properties })).sessionPresent;
  again.destroy();
  await sleep(1700);
  const late = new Raw('v5');
  seen.presentLate = (await late.connect('expiring', { clean: false, properties })).sessionPresent;
}

async function takeover() {
  const first = new Raw('v5');
  await first.connect('same');
  const goodbye = first.next('disconnect');
  const second = new Raw('v5');
  await second.connect('same');
  seen.takenOver = (await goodbye).reasonCode;
}

createInterface({ input: process.stdin }).once('line', async () => {
  seen.startedAt = Date.now();
  await Promise.all([
    exchange(seen.startedAt + forMs),
    keepAlive(),
    socketBreaks(),
    sessionExpires(),
    takeover(),
  ]);
  seen.finishedAt = Date.now();
  console.log(JSON.stringify(seen));
  process.exit(0);
});
console.log('ready');
