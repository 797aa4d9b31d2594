// A proxy that damages what a broker delivers: the benchmark's check of its own eyes. A generator that
// does not notice is broken, and so is every "nothing lost" it ever said.
import { connect, createServer } from 'node:net';

/** Whole packets at the start of `data`: { frames, rest }. */
function split(data) {
  const frames = [];
  let at = 0;
  for (;;) {
    let length = 0;
    let header = 1;
    for (let shift = 0; ; shift += 7, header += 1) {
      if (at + header >= data.length) return { frames, rest: data.subarray(at) };
      const byte = data[at + header];
      length += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
    }
    const end = at + header + 1 + length;
    if (end > data.length) return { frames, rest: data.subarray(at) };
    frames.push(data.subarray(at, end));
    at = end;
  }
}

const damages = {
  none: (frames) => frames,
  drop: (frames, at) => frames.filter((_, index) => index !== at),
  double: (frames, at) => [...frames.slice(0, at + 1), ...frames.slice(at)],
  swap: (frames, at) => [
    ...frames.slice(0, at),
    frames[at + 1],
    frames[at],
    ...frames.slice(at + 2),
  ],
};

/** Listens on a free port before `port`; damages one delivered PUBLISH per subscriber, once. */
export async function startTamper(port, damage) {
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (client) => {
    const broker = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const socket of [client, broker]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.pipe(broker);
    let kept = Buffer.alloc(0);
    let seen = 0;
    let done = false;
    broker.on('data', (data) => {
      const { frames, rest } = split(Buffer.concat([kept, data]));
      kept = rest;
      let out = frames;
      // After a thousand, and with a neighbour to be swapped with.
      const publishes = frames.filter((frame) => frame[0] >> 4 === 3).length;
      seen += publishes;
      if (!done && seen > 1000 && frames.length > 2 && publishes === frames.length) {
        out = damages[damage](frames, 0);
        done = true;
      }
      for (const frame of out) client.write(frame);
    });
    broker.on('close', () => client.destroy());
    client.on('close', () => broker.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
