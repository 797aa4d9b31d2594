// MQTT 3.1.1 clients with sockets, in a process of their own: receivers, publishers or devices. Written
// down to the bytes, so that this side is seldom what is measured.
import { once } from 'node:events';
import { connect } from 'node:net';
import { Ledger, stamp } from './ledger.mjs';
import { joinPace } from './pace.mjs';

const kAtOnce = 100;
/** Of one publisher, as those of `npm run bench`. */
const kUnacknowledged = 100;
const kConnack = 0x20;
const kPuback = 0x40;

let row;
let pace;
let ledger;
const publishers = [];
let stopped = false;
let published = 0;
let delivered = 0;

const commands = {
  async open({ row: given, port, pacePort }) {
    row = given;
    pace = await joinPace(pacePort);
    ledger = new Ledger(row.topics.length);
    if (row.peer === 'devices') await openAll(row.devices, (n) => receiver(port, `device-${n}`));
    else
      await openAll(
        row.topics.length,
        row.peer === 'publishers' ? publisherOf(port) : receiverOf(port),
      );
  },
  async run() {
    if (row.peer !== 'publishers') return;
    pace.listen((total) => {
      delivered = total;
      wake();
    });
    wake();
  },
  async stop() {
    stopped = true;
    return { published };
  },
  async counts() {
    const { doubled, disordered } = ledger;
    return { doubled, disordered, cpu: process.cpuUsage() };
  },
};

process.on('message', async ({ command, ...values }) => {
  const answer = await commands[command](values);
  if (process.connected) process.send(answer ?? {});
});
process.on('disconnect', () => process.exit(0));
process.send('up');

async function openAll(count, open) {
  for (let from = 0; from < count; from += kAtOnce) {
    const some = Array.from({ length: Math.min(kAtOnce, count - from) }, (_, n) => open(from + n));
    await Promise.all(some);
  }
}

const receiverOf = (port) => (index) => receiver(port, `receiver-${index}`, row.topics[index]);

/** Takes messages, tells how many there are, acknowledges QoS 1. */
async function receiver(port, clientId, topic) {
  let acknowledgements = [];
  const { socket, answered } = await client(
    port,
    clientId,
    (bytes, first, at) => {
      const topicEnd = at + 2 + ((bytes[at] << 8) | bytes[at + 1]);
      const qos = (first >> 1) & 3;
      if (qos > 0) acknowledgements.push(kPuback, 2, bytes[topicEnd], bytes[topicEnd + 1]);
      if (row.peer === 'devices') ledger.delivered++;
      else ledger.take(bytes, topicEnd + (qos > 0 ? 2 : 0));
    },
    () => {
      pace.tell(ledger.delivered);
      if (acknowledgements.length === 0) return;
      socket.write(Buffer.from(acknowledgements));
      acknowledgements = [];
    },
  );
  if (topic === undefined) return;
  const name = Buffer.from(topic);
  socket.write(
    Buffer.from([
      0x82,
      5 + name.length,
      0,
      1,
      name.length >> 8,
      name.length & 255,
      ...name,
      row.qos,
    ]),
  );
  await answered(0x90);
}

const publisherOf = (port) => async (index) => {
  const one = { frame: publishFrame(row.topics[index]), sequence: 0, unacknowledged: 0, index };
  const name = `publisher-${index}`;
  const onPuback = () => {
    one.unacknowledged--;
  };
  one.socket = (await client(port, name, () => {}, wake, onPuback)).socket;
  publishers.push(one);
};

let scheduled = false;
function wake() {
  if (scheduled || stopped || publishers.length === 0) return;
  scheduled = true;
  setImmediate(publishMore);
}

/** What there is room for, shared among the publishers. */
function publishMore() {
  scheduled = false;
  if (stopped) return;
  const share = Math.floor((row.limit - (published - delivered)) / publishers.length);
  for (const one of publishers) {
    const { frame, socket, index } = one;
    const room = row.qos === 0 ? share : Math.min(share, kUnacknowledged - one.unacknowledged);
    if (room <= 0) continue;
    const chunk = Buffer.allocUnsafe(room * frame.bytes.length);
    for (let at = 0; at < chunk.length; at += frame.bytes.length) {
      frame.bytes.copy(chunk, at);
      stamp(chunk, at + frame.payloadAt, index, ++one.sequence);
      if (row.qos > 0) {
        const id = (one.sequence % 65_535) + 1;
        chunk[at + frame.payloadAt - 2] = id >> 8;
        chunk[at + frame.payloadAt - 1] = id & 255;
      }
    }
    published += room;
    if (row.qos > 0) one.unacknowledged += room;
    socket.write(chunk);
  }
}

function publishFrame(topic) {
  const name = Buffer.from(topic);
  const id = row.qos > 0 ? 2 : 0;
  const remaining = 2 + name.length + id + row.size;
  if (remaining > 127) throw new Error('a PUBLISH of this row has one byte of length');
  const head = [0x30 | (row.qos << 1), remaining, name.length >> 8, name.length & 255, ...name];
  const bytes = Buffer.concat([Buffer.from(head), Buffer.alloc(id), Buffer.alloc(row.size, '.')]);
  return { bytes, payloadAt: head.length + id };
}

/** A connection that is accepted. `onTurn` is called behind each chunk of bytes. */
async function client(port, clientId, onPublish, onTurn, onPuback) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const id = Buffer.from(clientId);
  const connectHead = [0x10, 12 + id.length, 0, 4, 77, 81, 84, 84, 4, 2, 0, 0, 0, id.length];
  let waiting;
  const answered = (first) =>
    new Promise((resolve) => {
      waiting = { first, resolve };
    });
  let rest;
  socket.on('data', (data) => {
    const bytes = rest === undefined ? data : Buffer.concat([rest, data]);
    const end = bytes.length;
    let at = 0;
    while (end - at >= 2) {
      let length = bytes[at + 1] & 127;
      let body = at + 2;
      if (bytes[at + 1] > 127) {
        if (end - at < 3) break;
        length |= (bytes[at + 2] & 127) << 7;
        body++;
      }
      if (body + length > end) break;
      const first = bytes[at];
      if (first >> 4 === 3) onPublish(bytes, first, body);
      else if (first === kPuback) onPuback?.();
      else if (first === waiting?.first) waiting.resolve();
      at = body + length;
    }
    rest = at === end ? undefined : bytes.subarray(at);
    onTurn();
  });
  socket.on('error', () => {}); // 'close' tells it.
  socket.on('close', () => {
    if (process.connected && !stopped) throw new Error(`the broker closed ${clientId}`);
  });
  const accepted = answered(kConnack);
  socket.write(Buffer.concat([Buffer.from(connectHead), id]));
  await accepted;
  return { socket, answered };
}
