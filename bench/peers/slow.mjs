// COUNT TLS connections to PORT that bring nothing: a third says nothing, a third sends a ClientHello
// and does not answer, a third sends one a byte at a time. Whoever is closed comes back. Says "open"
// when all are there; at SIGTERM prints how many came and how many were closed, as JSON.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
/** Opened in one turn of this process, so that it is not what is measured. */
const kAtOnce = 50;
const kDripMs = 100;

const hello = await clientHello();
let came = 0;
let closed = 0;
const dripping = new Map();

for (let n = 0; n < count; n++) {
  attack(n);
  if (n % kAtOnce === kAtOnce - 1) await new Promise((done) => setTimeout(done, 1));
}
setInterval(() => {
  for (const [socket, at] of dripping) {
    if (at === hello.length - 1) continue;
    socket.write(hello.subarray(at, at + 1));
    dripping.set(socket, at + 1);
  }
}, kDripMs);
process.once('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ came, closed })}\n`, () => process.exit());
});

function attack(n) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  socket.on('error', () => {});
  socket.once('connect', () => {
    if (++came === count) console.log('open');
    if (n % 3 === 1) socket.write(hello);
    if (n % 3 === 2) dripping.set(socket, 0);
  });
  socket.resume().once('close', () => {
    closed++;
    dripping.delete(socket);
    setTimeout(() => attack(n), kDripMs);
  });
}

async function clientHello() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ host: '127.0.0.1', port: server.address().port });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}
