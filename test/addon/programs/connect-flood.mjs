// Connects and disconnects over and over, in a worker thread of its own, while the main thread is
// blocked: tells through shared memory how many were admitted, and when all is over.
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const { port, count, atOnce, state } = workerData;
const [kDone, kAdmitted] = [0, 1];
const shared = new Int32Array(state);
let next = 0;

/** MQTT 3.1.1; a name per connection, so that each has a session of its own. */
function connectPacket(number) {
  const name = Buffer.from(`flood${number}`);
  const head = Buffer.from([0x10, 12 + name.length, 0, 4, 77, 81, 84, 84, 4, 2, 0, 0]);
  return Buffer.concat([head, Buffer.from([0, name.length]), name]);
}

function one() {
  return new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const packet = connectPacket(next++);
    socket.on('connect', () => socket.write(packet));
    socket.on('data', (bytes) => {
      if (bytes[0] === 0x20 && bytes[3] === 0) Atomics.add(shared, kAdmitted, 1);
      socket.write(Buffer.from([0xe0, 0]));
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', done);
  });
}

async function lane() {
  while (next < count) await one();
}

parentPort.postMessage('ready');
await Promise.all(Array.from({ length: atOnce }, lane));
Atomics.store(shared, kDone, 1);
Atomics.notify(shared, kDone);
