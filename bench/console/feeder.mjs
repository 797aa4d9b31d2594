// Makes sessions `from` to `until` that outlive their connections, with a subscription each. It
// resets what it closes, so that no port stays behind in TIME_WAIT.
import { connect } from 'node:net';

const [port, from, until] = process.argv.slice(2).map(Number);
const kAtOnce = 64;
/** Several, for one address has 28,000 ports. */
const kAddresses = 200;
const kConnackBytes = 5;

let next = from;
await Promise.all(Array.from({ length: kAtOnce }, feed));

async function feed() {
  while (next < until) await makeSession(next++);
}

function makeSession(number) {
  return new Promise((resolve, reject) => {
    const localAddress = `127.0.0.${2 + (number % kAddresses)}`;
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    let received = 0;
    socket.on('connect', () => socket.write(packets(`device-${String(number).padStart(8, '0')}`)));
    socket.on('data', (data) => {
      received += data.length;
      if (received > kConnackBytes) socket.resetAndDestroy();
    });
    socket.on('error', reject);
    socket.on('close', resolve);
  });
}

/** CONNECT (MQTT 5.0, a day of Session Expiry Interval) and SUBSCRIBE. */
function packets(clientId) {
  const expiry = [0x11, 0, 1, 0x51, 0x80];
  const head = [0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 0, 0, 60, expiry.length, ...expiry];
  const connectBody = [...head, 0, clientId.length, ...Buffer.from(clientId)];
  const filter = Buffer.from(`fleet/${clientId}/cmd`);
  const subscribeBody = [0, 1, 0, 0, filter.length, ...filter, 1];
  return Buffer.from([
    ...[0x10, connectBody.length, ...connectBody],
    ...[0x82, subscribeBody.length, ...subscribeBody],
  ]);
}
