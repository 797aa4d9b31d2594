// Whether a broker answers: exit code 0 or 1. Without dependencies.
//   node healthcheck.mjs [URL]        or MQTT_HEALTHCHECK_URL; default mqtt://127.0.0.1:1883
// mqtt://HOST:PORT  a CONNECT is answered, by acceptance or refusal: the I/O threads work
// http://HOST:PORT/livez  the console says 2xx, too: JavaScript works (needs [console])
import { connect } from 'node:net';

const kTimeoutMs = 4000;
const kConnack = 0x20;
/** MQTT 3.1.1, Clean Session, Keep Alive 10 s, no Client Identifier: leaves no session behind. */
const connectPacket = Buffer.from('100c00044d5154540402000a0000', 'hex');
const disconnectPacket = Buffer.from('e000', 'hex');

function mqtt({ hostname, port }) {
  return new Promise((done, failed) => {
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = connect({ host, port: Number(port || 1883) }, () => socket.write(connectPacket));
    socket.once('error', failed);
    socket.once('close', () => failed(new Error('closed without an answer')));
    socket.once('data', (data) => {
      socket.end(disconnectPacket);
      if (data[0] === kConnack) done();
      else failed(new Error(`answered 0x${data[0].toString(16)}, not CONNACK`));
    });
  });
}

async function http(url) {
  const { ok, status } = await fetch(url, { redirect: 'error' });
  if (!ok) throw new Error(`status ${status}`);
}

const given = process.argv[2] ?? process.env.MQTT_HEALTHCHECK_URL ?? 'mqtt://127.0.0.1:1883';
const kinds = { 'mqtt:': mqtt, 'tcp:': mqtt, 'http:': http, 'https:': http };

setTimeout(() => end(new Error(`no answer in ${kTimeoutMs} ms`)), kTimeoutMs).unref();

function end(error) {
  if (error !== undefined) {
    // Not the URL: it may carry a password.
    console.error(`health check: ${error.cause?.code ?? error.code ?? error.message}`);
  }
  process.exit(error === undefined ? 0 : 1);
}

try {
  const url = new URL(given);
  const check = kinds[url.protocol];
  if (check === undefined) throw new Error(`${url.protocol} is not mqtt: or http:`);
  await check(url);
  end();
} catch (error) {
  end(error);
}
